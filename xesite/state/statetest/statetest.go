// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package statetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"xeiaso.net/site/xesite/state"
)

// Run tests the stores that open returns. Each call of open has to return a
// store without records, ready until the test that it is given ends.
func Run(t *testing.T, open func(t *testing.T) state.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, state.Store)
	}{
		{"SwapComparesAndSwaps", testSwap},
		{"ValuesAreBytes", testValues},
		{"ValuesAreCopied", testCopies},
		{"ValueLimits", testValueLimits},
		{"ValidKeysAreIndependent", testKeys},
		{"InvalidKeysAreRefused", testInvalidKeys},
		{"KeysListsPrefixSorted", testPrefixes},
		{"ContextIsHonoured", testContext},
		{"OneCreatorWins", testOneCreator},
		{"OneWinnerEachRound", testRounds},
		{"NoUpdateIsLost", testCounter},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// testSwap walks one key through its life; each row starts where the previous
// one ended.
func testSwap(t *testing.T, s state.Store) {
	for _, step := range []struct {
		name     string
		old, new string // "" stands for nil
		want     bool
		after    string // "" stands for absent
	}{
		{"replace what is absent", "a", "b", false, ""},
		{"delete what is absent", "a", "", false, ""},
		{"create", "", "a", true, "a"},
		{"create again", "", "b", false, "a"},
		{"create again, same value", "", "a", false, "a"},
		{"replace another value", "b", "c", false, "a"},
		{"replace a prefix", "aa", "c", false, "a"},
		{"replace", "a", "bb", true, "bb"},
		{"replace with what was", "b", "c", false, "bb"},
		{"replace by itself", "bb", "bb", true, "bb"},
		{"delete another value", "b", "", false, "bb"},
		{"delete", "bb", "", true, ""},
		{"delete again", "bb", "", false, ""},
		{"create after delete", "", "c", true, "c"},
		{"delete at last", "c", "", true, ""},
	} {
		got, err := s.Swap(t.Context(), "k/v", orNil(step.old), orNil(step.new))
		if err != nil || got != step.want {
			t.Errorf("%s: Swap(%q, %q) = %v, %v; want %v", step.name, step.old, step.new, got, err, step.want)
		}
		wantValue(t, s, "k/v", step.after)
	}
}

func testValues(t *testing.T, s state.Store) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, value := range map[string][]byte{
		"zeros":    make([]byte, 10),
		"all":      all,
		"newline":  []byte("\n"),
		"not-utf8": {0xff, 0xfe},
		"max":      bytes.Repeat([]byte("m"), state.MaxValue),
	} {
		mustSwap(t, s, name, nil, value)
		wantValue(t, s, name, string(value))
		mustSwap(t, s, name, value, nil)
	}
}

func testCopies(t *testing.T, s state.Store) {
	value := []byte("value")
	mustSwap(t, s, "k", nil, value)
	value[0] = 'X'
	wantValue(t, s, "k", "value")

	loaded, err := s.Load(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	loaded[0] = 'X'
	wantValue(t, s, "k", "value")
}

func testValueLimits(t *testing.T, s state.Store) {
	one, empty, long := []byte("1"), []byte{}, make([]byte, state.MaxValue+1)
	mustSwap(t, s, "k", nil, one)
	for name, args := range map[string][2][]byte{
		"both nil":     {nil, nil},
		"empty new":    {one, empty},
		"empty old":    {empty, one},
		"overlong":     {one, long},
		"overlong old": {long, one},
	} {
		if swapped, err := s.Swap(t.Context(), "k", args[0], args[1]); err == nil || swapped {
			t.Errorf("%s: Swap = %v, %v; want an error", name, swapped, err)
		}
	}
	if swapped, err := s.Swap(t.Context(), "new", nil, empty); err == nil || swapped {
		t.Errorf("create with an empty value: Swap = %v, %v; want an error", swapped, err)
	}
	wantValue(t, s, "k", "1")
	wantValue(t, s, "new", "")
}

func testKeys(t *testing.T, s state.Store) {
	keys := []string{
		"a", "a/b", "a/b/c", "a-b", "a.b", "a_b", "ab", "b", "0", "-", "_", "--", "-rf",
		".a", ".tmp-1", ".lock", "a/.lock", "a/.tmp-1", "...", "a/...", "a..", "..a",
		"con", "nul.txt", "a.json", "a/b.json",
		strings.Repeat("k", state.MaxKey),
		strings.Repeat("k", state.MaxKey-1),
		strings.Repeat("k/", state.MaxKey/2-1) + "kk",
	}
	for i, key := range keys {
		mustSwap(t, s, key, nil, []byte(strconv.Itoa(i+1)))
	}
	for i, key := range keys {
		wantValue(t, s, key, strconv.Itoa(i+1))
	}
	for i, key := range keys {
		mustSwap(t, s, key, []byte(strconv.Itoa(i+1)), nil)
		wantValue(t, s, key, "")
		if i+1 < len(keys) {
			wantValue(t, s, keys[i+1], strconv.Itoa(i+2))
		}
	}
	wantKeys(t, s, "")
}

func testInvalidKeys(t *testing.T, s state.Store) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "A", "a b", "a+b", "a=b", "a\\b",
		"a\x00", "a\n", "é", "\xff", "a:b", "a%2fb", "a*", "~", strings.Repeat("k", state.MaxKey+1),
	} {
		if _, err := s.Load(t.Context(), key); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load(%q) = %v, want another error than absence", key, err)
		}
		if swapped, err := s.Swap(t.Context(), key, nil, []byte("v")); err == nil || swapped {
			t.Errorf("Swap(%q) = %v, %v; want an error", key, swapped, err)
		}
	}
	wantKeys(t, s, "")
}

func testPrefixes(t *testing.T, s state.Store) {
	wantKeys(t, s, "")
	for _, key := range []string{"b", "a/c", "a", "a/b/c", "a-b", "a.b", "ab/c"} {
		mustSwap(t, s, key, nil, []byte("v"))
	}
	for prefix, want := range map[string][]string{
		"":      {"a", "a-b", "a.b", "a/b/c", "a/c", "ab/c", "b"},
		"a":     {"a", "a-b", "a.b", "a/b/c", "a/c", "ab/c"},
		"a/":    {"a/b/c", "a/c"},
		"a/b":   {"a/b/c"},
		"a/b/c": {"a/b/c"},
		"ab":    {"ab/c"},
		"c":     nil,
		"/":     nil,
		"A":     nil,
		"a*":    nil,
	} {
		wantKeys(t, s, prefix, want...)
	}
	mustSwap(t, s, "a/c", []byte("v"), nil)
	wantKeys(t, s, "a/", "a/b/c")
}

func testContext(t *testing.T, s state.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Load(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("Load = %v, want %v", err, context.Canceled)
	}
	if swapped, err := s.Swap(ctx, "k", nil, []byte("v")); !errors.Is(err, context.Canceled) || swapped {
		t.Errorf("Swap = %v, %v; want %v", swapped, err, context.Canceled)
	}
	if _, err := s.Keys(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Keys = %v, want %v", err, context.Canceled)
	}
	wantValue(t, s, "k", "")
}

const writers = 8

func testOneCreator(t *testing.T, s state.Store) {
	var winners atomic.Int32
	race(func(i int) {
		swapped, err := s.Swap(t.Context(), "k", nil, fmt.Appendf(nil, "writer %d", i))
		if err != nil {
			t.Error(err)
		}
		if swapped {
			winners.Add(1)
		}
	})
	if winners.Load() != 1 {
		t.Errorf("%d writers created the key, want 1", winners.Load())
	}
}

// testRounds has all writers replace the same value, again and again.
func testRounds(t *testing.T, s state.Store) {
	current := []byte("start")
	mustSwap(t, s, "k", nil, current)
	for round := range 10 {
		var mu sync.Mutex
		var winners []string
		race(func(i int) {
			mine := fmt.Appendf(nil, "round %d writer %d", round, i)
			swapped, err := s.Swap(t.Context(), "k", current, mine)
			if err != nil {
				t.Error(err)
			}
			if swapped {
				mu.Lock()
				winners = append(winners, string(mine))
				mu.Unlock()
			}
		})
		if len(winners) != 1 {
			t.Fatalf("round %d: winners %q, want one", round, winners)
		}
		wantValue(t, s, "k", winners[0])
		current = []byte(winners[0])
	}
}

// testCounter has each writer add to one number and, beside it, to its own.
func testCounter(t *testing.T, s state.Store) {
	const each = 8
	race(func(i int) {
		for range each {
			add(t, s, "shared")
			add(t, s, fmt.Sprintf("own/%d", i))
		}
	})
	wantValue(t, s, "shared", strconv.Itoa(writers*each))
	for i := range writers {
		wantValue(t, s, fmt.Sprintf("own/%d", i), strconv.Itoa(each))
	}
}

// add increments the decimal number at key.
func add(t *testing.T, s state.Store, key string) {
	for {
		old, err := s.Load(t.Context(), key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
			return
		}
		n := 0
		if old != nil {
			if n, err = strconv.Atoi(string(old)); err != nil {
				t.Error(err)
				return
			}
		}
		swapped, err := s.Swap(t.Context(), key, old, []byte(strconv.Itoa(n+1)))
		if err != nil {
			t.Error(err)
			return
		}
		if swapped {
			return
		}
	}
}

// race starts all writers at once and waits for them.
func race(write func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			<-start
			write(i)
		})
	}
	close(start)
	wg.Wait()
}

func orNil(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

func mustSwap(t *testing.T, s state.Store, key string, old, new []byte) {
	t.Helper()
	if swapped, err := s.Swap(t.Context(), key, old, new); err != nil || !swapped {
		t.Fatalf("Swap(%q, %.20q, %.20q) = %v, %v; want true", key, old, new, swapped, err)
	}
}

// wantValue checks the value of key; want "" stands for absent.
func wantValue(t *testing.T, s state.Store, key, want string) {
	t.Helper()
	got, err := s.Load(t.Context(), key)
	if want == "" {
		if !errors.Is(err, fs.ErrNotExist) || got != nil {
			t.Errorf("Load(%q) = %.20q, %v; want %v", key, got, err, fs.ErrNotExist)
		}
		return
	}
	if err != nil || string(got) != want {
		t.Errorf("Load(%q) = %.40q (%d bytes), %v; want %.40q (%d bytes)", key, got, len(got), err, want, len(want))
	}
}

func wantKeys(t *testing.T, s state.Store, prefix string, want ...string) {
	t.Helper()
	got, err := s.Keys(t.Context(), prefix)
	if err != nil {
		t.Fatalf("Keys(%q): %v", prefix, err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Keys(%q) = %q, want %q", prefix, got, want)
	}
}
