// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package faulty makes a server of a network fail in the ways that lose answers
// and double posts, as a test tells it to.
package faulty

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Kind is a way to fail.
type Kind string

// Ways to fail. Those that end with "after" do what the request wants, and the
// client is not told.
const (
	// None answers as it should be.
	None Kind = ""
	// CutBefore closes the connection before anything was done.
	CutBefore Kind = "cut before"
	// CutAfter closes the connection in place of an answer.
	CutAfter Kind = "cut after"
	// CutAnswer closes the connection in the middle of the answer.
	CutAnswer Kind = "cut in the answer"
	// ErrorAfter answers 500.
	ErrorAfter Kind = "500 after"
	// TimeoutAfter answers 504 at once. What the request wants comes about only
	// when the delay has passed: a slow database behind an impatient proxy.
	TimeoutAfter Kind = "504 after"
	// Slow answers as it should be, when the delay has passed.
	Slow Kind = "slow"
	// RateLimited answers 429 and does nothing. Retry-After is in seconds.
	RateLimited Kind = "429"
	// RateLimitedDate answers 429 and does nothing. Retry-After is a date.
	RateLimitedDate Kind = "429 with a date"
	// Unavailable answers 503 and does nothing.
	Unavailable Kind = "503"
)

// Fault is one that a request meets.
type Fault struct {
	Kind Kind
	// Delay is for Slow and TimeoutAfter, and what Retry-After says.
	Delay time.Duration
	// On tells which requests meet it. If nil, it is those that create a post.
	On func(*http.Request) bool
}

// Injector decides which request meets which fault. The zero value lets all
// pass.
type Injector struct {
	mu     sync.Mutex // guards everything
	next   []Fault
	random []Fault
	share  float64
	source *rand.Rand
	met    map[Kind]int
}

// Next makes the next n requests that it is for meet the fault.
func (i *Injector) Next(n int, f Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for range n {
		i.next = append(i.next, f)
	}
}

// Random makes a share of requests, between 0 and 1, meet one of the faults. The
// same seed chooses the same.
func (i *Injector) Random(seed uint64, share float64, faults ...Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.source, i.share, i.random = rand.New(rand.NewPCG(seed, 0)), share, faults
}

// Met returns how many requests met each kind of fault.
func (i *Injector) Met() map[Kind]int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.met)
}

// pick returns the fault that a request meets.
func (i *Injector) pick(r *http.Request, creates bool) Fault {
	i.mu.Lock()
	defer i.mu.Unlock()
	f := i.choose(r, creates)
	if f.Kind != None {
		if i.met == nil {
			i.met = map[Kind]int{}
		}
		i.met[f.Kind]++
	}
	return f
}

func (i *Injector) choose(r *http.Request, creates bool) Fault {
	for n, f := range i.next {
		if f.meets(r, creates) {
			i.next = append(i.next[:n:n], i.next[n+1:]...)
			return f
		}
	}
	if len(i.random) == 0 || i.source.Float64() >= i.share {
		return Fault{}
	}
	if f := i.random[i.source.IntN(len(i.random))]; f.meets(r, creates) {
		return f
	}
	return Fault{}
}

func (f Fault) meets(r *http.Request, creates bool) bool {
	if f.On != nil {
		return f.On(r)
	}
	return creates
}

// delayed is the key of the delay in a request's context.
type delayed struct{}

// Delay returns how long what the request wants has to take to come about. The
// handler has to see to it.
func Delay(ctx context.Context) time.Duration {
	d, _ := ctx.Value(delayed{}).(time.Duration)
	return d
}

// Serve lets a handler answer a request, with the fault that it meets. Fail
// writes an error as the network does: 429, 500, 503 or 504.
func (i *Injector) Serve(w http.ResponseWriter, r *http.Request, creates bool, handle http.HandlerFunc, fail func(w http.ResponseWriter, status int, wait time.Duration)) {
	f := i.pick(r, creates)
	var answer recorder
	switch f.Kind {
	case CutBefore:
		panic(http.ErrAbortHandler)
	case RateLimited:
		w.Header().Set("Retry-After", strconv.Itoa(int(f.Delay.Seconds())))
		fail(w, http.StatusTooManyRequests, f.Delay)
		return
	case RateLimitedDate:
		w.Header().Set("Retry-After", time.Now().Add(f.Delay).UTC().Format(http.TimeFormat))
		fail(w, http.StatusTooManyRequests, f.Delay)
		return
	case Unavailable:
		fail(w, http.StatusServiceUnavailable, f.Delay)
		return
	case TimeoutAfter:
		r = r.WithContext(context.WithValue(r.Context(), delayed{}, f.Delay))
	}
	handle(&answer, r)
	switch f.Kind {
	case CutAfter:
		panic(http.ErrAbortHandler)
	case CutAnswer:
		answer.send(w, answer.body.Len()/2)
		panic(http.ErrAbortHandler)
	case ErrorAfter:
		fail(w, http.StatusInternalServerError, 0)
		return
	case TimeoutAfter:
		fail(w, http.StatusGatewayTimeout, 0)
		return
	case Slow:
		wait(r.Context(), f.Delay)
	}
	answer.send(w, answer.body.Len())
}

// wait returns when the time has passed, or nobody waits for the answer.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *recorder) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

func (a *recorder) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *recorder) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// send sends n bytes of the answer, with the length of the whole.
func (a *recorder) send(w http.ResponseWriter, n int) {
	a.WriteHeader(http.StatusOK)
	maps.Copy(w.Header(), a.header)
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", fmt.Sprint(a.body.Len()))
	}
	w.WriteHeader(a.status)
	w.Write(a.body.Bytes()[:n])
	if f, ok := w.(http.Flusher); ok && n < a.body.Len() {
		f.Flush()
	}
}
