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
func (s *Site) build(ctx context.Context, b *batch) Build {
	run := &run{site: s, ctx: ctx, batch: b}
	run.record = Build{Triggers: b.sources(), Started: time.Now().UTC()}
	defer s.setRunning(nil)
	err := run.fetch()
	if err == nil && run.known() {
		run.record.Result = ResultKnown
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
	r.site.setRunning(&r.record)
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
}

// fetch finds the newest revision and the data files: what decides whether
// there is anything to build.
func (r *run) fetch() (err error) {
	r.at("fetch")
	if r.rev, err = r.site.cfg.Source.Fetch(r.ctx); err != nil {
		return err
	}
	r.record.Commit, r.record.Subject = r.rev.ID, r.rev.Subject
	r.at("data")
	// The build's number is not known yet, so neither is its log.
	notes := &buildLog{last: tail{max: maxLogTail}, logger: r.site.log}
	r.data, err = r.site.data.fetch(r.ctx, notes)
	r.log = notes
	r.key = r.site.buildKey(r.rev, r.data)
	return err
}

// known reports whether this was built before and nobody asks for it again. A
// build that failed is tried again by everything but a poll: somebody may have
// mended what it needs.
func (r *run) known() bool {
	if r.rev.ID == "" || r.site.degraded() || r.site.serving.Load() == nil {
		return false
	}
	if _, published := r.site.keys.commit(r.rev.ID); published && r.site.held() && !r.batch.byPerson() {
		return true // not even with newer data: who rolled back had a reason
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

// number returns the number of the build. A poll that meets the same trouble as
// the build before, such as a forge that is down, takes over its number: a long
// night must not push all other records out.
func (r *run) number(failed bool) (uint64, error) {
	r.site.mu.Lock()
	last := r.site.last
	r.site.mu.Unlock()
	if failed && r.batch.polled() && last != nil && last.Result == ResultFailed && last.Stage == r.record.Stage {
		return last.Number, nil
	}
	return r.site.history.next()
}

// begin gives the build its number, its log and its directory. Failed says
// that it has come to grief already.
func (r *run) begin(failed bool) error {
	number, err := r.number(failed)
	if err != nil {
		return err
	}
	r.record.Number = number
	notes := r.log
	logger := r.site.log.With("build", number)
	if r.log, err = r.site.history.newLog(number, logger); err != nil {
		r.log = &buildLog{last: tail{max: maxLogTail}, logger: logger}
	}
	logger.InfoContext(r.ctx, "build started", "commit", r.record.Commit, "triggers", r.record.Triggers)
	r.log.printf("build %d of %s %s, for: %s", number, orDash(r.rev.Short()), r.rev.Subject, strings.Join(r.record.Triggers, ", "))
	if notes != nil {
		notes.mu.Lock()
		earlier := notes.last.String()
		notes.mu.Unlock()
		fmt.Fprint(r.log, earlier)
	}
	r.site.setRunning(&r.record)
	r.dir = r.site.path("build", fmt.Sprintf("%d-%s", number, orDash(r.rev.Short())))
	return errors.Join(err, os.MkdirAll(r.dir, 0o700))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (r *run) checkout() (err error) {
	r.tree, err = r.site.cfg.Source.Checkout(r.ctx, r.rev, filepath.Join(r.dir, "tree"))
	return err
}

func (r *run) writeData() error { return writeData(r.tree, r.data) }

// generate runs the generator, with the kept directories in place.
func (r *run) generate() error {
	s := r.site
	in := BuildInput{
		Dir: filepath.Join(r.tree, s.cfg.BuildDir), Output: filepath.Join(r.dir, "output"),
		Revision: r.rev, SiteURL: s.cfg.SiteURL, Cache: s.path("cache"), Number: r.record.Number,
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
	rel, report, err := r.site.store.Write(r.ctx, root.FS())
	if err != nil {
		return err
	}
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
	return nil
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

// rejection is the error of a release that did not pass the checks.
type rejection struct{ reason string }

func (e *rejection) Error() string { return e.reason }

// shrinkFrom is the number of files from which losing most of them is taken
// for an accident.
const shrinkFrom = 50

// check refuses what is more likely an accident than a site.
func (r *run) check() error {
	if r.batch.force() {
		return nil
	}
	files := len(r.rel.Index.Files)
	if files == 0 {
		return &rejection{"the generator wrote no files"}
	}
	cur := r.site.serving.Load()
	if cur == nil {
		return nil
	}
	before := len(cur.rel.Index.Files)
	if before >= shrinkFrom && files < before/2 {
		return &rejection{fmt.Sprintf("only %d files are left of %d: if that is right, rebuild with force", files, before)}
	}
	_, had := cur.rel.Index.Find("index.html")
	if _, has := r.rel.Index.Find("index.html"); had && !has {
		return &rejection{"the release has no index.html, and the current one has"}
	}
	return nil
}

func (r *run) publish() error {
	if cur := r.site.serving.Load(); cur != nil && cur.rel.ID == r.rel.ID && !r.site.degraded() {
		r.record.Result = ResultUnchanged
		return nil
	}
	pub, err := r.site.publish(r.ctx, r.rel, release.PublishOptions{
		Release: r.rel.ID, Commit: r.rev.ID, Build: r.record.Number, Reason: strings.Join(r.record.Triggers, ","),
	})
	if err != nil {
		return err
	}
	r.record.Result, r.record.Sequence = ResultPublished, pub.Sequence
	return nil
}

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
	case errors.As(err, &rejected):
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
	s.mu.Lock()
	s.last = &b
	s.mu.Unlock()
	s.metrics.built(b)
	if r.key != "" && r.rev.ID != "" {
		if err := s.keys.put(keyEntry{r.key, r.rev.ID, b.Result}); err != nil {
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
