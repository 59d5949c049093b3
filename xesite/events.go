// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// eventQueue calls functions in order, one at a time, on a goroutine of its
// own that lives as long as there are some.
type eventQueue struct {
	log     *slog.Logger
	mu      sync.Mutex // guards pending and active
	pending []func()
	active  sync.WaitGroup
	busy    bool
}

func (q *eventQueue) add(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = append(q.pending, f)
	if !q.busy {
		q.busy = true
		q.active.Go(q.work)
	}
}

func (q *eventQueue) work() {
	for {
		q.mu.Lock()
		if len(q.pending) == 0 {
			q.busy = false
			q.mu.Unlock()
			return
		}
		f := q.pending[0]
		q.pending = q.pending[1:]
		q.mu.Unlock()
		q.call(f)
	}
}

// call survives a hook that panics: it is not ours.
func (q *eventQueue) call(f func()) {
	defer func() {
		if p := recover(); p != nil {
			q.log.Error("a hook panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	f()
}
