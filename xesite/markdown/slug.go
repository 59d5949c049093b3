// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// slugify makes one part of an address out of a name: lower case, hyphens for
// everything that is not a letter, a digit, a dot or an underscore. Letters of
// all scripts stay; browsers show them as they are.
func slugify(name string) string {
	var s strings.Builder
	gap := false
	for _, c := range strings.ToLower(name) {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c) && c != '.' && c != '_' || c == utf8.RuneError {
			gap = true
			continue
		}
		if gap && s.Len() > 0 {
			s.WriteByte('-')
		}
		gap = false
		s.WriteRune(c)
	}
	return strings.Trim(s.String(), ".")
}

// slugifyPath applies slugify to each part of a path.
func slugifyPath(p string) string {
	parts := strings.Split(p, "/")
	for i, part := range parts {
		if slug := slugify(part); slug != "" {
			parts[i] = slug
		}
	}
	return strings.Join(parts, "/")
}

// tagSlug is slugify for tags, where C, C++ and C# are three things.
func tagSlug(tag string) string {
	slug := slugify(strings.NewReplacer("+", "-plus", "#", "-sharp").Replace(tag))
	if slug == "" {
		// A tag of symbols only, such as an emoji.
		slug = fmt.Sprintf("%x", tag)
	}
	return slug
}
