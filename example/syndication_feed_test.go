// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/webhook"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/state"
)

func TestFeedIsFoundAsPeopleWriteItsPath(t *testing.T) {
	files := fstest.MapFS{
		"blog.json":      {Data: []byte(feedOf("a"))},
		"feed/index.xml": {Data: []byte(`<rss version="2.0"><channel><title>x</title><item><guid>a</guid><link>https://me.example/a</link><title>t</title></item></channel></rss>`)},
		"page":           {Data: []byte("<html><body>x")},
		"empty":          {},
		"half.json":      {Data: []byte(feedOf("a")[:50])},
	}
	for path, says := range map[string]string{
		"/blog.json": "", "blog.json": "", "../blog.json": "", "/feed/index.xml": "",
		"/feed/": "set -feed to the path of its file", "feed": "set -feed to", "/": "set -feed to", "/missing": "set -feed to",
		"https://me.example/blog.json": "set -feed to", "page": "web page", "empty": "empty", "half.json": "not a feed",
	} {
		s := &syndication{siteURL: "https://me.example/", feed: path, log: slog.New(slog.DiscardHandler)}
		posts, err := s.posts(files)
		if says == "" && (err != nil || len(posts) != 1) || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %d posts, error %v, want %q", path, len(posts), err, says)
		}
	}
}

func TestSiteMayBeBelowAPath(t *testing.T) {
	for _, tt := range []struct{ site, feed, want string }{
		{"https://me.example/", "/blog.json", "https://me.example/blog.json"},
		{"https://me.example", "blog.json", "https://me.example/blog.json"},
		{"https://me.example/sub/", "/blog.json", "https://me.example/sub/blog.json"},
		{"https://me.example/sub", "a b.json", "https://me.example/sub/a%20b.json"},
	} {
		if got := onSite(tt.site, tt.feed); got != tt.want {
			t.Errorf("%s on %s is %s, want %s", tt.feed, tt.site, got, tt.want)
		}
	}
	site := &url.URL{Path: "/sub/"}
	if files := (fstest.MapFS{"p/index.html": {}}); !hasPage(files, below(&url.URL{Path: "/sub/p/"}, site)) || hasPage(files, below(&url.URL{Path: "/sub/q/"}, site)) {
		t.Error("pages are looked for at another path")
	}
}

// moody is a store that may be full.
type moody struct {
	state.Store
	full atomic.Bool
}

func (m *moody) Swap(ctx context.Context, key string, old, value []byte) (bool, error) {
	if m.full.Load() {
		return false, errors.New("no space left")
	}
	return m.Store.Swap(ctx, key, old, value)
}

// Nothing else is published for days.
func TestPostsThatCouldNotBeRecordedAreLookedForAgain(t *testing.T) {
	dir, err := state.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		store := &moody{Store: dir}
		target, err := webhook.New(webhook.Config{URL: "https://nowhere.example/"})
		if err != nil {
			t.Fatal(err)
		}
		s := &syndication{store: store, siteURL: "https://me.example/", feed: "blog.json", log: slog.New(slog.DiscardHandler)}
		s.Syndicator, err = syndicate.New(syndicate.Config{Store: store, Targets: map[string]syndicate.Destination{"webhook": {Target: target}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		store.full.Store(true)
		go s.lead(ctx, &xesite.Published{Current: xesite.Current{Sequence: 1}, FS: fstest.MapFS{"blog.json": {Data: []byte(feedOf("a"))}}})
		<-time.After(10 * time.Second)
		if s.status()["problem"] == nil || s.Status().Targets[0].Began {
			t.Errorf("status of a store that is full: %v", s.status())
		}
		store.full.Store(false)
		<-time.After(2 * againEvery)
		if s.status()["problem"] != nil || !s.Status().Targets[0].Began {
			t.Errorf("status when there is space again: %v", s.status())
		}
		cancel()
		synctest.Wait()
	})
}
