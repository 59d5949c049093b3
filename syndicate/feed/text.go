// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed

import (
	"html"
	"strings"
	"unicode"
)

// oneLine returns a text with single blanks and without control characters.
func oneLine(text string) string {
	if strings.ContainsFunc(text, unicode.IsControl) {
		text = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) && !unicode.IsSpace(r) {
				return -1
			}
			return r
		}, text)
	}
	return strings.Join(strings.Fields(text), " ")
}

// Elements whose content is no text for readers, and is not to be looked into.
var unread = words("script style template noscript iframe object textarea svg math select audio video")

// Elements in the middle of a sentence; all others separate words.
var inline = words("a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q s samp small span strike strong sub sup time tt u var wbr")

// Further elements of HTML that are found in descriptions.
var block = words("address article aside blockquote body br center dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr html iframe img input legend li link main meta nav noscript ol optgroup option p picture pre script section select source style summary svg table tbody td tfoot th thead title tr ul video audio")

func words(list string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(list) {
		set[word] = true
	}
	return set
}

// How many bytes of a text and of a title are looked at.
const (
	maxText  = 4 << 10
	maxTitle = 16 << 10
)

// plainText returns the beginning of the text of HTML in one line.
func plainText(s string) string { return text(s, maxText, func(string) bool { return true }) }

// titleText returns the text of a title that may be HTML or not, which RSS does
// not say: only what formats is taken for a tag, so "Vec<T>" and "a < b" stay.
func titleText(s string) string {
	return text(s, maxTitle, func(tag string) bool { return inline[tag] })
}

// descriptionText is titleText for descriptions, where whole paragraphs are as
// frequent as plain text.
func descriptionText(s string) string {
	return text(s, maxText, func(tag string) bool { return inline[tag] || block[tag] || strings.Contains(tag, "-") })
}

// text returns HTML without the tags that isTag takes for such, with entities
// decoded, up to about so many bytes.
func text(s string, most int, isTag func(name string) bool) string {
	var out strings.Builder
	for s != "" && out.Len() < most {
		open := strings.IndexByte(s, '<')
		if open < 0 {
			open = len(s)
		}
		// Each piece by itself: a tag in the middle of an entity ends it.
		piece := s[:min(open, 2*most)]
		out.WriteString(html.UnescapeString(piece))
		if s = s[open:]; s == "" {
			break
		}
		name, n := tag(s)
		switch {
		case n == 0 || name != "!" && !isTag(name):
			out.WriteByte('<')
			s = s[1:]
			continue
		case !inline[name] && name != "!":
			out.WriteByte(' ')
		}
		opening := s[1] != '/'
		s = s[n:]
		if opening && unread[name] {
			s = s[elementEnd(s, name):]
		}
	}
	return oneLine(out.String())
}

// tag returns the name and length of the tag or comment that s begins with. The
// name of comments and declarations is "!"; the length is 0 if "<" stands for
// itself. What is not closed goes on to the end.
func tag(s string) (name string, n int) {
	rest := strings.TrimPrefix(s[1:], "/")
	switch {
	case strings.HasPrefix(s, "<!--"):
		return "!", after(s, 4, "-->")
	case strings.HasPrefix(s, "<!"), strings.HasPrefix(s, "<?"):
		return "!", after(s, 2, ">")
	case rest == "" || !isLetter(rest[0]):
		return "", 0
	}
	end := strings.IndexAny(rest, " \t\r\n\f/>")
	if end < 0 {
		end = len(rest)
	}
	return strings.ToLower(rest[:min(end, 32)]), len(s) - len(rest) + end + attributes(rest[end:])
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// after returns the index behind the first mark in s from the given index on,
// or the length of s.
func after(s string, from int, mark string) int {
	if i := strings.Index(s[from:], mark); i >= 0 {
		return from + i + len(mark)
	}
	return len(s)
}

// attributes returns the length of the rest of a tag. A ">" in a quoted value
// does not end it, and quotes count only where a value begins.
func attributes(s string) int {
	value := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '>':
			return i + 1
		case c == '=':
			value = true
		case value && (c == '"' || c == '\''):
			i = after(s, i+1, string(c)) - 1
			value = false
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			value = false
		}
	}
	return len(s)
}

// elementEnd returns where the end tag of an element begins, of which the
// content is not looked into.
func elementEnd(s, name string) int {
	for i := 0; i < len(s); i++ {
		next := strings.Index(s[i:], "</")
		if next < 0 {
			break
		}
		i += next
		if end := i + 2 + len(name); end <= len(s) && strings.EqualFold(s[i+2:end], name) && (end == len(s) || !isLetter(s[end])) {
			return i
		}
	}
	return len(s)
}
