// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

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

// checkLinks refuses a release in which a page links to another path of the
// site that a visitor would not find. What visitors get is asked of the same
// handler that would serve them, so redirects and rules count.
func checkLinks(ctx context.Context, siteURL string, rel *release.Release) error {
	root, err := url.Parse(siteURL)
	if err != nil {
		return err
	}
	c := linkChecker{root: root, site: serve.New(rel, serve.Options{MemoryBudget: -1}), known: map[string]bool{}}
	for _, f := range rel.Index.Files {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !strings.HasPrefix(f.Type, "text/html") {
			continue
		}
		if err := c.page(rel, f.Path); err != nil {
			return err
		}
	}
	if len(c.broken) > 0 {
		return rejectf("%d links lead nowhere: %s", len(c.broken), few(c.broken))
	}
	return nil
}

// linkChecker collects links that end nowhere.
type linkChecker struct {
	root   *url.URL // of the site
	site   *serve.Handler
	known  map[string]bool // targets that were asked for: whether they exist
	broken []string
}

// page asks for everything that a page links to.
func (c *linkChecker) page(rel *release.Release, path string) error {
	file, err := rel.FS().Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	at := strings.TrimSuffix(path, "index.html")
	base := c.root.JoinPath(at)
	tokens := html.NewTokenizer(file)
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if err := tokens.Err(); !errors.Is(err, io.EOF) {
				return fmt.Errorf("check the links of %q: %w", path, err)
			}
			return nil
		case html.StartTagToken, html.SelfClosingTagToken:
			c.tag(tokens, "/"+at, base)
		}
	}
}

// linkAttributes are where elements link to what a visitor needs.
var linkAttributes = map[string]string{"a": "href", "area": "href", "link": "href", "img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}

func (c *linkChecker) tag(tokens *html.Tokenizer, page string, base *url.URL) {
	name, more := tokens.TagName()
	wanted, ok := linkAttributes[string(name)]
	for ok && more {
		var key, value []byte
		key, value, more = tokens.TagAttr()
		if string(key) == wanted {
			c.link(page, base, strings.TrimSpace(string(value)))
		}
	}
}

// link asks for one target, if it is on this site.
func (c *linkChecker) link(page string, base *url.URL, href string) {
	u, err := url.Parse(href)
	if err != nil || href == "" || href[0] == '#' {
		return
	}
	target := base.ResolveReference(u)
	below, inside := strings.CutPrefix(target.Path, strings.TrimSuffix(c.root.Path, "/"))
	if target.Host != c.root.Host || target.Opaque != "" || !inside {
		return
	}
	target = &url.URL{Path: below, RawQuery: target.RawQuery}
	found, known := c.known[target.String()]
	if !known {
		found = c.found(target)
		c.known[target.String()] = found
	}
	if !found {
		c.broken = append(c.broken, page+" → "+target.String())
	}
}

func (c *linkChecker) found(target *url.URL) bool {
	if strings.HasPrefix(target.Path, ownPrefix) {
		return true
	}
	r := &http.Request{Method: http.MethodHead, URL: target, Header: http.Header{}}
	return c.site.Serve(nowhere{}, r) < http.StatusBadRequest
}

// nowhere is where answers go that nobody reads.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}
