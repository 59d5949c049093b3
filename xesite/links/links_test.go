// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package links_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/xesite/links"
	"xeiaso.net/site/xesite/release"
)

func site(t testing.TB, files map[string]string) *release.Release {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	rel, _, err := release.New(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	return rel
}

func TestLinksAreWhatAVisitorWouldGet(t *testing.T) {
	const root = "https://site.example/sub/"
	for _, tt := range []struct{ html, broken string }{
		{`<a href="b.html">`, ""},
		{`<A HREF=b#there>`, ""},
		{`<a href="../d/">`, ""},
		{`<a href="../d">`, ""}, // redirected
		{`<a href="/sub/r/anything">`, ""},
		{`<img src="/sub/d/i.png" alt="/nothing">`, ""},
		{`<a href="https://site.example/sub/d/b">`, ""},
		{`<a href="/elsewhere/on/the/host">`, ""},
		{`<a href="/subway/">`, ""}, // elsewhere too
		{`<a href="/sub">`, ""},
		{`<a href="/sub/100%25/"><a href="/sub/100%25/c">`, ""},
		{`<a href="https://other.example/x"><a href="mailto:a@b.example"><a href="#x"><a href="javascript:x()"><a href="">`, ""},
		{`<a href="/sub/.within/build.json">`, ""},
		{`<!-- <a href="/sub/x"> --><script>"<a href='/sub/x'>"</script><p title="<a href='/sub/x'>">`, ""},
		{`<a href="http://%zz">`, ""},
		{`<a href="c.html?q=1#f">`, "/d/c.html?q=1"},
		{`<a href="../../../../x">`, ""}, // above the root
		{`<a href="../x">`, "/x"},
		{`<link rel=stylesheet href=" /sub/x.css ">`, "/x.css"},
		{`<script src=/sub/x.js></script>`, "/x.js"},
		{`<a href="//site.example/sub/x">`, "/x"},
		{`<a href="/sub/gone">`, "/gone"},
		{`<a href="/sub/%c3%bc">`, "/%C3%BC"},
	} {
		rel := site(t, map[string]string{
			"d/index.html": tt.html, "d/b.html": "b", "d/i.png": "i", "index.html": "i",
			"100%/index.html": `<a href="c">c</a>`, "100%/c.html": "c",
			"%41/index.html": `<a href="c">c</a>`, "%41/c.html": "c",
			"_redirects": "/r/* / 302\n/gone /index.html 410\n",
		})
		var want []links.Link
		if tt.broken != "" {
			want = []links.Link{{Page: "/d/", Target: tt.broken}}
		}
		got, err := links.Broken(t.Context(), root, rel)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", tt.html, err, diff)
		}
		if err := links.Check(t.Context(), root, rel); (err != nil) != (tt.broken != "") || err != nil && !strings.Contains(err.Error(), "/d/ → "+tt.broken) {
			t.Errorf("%s: Check: %v", tt.html, err)
		}
	}
}

func TestManyBrokenLinksAreCounted(t *testing.T) {
	var page strings.Builder
	for i := range 30 {
		fmt.Fprintf(&page, "<a href=/%d>", i)
	}
	err := links.Check(t.Context(), "https://site.example/", site(t, map[string]string{"a.html": page.String()}))
	if err == nil || !strings.Contains(err.Error(), "30 links lead nowhere") || !strings.Contains(err.Error(), "and 20 more") {
		t.Errorf("Check: %v", err)
	}
}

func ExampleBroken() {
	rel, _, err := release.New(context.Background(), fstest.MapFS{
		"index.html": {Data: []byte(`<a href="/about">About</a> <a href="/blog/">Blog</a>`)},
		"about.html": {Data: []byte("me")},
	})
	if err != nil {
		panic(err)
	}
	broken, err := links.Broken(context.Background(), "https://site.example/", rel)
	fmt.Println(broken, err)
	// Output: [{/ /blog/}] <nil>
}

func BenchmarkBroken(b *testing.B) {
	files := map[string]string{}
	for i := range 1000 {
		files[fmt.Sprintf("%d/index.html", i)] = strings.Repeat(`<p class="text">Some words, and a <a href="../`+fmt.Sprint((i+1)%1000)+`/">link</a>.</p>`+"\n", 50)
	}
	rel := site(b, files)
	for b.Loop() {
		if broken, err := links.Broken(b.Context(), "https://site.example/", rel); err != nil || len(broken) > 0 {
			b.Fatal(broken, err)
		}
	}
}
