// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"errors"
	"fmt"
	"strings"
)

// Error is a mistake in a source file that the author can put right.
// [Generator.Build] returns all it finds, joined; errors.As gives the first.
type Error struct {
	// File is the path in the source directory, with slashes.
	File string
	// Line is the line of the mistake, from 1. Zero means the whole file.
	Line int
	// Problem says what is wrong.
	Problem string
	// Remedy says what to do about it. It may be empty.
	Remedy string
}

// Error returns "file:line: problem; remedy".
func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&s, ":%d", e.Line)
	}
	s.WriteString(": " + e.Problem)
	if e.Remedy != "" {
		s.WriteString("; " + e.Remedy)
	}
	return s.String()
}

// maxErrors bounds the report of a build. A directory of the wrong kind has
// one mistake a file, and nobody reads the thousandth.
const maxErrors = 20

// joinErrors joins errs, cut to a readable number.
func joinErrors(errs []error) error {
	if n := len(errs) - maxErrors; n > 0 {
		errs = append(errs[:maxErrors:maxErrors], fmt.Errorf("and %d more", n))
	}
	return errors.Join(errs...)
}
