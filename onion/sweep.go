// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// lockName is a file in a folder of sockets that its process has locked for as long
// as it lives.
const lockName = "lock"

// makeSockets makes a folder for sockets, and removes those that killed processes
// have left behind.
func makeSockets() (dir string, lock *os.File, err error) {
	// Tor runs in another folder.
	tmp, err := filepath.Abs(os.TempDir())
	if err != nil {
		return "", nil, err
	}
	sweepSockets(tmp)
	if dir, err = os.MkdirTemp(tmp, "onion-"); err != nil {
		return "", nil, err
	}
	if lock, err = os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600); err == nil {
		_, err = tryLock(lock)
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return dir, lock, nil
}

// sweepSockets removes folders whose lock nobody holds. One that was made just now
// may be about to be locked.
func sweepSockets(tmp string) {
	locks, _ := filepath.Glob(filepath.Join(globEscape(tmp), "onion-*", lockName))
	for _, path := range locks {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue // somebody else's
		}
		if free, err := tryLock(f); free && err == nil {
			os.RemoveAll(filepath.Dir(path))
		}
		f.Close()
	}
}
