// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package serve_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"xeiaso.net/site/internal/test/loopback"
	"xeiaso.net/site/xesite/release"
	"xeiaso.net/site/xesite/serve"
)

// null is a ResponseWriter that costs nothing, so that what is measured is
// the handler's own work.
type null struct{ header http.Header }

func (n *null) Header() http.Header         { return n.header }
func (n *null) WriteHeader(int)             {}
func (n *null) Write(p []byte) (int, error) { return len(p), nil }

// hits are the answers whose cost counts: most of a site's traffic.
var hits = []struct{ name, header, value string }{
	{"identity", "X-None", ""},
	{"gzip", "Accept-Encoding", "gzip, deflate"},
	{"browser", "Accept-Encoding", "gzip, deflate, br, zstd"},
	{"304", "If-None-Match", "*"},
}

func BenchmarkOwnCost(b *testing.B) {
	h := serve.New(files(b, map[string]string{"index.html": page}), serve.Options{Modified: []int64{1}})
	for _, hit := range hits {
		b.Run(hit.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set(hit.header, hit.value)
			w := &null{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}

func TestHitsAllocateNothing(t *testing.T) {
	h := serve.New(files(t, map[string]string{"index.html": page}), serve.Options{Modified: []int64{1}})
	for _, hit := range hits {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(hit.header, hit.value)
		w := &null{http.Header{}}
		if got := testing.AllocsPerRun(100, func() {
			clear(w.header)
			h.ServeHTTP(w, r)
		}); got > 0 {
			t.Errorf("%s: %v allocations for a hit, want 0", hit.name, got)
		}
	}
}

// BenchmarkOverLoopback compares whole requests over one kept-alive
// connection: compare the rows of one run with each other.
func BenchmarkOverLoopback(b *testing.B) {
	tree := fstest.MapFS{"index.html": {Data: []byte(page)}}
	rel, _, err := release.New(context.Background(), tree)
	if err != nil {
		b.Fatal(err)
	}
	site := serve.New(rel, serve.Options{Modified: []int64{1}})
	constant := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte(page))
	})
	for _, server := range []struct {
		name    string
		handler http.Handler
		header  string
	}{
		{"constant", constant, ""},
		{"serve", site, ""},
		{"serve-gzip", site, "Accept-Encoding: gzip"},
		{"serve-304", site, "If-None-Match: *"},
		{"FileServerFS", http.FileServerFS(tree), ""},
	} {
		b.Run(server.name, func(b *testing.B) { loopback.Bench(b, server.handler, server.header) })
	}
}

func BenchmarkMiss(b *testing.B) {
	var rules strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&rules, "/old/%d /new/%d 301\n", i, i)
	}
	for i := range 100 {
		fmt.Fprintf(&rules, "/tree%d/* /new/:splat 301\n", i)
	}
	h := serve.New(files(b, map[string]string{"404.html": page, "_redirects": rules.String()}), serve.Options{})
	r := httptest.NewRequest("GET", "/nothing/like/it", nil)
	w := &null{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}
