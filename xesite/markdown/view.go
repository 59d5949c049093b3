// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

// siteView is what all pages show.
type siteView struct {
	Title, Home, Style, UserStyle, Icon, IconType string

	AuthorName, AuthorURL, AuthorEmail string
	Nav, Links                         []linkView
	Footer                             template.HTML
	JSON, RSS, Atom                    string

	styleName string
}

type linkView struct {
	Title, URL string
	Current    bool
}

// pageView is one page.
type pageView struct {
	Site     siteView
	Kind     string // "home", "post", "page", "list", "tags" or "error"
	Title    string // heading; empty if the page has none of its own
	Head     string // title of the window
	Lang     string
	About    string // description
	URL      string // canonical
	Image    string
	ImageAlt string
	Body     template.HTML
	Doc      docView
	Posts    []docView
	Years    []yearView
	Tags     []tagView
	Archive  string // address of the archive if the home page has not all posts
	Newer    *docView
	Older    *docView
}

// docView is a document in a list, or on its page.
type docView struct {
	Title, URL, Link, Summary, Author, Lang string

	Date, DateText, Updated, UpdatedText string
	Draft                                bool
	Tags                                 []linkView
}

type yearView struct {
	Year  int
	Posts []docView
}

type tagView struct {
	linkView
	Count int
}

// tag is a subject of posts. Spellings that make the same address are one tag.
type tag struct {
	name, slug string
	posts      []*document
}

func (t *tag) out() string { return "tags/" + t.slug + "/index.html" }
func (t *tag) url() string { return "/tags/" + t.slug + "/" }

// collectTags returns the tags of posts by name, spelled as in the newest.
func collectTags(posts []*document) []*tag {
	bySlug := map[string]*tag{}
	var tags []*tag
	for _, d := range posts {
		for _, name := range d.Tags {
			slug := tagSlug(name)
			t := bySlug[slug]
			if t == nil {
				t = &tag{name: name, slug: slug}
				bySlug[slug] = t
				tags = append(tags, t)
			}
			if !slices.Contains(t.posts, d) {
				t.posts = append(t.posts, d)
			}
		}
	}
	slices.SortFunc(tags, func(a, b *tag) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)), strings.Compare(a.slug, b.slug))
	})
	return tags
}

// styleSheet is the built-in style sheet.
func styleSheet() []byte {
	data, err := assets.ReadFile("assets/style.css")
	if err != nil {
		panic(err) // it is part of the program
	}
	return data
}

// fingerprinted puts the hash of data into a file name, so that it can be
// cached for ever. A hash of decimal digits only could be taken for a number.
func fingerprinted(name string, data []byte, ext string) string {
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	n := 12
	for n < len(digest) && strings.Trim(digest[:n], "0123456789") == "" {
		n++
	}
	return name + "." + digest[:n] + ext
}

// openTemplates parses the templates and gathers what all pages show.
func (b *build) openTemplates() (err error) {
	b.tmpl, err = template.New("").ParseFS(assets, "assets/*.html")
	if err != nil {
		return err
	}
	s := &b.site
	s.Title, s.Home, s.Style = b.set.title, b.path("/"), b.path("/"+s.styleName)
	s.AuthorName, s.AuthorURL, s.AuthorEmail = b.set.author.name, b.set.author.url, b.set.author.email
	s.JSON, s.RSS, s.Atom = b.path("/blog.json"), b.path("/blog.rss"), b.path("/blog.atom")
	if b.isFile["style.css"] {
		s.UserStyle = b.path("/style.css")
	}
	for _, icon := range [][2]string{{"favicon.svg", "image/svg+xml"}, {"favicon.png", "image/png"}, {"favicon.ico", "image/x-icon"}} {
		if s.Icon == "" && b.isFile[icon[0]] {
			s.Icon, s.IconType = b.path("/"+icon[0]), icon[1]
		}
	}
	s.Nav, s.Links = b.navigation(), b.navLinks(b.set.links)
	return b.footer()
}

// navigation is what site.yaml says, or the documents at the top.
func (b *build) navigation() []linkView {
	if b.set.hasNav {
		return b.navLinks(b.set.nav)
	}
	var nav []linkView
	if dirs := b.archives(); len(dirs) > 0 {
		nav = append(nav, linkView{Title: "Posts", URL: b.path("/" + dirs[0] + "/")})
	}
	for _, d := range b.pages {
		if !strings.Contains(d.file, "/") {
			nav = append(nav, linkView{Title: d.Title, URL: b.path(d.url)})
		}
	}
	return nav
}

// navLinks resolves links of site.yaml.
func (b *build) navLinks(items []navItem) []linkView {
	here := &document{file: settingsFile, url: "/"}
	var out []linkView
	for _, item := range items {
		l := linkView{Title: item.title, URL: b.link(here, item.url, true)}
		for _, w := range here.warnings {
			w.Line = item.line
			b.g.warn(w)
		}
		here.warnings = nil
		if d := b.byFile[item.url]; d != nil && l.Title == "" {
			l.Title = d.Title
		}
		l.Title = cmp.Or(l.Title, item.url)
		out = append(out, l)
	}
	return out
}

func (b *build) footer() error {
	doc := &document{file: settingsFile, url: "/", out: "index.html", body: []byte(b.set.footer)}
	if err := render(newMarkdown(), doc); err != nil {
		return err
	}
	b.site.Footer = template.HTML(b.pageHTML(doc)) //nolint:gosec // the author's own
	return nil
}

// execute makes a page.
func (b *build) execute(v *pageView) ([]byte, error) {
	v.Site = b.site
	v.Lang = cmp.Or(v.Lang, b.set.language)
	v.About = cmp.Or(v.About, b.set.description)
	v.Head = b.site.Title
	if v.Title != "" && v.Title != b.site.Title {
		v.Head = v.Title + " · " + b.site.Title
	}
	if v.Image == "" && b.set.image != "" {
		v.Image = resolve(b.absolute("/"), b.link(&document{file: settingsFile, url: "/"}, b.set.image, false))
	}
	v.Site.Nav = slices.Clone(v.Site.Nav)
	here := strings.TrimSuffix(b.set.base.Scheme+"://"+b.set.base.Host, "/")
	for i, l := range v.Site.Nav {
		v.Site.Nav[i].Current = here+l.URL == v.URL
	}
	var out bytes.Buffer
	err := b.tmpl.ExecuteTemplate(&out, "page.html", v)
	return out.Bytes(), err
}

// view is how a document appears in lists.
func (b *build) view(d *document) docView {
	v := docView{
		Title: d.Title, URL: b.path(d.url), Link: d.Link,
		Summary: b.summary(d), Draft: d.Draft, Author: cmp.Or(d.Author, b.set.author.name),
	}
	if d.Language != b.set.language {
		v.Lang = d.Language
	}
	v.Date, v.DateText = b.dateView(d.Date)
	if d.Updated.After(d.Date) {
		v.Updated, v.UpdatedText = b.dateView(d.Updated)
	}
	for _, name := range d.Tags {
		t := &tag{slug: tagSlug(name)}
		v.Tags = append(v.Tags, linkView{Title: name, URL: b.path(t.url())})
	}
	return v
}

func (b *build) views(docs []*document) []docView {
	var out []docView
	for _, d := range docs {
		out = append(out, b.view(d))
	}
	return out
}

// dateView formats a date for machines and for people. The names of months
// are English; sites in other languages get the order of ISO 8601.
func (b *build) dateView(t time.Time) (machine, human string) {
	if t.IsZero() {
		return "", ""
	}
	human = t.Format("2 January 2006")
	if !strings.HasPrefix(strings.ToLower(b.set.language), "en") {
		human = t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339), human
}

func (b *build) documentPage(d *document) ([]byte, error) {
	v := &pageView{
		Kind: "page", Title: d.Title, Lang: d.Language, About: b.summary(d), URL: b.absolute(d.url),
		Image: b.imageURL(d), ImageAlt: d.ImageAlt, Doc: b.view(d), Body: b.content(d),
	}
	if d.out == "404.html" {
		v.Kind, v.URL = "error", ""
	}
	if i := slices.Index(b.posts, d); d.post && i >= 0 {
		v.Kind = "post"
		if i > 0 {
			v.Newer = new(b.view(b.posts[i-1]))
		}
		if i+1 < len(b.posts) {
			v.Older = new(b.view(b.posts[i+1]))
		}
	}
	return b.execute(v)
}

func (b *build) content(d *document) template.HTML {
	return template.HTML(b.pageHTML(d)) //nolint:gosec // raw HTML is the author's own
}

// introduce puts the text of a document above a list.
func (b *build) introduce(v *pageView, intro *document) {
	if intro == nil {
		return
	}
	if intro.titled {
		v.Title = intro.Title
	}
	v.Lang, v.About, v.Image, v.ImageAlt = intro.Language, intro.Description, b.imageURL(intro), intro.ImageAlt
	v.Body = b.content(intro)
}

func (b *build) homePage(intro *document) ([]byte, error) {
	v := &pageView{Kind: "home", URL: b.absolute("/"), Posts: b.views(b.posts[:min(len(b.posts), b.set.homePosts)])}
	b.introduce(v, intro)
	if dirs := b.archives(); len(dirs) > 0 && len(b.posts) > b.set.homePosts {
		v.Archive = b.path("/" + dirs[0] + "/")
	}
	if intro == nil && len(b.posts) == 0 { // a site of pages only still needs a way in
		for _, d := range b.pages {
			v.Tags = append(v.Tags, tagView{linkView: linkView{Title: d.Title, URL: b.path(d.url)}})
		}
	}
	return b.execute(v)
}

// archivePage lists all posts by year.
func (b *build) archivePage(dir string, intro *document) ([]byte, error) {
	v := &pageView{Kind: "list", Title: "Posts", URL: b.absolute("/" + b.archives()[0] + "/"), Years: b.years(b.posts)}
	b.introduce(v, intro)
	if intro != nil {
		v.URL = b.absolute("/" + dir + "/")
	}
	return b.execute(v)
}

func (b *build) years(posts []*document) []yearView {
	var out []yearView
	for _, d := range posts {
		if n := len(out); n == 0 || out[n-1].Year != d.Date.Year() {
			out = append(out, yearView{Year: d.Date.Year()})
		}
		last := &out[len(out)-1]
		last.Posts = append(last.Posts, b.view(d))
	}
	return out
}

func (b *build) tagsPage() ([]byte, error) {
	v := &pageView{Kind: "tags", Title: "Tags", URL: b.absolute("/tags/")}
	for _, t := range b.tags {
		v.Tags = append(v.Tags, tagView{linkView{Title: t.name, URL: b.path(t.url())}, len(t.posts)})
	}
	return b.execute(v)
}

func (b *build) tagPage(t *tag) ([]byte, error) {
	about := "Posts about " + t.name
	if n := len(t.posts); n > 1 {
		about = strconv.Itoa(n) + " posts about " + t.name
	}
	return b.execute(&pageView{
		Kind: "list", Title: fmt.Sprintf("Posts about %s", t.name), About: about,
		URL: b.absolute(t.url()), Years: b.years(t.posts),
	})
}

func (b *build) notFoundPage() ([]byte, error) {
	return b.execute(&pageView{Kind: "error", Title: "Page not found", Body: template.HTML(
		"<p>There is nothing at this address. It may have moved, or the link to it may have a mistake.</p>")})
}
