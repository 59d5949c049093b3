// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"time"
)

// planFeeds plans the three feeds, the sitemap and robots.txt.
func (b *build) planFeeds() error {
	items := b.posts[:min(len(b.posts), b.set.onFeed)]
	for _, f := range []struct {
		name string
		make func() ([]byte, error)
	}{
		{"blog.json", func() ([]byte, error) { return b.jsonFeed(items) }},
		{"blog.rss", func() ([]byte, error) { return b.rssFeed(items) }},
		{"blog.atom", func() ([]byte, error) { return b.atomFeed(items) }},
		{"sitemap.xml", b.sitemap},
		{"robots.txt", func() ([]byte, error) {
			return []byte("User-agent: *\nAllow: /\n\nSitemap: " + b.absolute("/sitemap.xml") + "\n"), nil
		}},
	} {
		if err := b.add(f.name, nil, f.make); err != nil {
			return err
		}
	}
	return nil
}

// itemID is what feed readers know a post by. It stays when the title changes.
func (b *build) itemID(d *document) string { return cmp.Or(d.ID, b.absolute(d.url)) }

func (b *build) summary(d *document) string { return cmp.Or(d.Description, d.text) }

// imageURL is the absolute address of the preview picture of a document.
func (b *build) imageURL(d *document) string {
	if d.Image == "" {
		return ""
	}
	return resolve(b.absolute(d.url), b.link(d, d.Image, false))
}

// lastChange is the newest date of docs. A feed without posts is as old as
// time: the moment of the build must not show.
func lastChange(docs []*document) time.Time {
	last := time.Unix(0, 0).UTC()
	for _, d := range docs {
		if t := d.modified(); t.After(last) {
			last = t
		}
	}
	return last
}

// jsonItem is an item of JSON Feed 1.1, https://www.jsonfeed.org/version/1.1/.
type jsonItem struct {
	ID            string       `json:"id"`
	URL           string       `json:"url"`
	ExternalURL   string       `json:"external_url,omitempty"`
	Title         string       `json:"title"`
	ContentHTML   string       `json:"content_html"`
	Summary       string       `json:"summary,omitempty"`
	Image         string       `json:"image,omitempty"`
	DatePublished string       `json:"date_published"`
	DateModified  string       `json:"date_modified,omitempty"`
	Authors       []jsonAuthor `json:"authors,omitempty"`
	Tags          []string     `json:"tags,omitempty"`
	Language      string       `json:"language,omitempty"`
}

type jsonAuthor struct {
	Name string `json:"name"`
	URL  string `json:"url,omitempty"`
}

func (b *build) jsonFeed(docs []*document) ([]byte, error) {
	feed := struct {
		Version     string       `json:"version"`
		Title       string       `json:"title"`
		HomePageURL string       `json:"home_page_url"`
		FeedURL     string       `json:"feed_url"`
		Description string       `json:"description,omitempty"`
		Icon        string       `json:"icon,omitempty"`
		Authors     []jsonAuthor `json:"authors,omitempty"`
		Language    string       `json:"language"`
		Items       []jsonItem   `json:"items"`
	}{
		Version: "https://jsonfeed.org/version/1.1", Title: b.set.title,
		HomePageURL: b.absolute("/"), FeedURL: b.absolute("/blog.json"), Description: b.set.description,
		Language: b.set.language, Items: []jsonItem{},
	}
	if b.set.author.name != "" {
		feed.Authors = []jsonAuthor{{b.set.author.name, b.set.author.url}}
	}
	for _, d := range docs {
		feed.Items = append(feed.Items, b.jsonItem(d))
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(feed)
	return out.Bytes(), err
}

func (b *build) jsonItem(d *document) jsonItem {
	item := jsonItem{
		ID: b.itemID(d), URL: b.absolute(d.url), ExternalURL: d.Link, Title: d.Title,
		ContentHTML: string(b.feedHTML(d)), Summary: b.summary(d), Image: b.imageURL(d),
		DatePublished: d.Date.Format(time.RFC3339), Tags: d.Tags, Language: cmp.Or(d.Language, b.set.language),
	}
	if !d.Updated.IsZero() {
		item.DateModified = d.modified().Format(time.RFC3339)
	}
	if d.Author != "" {
		item.Authors = []jsonAuthor{{Name: d.Author}}
	}
	return item
}

// Types of RSS 2.0, https://www.rssboard.org/rss-specification. Names with a
// colon are written as they are; the namespaces stand at the root.
type (
	rssFeed struct {
		XMLName xml.Name   `xml:"rss"`
		Version string     `xml:"version,attr"`
		Atom    string     `xml:"xmlns:atom,attr"`
		Content string     `xml:"xmlns:content,attr"`
		DC      string     `xml:"xmlns:dc,attr"`
		Channel rssChannel `xml:"channel"`
	}
	rssChannel struct {
		Title       string    `xml:"title"`
		Link        string    `xml:"link"`
		Self        atomLink  `xml:"atom:link"`
		Description string    `xml:"description"`
		Language    string    `xml:"language"`
		LastBuild   string    `xml:"lastBuildDate"`
		Items       []rssItem `xml:"item"`
	}
	rssItem struct {
		Title       string   `xml:"title"`
		Link        string   `xml:"link"`
		GUID        rssGUID  `xml:"guid"`
		PubDate     string   `xml:"pubDate"`
		Creator     string   `xml:"dc:creator,omitempty"`
		Categories  []string `xml:"category"`
		Description string   `xml:"description,omitempty"`
		Encoded     string   `xml:"content:encoded"`
	}
	rssGUID struct {
		Permalink bool   `xml:"isPermaLink,attr"`
		ID        string `xml:",chardata"`
	}
)

func (b *build) rssFeed(docs []*document) ([]byte, error) {
	channel := rssChannel{
		Title: b.set.title, Link: b.absolute("/"),
		Self:        atomLink{Rel: "self", Href: b.absolute("/blog.rss"), Type: "application/rss+xml"},
		Description: cmp.Or(b.set.description, b.set.title), Language: b.set.language,
		LastBuild: lastChange(docs).Format(time.RFC1123Z),
	}
	for _, d := range docs {
		channel.Items = append(channel.Items, rssItem{
			Title: d.Title, Link: b.absolute(d.url), GUID: rssGUID{d.ID == "", b.itemID(d)},
			PubDate: d.Date.Format(time.RFC1123Z), Creator: cmp.Or(d.Author, b.set.author.name),
			Categories: d.Tags, Description: b.summary(d), Encoded: string(b.feedHTML(d)),
		})
	}
	return encodeXML(rssFeed{
		Version: "2.0", Atom: "http://www.w3.org/2005/Atom", Content: "http://purl.org/rss/1.0/modules/content/",
		DC: "http://purl.org/dc/elements/1.1/", Channel: channel,
	})
}

// Types of Atom, RFC 4287.
type (
	atomFeed struct {
		XMLName  xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		Lang     string      `xml:"xml:lang,attr"`
		ID       string      `xml:"id"`
		Title    string      `xml:"title"`
		Subtitle string      `xml:"subtitle,omitempty"`
		Updated  string      `xml:"updated"`
		Links    []atomLink  `xml:"link"`
		Author   atomAuthor  `xml:"author"`
		Entries  []atomEntry `xml:"entry"`
	}
	atomEntry struct {
		Lang       string         `xml:"xml:lang,attr,omitempty"`
		ID         string         `xml:"id"`
		Title      string         `xml:"title"`
		Links      []atomLink     `xml:"link"`
		Published  string         `xml:"published"`
		Updated    string         `xml:"updated"`
		Author     *atomAuthor    `xml:"author"`
		Categories []atomCategory `xml:"category"`
		Summary    string         `xml:"summary,omitempty"`
		Content    atomContent    `xml:"content"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr,omitempty"`
		Type string `xml:"type,attr,omitempty"`
		Href string `xml:"href,attr"`
	}
	atomAuthor struct {
		Name string `xml:"name"`
		URI  string `xml:"uri,omitempty"`
	}
	atomCategory struct {
		Term string `xml:"term,attr"`
	}
	atomContent struct {
		Type string `xml:"type,attr"`
		Body string `xml:",chardata"`
	}
)

func (b *build) atomFeed(docs []*document) ([]byte, error) {
	feed := atomFeed{
		Lang: b.set.language, ID: b.absolute("/"), Title: b.set.title, Subtitle: b.set.description,
		Updated: lastChange(docs).Format(time.RFC3339),
		Links: []atomLink{
			{Rel: "alternate", Type: "text/html", Href: b.absolute("/")},
			{Rel: "self", Type: "application/atom+xml", Href: b.absolute("/blog.atom")},
		},
		// RFC 4287 4.1.1 wants an author; the site speaks for itself if none is named.
		Author: atomAuthor{cmp.Or(b.set.author.name, b.set.title), b.set.author.url},
	}
	for _, d := range docs {
		feed.Entries = append(feed.Entries, b.atomEntry(d))
	}
	return encodeXML(feed)
}

func (b *build) atomEntry(d *document) atomEntry {
	e := atomEntry{
		Lang: d.Language, ID: b.itemID(d), Title: d.Title,
		Links:     []atomLink{{Rel: "alternate", Type: "text/html", Href: b.absolute(d.url)}},
		Published: d.Date.Format(time.RFC3339), Updated: d.modified().Format(time.RFC3339),
		Summary: b.summary(d), Content: atomContent{"html", string(b.feedHTML(d))},
	}
	if d.Link != "" {
		e.Links = append(e.Links, atomLink{Rel: "related", Href: d.Link})
	}
	if d.Author != "" {
		e.Author = &atomAuthor{Name: d.Author}
	}
	for _, t := range d.Tags {
		e.Categories = append(e.Categories, atomCategory{t})
	}
	return e
}

// sitemap lists all pages, https://www.sitemaps.org/protocol.html.
func (b *build) sitemap() ([]byte, error) {
	type entry struct {
		Loc     string `xml:"loc"`
		LastMod string `xml:"lastmod,omitempty"`
	}
	set := struct {
		XMLName xml.Name `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 urlset"`
		URLs    []entry  `xml:"url"`
	}{URLs: []entry{{Loc: b.absolute("/")}}}
	for _, d := range append(b.posts[:len(b.posts):len(b.posts)], b.pages...) {
		e := entry{Loc: b.absolute(d.url)}
		if t := d.modified(); !t.IsZero() {
			e.LastMod = t.Format(time.RFC3339)
		}
		if d.out != "index.html" {
			set.URLs = append(set.URLs, e)
		}
	}
	for _, dir := range b.archives() {
		set.URLs = append(set.URLs, entry{Loc: b.absolute("/" + dir + "/")})
	}
	for _, t := range b.tags {
		set.URLs = append(set.URLs, entry{Loc: b.absolute(t.url())})
	}
	return encodeXML(set)
}

// encodeXML writes a document. The encoder makes U+FFFD of what XML cannot
// hold, so a stray control character does not break a feed.
func encodeXML(v any) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(xml.Header)
	enc := xml.NewEncoder(&out)
	enc.Indent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
