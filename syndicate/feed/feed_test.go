// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/feed"
)

func parse(t testing.TB, text string, o feed.Options) *feed.Feed {
	t.Helper()
	f, err := feed.Parse(strings.NewReader(text), o)
	if err != nil {
		t.Fatalf("Parse: %v\n%s", err, text)
	}
	return f
}

// problems are a feed's, as text.
func problems(f *feed.Feed) string {
	var all []string
	for _, p := range f.Problems {
		all = append(all, p.String())
	}
	return strings.Join(all, "\n")
}

func day(d int) time.Time { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC) }

// What package xesite/markdown generates says the same in all formats, as far as
// they can. Its output is kept in testdata, since libraries do not import each
// other, in tests neither.
func TestGeneratedFeeds(t *testing.T) {
	want := []syndicate.Post{
		{
			ID: "tag:me.example,2026:link", URL: "https://me.example/posts/link/", About: "https://other.example/article",
			Title: "Somebody wrote this", Summary: "Lest das. Es ist gut.", Language: "de", Published: day(5),
			ContentHTML: "<p>Lest das. Es ist gut.</p>\n<blockquote>\n<p>Ein Zitat</p>\n</blockquote>",
		},
		{
			ID: "https://me.example/posts/nodesc/", URL: "https://me.example/posts/nodesc/",
			Title: "Ünïcode 猫", Summary: "First paragraph with code <T>.", Language: "en", Published: day(3),
			ContentHTML: "<p>First paragraph with <code>code &lt;T&gt;</code>.</p>\n<p>Second paragraph.</p>",
		},
		{
			ID: "https://me.example/posts/hello/", URL: "https://me.example/posts/hello/",
			Title: `Hello <world> & "friends"`, Summary: "The first one.", Language: "en", Published: day(1), Updated: day(2),
			Image: syndicate.Image{URL: "https://me.example/cover.png"}, Tags: []string{"meta", "two words"},
			ContentHTML: `<p>Some <em>text</em> with a <a href="https://me.example/about/">link</a> © 2026.</p>`,
		},
	}
	for name, adapt := range map[string]func(p *syndicate.Post){
		"blog.json": func(*syndicate.Post) {},
		"blog.atom": func(p *syndicate.Post) { p.Image = syndicate.Image{} },
		"blog.rss": func(p *syndicate.Post) {
			p.Image, p.Updated, p.About, p.Authors = syndicate.Image{}, time.Time{}, "", []string{"Jo Example"}
			if p.Language == "de" {
				p.Language = "en"
			}
		},
	} {
		data, err := os.ReadFile("testdata/markdown/" + name)
		if err != nil {
			t.Fatal(err)
		}
		f := parse(t, string(data), feed.Options{})
		if f.Title != "Notes & Queries" || f.HomePage != "https://me.example/" || f.Language != "en" || len(f.Problems) > 0 {
			t.Errorf("%s: %q %q %q %s", name, f.Title, f.HomePage, f.Language, problems(f))
		}
		for i, w := range want {
			adapt(&w)
			got := f.Posts[i]
			got.ContentHTML = strings.TrimSpace(got.ContentHTML)
			if diff := cmp.Diff(w, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}

// A feed in the shape that the site behind this module has.
func TestLinkPostsOfVersion1(t *testing.T) {
	f := parse(t, `{"version": "https://jsonfeed.org/version/1", "title": "Xe", "home_page_url": "https://site.example",
		"feed_url": "https://site.example/blog.json", "description": "d", "items": [
		{"id": "https://other.example/talk", "url": "https://other.example/talk", "title": "A talk", "content_html": "<p>Go there</p>",
		 "date_published": "Sat, 01 Mar 2026 00:00:00 GMT", "tags": ["external"]},
		{"id": "https://www.site.example/blog/1/", "url": "https://www.site.example/blog/1/", "title": "One", "content_html": "x<br>y",
		 "date_published": "2026-03-02T00:00:00.000Z", "date_modified": "2026-03-02T00:00:00.000Z"}]}`, feed.Options{})
	want := []syndicate.Post{
		{
			ID: "https://other.example/talk", URL: "https://other.example/talk", External: true, Title: "A talk",
			Summary: "Go there", ContentHTML: "<p>Go there</p>", Tags: []string{"external"}, Published: day(1),
		},
		{
			ID: "https://www.site.example/blog/1/", URL: "https://www.site.example/blog/1/", Title: "One",
			Summary: "x y", ContentHTML: "x<br>y", Published: day(2),
		},
	}
	if diff := cmp.Diff(want, f.Posts); diff != "" || len(f.Problems) > 0 {
		t.Error(diff, problems(f))
	}
}

// jsonItems makes a feed of items.
func jsonItems(items string) string {
	return `{"version": "https://jsonfeed.org/version/1.1", "title": "T", "home_page_url": "https://me.example/", "items": [` + items + `]}`
}

func TestOneBadItemLeavesTheOthers(t *testing.T) {
	const good = `{"id": "good", "url": "/good", "title": "Good"}`
	for _, tt := range []struct{ item, want string }{
		{`{"url": "/x"}`, "item 1: no id; the item is left out"},
		{`{"id": " ", "url": "/x"}`, "item 1: no id; the item is left out"},
		{`3`, "item 1: its value is a JSON number, which is not what belongs there; the item is left out"},
		{`null`, "item 1: no id; the item is left out"},
		{`{"id": "a", "title": {}}`, `item 1 "a": want a text, not "{}"; the item is left out`},
		{`{"id": "a", "tags": "x"}`, `item 1 "a": its tags is a JSON string, which is not what belongs there; the item is left out`},
		{`{"id": "a"}`, `item 1 "a": syndicate: post "a": nothing to announce`},
		{`{"id": "a", "url": "javascript:alert(1)", "title": "A"}`, `item 1 "a": its address "javascript:alert(1)" is not usable`},
		{`{"id": "a", "url": "https://u:p@me.example/", "title": "A"}`, `item 1 "a": its address "https://u:p@me.example/" is not usable`},
		{`{"id": "a", "url": "/", "image": "data:image/png;base64,x"}`, `item 1 "a": its image`},
		{`{"id": "a", "url": "/", "language": "english!"}`, `item 1 "a": its language "english!" is no BCP 47 tag`},
		{`{"id": "a", "url": "/", "date_published": "yesterday"}`, `item 1 "a": its date "yesterday" is not readable`},
		{`{"id": "good", "url": "/1"}, {"id": "good", "url": "/2"}`, `item 2 "good": another item before it has the same id; the item is left out`},
		{`{"id": "a", "url": "/", "_syndicate": "no"}`, `item 1 "a": its _syndicate: its value is a JSON string`},
		{`{"id": "a", "url": "/", "_syndicate": {"skip": "yes"}}`, `item 1 "a": its _syndicate: its skip is a JSON string, which is not what belongs there; the item is left out`},
		{`{"id": "a", "url": "/", "_syndicate": {"visibility": "friends"}}`, `Overrides[*].Visibility is "friends"`},
		{`{"id": "a", "url": "/", "_syndicate": {"skipp": true, "networks": {"irc": {"Text": "x", "texd": "x"}}}}`, `item 1 "a": its _syndicate has a field "networks.irc.texd", which is not known
item 1 "a": its _syndicate has a field "skipp", which is not known`},
	} {
		f := parse(t, jsonItems(tt.item+","+good), feed.Options{URL: "https://me.example/blog.json"})
		if got := problems(f); !strings.Contains(got, tt.want) {
			t.Errorf("%s: problems %q, want %q", tt.item, got, tt.want)
		}
		if strings.Contains(tt.item, `"good"`) {
			if f.Posts[0].URL != "https://me.example/1" {
				t.Errorf("%s: the first does not win: %+v", tt.item, f.Posts)
			}
		} else if last := f.Posts[len(f.Posts)-1]; last.ID != "good" {
			t.Errorf("%s: the good item is not there: %+v", tt.item, f.Posts)
		}
	}
}

func TestJSONExtension(t *testing.T) {
	f := parse(t, jsonItems(`{"id": 7, "external_url": "https://other.example/a b", "content_text": "x\ny <b>", "image": "../i.png", "authors": [{"name": "Jo"}, {}],
		"tags": ["a", " a", "", 5], "_other": {"x": [1]},
		"_syndicate": {"about": "https://x.example/", "text": "Read!", "content_warning": "Cats", "image_alt": "A  cat", "aliases": ["/old", "mailto:x"],
			"networks": {"irc": {"skip": true}, "mastodon": {"text": "Toot", "language": "de", "visibility": "unlisted"}}}}`), feed.Options{URL: "https://me.example/feeds/blog.json"})
	want := []syndicate.Post{{
		ID: "7", URL: "https://other.example/a%20b", External: true, Summary: "x y <b>", Authors: []string{"Jo"}, Tags: []string{"a", "5"},
		Image: syndicate.Image{URL: "https://me.example/i.png", Alt: "A cat"}, Aliases: []string{"https://me.example/old"},
		Overrides: map[string]syndicate.Override{
			"*":        {Text: "Read!", ContentWarning: "Cats"},
			"irc":      {Skip: new(true)},
			"mastodon": {Text: "Toot", Language: "de", Visibility: "unlisted"},
		},
	}}
	if diff := cmp.Diff(want, f.Posts); diff != "" {
		t.Error(diff)
	}
	if got := problems(f); !strings.Contains(got, `its alias "mailto:x" is not usable`) || len(f.Problems) != 1 {
		t.Error(got)
	}
}

// rssItems makes a channel of items.
func rssItems(items string) string {
	return `<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY lol "lol"><!ENTITY file SYSTEM "file:///etc/passwd">]>
	<rss version="2.0" xmlns:c="http://purl.org/rss/1.0/modules/content/" xmlns:d="http://purl.org/dc/elements/1.1/" xmlns:t="http://purl.org/dc/terms/"
	 xmlns:m="http://search.yahoo.com/mrss/" xmlns:a="http://www.w3.org/2005/Atom" xmlns:content="https://not.content.example/">
	<channel><title>A &amp;amp; B</title><link>https://me.example/</link><a:link rel="self" href="https://me.example/rss.xml"/><language>en_gb</language>` + items + `</channel></rss>`
}

func TestRSS(t *testing.T) {
	f := parse(t, rssItems(`
	<item><title><![CDATA[One & <em>two</em> &hellip; Vec<T>]]></title><guid>https://me.example/1</guid><pubDate>Sun, 1 March 2026 00:00 GMT</pubDate>
		<description>Plain a &lt; b</description><c:encoded><![CDATA[<p>All</p>]]></c:encoded><content:encoded>not this</content:encoded>
		<d:creator>Jo &amp;amp; Co</d:creator><author>sam@me.example (Sam)</author><category>x</category><category domain="y">x</category>
		<m:group><m:content url="/i.png" medium="image"><m:description>A &lt;b&gt;cat&lt;/b&gt;</m:description></m:content></m:group>
		<t:modified>2026-03-02</t:modified></item>
	<item><title>Two</title><link>/two?a=1&b=2</link><guid isPermaLink="false">2</guid><d:date>2026-03-02T00:00:00Z</d:date><d:language>de</d:language>
		<enclosure url="https://me.example/a.mp3" type="audio/mpeg"/><enclosure url="https://me.example/2.jpg" type="image/jpeg" length="1"/>
		<description>&lt;p&gt;Para&lt;/p&gt;&lt;p&gt;graph&lt;/p&gt;</description></item>
	<item><a:link href="three"/><title>Three</title><m:thumbnail url="3.png"/></item>
	<item><title>Four &lol; &nbsp;x</title><pubDate>Mon, 02 Mar 2026 00:00:00 EST</pubDate></item>
	<item><description>&file;</description></item>
	<item xml:base="https://other.example/x/"><link>five</link><guid isPermaLink="FALSE">https://me.example/5</guid></item>
	<d:item><guid>no item</guid></d:item>`), feed.Options{})
	if f.Title != "A & B" || f.Language != "en-gb" || f.Format != "RSS" {
		t.Errorf("head: %+v", f)
	}
	want := []syndicate.Post{
		{
			ID: "https://me.example/1", URL: "https://me.example/1", Title: "One & two … Vec<T>", Summary: "Plain a < b", ContentHTML: "<p>All</p>",
			Authors: []string{"Jo & Co", "Sam"}, Tags: []string{"x"}, Image: syndicate.Image{URL: "https://me.example/i.png", Alt: "A cat"},
			Language: "en-gb", Published: day(1), Updated: day(2),
		},
		{
			ID: "2", URL: "https://me.example/two?a=1&b=2", Title: "Two", Summary: "Para graph", ContentHTML: "<p>Para</p><p>graph</p>",
			Image: syndicate.Image{URL: "https://me.example/2.jpg"}, Language: "de", Published: day(2),
		},
		{ID: "https://me.example/three", URL: "https://me.example/three", Title: "Three", Image: syndicate.Image{URL: "https://me.example/3.png"}, Language: "en-gb"},
		{
			ID:    "sha256:a24cd3e0ab96a1bd1bbee4ffbd8cb0f0ce45f2d0ca7e7e33a5bf3c2ac9d59a7b",
			Title: "Four &lol; x", Language: "en-gb", Published: day(2).Add(5 * time.Hour),
		},
		{ID: "https://me.example/5", URL: "https://other.example/x/five", External: true, Language: "en-gb"},
	}
	for i := range f.Posts {
		f.Posts[i].Published = f.Posts[i].Published.UTC()
	}
	want[3].ID = f.Posts[3].ID
	if diff := cmp.Diff(want, f.Posts); diff != "" {
		t.Error(diff)
	}
	const wantProblems = `item 3 "https://me.example/three": no guid: it is known by its link, and would be another post if that changed
item 4 "sha256:`
	if got := problems(f); !strings.HasPrefix(got, wantProblems) || !strings.HasSuffix(got, "item 5: no guid, link, title or date; the item is left out") || len(f.Problems) != 3 {
		t.Error(got)
	}
}

func TestAtom(t *testing.T) {
	f := parse(t, `<a:feed xmlns:a="http://www.w3.org/2005/Atom" xmlns:h="http://www.w3.org/1999/xhtml" xml:base="https://me.example/blog/" xml:lang="en">
	<a:title type="xhtml"><h:div>My <h:b>blog</h:b></h:div></a:title><a:link href=".."/>
	<a:entry><a:id>urn:1</a:id><a:title type="html">&lt;i&gt;One&lt;/i&gt; &amp;amp; more</a:title>
		<a:link rel="alternate" type="application/json" href="1.json"/><a:link rel="alternate" type="text/html" href="1"/><a:link rel="related" href="https://other.example/"/>
		<a:link rel="enclosure" type="image/png" href="1.png"/>
		<a:updated>2026-03-02T00:00:00Z</a:updated><a:category term="t" label="T"/><a:author><a:name>Jo</a:name><a:email>jo@me.example</a:email></a:author>
		<a:content type="xhtml" xml:base="/x/"><h:div>A <h:a href="y?a&amp;b">link</h:a><h:br/> &lt;b</h:div></a:content></a:entry>
	<a:entry xml:lang="de"><a:id>urn:2</a:id><a:title>a &lt;b&gt; c</a:title><a:content>1 &lt; 2</a:content><a:published>2026-03-01T00:00:00Z</a:published><a:updated>2026-03-02T00:00:00Z</a:updated></a:entry>
	<a:entry><a:title>No id</a:title></a:entry>
	<a:entry><a:id>https://me.example/4</a:id><a:summary type="html">&lt;p&gt;x</a:summary><a:content type="image/png" src="x.png"/></a:entry>
	</a:feed>`, feed.Options{})
	if f.Title != "My blog" || f.Language != "en" || f.HomePage != "https://me.example/" || f.Format != "Atom" {
		t.Errorf("head: %+v", f)
	}
	want := []syndicate.Post{
		{
			ID: "urn:1", URL: "https://me.example/blog/1", About: "https://other.example/", Title: "One & more", Summary: "A link <b",
			ContentHTML: `A <a href="y?a&amp;b">link</a><br> &lt;b`, Image: syndicate.Image{URL: "https://me.example/blog/1.png"},
			Authors: []string{"Jo"}, Tags: []string{"t"}, Language: "en", Published: day(2),
		},
		{ID: "urn:2", Title: "a <b> c", Summary: "1 < 2", ContentHTML: "1 &lt; 2", Language: "de", Published: day(1), Updated: day(2)},
		{ID: "https://me.example/4", URL: "https://me.example/4", Summary: "x", Language: "en"},
	}
	if diff := cmp.Diff(want, f.Posts); diff != "" {
		t.Error(diff)
	}
	if got := problems(f); got != "item 3: no id; the item is left out" {
		t.Error(got)
	}
}

func TestWhatIsNoFeed(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "not a feed: it is empty"},
		{" hello", `not a feed: it begins with "hello"`},
		{"{", "not a feed: unexpected end of JSON input"},
		{`{"version": "2"}`, `its version is "2"`},
		{"[]", "not a feed"},
		{"<html><body>", "it is a web page"},
		{"<!DOCTYPE html><HTML>", "it is a web page"},
		{`<RDF xmlns="http://www.w3.org/1999/02/22-rdf-syntax-ns#">`, "it is RSS 1.0"},
		{`<feed xmlns="http://purl.org/atom/ns#"/>`, `its root is <feed> of namespace "http://purl.org/atom/ns#"`},
		{"<rss version='3'><channel/></rss>", "it is RSS 3, want 2.0"},
		{"<rss version='2.0'></rss>", "there is no channel in it"},
		{"<rss version='2.0'><channel><title>x", "not a feed: XML syntax error"},
		{`<?xml version="1.0" encoding="koi8-r"?><rss/>`, `its encoding is "koi8-r", want UTF-8`},
		{`<?xml version="1.0" encoding="utf-16"?><rss/>`, "has no byte order mark"},
		{"<!-- only a comment -->", "not a feed"},
		{jsonItems(strings.Repeat("[", 200) + strings.Repeat("]", 200)), "nested deeper than 100 levels"},
	} {
		f, err := feed.Parse(strings.NewReader(tt.text), feed.Options{})
		if !errors.Is(err, feed.ErrFormat) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%q) = %v, %v, want %q", tt.text, f, err, tt.want)
		}
	}
	if _, err := feed.Parse(strings.NewReader("{}"), feed.Options{URL: "/relative"}); err == nil {
		t.Error("a relative Options.URL is no error")
	}
	if _, err := feed.Parse(iotest.ErrReader(os.ErrClosed), feed.Options{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a reader's error became %v", err)
	}
}

func TestLimits(t *testing.T) {
	if _, err := feed.Parse(strings.NewReader(jsonItems("")), feed.Options{MaxBytes: 50}); !errors.Is(err, feed.ErrTooLarge) {
		t.Errorf("a large feed: %v", err)
	}
	var j, x strings.Builder
	for i := range 30 {
		fmt.Fprintf(&j, `,{"id": "%d", "title": "x"}`, i)
		fmt.Fprintf(&x, `<item><guid>%d</guid><title>x</title></item>`, i)
	}
	for _, text := range []string{jsonItems(j.String()[1:]), rssItems(x.String())} {
		for most, want := range map[int]string{10: "only the first 10 items are read", 30: "", 0: ""} {
			f := parse(t, text, feed.Options{MaxItems: most})
			if n := len(f.Posts); most > 0 && n != most || problems(f) != want {
				t.Errorf("%d of at most %d, %s", n, most, problems(f))
			}
		}
	}
	// Deep elements cost the item that they are in.
	f := parse(t, rssItems("<item><guid>1</guid>"+strings.Repeat("<b>", 1e5)+strings.Repeat("</b>", 1e5)+"</item><item><guid>2</guid><title>x</title></item>"), feed.Options{})
	if len(f.Posts) != 1 || f.Posts[0].ID != "2" || problems(f) != "item 1: it is nested deeper than 100 levels; the item is left out" {
		t.Errorf("%+v %s", f.Posts, problems(f))
	}
}

func TestDamagedXML(t *testing.T) {
	const good = "<item><guid>good</guid><title>Good</title></item>"
	for _, tt := range []struct{ name, items, want string }{
		{"control characters", "<item><guid>1</guid><title>a\x08b&#8;&#x1F;&#xD800;&#X41;</title></item>" + good, "it has control characters, which are removed"},
		{"bad bytes", "<item><guid>1</guid><title>a\xffb</title></item>" + good, "it is not valid UTF-8; what is not is replaced"},
		{"unclosed element", "<item><guid>1</guid><title>x</title><b></item>" + good, ""},
		{"bare ampersand", "<item><guid>1</guid><title>A & B &unknown; &amp</title></item>" + good, ""},
		{"cut off", good + "<item><guid>1</guid><tit", "it ends in the middle: XML syntax error"},
		{"undeclared prefix", "<item><guid>1</guid><title>x</title><foo:bar>y</foo:bar></item>" + good, ""},
	} {
		text := rssItems(tt.items)
		if tt.name == "cut off" {
			text, _, _ = strings.Cut(text, "</channel>")
		}
		f := parse(t, text, feed.Options{})
		found := false
		for _, p := range f.Posts {
			found = found || p.ID == "good"
		}
		if got := problems(f); !found || !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: %+v %q", tt.name, f.Posts, got)
		}
	}
}

func TestEncodings(t *testing.T) {
	doc := func(encoding, title string) string {
		return `<?xml version="1.0" encoding="` + encoding + `"?><rss version="2.0"><channel><item><guid>1</guid><title>` + title + `</title></item></channel></rss>`
	}
	utf16Of := func(s string, little bool) string {
		var out []byte
		for _, u := range append([]uint16{0xfeff}, utf16.Encode([]rune(s))...) {
			if little {
				out = append(out, byte(u), byte(u>>8))
			} else {
				out = append(out, byte(u>>8), byte(u))
			}
		}
		return string(out)
	}
	for name, text := range map[string]string{
		"UTF-8":                doc("UTF-8", "Ünï €"),
		"byte order mark":      "\ufeff" + doc("utf-8", "Ünï €"),
		"windows-1252":         doc("Windows-1252", "\xdcn\xef \x80"),
		"ISO-8859-1":           doc("ISO-8859-1", "\xdcn\xef \x80"),
		"UTF-16 little endian": utf16Of(doc("UTF-16", "Ünï €"), true),
		"UTF-16 big endian":    utf16Of(doc("UTF-16", "Ünï €"), false),
		"JSON in UTF-16":       utf16Of(jsonItems(`{"id": "1", "title": "Ünï €"}`), true),
	} {
		f := parse(t, text, feed.Options{})
		if len(f.Posts) != 1 || f.Posts[0].Title != "Ünï €" || len(f.Problems) != 1 && !strings.Contains(name, "JSON") && len(f.Problems) != 0 {
			t.Errorf("%s: %+v %s", name, f.Posts, problems(f))
		}
	}
}

// Nothing that a document declares is expanded, or read.
func TestEntitiesAreNotExpanded(t *testing.T) {
	f := parse(t, `<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY x SYSTEM "file:///etc/passwd">]>
	<rss version="2.0"><channel><item><guid>1</guid><title>&b;&x;</title></item></channel></rss>`, feed.Options{})
	if got := f.Posts[0].Title; got != "&b;&x;" {
		t.Errorf("the title is %q", got)
	}
}

func TestSummariesAreShort(t *testing.T) {
	f := parse(t, jsonItems(`{"id": "1", "content_html": "`+strings.Repeat("word ", 9999)+`"}, {"id": "2", "summary": "`+strings.Repeat("猫", 9999)+`"}`), feed.Options{})
	for _, p := range f.Posts {
		if n := len([]rune(p.Summary)); n < 490 || n > 500 || !strings.HasSuffix(p.Summary, "…") {
			t.Errorf("%d: %q", n, p.Summary)
		}
	}
}
