// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Syndicator announces posts at targets. Make one with [New]; tell it of posts
// with [Syndicator.Observe], and have them announced by [Syndicator.Run] or
// [Syndicator.Drain]. Its methods may be called from any number of goroutines.
type Syndicator struct {
	cfg     Config
	targets map[string]*destination
	names   []string // of the targets, sorted
	ledger  *ledger
	live    *liveness
	workers map[string]*worker

	observing sync.Mutex    // one Observe at a time
	running   chan struct{} // holds a token: one Run or Drain at a time

	mu     sync.Mutex
	posts  map[string]Post            // guarded by mu; as last observed, by key
	counts map[string]map[Outcome]int // guarded by mu; by target
}

// New returns a syndicator. It makes no network call and reads no record. The
// error names every field of the configuration that is set wrongly.
func New(cfg Config) (*Syndicator, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("syndicate: Config: %w", err)
	}
	cfg = cfg.withDefaults()
	s := &Syndicator{
		cfg:     cfg,
		targets: map[string]*destination{},
		names:   slices.Sorted(maps.Keys(cfg.Targets)),
		ledger:  &ledger{store: cfg.Store, entries: map[ref]*entry{}, seen: map[string]*seen{}},
		live:    newLiveness(cfg.Page, cfg.Logger),
		workers: map[string]*worker{},
		running: make(chan struct{}, 1),
		posts:   map[string]Post{},
		counts:  map[string]map[Outcome]int{},
	}
	for _, name := range s.names {
		d, err := newDestination(name, cfg.Targets[name])
		if err != nil {
			return nil, fmt.Errorf("syndicate: Config: Targets[%q].Template: %w", name, err)
		}
		s.targets[name] = d
		s.workers[name] = newWorker(s, d)
	}
	return s, nil
}

// Format writes where it announces, whatever the verb: %+v would show what targets
// keep to themselves.
func (s *Syndicator) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "syndicate.Syndicator(%s)", strings.Join(s.names, " "))
}

// ErrRunning is returned by [Syndicator.Run] and [Syndicator.Drain] if one of
// them is running already.
var ErrRunning = errors.New("syndicate: Run or Drain is running already")

// Run announces what [Syndicator.Observe] has planned, until ctx ends. It returns
// when the attempts that are under way have ended, for which they get ten
// seconds. The error is not nil if the records cannot be read at first.
func (s *Syndicator) Run(ctx context.Context) error {
	return s.work(ctx, false)
}

// Drain announces what is planned and settles what is unknown, and returns when
// everything is confirmed or parked. It is for programs that do not stay, such as
// a job of cron or a CI system. It also returns, with an error, if ctx ends, or
// if what is left has to wait for a person, as with a wrong password. What is
// left is tried again by the next Drain.
func (s *Syndicator) Drain(ctx context.Context) error {
	if err := s.work(ctx, true); err != nil {
		return err
	}
	var left []string
	for _, e := range s.ledger.all("") {
		if s.targets[e.target] != nil && !e.final() {
			left = append(left, fmt.Sprintf("%s at %s (%s)", e.ID, e.target, e.Error))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("syndicate: not settled yet: %s", strings.Join(left, ", "))
	}
	return nil
}

func (s *Syndicator) work(ctx context.Context, drain bool) error {
	select {
	case s.running <- struct{}{}:
		defer func() { <-s.running }()
	default:
		return ErrRunning
	}
	// What others have done in the meantime counts.
	if err := s.ledger.load(ctx, true); err != nil {
		return fmt.Errorf("syndicate: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var runners, workers sync.WaitGroup
	for _, name := range s.names {
		if r, ok := s.targets[name].Target.(Runner); ok {
			runners.Go(func() { s.runTarget(ctx, name, r) })
		}
		workers.Go(func() { s.workers[name].run(ctx, drain) })
	}
	workers.Wait()
	stop()
	runners.Wait()
	return nil
}

// runTarget runs what a target does between announcements, again if it ends.
func (s *Syndicator) runTarget(ctx context.Context, name string, r Runner) {
	for failures := 0; ; failures++ {
		err := r.Run(ctx)
		if ctx.Err() != nil {
			return
		}
		s.cfg.Logger.WarnContext(ctx, "target stopped", "target", name, "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.backoff(failures + 1)):
		}
	}
}

// observed returns a post as it was observed last.
func (s *Syndicator) observed(key string) (Post, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.posts[key]
	return p, ok
}

// allObserved returns the posts that were observed last, oldest first.
func (s *Syndicator) allObserved() []Post {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.posts), oldestFirst)
}
