// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"sync"
	"time"
)

// deadline is the moment at which reading or writing ends. The zero value is
// not ready, see [newDeadline].
type deadline struct {
	mu      sync.Mutex // guards the following
	timer   *time.Timer
	setting int // counts calls of set, so that an old timer does nothing
	passed  chan struct{}
}

func newDeadline() *deadline { return &deadline{passed: make(chan struct{})} }

// set changes the deadline, also for who waits for it; zero means that there is
// none.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.setting++
	select {
	case <-d.passed:
		d.passed = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		close(d.passed)
		return
	}
	setting := d.setting
	d.timer = time.AfterFunc(left, func() { d.expire(setting) })
}

func (d *deadline) expire(setting int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.setting == setting {
		close(d.passed)
	}
}

// done returns a channel that is closed when the deadline has passed.
func (d *deadline) done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}
