// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package serve_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/loopback"
	"xeiaso.net/site/xesite/release"
	"xeiaso.net/site/xesite/serve"
)

// zipped makes a zip by another hand. Names that end in "!" are stored.
func zipped(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		h := &zip.FileHeader{Name: pairs[i], Method: zip.Deflate}
		if name, ok := strings.CutSuffix(h.Name, "!"); ok {
			h.Name, h.Method = name, zip.Store
		}
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, pairs[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func fromZip(t testing.TB, b []byte) *release.Release {
	t.Helper()
	rel, _, err := release.OpenZip(context.Background(), bytes.NewReader(b), int64(len(b)), release.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return rel
}

// large is more than a handler keeps in memory, and dull enough to shrink.
var large = strings.Repeat(page, 200)

func picture(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

// What a visitor gets does not tell where the release is kept, but for the
// bytes of the gzip form.
func TestZipIsServedLikeTheSameReleaseElsewhere(t *testing.T) {
	pairs := []string{
		"index.html", page, "large.html", large, "small.css", "a{}", "photo.png!", picture(3000),
		"large.png!", picture(600_000), "dir/index.html", page, "stored.html!", page, "404.html", "nothing",
		"_redirects", "/old /dir/ 302\n/app/* /index.html 200\n", "_headers", "/*.css\n  X-A: b\n", "empty", "",
	}
	contents := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		contents[strings.TrimSuffix(pairs[i], "!")] = pairs[i+1]
	}
	rel := fromZip(t, zipped(t, pairs...))
	direct := serve.New(rel, serve.Options{})
	memory := serve.New(files(t, contents), serve.Options{})
	if direct.Release().ID != memory.Release().ID {
		t.Fatal("two releases")
	}
	for _, path := range []string{
		"/", "/index.html", "/large", "/large.html", "/small.css", "/photo.png", "/large.png", "/dir", "/dir/", "/stored",
		"/none", "/old", "/app/x", "/empty", "/_headers",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			want, got := do(t, memory, method, path), do(t, direct, method, path)
			same(t, method+" "+path, want, got, "Etag", "Content-Type", "Content-Length", "Accept-Ranges", "Location", "Vary", "X-A", "Cache-Control")
			identity := got.Header.Get("Etag")
			want, got = do(t, memory, method, path, "Accept-Encoding: gzip"), do(t, direct, method, path, "Accept-Encoding: gzip")
			if got.Header.Get("Content-Encoding") == "" || want.Header.Get("Content-Encoding") == "" {
				continue
			}
			if n := body(t, got); method == "GET" && fmt.Sprint(len(n)) != got.Header.Get("Content-Length") || inflated(t, method, n) != inflated(t, method, body(t, want)) {
				t.Errorf("%s %s as gzip: %d bytes, %v", method, path, len(n), got.Header)
			}
			if tag := got.Header.Get("Etag"); got.StatusCode == 200 && (tag == identity || tag == want.Header.Get("Etag")) {
				t.Errorf("%s %s: tag %s stands for several contents", method, path, tag)
			}
		}
	}
}

func same(t *testing.T, what string, want, got *http.Response, fields ...string) {
	t.Helper()
	if got.StatusCode != want.StatusCode || body(t, got) != body(t, want) {
		t.Errorf("%s: status %d, want %d, or another body", what, got.StatusCode, want.StatusCode)
	}
	for _, f := range fields {
		// A content that is held as gzip has parts of that too.
		if got.Header.Get(f) != want.Header.Get(f) {
			t.Errorf("%s: %s %q, want %q", what, f, got.Header.Get(f), want.Header.Get(f))
		}
	}
}

func inflated(t *testing.T, method, b string) string {
	t.Helper()
	if method == "HEAD" {
		return ""
	}
	z, err := gzip.NewReader(strings.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestRangesOfAZip(t *testing.T) {
	png, small := picture(600_000), picture(3000)
	rel := fromZip(t, zipped(t, "large.html", large, "large.png!", png, "odd.png", strings.Repeat("x", 5000)+small, "index.html", page))
	h := serve.New(rel, serve.Options{})
	gz := body(t, get(t, h, "/large.html", "Accept-Encoding: gzip"))
	tag := get(t, h, "/large.html", "Accept-Encoding: gzip").Header.Get("Etag")
	identity := get(t, h, "/large.html").Header.Get("Etag")
	size := len(large)
	for _, tt := range []struct {
		path, fields string
		status       int
		body         string
	}{
		{"/large.png", "Range: bytes=500000-500009", 206, png[500000:500010]},
		{"/large.png", "Range: bytes=-5|Accept-Encoding: gzip", 206, png[len(png)-5:]},
		{"/large.html", "Range: bytes=0-9", 206, large[:10]},
		{"/large.html", "Range: bytes=500000-500009", 206, large[500000:500010]},
		{"/large.html", "Range: bytes=-5", 206, large[size-5:]},
		{"/large.html", "Range: bytes=10-19,0-4", 200, large}, // inflating it twice is refused
		{"/large.html", "Range: bytes=0-9|Accept-Encoding: gzip", 206, gz[:10]},
		{"/large.html", "Range: bytes=-8|Accept-Encoding: gzip", 206, gz[len(gz)-8:]},
		{"/large.html", "Range: bytes=5-20|Accept-Encoding: gzip", 206, gz[5:21]},
		{"/large.html", "Range: bytes=7-|Accept-Encoding: gzip|If-Range: " + tag, 206, gz[7:]},
		{"/large.html", "Range: bytes=7-|Accept-Encoding: gzip|If-Range: " + identity, 200, gz},
		{"/large.html", "Range: bytes=7-|If-Range: " + identity, 206, large[7:]},
		{"/large.html", "Range: bytes=7-|If-Range: " + tag, 200, large},
		{"/large.html", "Range: bytes=0-|Accept-Encoding: gzip, identity;q=0", 206, gz},
		{"/large.html", fmt.Sprintf("Range: bytes=%d-|Accept-Encoding: gzip", len(gz)), 416, ""},
		{"/large.html", "Range: bytes=x|Accept-Encoding: gzip", 416, ""},
		{"/large.html", "If-None-Match: " + tag + "|Accept-Encoding: gzip", 304, ""},
		{"/large.html", "If-None-Match: " + tag, 200, large},
		{"/index.html", "Range: bytes=3-5", 206, page[3:6]},
		{"/odd.png", "", 200, strings.Repeat("x", 5000) + small},
	} {
		resp := get(t, h, tt.path, strings.Split(tt.fields, "|")...)
		if got := body(t, resp); resp.StatusCode != tt.status || tt.status != 416 && got != tt.body {
			t.Errorf("%s %.90s: status %d, body of %d bytes; want %d, %d", tt.path, tt.fields, resp.StatusCode, len(got), tt.status, len(tt.body))
		}
		wantCoding := strings.Contains(tt.fields, "gzip") && tt.status/100 == 2 && tt.path == "/large.html"
		if (resp.Header.Get("Content-Encoding") == "gzip") != wantCoding {
			t.Errorf("%s %.90s: %v", tt.path, tt.fields, resp.Header)
		}
		// Caches must tell the forms apart, also of what others would not compress.
		if tt.status == 200 && tt.path != "/large.png" && resp.Header.Get("Vary") == "" {
			t.Errorf("%s %.90s: no Vary", tt.path, tt.fields)
		}
	}
	r := httptest.NewRequest("GET", "/large.html", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("Range", "bytes=0-"+fmt.Sprint(len(gz))+",1-"+fmt.Sprint(len(gz)-1)) // more than the whole
	w := httptest.NewRecorder()
	if status := h.Serve(w, r); status != w.Code || w.Code != 200 || w.Header().Get("Content-Length") != fmt.Sprint(len(gz)) {
		t.Errorf("Serve returns %d, sent %d with %v", status, w.Code, w.Header())
	}
}

// What is sent may be larger than the memory.
func TestLargeMembersAreNotHeldInMemory(t *testing.T) {
	const size = 64 << 20
	b := zipped(t, "large.html", strings.Repeat("\x00", size))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h := serve.New(fromZip(t, b), serve.Options{})
	for _, accept := range []string{"identity", "gzip"} {
		r := httptest.NewRequest("GET", "/large.html", nil)
		r.Header.Set("Accept-Encoding", accept)
		w := &sink{header: http.Header{}}
		h.ServeHTTP(w, r)
		if want := fmt.Sprint(w.n); w.header.Get("Content-Length") != want || accept == "identity" && w.n != size {
			t.Errorf("%s: %d bytes, %v", accept, w.n, w.header)
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > size/4 {
		t.Errorf("%d bytes were allocated for a content of %d", got, size)
	}
}

// sink counts what is written.
type sink struct {
	header http.Header
	n      int64
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return len(p), nil
}

// FuzzZip opens anything as a zip and asks for each of its files, and for a
// path. What comes out must be what archive/zip takes out of the same bytes.
func FuzzZip(f *testing.F) {
	f.Add(zipped(f, "index.html", page, "a!", "stored", "b/c.html", "x", "_redirects", "/x /y\n"), "/b/c", "gzip")
	f.Add(zipped(f, "site/index.html", page, "site/a/b", "stored"), "/", "identity")
	f.Add(zipped(f, "./a", "1", "d/", ""), "/a", "gzip;q=0")
	var b bytes.Buffer
	if err := files(f, map[string]string{"index.html": page, "p.png": "x", "_headers": "/*\n  A: b\n"}).WriteZip(context.Background(), &b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes(), "//x", "")
	f.Fuzz(func(t *testing.T, b []byte, path, accept string) {
		limits := release.Limits{Total: 1 << 20, Files: 100}
		rel, _, err := release.OpenZip(context.Background(), bytes.NewReader(b), int64(len(b)), limits)
		if err != nil {
			return
		}
		h := serve.New(rel, serve.Options{})
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		h.ServeHTTP(httptest.NewRecorder(), r)

		oracle, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatalf("accepted what archive/zip does not: %v", err)
		}
		contents := map[string]string{}
		for _, file := range oracle.File {
			contents[strings.TrimPrefix(file.Name, "./")] = unzipped(t, file)
		}
		for i, file := range rel.Index.Files {
			want, ok := contents[file.Path]
			for name, content := range contents { // of a folder that was unwrapped
				if dir, rest, _ := strings.Cut(name, "/"); rest == file.Path && contents[dir+"/index.html"] != "" && !ok {
					want, ok = content, true
				}
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.URL = &url.URL{Path: "/" + file.Path}
			r.Header["Accept-Encoding"] = []string{accept}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			got := w.Body.String()
			if w.Header().Get("Content-Encoding") == "gzip" {
				got = inflated(t, "GET", got)
			}
			if w.Code == 200 && (got != want || !ok) {
				t.Errorf("%q, %s: got %.100q, want %.100q", file.Path, w.Header().Get("Content-Encoding"), got, want)
			}
			if content, err := rel.ReadFile(file.Path); err != nil || string(content) != want {
				t.Errorf("%q: read %.100q, %v; want %.100q", rel.Index.Files[i].Path, content, err, want)
			}
		}
	})
}

func unzipped(t *testing.T, file *zip.File) string {
	t.Helper()
	src, err := file.Open()
	if err != nil {
		t.Fatalf("accepted what archive/zip does not: %q: %v", file.Name, err)
	}
	defer src.Close()
	b, err := io.ReadAll(src)
	if err != nil {
		t.Fatalf("accepted what archive/zip does not: %q: %v", file.Name, err)
	}
	return string(b)
}

// BenchmarkFromZip compares where a page comes from, each time anew, in one
// run: a zip, a store, and what compressing on the fly would be.
func BenchmarkFromZip(b *testing.B) {
	ctx := context.Background()
	store, err := release.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	stored, _, err := store.Write(ctx, files(b, map[string]string{"index.html": page}).FS())
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "site.zip")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	if err := stored.WriteZip(ctx, f); err != nil {
		b.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	direct, _, err := release.OpenZip(ctx, f, info.Size(), release.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	uncached := serve.Options{MemoryBudget: -1}
	onTheFly := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, page)
		z.Close()
	})
	for _, row := range []struct {
		name, accept string
		h            http.Handler
	}{
		{"zip-gzip", "gzip", serve.New(direct, uncached)},
		{"store-gzip", "gzip", serve.New(stored, uncached)},
		{"zip-identity", "", serve.New(direct, uncached)},
		{"store-identity", "", serve.New(stored, uncached)},
		{"zip-gzip-in-memory", "gzip", serve.New(direct, serve.Options{})},
		{"on-the-fly-gzip", "gzip", onTheFly},
	} {
		b.Run("own/"+row.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Accept-Encoding", row.accept)
			w := &null{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				row.h.ServeHTTP(w, r)
			}
		})
		b.Run("loopback/"+row.name, func(b *testing.B) { loopback.Bench(b, row.h, "Accept-Encoding: "+row.accept) })
	}
}
