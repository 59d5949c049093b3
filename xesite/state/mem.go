// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package state

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Mem is a [Store] in memory, for tests and for what need not survive the
// process. The zero value is empty and ready; do not copy it after use.
type Mem struct {
	mu     sync.Mutex
	values map[string][]byte // guarded by mu
}

// Load implements [Store].
func (m *Mem) Load(ctx context.Context, key string) ([]byte, error) {
	if err := firstErr(ctx, CheckKey(key)); err != nil {
		return nil, fmt.Errorf("state: load: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.values[key]
	if !ok {
		return nil, fmt.Errorf("state: load %q: %w", key, fs.ErrNotExist)
	}
	return bytes.Clone(value), nil
}

// Swap implements [Store].
func (m *Mem) Swap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := firstErr(ctx, CheckSwap(key, old, new)); err != nil {
		return false, fmt.Errorf("state: swap: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// No value is empty, so an absent one equals nil and nothing else.
	if !bytes.Equal(m.values[key], old) {
		return false, nil
	}
	if new == nil {
		delete(m.values, key)
		return true, nil
	}
	if m.values == nil {
		m.values = make(map[string][]byte)
	}
	m.values[key] = bytes.Clone(new)
	return true, nil
}

// Keys implements [Store].
func (m *Mem) Keys(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("state: keys: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := slices.Sorted(maps.Keys(m.values))
	return slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) }), nil
}

// firstErr returns the first reason not to start: a wrong argument, which would
// stay wrong, or a context that is done.
func firstErr(ctx context.Context, argument error) error {
	if argument != nil {
		return argument
	}
	return ctx.Err()
}
