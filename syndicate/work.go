// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// worker does what is to be done at one target, one thing at a time. Targets do
// not wait for each other.
type worker struct {
	s      *Syndicator
	d      *destination
	signal chan struct{} // has a token if there may be something new

	// Only the worker's own goroutine uses these. They are not worth a record:
	// after a restart everything is tried once at once.
	failures map[ref]int       // in a row
	notUntil map[ref]time.Time // when it is tried again
	waiting  map[ref]time.Time // since when a page is not as it has to be
	drain    bool

	mu       sync.Mutex
	down     down      // guarded by mu
	forgiven bool      // guarded by mu; a person wants everything tried at once
	upcoming time.Time // guarded by mu; when the next post comes out, as planned last, or zero
}

// down is what is wrong with a target as a whole.
type down struct {
	failures int // in a row
	until    time.Time
	err      string
	halted   bool // a person has to do something
}

func newWorker(s *Syndicator, d *destination) *worker {
	return &worker{
		s: s, d: d, signal: make(chan struct{}, 1),
		failures: map[ref]int{}, notUntil: map[ref]time.Time{}, waiting: map[ref]time.Time{},
	}
}

// wake has the worker look again.
func (w *worker) wake() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// run works until ctx ends or, to drain, there is nothing left that would come
// to an end by itself.
func (w *worker) run(ctx context.Context, drain bool) {
	w.drain = drain
	clear(w.notUntil)
	for ctx.Err() == nil {
		w.forget()
		w.planUpcoming(ctx)
		e, at := w.next()
		switch {
		case drain && (e == nil || w.state().halted):
			return
		case e != nil && !at.After(time.Now()):
			w.step(ctx, e)
		default:
			w.wait(ctx, at)
		}
	}
}

// wait waits until a time, if it is not zero, until a post comes out, or for news.
func (w *worker) wait(ctx context.Context, until time.Time) {
	var timer, out <-chan time.Time
	if !until.IsZero() {
		timer = time.After(time.Until(until))
	}
	if at := w.comesOut(); !at.IsZero() {
		// Clocks are set: look at the date again now and then.
		out = time.After(min(time.Until(at), time.Hour))
	}
	select {
	case <-ctx.Done():
	case <-w.signal:
	case <-timer:
	case <-out:
	}
}

// expect notes when the next post comes out.
func (w *worker) expect(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.upcoming = at
}

func (w *worker) comesOut() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.upcoming
}

// planUpcoming plans again if a post has come out, no matter what the worker was
// doing at that moment.
func (w *worker) planUpcoming(ctx context.Context) {
	at := w.comesOut()
	if at.IsZero() || at.After(time.Now()) {
		return
	}
	w.expect(time.Now().Add(w.s.cfg.MaxBackoff)) // unless planning says otherwise
	w.planAgain(ctx)
}

func (w *worker) planAgain(ctx context.Context) {
	if err := w.s.again(ctx, w.d); err != nil {
		w.s.cfg.Logger.ErrorContext(ctx, "plan announcements", "target", w.d.name, "err", err)
	}
}

// next returns what is to be done first, and when. Without anything it returns
// nil.
func (w *worker) next() (first *entry, at time.Time) {
	if w.s.cfg.DryRun {
		return nil, time.Time{}
	}
	now := time.Now()
	for _, e := range w.s.ledger.all(w.d.name) {
		if e.final() && (!e.again || w.drain) {
			continue
		}
		// What could be done already is done in the order of planning.
		ready := w.ready(e)
		if ready.Before(now) {
			ready = now
		}
		if first == nil || cmp.Or(ready.Compare(at), e.compare(first)) < 0 {
			first, at = e, ready
		}
	}
	return first, at
}

// compare puts entries into the order in which they are done.
func (e *entry) compare(o *entry) int {
	return cmp.Or(e.Planned.Compare(o.Planned), e.published().Compare(o.published()), cmp.Compare(e.ID, o.ID))
}

// published is the date of an entry's post, if it has one.
func (e *entry) published() time.Time {
	if e.Post == nil {
		return time.Time{}
	}
	return e.Post.Published
}

// maxDue is how long a record can say that it is not touched, so that a clock
// that was wrong does not hold it for years.
const maxDue = 48 * time.Hour

// ready returns when something can be done about an entry.
func (w *worker) ready(e *entry) time.Time {
	if e.State == Attempting && !e.Ended {
		// Measured by our own clock, from when we found it: not by the date,
		// which may be set, here or there.
		return e.since.Add(e.Timeout + margin(e.Timeout))
	}
	at := later(w.state().until, w.notUntil[e.ref])
	if e.again {
		return w.notUntil[e.ref]
	}
	if e.State == Attempting {
		return at // looking does not have to wait
	}
	if limit := e.since.Add(maxDue); e.Due.After(limit) {
		return later(at, limit)
	}
	return later(at, e.Due)
}

// margin is what is added to the time of an attempt before somebody else takes it
// for dead.
func margin(timeout time.Duration) time.Duration { return min(10*time.Second, timeout/4) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (w *worker) state() down {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.down
}

// works notes that the target has answered as it should.
func (w *worker) works(r ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down{}
	delete(w.failures, r)
	delete(w.notUntil, r)
	delete(w.waiting, r)
}

// failed notes that something did not work, and returns when it is tried again.
func (w *worker) failed(r ref, err error) time.Time {
	known := knownOf(err)
	known.RetryAfter = min(known.RetryAfter, maxDue)
	if !known.Everything {
		w.failures[r]++
		w.notUntil[r] = time.Now().Add(max(known.RetryAfter, w.s.backoff(w.failures[r])))
		return w.notUntil[r]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down.failures++
	w.down.err, w.down.halted = err.Error(), known.Refused
	pause := max(known.RetryAfter, w.s.backoff(w.down.failures))
	if known.Refused {
		pause = max(pause, 4*w.s.cfg.MaxBackoff)
	}
	w.down.until = time.Now().Add(pause)
	return w.down.until
}

// forgive has a target tried at once that was waiting.
func (w *worker) forgive() {
	w.mu.Lock()
	w.down, w.forgiven = down{}, true
	w.mu.Unlock()
	w.wake()
}

// forget drops what is in the way of trying everything at once, if a person wants
// that.
func (w *worker) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.forgiven {
		w.forgiven = false
		clear(w.failures)
		clear(w.notUntil)
		clear(w.waiting)
	}
}

// backoff is how long is waited after some failures in a row: twice as long each
// time, and up to a quarter less, so that several programs do not keep step.
func (s *Syndicator) backoff(failures int) time.Duration {
	pause := s.cfg.MinBackoff
	for range failures - 1 {
		if pause *= 2; pause >= s.cfg.MaxBackoff {
			pause = s.cfg.MaxBackoff
			break
		}
	}
	return pause - time.Duration(rand.Int64N(int64(pause)/4+1))
}
