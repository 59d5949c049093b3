// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package serve_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"xeiaso.net/site/xesite/release"
	"xeiaso.net/site/xesite/serve"
)

// page is long and dull enough that every coding pays.
var page = "<!doctype html><title>page</title>" + strings.Repeat("<p>The quick brown fox.</p>\n", 200)

// files makes an in-memory tree.
func files(t testing.TB, contents map[string]string) *release.Release {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, content := range contents {
		fsys[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	rel, report, err := release.New(context.Background(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range report.Mistakes {
		t.Errorf("mistake in a rule file: %v", m)
	}
	return rel
}

// get sends a request with header fields "Name: value".
func get(t testing.TB, h http.Handler, target string, fields ...string) *http.Response {
	t.Helper()
	return do(t, h, http.MethodGet, target, fields...)
}

func do(t testing.TB, h http.Handler, method, target string, fields ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "http://site.example/", nil)
	u, err := url.ParseRequestURI(target) // as net/http does
	if err != nil {
		t.Fatal(err)
	}
	r.URL = u
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPathsFindTheirFiles(t *testing.T) {
	h := serve.New(files(t, map[string]string{
		"index.html":               "home",
		"about.html":               "about",
		"blog/index.html":          "blog",
		"blog/post.html":           "post",
		"plain":                    "plain file",
		"plain.html":               "shadowed by the exact name",
		"both.html":                "both file",
		"both/index.html":          "both directory",
		"404.html":                 "missing",
		"fr/404.html":              "manquant",
		"sp ace/ü/index.html":      "odd",
		".well-known/security.txt": "contact",
		"img/logo.png":             "png",
	}), serve.Options{})
	for _, tt := range []struct {
		target, body, location string
		status                 int
	}{
		{"/", "home", "", 200},
		{"/index.html", "home", "", 200},
		{"/about", "about", "", 200},
		{"/about.html", "about", "", 200},
		{"/about/", "", "/about", 308},
		{"/blog/", "blog", "", 200},
		{"/blog", "", "/blog/", 308},
		{"/blog?a=b&c", "", "/blog/?a=b&c", 308},
		{"/blog/index.html", "blog", "", 200},
		{"/blog/post", "post", "", 200},
		{"/plain", "plain file", "", 200},
		{"/both", "both file", "", 200},
		{"/both/", "both directory", "", 200},
		{"/sp%20ace/%C3%BC", "", "/sp%20ace/%C3%BC/", 308},
		{"/sp%20ace/%C3%BC/", "odd", "", 200},
		{"/.well-known/security.txt", "contact", "", 200},
		{"/img/", "missing", "", 404},
		{"/img", "missing", "", 404},
		{"/nothing", "missing", "", 404},
		{"/fr/rien", "manquant", "", 404},
		{"/frx", "missing", "", 404},
		{"/../about", "missing", "", 404},
		{"/%2e%2e/%2e%2e/etc/passwd", "missing", "", 404},
		{"//about", "missing", "", 404},
		{"//evil.example/", "missing", "", 404},
		{"/about%00", "missing", "", 404},
		{"/_redirects", "missing", "", 404},
		{"/_headers", "missing", "", 404},
	} {
		t.Run(tt.target, func(t *testing.T) {
			resp := get(t, h, tt.target)
			if resp.StatusCode != tt.status || resp.Header.Get("Location") != tt.location {
				t.Errorf("GET %s: status %d, location %q; want %d, %q", tt.target,
					resp.StatusCode, resp.Header.Get("Location"), tt.status, tt.location)
			}
			if got := body(t, resp); tt.body != "" && got != tt.body {
				t.Errorf("GET %s: body %q, want %q", tt.target, got, tt.body)
			}
			if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("GET %s: no nosniff", tt.target)
			}
		})
	}
}

func TestOtherMethodsAreRefusedWithAllow(t *testing.T) {
	h := serve.New(files(t, map[string]string{"index.html": page}), serve.Options{})
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"} {
		for _, target := range []string{"/", "/nothing"} {
			resp := do(t, h, method, target)
			if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", method, target, resp.StatusCode, resp.Header.Get("Allow"))
			}
		}
	}
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	h := serve.New(files(t, map[string]string{"index.html": page, "404.html": page}), serve.Options{})
	for _, target := range []string{"/", "/nothing"} {
		want, got := get(t, h, target), do(t, h, "HEAD", target)
		if got.StatusCode != want.StatusCode || fmt.Sprint(got.Header) != fmt.Sprint(want.Header) {
			t.Errorf("HEAD %s: %d %v\nGET: %d %v", target, got.StatusCode, got.Header, want.StatusCode, want.Header)
		}
		if b := body(t, got); b != "" {
			t.Errorf("HEAD %s has a body of %d bytes", target, len(b))
		}
	}
}

func TestNegotiation(t *testing.T) {
	h := serve.New(files(t, map[string]string{"index.html": page, "pic.png": page, "tiny.html": "x"}), serve.Options{})
	for _, tt := range []struct{ accept, want string }{
		{"", ""},
		{"gzip", "gzip"},
		{"GZIP", "gzip"},
		{"x-gzip", "gzip"},
		{"br", "br"},
		{"zstd", "zstd"},
		{"gzip, deflate, br, zstd", "br"}, // the smallest of the equally wanted
		{"gzip;q=1.0, br;q=0.5", "gzip"},
		{"gzip;q=0.5, br;q=0.501", "br"},
		{"gzip;q=0", ""},
		{"gzip;q=0.000, *", "br"},
		{"*", "br"},
		{"*;q=0", ""},
		{"identity;q=1, gzip;q=0.5", ""},
		{"identity;q=0.5, gzip;q=0.5", "gzip"},
		{"identity;q=0", ""}, // nothing else is accepted: better this than 406
		{"identity;q=0, gzip", "gzip"},
		{"gzip;q=abc", ""}, // the original panicked on this and the next two
		{"gzip;x", "gzip"},
		{"br;level", "br"},
		{"gzip;q=abc, br;q=0.1", "br"},
		{"gzip;q=1.0001;x=y", "gzip"},
		{" gzip ; q=0.8 ,,, ;", "gzip"},
		{"gzip;q=2", ""},
		{"compress", ""},
		{strings.Repeat(",", 5000) + "gzip", "gzip"},
	} {
		resp := get(t, h, "/", "Accept-Encoding: "+tt.accept)
		if got := resp.Header.Get("Content-Encoding"); got != tt.want {
			t.Errorf("Accept-Encoding %.60q: got %q, want %q", tt.accept, got, tt.want)
		}
		if got := decode(t, resp); got != page {
			t.Errorf("Accept-Encoding %.60q: the content differs after decoding", tt.accept)
		}
		if got := resp.Header.Get("Vary"); got != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %.60q: Vary %q", tt.accept, got)
		}
	}
	if resp := get(t, h, "/pic.png", "Accept-Encoding: gzip"); resp.Header.Get("Vary") != "" || resp.Header.Get("Content-Encoding") != "" {
		t.Errorf("a picture varies or is coded: %v", resp.Header)
	}
	if resp := get(t, h, "/tiny.html", "Accept-Encoding: gzip"); resp.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("a page too small to code does not vary: %v", resp.Header)
	}
}

func decode(t *testing.T, resp *http.Response) string {
	t.Helper()
	var r io.Reader = resp.Body
	var err error
	switch resp.Header.Get("Content-Encoding") {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	case "br":
		r = brotli.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEachRepresentationHasItsOwnStrongTag(t *testing.T) {
	rel := files(t, map[string]string{"index.html": page, "other.html": page})
	h := serve.New(rel, serve.Options{})
	again := serve.New(rel, serve.Options{})
	tags := map[string]string{}
	for _, coding := range []string{"identity", "gzip", "zstd", "br"} {
		tag := get(t, h, "/", "Accept-Encoding: "+coding).Header.Get("Etag")
		if !strings.HasPrefix(tag, `"`) || tags[tag] != "" {
			t.Errorf("%s has tag %s, which is weak or that of %s", coding, tag, tags[tag])
		}
		tags[tag] = coding
		if other := get(t, again, "/other.html", "Accept-Encoding: "+coding).Header.Get("Etag"); other != tag {
			t.Errorf("%s: the same content has tags %s and %s", coding, tag, other)
		}
	}
}

func TestConditions(t *testing.T) {
	modified := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h := serve.New(files(t, map[string]string{"index.html": page}), serve.Options{Modified: []int64{modified.Unix()}})
	identity := get(t, h, "/").Header.Get("Etag")
	gz := get(t, h, "/", "Accept-Encoding: gzip").Header.Get("Etag")
	at := modified.Format(http.TimeFormat)
	before, after := modified.Add(-time.Hour).Format(http.TimeFormat), modified.Add(time.Hour).Format(http.TimeFormat)
	for _, tt := range []struct {
		fields string // separated by |
		status int
	}{
		{"If-None-Match: " + identity, 304},
		{"If-None-Match: W/" + identity, 304},
		{`If-None-Match: "x", ` + identity + `, "y"`, 304},
		{"If-None-Match: *", 304},
		{`If-None-Match: "x"`, 200},
		{"If-None-Match: " + gz, 200}, // the tag of another representation
		{"If-None-Match: " + gz + "|Accept-Encoding: gzip", 304},
		{"If-None-Match: " + identity + "|Accept-Encoding: gzip", 200},
		{"If-Modified-Since: " + at, 304},
		{"If-Modified-Since: " + after, 304},
		{"If-Modified-Since: " + before, 200},
		{"If-Modified-Since: rubbish", 200},
		{`If-None-Match: "x"|If-Modified-Since: ` + after, 200}, // the tag decides
		{"If-Match: " + identity, 200},
		{"If-Match: *", 200},
		{"If-Match: W/" + identity, 412}, // compared strongly
		{`If-Match: "x"`, 412},
		{"If-Unmodified-Since: " + before, 412},
		{"If-Unmodified-Since: " + at, 200},
		{`If-Match: "x"|If-None-Match: ` + identity, 412}, // in this order
		{"If-None-Match: " + identity + "|Range: bytes=0-9", 304},
		{`If-Match: "x"|Range: bytes=0-9`, 412},
	} {
		resp := get(t, h, "/", strings.Split(tt.fields, "|")...)
		if resp.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d", tt.fields, resp.StatusCode, tt.status)
		}
		if tt.status != 304 {
			continue
		}
		if b := body(t, resp); b != "" || resp.Header.Get("Content-Length") != "" || resp.Header.Get("Content-Type") != "" {
			t.Errorf("%s: 304 with %d bytes and %v", tt.fields, len(b), resp.Header)
		}
		for _, name := range []string{"Etag", "Vary", "Cache-Control"} {
			if resp.Header.Get(name) == "" {
				t.Errorf("%s: 304 without %s", tt.fields, name)
			}
		}
	}
}

func TestNoLastModifiedInTheFuture(t *testing.T) {
	rel := files(t, map[string]string{"index.html": page})
	h := serve.New(rel, serve.Options{Modified: []int64{time.Now().Add(time.Hour).Unix()}})
	if got := get(t, h, "/").Header.Get("Last-Modified"); got != "" {
		t.Errorf("Last-Modified %s is later than Date", got)
	}
}

func TestRangesComeFromIdentity(t *testing.T) {
	modified := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h := serve.New(files(t, map[string]string{"index.html": page}), serve.Options{Modified: []int64{modified.Unix()}})
	identity := get(t, h, "/").Header.Get("Etag")
	gz := get(t, h, "/", "Accept-Encoding: gzip").Header.Get("Etag")
	size := len(page)
	for _, tt := range []struct {
		fields string
		status int
		body   string
	}{
		{"Range: bytes=0-9", 206, page[:10]},
		{"Range: bytes=-5", 206, page[size-5:]},
		{fmt.Sprintf("Range: bytes=%d-", size-3), 206, page[size-3:]},
		{"Range: bytes=5-5|Accept-Encoding: gzip, br", 206, page[5:6]},
		{"Range: bytes=0-9|If-Range: " + identity, 206, page[:10]},
		{"Range: bytes=0-9|If-Range: " + modified.Format(http.TimeFormat), 206, page[:10]},
		{"Range: bytes=0-9|If-Range: W/" + identity, 200, page},
		{`Range: bytes=0-9|If-Range: "other"`, 200, page},
		{"Range: bytes=0-9|If-Range: rubbish", 200, page},
		{"Range: lines=0-9", 200, page},
		{fmt.Sprintf("Range: bytes=%d-", size), 416, ""},
		{"Range: bytes=0-0" + strings.Repeat(",0-0", 100), 200, page},
	} {
		resp := get(t, h, "/", strings.Split(tt.fields, "|")...)
		if resp.StatusCode != tt.status {
			t.Errorf("%.80s: status %d, want %d", tt.fields, resp.StatusCode, tt.status)
		}
		if got := body(t, resp); tt.status != 416 && got != tt.body {
			t.Errorf("%.80s: body of %d bytes, want %d", tt.fields, len(got), len(tt.body))
		}
		if tt.status == 206 && (resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("Etag") != identity || resp.Header.Get("Vary") == "") {
			t.Errorf("%.80s: 206 with %v", tt.fields, resp.Header)
		}
	}
	// A client that holds half of the gzip form must get the whole of it again.
	resp := get(t, h, "/", "Range: bytes=9-", "If-Range: "+gz, "Accept-Encoding: gzip")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("If-Range with the tag of gzip: %d %v", resp.StatusCode, resp.Header)
	}
	if status := serveStatus(h, "bytes=0-0"); status != 206 {
		t.Errorf("Serve returns %d for a range, want 206", status)
	}
	if status := serveStatus(h, "bytes=999999-"); status != 416 {
		t.Errorf("Serve returns %d for a range behind the end, want 416", status)
	}
}

func serveStatus(h *serve.Handler, ranges string) int {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Range", ranges)
	return h.Serve(httptest.NewRecorder(), r)
}

func TestSeveralRangesInOneAnswer(t *testing.T) {
	h := serve.New(files(t, map[string]string{"index.html": page}), serve.Options{})
	resp := get(t, h, "/", "Range: bytes=0-4,10-19")
	mediaType, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || resp.StatusCode != 206 || mediaType != "multipart/byteranges" {
		t.Fatalf("status %d, %v", resp.StatusCode, resp.Header)
	}
	parts := multipart.NewReader(resp.Body, params["boundary"])
	for _, want := range []string{page[:5], page[10:20]} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(part); string(got) != want {
			t.Errorf("part %q, want %q", got, want)
		}
	}
}

func TestMissingPagesAreNegotiatedButHaveNoValidators(t *testing.T) {
	h := serve.New(files(t, map[string]string{"404.html": page}), serve.Options{Modified: []int64{1}})
	tag := get(t, h, "/404").Header.Get("Etag")
	resp := get(t, h, "/gone", "Accept-Encoding: gzip", "If-None-Match: "+tag, "Range: bytes=0-1")
	if resp.StatusCode != 404 || resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Vary") == "" {
		t.Errorf("status %d, %v", resp.StatusCode, resp.Header)
	}
	if resp.Header.Get("Etag")+resp.Header.Get("Last-Modified") != "" {
		t.Errorf("an error page has validators: %v", resp.Header)
	}
	if decode(t, resp) != page {
		t.Error("not the page of 404.html")
	}
}

func TestCacheControl(t *testing.T) {
	contents := map[string]string{}
	want := map[string]bool{
		"app.5e883d35.css": true, "app-5e883d35f1.js": true, "chunk_DEADBEEF1.mjs": true, "a.b/x.0a1b2c3d4e.woff2": true,
		"app.css": false, "photo-20260301.jpg": false, "12345678.png": false, "deadbee.css": false,
		"post-5e883d35.html": false, "5e883d35dir/app.css": false, "feed.xml": false,
	}
	for name := range want {
		contents[name] = page
	}
	h := serve.New(files(t, contents), serve.Options{})
	for name, immutable := range want {
		got := get(t, h, "/"+name).Header.Get("Cache-Control")
		if strings.Contains(got, "immutable") != immutable {
			t.Errorf("%s: Cache-Control %q, immutable should be %v", name, got, immutable)
		}
	}
}

func TestRedirectRules(t *testing.T) {
	h := serve.New(files(t, map[string]string{
		"index.html": "home", "new.html": "new", "app/index.html": "app", "gone.html": "gone page",
		"exists.html": "exists", "forced.html": "never seen", "404.html": "missing",
		"_redirects": `
# comments and blank lines are passed over
/old            /new
/temp           /new                    302
/exists         /new                    301
/forced         /new                    301!
/news/*         /blog/:splat            308
/u/:user/:page  https://u.example/:page?by=:user#top 302
/store id=:id   /items/:id              301
/store          /shop                   302
/app/*          /app/                   200
/gone/*         /gone.html              410
/nope           /404.html               404
/blog/🥺        /new                    301
/loop           /loop/                  301
/keep           /new?own=1              301
/all/*          /:splat                 301
/tmpl/:slug     /:slug.html             301
/share/:id/:to  /s/:id?u=https://x.example/:to 302
`,
	}), serve.Options{})
	for _, tt := range []struct {
		target   string
		status   int
		location string
		body     string
	}{
		{"/old", 301, "/new", ""},
		{"/old/", 301, "/new", ""},
		{"/old?a=1&b=2", 301, "/new?a=1&b=2", ""},
		{"/keep?a=1", 301, "/new?own=1", ""},
		{"/temp", 302, "/new", ""},
		{"/exists", 200, "", "exists"},
		{"/forced", 301, "/new", ""},
		{"/news/2026/03", 308, "/blog/2026/03", ""},
		{"/news/", 308, "/blog/", ""},
		{"/news", 308, "/blog/", ""},
		{"/newsletter", 404, "", "missing"},
		{"/news/a%20b%0d%0aX:y", 308, "/blog/a%20b%0D%0AX:y", ""},
		{"/u/xe/about", 302, "https://u.example/about?by=xe#top", ""},
		{"/u/a%26b%3Dc/x%2Fy", 404, "", "missing"},
		{"/u/a%26b%3Dc/x", 302, "https://u.example/x?by=a%26b%3Dc#top", ""},
		{"/store?id=7", 301, "/items/7", ""},
		{"/store?id=7&x=1", 301, "/items/7?x=1", ""},
		{"/store", 302, "/shop", ""},
		{"/app/deep/link", 200, "", "app"},
		{"/gone/a", 410, "", "gone page"},
		{"/nope", 404, "", "missing"},
		{"/blog/%F0%9F%A5%BA", 301, "/new", ""},
		{"/loop", 301, "/loop/", ""},
		{"/loop/", 404, "", "missing"},
		{"/all//evil.example/x", 301, "/evil.example/x", ""},
		{`/all/%5Cevil.example`, 301, "/%5Cevil.example", ""},
		{"/tmpl/x", 301, "/x.html", ""},
		{"/share/7/a%26b", 302, "/s/7?u=https://x.example/a%26b", ""},
	} {
		t.Run(tt.target, func(t *testing.T) {
			resp := get(t, h, tt.target)
			if resp.StatusCode != tt.status || resp.Header.Get("Location") != tt.location {
				t.Errorf("status %d, location %q; want %d, %q", resp.StatusCode, resp.Header.Get("Location"), tt.status, tt.location)
			}
			if got := body(t, resp); tt.body != "" && got != tt.body {
				t.Errorf("body %q, want %q", got, tt.body)
			}
		})
	}
}

// A visitor must not be able to make a link on this site that leads elsewhere.
func TestRedirectsStayOnTheSite(t *testing.T) {
	h := serve.New(files(t, map[string]string{
		"index.html": "home", "evil.example/index.html": "a directory with the name of a host",
		"_redirects": "/* /:splat/x 301\n",
	}), serve.Options{})
	for _, target := range []string{"//evil.example", "///evil.example", `/\evil.example`, `/%5C%5Cevil.example`, "/%2Fevil.example", "//evil.example/%2e%2e"} {
		location := get(t, h, target).Header.Get("Location")
		if strings.HasPrefix(location, "//") || strings.HasPrefix(location, `/\`) || !strings.HasPrefix(location, "/") {
			t.Errorf("GET %s: Location %q leads off the site", target, location)
		}
	}
}

func TestHeaderRules(t *testing.T) {
	h := serve.New(files(t, map[string]string{
		"index.html": page, "a/index.html": page, "a/pic.jpg": page, "404.html": "missing", "app.5e883d35.css": page,
		"_redirects": "/app/* / 200\n/old/* /a/ 410\n",
		"_headers": `
/app/*
  X-Robots-Tag: noindex
/old/*
  X-Robots-Tag: none
/*
  X-Frame-Options: DENY
  Link: <https://one.example>; rel=preconnect
/a/*
  Cache-Control: public, max-age=60
  Link: <https://two.example>; rel=preconnect
  Vary: Origin
/a/*.jpg
  ! X-Frame-Options
  Content-Type: image/x-odd
/app.:hash.css
  X-None: placeholders are whole segments
`,
	}), serve.Options{})
	for _, tt := range []struct{ target, name, want string }{
		{"/", "X-Frame-Options", "DENY"},
		{"/", "Cache-Control", "public, max-age=0, must-revalidate"},
		{"/a/", "X-Frame-Options", "DENY"},
		{"/a/", "Cache-Control", "public, max-age=60"},
		{"/a/", "Link", "<https://one.example>; rel=preconnect, <https://two.example>; rel=preconnect"},
		{"/a/", "Vary", "Accept-Encoding, Origin"},
		{"/a/pic.jpg", "X-Frame-Options", ""},
		{"/a/pic.jpg", "Content-Type", "image/x-odd"},
		{"/nothing", "X-Frame-Options", "DENY"},
		{"/app/deep", "X-Robots-Tag", "noindex"}, // the path asked for counts, not the file's own
		{"/old/page", "X-Robots-Tag", "none"},
		{"/old/page", "Link", "<https://one.example>; rel=preconnect"},
		{"/app.5e883d35.css", "X-None", ""},
		{"/app.5e883d35.css", "Cache-Control", "public, max-age=31536000, immutable"},
	} {
		if got := get(t, h, tt.target).Header.Get(tt.name); got != tt.want {
			t.Errorf("GET %s: %s %q, want %q", tt.target, tt.name, got, tt.want)
		}
	}
	tag := get(t, h, "/a/").Header.Get("Etag")
	if resp := get(t, h, "/a/", "If-None-Match: "+tag); resp.StatusCode != 304 || resp.Header.Get("Cache-Control") != "public, max-age=60" {
		t.Errorf("304 without the rule's header: %d %v", resp.StatusCode, resp.Header)
	}
}

// Middleware may add to a header; the next answer must not show it.
func TestAnswersShareNothingThatChanges(t *testing.T) {
	h := serve.New(files(t, map[string]string{"index.html": page}), serve.Options{})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	w.Header().Add("Vary", "Cookie")
	w.Header().Add("Etag", "x")
	resp := get(t, h, "/")
	if got := resp.Header.Values("Vary"); len(got) != 1 {
		t.Errorf("Vary %q", got)
	}
}

func TestPreviousContentsAreTakenOver(t *testing.T) {
	ctx := t.Context()
	store, err := release.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"index.html": {Data: []byte(page)}}
	rel, _, err := store.Write(ctx, fsys)
	if err != nil {
		t.Fatal(err)
	}
	first := serve.New(rel, serve.Options{})
	get(t, first, "/")
	// Without files left, only what was taken over can answer.
	second := serve.New(rel, serve.Options{Previous: first})
	removeBlobs(t, store, rel)
	if got := body(t, get(t, second, "/")); got != page {
		t.Errorf("the content in memory was lost: %.40q", got)
	}
	var failures int
	third := serve.New(rel, serve.Options{OnError: func(error) { failures++ }})
	resp := get(t, third, "/", "Accept-Encoding: gzip")
	if resp.StatusCode != 500 || failures == 0 || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("a lost blob gives status %d, %d reports, %v", resp.StatusCode, failures, resp.Header)
	}
}

func removeBlobs(t *testing.T, store *release.Store, rel *release.Release) {
	t.Helper()
	for i := range rel.Index.Files {
		for _, c := range []release.Coding{release.Identity, release.Gzip, release.Zstd} {
			f, err := rel.Open(i, c)
			if err != nil {
				continue
			}
			f.Close()
			if err := os.Remove(f.(*os.File).Name()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAppendedScriptReachesEveryPageAndNothingElse(t *testing.T) {
	h := serve.New(files(t, map[string]string{"index.html": page, "404.html": page, "a.css": page}),
		serve.Options{AppendHTML: []byte("<script></script>")})
	for target, want := range map[string]string{"/": page + "<script></script>", "/nothing": page + "<script></script>", "/a.css": page} {
		resp := get(t, h, target, "Accept-Encoding: identity, gzip;q=0.1")
		if got := body(t, resp); got != want || resp.ContentLength != int64(len(want)) {
			t.Errorf("GET %s: %d bytes, length %d; want %d", target, len(got), resp.ContentLength, len(want))
		}
	}
}

// A browser that has the page without the script must not keep it, nor the
// other way round, and a handler must not take over the other's bytes.
func TestAppendedPagesHaveTagsOfTheirOwn(t *testing.T) {
	rel := files(t, map[string]string{"index.html": page, "a.css": page})
	plain := serve.New(rel, serve.Options{})
	tag := get(t, plain, "/").Header.Get("Etag")
	live := serve.New(rel, serve.Options{AppendHTML: []byte("<script></script>"), Previous: plain})
	if resp := get(t, live, "/", "If-None-Match: "+tag); resp.StatusCode != 200 || body(t, resp) != page+"<script></script>" {
		t.Errorf("the page with the script has the tag of the one without: %d", resp.StatusCode)
	}
	after := serve.New(rel, serve.Options{Previous: live})
	if got := body(t, get(t, after, "/")); got != page {
		t.Errorf("the script stays in memory: %d bytes, want %d", len(got), len(page))
	}
	if got, want := get(t, live, "/a.css").Header.Get("Etag"), get(t, plain, "/a.css").Header.Get("Etag"); got != want {
		t.Errorf("tag of a style sheet %s, want %s", got, want)
	}
}

// A file that does not fit is passed over; smaller ones after it are still
// taken.
func TestBudgetIsGivenBack(t *testing.T) {
	store, err := release.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	rel, _, err := store.Write(t.Context(), fstest.MapFS{
		"a.bin": {Data: make([]byte, 1000)}, "b.bin": {Data: make([]byte, 10)},
	})
	if err != nil {
		t.Fatal(err)
	}
	first := serve.New(rel, serve.Options{})
	get(t, first, "/a.bin")
	second := serve.New(rel, serve.Options{Previous: first, MemoryBudget: 500})
	get(t, second, "/b.bin")
	removeBlobs(t, store, rel)
	if resp := get(t, second, "/b.bin"); resp.StatusCode != 200 {
		t.Errorf("a file of 10 bytes is not kept with a budget of 500: status %d", resp.StatusCode)
	}
}

// Large files must leave through the kernel: net/http does that only if it is
// handed the file itself.
func TestLargeFilesAreHandedToTheConnection(t *testing.T) {
	store, err := release.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	large := bytes.Repeat([]byte("large"), 200_000)
	rel, _, err := store.Write(t.Context(), fstest.MapFS{"large.bin": {Data: large}})
	if err != nil {
		t.Fatal(err)
	}
	h := serve.New(rel, serve.Options{})
	w := &readerFrom{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(w, httptest.NewRequest("GET", "/large.bin", nil))
	if !w.sawFile || !bytes.Equal(w.Body.Bytes(), large) {
		t.Errorf("handed over as a file: %v, %d bytes", w.sawFile, w.Body.Len())
	}
}

type readerFrom struct {
	*httptest.ResponseRecorder
	sawFile bool
}

func (w *readerFrom) ReadFrom(r io.Reader) (int64, error) {
	// os.File wraps itself when it is copied; what counts is that the system
	// call can get at the descriptor.
	_, w.sawFile = r.(interface {
		io.Reader
		io.Seeker
	})
	return io.Copy(w.Body, r)
}

func FuzzServe(f *testing.F) {
	rel := files(f, map[string]string{
		"index.html": page, "a/index.html": page, "b.html": page, "404.html": page,
		"_redirects": "/r/* /:splat 301\n/u/:x/y https://e.example/:x 302\n/w/* /a/ 200\n/f /b 301!\n",
		"_headers":   "/*\n  X-A: b\n",
	})
	h := serve.New(rel, serve.Options{Modified: make([]int64, len(rel.Index.Files))})
	f.Add("/", "gzip", "bytes=0-1", `"x"`)
	f.Add("/r//evil.example", "gzip;q=abc", "bytes=-1,5-", `W/"x"`)
	f.Add("/u/%0d%0a/y", "*;q=0, br;q=1.", "bytes=9999999999999999999-", "*")
	f.Add("/%2e%2e/%00", "identity;q=0", "bytes=", ",,")
	f.Fuzz(func(t *testing.T, path, accept, ranges, tag string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		r.Header["Accept-Encoding"] = []string{accept}
		r.Header["Range"] = []string{ranges}
		r.Header["If-None-Match"] = []string{tag}
		w := httptest.NewRecorder()
		if status := h.Serve(w, r); status != w.Code {
			t.Errorf("Serve returns %d, sent %d", status, w.Code)
		}
		location := w.Header().Get("Location")
		if strings.ContainsAny(location, "\r\n\x00 ") || strings.HasPrefix(location, "//") || strings.HasPrefix(location, `/\`) {
			t.Errorf("path %q: Location %q", path, location)
		}
	})
}

func FuzzRuleFiles(f *testing.F) {
	f.Add("/a/* /b/:splat 301!", "/*\n  A: b", "/a/x?y=z")
	f.Add("/%2A*x/:a/* /:a 302", "/x*y%2A\n  ! A", "/*/b")
	f.Add("/s id=:id q=1 https://e.example/:id?a=:id", "/:a/:b\n  Vary: X", "/s?id=%0a&q=1")
	f.Fuzz(func(t *testing.T, redirects, headers, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !strings.HasPrefix(target, "/") {
			return
		}
		rel, _, err := release.New(t.Context(), fstest.MapFS{
			"index.html": {Data: []byte("x")}, "_redirects": {Data: []byte(redirects)}, "_headers": {Data: []byte(headers)},
		})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		serve.New(rel, serve.Options{}).Serve(w, &http.Request{Method: "GET", URL: u, Header: http.Header{}})
		if location := w.Header().Get("Location"); strings.ContainsAny(location, "\r\n\x00") {
			t.Errorf("Location %q", location)
		}
	})
}

// A refusal is about the request: a cache that kept it under the file's own
// policy would refuse everybody for a year.
func TestRefusalsDoNotCarryTheFilesCacheControl(t *testing.T) {
	h := serve.New(files(t, map[string]string{"app.5e883d35.css": page}), serve.Options{})
	for _, tt := range []struct {
		fields string
		status int
	}{
		{`If-Match: "x"`, 412},
		{`If-Match: "x"|Range: bytes=0-9`, 412},
		{"Range: bytes=999999-", 416},
		{"Range: bytes=x-y", 416},
	} {
		r := httptest.NewRequest("GET", "/app.5e883d35.css", nil)
		for field := range strings.SplitSeq(tt.fields, "|") {
			name, value, _ := strings.Cut(field, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		if returned := h.Serve(w, r); returned != tt.status || w.Code != tt.status {
			t.Errorf("%s: sent %d and returned %d, want %d", tt.fields, w.Code, returned, tt.status)
		}
		for _, name := range []string{"Etag", "Last-Modified"} {
			if got := w.Header().Get(name); got != "" {
				t.Errorf("%s: %d with %s %s", tt.fields, tt.status, name, got)
			}
		}
		if got := w.Header().Get("Cache-Control"); strings.Contains(got, "immutable") {
			t.Errorf("%s: %d with Cache-Control %s", tt.fields, tt.status, got)
		}
	}
}

// What a proxy sends for "http://host", RFC 9110 section 4.2.3.
func TestAnEmptyPathIsTheRoot(t *testing.T) {
	h := serve.New(files(t, map[string]string{"index.html": page}), serve.Options{})
	if resp := get(t, h, "http://host.example"); resp.StatusCode != 200 || body(t, resp) != page {
		t.Errorf("GET http://host.example: status %d", resp.StatusCode)
	}
}

func TestEarlierReleasesFillInWhatIsMissing(t *testing.T) {
	const style, forced = "/css/site.0a1b2c3d.css", "/js/app.0a1b2c3d.js"
	oldest := files(t, map[string]string{style[1:]: "oldest", "js/only.0a1b2c3d.js": "oldest", "_headers": "/*\n  X-Release: oldest\n"})
	older := files(t, map[string]string{style[1:]: "older", forced[1:]: "older", "a.0a1b2c3d": "older", "b.0a1b2c3d.css": "older"})
	h := serve.New(files(t, map[string]string{
		"index.html": "page", "a.0a1b2c3d.html": "page", "b.0a1b2c3d.css": "newest",
		"_redirects": "/js/app.0a1b2c3d.js /index.html 200!\n/* /index.html 200\n", "_headers": "/css/*\n  X-Release: newest\n",
	}), serve.Options{Earlier: []*release.Release{older, oldest}, Modified: []int64{1, 1, 1}})
	for path, want := range map[string]string{
		style: "older", "/js/only.0a1b2c3d.js": "oldest", forced: "page", "/a.0a1b2c3d": "page", "/b.0a1b2c3d.css": "newest", "/x": "page",
	} {
		if got := body(t, get(t, h, path)); got != want {
			t.Errorf("GET %s: %q, want that of %s", path, got, want)
		}
	}
	resp := get(t, h, style)
	for name, want := range map[string]string{"Cache-Control": "public, max-age=31536000, immutable", "X-Release": "newest", "Last-Modified": ""} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if resp := get(t, h, style, "If-None-Match: "+resp.Header.Get("Etag")); resp.StatusCode != http.StatusNotModified {
		t.Errorf("with the tag: %s", resp.Status)
	}
	if got := get(t, h, "/js/only.0a1b2c3d.js").Header.Get("X-Release"); got != "" {
		t.Errorf("a rule of the oldest release counts: %s", got)
	}
}

// Another instance may have removed what this one still knows of.
func TestAnEarlierFileThatIsGoneIsNotFound(t *testing.T) {
	store, err := release.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	rel, _, err := store.Write(t.Context(), fstest.MapFS{"css/site.0a1b2c3d.css": {Data: []byte("old")}})
	if err != nil {
		t.Fatal(err)
	}
	removeBlobs(t, store, rel)
	var told error
	h := serve.New(files(t, map[string]string{"404.html": "not there"}), serve.Options{
		Earlier: []*release.Release{rel}, OnError: func(err error) { told = err },
	})
	for _, fields := range [][]string{nil, {"Range: bytes=0-1"}} {
		resp := get(t, h, "/css/site.0a1b2c3d.css", fields...)
		if got := body(t, resp); resp.StatusCode != http.StatusNotFound || got != "not there" || resp.Header.Get("Cache-Control") != "public, max-age=0, must-revalidate" || told == nil {
			t.Errorf("with %v: %s %q %v, told of %v", fields, resp.Status, got, resp.Header, told)
		}
	}
}
