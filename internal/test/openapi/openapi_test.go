// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package openapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/openapi"
)

// witness counts the complaints.
type witness struct {
	testing.TB
	said []string
}

func (w *witness) Errorf(format string, a ...any) { w.said = append(w.said, format) }

// The checks would be worth nothing if they let everything pass.
func TestWrapComplains(t *testing.T) {
	spec := openapi.Load(t, "discord-openapi.json")
	const errorAnswer = `{"message":"Unknown Webhook","code":10015}`
	for _, tt := range []struct {
		name, path, body, answer string
		status                   int
		complaint                bool
	}{
		{"good", "?wait=true", `{"content":"x","allowed_mentions":{"parse":[]}}`, errorAnswer, 404, false},
		{"unknown field", "?wait=true", `{"content":"x","nonce":"1"}`, errorAnswer, 404, true},
		{"unknown parameter", "?await=true", `{"content":"x"}`, errorAnswer, 404, true},
		{"wrong parameter", "?wait=yes", `{"content":"x"}`, errorAnswer, 404, true},
		{"wrong type", "", `{"content":7}`, errorAnswer, 404, true},
		{"too long", "", `{"content":"` + strings.Repeat("x", 2001) + `"}`, errorAnswer, 404, true},
		{"deep", "", `{"embeds":[{"image":{"url":"nothing"}}]}`, errorAnswer, 404, true},
		{"not in the list", "", `{"allowed_mentions":{"parse":["all"]}}`, errorAnswer, 404, true},
		{"too many", "", `{"embeds":[{},{},{},{},{},{},{},{},{},{},{}]}`, errorAnswer, 404, true},
		{"answer lacks a field", "", `{"content":"x"}`, `{"message":"x"}`, 404, true},
		{"answer has one too many", "", `{"content":"x"}`, `{"message":"x","code":1,"more":2}`, 404, true},
		{"answer is no message", "", `{"content":"x"}`, `{"id":"x"}`, 200, true},
		{"answer has no body", "", `{"content":"x"}`, ``, 204, false},
		{"status", "", `{"content":"x"}`, ``, 302, true},
	} {
		w := &witness{TB: t}
		h := spec.Wrap(w, "/api/v10", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range []string{"Limit", "Remaining", "Reset", "Reset-After", "Bucket"} {
				w.Header().Set("X-RateLimit-"+name, "1")
			}
			w.WriteHeader(tt.status)
			io.WriteString(w, tt.answer)
		}))
		req := httptest.NewRequest("POST", "/api/v10/webhooks/1/token"+tt.path, strings.NewReader(tt.body))
		req.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), req)
		if complaint := len(w.said) > 0; complaint != tt.complaint {
			t.Errorf("%s: complaints %q", tt.name, w.said)
		}
	}
}
