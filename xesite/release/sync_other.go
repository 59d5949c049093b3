// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build !linux

package release

import "os"

// syncFileSystem has no counterpart here: files are synced one by one.
func syncFileSystem(*os.File) (bool, error) { return false, nil }
