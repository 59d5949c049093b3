// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"xeiaso.net/site/xesite/release"
)

// build does everything from fetch to publication and returns the record. A
// trigger that needs no build leaves none behind.
func (s *Site) build(ctx context.Context, ch *channel, b *batch) Build {
	run := &run{site: s, ch: ch, ctx: ctx, batch: b}
	run.record = Build{Branch: ch.branch, Triggers: b.sources(), Started: time.Now().UTC()}
	if ch != s.production {
		run.record.Channel = ch.name
	}
	defer s.setRunning(nil)
	s.writing.RLock()
	defer s.writing.RUnlock()
	err := run.fetch()
	if err == nil && run.known() {
		run.record.Result = ResultKnown
		return run.record
	}
	if ch == s.production && s.Pinned() {
		run.record.Result = ResultPinned
		return run.record
	}
	if err2 := run.begin(err != nil); err2 != nil {
		err = errors.Join(err, err2)
	}
	for _, step := range []struct {
		stage string
		do    func() error
	}{
		{"checkout", run.checkout},
		{"data", run.writeData},
		{"generate", run.generate},
		{"release", run.release},
		{"check", run.check},
		{"publish", run.publish},
	} {
		if err != nil {
			break
		}
		run.at(step.stage)
		err = step.do()
	}
	return run.end(err)
}

// at notes where the build is, for its record and for who asks meanwhile.
func (r *run) at(stage string) {
	r.record.Stage = stage
	r.show()
}

// show lets people see where the build is. An upload takes moments, and must
// not hide a build.
func (r *run) show() {
	if !r.uploaded {
		r.site.setRunning(&r.record)
	}
}

func (s *Site) setRunning(b *Build) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b != nil {
		copied := *b
		b = &copied
	}
	s.running = b
}

// run is one build.
type run struct {
	site   *Site
	ch     *channel
	ctx    context.Context
	batch  *batch
	record Build

	log  *buildLog // from begin on
	rev  Revision
	data []datum
	key  string
	dir  string // of our scratch files
	tree string // the checkout
	rel  *release.Release

	uploaded bool // there is no source, see upload.go
}

// fetch finds the newest revision and the data files: what decides whether
// there is anything to build.
func (r *run) fetch() (err error) {
	r.at("fetch")
	if r.rev, err = r.ch.source.Fetch(r.ctx); err != nil {
		return err
	}
	r.record.Commit, r.record.Subject = r.rev.ID, r.rev.Subject
	r.at("data")
	// The build's number is not known yet, so neither is its log.
	notes := &buildLog{last: tail{max: maxLogTail}, logger: r.site.log}
	r.data, err = r.site.data.fetch(r.ctx, notes)
	r.log = notes
	r.key = r.site.buildKey(r.ch, r.rev, r.data)
	return err
}

// known reports whether this was built before and nobody asks for it again. A
// build that failed is tried again by everything but a poll: somebody may have
// mended what it needs.
func (r *run) known() bool {
	if r.rev.ID == "" || r.ch.degraded() || r.ch.serving.Load() == nil {
		return false
	}
	if r.heldBack() {
		return true
	}
	if r.batch.rebuild() {
		return false
	}
	result, ok := r.site.keys.get(r.key)
	if !ok || result == ResultSuperseded {
		return false
	}
	return result != ResultFailed || r.batch.polled()
}

// heldBack reports whether a person has chosen what is served, and this is no
// news against it: not even with newer data, since who chose had a reason.
func (r *run) heldBack() bool {
	_, published := r.site.keys.commit("", r.rev.ID)
	return r.ch == r.site.production && published && r.site.held() && !r.batch.byPerson()
}

// number returns the number of the build. A poll that meets the same trouble as
// the build before, such as a forge that is down, takes over its number: a long
// night must not push all other records out.
func (r *run) number(failed bool) (uint64, error) {
	if failed && r.batch.polled() {
		last := r.site.history.last(r.record.Channel)
		if last != nil && last.Result == ResultFailed && last.Stage == r.record.Stage {
			return last.Number, nil
		}
	}
	return r.site.history.next()
}

// begin gives the build its number, its log and its directory. Failed says
// that it has come to grief already.
func (r *run) begin(failed bool) error {
	notes := r.log
	number, err := r.takeNumber(failed)
	if number == 0 {
		return err
	}
	logger := r.site.log.With("build", number)
	if r.record.Channel != "" {
		logger = logger.With("channel", r.record.Channel)
	}
	r.log.logger = logger
	logger.InfoContext(r.ctx, "build started", "commit", r.record.Commit, "triggers", r.record.Triggers)
	r.log.printf("build %d of %s %s, for: %s", number, orDash(r.rev.Short()), r.rev.Subject, strings.Join(r.record.Triggers, ", "))
	if notes != nil {
		notes.mu.Lock()
		earlier := notes.last.String()
		notes.mu.Unlock()
		fmt.Fprint(r.log, earlier)
	}
	r.show()
	r.dir = r.site.path("build", fmt.Sprintf("%d-%s", number, orDash(r.rev.Short())))
	return errors.Join(err, os.MkdirAll(r.dir, 0o700))
}

// takeNumber gives the build its number and the log that makes it taken: an
// upload may begin at the same time.
func (r *run) takeNumber(failed bool) (number uint64, err error) {
	r.site.numbering.Lock()
	defer r.site.numbering.Unlock()
	if number, err = r.number(failed); err != nil {
		return 0, err
	}
	r.record.Number = number
	if r.log, err = r.site.history.newLog(number, r.site.log); err != nil {
		r.log = &buildLog{last: tail{max: maxLogTail}, logger: r.site.log}
	}
	return number, err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (r *run) checkout() (err error) {
	r.tree, err = r.ch.source.Checkout(r.ctx, r.rev, filepath.Join(r.dir, "tree"))
	return err
}

func (r *run) writeData() error { return writeData(r.tree, r.data) }

// generate runs the generator, with the kept directories in place.
func (r *run) generate() error {
	s := r.site
	in := BuildInput{
		Dir: filepath.Join(r.tree, s.cfg.BuildDir), Output: filepath.Join(r.dir, "output"),
		Revision: r.rev, SiteURL: r.ch.siteURL, Preview: r.record.Channel != "", Cache: s.path("cache"), Number: r.record.Number,
		Log: r.log, mark: fmt.Sprintf("%s-%d", s.mark, r.record.Number),
	}
	if !isDir(in.Dir) {
		return fmt.Errorf("the repository has no directory %q to build in", s.cfg.BuildDir)
	}
	caches := r.caches(in.Dir)
	caches.in()
	defer caches.out()
	ctx, cancel := r.ctx, context.CancelFunc(func() {})
	if s.cfg.BuildTimeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, s.cfg.BuildTimeout, fmt.Errorf("generator took longer than %s and was stopped", s.cfg.BuildTimeout))
	}
	defer cancel()
	start := time.Now()
	err := safely(ctx, s.cfg.Builder, in)
	r.record.Generator = time.Since(start).Seconds()
	return err
}

// abandonAfter is how long after its end a context may be ignored by a builder
// that runs inside this process. A [Command] is always waited for: it ends by
// itself, after its own grace time.
const abandonAfter = 10 * time.Second

// safely runs a builder, and survives one that panics or does not stop.
func safely(ctx context.Context, b Builder, in BuildInput) error {
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- fmt.Errorf("generator panicked: %v", p)
			}
		}()
		ended <- b.Build(ctx, in)
	}()
	if _, ok := b.(Command); ok {
		return <-ended
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(abandonAfter):
		return fmt.Errorf("%w; the generator does not stop and was left behind", context.Cause(ctx))
	}
}

// release makes a release of the output. Links out of it are refused.
func (r *run) release() error {
	root, err := r.openOutput()
	if err != nil {
		return err
	}
	defer root.Close()
	return r.write(root.FS())
}

// write makes a release of files.
func (r *run) write(files fs.FS) error {
	rel, report, err := r.site.store.Write(r.ctx, files)
	if errors.Is(err, release.ErrRefused) {
		return &rejection{err.Error()}
	}
	if err != nil {
		return err
	}
	r.wrote(rel, report)
	return nil
}

// wrote notes what the release is.
func (r *run) wrote(rel *release.Release, report *release.Report) {
	r.rel = rel
	r.record.Release, r.record.Files = rel.ID, report.Files
	for i, m := range report.Mistakes {
		r.log.warnf("mistake: %v", m)
		if i < maxMistakes {
			r.record.Mistakes = append(r.record.Mistakes, m.Error())
		}
	}
	for _, path := range report.Skipped {
		r.log.printf("left out: %s", path)
	}
	r.log.printf("release %s: %d files, %d bytes, %d new contents", rel.ID.Short(), report.Files, report.Bytes, report.NewBlobs)
}

// openOutput opens what the builder has made, where it was told to or where
// its own configuration says.
func (r *run) openOutput() (*os.Root, error) {
	root, err := os.OpenRoot(filepath.Join(r.dir, "output"))
	if !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	root, err = os.OpenRoot(filepath.Join(r.tree, r.site.cfg.OutputDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the generator left no directory %q: set the output directory to where it writes", r.site.cfg.OutputDir)
	}
	return root, err
}

// check refuses what is more likely an accident than a site.
func (r *run) check() error {
	if r.batch.force() {
		return nil
	}
	c := Candidate{Next: r.rel, SiteURL: r.ch.siteURL, Preview: r.record.Channel != "", Mistakes: r.record.Mistakes}
	if cur := r.ch.serving.Load(); cur != nil {
		c.Current = cur.rel
	}
	return r.site.cfg.Gates.check(r.ctx, c)
}

func (r *run) publish() error {
	r.site.publishing.Lock()
	defer r.site.publishing.Unlock()
	r.ch.load(r.ctx) // who builds since a moment ago may not have followed yet
	if r.served() {
		r.record.Result = ResultUnchanged
		return nil
	}
	if !r.uploaded && !r.ch.degraded() && r.heldBack() {
		return errOvertaken
	}
	publish := r.site.publish
	if r.ch != r.site.production {
		publish = r.ch.publish // nobody is told
	}
	pub, err := publish(r.ctx, r.rel, release.PublishOptions{
		Release: r.rel.ID, Commit: r.rev.ID, Build: r.record.Number, Reason: strings.Join(r.record.Triggers, ","),
	})
	if errors.Is(err, ErrPinned) { // it was pinned meanwhile
		err = &rejection{"the site was pinned to another release during the build"}
	}
	if err != nil {
		return err
	}
	r.record.Result, r.record.Sequence = ResultPublished, pub.Sequence
	return nil
}

// served reports whether the release is what is served already.
func (r *run) served() bool {
	cur := r.ch.serving.Load()
	return cur != nil && cur.rel.ID == r.rel.ID && !r.ch.degraded()
}

// errOvertaken is the error of a build that ran while a person chose what to
// serve: it began before and has nothing that was new then.
var errOvertaken = errors.New("a release was uploaded or rolled back to meanwhile, and this commit was published before")

// end writes down how the build went.
func (r *run) end(err error) Build {
	s := r.site
	r.record.Seconds = time.Since(r.record.Started).Seconds()
	var rejected *rejection
	switch {
	case err == nil:
		r.record.Stage = ""
	case r.ctx.Err() != nil:
		r.record.Result, err = ResultSuperseded, context.Cause(r.ctx)
	case errors.Is(err, errOvertaken):
		r.record.Result = ResultSuperseded
		r.key = "" // what is known of the commit is that it was published
	case errors.As(err, &rejected), errors.Is(err, release.ErrArchive), errors.Is(err, release.ErrTooLarge):
		r.record.Result = ResultRejected
	default:
		r.record.Result = ResultFailed
	}
	if err != nil {
		r.record.Error = err.Error()
		r.log.printf("%s at %s: %v", r.record.Result, r.record.Stage, err)
	} else {
		r.log.printf("%s", r.record.Result)
	}
	tail := r.log.close()
	if !r.record.ok() {
		r.record.LogTail = tail
	}
	s.report(r.ctx, r.record)
	s.finish(r)
	return r.record
}

// finish keeps the record.
func (s *Site) finish(r *run) {
	b := r.record
	if b.Channel == "" {
		s.mu.Lock()
		s.last = &b
		s.mu.Unlock()
	}
	s.metrics.built(b)
	if r.key != "" && r.rev.ID != "" {
		if err := s.keys.put(keyEntry{r.key, r.rev.ID, b.Channel, b.Result}); err != nil {
			s.log.Error("keep the build's key", "build", b.Number, "err", err)
		}
	}
	if err := s.history.save(b); err != nil {
		s.log.Error("keep the build's record", "build", b.Number, "err", err)
	}
	if err := s.history.prune(); err != nil {
		s.log.Warn("remove old build records", "err", err)
	}
	r.batch.dir = r.dir
	if s.cfg.OnBuild != nil {
		s.events.add(func() { s.cfg.OnBuild(b) })
	}
}

func (s *Site) report(ctx context.Context, b Build) {
	attrs := []any{"build", b.Number, "result", b.Result, "commit", b.Commit, "seconds", b.Seconds, "generator_seconds", b.Generator, "release", b.Release.Short()}
	if b.Channel != "" {
		attrs = append(attrs, "channel", b.Channel)
	}
	if b.ok() {
		s.log.InfoContext(ctx, "build ended", append(attrs, "sequence", b.Sequence, "files", b.Files)...)
		return
	}
	attrs = append(attrs, "stage", b.Stage, "err", b.Error)
	if b.Result == ResultSuperseded {
		s.log.WarnContext(ctx, "build was cancelled", attrs...)
		return
	}
	s.log.ErrorContext(ctx, "build failed; the previous release stays", attrs...)
}
