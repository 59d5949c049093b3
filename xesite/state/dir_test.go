// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package state_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/atomicfile"
	"xeiaso.net/site/xesite/state"
)

// childEnv tells this test binary, started again, what to do in place of the
// tests, and in which directory.
const childEnv = "STATE_TEST_CHILD"

func TestMain(m *testing.M) {
	job, dir, _ := strings.Cut(os.Getenv(childEnv), " ")
	run := map[string]func(dir string) error{"increment": increment, "fill": fill, "life": life}[job]
	if run == nil {
		os.Exit(m.Run())
	}
	if err := run(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// increment counts up the record "counter", and writes each number that it has
// won to stdout, after the Swap that won it.
func increment(dir string) error {
	store, err := state.OpenDir(dir)
	if err != nil {
		return err
	}
	for {
		n, old, err := loadCounter(store)
		if err != nil {
			return err
		}
		won, err := store.Swap(context.Background(), "counter", old, counterValue(n+1))
		if err != nil {
			return err
		}
		if won {
			fmt.Println(n + 1)
		}
	}
}

// counterValue returns a value for n whose length varies and which cannot be
// torn without notice: number, nonce, padding, checksum.
func counterValue(n int) []byte {
	body := fmt.Sprintf("%d %s %s", n, rand.Text(), strings.Repeat("x", n*7919%(state.MaxValue-200)))
	return fmt.Appendf(nil, "%s %x", body, sha256.Sum256([]byte(body)))
}

func loadCounter(store state.Store) (n int, value []byte, err error) {
	value, err = store.Load(context.Background(), "counter")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	i := strings.LastIndexByte(string(value), ' ')
	if i < 0 || fmt.Sprintf("%x", sha256.Sum256(value[:i])) != string(value[i+1:]) {
		return 0, nil, fmt.Errorf("torn value of %d bytes", len(value))
	}
	number, _, _ := strings.Cut(string(value), " ")
	n, err = strconv.Atoi(number)
	return n, value, err
}

// TestKilledProcessesLoseNoUpdate runs several processes that count in one
// directory and kills each after some numbers, at whatever instruction it is
// then. What was told to be won must have been won by one process alone, and
// nothing but what a kill cut off may be missing from the tale.
func TestKilledProcessesLoseNoUpdate(t *testing.T) {
	const processes = 4
	// The longest delay is that of some Swaps, the shortest a part of one, so
	// that the kills fall upon every step of it.
	const spread = 150 * time.Microsecond
	rounds := 8 // 32 kills
	if testing.Short() {
		rounds = 2
	}
	dir := t.TempDir()
	var mu sync.Mutex
	winners := make(map[int]int)
	for round := range rounds {
		var wg sync.WaitGroup
		for p := range processes {
			wg.Go(func() {
				for _, n := range countAndKill(t, dir, 1+p, time.Duration(round*processes+p)*spread) {
					mu.Lock()
					winners[n]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	store := openDir(t, dir)
	total, value, err := loadCounter(store)
	if err != nil {
		t.Fatal(err)
	}
	for n, times := range winners {
		if times != 1 || n > total {
			t.Errorf("%d was won %d times, of %d", n, times, total)
		}
	}
	kills := processes * rounds
	if untold := total - len(winners); untold > kills {
		t.Errorf("counted to %d, told of %d, %d kills: updates came from nowhere", total, len(winners), kills)
	}
	t.Logf("counted to %d in %d processes, %d of them untold by a killed one, %d left files",
		total, kills, total-len(winners), leftovers(t, dir))
	if swapped, err := store.Swap(t.Context(), "counter", value, nil); err != nil || !swapped {
		t.Fatalf("Swap = %v, %v", swapped, err)
	}
	if n := leftovers(t, dir); n > 0 {
		t.Errorf("%d temporary files are left", n)
	}
}

// countAndKill starts a process that counts, kills it delay after it has told
// of some numbers, and returns all that it has told.
func countAndKill(t *testing.T, dir string, some int, delay time.Duration) (told []int) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=increment "+dir)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return nil
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return nil
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Error(err)
		}
		if told = append(told, n); len(told) == some {
			time.AfterFunc(delay, func() { cmd.Process.Kill() })
		}
	}
	cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("the process ended by itself: %v", cmd.ProcessState)
	}
	return told
}

func leftovers(t *testing.T, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, ".tmp-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestDirShowsStateToPeople(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "state")
	d := openDir(t, path)
	mustSwap(t, d, "lease/builder", "", "{}")
	got, err := os.ReadFile(filepath.Join(path, "lease+builder"))
	if err != nil || string(got) != "{}" {
		t.Errorf("file has %q, %v", got, err)
	}
	for _, name := range []string{path, filepath.Join(path, "lease+builder")} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v; others can read tokens", name, info, err)
		}
	}
}

func TestDirIgnoresForeignFiles(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	mustSwap(t, d, "a/b", "", "v")
	for _, name := range []string{"a+b~", "README", "a++b", "+a", ".swp", "a+.."} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(path, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := d.Keys(t.Context(), "")
	if err != nil || strings.Join(got, " ") != "a/b" {
		t.Errorf("Keys = %q, %v; want a/b", got, err)
	}
}

func TestDamagedRecordIsNoAbsence(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	for name, content := range map[string][]byte{"empty": {}, "long": make([]byte, state.MaxValue+1)} {
		if err := os.WriteFile(filepath.Join(path, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := d.Load(t.Context(), name)
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("Load(%q) = %v, want an error with a remedy", name, err)
		}
		if swapped, err := d.Swap(t.Context(), name, nil, []byte("v")); err == nil || swapped {
			t.Errorf("Swap(%q) = %v, %v; want an error", name, swapped, err)
		}
	}
}

// TestVanishedDirectoryIsNoEmptyStore has a volume that is unmounted, with and
// without its mount point.
func TestVanishedDirectoryIsNoEmptyStore(t *testing.T) {
	for _, mountPoint := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "state")
		d := openDir(t, path)
		mustSwap(t, d, "k", "", "v")
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if mountPoint {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := d.Load(t.Context(), "k"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load = %v, want another error than absence", err)
		}
		if keys, err := d.Keys(t.Context(), ""); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Keys = %q, %v; want another error than absence", keys, err)
		}
		if swapped, err := d.Swap(t.Context(), "k", nil, []byte("v")); err == nil || swapped {
			t.Errorf("Swap = %v, %v; want an error", swapped, err)
		}
	}
}

// fill replaces the record "k" in a process that cannot write more than a
// kilobyte to a file, as on a full disk.
func fill(dir string) error {
	store, err := state.OpenDir(dir)
	if err != nil {
		return err
	}
	// What is ignored is answered with EFBIG.
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1024, Max: 1024}); err != nil {
		return err
	}
	swapped, err := store.Swap(context.Background(), "k", []byte("old"), make([]byte, 4096))
	if !errors.Is(err, syscall.EFBIG) || swapped {
		return fmt.Errorf("Swap = %v, %w; want false, %w", swapped, err, syscall.EFBIG)
	}
	return nil
}

func TestFullDiskLeavesTheOldValue(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	mustSwap(t, d, "k", "", "old")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=fill "+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if n := leftovers(t, path); n != 0 {
		t.Errorf("%d leftovers", n)
	}
	mustSwap(t, d, "k", "old", "new")
}

func TestFirstSwapSweepsLeftovers(t *testing.T) {
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, ".tmp-123"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustSwap(t, openDir(t, path), "k", "", "v")
	if n := leftovers(t, path); n != 0 {
		t.Errorf("%d leftovers", n)
	}
}

func TestWaitForLockEndsWithContext(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	mustSwap(t, d, "k", "", "v")
	lock, err := os.Open(filepath.Join(path, ".lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	// One waits for the other process, the other for the one.
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if swapped, err := d.Swap(ctx, "k", []byte("v"), nil); !errors.Is(err, context.DeadlineExceeded) || swapped {
				t.Errorf("Swap = %v, %v; want %v", swapped, err, context.DeadlineExceeded)
			}
		})
	}
	// Readers do not wait.
	if got, err := d.Load(t.Context(), "k"); err != nil || string(got) != "v" {
		t.Errorf("Load = %q, %v", got, err)
	}
	wg.Wait()
	lock.Close()
	mustSwap(t, d, "k", "v", "")
}

func TestOpenDirNeedsAWritableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := atomicfile.Write(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := state.OpenDir(file); err == nil {
		t.Error("OpenDir of a file succeeded")
	}
	if _, err := state.OpenDir(filepath.Join(file, "below")); err == nil {
		t.Error("OpenDir below a file succeeded")
	}
}

func BenchmarkDir(b *testing.B) {
	d := openDir(b, b.TempDir())
	values := [2][]byte{[]byte("one value"), []byte("another value")}
	if _, err := d.Swap(b.Context(), "k", nil, values[0]); err != nil {
		b.Fatal(err)
	}
	b.Run("Swap", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			// The first iteration of a run may find either value.
			d.Swap(b.Context(), "k", values[i%2], values[(i+1)%2])
		}
	})
	b.Run("Load", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.Load(b.Context(), "k"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// mustSwap takes "" for nil.
func mustSwap(t *testing.T, s state.Store, key, old, new string) {
	t.Helper()
	var o, n []byte
	if old != "" {
		o = []byte(old)
	}
	if new != "" {
		n = []byte(new)
	}
	if swapped, err := s.Swap(t.Context(), key, o, n); err != nil || !swapped {
		t.Fatalf("Swap(%q, %q, %q) = %v, %v", key, old, new, swapped, err)
	}
}
