// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"

	"xeiaso.net/site/xesite/release"
)

// While a large site is compressed, it may be pinned or purged.
func TestCodingsJoinWhateverIsPublishedAgainMeanwhile(t *testing.T) {
	s, err := New(t.Context(), Config{DataDir: t.TempDir(), Source: &Dir{Path: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	s.lease.note(leaseRecord{Fence: 1}, true)
	page := bytes.Repeat([]byte("the same again and again\n"), 1000)
	rel, _, err := s.store.Write(t.Context(), fstest.MapFS{"index.html": {Data: page}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.production.publish(t.Context(), rel, release.PublishOptions{Release: rel.ID}); err != nil {
		t.Fatal(err)
	}
	before := s.production.serving.Load()
	if _, err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.compress(t.Context(), before)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Encoding", "br")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if got := w.Header().Get("Content-Encoding"); got != "br" {
		t.Errorf("Content-Encoding %q, want br", got)
	}
	if cur, _ := s.Current(); cur.Sequence != 2 {
		t.Errorf("sequence %d is served, want 2", cur.Sequence)
	}
}

// Reading what was published before takes a while.
func TestEarlierAssetsAreFoundThoughSomethingIsPublishedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	begin := func() *Site {
		s, err := New(t.Context(), Config{DataDir: dir, Source: &Dir{Path: t.TempDir()}})
		if err != nil {
			t.Fatal(err)
		}
		s.lease.note(leaseRecord{Fence: 1}, true)
		return s
	}
	publish := func(s *Site, name string) release.ID {
		rel, _, err := s.store.Write(t.Context(), fstest.MapFS{name + ".0123abcd.css": {Data: []byte("style")}})
		if err == nil {
			_, err = s.production.publish(t.Context(), rel, release.PublishOptions{Release: rel.ID})
		}
		if err != nil {
			t.Fatal(err)
		}
		return rel.ID
	}
	s := begin()
	index := filepath.Join(dir, "releases", string(publish(s, "one"))+".json")
	publish(s, "two")

	s = begin()
	if err := errors.Join(os.Rename(index, index+".aside"), syscall.Mkfifo(index, 0o600)); err != nil {
		t.Fatal(err)
	}
	var recalling sync.WaitGroup
	recalling.Go(func() { s.production.recall(t.Context()) })
	pipe, err := os.OpenFile(index, os.O_WRONLY, 0) // until it is read
	if err != nil {
		t.Fatal(err)
	}
	publish(s, "three")
	content, err := os.ReadFile(index + ".aside")
	if err = errors.Join(err, os.Rename(index+".aside", index)); err != nil {
		t.Fatal(err)
	}
	pipe.Write(content)
	pipe.Close()
	recalling.Wait()
	if got := len(s.production.serving.Load().earlier); got != 2 {
		t.Fatalf("assets of %d earlier releases, want 2", got)
	}
}

// An instance that has just taken over may not serve yet what its predecessor
// has published last.
func TestAPinIsSeenByWhoTakesOver(t *testing.T) {
	s, err := New(t.Context(), Config{DataDir: t.TempDir(), Source: &Dir{Path: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	s.lease.note(leaseRecord{Fence: 2}, true)
	rel, _, err := s.store.Write(t.Context(), fstest.MapFS{"index.html": {Data: []byte("pinned")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.Publish(t.Context(), production, release.PublishOptions{Release: rel.ID, Reason: reasonPin, Fence: 1}); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	other, _, err := release.New(t.Context(), fstest.MapFS{"index.html": {Data: []byte("uploaded")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.WriteZip(t.Context(), &archive); err != nil {
		t.Fatal(err)
	}
	if up, err := s.Upload(t.Context(), Upload{Archive: &archive}); err == nil {
		t.Errorf("published over the pin: %+v", up)
	}
	if cur, err := s.Current(); err != nil || cur.Release != rel.ID {
		t.Errorf("current: %+v, %v", cur, err)
	}
}

// A release that is damaged is built again, whatever is done to the older one
// that is served in its place.
func TestAPurgeDoesNotHideADamagedRelease(t *testing.T) {
	s, err := New(t.Context(), Config{DataDir: t.TempDir(), Source: &Dir{Path: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	s.lease.note(leaseRecord{Fence: 1}, true)
	rel, _, err := s.store.Write(t.Context(), fstest.MapFS{"index.html": {Data: []byte("older")}})
	if err == nil {
		_, err = s.production.publish(t.Context(), rel, release.PublishOptions{Release: rel.ID})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.production.setFault(release.ErrCorrupt)
	if _, err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !s.production.degraded() || s.Status().Fault == "" {
		t.Error("nobody knows any more that an older release is served")
	}
}

// Twenty previews must not need twenty times the memory of the site.
func TestPreviewsKeepLittleInMemory(t *testing.T) {
	dir := t.TempDir()
	s, err := New(t.Context(), Config{DataDir: dir, Source: &Dir{Path: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	const size = 250 << 10
	files := fstest.MapFS{}
	for i := range previewBudget/size + 10 {
		files[fmt.Sprintf("%d.bin", i)] = &fstest.MapFile{Data: bytes.Repeat([]byte{byte(i)}, size)}
	}
	rel, _, err := s.store.Write(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	h := (&channel{site: s, name: "draft"}).compile(rel, &release.Publication{}, nil, nil).handler
	readable := func() (n int) {
		for path := range files {
			w := httptest.NewRecorder()
			if h.Serve(w, httptest.NewRequest(http.MethodGet, "/"+path, nil)) == http.StatusOK {
				n++
			}
		}
		return n
	}
	if n := readable(); n != len(files) {
		t.Fatalf("%d of %d files can be read", n, len(files))
	}
	if err := os.RemoveAll(filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	if n := readable(); n == 0 || n > previewBudget/size {
		t.Errorf("%d files of %d bytes are in memory, want at most %d", n, size, previewBudget/size)
	}
}
