// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package webmention

import (
	"net/url"
	"strings"
	"testing"
	"time"
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

// More input must take more time in proportion. The bound is 8 times that, and far
// from the factor of 1024 that squares would make of one of 32.
func TestHostileHeadersTakeTimeInProportion(t *testing.T) {
	const size, factor = 32 << 10, 32
	for _, part := range []string{"<", "<>", "<>;", "<>; rel", `<>; rel="`, "\\", `<>; rel="\`, ",", "<a>,", "<>; a=b; ", "<>; rel=a "} {
		measure := func(size int) time.Duration {
			field := strings.Repeat(part, size/len(part))
			best := time.Hour
			for range 3 {
				start := time.Now()
				endpoint(&url.URL{Scheme: "https", Host: "a.example"}, []string{field}, nil)
				best = min(best, time.Since(start))
			}
			return best
		}
		once, more := measure(size), measure(factor*size)
		if more > 8*factor*once && more > 100*time.Millisecond {
			t.Errorf("%q: %s for %d bytes, %s for %d times as many", part, once, size, more, factor)
		}
	}
}
