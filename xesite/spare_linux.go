// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"io/fs"
	"syscall"
	"time"
)

// identity returns the number of a file and when it was last changed in any
// way, also in its name or mode.
func identity(info fs.FileInfo) (inode uint64, changed time.Time, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, time.Time{}, false
	}
	return stat.Ino, time.Unix(stat.Ctim.Unix()), true
}
