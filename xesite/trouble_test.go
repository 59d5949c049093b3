// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"errors"
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
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/fakegen"
	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

// smallDisk mounts a file system of some bytes, which takes root.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("mount a small file system: %v: run as root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// ballast fills a file system to its last byte.
func ballast(t *testing.T, dir string) (remove func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFullDiskTakesNothingAwayAndNeedsNoHand(t *testing.T) {
	repo := newRepo(t)
	dir := smallDisk(t, 24<<20)
	r := openRig(t, dir, repo.HTTPServer("").URL, nil).run()
	wait.Until(t, "the first build is served", r.Ready)

	// The site itself is too large.
	repo.Write("site/big.bin", strings.Repeat("0123456789abcdef", 1<<20))
	change(repo, "too large")
	b := r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultFailed)
	if !strings.Contains(strings.ToLower(b.Error+b.LogTail), "no space left on device") {
		t.Errorf("error %q, log:\n%s", b.Error, b.LogTail)
	}
	r.expectPage("/", 200, "first")
	repo.Remove("site/big.bin")
	change(repo, "small again")
	r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
	r.expectPage("/", 200, "small again")

	// Something else has filled the disk: not even a record can be kept. Where
	// the last bit of tidying up has just made room, it is enough.
	remove := ballast(t, dir)
	change(repo, "third")
	if b := r.trigger(xesite.Trigger{Source: "github"}); b.Result == xesite.ResultFailed {
		r.expectPage("/", 200, "small again")
	} else {
		r.expect(b, xesite.ResultPublished)
		r.expectPage("/", 200, "third")
	}
	r.expectPage("/old", 200, "old")
	remove()
	r.becomes("third")

	// And a start on a full disk serves.
	remove = ballast(t, dir)
	r.stop()
	r = openRig(t, dir, repo.Bare, nil)
	r.expectPage("/", 200, "third")
	r.run()
	remove()
	change(repo, "fourth")
	r.becomes("fourth")
}

// becomes waits until the page is served, of which a push tells again and
// again.
func (r *rig) becomes(page string) {
	r.t.Helper()
	wait.Until(r.t, page+" is served", func() bool {
		ticket, err := r.Trigger(r.t.Context(), xesite.Trigger{Source: "github"})
		if err == nil {
			ticket.Wait(r.t.Context()) // it ends at once where nobody can build
		}
		_, body := r.page("/")
		return body == page
	})
}

func TestAReadOnlyDiskTakesNothingAwayAndNeedsNoHand(t *testing.T) {
	repo := newRepo(t)
	dir := smallDisk(t, 64<<20)
	r := openRig(t, dir, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	r.stop()
	if err := syscall.Mount("none", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	r = openRig(t, dir, repo.Bare, nil)
	r.expectPage("/", 200, "first")
	r.run()
	wait.Until(t, "the logs say why nothing is built", func() bool { return strings.Contains(r.logs.String(), "read-only file system") })
	r.expectPage("/", 200, "first")
	change(repo, "second")
	if err := syscall.Mount("none", dir, "", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	r.becomes("second")
}

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
	ctx := time.Now()
	if b := r.trigger(xesite.Trigger{Source: "github"}); b.Result != xesite.ResultKnown && b.Result != xesite.ResultPublished {
		t.Fatalf("%+v", b)
	}
	t.Logf("%d files: served after %s", n, time.Since(ctx).Round(time.Millisecond))
	repo.Write("a.md", "second")
	repo.Commit("one")
	repo.Push()
	b := r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
	t.Logf("one changed: %.2f s, of which the generator took %.2f s; heap %d MB", b.Seconds, b.Generator, heap()>>20)
	if b.Files < n {
		t.Errorf("%d files, want more than %d", b.Files, n)
	}
	r.expectPage("/a/", 200, "second")
	start := time.Now()
	r.stop()
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
