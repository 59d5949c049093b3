// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package hook

import (
	"container/list"
	"context"
	"sync"
)

// deliveries remembers the ids of the latest deliveries.
type deliveries struct {
	max int

	mu      sync.Mutex
	entries map[string]*delivery // guarded by mu
	order   list.List            // of ids, the oldest first; guarded by mu
}

type delivery struct {
	place *list.Element
	done  chan struct{} // closed by finish
	ok    bool          // may be read when done is closed
}

// claim reports whether id is fresh. If so, the caller has to call finish, and
// say whether the delivery was received; if not, the id is fresh again. While
// another one handles the same id, claim waits to see how that ends: to call
// a delivery a duplicate of one that then fails would lose it.
func (d *deliveries) claim(ctx context.Context, id string) (finish func(ok bool), fresh bool, err error) {
	if id == "" {
		return func(bool) {}, true, nil
	}
	for {
		e, mine := d.enter(id)
		if mine {
			return func(ok bool) { d.finish(id, e, ok) }, true, nil
		}
		select {
		case <-e.done:
			if e.ok {
				return nil, false, nil
			}
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// enter returns the entry of id, and whether it was made just now.
func (d *deliveries) enter(id string) (e *delivery, mine bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.entries[id]; e != nil {
		return e, false
	}
	if d.order.Len() >= d.max {
		oldest := d.order.Front()
		delete(d.entries, d.order.Remove(oldest).(string))
	}
	if d.entries == nil {
		d.entries = make(map[string]*delivery)
	}
	e = &delivery{place: d.order.PushBack(id), done: make(chan struct{})}
	d.entries[id] = e
	return e, true
}

// finish settles e. It may have been forgotten, and its id entered again,
// since.
func (d *deliveries) finish(id string, e *delivery, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.ok = ok
	close(e.done)
	if !ok && d.entries[id] == e {
		d.order.Remove(e.place)
		delete(d.entries, id)
	}
}
