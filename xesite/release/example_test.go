// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release_test

import (
	"context"
	"fmt"
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
