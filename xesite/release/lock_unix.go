// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package release

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lock takes the lock under which pointers change, among the goroutines and
// the processes of this machine. The kernel releases it when a holder dies.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	// Each call has its own open file: flock excludes by open file.
	f, err := os.OpenFile(filepath.Join(s.dir, "channels", ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	// The lock is held for two small writes: poll, since flock cannot be
	// interrupted by a context.
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err != syscall.EWOULDBLOCK && err != syscall.EINTR {
			f.Close()
			return nil, fmt.Errorf("release: lock %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("release: lock %s: %w", f.Name(), context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}
