// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
)

// rss reads RSS 2.0, https://www.rssboard.org/rss-specification.
func (p *parser) rss(s *scanner, root *node) error {
	if version := root.attr("version"); version != "" && !strings.HasPrefix(version, "2") && !strings.HasPrefix(version, "0.9") {
		return fmt.Errorf("%w: it is RSS %.10s, want 2.0", ErrFormat, version)
	}
	start, err := s.next()
	for err == nil && start != nil && start.Name.Local != "channel" {
		if err = s.Skip(); err == nil {
			start, err = s.next()
		}
	}
	if err != nil || start == nil {
		return fmt.Errorf("%w: there is no channel in it: %v", ErrFormat, err)
	}
	head, items, err := p.items(s, open(start, root), func(name xml.Name) bool {
		return name.Local == "item" && isRSS(name.Space)
	})
	if err != nil {
		return err
	}
	p.feed.Format = "RSS"
	self := ""
	for kid := range head.children {
		if kid.name.Space == nsAtom && kid.name.Local == "link" && kid.attr("rel") == "self" {
			self = kid.attr("href")
		}
	}
	language := cmp.Or(head.find("", "language").text(), head.find(nsDC, "language").text(), head.lang)
	p.head(titleText(head.find("", "title").text()), head.find("", "link").text(), self, language)
	p.eachItem(items, p.rssItem)
	return nil
}

func (p *parser) rssItem(number int, n *node) {
	guid := n.find("", "guid")
	it := item{
		number: number, base: cmp.Or(n.base, p.base), url: n.rssLink(),
		titleHTML: cmp.Or(n.find("", "title").text(), n.find(nsDC, "title").text()), summaryHTML: n.find("", "description").text(),
		published: cmp.Or(n.find("", "pubDate").text(), n.find(nsDC, "date").text(), n.find(nsTerms, "created").text()),
		updated:   cmp.Or(n.find(nsTerms, "modified").text(), n.find(nsAtom, "updated").text()),
		language:  cmp.Or(n.find(nsDC, "language").text(), n.lang),
	}
	if it.base == nil || !it.base.IsAbs() {
		it.base = p.base
	}
	it.image, it.post.Image.Alt = image(n)
	it.post.ContentHTML = cmp.Or(n.find(nsContent, "encoded").text(), it.summaryHTML)
	for kid := range n.children {
		switch {
		case isRSS(kid.name.Space) && kid.name.Local == "category":
			it.tags = append(it.tags, titleText(kid.text()))
		case kid.name.Space == nsDC && kid.name.Local == "creator":
			it.post.Authors = append(it.post.Authors, titleText(kid.text()))
		case isRSS(kid.name.Space) && kid.name.Local == "author":
			it.post.Authors = append(it.post.Authors, person(kid.text()))
		}
	}
	// A guid is a permalink unless it says that it is none, and if it can be.
	isLink := !strings.EqualFold(guid.attr("isPermaLink"), "false") &&
		(strings.HasPrefix(guid.text(), "https://") || strings.HasPrefix(guid.text(), "http://"))
	if it.url == "" && isLink {
		it.url = guid.text()
	}
	if it.post.ID = guid.text(); it.post.ID == "" {
		it.post.ID = p.rssID(&it)
	}
	if it.post.ID == "" {
		p.problem(number, "", true, errors.New("no guid, link, title or date"))
		return
	}
	p.add(it)
}

// rssLink returns the address of an item. Some have it as a link of Atom.
func (n *node) rssLink() string {
	if link := n.find("", "link").text(); link != "" {
		return link
	}
	for kid := range n.children {
		if kid.name.Space == nsAtom && kid.name.Local == "link" && (kid.attr("rel") == "" || kid.attr("rel") == "alternate") {
			return kid.attr("href")
		}
	}
	return ""
}

// rssID makes up an id for an item that has none, and says so.
func (p *parser) rssID(it *item) string {
	if it.url != "" {
		id := p.address(it.base, it.url, "link", func(error) {})
		if id != "" {
			p.problem(it.number, id, false, errors.New("no guid: it is known by its link, and would be another post if that changed"))
			return id
		}
	}
	title := titleText(it.titleHTML)
	if title == "" && it.published == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(title + "\n" + it.published))
	id := "sha256:" + hex.EncodeToString(sum[:])
	p.problem(it.number, id, false, errors.New("no guid and no link: it is known by its title and date, and would be another post if they changed"))
	return id
}

// person returns the name of an author that RSS wants to be a mail address:
// "jo@me.example (Jo)". The address itself is not passed on.
func person(s string) string {
	mail, name, ok := strings.Cut(s, "(")
	switch {
	case ok:
		return strings.TrimSuffix(strings.TrimSpace(name), ")")
	case strings.Contains(mail, "@"):
		return ""
	}
	return titleText(s)
}
