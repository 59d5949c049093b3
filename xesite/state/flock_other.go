// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package state

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// tryLock refuses: without flock a lock would outlive a killed process, or
// exclude nobody.
func tryLock(*os.File) (bool, error) {
	return false, fmt.Errorf("no flock on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
