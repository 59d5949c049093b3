// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/fakegen"
	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

func TestRemoteThatIsNotThereIsAClearError(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	r.stop()
	for remote, want := range map[string]string{
		"http://127.0.0.1:1/site.git":      "127.0.0.1:1",
		"http://no-such-host.invalid/x":    "no-such-host.invalid",
		"file:///nowhere/at/all":           "/nowhere/at/all",
		"ssh://git@127.0.0.1:1/x.git":      "127.0.0.1",
		"http://user@127.0.0.1.invalid/\n": "",
	} {
		source := &xesite.Git{Remote: remote, Dir: filepath.Join(r.cfg.DataDir, "git")}
		if err := source.Check(); err != nil {
			continue
		}
		again := openRig(t, r.cfg.DataDir, repo.Bare, func(cfg *xesite.Config) { cfg.Source = source }).run()
		b := again.expect(again.rebuild(), xesite.ResultFailed)
		if b.Stage != "fetch" || !strings.Contains(b.Error, want) {
			t.Errorf("%s: failed at %s: %s", remote, b.Stage, b.Error)
		}
		again.expectPage("/", 200, "first")
		again.stop()
	}
}

// What a file system or a URL may take for the same name is not.
func TestNamesAreKeptApart(t *testing.T) {
	repo := gittest.New(t)
	long := strings.Repeat("n", 250)
	names := []string{
		"index.html", "A.txt", "a.txt", "\u00e9.txt", "e\u0301.txt", "I.txt", "i.txt", "ı.txt", "ß.txt", "ss.txt", "日本語.txt", "🥺.txt",
		"con.txt", "a b.txt", "a+b.txt", "a%20b.txt", "a%2fb.txt", "q?.txt", "h#.txt", "s;p.txt", "quote'\".txt", "<b>.txt", "-rf.txt", "~.txt", "back\\slash.txt",
		long + ".txt", long + "/" + long + "/" + long + "/" + long + ".txt", "dir.txt/file.txt",
	}
	for _, name := range names {
		repo.Write("site/"+name, "this is "+name)
	}
	repo.Commit("names")
	repo.Push()
	r := newRig(t, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	for _, name := range names {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.URL.Path = "/" + name
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code != 200 || w.Body.String() != "this is "+name {
			t.Errorf("%q: %d %.80q", name, w.Code, w.Body)
		}
	}
	deep := strings.Repeat(long+"/", 5) + "x.txt"
	repo.Write("site/"+deep, "too deep")
	repo.Commit("deep")
	repo.Push()
	b := r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultRejected)
	if !strings.Contains(b.Error, "at most 1024") {
		t.Errorf("error %q", b.Error)
	}
}

func TestSoakManyFiles(t *testing.T) {
	n := need.Times(2_000, 100_000)
	repo := gittest.New(t)
	repo.WriteFiles(map[string]string{"fault.txt": fmt.Sprintf("plain\npages %d\n", n), "a.md": "first"})
	repo.Commit("many")
	repo.Push()
	r := newRig(t, repo.Bare, func(cfg *xesite.Config) { cfg.Builder = xesite.Command{Line: fakegen.Line(t)} }).run()
	start := time.Now()
	if b := r.trigger(xesite.Trigger{Source: "github"}); b.Result != xesite.ResultKnown && b.Result != xesite.ResultPublished {
		t.Fatalf("%+v", b)
	}
	t.Logf("%d files: served after %s", n, time.Since(start).Round(time.Millisecond))
	repo.Write("a.md", "second")
	repo.Commit("one")
	repo.Push()
	b := r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
	t.Logf("one changed: %.2f s, of which the generator took %.2f s; heap %d MB", b.Seconds, b.Generator, heap()>>20)
	if b.Files < n {
		t.Errorf("%d files, want more than %d", b.Files, n)
	}
	r.expectPage("/a/", 200, "second")
	start = time.Now()
	r.stop()
	t.Logf("stop: %s", time.Since(start).Round(time.Millisecond))
	start = time.Now()
	r = openRig(t, r.cfg.DataDir, repo.Bare, nil)
	r.expectPage("/a/", 200, "second")
	t.Logf("restart: %s", time.Since(start).Round(time.Millisecond))
}

func TestSoakOneLargeFile(t *testing.T) {
	size := int64(need.Times(64<<20, 1<<30))
	repo := newRepo(t)
	r := newRig(t, repo.Bare, func(cfg *xesite.Config) {
		cfg.Builder = xesite.Command{Line: copyPages + " && truncate -s " + strconv.FormatInt(size, 10) + " _site/big.bin && printf end >> _site/big.bin"}
	})
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	r.run()
	wait.Until(t, "the first build is served", r.Ready)
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	if grown := after.Sys - before.Sys; grown > 64<<20 {
		t.Errorf("memory grew by %d bytes for a file of %d", grown, size)
	}
	url, _ := serveOn(t, xesite.Server{}, r)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/big.bin", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=-4")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "\x00end" || resp.StatusCode != 206 {
		t.Errorf("the end: %s %q, %v", resp.Status, b, err)
	}
	resp = request(t, http.MethodGet, url+"/big.bin")
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != size+3 {
		t.Errorf("all of it: %d bytes, %v", n, err)
	}
}

// A clock that was set back, by hand or by a battery that is flat.
func TestAClockThatWasSetBackDoesNotHideAPublication(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	r.stop()
	// As if everything until now had been written tomorrow.
	tomorrow := time.Now().Add(24 * time.Hour)
	err := filepath.WalkDir(r.cfg.DataDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, tomorrow, tomorrow)
	})
	if err != nil {
		t.Fatal(err)
	}
	record := filepath.Join(r.cfg.DataDir, "channels", "production.d", "1.json")
	b, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	b = []byte(strings.ReplaceAll(string(b), now.Format("2006-01-02"), tomorrow.UTC().Format("2006-01-02")))
	if err := os.WriteFile(record, b, 0o644); err != nil {
		t.Fatal(err)
	}
	r = openRig(t, r.cfg.DataDir, repo.Bare, nil).run()
	r.expectPage("/", 200, "first")
	for i := range 3 {
		page := fmt.Sprint("version ", i)
		change(repo, page)
		r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
		r.expectPage("/", 200, page)
	}
}
