// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log"
	"os"
	"testing/fstest"

	"xeiaso.net/site/xesite/release"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := release.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	site := fstest.MapFS{"index.html": {Data: []byte("<h1>Hello</h1>")}}
	rel, report, err := store.Write(ctx, site)
	if err != nil {
		log.Fatal(err)
	}
	pub, err := store.Publish(ctx, "production", release.PublishOptions{Release: rel.ID})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d file, publication %d of %s\n", report.Files, pub.Sequence, pub.Release.Short())
	// Output: 1 file, publication 1 of aad8d39d01a8
}

func ExampleNew() {
	rel, report, err := release.New(context.Background(), fstest.MapFS{
		"index.html": {Data: []byte("<h1>Hello</h1>")},
		"_redirects": {Data: []byte("/old /new\n/odd\n")},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(rel.Index.Files), "file,", len(rel.Index.Redirects), "rule")
	for _, m := range report.Mistakes {
		fmt.Println(m)
	}
	// Output:
	// 1 file, 1 rule
	// _redirects:2: rule for "/odd" has no destination: write "from to status"
}

func ExampleRelease_WriteZip() {
	ctx := context.Background()
	rel, _, err := release.New(ctx, fstest.MapFS{
		"index.html": {Data: []byte("<h1>Hello</h1>")},
		"_redirects": {Data: []byte("# moved\n/old   /new\n")},
	})
	if err != nil {
		log.Fatal(err)
	}
	var site bytes.Buffer
	if err := rel.WriteZip(ctx, &site); err != nil {
		log.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(site.Bytes()), int64(site.Len()))
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range z.File {
		content, err := fs.ReadFile(z, f.Name)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %q\n", f.Name, content)
	}
	// Output:
	// _redirects: "/old /new\n"
	// index.html: "<h1>Hello</h1>"
}

func ExampleOpenZip() {
	ctx := context.Background()
	f, err := os.Open("testdata/archives/infozip.zip")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close() // when it is not served any more
	info, err := f.Stat()
	if err != nil {
		log.Fatal(err)
	}
	rel, report, err := release.OpenZip(ctx, f, info.Size(), release.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Files, "files,", len(rel.Index.Redirects), "rule")
	for i, f := range rel.Index.Files {
		for _, v := range rel.Variants(i) {
			fmt.Println(f.Path, "is there as", v.Coding)
		}
	}
	// Output:
	// 2 files, 1 rule
	// index.html is there as gzip
}

func ExampleOpenArchive() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := release.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	upload, err := os.ReadFile("testdata/archives/infozip_folder.zip")
	if err != nil {
		log.Fatal(err)
	}
	archive, err := release.OpenArchive(ctx, bytes.NewReader(upload), int64(len(upload)), dir, release.Limits{Files: 1000})
	if err != nil {
		log.Fatal(err)
	}
	defer archive.Close()
	rel, _, err := store.Write(ctx, archive)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range rel.Index.Files {
		fmt.Println(f.Path)
	}
	// Output:
	// a/b.txt
	// index.html
}

func ExampleDiff() {
	ctx := context.Background()
	before, _, err := release.New(ctx, fstest.MapFS{"a": {Data: []byte("1")}, "b": {Data: []byte("1")}})
	if err != nil {
		log.Fatal(err)
	}
	after, _, err := release.New(ctx, fstest.MapFS{"b": {Data: []byte("2")}, "c": {Data: []byte("1")}})
	if err != nil {
		log.Fatal(err)
	}
	c := release.Diff(before.Index, after.Index)
	fmt.Println("added", c.Added, "changed", c.Changed, "removed", c.Removed)
	// Output: added [c] changed [b] removed [a]
}
