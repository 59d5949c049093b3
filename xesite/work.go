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
	all.Go(func() { s.production.recall(ctx) })
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
		s.production.forget()
		holder, mine := s.lease.holder()
		if mine {
			continue
		}
		s.production.load(ctx)
		if holder == "" {
			continue
		}
		for b := s.queue.takeNow(); b != nil; b = s.queue.takeNow() {
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
			if json.Unmarshal(value, &t) == nil && s.resolve(&t) == nil {
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
	s.production.load(ctx)
	s.queue.add(Trigger{Source: SourceStart})
	s.metrics.triggers[SourceStart].Inc()
	var all sync.WaitGroup
	if s.cfg.Lead != nil {
		all.Go(func() { s.events.call(func() { s.cfg.Lead(ctx, s.served()) }) })
	}
	all.Go(func() { s.collectTriggers(ctx) })
	all.Go(func() { s.every(ctx, s.cfg.Poll, Trigger{Source: SourcePoll}) })
	all.Go(func() { s.every(ctx, s.cfg.RebuildEvery, Trigger{Source: SourceSchedule, Rebuild: true}) })
	if w, ok := s.cfg.Source.(Watcher); ok {
		all.Go(func() { s.watch(ctx, w) })
	}
	if s.previews.on {
		all.Go(func() { s.previews.poll(ctx) })
	}
	s.work(ctx)
	all.Wait()
}

// served is what [Config.Lead] is told.
func (s *Site) served() *Published {
	v := s.production.serving.Load()
	if v == nil {
		return nil
	}
	back := slices.Contains([]string{reasonRollback, reasonPinBack}, v.pub.Reason) || s.production.whyOlder() != nil
	return &Published{Current: current(v.pub), Rollback: back, FS: v.rel.FS()}
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

// every sends a trigger again and again.
func (s *Site) every(ctx context.Context, interval time.Duration, t Trigger) {
	if interval <= 0 {
		return
	}
	for pause(ctx, jitter(interval)) {
		s.Trigger(ctx, t)
	}
}

// jitter returns the interval give or take 10 %.
func jitter(interval time.Duration) time.Duration {
	return time.Duration(float64(interval) * (0.9 + 0.2*rand.Float64()))
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
	polishing.Go(func() {
		for s.polish(quiet); quiet.Err() == nil; s.polish(quiet) {
			select {
			case <-s.repolish:
			case <-quiet.Done():
				return
			}
		}
	})
	b := s.queue.take(ctx)
	stop()
	polishing.Wait()
	return b
}

// maxCuts is how often a preview's build is cancelled. After that the site
// waits for it: a busy day must not keep previews from being made at all.
const maxCuts = 3

// errPreempted is why a preview's build ends that is in the way.
var errPreempted = errors.New("cancelled for a build of the site itself; it is made again after that")

// batch builds for one batch, tells everybody who waits, and asks the remote
// again if it does not show yet what a hook announced.
func (s *Site) batch(ctx context.Context, b *batch) {
	// Last: thousands of files take a while, and nobody has to wait for that.
	defer func() { s.discard(b.dir) }()
	ch := s.production
	if b.branch != "" {
		var err error
		if ch, err = s.previews.begin(b.branch); err != nil {
			s.log.ErrorContext(ctx, "the preview cannot be built", "branch", b.branch, "err", err)
			b.fail(err)
			return
		}
		preemptible, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		if b.cut < maxCuts {
			defer s.queue.onUrgent(func() { cancel(errPreempted) })()
		}
		ctx = preemptible
	}
	record := s.build(ctx, ch, b)
	if record.Result == ResultSuperseded && context.Cause(ctx) == errPreempted {
		b.cut++
		s.queue.putBack(b)
		return
	}
	if b.branch != "" && ctx.Err() == nil {
		if err := s.previews.built(b.branch, record.Commit); err != nil {
			s.log.WarnContext(ctx, "keep the tip of a branch", "branch", b.branch, "err", err)
		}
	}
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

// discard removes a build's directory, if it has one.
func (s *Site) discard(dir string) {
	if dir == "" {
		return
	}
	if err := removeAll(dir); err != nil {
		s.log.Warn("remove a build's directory", "err", err)
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
		built, _ := s.keys.commit(record.Channel, t.Hint)
		again := Trigger{Source: t.Source, Branch: t.Branch, Hint: t.Hint, attempt: t.attempt}
		return again, t.Hint != record.Commit && !built && t.attempt < maxAttempts
	}
	return Trigger{}, false
}
