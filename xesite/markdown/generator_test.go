// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/xesite/markdown"
)

// now is after every post of the tests, and of the demo site.
var now = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// tree writes files into a new directory.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// readTree returns all files below dir.
func readTree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		files[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// site is the result of a build.
type site struct {
	files    map[string]string
	warnings []string
}

// build builds files with g and fails the test on an error.
func build(t *testing.T, g markdown.Generator, files map[string]string) *site {
	t.Helper()
	s := &site{}
	g.Warnf = func(format string, args ...any) { s.warnings = append(s.warnings, fmt.Sprintf(format, args...)) }
	if g.Now.IsZero() {
		g.Now = now
	}
	if g.BaseURL == "" {
		g.BaseURL = "https://blog.example/"
	}
	dst := t.TempDir()
	if err := g.Build(t.Context(), tree(t, files), dst); err != nil {
		t.Fatalf("Build: %v", err)
	}
	s.files = readTree(t, dst)
	return s
}

// buildError builds files and returns the error, which must be there.
func buildError(t *testing.T, files map[string]string) error {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "out")
	err := (&markdown.Generator{Now: now}).Build(t.Context(), tree(t, files), dst)
	if err == nil {
		t.Fatalf("Build succeeded, want an error; input %q", files)
	}
	if _, statErr := os.Stat(dst); statErr == nil {
		t.Errorf("a failed build made the output directory")
	}
	return err
}

func (s *site) want(t *testing.T, name string, parts ...string) {
	t.Helper()
	content, ok := s.files[name]
	if !ok {
		t.Errorf("%s is missing", name)
		return
	}
	content = strings.ReplaceAll(content, "&#43;", "+") // how templates write it
	for _, part := range parts {
		if !strings.Contains(content, part) {
			t.Errorf("%s does not contain %q:\n%s", name, part, content)
		}
	}
}

func post(title, rest string) string {
	return "---\ntitle: " + title + "\n" + rest + "---\n\nText of " + title + ".\n"
}

func TestDocumentsBecomePagesWithAddressesOfTheirOwn(t *testing.T) {
	s := build(t, markdown.Generator{Title: "Example"}, map[string]string{
		"index.md":                       "Hello there.",
		"about.md":                       "# About *me*\n\nText.",
		"docs/index.md":                  "# Docs",
		"docs/Set Up.md":                 "Text.",
		"docs/README.md":                 "not published",
		"posts/2026-03-01-hello.md":      "# Hello\n\nText.",
		"posts/2026/deep.md":             post("Deep", "date: 2026-02-01\n"),
		"posts/bundle/index.md":          post("Bundle", "date: 2026-01-01\n"),
		"posts/bundle/notes.md":          "# Notes",
		"posts/2025-12-31-year/index.md": "# Year",
		"_posts/2025-06-01-jekyll.md":    "# Jekyll",
		"blog/2025-05-01-other.md":       "# Other",
		"posts/README.md":                "not published",
		"custom.md":                      "---\nurl: /here/it/is/\n---\n",
		"404.md":                         "# Lost",
	})
	for name, part := range map[string]string{
		"index.html":                    "Hello there.",
		"about/index.html":              `<h1 class="p-name">About me</h1>`,
		"docs/index.html":               "Docs",
		"docs/set-up/index.html":        ">Set Up</h1>",
		"posts/hello/index.html":        `datetime="2026-03-01T00:00:00Z"`,
		"posts/2026/deep/index.html":    "Text of Deep.",
		"posts/bundle/index.html":       "Text of Bundle.",
		"posts/bundle/notes/index.html": "Notes",
		"posts/year/index.html":         `datetime="2025-12-31T00:00:00Z"`,
		"posts/jekyll/index.html":       "Jekyll",
		"blog/other/index.html":         "Other",
		"here/it/is/index.html":         "Custom",
		"404.html":                      "Lost",
		"posts/index.html":              `id="y2025"`,
		"blog/index.html":               `<link rel="canonical" href="https://blog.example/posts/">`,
		"robots.txt":                    "Sitemap: https://blog.example/sitemap.xml",
		"sitemap.xml":                   "<loc>https://blog.example/posts/hello/</loc>",
	} {
		s.want(t, name, part)
	}
	for name, content := range s.files {
		if strings.Contains(content, "not published") {
			t.Errorf("%s holds text of a README that is not published", name)
		}
	}
}

func TestHTMLSiteIsCopiedAsItIs(t *testing.T) {
	files := map[string]string{
		"index.html": "<h1>Mine</h1>\r\n", "a/b.bin": "\x00\xff\x01", "_redirects": "/a /b\n", "site.yaml": "not: ours",
		".well-known/x": "x",
	}
	got := build(t, markdown.Generator{}, files).files
	if diff := cmp.Diff(files, got); diff != "" {
		t.Errorf("output differs from the source (-source +output):\n%s", diff)
	}
	with := map[string]string{"README.md": "# For developers", ".git/config": "secret", "node_modules/x/y.js": "y", "_site/old.html": "old"}
	maps.Copy(with, files)
	got = build(t, markdown.Generator{}, with).files
	if diff := cmp.Diff(files, got); diff != "" {
		t.Errorf("output with README differs (-source +output):\n%s", diff)
	}
}

func TestAuthorsFilesGoBeforeGeneratedOnes(t *testing.T) {
	own := map[string]string{"index.html": "my home", "404.html": "my 404", "robots.txt": "my robots", "blog.json": "{}", "sitemap.xml": "<x/>", "tags/index.html": "my tags"}
	files := map[string]string{"posts/2026-01-01-a.md": "---\ntags: x\n---\n# A", "style.css": "/* mine */", "favicon.svg": "<svg/>"}
	maps.Copy(files, own)
	s := build(t, markdown.Generator{}, files)
	for name, content := range own {
		if s.files[name] != content {
			t.Errorf("%s = %q, want the author's %q", name, s.files[name], content)
		}
	}
	s.want(t, "posts/a/index.html", `<link rel="stylesheet" href="/style.css">`, `<link rel="icon" type="image/svg+xml" href="/favicon.svg">`)
}

func TestReadmeIntroducesTheHomePageWithoutIndex(t *testing.T) {
	s := build(t, markdown.Generator{}, map[string]string{"README.md": "# My notes\n\nWelcome.", "a.md": "# A"})
	s.want(t, "index.html", "<h1>My notes</h1>", "Welcome.")
	if _, ok := s.files["readme/index.html"]; ok {
		t.Error("README.md is also a page of its own")
	}
}

func TestDraftsAndScheduledPostsAreHeldBack(t *testing.T) {
	files := map[string]string{
		"posts/2026-01-01-draft.md":  "---\ndraft: true\n---\n# Draft",
		"posts/2026-06-01-later.md":  "# Later",
		"posts/2026-01-02-public.md": "# Public\n\n[draft](2026-01-01-draft.md)",
	}
	var due []string
	g := markdown.Generator{Now: time.Date(2026, 5, 31, 23, 59, 59, 0, time.UTC), Scheduled: func(file string, at time.Time) {
		due = append(due, file+" "+at.Format(time.DateOnly))
	}}
	s := build(t, g, files)
	for name, content := range s.files {
		if strings.Contains(content, "Later") || strings.Contains(content, ">Draft") {
			t.Errorf("%s tells of a post that is held back:\n%s", name, content)
		}
	}
	if diff := cmp.Diff([]string{"posts/2026-06-01-later.md 2026-06-01"}, due); diff != "" {
		t.Errorf("Scheduled calls (-want +got):\n%s", diff)
	}
	if len(s.warnings) != 1 || !strings.Contains(s.warnings[0], "posts/2026-01-02-public.md:3") || !strings.Contains(s.warnings[0], "held back") {
		t.Errorf("warnings = %q, want one about the link to the draft", s.warnings)
	}
	g.Drafts, g.Now = true, now
	s = build(t, g, files)
	s.want(t, "posts/draft/index.html", `<span class="draft">Draft</span>`)
	s.want(t, "posts/later/index.html", "Later")
}

func TestLinksAndPicturesWorkFromThePage(t *testing.T) {
	s := build(t, markdown.Generator{}, map[string]string{
		"about.md":              "# About",
		"posts/2026-01-01-a.md": "# A\n\n[1](2026-01-02-b.md#x) [2](../about.md?q=1) [3](/about.md) [4](https://x.example/y.md) [5](#top) [6](mailto:a@b.example) ![7](pic.png)\n\n<a href=\"../about.md\">8</a> <img srcset=\"pic.png 1x, /big.png 2x\" src='pic.png'> `[9](../about.md)`",
		"posts/2026-01-02-b.md": "# B\n\n[gone](nowhere.md) [old](/old/) [there](../a/)",
		"posts/pic.png":         "png",
		"big.png":               "png",
		"_redirects":            "/old/* /about/ 301",
	})
	s.want(t, "posts/a/index.html",
		`href="/posts/b/#x"`, `href="/about/?q=1"`, `<a href="/about/">3`, `href="https://x.example/y.md"`, `href="#top"`, `href="mailto:a@b.example"`,
		`src="/posts/pic.png" alt="7"`, `<a href="/about/">8</a>`, `srcset="/posts/pic.png 1x, /big.png 2x"`, `<code>[9](../about.md)</code>`)
	want := []string{`posts/2026-01-02-b.md:3: link to "nowhere.md" leads nowhere; check its spelling; links to documents are written as their file names`}
	if diff := cmp.Diff(want, s.warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestPicturesSayHowMuchRoomTheyNeed(t *testing.T) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	s := build(t, markdown.Generator{}, map[string]string{
		"docs/a.md": "![a](a.png) ![b](b.svg) <img src=a.png width=3>", "docs/a.png": picture.String(), "docs/b.svg": "<svg/>",
	})
	s.want(t, "docs/a/index.html", `<img loading="lazy" width="30" height="20" src="/docs/a.png" alt="a">`, `<img loading="lazy" src="/docs/b.svg"`, `width=3>`)
}

func TestSiteBelowAPathLinksBelowIt(t *testing.T) {
	s := build(t, markdown.Generator{BaseURL: "https://host.example/me"}, map[string]string{"about.md": "# About", "posts/2026-01-01-a.md": "# A\n\n[x](../about.md)"})
	s.want(t, "posts/a/index.html", `<link rel="canonical" href="https://host.example/me/posts/a/">`, `<a href="/me/about/">x`, `href="/me/style.`)
	s.want(t, "blog.json", `https://host.example/me/about/`)
}

func TestFeedsAgreeAndHoldAbsoluteAddresses(t *testing.T) {
	s := build(t, markdown.Generator{Title: "T & Q", Author: "Jo", Language: "de"}, map[string]string{
		"posts/2026-01-01-a.md": "---\ntitle: A <b> & c\nupdated: 2026-02-03T04:05:06+01:00\ntags: [x, y]\nimage: pic.png\nsummary: S\nlink: https://other.example/\n---\n[b](2026-01-02-b.md) ![p](pic.png) [f](#f) \x01\x0b text[^1]\n\n[^1]: Note.\n",
		"posts/2026-01-02-b.md": "---\nid: tag:blog.example,2026:b\nauthor: Al\n---\n# B\n\n## Part\n\nText.",
		"posts/pic.png":         "p",
	})
	var feed struct {
		Version, Title, Language string
		Items                    []struct {
			ID, URL, Title, Summary, Image, Language string
			External                                 string `json:"external_url"`
			Content                                  string `json:"content_html"`
			Published                                string `json:"date_published"`
			Modified                                 string `json:"date_modified"`
			Tags                                     []string
			Authors                                  []struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(s.files["blog.json"]), &feed); err != nil {
		t.Fatal(err)
	}
	if len(feed.Items) != 2 || feed.Title != "T & Q" || feed.Language != "de" {
		t.Fatalf("feed = %+v", feed)
	}
	b, a := feed.Items[0], feed.Items[1]
	if b.ID != "tag:blog.example,2026:b" || b.URL != "https://blog.example/posts/b/" || b.Authors[0].Name != "Al" {
		t.Errorf("newest item = %+v", b)
	}
	if strings.Contains(b.Content, "anchor") {
		t.Errorf("feed content has anchors: %s", b.Content)
	}
	if a.Title != "A <b> & c" || a.Summary != "S" || a.Image != "https://blog.example/posts/pic.png" || a.External != "https://other.example/" ||
		a.Published != "2026-01-01T00:00:00Z" || a.Modified != "2026-02-03T04:05:06+01:00" || !cmp.Equal(a.Tags, []string{"x", "y"}) {
		t.Errorf("older item = %+v", a)
	}
	for _, part := range []string{`href="https://blog.example/posts/b/"`, `src="https://blog.example/posts/pic.png"`, `href="https://blog.example/posts/a/#f"`, `href="https://blog.example/posts/a/#fn:1"`} {
		if !strings.Contains(a.Content, part) {
			t.Errorf("content_html lacks %s:\n%s", part, a.Content)
		}
	}
	var rss struct {
		Items []struct {
			GUID    string `xml:"guid"`
			PubDate string `xml:"pubDate"`
			Encoded string `xml:"http://purl.org/rss/1.0/modules/content/ encoded"`
		} `xml:"channel>item"`
	}
	var atom struct {
		Updated string `xml:"updated"`
		Entries []struct {
			ID      string `xml:"id"`
			Title   string `xml:"title"`
			Content string `xml:"content"`
		} `xml:"entry"`
	}
	for name, into := range map[string]any{"blog.rss": &rss, "blog.atom": &atom, "sitemap.xml": new(struct{ XMLName xml.Name })} {
		if err := xml.Unmarshal([]byte(s.files[name]), into); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(rss.Items) != 2 || rss.Items[1].GUID != a.ID || rss.Items[1].PubDate != "Thu, 01 Jan 2026 00:00:00 +0000" || rss.Items[0].Encoded != b.Content {
		t.Errorf("RSS = %+v", rss)
	}
	if len(atom.Entries) != 2 || atom.Entries[1].ID != a.ID || atom.Entries[1].Title != a.Title || atom.Updated != "2026-02-03T04:05:06+01:00" {
		t.Errorf("Atom = %+v", atom)
	}
}

func TestHomePageAndFeedsAreBounded(t *testing.T) {
	files := map[string]string{"site.yaml": "home_posts: 3\nfeed_items: 2\n"}
	for day := 1; day <= 9; day++ {
		files[fmt.Sprintf("posts/2026-01-0%d-p%d.md", day, day)] = "text"
	}
	s := build(t, markdown.Generator{}, files)
	for name, want := range map[string]int{"index.html": 3, "posts/index.html": 9} {
		if got := strings.Count(s.files[name], `class="h-entry"`); got != want {
			t.Errorf("%s lists %d posts, want %d", name, got, want)
		}
	}
	if got := strings.Count(s.files["blog.atom"], "<entry>"); got != 2 {
		t.Errorf("the feed has %d items, want 2", got)
	}
	s.want(t, "index.html", `<a href="/posts/">All posts</a>`, "P9")
	s.want(t, "posts/p5/index.html", `rel="prev" href="/posts/p4/"`, `rel="next" href="/posts/p6/"`)
}

func TestTagsThatDifferOnlyInSpellingAreOne(t *testing.T) {
	s := build(t, markdown.Generator{}, map[string]string{
		"posts/2026-01-01-a.md": "---\ntags: go, C++, C#, 🐱\n---\n", "posts/2026-01-02-b.md": "---\ntags: [Go, C]\n---\n",
	})
	s.want(t, "tags/go/index.html", "Posts about Go", ">A</a>", ">B</a>")
	for _, name := range []string{"tags/c/index.html", "tags/c-plus/index.html", "tags/c-sharp/index.html", "tags/index.html"} {
		if name == "tags/c-plus/index.html" {
			name = "tags/c-plus-plus/index.html"
		}
		s.want(t, name, "<h1>")
	}
}

func TestAliasesAreAppendedToRedirects(t *testing.T) {
	s := build(t, markdown.Generator{}, map[string]string{
		"_redirects":            "/x /y 302",
		"posts/2026-01-01-a.md": "---\naliases: [/old/, was here, /about/]\n---\n",
		"about.md":              "---\nredirect_from: /old\n---\n",
	})
	want := "/x /y 302\n/old/ /posts/a/ 301\n/was%20here /posts/a/ 301\n"
	if got := s.files["_redirects"]; got != want {
		t.Errorf("_redirects = %q, want %q", got, want)
	}
	if len(s.warnings) != 2 {
		t.Errorf("warnings = %q, want one for each alias that is taken", s.warnings)
	}
}

// aliases makes n fields, each ten times as large as the one before it.
func aliases(n int) string {
	var b strings.Builder
	for i := range n {
		name := string(rune('a' + i))
		fmt.Fprintf(&b, "%c: &%[1]c [%s*%s]\n", 'b'+i, strings.Repeat("*"+name+", ", 9), name)
	}
	return b.String()
}

func TestMistakesNameFileLineAndRemedy(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"no date", map[string]string{"posts/a.md": "# A"}, []string{"posts/a.md:1:", "no date", "2006-01-02-a.md"}},
		{"bad date", map[string]string{"posts/a.md": "---\ntitle: A\ndate: soon\n---\n"}, []string{"posts/a.md:3:", `"soon"`, "2006-01-02"}},
		{"open front matter", map[string]string{"a.md": "---\ntitle: A\n"}, []string{"a.md:1:", "has no end", "add a line ---"}},
		{"bad YAML", map[string]string{"a.md": "---\ntitle: A\ntags: [a\n---\n"}, []string{"a.md:", "YAML"}},
		{"colon in title", map[string]string{"a.md": "---\ntitle: A: B\n---\n"}, []string{"a.md:2:", "quote values"}},
		{"aliases of aliases", map[string]string{"a.md": "---\na: &a [x, x, x]\n" + aliases(12) + "---\n"}, []string{"a.md:", "too many"}},
		{"alias of itself", map[string]string{"a.md": "---\na: &a [*a, *a, *a]\n---\n"}, []string{"a.md:2:", "too deeply"}},
		{"field twice", map[string]string{"a.md": "---\ntitle: A\nslug: b\ntitle: C\n---\n"}, []string{"a.md:4:", "title"}},
		{"bad TOML", map[string]string{"a.md": "+++\ntitle = \"A\"\ntags = nope\n+++\n"}, []string{"a.md:3:", "not in quotes"}},
		{"bad draft", map[string]string{"a.md": "---\ndraft: perhaps\n---\n"}, []string{"a.md:2:", "perhaps", "true or false"}},
		{"bad slug", map[string]string{"a.md": "---\nslug: ../../etc\n---\n"}, []string{"a.md:2:", "slug"}},
		{"bad url", map[string]string{"a.md": "---\nurl: /../x/\n---\n"}, []string{"a.md:2:", "path of this site"}},
		{"two mistakes", map[string]string{"a.md": "---\ndraft: x\n---\n", "b.md": "---\ndate: x\n---\n"}, []string{"a.md:2:", "b.md:2:"}},
		{"same address", map[string]string{"posts/2026-01-01-a.md": "", "posts/2026-01-02-a.md": ""}, []string{"posts/2026-01-01-a.md", "posts/2026-01-02-a.md", "/posts/a/", "slug"}},
		{"page and file", map[string]string{"about.md": "", "about/index.html": ""}, []string{"about.md", "about/index.html"}},
		{"two homes", map[string]string{"index.md": "", "index.html": ""}, []string{"index.md", "index.html"}},
		{"file for directory", map[string]string{"about": "", "about.md": ""}, []string{"about", "about.md", "directory"}},
		{"bad settings", map[string]string{"a.md": "", "site.yaml": "title: A\ntimezone: Moon/Base\n"}, []string{"site.yaml:2:", "Moon/Base", "Europe/Berlin"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := buildError(t, tt.files)
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error lacks %q: %v", part, err)
				}
			}
			var e *markdown.Error
			if !errors.As(err, &e) || e.File == "" || e.Remedy == "" {
				t.Errorf("error holds no *Error with file and remedy: %#v", e)
			}
		})
	}
}

func TestTOMLFrontMatterSaysTheSameAsYAML(t *testing.T) {
	body := "\nText.\n"
	a := build(t, markdown.Generator{}, map[string]string{"posts/a.md": "---\ntitle: \"A \\\"quoted\\\" one\"\ndate: 2026-01-02T03:04:05+02:00\ntags:\n  - x\n  - y z\ndraft: false\naliases: [/o/]\nparams: {a: 1}\n---\n" + body})
	b := build(t, markdown.Generator{}, map[string]string{"posts/a.md": "+++\n# comment\ntitle = \"A \\\"quoted\\\" one\" # why\ndate = 2026-01-02T03:04:05+02:00\ntags = [\n  'x',\n  \"y z\",\n]\ndraft = false\naliases = [\"/o/\"]\n[params]\ntitle = 'other'\n+++\r\n" + body})
	if diff := cmp.Diff(a.files, b.files); diff != "" {
		t.Errorf("output differs (-yaml +toml):\n%s", diff)
	}
}

func TestSettingsDescribeTheSite(t *testing.T) {
	s := build(t, markdown.Generator{Title: "Overridden"}, map[string]string{
		"site.yaml": "title: Mine\ndescription: Notes\nauthor: {name: Jo, url: 'https://jo.example/'}\nlanguage: de\ntimezone: Europe/Berlin\n" +
			"nav: [{title: Me, url: about.md}, gone.md]\nlinks: [{title: Fedi, url: 'https://f.example/@jo'}]\nfooter: 'CC *BY*'\nexclude: [notes, '*.psd']\ntypo: 1\n",
		"about.md": "# About", "notes/x.md": "# X", "a/b.psd": "p", "posts/2026-07-01-a.md": "# A",
	})
	s.want(t, "posts/a/index.html", `lang="de"`, "A · Mine", `datetime="2026-07-01T00:00:00+02:00"`, ">2026-07-01<", `<a href="/about/">Me</a>`, `rel="me" href="https://f.example/@jo"`, "CC <em>BY</em>", "p-author h-card\">Jo<")
	for _, gone := range []string{"notes/x/index.html", "a/b.psd"} {
		if _, ok := s.files[gone]; ok {
			t.Errorf("%s is there, though it is excluded", gone)
		}
	}
	if len(s.warnings) != 2 || !strings.Contains(s.warnings[0], "site.yaml:10") || !strings.Contains(s.warnings[1], "site.yaml:6") {
		t.Errorf("warnings = %q, want those about typo and gone.md", s.warnings)
	}
}

func TestTextIsRenderedForReaders(t *testing.T) {
	s := build(t, markdown.Generator{}, map[string]string{
		"a.md": "# Title\n\n# Again\n\n## Über *uns*\n\n```go\nfunc main() {}\n```\n\n    plain\n\n|a|b|\n|-|-|\n|1|2|\n\n- [x] done\n\nTerm\n: Meaning\n\nx[^1] \"q\"\n\n[^1]: Note\n\n<table><tr><td><table></table></td></tr></table>\n\n<script>\"<h2 id='no'></h2>\"</script>\n",
	})
	s.want(t, "a/index.html", `<h1 class="p-name">Title</h1>`, `<h2 id="again">Again`, `<h3 id="über-uns">Über <em>uns</em> <a class="anchor" href="#über-uns" aria-label="Link to section Über uns">#</a></h3>`,
		`<pre tabindex="0" class="chroma">`, `<span class="kd">func</span>`, `<pre tabindex="0"><code>plain`, `role="region"`, `type="checkbox"`, "<dt>Term</dt>", `id="fn:1"`, "“q”", `"<h2 id='no'></h2>"</script>`)
	if n := strings.Count(s.files["a/index.html"], `class="scroll"`); n != 2 {
		t.Errorf("%d scrolling boxes, want 2: one for each outer table", n)
	}
	if n := strings.Count(s.files["a/index.html"], "<h1"); n != 1 {
		t.Errorf("%d headings of level 1, want 1", n)
	}
}

func TestSameInputGivesSameBytes(t *testing.T) {
	demo := filepath.Join("..", "..", "example", "demo")
	var trees []map[string]string
	for _, at := range []time.Time{now, now.AddDate(3, 0, 0)} {
		dst := t.TempDir()
		if err := (&markdown.Generator{Now: at}).Build(t.Context(), demo, dst); err != nil {
			t.Fatal(err)
		}
		trees = append(trees, readTree(t, dst))
	}
	if diff := cmp.Diff(trees[0], trees[1]); diff != "" {
		t.Errorf("builds differ:\n%s", diff)
	}
}

var addressPattern = regexp.MustCompile(`(?:href|src)="([^"]+)"`)

func TestEveryLinkOfTheDemoSiteLeadsSomewhere(t *testing.T) {
	dst := t.TempDir()
	g := &markdown.Generator{Now: now, BaseURL: "https://demo.example/", Warnf: t.Errorf}
	if err := g.Build(t.Context(), filepath.Join("..", "..", "example", "demo"), dst); err != nil {
		t.Fatal(err)
	}
	files := readTree(t, dst)
	checked := 0
	for name, content := range files {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		base := &url.URL{Scheme: "https", Host: "demo.example", Path: "/" + strings.TrimSuffix(name, "index.html")}
		for _, m := range addressPattern.FindAllStringSubmatch(content, -1) {
			u, err := base.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if u.Host != "demo.example" {
				continue
			}
			checked++
			file := strings.TrimPrefix(u.Path, "/")
			if strings.HasSuffix(u.Path, "/") {
				file = path.Join(file, "index.html")
			}
			target, ok := files[file]
			if !ok {
				t.Errorf("%s: link to %s, which is not there", name, m[1])
			}
			if u.Fragment != "" && !strings.Contains(target, `id="`+u.Fragment+`"`) {
				t.Errorf("%s: link to %s, which has no such id", name, m[1])
			}
		}
	}
	if checked < 100 {
		t.Errorf("checked %d links only", checked)
	}
}

func TestSymbolicLinksStayInsideTheSource(t *testing.T) {
	outside := tree(t, map[string]string{"secret": "s", "dir/secret": "s"})
	link := func(target, name string) string {
		dir := tree(t, map[string]string{"a.md": "# A", "real/x.txt": "x"})
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
		return dir
	}
	for _, target := range []string{filepath.Join(outside, "secret"), filepath.Join(outside, "dir"), "../../x", "missing", "."} {
		err := (&markdown.Generator{Now: now}).Build(t.Context(), link(target, "l"), t.TempDir())
		var e *markdown.Error
		if !errors.As(err, &e) || e.File != "l" {
			t.Errorf("link to %s: error %v, want one about l", target, err)
		}
	}
	for target, want := range map[string]string{"real": "l/x.txt", "real/x.txt": "l"} {
		dst := t.TempDir()
		if err := (&markdown.Generator{Now: now}).Build(t.Context(), link(target, "l"), dst); err != nil {
			t.Errorf("link to %s: %v", target, err)
		}
		if got := readTree(t, dst)[want]; got != "x" {
			t.Errorf("link to %s: %s = %q, want x", target, want, got)
		}
	}
}

func TestOutputInsideTheSourceIsNoInput(t *testing.T) {
	src := tree(t, map[string]string{"a.md": "# A", "public/keep.txt": "not copied"})
	dst := filepath.Join(src, "public")
	for range 2 {
		if err := (&markdown.Generator{Now: now}).Build(t.Context(), src, dst); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dst, "public")); err == nil {
		t.Error("the output is copied into itself")
	}
	for _, bad := range []string{src, filepath.Dir(src)} {
		if err := (&markdown.Generator{}).Build(t.Context(), src, bad); err == nil {
			t.Errorf("Build(%s, %s) succeeded", src, bad)
		}
	}
}

func TestBuildStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := (&markdown.Generator{}).Build(ctx, tree(t, map[string]string{"a.md": ""}), t.TempDir())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Build = %v, want context.Canceled", err)
	}
}

func TestRealDocumentationBuilds(t *testing.T) {
	corpus := filepath.Join("..", "..", "..", "shared", "corpus", "hugo-docs", "en")
	if _, err := os.Stat(corpus); err != nil {
		t.Skipf("the corpus is not here: %v", err)
	}
	dst := t.TempDir()
	if err := (&markdown.Generator{Now: now}).Build(t.Context(), corpus, dst); err != nil {
		t.Fatal(err)
	}
	pages := 0
	for name := range readTree(t, dst) {
		if strings.HasSuffix(name, ".html") {
			pages++
		}
	}
	if pages < 980 {
		t.Errorf("%d pages, want one for each of the 989 documents", pages)
	}
}

func BenchmarkBuild1000(b *testing.B) {
	files := map[string]string{}
	text := strings.Repeat("Some *prose* with a [link](https://x.example/) and `code` in it.\n\n", 20) +
		"```go\nfunc main() {\n\tfmt.Println(\"hello\", 42)\n}\n```\n\n|a|b|\n|-|-|\n|1|2|\n"
	for i := range 1000 {
		files[fmt.Sprintf("posts/%d-%02d-%02d-p%d.md", 2000+i/300, 1+i%12, 1+i%28, i)] = "---\ntags: [a, b]\n---\n# Post\n\n" + text
	}
	src := tree(b, files)
	for b.Loop() {
		if err := (&markdown.Generator{Now: now}).Build(b.Context(), src, b.TempDir()); err != nil {
			b.Fatal(err)
		}
	}
}

func Example() {
	src, err := os.MkdirTemp("", "blog")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(src)
	if err := os.WriteFile(filepath.Join(src, "about.md"), []byte("# About\n\nHello."), 0o644); err != nil {
		fmt.Println(err)
		return
	}
	g := &markdown.Generator{Title: "Example", BaseURL: "https://blog.example/"}
	if err := g.Build(context.Background(), src, filepath.Join(src, "_site")); err != nil {
		fmt.Println(err)
		return
	}
	_, err = os.Stat(filepath.Join(src, "_site", "about", "index.html"))
	fmt.Println("about page:", err == nil)
	// Output: about page: true
}

func ExampleError() {
	err := &markdown.Error{File: "posts/a.md", Line: 3, Problem: `date "soon" is not a date`, Remedy: "write it as 2006-01-02"}
	fmt.Println(err)
	// Output: posts/a.md:3: date "soon" is not a date; write it as 2006-01-02
}
