// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon

import (
	"html"
	"regexp"
	"strings"
	"unicode"

	"xeiaso.net/site/syndicate/internal/markup"
)

// links returns the addresses that the links of a piece of HTML lead to.
func links(content string) []string {
	var found []string
	for e := range markup.Elements(content) {
		if href := e.Attr("href"); e.Name == "a" && href != "" {
			found = append(found, href)
		}
	}
	return found
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
		tag, after, _ := strings.Cut(rest, ">")
		if breaks(tag) {
			out.WriteByte('\n')
		}
		content = after
	}
}

// breaks reports whether a tag ends a line.
func breaks(tag string) bool {
	name := strings.ToLower(strings.Trim(tag, "/ "))
	return name == "br" || name == "p"
}

// sameText reports whether a piece of HTML is what a server made of a text. It
// makes links of words, and of mentions it shows the local part only.
func sameText(content, text string) bool {
	wanted := letters(text)
	return wanted != "" && letters(plain(content)) == wanted
}

// mention is one of somebody on another server. Of its host, the server shows
// nothing if it knows them.
var mention = regexp.MustCompile(`@([0-9A-Za-z_.-]+)@[\pL\pN.-]*[\pL\pN]`)

// letters returns the letters, digits and symbols of a text, without the host of
// mentions.
func letters(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsSymbol(r) {
			return r
		}
		return -1
	}, mention.ReplaceAllString(text, "@$1"))
}
