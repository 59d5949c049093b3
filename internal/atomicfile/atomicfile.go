// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package atomicfile replaces files so that a crash at any instruction leaves
// either the old content or the new, never a mix and never an empty file.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tmpPrefix marks files that were being written. A leftover after a crash is
// harmless; [Sweep] removes it.
const tmpPrefix = ".tmp-"

// Write makes name hold data with the permission bits perm. When Write
// returns nil the new content survives a power failure: the file is synced
// before the rename, and the directory after it.
//
// An error after the rename means that the outcome is unknown: name holds one
// of the two contents, whole.
func Write(name string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemp(filepath.Dir(name), data, perm)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(tmp, name); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return SyncDir(filepath.Dir(name))
}

// writeTemp leaves data in a synced new file of dir and returns its name.
func writeTemp(dir string, data []byte, perm fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(dir, tmpPrefix+"*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	// CreateTemp uses 0600; Chmod is not subject to the umask, so ask for
	// exactly what the caller wants.
	if err := f.Chmod(perm); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}

// SyncDir makes renames and removals in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// MkdirAll is [os.MkdirAll] that also makes the new directories durable.
func MkdirAll(dir string, perm fs.FileMode) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// IsTemp reports whether name is that of a file which was being written.
func IsTemp(name string) bool {
	return strings.HasPrefix(filepath.Base(name), tmpPrefix)
}

// Sweep removes from dir the leftovers of writers that died, told by an age
// above minAge. A missing dir is no error.
func Sweep(dir string, minAge time.Duration) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var errs []error
	for _, e := range entries {
		if !IsTemp(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < minAge {
			continue
		}
		errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
	}
	return errors.Join(append(errs, err)...)
}
