// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"xeiaso.net/site/xesite/release"
)

// Upload is an archive of a finished site that is to be published.
type Upload struct {
	// Archive is a zip, or a tar with gzip, zstd or nothing around it, told
	// apart by content. It is read to its end.
	Archive io.Reader

	// Commit is the revision that the archive was made of: 7 to 64
	// hexadecimal digits. The upload then counts as its build. It may be
	// empty.
	Commit string

	// Force publishes even what does not pass the checks.
	Force bool

	// DryRun changes nothing and tells what would become of the upload.
	DryRun bool
}

// Uploaded tells what became of an upload. Of a dry run it is what would have.
type Uploaded struct {
	Build                   // without a number after a dry run
	DryRun  bool            `json:"dry_run"`
	Changes release.Changes `json:"changes"` // against what was served
}

// errBody is in the tree of the error of an upload that could not be read to
// its end.
var errBody = errors.New("the archive could not be read to its end")

// Upload publishes the files of an archive, as a build does with those of a
// generator: the same checks, the same record, the same news to Config's
// hooks. It does not wait for a build that runs. As after [Site.Rollback], a
// commit that was published before does not replace it; a new commit or a
// rebuild does.
//
// The error is a [*NotBuilderError] on an instance that does not build, and has
// [ErrPinned] in its tree while a release is pinned, or [release.ErrArchive] or
// [release.ErrTooLarge] if the archive is at fault. Uploaded has a Result if
// there is a record, or would be one but for the dry run, for which a release
// that does not pass the checks is no error.
func (s *Site) Upload(ctx context.Context, u Upload) (Uploaded, error) {
	up, err := s.upload(ctx, u)
	if err != nil {
		var elsewhere *NotBuilderError
		if !errors.As(err, &elsewhere) { // which says by itself what it is about
			err = fmt.Errorf("xesite: upload: %w", err)
		}
	}
	return up, err
}

func (s *Site) upload(ctx context.Context, u Upload) (Uploaded, error) {
	if err := checkCommit(u.Commit); err != nil {
		return Uploaded{}, err
	}
	if holder, mine := s.lease.holder(); !mine {
		return Uploaded{}, &NotBuilderError{holder}
	}
	if s.Pinned() {
		return Uploaded{}, ErrPinned
	}
	limits := s.cfg.UploadLimits.WithDefaults()
	spool, size, err := s.spool(u.Archive, limits.Archive)
	if err != nil {
		return Uploaded{}, err
	}
	defer spool.Close()
	r := &run{site: s, ch: s.production, ctx: ctx, batch: &batch{triggers: []Trigger{{Source: SourceUpload, Force: u.Force}}}, uploaded: true}
	r.rev.ID = u.Commit
	r.record = Build{Triggers: r.batch.sources(), Commit: u.Commit, Started: time.Now().UTC()}
	open := func() (*release.Archive, error) {
		return release.OpenArchive(ctx, spool, size, s.path("build"), limits)
	}
	if u.DryRun {
		return r.rehearse(open)
	}
	s.metrics.triggers[SourceUpload].Inc()
	up, err := r.upload(open)
	if up.Result == ResultPublished {
		select {
		case s.repolish <- struct{}{}:
		default:
		}
		s.collect(ctx)
	}
	return up, err
}

// checkCommit refuses what is no revision: it goes into names of files, into
// logs and metrics.
func checkCommit(id string) error {
	if id != "" && (len(id) < 7 || len(id) > 64 || strings.Trim(id, "0123456789abcdef") != "") {
		return fmt.Errorf("commit %q: want 7 to 64 lower-case hexadecimal digits, or none", cut(id, 80))
	}
	return nil
}

// spool keeps an archive in a file that has no name any more: whatever happens
// to this process, nothing of it is left.
func (s *Site) spool(src io.Reader, limit int64) (f *os.File, size int64, err error) {
	if f, err = os.CreateTemp(s.path("build"), "upload-"); err != nil {
		return nil, 0, err
	}
	body := &rememberError{r: io.LimitReader(src, limit+1)}
	// Somebody who cleans up may have been faster.
	if err = os.Remove(f.Name()); err == nil || errors.Is(err, fs.ErrNotExist) {
		size, err = io.Copy(f, body)
	}
	switch {
	case body.err != nil:
		err = fmt.Errorf("%w: %w", errBody, body.err)
	case err == nil && size > limit:
		err = fmt.Errorf("%w: it has more than %d bytes", release.ErrTooLarge, limit)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// rememberError tells an error of the source from one of the disk.
type rememberError struct {
	r   io.Reader
	err error
}

func (r *rememberError) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != io.EOF {
		r.err = cmp.Or(r.err, err)
	}
	return n, err
}

// rehearse does what upload does, on the archive itself and without a trace.
func (r *run) rehearse(open func() (*release.Archive, error)) (Uploaded, error) {
	r.log = &buildLog{last: tail{max: maxLogTail}, logger: logOr(nil)}
	archive, err := open()
	if err != nil {
		return Uploaded{}, err
	}
	defer archive.Close()
	rel, report, err := archive.Release(r.ctx)
	if err != nil {
		return Uploaded{}, err
	}
	r.wrote(rel, report)
	var rejected *rejection
	switch err := r.check(); {
	case errors.As(err, &rejected):
		r.record.Result, r.record.Stage, r.record.Error = ResultRejected, "check", err.Error()
	case err != nil:
		return Uploaded{}, err
	case r.served():
		r.record.Result = ResultUnchanged
	default:
		r.record.Result = ResultPublished
	}
	r.record.Seconds = time.Since(r.record.Started).Seconds()
	return Uploaded{Build: r.record, DryRun: true, Changes: r.changes()}, nil
}

// changes compares the release with what is served.
func (r *run) changes() release.Changes {
	var before, after *release.Index
	if cur := r.ch.serving.Load(); cur != nil {
		before = cur.rel.Index
	}
	if r.rel != nil {
		after = r.rel.Index
	}
	return release.Diff(before, after)
}

// upload is the build of an archive.
func (r *run) upload(open func() (*release.Archive, error)) (Uploaded, error) {
	r.site.writing.RLock()
	defer r.site.writing.RUnlock()
	var archive *release.Archive
	var changes release.Changes
	err := r.begin(false)
	for _, step := range []struct {
		stage string
		do    func() error
	}{
		{"unpack", func() (err error) { archive, err = open(); return err }},
		{"release", func() error { return errors.Join(r.write(archive), archive.Close()) }},
		{"check", r.check},
		{"publish", func() error { changes = r.changes(); return r.publish() }},
	} {
		if err != nil {
			break
		}
		r.at(step.stage)
		err = step.do()
	}
	if err == nil && r.rev.ID != "" {
		r.key = "upload of " + r.rev.ID
	}
	up := Uploaded{Build: r.end(err), Changes: changes}
	r.site.discard(r.dir)
	return up, err
}
