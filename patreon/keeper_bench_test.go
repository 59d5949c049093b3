// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
	"xeiaso.net/site/xesite/state"
)

// cell is the least that a source of tokens can be.
type cell struct {
	mu    sync.Mutex // guards token
	token patreon.Token
}

func (c *cell) get() patreon.Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// A token that is fresh, out of a keeper with a directory, and for comparison out
// of a struct with a mutex, in the same run.
func BenchmarkFreshToken(b *testing.B) {
	store, err := state.OpenDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	r := newRig(b, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.Store, c.Logger = store, nil })
	c := &cell{token: r.good()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Token(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	keeper := b.Elapsed()
	begun := time.Now()
	for range b.N {
		if c.get().Access == "" {
			b.Fatal("there is no token")
		}
	}
	b.ReportMetric(float64(keeper)/float64(time.Since(begun)), "x-mutex")
}

func TestAFreshTokenTakesNoAllocation(t *testing.T) {
	r := newRig(t, patreontest.Config{}, nil)
	r.good()
	if n := testing.AllocsPerRun(100, func() { r.Token(t.Context()) }); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
}
