// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/loopback"
	"xeiaso.net/site/xesite"
)

// built makes a site whose pages come from a function, and builds it once.
func built(b *testing.B, cfg xesite.Config) (*xesite.Site, context.CancelFunc) {
	b.Helper()
	gittest.Require(b)
	repo := gittest.New(b)
	repo.Write("README", "the pages are made by the builder")
	repo.Commit("first")
	repo.Push()
	cfg.Source = &xesite.Git{Remote: repo.Bare, Dir: filepath.Join(cfg.DataDir, "git")}
	cfg.Poll = -1
	site, err := xesite.New(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); site.Run(ctx) }()
	stop := func() { cancel(); <-done }
	b.Cleanup(stop)
	ticket, err := site.Trigger(ctx, xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true})
	if err != nil {
		b.Fatal(err)
	}
	if build, err := ticket.Wait(ctx); err != nil || build.Error != "" {
		b.Fatal(build.Error, err)
	}
	return site, stop
}

// pages is a builder of n pages.
func pages(n int) xesite.Builder {
	return xesite.BuilderFunc(func(_ context.Context, in xesite.BuildInput) error {
		for i := range n {
			name := "index.html"
			if i > 0 {
				name = fmt.Sprintf("s%d/p%d/index.html", i%50, i)
			}
			if err := writePage(filepath.Join(in.Output, name), fmt.Sprintf("%s %d", page, i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkFullChain compares the host's whole chain (listener, middleware,
// counting, site) with a handler that always writes the same bytes.
func BenchmarkFullChain(b *testing.B) {
	site, _ := built(b, xesite.Config{DataDir: b.TempDir(), Builder: pages(1)})
	plain := site.Handler(xesite.Listener{Name: "plain"})
	full := site.Handler(xesite.Listener{Name: "full", Middleware: []func(http.Handler) http.Handler{
		xesite.CanonicalHost{Host: "localhost"}.Middleware, xesite.Clacks("Ashlynn"),
	}})
	constant := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte(page))
	})
	for _, tt := range []struct {
		name    string
		handler http.Handler
		field   string
	}{
		{"constant", constant, ""},
		{"FileServerFS", http.FileServerFS(fstest.MapFS{"index.html": {Data: []byte(page)}}), ""},
		{"site", plain, ""},
		{"site-middleware", full, ""},
		{"site-middleware-gzip", full, "Accept-Encoding: gzip"},
		{"site-middleware-304", full, "If-None-Match: *"},
	} {
		b.Run(tt.name, func(b *testing.B) { loopback.Bench(b, tt.handler, tt.field) })
	}
}

// BenchmarkRestart is the time from New to the first answer.
func BenchmarkRestart(b *testing.B) {
	for _, n := range []int{1000, 5000, 10_000} {
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			cfg := xesite.Config{DataDir: b.TempDir(), Builder: pages(n)}
			_, stop := built(b, cfg)
			stop()
			cfg.Source = &xesite.Git{Remote: "https://unreachable.invalid/x", Dir: filepath.Join(cfg.DataDir, "git")}
			for b.Loop() {
				site, err := xesite.New(b.Context(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				w := httptest.NewRecorder()
				site.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// maintained tells when a source has been maintained: there is nothing left
// then that a benchmark would only measure because it leaves no pauses.
type maintained struct {
	*xesite.Git
	done chan struct{}
}

// Maintain implements [xesite.Maintainer].
func (m maintained) Maintain(ctx context.Context) error {
	err := m.Git.Maintain(ctx)
	if ctx.Err() == nil {
		m.done <- struct{}{}
	}
	return err
}

// BenchmarkTriggerToServed is the time from a hook's trigger to the new page,
// with a generator that takes none: fetch, checkout, hashing, publication.
// Between pushes there is a pause, as there is on a real site.
func BenchmarkTriggerToServed(b *testing.B) {
	// As in the host program: one more for visitors.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1))
	gittest.Require(b)
	repo := gittest.New(b)
	for i := range 5000 {
		repo.Write(fmt.Sprintf("site/s%d/p%d.html", i%50, i), fmt.Sprintf("%s %d", page, i))
	}
	repo.Write("site/index.html", page)
	repo.Commit("many")
	repo.Push()
	dir := b.TempDir()
	source := maintained{&xesite.Git{Remote: repo.Bare, Dir: filepath.Join(dir, "git")}, make(chan struct{}, 100)}
	site, err := xesite.New(b.Context(), xesite.Config{
		DataDir: dir, Source: source, Builder: xesite.Command{Line: "true"}, OutputDir: "site", Poll: -1,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); site.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	i, cpu := 0, time.Duration(0)
	for b.Loop() {
		b.StopTimer()
		i++
		<-source.done
		repo.Write("site/index.html", fmt.Sprintf("%s change %d", page, i))
		hint := repo.Commit("change")
		repo.Push()
		cpu -= loopback.CPUTime(b)
		b.StartTimer()
		ticket, err := site.Trigger(ctx, xesite.Trigger{Source: "github", Hint: hint})
		if err != nil {
			b.Fatal(err)
		}
		build, err := ticket.Wait(ctx)
		if err != nil || build.Commit != hint || build.Result != xesite.ResultPublished {
			b.Fatal(build, err)
		}
		cpu += loopback.CPUTime(b)
	}
	b.ReportMetric(float64(cpu.Milliseconds())/float64(i), "cpu-ms/op")
}
