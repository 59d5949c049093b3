// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package state_test

import (
	"path"
	"strings"
	"testing"

	"xeiaso.net/site/xesite/state"
	"xeiaso.net/site/xesite/state/statetest"
)

func TestMem(t *testing.T) {
	statetest.Run(t, func(*testing.T) state.Store { return new(state.Mem) })
}

func TestDir(t *testing.T) {
	statetest.Run(t, func(t *testing.T) state.Store { return openDir(t, t.TempDir()) })
}

func TestErrorsNameKeyAndRemedy(t *testing.T) {
	for _, s := range []state.Store{new(state.Mem), openDir(t, t.TempDir())} {
		_, missing := s.Load(t.Context(), "some/key")
		_, upper := s.Load(t.Context(), "some/Key")
		_, empty := s.Swap(t.Context(), "some/key", nil, []byte{})
		_, long := s.Swap(t.Context(), "some/key", nil, make([]byte, state.MaxValue+1))
		for name, c := range map[string]struct {
			err  error
			want string
		}{
			"missing": {missing, "state: load \"some/key\": "},
			"upper":   {upper, "state: load: key \"some/Key\" has a byte other than a-z, 0-9, '.', '_', '-' and '/' at 5; hash its variable part"},
			"empty":   {empty, "state: swap: key \"some/key\": a value is empty; use nil to create or to delete"},
			"long":    {long, "state: swap: key \"some/key\": a value has 65537 bytes, more than 65536; keep large content elsewhere and its hash here"},
		} {
			if c.err == nil || !strings.HasPrefix(c.err.Error(), c.want) {
				t.Errorf("%T, %s: %v, want %q", s, name, c.err, c.want)
			}
		}
	}
}

// FuzzCheckKey compares CheckKey with another way to say the same, and checks
// that what it allows is one path below a directory.
func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{
		"", "a", "a/b", "/", "a//b", ".", "..", ".tmp-1", "A", "a+b", "\xff", "a/../b", strings.Repeat("a", 201),
	} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		const allowed = "abcdefghijklmnopqrstuvwxyz0123456789._-/"
		want := key != "" && len(key) <= state.MaxKey && strings.Trim(key, allowed) == "" &&
			"/"+key == path.Clean("/"+key)
		for _, b := range []byte(key) {
			want = want && strings.IndexByte(allowed, b) >= 0
		}
		if err := state.CheckKey(key); (err == nil) != want {
			t.Fatalf("CheckKey(%q) = %v, want valid = %v", key, err, want)
		}
	})
}

func openDir(t testing.TB, path string) *state.Dir {
	t.Helper()
	d, err := state.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
