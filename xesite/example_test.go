// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/hook"
)

// A whole site: fetched from git at every push, built by Hugo, served on two
// listeners.
func Example() {
	ctx := context.Background()
	site, err := xesite.New(ctx, xesite.Config{
		DataDir:    "/var/lib/site",
		Source:     &xesite.Git{Remote: "https://git.example/me/site", Branch: "main"},
		Builder:    xesite.Command{Line: "hugo --minify"},
		OutputDir:  "public",
		CachePaths: []string{"resources"},
		SiteURL:    "https://me.example/",
		Logger:     slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	github, err := hook.New(hook.Config{
		Forge: hook.GitHub, Secrets: []hook.Secret{hook.Secret(os.Getenv("GITHUB_SECRET"))}, Branch: "main",
		Receive: func(ctx context.Context, p hook.Push) (string, error) {
			ticket, err := site.Trigger(ctx, xesite.Trigger{Source: "github", Hint: p.After})
			if err != nil {
				return "", err
			}
			return ticket.ID, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	go site.Run(ctx)
	go http.ListenAndServe("127.0.0.1:3001", site.AdminHandler(xesite.Admin{Loopback: true}))
	public := site.Handler(xesite.Listener{Hooks: map[string]http.Handler{"github": github}})
	log.Fatal(http.ListenAndServe(":3000", public))
}

// A site without a repository and without a generator's program: the pages
// are made by a function.
func ExampleNew() {
	dataDir, err := os.MkdirTemp("", "site")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dataDir)
	site, err := xesite.New(context.Background(), xesite.Config{
		DataDir: dataDir,
		Source:  &xesite.Dir{Path: dataDir},
		Builder: xesite.BuilderFunc(func(_ context.Context, in xesite.BuildInput) error {
			if err := os.Mkdir(in.Output, 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(in.Output, "index.html"), []byte("made by a function"), 0o644)
		}),
		Poll:      -1,
		OnPublish: func(p xesite.Published) { fmt.Println("added:", p.Changes.Added) },
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- site.Run(ctx) }()

	ticket, err := site.Trigger(ctx, xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := ticket.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	cancel()
	<-ended // everybody was told of everything then

	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Code, w.Body)
	// Output:
	// added: [index.html]
	// 200 made by a function
}

// A site that is built elsewhere, and asked beforehand what would change.
func ExampleSite_Upload() {
	upload := func(site *xesite.Site, path string) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		plan, err := site.Upload(context.Background(), xesite.Upload{Archive: f, DryRun: true})
		if err != nil {
			return err
		}
		if plan.Result != xesite.ResultPublished || len(plan.Changes.Removed) > 10 {
			return fmt.Errorf("not published: %s %s, removes %q", plan.Result, plan.Error, plan.Changes.Removed)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err = site.Upload(context.Background(), xesite.Upload{Archive: f})
		return err
	}
	_ = upload
}

// Patrons, prices, events: what a build needs from elsewhere. If the service
// is down, the last good value is used.
func ExampleDataFile() {
	_ = xesite.DataFile{
		Path: "data/patrons.json",
		Fetch: func(ctx context.Context) ([]byte, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example/patrons", nil)
			if err != nil {
				return nil, err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return nil, fmt.Errorf("patrons: %s", resp.Status)
			}
			return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		},
		Timeout: 5 * time.Second,
		MaxAge:  7 * 24 * time.Hour,
	}
}

func ExampleCommand() {
	_ = xesite.Command{
		Line: "npm ci && npx @11ty/eleventy",
		Env:  []string{"NODE_ENV=production"},
		Nice: 15,
	}
}

func ExampleSite_Collector() {
	var site *xesite.Site // from New
	registry := prometheus.NewRegistry()
	if site != nil {
		registry.MustRegister(site.Collector())
	}
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
}

func ExampleCanonicalHost() {
	h := xesite.CanonicalHost{Host: "me.example"}.Middleware(http.NotFoundHandler())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://www.me.example/post?page=2", nil))
	fmt.Println(w.Code, w.Header().Get("Location"))
	// Output: 308 https://me.example/post?page=2
}

func ExampleClacks() {
	h := xesite.Clacks("Terry Pratchett")(http.NotFoundHandler())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Header().Get("X-Clacks-Overhead"))
	// Output: GNU Terry Pratchett
}

// Serve stops when its context ends, after running requests were answered.
func ExampleServer() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(xesite.Server{}.Serve(ctx, ln, http.NotFoundHandler()))
	// Output: <nil>
}

// The record of a build is what a notification needs.
func ExampleBuild() {
	b := xesite.Build{Number: 7, Triggers: []string{"github"}, Result: xesite.ResultFailed, Stage: "generate", Error: "generator exited with code 1"}
	line, err := json.Marshal(map[string]any{"text": fmt.Sprintf("Build %d %s: %s", b.Number, b.Result, b.Error)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
	// Output: {"text":"Build 7 failed: generator exited with code 1"}
}
