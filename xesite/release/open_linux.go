// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// openQuietly opens a file for reading without noting when: to note it can
// mean to wait until the file system has written its journal, and visitors
// would wait as well. Only the owner may ask for that.
func openQuietly(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOATIME, 0)
	if errors.Is(err, fs.ErrPermission) {
		return os.Open(path)
	}
	return f, err
}
