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

func TestWrapKnowsPatreonsDocument(t *testing.T) {
	const (
		identity = "/api/oauth2/v2/identity"
		user     = `{"data":{"id":"1","type":"user","attributes":{"full_name":"x","about":null}},"links":{"self":"x"}}`
	)
	for _, tt := range []struct {
		name, query, answer string
		status              int
		complaint           bool
	}{
		{"good", "?fields%5Buser%5D=full_name,about&include=memberships", user, 200, false},
		{"path", "?include=memberships.currently_entitled_tiers&fields%5Btier%5D=title", user, 200, false},
		{"unknown include", "?include=tiers", user, 200, true},
		{"unknown field", "?fields%5Buser%5D=name", user, 200, true},
		{"unknown type", "?fields%5Bpatron%5D=name", user, 200, true},
		{"not an object", "?fields=name", user, 200, true},
		{"not in this list", "?page%5Bcount%5D=1", user, 200, true},
		{"null", "", strings.Replace(user, `"x"`, "null", 1), 200, true},
		{"answer has one too many", "", strings.Replace(user, `"about"`, `"age"`, 1), 200, true},
		{"other type", "", strings.Replace(user, `"user"`, `"member"`, 1), 200, true},
		{"no links", "", `{"data":{"id":"1","type":"user"}}`, 200, true},
		{"error", "", `{"errors":[{"code":1,"status":"401"}]}`, 401, false},
		{"error alone", "", `[{"code":1,"status":"401"}]`, 401, true},
		{"error with a number", "", `{"errors":[{"code":1,"status":401}]}`, 401, true},
		{"error with a source", "", `{"errors":[{"source":{}}]}`, 400, false},
	} {
		w := &witness{TB: t}
		spec := openapi.LoadPatreon(t)
		h := spec.Wrap(w, "", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range []string{"X-Patreon-Uuid", "X-Patreon-Sha", "Cf-Cache-Status", "Cf-Ray"} {
				w.Header().Set(name, "1")
			}
			w.WriteHeader(tt.status)
			io.WriteString(w, tt.answer)
		}))
		for _, agent := range []string{"tests/1", ""} {
			req := httptest.NewRequest("GET", identity+tt.query, nil)
			req.Header.Set("User-Agent", agent)
			w.said = nil
			h.ServeHTTP(httptest.NewRecorder(), req)
			if complaint := len(w.said) > 0; complaint != (tt.complaint || agent == "") {
				t.Errorf("%s, agent %q: complaints %q", tt.name, agent, w.said)
			}
		}
	}
}
