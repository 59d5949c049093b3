// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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

func TestAnUploadOnAFullDiskChangesNothing(t *testing.T) {
	repo := newRepo(t)
	dir := smallDisk(t, 24<<20)
	r := openRig(t, dir, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	archive := zipOf(t, "index.html", "uploaded", "big.bin", strings.Repeat("x", 32<<20)) // a few kilobytes
	up, err := r.Upload(t.Context(), xesite.Upload{Archive: bytes.NewReader(archive)})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("upload that does not fit: %+v, %v", up.Build, err)
	}
	r.expectPage("/", 200, "first")
	// What it had written so far is gone, so the next one has room.
	archive = zipOf(t, "index.html", "uploaded", "big.bin", strings.Repeat("x", 8<<20))
	if up, err := r.Upload(t.Context(), xesite.Upload{Archive: bytes.NewReader(archive)}); err != nil || up.Result != xesite.ResultPublished {
		t.Errorf("upload that fits: %+v, %v", up.Build, err)
	}
	r.expectPage("/", 200, "uploaded")
	remove := ballast(t, dir)
	if up, err := r.Upload(t.Context(), xesite.Upload{Archive: bytes.NewReader(zipOf(t, "index.html", "third"))}); err == nil {
		t.Errorf("upload on a full disk: %+v", up.Build)
	}
	r.expectPage("/", 200, "uploaded")
	remove()
	if _, err := r.Upload(t.Context(), xesite.Upload{Archive: bytes.NewReader(zipOf(t, "index.html", "third"))}); err != nil {
		t.Error(err)
	}
	r.expectPage("/", 200, "third")
}
