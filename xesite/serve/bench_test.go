// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package serve_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
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

// heap is what is in use after everything that is not needed has gone.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkMemory measures what a release of 10,000 pages of 6 KB takes: its
// index, the handler's tables, and all of it after every page was asked for in
// every coding, within the default budget.
func BenchmarkMemory(b *testing.B) {
	store, err := release.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	site := fstest.MapFS{}
	for i := range 10_000 {
		content := fmt.Sprint(i) + strings.Repeat(fmt.Sprintf("<p>some words on page %d</p>", i), 300)
		site[fmt.Sprintf("section%d/page%d/index.html", i%50, i)] = &fstest.MapFile{Data: []byte(content[:6000])}
	}
	written, _, err := store.Write(b.Context(), site)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := store.Publish(b.Context(), "production", release.PublishOptions{Release: written.ID}); err != nil {
		b.Fatal(err)
	}
	written, site = nil, nil
	for b.Loop() {
		empty := heap()
		rel, pub, err := store.Load(b.Context(), "production")
		if err != nil {
			b.Fatal(err)
		}
		index := heap()
		h := serve.New(rel, serve.Options{Modified: pub.Modified})
		cold := heap()
		for _, f := range rel.Index.Files {
			for _, coding := range []string{"identity", "gzip", "zstd"} {
				r := httptest.NewRequest("GET", "/"+strings.TrimSuffix(f.Path, "index.html"), nil)
				r.Header.Set("Accept-Encoding", coding)
				h.ServeHTTP(&null{http.Header{}}, r)
			}
		}
		warm := heap()
		b.ReportMetric((index-empty)/1e6, "index-MB")
		b.ReportMetric((cold-index)/1e6, "tables-MB")
		b.ReportMetric((warm-cold)/1e6, "contents-MB")
		runtime.KeepAlive(h)
	}
}
