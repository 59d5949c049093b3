// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"xeiaso.net/site/xesite/release"
)

// onDisk writes a tree to a directory and opens it as a build's output is.
func onDisk(b *testing.B, fsys fstest.MapFS) (string, fs.FS) {
	b.Helper()
	dir := b.TempDir()
	for name, file := range fsys {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, file.Data, 0o644)); err != nil {
			b.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { root.Close() })
	return dir, root.FS()
}

// bigSite is a site of n pages of about 6 KB, and some pictures.
func bigSite(n int) fstest.MapFS {
	fsys := fstest.MapFS{}
	words := strings.Fields("a site is made of pages and pages are made of words that people read when they have time to")
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		var b strings.Builder
		fmt.Fprintf(&b, "<!doctype html><title>Page %d</title>\n", i)
		for b.Len() < 6000 {
			b.WriteString(words[random.IntN(len(words))])
			b.WriteByte(" \n"[random.IntN(2)])
		}
		fsys[fmt.Sprintf("section%d/page%d/index.html", i%50, i)] = &fstest.MapFile{Data: []byte(b.String()), Mode: 0o644}
	}
	for i := range n / 100 {
		picture := make([]byte, 50_000)
		for j := range picture {
			picture[j] = byte(random.Uint32())
		}
		fsys[fmt.Sprintf("img/%d.jpg", i)] = &fstest.MapFile{Data: picture, Mode: 0o644}
	}
	return fsys
}

// BenchmarkPublishOneChange is the time from a generator's finished output to
// a durable publication, when one page of the site has changed.
func BenchmarkPublishOneChange(b *testing.B) {
	for _, n := range []int{1000, 5000, 10_000} {
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			store, _ := openStore(b)
			dir, site := onDisk(b, bigSite(n))
			if _, _, err := store.Write(b.Context(), site); err != nil {
				b.Fatal(err)
			}
			i := 0
			for b.Loop() {
				i++
				page := fmt.Appendf(nil, "<!doctype html>change %d %s", i, long)
				if err := os.WriteFile(filepath.Join(dir, "section0/page0/index.html"), page, 0o644); err != nil {
					b.Fatal(err)
				}
				rel, report, err := store.Write(b.Context(), site)
				if err != nil || report.NewBlobs != 1 {
					b.Fatal(report, err)
				}
				if _, err := store.Publish(b.Context(), "production", release.PublishOptions{Release: rel.ID}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFirstWrite is the same for a site that is all new: written, synced
// and compressed in the fast codings.
func BenchmarkFirstWrite(b *testing.B) {
	_, site := onDisk(b, bigSite(1000))
	for b.Loop() {
		b.StopTimer()
		store, _ := openStore(b)
		b.StartTimer()
		if _, _, err := store.Write(b.Context(), site); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad opens the current release, as a start does.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1000, 5000, 10_000} {
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			store, _ := openStore(b)
			_, site := onDisk(b, bigSite(n))
			rel, _, err := store.Write(b.Context(), site)
			if err != nil {
				b.Fatal(err)
			}
			publish(b, store, rel.ID, time.Time{})
			for b.Loop() {
				if _, _, err := store.Load(b.Context(), "production"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWriteZip writes the zip of a release: from its variants, as a site
// has them, and without, as an importer would pay.
func BenchmarkWriteZip(b *testing.B) {
	store, dir := openStore(b)
	_, site := onDisk(b, bigSite(5000))
	rel, _, err := store.Write(b.Context(), site)
	if err != nil {
		b.Fatal(err)
	}
	run := func(b *testing.B) {
		size := int64(0)
		for b.Loop() {
			var n counter
			if err := rel.WriteZip(b.Context(), &n); err != nil {
				b.Fatal(err)
			}
			size = int64(n)
		}
		b.SetBytes(size)
	}
	b.Run("files=5000", run)
	variants, err := filepath.Glob(filepath.Join(dir, "blobs/*/*.gz1"))
	for _, path := range variants {
		err = errors.Join(err, os.Remove(path))
	}
	if err == nil {
		rel, err = store.Release(b.Context(), rel.ID)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Run("files=5000/without-variants", run)
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// BenchmarkOpenZip checks and hashes a zip, until it can be served.
func BenchmarkOpenZip(b *testing.B) {
	rel, _, err := release.New(b.Context(), bigSite(1000))
	if err != nil {
		b.Fatal(err)
	}
	zip := zipOf(b, rel)
	b.SetBytes(int64(len(zip)))
	for b.Loop() {
		openZip(b, zip)
	}
}
