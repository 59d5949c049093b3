// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package wait has what tests of running programs need: waiting for something
// to come about without sleeping, and output that can be read meanwhile.
package wait

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for what should take moments.
const Patience = 60 * time.Second

// Until waits until ok says yes, and ends the test if that takes too long. What
// completes the sentence "it did not come about that …".
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(Patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("it did not come about that %s", what)
		case <-tick.C:
		}
	}
}

// Buffer is a [bytes.Buffer] for several goroutines. The zero value is empty.
type Buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
