// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Namespaces count by their address; what prefix a feed has for them does not.
const (
	nsAtom    = "http://www.w3.org/2005/Atom"
	nsContent = "http://purl.org/rss/1.0/modules/content/"
	nsDC      = "http://purl.org/dc/elements/1.1/"
	nsTerms   = "http://purl.org/dc/terms/"
	nsXML     = "http://www.w3.org/XML/1998/namespace"
	nsXHTML   = "http://www.w3.org/1999/xhtml"
)

// Namespaces of Media RSS: the specified one, and one that is often seen.
func isMedia(space string) bool {
	return space == "http://search.yahoo.com/mrss/" || space == "http://search.yahoo.com/mrss"
}

// isRSS reports whether a name is of RSS itself, which has no namespace, though
// some feeds declare one.
func isRSS(space string) bool {
	return space == "" || space == "http://backend.userland.com/rss2" || space == "http://blogs.law.harvard.edu/tech/rss"
}

// A node is an element with what is in it.
type node struct {
	name  xml.Name
	attrs []xml.Attr
	base  *url.URL // xml:base
	lang  string   // xml:lang
	kids  []any    // *node and string, in their order
}

func (n *node) attr(name string) string {
	for _, a := range n.attrs {
		if a.Name.Space == "" && a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// text returns all text inside of the element.
func (n *node) text() string {
	var out strings.Builder
	n.writeText(&out)
	return strings.TrimSpace(out.String())
}

func (n *node) writeText(out *strings.Builder) {
	for _, kid := range n.kids {
		switch kid := kid.(type) {
		case string:
			out.WriteString(kid)
		case *node:
			kid.writeText(out)
		}
	}
}

// html returns what is inside of the element as HTML.
func (n *node) html() string {
	var out strings.Builder
	n.writeHTML(&out)
	return strings.TrimSpace(out.String())
}

func (n *node) writeHTML(out *strings.Builder) {
	for _, kid := range n.kids {
		switch kid := kid.(type) {
		case string:
			out.WriteString(html.EscapeString(kid))
		case *node:
			kid.writeElement(out)
		}
	}
}

// Elements of HTML that have no end tag.
var void = words("area base br col embed hr img input link meta source track wbr")

func (n *node) writeElement(out *strings.Builder) {
	out.WriteString("<" + n.name.Local)
	for _, a := range n.attrs {
		if a.Name.Space == "" && a.Name.Local != "xmlns" {
			fmt.Fprintf(out, ` %s="%s"`, a.Name.Local, html.EscapeString(a.Value))
		}
	}
	out.WriteString(">")
	if !void[n.name.Local] {
		n.writeHTML(out)
		out.WriteString("</" + n.name.Local + ">")
	}
}

// children calls yield with the elements directly inside of n.
func (n *node) children(yield func(*node) bool) {
	for _, kid := range n.kids {
		if kid, ok := kid.(*node); ok && !yield(kid) {
			return
		}
	}
}

// find returns the first element of a name directly inside of n. The result is
// never nil: what is not there is empty.
func (n *node) find(space, local string) *node {
	for kid := range n.children {
		if kid.name.Local == local && (kid.name.Space == space || space == "" && isRSS(kid.name.Space)) {
			return kid
		}
	}
	return &node{base: n.base}
}

var errDeep = fmt.Errorf("it is nested deeper than %d levels", maxDepth)

// A scanner reads the elements of a document.
type scanner struct {
	*xml.Decoder
}

// newScanner makes a scanner that bears what feeds do wrong. Entities are those
// of HTML; a declaration in the document adds none, so nothing is expanded.
func newScanner(data []byte) *scanner {
	d := xml.NewDecoder(bytes.NewReader(harmless(data)))
	d.Strict = false
	d.Entity = xml.HTMLEntity
	// What it says of its encoding is no longer true.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return &scanner{d}
}

var reference = regexp.MustCompile(`&#(?:[xX][0-9a-fA-F]+|[0-9]+);`)

// harmless removes references to characters that XML has no place for, and that
// would end the reading.
func harmless(data []byte) []byte {
	return reference.ReplaceAllFunc(data, func(ref []byte) []byte {
		digits, base := string(ref[2:len(ref)-1]), 10
		if digits[0]|0x20 == 'x' {
			digits, base = digits[1:], 16
		}
		if n, err := strconv.ParseInt(digits, base, 32); err != nil || notInXML(rune(n)) {
			return nil
		}
		return bytes.ToLower(ref)
	})
}

// next returns the next element's begin, or nil at the end of the one that it is
// in.
func (s *scanner) next() (*xml.StartElement, error) {
	for {
		token, err := s.Token()
		switch token := token.(type) {
		case xml.StartElement:
			return &token, nil
		case xml.EndElement:
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// open makes a node of an element's begin.
func open(start *xml.StartElement, parent *node) *node {
	n := &node{name: start.Name, attrs: start.Attr, base: parent.base, lang: parent.lang}
	for _, a := range start.Attr {
		// The decoder knows the prefix xml without a declaration.
		if a.Name.Space != nsXML && a.Name.Space != "xml" {
			continue
		}
		switch a.Name.Local {
		case "lang":
			n.lang = a.Value
		case "base":
			if base, err := resolve(parent.base, a.Value); err == nil {
				n.base = base
			}
		}
	}
	return n
}

// element reads the rest of an element. If it is nested too deep, the rest of it
// is skipped.
func (s *scanner) element(start *xml.StartElement, parent *node, depth int) (*node, error) {
	n := open(start, parent)
	if depth > maxDepth {
		return nil, errors.Join(errDeep, s.Skip())
	}
	var deep error
	for {
		token, err := s.Token()
		switch token := token.(type) {
		case xml.StartElement:
			kid, err := s.element(&token, n, depth+1)
			if err != nil && !errors.Is(err, errDeep) {
				return n, err
			}
			if err != nil {
				deep = err
				continue
			}
			n.kids = append(n.kids, kid)
		case xml.CharData:
			n.kids = append(n.kids, string(token))
		case xml.EndElement:
			if deep != nil {
				return nil, deep
			}
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// xml reads the root element, which tells the format.
func (p *parser) xml(data []byte) error {
	s := newScanner(data)
	start, err := s.next()
	if err != nil || start == nil {
		return fmt.Errorf("%w: %v", ErrFormat, err)
	}
	root := open(start, &node{base: p.base})
	switch name := start.Name; {
	case name.Local == "rss" && isRSS(name.Space):
		return p.rss(s, root)
	case name.Local == "feed" && name.Space == nsAtom:
		return p.atom(s, root)
	case name.Local == "RDF":
		return fmt.Errorf("%w: it is RSS 1.0, want RSS 2.0, Atom 1.0 or JSON Feed", ErrFormat)
	case strings.EqualFold(name.Local, "html"):
		return fmt.Errorf("%w: it is a web page", ErrFormat)
	default:
		return fmt.Errorf("%w: its root is <%.40s> of namespace %.80q, want RSS 2.0, Atom 1.0 or JSON Feed", ErrFormat, name.Local, name.Space)
	}
}

// items reads the elements inside of a channel or feed: those of a name are
// items, nil where one is nested too deep, and all others are returned as its
// head. An end in the middle is an error only if there was no item before it.
func (p *parser) items(s *scanner, root *node, isItem func(xml.Name) bool) (head *node, items []*node, err error) {
	head = &node{name: root.name, base: root.base, lang: root.lang}
	for len(items) <= p.options.MaxItems {
		start, err := s.next()
		if err == nil && start == nil {
			break
		}
		var n *node
		if err == nil {
			n, err = s.element(start, root, 1)
		}
		switch {
		case err != nil && !errors.Is(err, errDeep) && len(items) == 0:
			return nil, nil, fmt.Errorf("%w: %v", ErrFormat, err)
		case err != nil && !errors.Is(err, errDeep):
			p.problem(0, "", false, fmt.Errorf("it ends in the middle: %w", err))
			return head, items, nil
		case isItem(start.Name):
			items = append(items, n)
		case n != nil:
			head.kids = append(head.kids, n)
		}
	}
	return head, items, nil
}

// eachItem hands over the items that can be read.
func (p *parser) eachItem(items []*node, read func(number int, n *node)) {
	for i, n := range items {
		switch {
		case p.full(i + 1):
			return
		case n == nil:
			p.problem(i+1, "", true, errDeep)
		default:
			read(i+1, n)
		}
	}
}

// image returns the address and the description of an item's picture, from Media
// RSS or an enclosure.
func image(n *node) (address, alt string) {
	thumbnail := ""
	for kid := range n.children {
		switch {
		case isMedia(kid.name.Space) && kid.name.Local == "group":
			if address, alt := image(kid); address != "" {
				return address, alt
			}
		case isMedia(kid.name.Space) && kid.name.Local == "content" && (kid.attr("medium") == "image" || strings.HasPrefix(kid.attr("type"), "image/")):
			return kid.attr("url"), mediaAlt(kid, n)
		case isMedia(kid.name.Space) && kid.name.Local == "thumbnail" && thumbnail == "":
			thumbnail = kid.attr("url")
		case isRSS(kid.name.Space) && kid.name.Local == "enclosure" && strings.HasPrefix(kid.attr("type"), "image/") && thumbnail == "":
			thumbnail = kid.attr("url")
		}
	}
	return thumbnail, ""
}

// mediaAlt describes a picture: what is said with it, or beside it.
func mediaAlt(content, around *node) string {
	for _, n := range []*node{content, around} {
		for kid := range n.children {
			if isMedia(kid.name.Space) && kid.name.Local == "description" {
				return plainText(kid.text())
			}
		}
	}
	return ""
}
