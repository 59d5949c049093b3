// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"container/list"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// CircuitLimits bounds the requests that come by one circuit, for services with
// [Config.Circuits]. A circuit is the nearest to an address of a visitor that there
// is: a visitor can have many, at the cost of the time that it takes to make one.
type CircuitLimits struct {
	// Rate is how many requests a circuit may make. It must not be zero.
	Rate Rate

	// Close closes a circuit that makes many more: [Service.CloseCircuit] can be
	// called here. It is called on a goroutine of its own, once for a circuit. If
	// nil, a circuit is never closed.
	Close func(circuit uint64)

	// CloseAfter is how many requests above the limit a circuit may make before
	// that. If 0, 100.
	CloseAfter int

	mu       sync.Mutex
	circuits map[uint64]*list.Element
	recent   list.List // of *bucket; those used last are in front
	limited  atomic.Uint64
}

// bucket is what a circuit has left.
type bucket struct {
	circuit uint64
	tokens  float64
	at      time.Time // when that was so
	over    int
}

// maxCircuits is how many circuits are remembered.
const maxCircuits = 10_000

// Limited counts the requests that were refused.
func (l *CircuitLimits) Limited() uint64 { return l.limited.Load() }

// Handler returns a middleware that answers requests above the limit with status
// 429. Requests that did not come by a known circuit go through.
func (l *CircuitLimits) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := FromContext(r.Context())
		if !ok || info.Circuit == 0 || l.Allow(info.Circuit, time.Now()) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Too many requests; please slow down.", http.StatusTooManyRequests)
	})
}

// Allow reports whether a circuit may make a request at a time, and counts it.
func (l *CircuitLimits) Allow(circuit uint64, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(circuit, now)
	b.tokens = min(float64(l.Rate.burst()), b.tokens+max(0, now.Sub(b.at).Seconds())*float64(l.Rate.PerSecond))
	b.at = now
	if b.tokens >= 1 {
		b.tokens--
		return true
	}
	l.limited.Add(1)
	after := l.CloseAfter
	if after == 0 {
		after = 100
	}
	if b.over++; b.over == after && l.Close != nil {
		go l.Close(circuit)
	}
	return false
}

// bucket returns that of a circuit. That of the circuit that was silent for longest
// makes room; it is full again if it comes back, and a flood that uses as many
// circuits is not held off by this.
func (l *CircuitLimits) bucket(circuit uint64, now time.Time) *bucket {
	if l.circuits == nil {
		l.circuits = map[uint64]*list.Element{}
	}
	if e, ok := l.circuits[circuit]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if len(l.circuits) >= maxCircuits {
		oldest := l.recent.Back()
		delete(l.circuits, l.recent.Remove(oldest).(*bucket).circuit)
	}
	b := &bucket{circuit: circuit, tokens: float64(l.Rate.burst()), at: now}
	l.circuits[circuit] = l.recent.PushFront(b)
	return b
}
