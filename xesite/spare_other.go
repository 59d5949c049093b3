// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build !linux

package xesite

import (
	"io/fs"
	"time"
)

// identity knows nothing here, so there are no spares: package syscall has
// other names for these fields on each system.
func identity(fs.FileInfo) (inode uint64, changed time.Time, ok bool) { return 0, time.Time{}, false }
