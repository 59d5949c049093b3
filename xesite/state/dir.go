// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"xeiaso.net/site/internal/atomicfile"
)

// lockName is the file whose flock every writer of a directory holds. It is
// never removed: a writer that waits for a removed file's lock would get a
// lock that excludes nobody.
const lockName = ".lock"

// Dir is a [Store] in a directory: one file a key, in one flat directory, so
// that "ls" and "cat" show the state. Any number of Dirs, in any number of
// processes, may be open on one directory, on one machine or on a file system
// that carries flock between machines.
//
// A value is written to a temporary file, synced, renamed and made durable by
// a sync of the directory; only one writer at a time does so. Readers never
// wait and never see half a value. What a killed writer left behind is removed
// at the next start's first Swap.
type Dir struct {
	path string

	// turn holds one token: the goroutines of this Dir take turns, and only
	// the one whose turn it is competes for the file lock. A mutex could not
	// be given up when a context ends.
	turn  chan struct{}
	swept bool // guarded by turn
}

// OpenDir returns the store in the directory path, which it creates if need
// be. Only the current user can read what it creates, since records hold
// tokens. There is nothing to close.
//
// A directory that was used before is opened even if it can only be read now:
// a disk that is in trouble must not keep a program from starting. Swap fails
// for as long as that lasts.
func OpenDir(path string) (*Dir, error) {
	if err := atomicfile.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("state: open directory: %w", err)
	}
	d := &Dir{path: path, turn: make(chan struct{}, 1)}
	// Fail now rather than at the first Swap if the file system has no locks.
	lock, err := d.openLock(os.O_CREATE)
	if readOnly(err) && d.checkPresent(nil) == nil {
		return d, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state: open directory: %w", err)
	}
	defer lock.Close()
	if _, err := tryLock(lock); err != nil {
		return nil, fmt.Errorf("state: open directory: lock %s: %w; put it on a file system with flock", lock.Name(), err)
	}
	return d, nil
}

// readOnly reports whether it is writing that is refused.
func readOnly(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}

// Load implements [Store].
func (d *Dir) Load(ctx context.Context, key string) ([]byte, error) {
	if err := firstErr(ctx, CheckKey(key)); err != nil {
		return nil, fmt.Errorf("state: load: %w", err)
	}
	value, err := d.read(key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("state: load %q: %w", key, err)
	}
	// The writer may have been killed between its rename and its sync. Without
	// this one the caller could act on what a power failure undoes. On a
	// directory that is synced already it costs some 65 µs.
	if err := d.checkPresent(atomicfile.SyncDir(d.path)); err != nil {
		return nil, fmt.Errorf("state: load %q: %w", key, err)
	}
	if err != nil {
		return nil, fmt.Errorf("state: load %q: %w", key, err)
	}
	return value, nil
}

// Swap implements [Store].
func (d *Dir) Swap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := firstErr(ctx, CheckSwap(key, old, new)); err != nil {
		return false, fmt.Errorf("state: swap: %w", err)
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return false, fmt.Errorf("state: swap %q: %w", key, err)
	}
	defer unlock()
	swapped, err := d.swap(key, old, new)
	if err != nil {
		return false, fmt.Errorf("state: swap %q: %w", key, err)
	}
	return swapped, nil
}

// swap is [Dir.Swap] under the lock.
func (d *Dir) swap(key string, old, new []byte) (bool, error) {
	current, err := d.read(key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if !bytes.Equal(current, old) {
		return false, nil
	}
	name := filepath.Join(d.path, fileName(key))
	if new != nil {
		err = atomicfile.Write(name, new, 0o600)
	} else if err = os.Remove(name); err == nil {
		err = atomicfile.SyncDir(d.path)
	}
	return err == nil, err
}

// Keys implements [Store].
func (d *Dir) Keys(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("state: keys: %w", err)
	}
	entries, err := os.ReadDir(d.path)
	if err := d.checkPresent(err); err != nil {
		return nil, fmt.Errorf("state: keys: %w", err)
	}
	var keys []string
	for _, e := range entries {
		// Whatever is not named after a key is the store's own, or was put
		// there by a person.
		key, ok := keyOf(e.Name())
		if ok && strings.HasPrefix(key, prefix) && e.Type().IsRegular() {
			keys = append(keys, key)
		}
	}
	// Sorted by key: as file names they sort otherwise, '+' before '-'.
	slices.Sort(keys)
	return keys, nil
}

// checkPresent returns err, or an error if the directory is not the one that
// was opened: a volume that is no longer mounted must not look like a store
// without records, in which all work would start over. Neither error matches
// [fs.ErrNotExist].
func (d *Dir) checkPresent(err error) error {
	if err == nil {
		_, err = os.Lstat(filepath.Join(d.path, lockName))
	}
	if err != nil {
		return fmt.Errorf("directory of the records: %v; mount it again, or restart to begin without records", err)
	}
	return nil
}

// read returns the value of key. No writer leaves an empty or overlong file,
// so such a one was damaged from outside, and is an error, not an absence:
// taking it for one could repeat what the record says was done.
func (d *Dir) read(key string) ([]byte, error) {
	f, err := os.Open(filepath.Join(d.path, fileName(key)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	value, err := io.ReadAll(io.LimitReader(f, MaxValue+1))
	if err != nil {
		return nil, err
	}
	if len(value) == 0 || len(value) > MaxValue {
		return nil, fmt.Errorf("%s is damaged: its size is not between 1 and %d; restore it, or remove it to lose the record", f.Name(), MaxValue)
	}
	return value, nil
}

// fileName returns the name of the file that holds key: '/' becomes '+', which
// is in no key, so "a" and "a/b" do not get in each other's way. Names with a
// leading '.' are the store's own, so a key's gets a '+' in front, where no
// '/' can have been.
func fileName(key string) string {
	name := strings.ReplaceAll(key, "/", "+")
	if name[0] == '.' {
		return "+" + name
	}
	return name
}

// keyOf is the inverse of fileName; ok is false for names it does not give.
func keyOf(name string) (key string, ok bool) {
	key = strings.ReplaceAll(strings.TrimPrefix(name, "+"), "+", "/")
	return key, CheckKey(key) == nil && fileName(key) == name
}

// lock excludes all other writers of the directory until unlock is called.
func (d *Dir) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other writers: %w", ctx.Err())
	}
	defer func() {
		if err != nil {
			<-d.turn
		}
	}()
	lock, err := d.openLock(0)
	if err != nil {
		return nil, d.checkPresent(err)
	}
	if err := waitLock(ctx, lock); err != nil {
		lock.Close()
		return nil, err
	}
	if err := d.sweep(); err != nil {
		lock.Close()
		return nil, err
	}
	return func() {
		lock.Close() // also unlocks
		<-d.turn
	}, nil
}

// sweep removes, once, the temporary files that killed writers left. Under the
// lock any there is is one of those, whatever its age.
func (d *Dir) sweep() error {
	if d.swept {
		return nil
	}
	if err := atomicfile.Sweep(d.path, -time.Hour); err != nil {
		return err
	}
	d.swept = true
	return nil
}

func (d *Dir) openLock(flag int) (*os.File, error) {
	return os.OpenFile(filepath.Join(d.path, lockName), os.O_RDWR|flag, 0o600)
}

// waitLock takes the lock of f, asking again and again, since a blocking flock
// could not be given up when ctx ends. A writer holds it for about a
// millisecond.
func waitLock(ctx context.Context, f *os.File) error {
	const shortest, longest = 250 * time.Microsecond, 10 * time.Millisecond
	for pause := shortest; ; pause = min(2*pause, longest) {
		locked, err := tryLock(f)
		if locked || err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("wait for the lock of another process on %s: %w", f.Name(), ctx.Err())
		}
	}
}
