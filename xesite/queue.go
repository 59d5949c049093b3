// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
)

// The sources of triggers, as metrics and build records name them. Hooks use
// the forge's name.
const (
	SourceStart    = "start"
	SourcePoll     = "poll"
	SourceWatch    = "watch"
	SourceSchedule = "schedule"
	SourceAdmin    = "admin"
	SourceSignal   = "sighup"
	SourceData     = "data"
	SourcePatreon  = "patreon"
)

// Trigger is a reason to look for something new.
type Trigger struct {
	// Source says where it comes from: one of the constants, or a forge.
	Source string `json:"source"`

	// Hint is the commit that the source says is new. It is believed only as
	// far as that the remote is asked again if it shows an older one.
	Hint string `json:"hint,omitempty"`

	// Rebuild asks for a build even if nothing is new.
	Rebuild bool `json:"rebuild,omitempty"`

	// Force publishes even what does not pass the checks, such as a release
	// that lost most of its files.
	Force bool `json:"force,omitempty"`

	// attempt counts how often the remote was asked again for Hint.
	attempt int
}

// sources are all values of the metrics' label.
var sources = []string{
	SourceStart, SourcePoll, SourceWatch, SourceSchedule, SourceAdmin, SourceSignal, SourceData, SourcePatreon,
	"github", "gitlab", "forgejo", "bitbucket", "other",
}

// sourceLabel keeps the label's set closed.
func sourceLabel(source string) string {
	if slices.Contains(sources, source) {
		return source
	}
	return "other"
}

// Ticket stands for what a trigger set off.
type Ticket struct {
	// ID names the trigger in logs and answers.
	ID string

	done  chan struct{}
	build Build // set before done is closed
	err   error // likewise
}

func newTicket() *Ticket { return &Ticket{ID: rand.Text(), done: make(chan struct{})} }

func (t *Ticket) finish(b Build, err error) {
	t.build, t.err = b, err
	close(t.done)
}

// Wait waits for the build that covers the trigger, which may have covered
// others too, and returns its record. A build that failed is no error here:
// see its Result. The error is that of ctx, or tells why no build will come.
func (t *Ticket) Wait(ctx context.Context) (Build, error) {
	select {
	case <-t.done:
		return t.build, t.err
	case <-ctx.Done():
		return Build{}, fmt.Errorf("xesite: wait for build: %w", context.Cause(ctx))
	}
}

// batch is the triggers that one build covers.
type batch struct {
	triggers []Trigger
	tickets  []*Ticket
	dir      string // what the build needed, to be removed when all have been told
}

// sources returns where the triggers come from, once each.
func (b *batch) sources() (names []string) {
	for _, t := range b.triggers {
		if !slices.Contains(names, t.Source) {
			names = append(names, t.Source)
		}
	}
	return names
}

func (b *batch) rebuild() bool {
	return slices.ContainsFunc(b.triggers, func(t Trigger) bool { return t.Rebuild })
}

// byPerson reports whether somebody asked for a build, not a clock or a service.
func (b *batch) byPerson() bool {
	return slices.ContainsFunc(b.triggers, func(t Trigger) bool {
		return t.Rebuild && !slices.Contains([]string{SourceSchedule, SourceData, SourcePatreon}, t.Source)
	})
}

// polled reports whether nobody has asked but the clock.
func (b *batch) polled() bool {
	return !slices.ContainsFunc(b.triggers, func(t Trigger) bool { return t.Source != SourcePoll })
}

func (b *batch) force() bool {
	return slices.ContainsFunc(b.triggers, func(t Trigger) bool { return t.Force })
}

// queue holds the one batch that waits. Triggers that come while a build runs
// join it, however many they are.
type queue struct {
	mu      sync.Mutex // guards pending and closed
	pending *batch
	closed  error         // why nothing is taken any more
	wake    chan struct{} // has room for one
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// maxTriggers bounds what a batch remembers: a storm of deliveries must not
// fill the memory. Tickets are all kept, since somebody may wait on each.
const maxTriggers = 64

func (q *queue) add(t Trigger, tickets ...*Ticket) {
	q.join(&batch{}, &batch{triggers: []Trigger{t}, tickets: tickets})
}

// putBack returns a batch that was taken, as the older part of what waits.
func (q *queue) putBack(b *batch) { q.join(b, &batch{}) }

// join puts one batch before what waits and one behind it.
func (q *queue) join(before, behind *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		before.fail(q.closed)
		behind.fail(q.closed)
		return
	}
	b := q.pending
	if b == nil {
		b = &batch{}
	}
	b.triggers = append(slices.Insert(b.triggers, 0, before.triggers...), behind.triggers...)
	b.tickets = append(slices.Insert(b.tickets, 0, before.tickets...), behind.tickets...)
	b.trim()
	q.pending = b
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// close ends all tickets, also those to come, and returns the triggers that
// nobody has acted on.
func (q *queue) close(err error) (left []Trigger) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = err
	if b := q.pending; b != nil {
		left = b.triggers
		b.fail(err)
	}
	q.pending = nil
	return left
}

// open reports whether close was not called yet.
func (q *queue) open() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed == nil
}

// fail tells who waits that no build will come.
func (b *batch) fail(err error) {
	for _, ticket := range b.tickets {
		ticket.finish(Build{}, err)
	}
	b.tickets = nil
}

// trim drops the oldest triggers, but not what they ask for.
func (b *batch) trim() {
	extra := len(b.triggers) - maxTriggers
	if extra <= 0 {
		return
	}
	first := &b.triggers[extra]
	for _, t := range b.triggers[:extra] {
		first.Rebuild, first.Force = first.Rebuild || t.Rebuild, first.Force || t.Force
	}
	b.triggers = slices.Delete(b.triggers, 0, extra)
}

// take waits for a batch and removes it. It returns nil when ctx ends.
func (q *queue) take(ctx context.Context) *batch {
	for {
		if b := q.takeNow(); b != nil && ctx.Err() == nil {
			return b
		} else if b != nil { // somebody else may lead from now on
			q.putBack(b)
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

func (q *queue) takeNow() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.pending
	q.pending = nil
	return b
}

// length returns how many triggers wait, for people.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pending == nil {
		return 0
	}
	return len(q.pending.triggers)
}
