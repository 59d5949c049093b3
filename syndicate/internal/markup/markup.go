// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package markup finds elements in HTML as it comes from the web. It reads start
// tags and nothing else, which is enough for links, metadata and rel attributes,
// and does not fail on any input.
package markup

import (
	"html"
	"iter"
	"slices"
	"strings"
)

// Element is a start tag.
type Element struct {
	Name  string // in lower case
	attrs []attr
}

type attr struct{ name, value string }

// Attr returns the value of an attribute, with entities decoded and blanks at
// its ends removed. Of several of one name the first counts.
func (e Element) Attr(name string) string {
	for _, a := range e.attrs {
		if a.name == name {
			return strings.TrimSpace(html.UnescapeString(a.value))
		}
	}
	return ""
}

// Has reports whether an attribute is there, if only with an empty value.
func (e Element) Has(name string) bool {
	return slices.ContainsFunc(e.attrs, func(a attr) bool { return a.name == name })
}

// HasToken reports whether an attribute is a list that has a word, in any
// capitals.
func (e Element) HasToken(name, word string) bool {
	return slices.ContainsFunc(strings.Fields(e.Attr(name)), func(s string) bool { return strings.EqualFold(s, word) })
}

// raw are elements whose content is text, whatever it looks like.
var raw = []string{"script", "style", "textarea", "title", "template", "noscript", "xmp", "iframe", "noembed", "noframes"}

// Elements returns the start tags of a document in their order. What is in
// comments, scripts and templates does not count.
func Elements[T string | []byte](document T) iter.Seq[Element] {
	return func(yield func(Element) bool) {
		rest := string(document)
		for {
			i := strings.IndexByte(rest, '<')
			if i < 0 || i+1 == len(rest) {
				return
			}
			rest = rest[i+1:]
			switch {
			case strings.HasPrefix(rest, "!--"):
				// From behind the "!": "<!-->" is a comment that is over.
				rest = after(rest[1:], "-->")
			case !isLetter(rest[0]):
				if rest[0] == '!' || rest[0] == '?' || rest[0] == '/' {
					rest = after(rest, ">")
				}
			default:
				var e Element
				var whole bool
				if e, rest, whole = tag(rest); !whole || !yield(e) {
					return
				}
				if slices.Contains(raw, e.Name) {
					rest = skipRaw(rest, e.Name)
				}
			}
		}
	}
}

// tag reads a start tag from behind its "<". One that the document ends inside of
// is not whole, and is none: its attributes may have been cut.
func tag(s string) (e Element, rest string, whole bool) {
	n := strings.IndexFunc(s, func(r rune) bool { return isSpace(r) || r == '/' || r == '>' })
	if n < 0 {
		return Element{}, "", false
	}
	e = Element{Name: strings.ToLower(s[:n])}
	s = s[n:]
	for {
		s = strings.TrimLeftFunc(s, func(r rune) bool { return isSpace(r) || r == '/' })
		if s == "" {
			return Element{}, "", false
		}
		if s[0] == '>' {
			return e, s[1:], true
		}
		var a attr
		a, s = attribute(s)
		e.attrs = append(e.attrs, a)
	}
}

// attribute reads a name and, if there is one, a value.
func attribute(s string) (attr, string) {
	n := strings.IndexFunc(s[1:], func(r rune) bool { return isSpace(r) || r == '/' || r == '>' || r == '=' })
	if n < 0 {
		return attr{name: strings.ToLower(s)}, ""
	}
	a := attr{name: strings.ToLower(s[:n+1])}
	s = s[n+1:]
	value, ok := strings.CutPrefix(strings.TrimLeftFunc(s, isSpace), "=")
	if !ok {
		return a, s
	}
	value = strings.TrimLeftFunc(value, isSpace)
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		quoted, rest, ok := strings.Cut(value[1:], value[:1])
		if !ok {
			return a, "" // the document ends inside of it
		}
		a.value = quoted
		return a, rest
	}
	n = strings.IndexFunc(value, func(r rune) bool { return isSpace(r) || r == '>' })
	if n < 0 {
		n = len(value)
	}
	a.value = value[:n]
	return a, value[n:]
}

// skipRaw returns what follows the end tag of an element.
func skipRaw(s, name string) string {
	for {
		i := strings.Index(s, "</")
		if i < 0 {
			return ""
		}
		s = s[i+2:]
		if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) &&
			(len(s) == len(name) || strings.ContainsAny(s[len(name):len(name)+1], " \t\n\f\r/>")) {
			return s
		}
	}
}

// after returns what follows the first occurrence of a string, or nothing.
func after(s, sep string) string {
	_, rest, _ := strings.Cut(s, sep)
	return rest
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

func isSpace(r rune) bool { return strings.ContainsRune(" \t\n\f\r", r) }
