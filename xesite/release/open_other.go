// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build !linux

package release

import "os"

func openQuietly(path string) (*os.File, error) { return os.Open(path) }
