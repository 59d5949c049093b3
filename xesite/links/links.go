// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package links finds links between the pages of a site that lead nowhere.
//
// # Overview
//
//	broken, err := links.Broken(ctx, "https://site.example/", rel)
//	for _, link := range broken {
//		fmt.Println(link.Page, "→", link.Target)
//	}
//
// [Check] does it as a gate of package xesite:
//
//	cfg.Gates.Func = func(ctx context.Context, c xesite.Candidate) error {
//		return links.Check(ctx, c.SiteURL, c.Next)
//	}
//
// What a visitor would get is asked of the handler that would serve them, so
// redirects and rules count. Links to other hosts are not followed, and where a
// redirect leads to is not asked. A page's <base> does not count.
package links

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"

	"xeiaso.net/site/xesite/release"
	"xeiaso.net/site/xesite/serve"
)

// Link is a link from a page of a site.
type Link struct {
	Page   string // path of the page: "/blog/"
	Target string // path on the site, with its query: "/old?x=y"
}

// Check returns an error that names broken links, if there are any.
func Check(ctx context.Context, siteURL string, rel *release.Release) error {
	broken, err := Broken(ctx, siteURL, rel)
	if err != nil || len(broken) == 0 {
		return err
	}
	const most = 10
	var names []string
	for _, link := range broken[:min(len(broken), most)] {
		names = append(names, link.Page+" → "+link.Target)
	}
	more := ""
	if len(broken) > most {
		more = fmt.Sprintf(" and %d more", len(broken)-most)
	}
	return fmt.Errorf("%d links lead nowhere: %s%s", len(broken), strings.Join(names, ", "), more)
}

// Broken returns the links of a release's pages to paths of the same site that
// are answered with an error. SiteURL is the address of its root.
func Broken(ctx context.Context, siteURL string, rel *release.Release) ([]Link, error) {
	root, err := url.Parse(siteURL)
	if err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	c := checker{root: root, site: serve.New(rel, serve.Options{MemoryBudget: -1}), known: map[string]bool{}}
	for _, f := range rel.Index.Files {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !strings.HasPrefix(f.Type, "text/html") {
			continue
		}
		if err := c.page(rel, f.Path); err != nil {
			return nil, err
		}
	}
	return c.broken, nil
}

// checker collects links that end nowhere.
type checker struct {
	root   *url.URL // of the site
	site   *serve.Handler
	known  map[string]bool // targets that were asked for: whether they exist
	broken []Link
}

// page asks for everything that a page links to.
func (c *checker) page(rel *release.Release, path string) error {
	file, err := rel.FS().Open(path)
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	defer file.Close()
	at := strings.TrimSuffix(path, "index.html")
	// Not JoinPath, which would unescape a name with a percent sign.
	base := &url.URL{Scheme: c.root.Scheme, Host: c.root.Host, Path: strings.TrimSuffix(c.root.Path, "/") + "/" + at}
	tokens := html.NewTokenizer(file)
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if err := tokens.Err(); !errors.Is(err, io.EOF) {
				return fmt.Errorf("links: read %q: %w", path, err)
			}
			return nil
		case html.StartTagToken, html.SelfClosingTagToken:
			c.tag(tokens, "/"+at, base)
		}
	}
}

// attribute returns where an element links to what a visitor needs.
func attribute(element string) string {
	switch element {
	case "a", "area", "link":
		return "href"
	case "img", "script", "iframe", "source", "video", "audio":
		return "src"
	}
	return ""
}

func (c *checker) tag(tokens *html.Tokenizer, page string, base *url.URL) {
	name, more := tokens.TagName()
	wanted := attribute(string(name))
	for wanted != "" && more {
		var key, value []byte
		key, value, more = tokens.TagAttr()
		if string(key) == wanted {
			c.link(page, base, strings.TrimSpace(string(value)))
		}
	}
}

// link asks for one target, if it is on this site.
func (c *checker) link(page string, base *url.URL, href string) {
	u, err := url.Parse(href)
	if err != nil || href == "" || href[0] == '#' {
		return
	}
	target := base.ResolveReference(u)
	below, inside := strings.CutPrefix(target.Path, strings.TrimSuffix(c.root.Path, "/"))
	inside = inside && (below == "" || below[0] == '/') // "/subway" is not in "/sub"
	if target.Host != c.root.Host || target.Opaque != "" || !inside || strings.HasPrefix(below, "/.within/") {
		return
	}
	target = &url.URL{Path: below, RawQuery: target.RawQuery}
	found, known := c.known[target.String()]
	if !known {
		found = c.found(target)
		c.known[target.String()] = found
	}
	if !found {
		c.broken = append(c.broken, Link{page, target.String()})
	}
}

func (c *checker) found(target *url.URL) bool {
	r := &http.Request{Method: http.MethodHead, URL: target, Header: http.Header{}}
	return c.site.Serve(nowhere{}, r) < http.StatusBadRequest
}

// nowhere is where answers go that nobody reads.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}
