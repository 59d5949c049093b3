// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"xeiaso.net/site/onion"
)

func TestACircuitIsLimitedAndTheOthersAreNot(t *testing.T) {
	l := &onion.CircuitLimits{Rate: onion.Rate{PerSecond: 2, Burst: 5}}
	now := time.Now()
	allowed := 0
	for range 100 {
		if l.Allow(7, now) {
			allowed++
		}
	}
	if allowed != 5 || l.Limited() != 95 {
		t.Errorf("%d of a burst were allowed, %d limited", allowed, l.Limited())
	}
	if !l.Allow(8, now) {
		t.Error("another circuit is limited")
	}
	// Time gives back, and never more than the burst.
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{500 * time.Millisecond, 1}, {time.Second, 2}, {time.Hour, 5}, {-time.Hour, 0}} {
		now = now.Add(c.after)
		got := 0
		for range 10 {
			if l.Allow(7, now) {
				got++
			}
		}
		if got != c.want {
			t.Errorf("%s later %d are allowed, want %d", c.after, got, c.want)
		}
	}
}

func TestACircuitThatGoesOnIsClosedOnce(t *testing.T) {
	closed := make(chan uint64, 10)
	l := &onion.CircuitLimits{Rate: onion.Rate{PerSecond: 1, Burst: 1}, CloseAfter: 3, Close: func(c uint64) { closed <- c }}
	now := time.Now()
	for range 20 {
		l.Allow(7, now)
		l.Allow(8, now)
		now = now.Add(100 * time.Millisecond)
	}
	if a, b := <-closed, <-closed; a+b != 15 || len(closed) != 0 {
		t.Errorf("%d and %d were closed, and %d more", a, b, len(closed))
	}
}

func TestManyCircuitsTakeNoMoreMemory(t *testing.T) {
	l := &onion.CircuitLimits{Rate: onion.Rate{PerSecond: 1, Burst: 1}}
	now := time.Now()
	if !l.Allow(1, now) || l.Allow(1, now) {
		t.Fatal("the first circuit is not limited")
	}
	for c := range uint64(10_000) { // as many as are remembered
		l.Allow(c+2, now)
	}
	if !l.Allow(1, now) {
		t.Error("a circuit that was silent for longest is remembered")
	}
	if l.Allow(10_001, now) {
		t.Error("the last circuit is forgotten")
	}
}

func TestLimitsAreForCircuitsAlone(t *testing.T) {
	l := &onion.CircuitLimits{Rate: onion.Rate{PerSecond: 1, Burst: 1}}
	h := l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ask := func(info *onion.Info) *http.Response {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if info != nil {
			r = r.WithContext(onion.WithInfo(r.Context(), *info))
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	for range 10 {
		if ask(nil).StatusCode != http.StatusOK || ask(&onion.Info{}).StatusCode != http.StatusOK {
			t.Fatal("a request without a circuit is limited")
		}
	}
	ask(&onion.Info{Circuit: 7})
	if resp := ask(&onion.Info{Circuit: 7}); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("the second request is answered %d, %v", resp.StatusCode, resp.Header)
	}
}
