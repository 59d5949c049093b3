// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed

import (
	"cmp"
	"encoding/xml"
	"errors"
	"html"
	"net/url"
	"strings"
)

// atom reads Atom 1.0, RFC 4287.
func (p *parser) atom(s *scanner, root *node) error {
	head, items, err := p.items(s, root, func(name xml.Name) bool {
		return name.Space == nsAtom && name.Local == "entry"
	})
	if err != nil {
		return err
	}
	p.feed.Format = "Atom"
	home, base := head.atomLink("alternate")
	if abs, err := resolve(base, home); err == nil && abs.IsAbs() {
		home = abs.String()
	}
	self, _ := head.atomLink("self")
	p.head(head.find(nsAtom, "title").construct(), home, self, head.lang)
	p.eachItem(items, p.atomEntry)
	return nil
}

func (p *parser) atomEntry(number int, n *node) {
	id := n.find(nsAtom, "id").text()
	if id == "" {
		p.problem(number, "", true, errors.New("no id"))
		return
	}
	content := n.find(nsAtom, "content")
	it := item{
		number: number, base: p.base, language: cmp.Or(content.lang, n.lang),
		published: n.find(nsAtom, "published").text(), updated: n.find(nsAtom, "updated").text(),
	}
	it.post.ID = id
	it.post.Title = n.find(nsAtom, "title").construct()
	it.post.Summary = n.find(nsAtom, "summary").construct()
	it.post.ContentHTML = content.content()
	it.url, it.base = n.atomLink("alternate")
	it.about, _ = n.atomLink("related")
	it.image, it.post.Image.Alt = image(n)
	for kid := range n.children {
		switch {
		case kid.name.Space != nsAtom:
		case kid.name.Local == "category":
			it.tags = append(it.tags, kid.attr("term"))
		case kid.name.Local == "author":
			it.post.Authors = append(it.post.Authors, kid.find(nsAtom, "name").text())
		case kid.name.Local == "link" && kid.attr("rel") == "enclosure" && strings.HasPrefix(kid.attr("type"), "image/") && it.image == "":
			it.image = kid.attr("href")
		}
	}
	if it.base == nil || !it.base.IsAbs() {
		it.base = p.base
	}
	it.address(id)
	p.add(it)
}

// atomLink returns the first link of a kind, and what it is relative to. A page
// goes before other forms of the same.
func (n *node) atomLink(rel string) (href string, base *url.URL) {
	var found *node
	for kid := range n.children {
		if kid.name.Space != nsAtom || kid.name.Local != "link" || cmp.Or(kid.attr("rel"), "alternate") != rel {
			continue
		}
		if found == nil || isPage(kid) && !isPage(found) {
			found = kid
		}
	}
	if found == nil {
		return "", n.base
	}
	return found.attr("href"), found.base
}

func isPage(link *node) bool {
	return link.attr("type") == "" || strings.HasPrefix(link.attr("type"), "text/html") || strings.HasPrefix(link.attr("type"), "application/xhtml")
}

// construct returns the plain text of a text construct, RFC 4287 3.1.
func (n *node) construct() string {
	switch n.attr("type") {
	case "html":
		return plainText(n.text())
	case "xhtml":
		return plainText(n.html())
	}
	return oneLine(n.text())
}

// content returns the content of an entry as HTML, RFC 4287 4.1.3. What is
// elsewhere (src) or no text is none.
func (n *node) content() string {
	switch kind := n.attr("type"); {
	case n.attr("src") != "":
		return ""
	case kind == "html", kind == "text/html":
		return n.text()
	case kind == "xhtml":
		// Its div is no part of the content, 3.1.1.3.
		if div := n.find(nsXHTML, "div"); len(div.kids) > 0 {
			return div.html()
		}
		return n.html()
	case kind == "", kind == "text", strings.HasPrefix(kind, "text/"):
		return html.EscapeString(n.text())
	}
	return ""
}
