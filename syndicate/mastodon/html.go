// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon

import (
	"html"
	"strings"
	"unicode"
)

// links returns the addresses that the links of a piece of HTML lead to.
func links(content string) []string {
	var found []string
	for _, tag := range tags(content) {
		if name, rest := tagName(tag); name == "a" {
			if href, ok := attribute(rest, "href"); ok {
				found = append(found, href)
			}
		}
	}
	return found
}

// tags returns what stands between angle brackets. A bracket in a quoted value
// ends no tag.
func tags(content string) []string {
	var found []string
	for {
		_, rest, ok := strings.Cut(content, "<")
		if !ok {
			return found
		}
		end := tagEnd(rest)
		found = append(found, rest[:end])
		content = rest[end:]
	}
}

// tagEnd returns where the tag ends that a text begins with.
func tagEnd(s string) int {
	quote := byte(0)
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i
		}
	}
	return len(s)
}

func isBlank(r rune) bool { return strings.ContainsRune(" \t\r\n\f/", r) }

func tagName(tag string) (name, rest string) {
	i := strings.IndexFunc(tag, isBlank)
	if i < 0 {
		i = len(tag)
	}
	return strings.ToLower(tag[:i]), tag[i:]
}

// attribute returns the value that a tag gives to an attribute.
func attribute(tag, name string) (string, bool) {
	for {
		tag = strings.TrimLeftFunc(tag, isBlank)
		if tag == "" {
			return "", false
		}
		i := strings.IndexFunc(tag, func(r rune) bool { return isBlank(r) || r == '=' })
		if i < 0 {
			i = len(tag)
		}
		key := tag[:i]
		value, rest := attributeValue(tag[i:])
		if strings.EqualFold(key, name) {
			return html.UnescapeString(value), true
		}
		tag = rest
	}
}

// attributeValue returns the value that follows an attribute's name, and what
// follows it.
func attributeValue(s string) (value, rest string) {
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	s, ok := strings.CutPrefix(s, "=")
	if !ok {
		return "", s
	}
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		value, rest, _ = strings.Cut(s[1:], s[:1])
		return value, rest
	}
	i := strings.IndexFunc(s, unicode.IsSpace)
	if i < 0 {
		i = len(s)
	}
	return s[:i], s[i:]
}

// plain returns the text of a piece of HTML.
func plain(content string) string {
	var out strings.Builder
	for {
		text, rest, ok := strings.Cut(content, "<")
		out.WriteString(html.UnescapeString(text))
		if !ok {
			return out.String()
		}
		end := tagEnd(rest)
		if name, _ := tagName(strings.TrimPrefix(rest[:end], "/")); name == "br" || name == "p" {
			out.WriteByte('\n')
		}
		content = strings.TrimPrefix(rest[end:], ">")
	}
}

// sameText reports whether a piece of HTML is what a server made of a text. It
// makes links of words, and of mentions it shows the local part only.
func sameText(content, text string) bool {
	wanted := letters(text)
	return wanted != "" && letters(plain(content)) == wanted
}

// letters returns the letters and digits of a text, without the host of
// mentions.
func letters(text string) string {
	var out strings.Builder
	for word := range strings.FieldsSeq(text) {
		if rest, ok := strings.CutPrefix(word, "@"); ok {
			word, _, _ = strings.Cut(rest, "@")
		}
		for _, r := range word {
			if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsSymbol(r) {
				out.WriteRune(r)
			}
		}
	}
	return out.String()
}
