// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// page is a page of some size.
var page = "<!doctype html><title>page</title>" + strings.Repeat("<p>The quick brown fox.</p>\n", 200)

// writePage writes a file and the directories above it.
func writePage(path, content string) error {
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644))
}

// pass lets time pass in a synctest bubble, where it costs none.
func pass(d time.Duration) { <-time.After(d) }
