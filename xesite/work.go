// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/internal/atomicfile"
	"xeiaso.net/site/xesite/release"
)

// Run keeps the site up to date until ctx ends, and returns when everything
// that it started has ended: a build that runs then is killed.
//
// Of several instances on one data directory one builds, and the others serve
// what it publishes, at most two seconds later. When it ends or dies, another
// one takes over: at once on the same machine, within seconds on others.
func (s *Site) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.drain)()
	var all sync.WaitGroup
	all.Go(func() { s.follow(ctx) })
	err := s.lease.run(ctx, s.lead)
	all.Wait()
	left := s.queue.close(fmt.Errorf("xesite: the site has stopped: %w", net.ErrClosed))
	s.handOver(ctx, left)
	s.events.active.Wait()
	return err
}

// drain makes Ready say no.
func (s *Site) drain() {
	s.drainOnce.Do(func() { close(s.drained) })
}

// followInterval is how often an instance looks at the pointer.
const followInterval = time.Second

// follow serves what another instance publishes, and hands over triggers that
// came before it was known who builds.
func (s *Site) follow(ctx context.Context) {
	for pause(ctx, followInterval) {
		holder, mine := s.lease.holder()
		if mine {
			continue
		}
		s.load(ctx)
		if holder == "" {
			continue
		}
		if b := s.queue.takeNow(); b != nil {
			s.handOver(ctx, b.triggers)
			b.fail(&NotBuilderError{holder})
		}
	}
}

// triggerPrefix is where instances that do not build leave their triggers.
const triggerPrefix = "trigger/"

// handOver leaves triggers for the builder, or the next one if this is the end.
func (s *Site) handOver(ctx context.Context, triggers []Trigger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	for _, t := range triggers {
		if err := s.forward(ctx, t, newTicket().ID); err != nil {
			s.log.ErrorContext(ctx, "hand over a trigger", "err", err)
		}
	}
}

// forward leaves a trigger for the builder.
func (s *Site) forward(ctx context.Context, t Trigger, id string) error {
	value, err := json.Marshal(t)
	if err != nil {
		return err
	}
	_, err = s.state.Swap(ctx, triggerPrefix+strings.ToLower(id), nil, value)
	return err
}

// collectTriggers takes what others have left, until ctx ends.
func (s *Site) collectTriggers(ctx context.Context) {
	for pause(ctx, leasePoll) {
		keys, err := s.state.Keys(ctx, triggerPrefix)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "look for triggers of other instances", "err", err)
		}
		for _, key := range keys {
			value, err := s.state.Load(ctx, key)
			if err != nil {
				continue
			}
			var t Trigger
			if json.Unmarshal(value, &t) == nil {
				s.queue.add(t)
			}
			// Queued first: a crash in between only builds once more.
			if _, err := s.state.Swap(ctx, key, value, nil); err != nil {
				s.log.WarnContext(ctx, "remove a trigger", "key", key, "err", err)
			}
		}
	}
}

// lead is what the builder does.
func (s *Site) lead(ctx context.Context) {
	s.cleanUp(ctx)
	s.keys.forget()
	s.load(ctx)
	s.queue.add(Trigger{Source: SourceStart})
	s.metrics.triggers[SourceStart].Inc()
	var all sync.WaitGroup
	all.Go(func() { s.collectTriggers(ctx) })
	all.Go(func() { s.every(ctx, s.cfg.Poll, Trigger{Source: SourcePoll}) })
	all.Go(func() { s.every(ctx, s.cfg.RebuildEvery, Trigger{Source: SourceSchedule, Rebuild: true}) })
	if w, ok := s.cfg.Source.(Watcher); ok {
		all.Go(func() { s.watch(ctx, w) })
	}
	s.work(ctx)
	all.Wait()
}

// cleanUp removes what an earlier builder left: processes first, since they
// may still write.
func (s *Site) cleanUp(ctx context.Context) {
	if n := killMarked(markVariable, s.mark+"-", ""); n > 0 {
		s.log.WarnContext(ctx, "killed processes of an earlier build", "count", n)
	}
	if err := emptyDir(s.path("build")); err != nil {
		s.log.WarnContext(ctx, "clean the build directory", "err", err)
	}
	for _, dir := range []string{"builds", "releases", "channels"} {
		if err := atomicfile.Sweep(s.path(dir), time.Hour); err != nil {
			s.log.WarnContext(ctx, "remove leftovers", "err", err)
		}
	}
}

func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, removeAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

// removeAll is [os.RemoveAll] for trees with directories that cannot be
// written to, such as Go's module cache.
func removeAll(path string) error {
	if err := os.RemoveAll(path); err == nil {
		return nil
	}
	filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}

// every sends a trigger again and again, with 10 % jitter.
func (s *Site) every(ctx context.Context, interval time.Duration, t Trigger) {
	if interval <= 0 {
		return
	}
	for pause(ctx, time.Duration(float64(interval)*(0.9+0.2*rand.Float64()))) {
		s.Trigger(ctx, t)
	}
}

// watch sends a trigger for each change of the source. Changes made by a
// build itself do not count: see [Dir.Ignore].
func (s *Site) watch(ctx context.Context, w Watcher) {
	for {
		err := w.Watch(ctx, func() { s.Trigger(ctx, Trigger{Source: SourceWatch}) })
		if err == nil {
			return
		}
		s.log.ErrorContext(ctx, "changes are not seen; polling goes on", "err", err)
		if !pause(ctx, time.Minute) {
			return
		}
	}
}

// work builds one batch after the other.
func (s *Site) work(ctx context.Context) {
	for {
		b := s.next(ctx)
		if b == nil {
			return
		}
		s.batch(ctx, b)
		if ctx.Err() == nil {
			s.collect(ctx)
		}
	}
}

// next waits for a batch, and polishes what is served meanwhile.
func (s *Site) next(ctx context.Context) *batch {
	quiet, stop := context.WithCancel(ctx)
	var polishing sync.WaitGroup
	polishing.Go(func() { s.polish(quiet) })
	b := s.queue.take(ctx)
	stop()
	polishing.Wait()
	return b
}

// batch builds for one batch, tells everybody who waits, and asks the remote
// again if it does not show yet what a hook announced.
func (s *Site) batch(ctx context.Context, b *batch) {
	record := s.build(ctx, b)
	if t, ok := s.stale(b, record); ok {
		delay := time.Second << t.attempt
		t.attempt++
		s.log.InfoContext(ctx, "the remote does not show the announced commit yet; asking again", "hint", t.Hint, "delay", delay)
		var waiting []*Ticket
		if record.Result == ResultKnown {
			waiting, b.tickets = b.tickets, nil
		}
		// This does not hold the queue.
		time.AfterFunc(delay, func() { s.queue.add(t, waiting...) })
	}
	for _, ticket := range b.tickets {
		ticket.finish(record, nil)
	}
}

// maxAttempts is how often the remote is asked again: after 1, 2, 4 and 8 s.
const maxAttempts = 4

// stale returns a trigger that asks again for the newest hint, if the remote
// showed another commit, and the announced one was never built.
func (s *Site) stale(b *batch, record Build) (Trigger, bool) {
	if record.Commit == "" {
		return Trigger{}, false
	}
	for _, t := range slices.Backward(b.triggers) {
		if t.Hint == "" {
			continue
		}
		built, _ := s.keys.commit(t.Hint)
		again := Trigger{Source: t.Source, Hint: t.Hint, attempt: t.attempt}
		return again, t.Hint != record.Commit && !built && t.attempt < maxAttempts
	}
	return Trigger{}, false
}

// build does everything from fetch to publication and returns the record. A
// trigger that needs no build leaves none behind.
func (s *Site) build(ctx context.Context, b *batch) Build {
	run := &run{site: s, ctx: ctx, batch: b}
	run.record = Build{Triggers: b.sources(), Started: time.Now().UTC()}
	s.setRunning(&run.record)
	defer s.setRunning(nil)
	err := run.fetch()
	if err == nil && run.known() {
		run.record.Result = ResultKnown
		return run.record
	}
	if err2 := run.begin(); err2 != nil {
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
		run.record.Stage = step.stage
		err = step.do()
	}
	return run.end(err)
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
	r.record.Stage = "fetch"
	if r.rev, err = r.site.cfg.Source.Fetch(r.ctx); err != nil {
		return err
	}
	r.record.Commit, r.record.Subject = r.rev.ID, r.rev.Subject
	r.record.Stage = "data"
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
	polled := !slices.ContainsFunc(r.batch.triggers, func(t Trigger) bool { return t.Source != SourcePoll })
	return result != ResultFailed || polled
}

// begin gives the build its number, its log and its directory.
func (r *run) begin() error {
	number, err := r.site.history.next()
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
	err := safely(func() error { return s.cfg.Builder.Build(ctx, in) })
	r.record.Generator = time.Since(start).Seconds()
	return err
}

// safely turns a panic of a builder into an error.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("generator panicked: %v", p)
		}
	}()
	return f()
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

// finish keeps the record, and removes what the build needed.
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
	if r.dir != "" {
		if err := removeAll(r.dir); err != nil {
			s.log.Warn("remove the build's directory", "build", b.Number, "err", err)
		}
	}
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

// caches are directories that move into the checkout and back.
type caches struct {
	log   *buildLog
	pairs []cachePair
}

type cachePair struct{ name, kept, used string }

// caches returns the directories to keep. A source that is built in place
// keeps them by itself.
func (r *run) caches(dir string) caches {
	c := caches{log: r.log}
	if !strings.HasPrefix(r.tree, r.dir) {
		return c
	}
	for _, path := range r.site.cfg.CachePaths {
		c.pairs = append(c.pairs, cachePair{path, r.site.path("cache", "paths", hashName(path)), filepath.Join(dir, path)})
	}
	return c
}

// in moves the kept directories into the checkout.
func (c caches) in() {
	for _, p := range c.pairs {
		if _, err := os.Lstat(p.kept); err != nil {
			continue
		}
		if _, err := os.Lstat(p.used); err == nil {
			c.log.warnf("cache path %s: the repository has it, so the kept one is not used", p.name)
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(p.used), 0o755), os.Rename(p.kept, p.used)); err != nil {
			c.log.warnf("cache path %s: %v", p.name, err)
		}
	}
}

// out moves them back, whatever became of the build.
func (c caches) out() {
	for _, p := range c.pairs {
		if _, err := os.Lstat(p.used); err != nil {
			continue
		}
		err := errors.Join(removeAll(p.kept), os.MkdirAll(filepath.Dir(p.kept), 0o700), os.Rename(p.used, p.kept))
		if err != nil {
			c.log.warnf("cache path %s: %v", p.name, err)
		}
	}
}

// collectGrace is how long after its replacement a release's files stay for
// responses that began before.
const collectGrace = 10 * time.Minute

// collect removes the releases that are no longer kept. It runs between
// builds, so nobody is counting on a blob that is about to go.
func (s *Site) collect(ctx context.Context) {
	s.publishing.Lock() // a rollback may need what is about to go
	defer s.publishing.Unlock()
	keep, err := s.store.Prune(channel, s.cfg.Keep, collectGrace)
	if err == nil {
		if cur := s.serving.Load(); cur != nil {
			keep = append(keep, cur.rel.ID)
		}
		err = s.store.Collect(ctx, keep, collectGrace)
	}
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "remove old releases", "err", err)
	}
}

// polish makes the slow codings of what is served, then compares contents
// with their hashes. The next build stops it.
func (s *Site) polish(ctx context.Context) {
	cur := s.serving.Load()
	if cur == nil {
		return
	}
	if s.polished != cur.rel.ID {
		s.compress(ctx, cur)
	}
	if m, ok := s.cfg.Source.(Maintainer); ok && ctx.Err() == nil {
		if err := m.Maintain(ctx); err != nil {
			s.log.WarnContext(ctx, "tidy the source's mirrors", "err", err)
		}
	}
	if ctx.Err() == nil && time.Since(s.verified) > verifyEvery {
		s.verified = time.Now()
		s.verify(ctx, cur.rel)
	}
}

// compress adds the slow codings. What clients hold stays valid: a coding only
// joins.
func (s *Site) compress(ctx context.Context, cur *serving) {
	rel, err := s.store.Compress(ctx, cur.rel)
	if rel != cur.rel {
		s.serving.CompareAndSwap(cur, s.compile(rel, cur.pub, cur))
	}
	switch {
	case err == nil:
		s.polished = rel.ID
	case ctx.Err() == nil:
		s.log.WarnContext(ctx, "compress", "release", rel.ID.Short(), "err", err)
	}
}

// verifyEvery is how often all contents are compared with their hashes.
const verifyEvery = 24 * time.Hour

// verify reports contents that rotted, and has them built again.
func (s *Site) verify(ctx context.Context, rel *release.Release) {
	err := s.store.Verify(ctx, rel)
	if !errors.Is(err, release.ErrCorrupt) || ctx.Err() != nil {
		return
	}
	s.log.ErrorContext(ctx, "the release is damaged on disk; building it again", "err", err)
	if err := s.store.Quarantine(ctx, rel); err != nil {
		s.log.ErrorContext(ctx, "remove the damaged contents", "err", err)
	}
	s.mu.Lock()
	s.fault = err
	s.mu.Unlock()
	s.queue.add(Trigger{Source: SourceData, Rebuild: true})
}
