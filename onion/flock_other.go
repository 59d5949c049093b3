// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd

package onion

import "os"

// tryLock cannot tell here.
func tryLock(*os.File) (free bool, err error) { return false, nil }
