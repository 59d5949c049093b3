// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"crypto/rand"
	"errors"
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
	SourceUpload   = "upload" // of an archive, see [Site.Upload]
)

// Trigger is a reason to look for something new.
type Trigger struct {
	// Source says where it comes from: one of the constants, or a forge.
	Source string `json:"source"`

	// Branch is the one that has news, see [Config.Previews]. If empty, the
	// site's own.
	Branch string `json:"branch,omitempty"`

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
	SourceStart, SourcePoll, SourceWatch, SourceSchedule, SourceAdmin, SourceSignal, SourceData, SourcePatreon, SourceUpload,
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

// batch is the triggers that one build covers, all of one branch.
type batch struct {
	branch   string // empty: production
	triggers []Trigger
	tickets  []*Ticket
	cut      int    // how often its build was cancelled for a more urgent one
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

// urgent reports whether somebody waits for the build, so that it must not
// wait for a preview's.
func (b *batch) urgent() bool {
	patient := []string{SourceStart, SourcePoll, SourceSchedule, SourceData, SourcePatreon}
	return b.branch == "" && slices.ContainsFunc(b.triggers, func(t Trigger) bool { return !slices.Contains(patient, t.Source) })
}

func (b *batch) force() bool {
	return slices.ContainsFunc(b.triggers, func(t Trigger) bool { return t.Force })
}

// queue holds the batches that wait: one for each branch. Triggers that come
// while a build runs join the one of theirs, however many they are.
type queue struct {
	mu      sync.Mutex // guards what follows
	pending []*batch   // in the order of their first triggers
	closed  error      // why nothing is taken any more
	preempt func()     // called when there is an urgent batch; nil: nobody cares

	wake chan struct{} // has room for one
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

const (
	// maxTriggers bounds what a batch remembers: a storm of deliveries must not
	// fill the memory. Tickets are all kept, since somebody may wait on each.
	maxTriggers = 64
	// maxBatches bounds how many branches wait.
	maxBatches = 64
)

// errCrowded is what a trigger ends with for which there is no room.
var errCrowded = errors.New("xesite: too many branches wait to be built: push this one again later")

func (q *queue) add(t Trigger, tickets ...*Ticket) {
	q.join(t.Branch, &batch{}, &batch{triggers: []Trigger{t}, tickets: tickets})
}

// putBack returns a batch that was taken, as the older part of what waits.
func (q *queue) putBack(b *batch) { q.join(b.branch, b, &batch{}) }

// join puts one batch before what waits of a branch and one behind it.
func (q *queue) join(branch string, before, behind *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		before.fail(q.closed)
		behind.fail(q.closed)
		return
	}
	b := q.of(branch)
	if b == nil {
		before.fail(errCrowded)
		behind.fail(errCrowded)
		return
	}
	b.triggers = append(slices.Insert(b.triggers, 0, before.triggers...), behind.triggers...)
	b.tickets = append(slices.Insert(b.tickets, 0, before.tickets...), behind.tickets...)
	b.cut = max(b.cut, before.cut)
	b.trim()
	if q.preempt != nil && b.urgent() {
		q.preempt()
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// of returns the batch of a branch, a new one if none waits, nil if there is
// no room for one. The caller holds mu.
func (q *queue) of(branch string) *batch {
	if i := slices.IndexFunc(q.pending, func(b *batch) bool { return b.branch == branch }); i >= 0 {
		return q.pending[i]
	}
	if branch != "" && len(q.pending) >= maxBatches {
		return nil
	}
	b := &batch{branch: branch}
	q.pending = append(q.pending, b)
	return b
}

// onUrgent has f called once an urgent batch waits, until stop is called.
func (q *queue) onUrgent(f func()) (stop func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.preempt = f
	if slices.ContainsFunc(q.pending, (*batch).urgent) {
		f()
	}
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.preempt = nil
	}
}

// close ends all tickets, also those to come, and returns the triggers that
// nobody has acted on.
func (q *queue) close(err error) (left []Trigger) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = err
	for _, b := range q.pending {
		left = append(left, b.triggers...)
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

// takeNow removes the batch that is next: production's, or else the one that
// waits for the longest time. It returns nil if none waits.
func (q *queue) takeNow() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) == 0 {
		return nil
	}
	i := max(0, slices.IndexFunc(q.pending, func(b *batch) bool { return b.branch == "" }))
	b := q.pending[i]
	q.pending = slices.Delete(q.pending, i, i+1)
	return b
}

// length returns how many triggers wait, for people.
func (q *queue) length() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range q.pending {
		n += len(b.triggers)
	}
	return n
}
