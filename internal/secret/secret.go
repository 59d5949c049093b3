// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package secret has a string type that does not print itself.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// String is a value that must not reach logs, errors or answers. It prints as
// "[redacted]" through fmt with every verb, log/slog, encoding/json and every
// other encoder that honours encoding.TextMarshaler. [String.Reveal] gives the
// value; the zero value is an absent secret.
type String string

// Reveal returns the secret itself.
func (s String) Reveal() string { return string(s) }

// String returns a placeholder.
func (String) String() string { return redacted }

// Format writes a placeholder, whatever the verb: %x and %q would otherwise
// print the bytes.
func (String) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (String) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder.
func (String) MarshalText() ([]byte, error) { return []byte(redacted), nil }
