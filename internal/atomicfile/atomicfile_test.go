// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package atomicfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/internal/atomicfile"
)

func TestWriteReplacesContentAndMode(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	for _, content := range []string{"one", "two, longer", ""} {
		if err := atomicfile.Write(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil || string(got) != content {
			t.Errorf("content = %q, %v; want %q", got, err, content)
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode = %v, want -rw-------", got)
	}
}

func TestReadersNeverSeeAMix(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	a, b := bytes.Repeat([]byte("a"), 1<<16), bytes.Repeat([]byte("b"), 1<<15)
	if err := atomicfile.Write(name, a, 0o644); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for _, content := range [][]byte{a, b} {
		writers.Go(func() {
			for range 50 {
				if err := atomicfile.Write(name, content, 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, a) && !bytes.Equal(got, b) {
			t.Fatalf("read %d bytes that are neither content", len(got))
		}
	}
	writers.Wait()
}

func TestWriteLeavesNothingBehindOnFailure(t *testing.T) {
	dir := t.TempDir()
	// A directory in the way makes the rename fail.
	target := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(target, "child"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(target, []byte("x"), 0o644); err == nil {
		t.Fatal("Write over a directory succeeded")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestSweepRemovesOnlyOldLeftovers(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, f := range []struct {
		name string
		time time.Time
	}{{".tmp-old", old}, {".tmp-new", time.Now()}, {"kept", old}} {
		name := filepath.Join(dir, f.name)
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, f.time, f.time); err != nil {
			t.Fatal(err)
		}
	}
	if err := atomicfile.Sweep(dir, time.Minute); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{".tmp-old": false, ".tmp-new": true, "kept": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s exists = %v, want %v", name, err == nil, want)
		}
	}
	if err := atomicfile.Sweep(filepath.Join(dir, "missing"), 0); err != nil {
		t.Errorf("Sweep of a missing directory: %v", err)
	}
}
