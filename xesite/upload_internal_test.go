// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"xeiaso.net/site/xesite/release"
)

// An upload of what was collected a moment ago, or is about to be, counts on
// blobs that nothing else names.
func TestNothingIsCollectedWhileAReleaseIsWritten(t *testing.T) {
	dir := t.TempDir()
	s, err := New(t.Context(), Config{DataDir: dir, Source: &Dir{Path: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	rel, _, err := s.store.Write(t.Context(), fstest.MapFS{"index.html": {Data: []byte("counted on")}})
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * collectGrace)
	for _, sub := range []string{"blobs", "releases"} {
		err := filepath.WalkDir(filepath.Join(dir, sub), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				err = os.Chtimes(path, long, long)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.writing.RLock()
	s.collect(t.Context())
	if _, err := s.store.Release(t.Context(), rel.ID); err != nil {
		t.Errorf("collected: %v", err)
	}
	s.writing.RUnlock()
	s.collect(t.Context())
	if _, err := s.store.Release(t.Context(), rel.ID); err == nil {
		t.Error("never collected")
	}
}

// deadlines is a connection that remembers its read deadline.
type deadlines struct {
	httptest.ResponseRecorder
	at time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error { d.at = at; return nil }

func TestDeadlineOfAnUploadMovesAlongWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &deadlines{}
		src, dst := io.Pipe()
		b := &body{src: src, conn: http.NewResponseController(conn), start: time.Now()}
		left := func(n int) time.Duration {
			t.Helper()
			go dst.Write(make([]byte, n))
			if _, err := io.ReadFull(b, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			b.src = io.MultiReader() // the next Read sets the deadline and reads nothing
			b.Read(nil)
			b.src = src
			return time.Until(conn.at)
		}
		if got := left(0); got != uploadStall {
			t.Errorf("at first %s are left", got)
		}
		<-time.After(30 * time.Second)
		if got := left(1); got != uploadStall-30*time.Second {
			t.Errorf("after a byte in 30 s, %s are left", got)
		}
		if got := left(1 << 20); got != uploadStall {
			t.Errorf("after a MiB, %s are left", got)
		}
		<-time.After(20 * time.Minute)
		if got := left(1); got > 0 {
			t.Errorf("slower than %d bytes a second, %s are left", uploadMinRate, got)
		}
	})
}

// A site whose generator runs elsewhere gets the slow codings too.
func TestUploadsArePolished(t *testing.T) {
	page := make([]byte, 4096)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), page, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), Config{DataDir: t.TempDir(), Source: &Dir{Path: dir}, Poll: -1})
	if err != nil {
		t.Fatal(err)
	}
	rel, _, err := s.store.Write(t.Context(), fstest.MapFS{"index.html": {Data: page}})
	if err != nil {
		t.Fatal(err)
	}
	brotli := func(rel *release.Release) bool {
		for _, v := range rel.Variants(0) {
			if v.Coding == release.Brotli {
				return true
			}
		}
		return false
	}
	pub, err := s.store.Publish(t.Context(), production, release.PublishOptions{Release: rel.ID})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); s.next(t.Context()) }()
	s.production.swap(rel, pub)
	s.repolish <- struct{}{}
	deadline := time.After(time.Minute)
	for !brotli(s.production.serving.Load().rel) {
		select {
		case <-deadline:
			t.Fatal("no brotli")
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.queue.add(Trigger{Source: SourcePoll})
	<-done
}
