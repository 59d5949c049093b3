// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package webmention

import (
	"net/url"
	"testing"
)

func FuzzEndpoint(f *testing.F) {
	f.Add(`</hook>; rel="webmention"`, `<link rel=webmention href="/x">`)
	f.Add(`<a>; rel="x\`, `<!-- <a href=x rel='webmention`)
	f.Fuzz(func(t *testing.T, field, body string) {
		page := &url.URL{Scheme: "https", Host: "a.example", Path: "/b"}
		where := endpoint(page, []string{field}, []byte(body))
		if where == "" {
			return
		}
		if u, err := url.Parse(where); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			t.Errorf("endpoint(%q, %q) = %q", field, body, where)
		}
	})
}
