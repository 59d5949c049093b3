// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// socketsPrefix begins the name of a folder of sockets. No other program has one like
// it.
const socketsPrefix = "onion-service-"

// makeSockets makes a folder for sockets, and removes those that killed processes
// have left behind. The folder is locked for as long as the process lives: others of
// ours see by that that it is used, and so does systemd-tmpfiles(8), which clears away
// what is old in folders for temporary files.
func makeSockets() (dir string, lock *os.File, err error) {
	// Tor runs in another folder.
	tmp, err := filepath.Abs(os.TempDir())
	if err != nil {
		return "", nil, err
	}
	sweepSockets(tmp)
	if dir, err = os.MkdirTemp(tmp, socketsPrefix); err != nil {
		return "", nil, err
	}
	if lock, err = os.Open(dir); err == nil {
		_, err = tryLock(lock)
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return dir, lock, nil
}

// sweepSockets removes folders that nobody has locked. One that was made just now
// may be about to be.
func sweepSockets(tmp string) {
	dirs, _ := filepath.Glob(filepath.Join(globEscape(tmp), socketsPrefix+"*"))
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		f, err := os.Open(dir)
		if err != nil {
			continue // somebody else's
		}
		if free, err := tryLock(f); free && err == nil {
			os.RemoveAll(dir)
		}
		f.Close()
	}
}
