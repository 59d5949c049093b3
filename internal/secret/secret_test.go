// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"xeiaso.net/site/internal/secret"
)

func TestSecretNeverPrints(t *testing.T) {
	const value = "hunter2-hunter2"
	s := secret.String(value)
	holder := struct{ Token secret.String }{s}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", s, holder, &holder)
	}
	logger := slog.New(slog.NewTextHandler(&out, nil))
	logger.Info("m", "token", s, "holder", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "token", s, "holder", holder)
	if err := json.NewEncoder(&out).Encode(map[string]any{"s": s, "holder": holder}); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q is in the output:\n%s", leak, out.String())
		}
	}
	if s.Reveal() != value {
		t.Errorf("Reveal() = %q, want the value", s.Reveal())
	}
}
