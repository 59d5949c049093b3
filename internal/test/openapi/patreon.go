// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package openapi

import "testing"

// LoadPatreon reads the document of Patreon's API, or skips the test. Nobody at
// Patreon wrote it, and where Patreon's own documentation shows something else,
// that is taken for right:
//
//   - errors stand in a field, have a source, and may have null for a code;
//   - meta is not in another meta, and the number of all is in its pagination;
//   - a webhook that was never used has null for the time of that;
//   - addresses of posts and tiers are relative;
//   - what is included has relationships, if the path goes on from there;
//   - creating a webhook answers with one and not with a list.
//
// The endpoints of OAuth are not in it.
func LoadPatreon(t testing.TB) *Document {
	t.Helper()
	d := Load(t, "patreon-openapi.json")
	d.Errors = "errors"
	d.Forgive = []string{
		"$.errors[].code", "$.errors[].source", "$.meta", "$.data.attributes.last_attempted_at", "$.data[].attributes.last_attempted_at",
		"$.data.attributes.url", "$.data[].attributes.url", "$.included[].relationships",
		"$.included[].attributes.url",
	}
	d.Responses = map[string]string{"createWebhook": "webhookResponse"}
	d.Beside = []string{"/oauth2/authorize", "/api/oauth2/token"}
	return d
}
