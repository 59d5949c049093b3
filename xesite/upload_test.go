// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/release"
)

// zipOf makes a zip of paths and contents.
func zipOf(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for pair := range slices.Chunk(pairs, 2) {
		f, err := w.Create(pair[0])
		if err == nil {
			_, err = io.WriteString(f, pair[1])
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

func tarGzOf(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for pair := range slices.Chunk(pairs, 2) {
		err := w.WriteHeader(&tar.Header{Name: pair[0], Size: int64(len(pair[1])), Mode: 0o644})
		if err == nil {
			_, err = io.WriteString(w, pair[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (r *rig) upload(u xesite.Upload) (xesite.Uploaded, error) {
	r.t.Helper()
	return r.Upload(r.t.Context(), u)
}

// uploaded publishes a page.
func (r *rig) uploaded(page string) xesite.Uploaded {
	r.t.Helper()
	up, err := r.upload(xesite.Upload{Archive: bytes.NewReader(zipOf(r.t, "index.html", page))})
	if err != nil || up.Result != xesite.ResultPublished {
		r.t.Fatalf("%+v, %v", up, err)
	}
	return up
}

// answer is what the admin API says to an upload.
type answer struct {
	xesite.Build
	DryRun  bool `json:"dry_run"`
	Changes map[string]struct {
		Count int
		Paths []string
	}
}

// put sends an archive to the admin API.
func (r *rig) put(query string, archive []byte, fields ...string) (a answer, resp *http.Response) {
	r.t.Helper()
	req := httptest.NewRequest("PUT", "http://localhost/api/releases"+query, bytes.NewReader(archive))
	for pair := range slices.Chunk(fields, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	w := httptest.NewRecorder()
	r.AdminHandler(xesite.Admin{Loopback: true}).ServeHTTP(w, req)
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		r.t.Fatalf("%v: %s", err, w.Body)
	}
	return a, w.Result()
}

// counter reads a counter or gauge of the site.
func (r *rig) counter(name, label string) (value float64) {
	r.t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(r.Collector())
	families, err := registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				value = m.GetCounter().GetValue() + m.GetGauge().GetValue() // it is one of them
			}
		}
	}
	return value
}

func TestUploadIsABuild(t *testing.T) {
	source := &fakeSource{}
	source.set("c1")
	var mu sync.Mutex
	var published []xesite.Published
	var built []xesite.Build
	r := fakeRig(t, t.TempDir(), source, func(cfg *xesite.Config) {
		cfg.OnPublish = func(p xesite.Published) { mu.Lock(); defer mu.Unlock(); published = append(published, p) }
		cfg.OnBuild = func(b xesite.Build) { mu.Lock(); defer mu.Unlock(); built = append(built, b) }
		cfg.UploadLimits = release.Limits{Archive: 1 << 20, Total: 1 << 21}
	})
	site := zipOf(t, "index.html", "uploaded", "new.html", page, "_redirects", "/old /new\nbad\n")
	a, resp := r.put("?commit=0123abc", site)
	if resp.StatusCode != 201 || a.Result != xesite.ResultPublished || a.Number != 2 || a.Sequence != 2 || a.Commit != "0123abc" || a.Files != 2 ||
		!slices.Equal(a.Triggers, []string{"upload"}) || len(a.Mistakes) != 1 || a.DryRun ||
		!slices.Equal(a.Changes["added"].Paths, []string{"new.html"}) || a.Changes["changed"].Count != 1 || a.Changes["removed"].Count != 0 {
		t.Errorf("status %d: %+v", resp.StatusCode, a)
	}
	r.expectPage("/", 200, "uploaded")
	r.expectPage("/new", 200, "page")
	if cur, err := r.Current(); err != nil || cur.Commit != "0123abc" || cur.Release != a.Release {
		t.Errorf("%+v, %v", cur, err)
	}

	// The same files in another archive are the same release.
	a, resp = r.put("", tarGzOf(t, "./index.html", "uploaded", "./new.html", page, "./_redirects", "/old /new\n"))
	if resp.StatusCode != 200 || a.Result != xesite.ResultUnchanged || a.Number != 3 || a.Sequence != 0 {
		t.Errorf("again: status %d: %+v", resp.StatusCode, a)
	}
	for name, tt := range map[string]struct {
		archive      []byte
		query, part  string
		status       int
		stage        string
		wantsNoTrace bool
	}{
		"no home page": {archive: zipOf(t, "a.html", "x"), part: "no index.html", status: 422, stage: "check"},
		"no files":     {archive: zipOf(t), part: "no files", status: 422, stage: "check"},
		"leads out":    {archive: zipOf(t, "../index.html", "x"), part: `"../index.html": its name leads out`, status: 422, stage: "unpack"},
		"no archive":   {archive: []byte("hello"), part: "neither a zip nor a tar", status: 422, stage: "unpack"},
		"cut off":      {archive: site[:len(site)-30], part: "cut off", status: 422, stage: "unpack"},
		"bomb":         {archive: zipOf(t, "index.html", strings.Repeat("a", 3<<20)), part: "Limits.Total", status: 413, stage: "unpack"},
		"too large":    {archive: make([]byte, 1<<20+1), part: "at most 1048576", status: 413, wantsNoTrace: true},
		"bad commit":   {archive: site, query: "?commit=../../x", part: "hexadecimal", status: 400, wantsNoTrace: true},
	} {
		before, _ := r.Builds(1)
		a, resp := r.put(tt.query, tt.archive)
		after, _ := r.Builds(1)
		if resp.StatusCode != tt.status || !strings.Contains(a.Error, tt.part) || a.Stage != tt.stage {
			t.Errorf("%s: status %d, want %d: %+v", name, resp.StatusCode, tt.status, a)
		}
		if tt.wantsNoTrace != (before[0].Number == after[0].Number) || !tt.wantsNoTrace && after[0].Result != xesite.ResultRejected {
			t.Errorf("%s: the record is %+v", name, after[0])
		}
		r.expectPage("/", 200, "uploaded")
	}
	if a, resp := r.put("?force=1", zipOf(t, "a.html", "x")); resp.StatusCode != 201 || a.Sequence != 3 {
		t.Errorf("by force: status %d: %+v", resp.StatusCode, a)
	}
	r.stop()
	if len(published) != 3 || published[1].Release == "" || !slices.Equal(published[1].Changes.Added, []string{"new.html"}) {
		t.Errorf("told of %+v", published)
	}
	if got := r.counter("xesite_builds_total", "rejected"); int(got)+4 != len(built) {
		t.Errorf("%v rejected, of %d", got, len(built))
	}
	if got := r.counter("xesite_triggers_total", "upload"); got < 8 {
		t.Errorf("%v triggers", got)
	}
	if left, err := os.ReadDir(filepath.Join(r.cfg.DataDir, "build")); err != nil || len(left) > 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

func TestUploadStaysUntilThereIsANewCommitOrARebuild(t *testing.T) {
	dir, source := t.TempDir(), &fakeSource{}
	source.set("c1")
	r := fakeRig(t, dir, source, nil)
	stays := func(when string) {
		t.Helper()
		for _, trigger := range []xesite.Trigger{poll(), pushed("c1"), {Source: xesite.SourceSchedule, Rebuild: true}} {
			if b := r.trigger(trigger); b.Result != xesite.ResultKnown {
				t.Errorf("%s, %s: %+v", when, trigger.Source, b)
			}
		}
		r.expectPage("/", 200, "uploaded")
	}
	r.uploaded("uploaded")
	stays("at once")
	r.stop()
	r = fakeRig(t, dir, source, nil)
	stays("after a restart")
	source.set("c2")
	r.expect(r.trigger(poll()), xesite.ResultPublished)
	r.expectPage("/", 200, "c2")
	r.uploaded("uploaded")
	r.expect(r.rebuild(), xesite.ResultPublished)
	r.expectPage("/", 200, "c2")

	// An upload of a commit is the build of it.
	up, err := r.upload(xesite.Upload{Archive: bytes.NewReader(zipOf(t, "index.html", "uploaded")), Commit: "c3c3c3c3"})
	if err != nil || up.Commit != "c3c3c3c3" {
		t.Fatalf("%+v, %v", up, err)
	}
	source.set("c3c3c3c3")
	r.expect(r.trigger(pushed("c3c3c3c3")), xesite.ResultKnown)
	r.expectPage("/", 200, "uploaded")
	source.set("c4")
	r.expect(r.trigger(pushed("c4")), xesite.ResultPublished)
}

func TestNothingIsUploadedWhileAReleaseIsPinned(t *testing.T) {
	source := &fakeSource{}
	source.set("c1")
	r := fakeRig(t, t.TempDir(), source, nil)
	if _, err := r.Pin(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"", "?force=1", "?dry-run=1"} {
		if a, resp := r.put(query, zipOf(t, "index.html", "uploaded")); resp.StatusCode != 409 || !strings.Contains(a.Error, "unpin it first") {
			t.Errorf("%s: status %d: %+v", query, resp.StatusCode, a)
		}
	}
	if _, err := r.Unpin(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.uploaded("uploaded")
	r.expect(r.trigger(poll()), xesite.ResultKnown)
	// What was uploaded stays what it is through a pin.
	if _, err := r.Pin(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Unpin(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.expect(r.trigger(poll()), xesite.ResultKnown)
	r.expectPage("/", 200, "uploaded")
}

// A generator may take its ten minutes: an upload does not wait, and what has
// begun before it does not undo it, unless it has news.
func TestUploadDuringABuild(t *testing.T) {
	source := &fakeSource{}
	source.set("c1")
	var gate sync.Mutex // holds the generator while it is locked
	building := make(chan struct{}, 1)
	r := fakeRig(t, t.TempDir(), source, func(cfg *xesite.Config) {
		cfg.Builder = xesite.BuilderFunc(func(ctx context.Context, in xesite.BuildInput) error {
			select {
			case building <- struct{}{}:
			default:
			}
			gate.Lock()
			defer gate.Unlock()
			return xesite.Copy().Build(ctx, in)
		})
	})
	during := func(trigger xesite.Trigger) xesite.Build {
		t.Helper()
		select { // of an earlier build
		case <-building:
		default:
		}
		gate.Lock()
		ticket, err := r.Trigger(t.Context(), trigger)
		if err != nil {
			t.Fatal(err)
		}
		<-building
		r.uploaded(fmt.Sprintf("uploaded during %s %s", trigger.Source, trigger.Hint))
		if st := r.Status(); st.Running == nil || st.Running.Stage != "generate" {
			t.Errorf("running: %+v", st.Running)
		}
		gate.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		b, err := ticket.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r.rebuild()
	b := during(xesite.Trigger{Source: xesite.SourceSchedule, Rebuild: true})
	if b.Result != xesite.ResultSuperseded || !strings.Contains(b.Error, "uploaded") {
		t.Errorf("%+v", b)
	}
	r.expectPage("/", 200, "uploaded during schedule")
	r.expect(r.trigger(poll()), xesite.ResultKnown)
	r.expect(r.trigger(pushed("c1")), xesite.ResultKnown)
	source.set("c2")
	r.expect(during(pushed("c2")), xesite.ResultPublished)
	r.expectPage("/", 200, "c2")
	r.expect(during(xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true}), xesite.ResultPublished)
	r.expectPage("/", 200, "c2")
}

func TestDryRunTellsAndChangesNothing(t *testing.T) {
	source := &fakeSource{}
	source.set("c1", "a.html", "1", "b.html", "2")
	r := fakeRig(t, t.TempDir(), source, nil)
	files := func() (all []string) {
		filepath.WalkDir(r.cfg.DataDir, func(path string, _ os.DirEntry, err error) error {
			if !strings.Contains(path, "/lease/") && filepath.Base(path) != "state" && !strings.Contains(path, ".tmp-") {
				all = append(all, path)
			}
			return err
		})
		return all
	}
	before := files()
	want := map[string][]string{"added": {"c.html"}, "changed": {"a.html"}, "removed": {"b.html"}}
	var id release.ID
	for _, archive := range [][]byte{
		zipOf(t, "index.html", "c1", "a.html", "changed", "c.html", "new", "_headers", "bad"),
		tarGzOf(t, "index.html", "c1", "a.html", "changed", "c.html", "new", "_headers", "bad"),
	} {
		a, resp := r.put("?dry-run=1", archive)
		if resp.StatusCode != 200 || !a.DryRun || a.Result != xesite.ResultPublished || a.Number != 0 || len(a.Mistakes) != 1 || a.Release == "" {
			t.Errorf("status %d: %+v", resp.StatusCode, a)
		}
		for kind, paths := range want {
			if c := a.Changes[kind]; c.Count != 1 || !slices.Equal(c.Paths, paths) {
				t.Errorf("%s: %+v, want %v", kind, c, paths)
			}
		}
		id = a.Release
	}
	if a, resp := r.put("?dry-run=1", zipOf(t, "a.html", "x")); resp.StatusCode != 200 || a.Result != xesite.ResultRejected || !strings.Contains(a.Error, "index.html") {
		t.Errorf("status %d: %+v", resp.StatusCode, a)
	}
	if a, resp := r.put("?dry-run=1", []byte("x")); resp.StatusCode != 422 || a.Error == "" {
		t.Errorf("status %d: %+v", resp.StatusCode, a)
	}
	if a, resp := r.put("?dry-run=1", zipOf(t, "index.html", "c1", "a.html", "1", "b.html", "2")); resp.StatusCode != 200 || a.Result != xesite.ResultUnchanged {
		t.Errorf("status %d: %+v", resp.StatusCode, a)
	}
	if after := files(); !slices.Equal(before, after) {
		t.Errorf("files before\n%s\nand after\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	r.expectPage("/", 200, "c1")
	if up, err := r.upload(xesite.Upload{Archive: bytes.NewReader(zipOf(t, "index.html", "c1", "a.html", "changed", "c.html", "new", "_headers", "bad"))}); err != nil || up.Release != id {
		t.Errorf("%+v, %v; the dry run said %s", up, err, id)
	}
}

func TestZipOfTheSiteGoesOutAndComesBack(t *testing.T) {
	source := &fakeSource{}
	source.set("c1", "a.html", page, "_redirects", "/x /y\n", "p.png", "\x89PNG")
	r := fakeRig(t, t.TempDir(), source, nil)
	first, err := r.Current()
	if err != nil {
		t.Fatal(err)
	}
	admin := r.AdminHandler(xesite.Admin{Loopback: true})
	get := func(method, path string, fields ...string) *http.Response {
		t.Helper()
		req := httptest.NewRequest(method, "http://localhost"+path, nil)
		for pair := range slices.Chunk(fields, 2) {
			req.Header.Set(pair[0], pair[1])
		}
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, req)
		return w.Result()
	}
	resp := get("GET", "/zip")
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/zip" ||
		resp.Header.Get("Content-Disposition") != "attachment; filename=localhost-"+first.Release.Short()+".zip" {
		t.Errorf("status %d, %v: %v", resp.StatusCode, err, resp.Header)
	}
	tag := resp.Header.Get("Etag")
	for _, tt := range []struct {
		method, path, tag string
		status            int
	}{
		{"HEAD", "/zip", "", 200},
		{"GET", "/zip", tag, 304},
		{"GET", "/zip", `"x", W/` + tag, 304},
		{"GET", "/zip", `"x"`, 200},
		{"GET", "/zip?release=" + string(first.Release), tag, 304},
		{"GET", "/zip?release=" + strings.Repeat("0", 64), "", 404},
		{"GET", "/zip?release=../x", "", 404},
		{"POST", "/zip", "", 405},
	} {
		resp := get(tt.method, tt.path, "If-None-Match", tt.tag)
		if resp.StatusCode != tt.status || tt.status == 200 && resp.Header.Get("Etag") != tag {
			t.Errorf("%s %s: status %d, want %d, %v", tt.method, tt.path, resp.StatusCode, tt.status, resp.Header)
		}
	}
	if a, resp := r.put("", b); resp.StatusCode != 200 || a.Result != xesite.ResultUnchanged || a.Release != first.Release {
		t.Errorf("status %d: %+v", resp.StatusCode, a)
	}
	// On another machine it is the same site.
	elsewhere := fakeRig(t, t.TempDir(), source, nil)
	elsewhere.uploaded("other")
	if a, resp := elsewhere.put("", b); resp.StatusCode != 201 || a.Release != first.Release {
		t.Errorf("status %d: %+v", resp.StatusCode, a)
	}
	elsewhere.expectPage("/a", 200, page)
	// Releases that are not served any more can be had too.
	r.uploaded("other")
	resp = get("GET", "/zip?release="+string(first.Release))
	if again, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(again, b) {
		t.Errorf("%d bytes, %v; want %d", len(again), err, len(b))
	}
	if page, _ := io.ReadAll(get("GET", "/").Body); !strings.Contains(string(page), `href="/zip"`) {
		t.Error("the admin page has no link to the zip")
	}
}

func TestUploadsAndDownloadsAreProtected(t *testing.T) {
	source := &fakeSource{}
	source.set("c1")
	r := fakeRig(t, t.TempDir(), source, nil)
	open, locked := r.AdminHandler(xesite.Admin{Loopback: true}), r.AdminHandler(xesite.Admin{Token: "secret"})
	site := zipOf(t, "index.html", "x")
	for _, tt := range []struct {
		h            http.Handler
		method, path string
		field, value string
		status       int
	}{
		{locked, "PUT", "/api/releases", "X-None", "", 401},
		{locked, "PUT", "/api/releases", "Authorization", "Bearer wrong", 401},
		{locked, "GET", "/zip", "X-None", "", 401},
		{locked, "HEAD", "/zip", "X-None", "", 401},
		{locked, "GET", "/zip", "Authorization", "Bearer secret", 200},
		{open, "PUT", "/api/releases", "Origin", "https://evil.example", 403},
		{open, "PUT", "/api/releases", "Sec-Fetch-Site", "cross-site", 403},
		{locked, "PUT", "/api/releases", "Authorization", "Bearer secret", 201},
	} {
		req := httptest.NewRequest(tt.method, "http://localhost"+tt.path, bytes.NewReader(site))
		req.Header.Set(tt.field, tt.value)
		w := httptest.NewRecorder()
		tt.h.ServeHTTP(w, req)
		if w.Code != tt.status {
			t.Errorf("%s %s with %s %s: status %d, want %d", tt.method, tt.path, tt.field, tt.value, w.Code, tt.status)
		}
	}
}

func TestOnlyTheBuilderTakesUploads(t *testing.T) {
	dir, source := t.TempDir(), &fakeSource{}
	source.set("c1")
	r := fakeRig(t, dir, source, func(cfg *xesite.Config) { cfg.Instance = "builder" })
	follower := openRig(t, dir, "unused", func(cfg *xesite.Config) { cfg.Source, cfg.Builder, cfg.Instance = source, nil, "follower" }).run()
	wait.Until(t, "the follower knows who builds", func() bool { return follower.Status().Builder == "builder" })
	a, resp := follower.put("", zipOf(t, "index.html", "x"))
	if resp.StatusCode != 503 || !strings.Contains(a.Error, "ask builder") || resp.Header.Get("Retry-After") == "" {
		t.Errorf("status %d: %+v", resp.StatusCode, a)
	}
	r.uploaded("uploaded")
	wait.Until(t, "the follower serves the upload", func() bool { _, body := follower.page("/"); return body == "uploaded" })
	follower.stop()
	r.stop()
	if _, err := r.upload(xesite.Upload{Archive: bytes.NewReader(nil)}); err == nil || !strings.Contains(err.Error(), "no instance is building") {
		t.Errorf("after Run: %v", err)
	}
}

// Nobody else's record, number or blob suffers when everything comes at once.
func TestUploadsAndBuildsAtOnce(t *testing.T) {
	source := &fakeSource{}
	source.set("c0")
	r := fakeRig(t, t.TempDir(), source, nil)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 4 {
				up, err := r.upload(xesite.Upload{Archive: bytes.NewReader(zipOf(t, "index.html", fmt.Sprint(i, j), "same.html", page))})
				if err != nil || up.Result != xesite.ResultPublished {
					t.Errorf("%+v, %v", up, err)
				}
			}
		})
	}
	for i := range 4 {
		source.set(fmt.Sprint("c", i+1), "same.html", page)
		r.rebuild()
	}
	all.Wait()
	builds, err := r.Builds(100)
	numbers := map[uint64]bool{}
	sequences := map[uint64]bool{}
	for _, b := range builds {
		numbers[b.Number] = true
		sequences[b.Sequence] = true
	}
	if err != nil || len(builds) != 21 || len(numbers) != 21 || len(sequences) != 21 {
		t.Errorf("%d records, numbers %v, sequences %v, %v", len(builds), slices.Sorted(maps.Keys(numbers)), slices.Sorted(maps.Keys(sequences)), err)
	}
	r.expectPage("/same", 200, page)
	r.stop()
	again, err := xesite.New(t.Context(), r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if st := again.Status(); st.Fault != "" {
		t.Error(st.Fault)
	}
}

func TestSlowUploadOutlastsTheReadTimeout(t *testing.T) {
	source := &fakeSource{}
	source.set("c1")
	r := fakeRig(t, t.TempDir(), source, nil)
	url, _ := serveOn(t, shortServer(), r.AdminHandler(xesite.Admin{Loopback: true}))
	site := zipOf(t, "index.html", page)
	src, dst := io.Pipe()
	go func() {
		for b := range slices.Chunk(site, len(site)/5) {
			<-time.After(readTimeout)
			dst.Write(b)
		}
		dst.Close()
	}()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", url+"/api/releases", src)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 201 {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
}

func TestUploadThatBreaksOffLeavesNothing(t *testing.T) {
	source := &fakeSource{}
	source.set("c1")
	r := fakeRig(t, t.TempDir(), source, nil)
	site := zipOf(t, "index.html", page)
	half := io.MultiReader(bytes.NewReader(site[:len(site)/2]), iotest.ErrReader(io.ErrUnexpectedEOF))
	if up, err := r.upload(xesite.Upload{Archive: half}); !errors.Is(err, io.ErrUnexpectedEOF) || up.Result != "" {
		t.Errorf("%+v, %v", up, err)
	}
	if builds, err := r.Builds(9); err != nil || len(builds) != 1 {
		t.Errorf("%d builds, %v", len(builds), err)
	}
	if left, err := os.ReadDir(filepath.Join(r.cfg.DataDir, "build")); err != nil || len(left) > 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

// A rehearsal that is misspelled must not be the performance.
func TestAnUploadWhoseQueryIsNotUnderstoodIsRefused(t *testing.T) {
	r := newRig(t, newRepo(t).Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	admin := r.AdminHandler(xesite.Admin{Loopback: true})
	for _, query := range []string{"dry-run", "dry-run=", "dry-run=yes", "dry_run=1", "force=always", "commit=%zz&dry-run=1", "force=1;dry-run=1"} {
		req := httptest.NewRequest(http.MethodPut, "/api/releases?"+query, strings.NewReader(""))
		req.Host = "localhost"
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, req)
		if w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), "archive") {
			t.Errorf("PUT ?%s: %d %s", query, w.Code, w.Body)
		}
	}
}
