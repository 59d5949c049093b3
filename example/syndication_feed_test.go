// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
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
