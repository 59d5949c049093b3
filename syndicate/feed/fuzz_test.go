// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/syndicate/feed"
)

func FuzzParseJSON(f *testing.F) {
	f.Add(jsonItems(`{"id": 1, "url": "x", "_syndicate": {"skip": false, "networks": {"*": {}, "irc": {"text": "x"}}}}`))
	fuzz(f, "blog.json", "JSON Feed")
}

func FuzzParseRSS(f *testing.F) {
	f.Add(rssItems(`<item><guid>1</guid><title><![CDATA[<b>&amp;]]></title><m:group><m:content url="i" type="image/x"/></m:group></item>`))
	fuzz(f, "blog.rss", "RSS")
}

func FuzzParseAtom(f *testing.F) {
	f.Add(`<feed xmlns="http://www.w3.org/2005/Atom" xml:base="x"><entry><id>1</id><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><br/>x</div></content></entry></feed>`)
	fuzz(f, "blog.atom", "Atom")
}

// fuzz holds whatever is read to what the package promises of it.
func fuzz(f *testing.F, seed, format string) {
	data, err := os.ReadFile("testdata/markdown/" + seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Fuzz(func(t *testing.T, text string) {
		o := feed.Options{URL: "https://me.example/feed", MaxItems: 20, MaxBytes: 1 << 20}
		got, err := feed.Parse(strings.NewReader(text), o)
		if err != nil {
			if !errors.Is(err, feed.ErrFormat) && !errors.Is(err, feed.ErrTooLarge) {
				t.Fatal(err)
			}
			return
		}
		again, err := feed.Parse(strings.NewReader(text), o)
		if diff := cmp.Diff(got.Posts, again.Posts); diff != "" || err != nil {
			t.Fatalf("another reading gives something else: %v %s", err, diff)
		}
		seen := map[string]bool{}
		for _, p := range got.Posts {
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			if seen[p.ID] || strings.ContainsAny(p.Title+p.Summary, "\r\n\x00") || len([]rune(p.Summary)) > 500 {
				t.Fatalf("%s: %+v", format, p)
			}
			seen[p.ID] = true
			_ = p.Fingerprint()
		}
		if len(got.Posts) > o.MaxItems {
			t.Fatalf("%d posts", len(got.Posts))
		}
		for _, p := range got.Problems {
			if strings.ContainsAny(p.String(), "\r\n\x00") {
				t.Fatalf("problem %q", p)
			}
		}
	})
}

// large makes a feed of 500 items with 4 KB of text each.
func large(head, item, tail string) string {
	var out strings.Builder
	out.WriteString(head)
	for i := range 500 {
		if i > 0 && strings.HasPrefix(item, "{") {
			out.WriteString(",")
		}
		out.WriteString(strings.NewReplacer("N", fmt.Sprint(i), "C", strings.Repeat("Some text and &lt;b&gt;more&lt;/b&gt;. ", 100)).Replace(item))
	}
	return out.String() + tail
}

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"JSON": large(`{"version": "https://jsonfeed.org/version/1.1", "items": [`, `{"id": "N", "url": "https://me.example/N", "title": "N", "content_html": "C", "date_published": "2026-03-01T00:00:00Z"}`, "]}"),
		"RSS":  large(`<rss version="2.0"><channel>`, `<item><guid>https://me.example/N</guid><title>N</title><description>C</description><pubDate>Sun, 01 Mar 2026 00:00:00 GMT</pubDate></item>`, "</channel></rss>"),
		"Atom": large(`<feed xmlns="http://www.w3.org/2005/Atom">`, `<entry><id>https://me.example/N</id><title>N</title><content type="html">C</content><updated>2026-03-01T00:00:00Z</updated></entry>`, "</feed>"),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				f, err := feed.Parse(strings.NewReader(text), feed.Options{})
				if err != nil || len(f.Posts) != 500 {
					b.Fatal(err, len(f.Posts))
				}
			}
		})
	}
}
