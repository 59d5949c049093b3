// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package settle tells when a network has had time enough to finish what it was
// asked for, so that what is not there then will not come any more.
package settle

import (
	"sync"
	"time"
)

// Clock remembers when attempts ended. The zero value is ready to use.
//
// Times that come from records are those of a wall clock, which can be set while
// somebody waits. Times that were seen by this process do not suffer from that.
type Clock struct {
	mu    sync.Mutex // guards ended
	ended map[string]time.Time
}

// Ended says that an attempt with the key ended just now, and nobody knows how.
func (c *Clock) Ended(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.ended = map[string]time.Time{}
	}
	c.ended[key] = time.Now()
}

// Forget says that the outcome of the attempt is known.
func (c *Clock) Forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ended, key)
}

// Rest returns how long is to be waited until the network has had the time to
// settle. Last is when the attempt ended as a record has it; if that is in the
// future or zero, the time counts from when this was asked first.
func (c *Clock) Rest(key string, last time.Time, settle time.Duration) time.Duration {
	now := time.Now()
	wrong := last.IsZero() || last.After(now)
	seen, ok := c.seen(key)
	if wrong && !ok {
		c.Ended(key)
		seen, ok = c.seen(key)
	}
	var rest time.Duration
	if !wrong {
		rest = settle - now.Sub(last)
	}
	if ok {
		rest = max(rest, settle-now.Sub(seen))
	}
	return max(0, rest)
}

func (c *Clock) seen(key string) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, ok := c.ended[key]
	return seen, ok
}
