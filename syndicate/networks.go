// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CountReserved counts graphemes as Mastodon does: each link is as long as an
// instance reserves for it (characters_reserved_per_url, usually 23), and of a
// mention of somebody elsewhere only the local name counts.
//
// Links that not every instance takes for one as a whole, since their host has
// no dot or they have brackets or letters beyond ASCII, count in full where that
// is more, and so does what may be taken for text after a shorter link.
func CountReserved(text string, perLink int) int {
	text = strings.ToValidUTF8(text, "\uFFFD")
	var counted strings.Builder
	at := 0
	for _, s := range spans(text) {
		part := text[s.start:s.end]
		switch s.kind {
		case link:
			n := perLink
			if plain, all := plainLink(part); !all {
				n = max(perLink+Graphemes(part[plain:]), Graphemes(part))
			}
			part = strings.Repeat("x", n)
		case mention:
			local, _, _ := strings.Cut(part[1:], "@")
			part = "@" + local
		}
		counted.WriteString(text[at:s.start])
		counted.WriteString(part)
		at = s.end
	}
	counted.WriteString(text[at:])
	return Graphemes(counted.String())
}

// plainLink returns how much of a link everybody's rules find, and whether that
// is the whole of it.
func plainLink(link string) (n int, all bool) {
	scheme, rest, _ := strings.Cut(link, "://")
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	n = strings.IndexFunc(link, func(r rune) bool { return r >= utf8.RuneSelf || strings.ContainsRune("()[]'", r) })
	if n < 0 {
		n = len(link)
	}
	name, port, _ := strings.Cut(host, ":")
	odd := strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf || !isWord(r) && r != '.' && r != '-' })
	if odd < 0 && len(name) < len(host) && (port == "" || strings.Trim(port, "0123456789") != "") {
		odd = len(name)
	}
	if odd >= 0 {
		n = min(n, len(scheme)+len("://")+odd)
	}
	return n, n == len(link) && strings.Contains(host, ".")
}

// EscapeMarkdown returns a text that Discord shows as it is: with a backslash
// before what would format or mention. Links are left alone and stay links; so
// does one in angle brackets, which is a link without a preview. Links that are
// known are recognized whole, as in [Enricher.Links].
func EscapeMarkdown(text string, links ...string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	var out strings.Builder
	at := 0
	for _, s := range spans(text, links...) {
		if s.kind != link {
			continue
		}
		if s.start > at && s.end < len(text) && text[s.start-1] == '<' && text[s.end] == '>' {
			s.start, s.end = s.start-1, s.end+1
		}
		escape(&out, text[at:s.start], at)
		out.WriteString(text[s.start:s.end])
		at = s.end
	}
	escape(&out, text[at:], at)
	return out.String()
}

// escape writes a part of a text that has no links, and that begins at an
// offset. Brackets and parentheses that close need no backslash if those that
// open have one, and would become a part of the link that they follow.
func escape(out *strings.Builder, part string, offset int) {
	lineStart, number := offset == 0, false // whether the line has nothing, or digits alone, so far
	for i, r := range part {
		switch {
		case strings.ContainsRune("\\*_~`|[<@#", r), lineStart && strings.ContainsRune(">-+", r), number && r == '.':
			if i == 0 && offset > 0 {
				out.WriteByte(' ') // or the backslash would belong to the link
			}
			out.WriteByte('\\')
		}
		out.WriteRune(r)
		number = (lineStart || number) && r >= '0' && r <= '9'
		lineStart = r == '\n' || lineStart && unicode.IsSpace(r)
	}
}

// Hashtag returns a tag as a hashtag of one word: "home lab" becomes "#HomeLab",
// with capitals since screen readers need them to tell the words apart. If
// nothing is left that networks take for a hashtag, it returns "".
func Hashtag(tag string) string {
	parts := strings.FieldsFunc(tag, func(r rune) bool { return !inHashtag(r) })
	if len(parts) > 1 {
		for i, part := range parts {
			first, n := utf8.DecodeRuneInString(part)
			parts[i] = string(unicode.ToUpper(first)) + part[n:]
		}
	}
	hashtag := "#" + strings.Join(parts, "")
	if hashtagEnd(hashtag, 0) != len(hashtag) {
		return ""
	}
	return hashtag
}

// PlainLine returns a text as one line for IRC: without control characters, and
// thus without CTCP, formatting and colours, and with single blanks in place of
// line breaks. Nothing in it can be taken for the end of a command.
func PlainLine(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	var out strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		switch {
		case r == '\x03':
			i += colour(text[i:])
		case r == '\x04':
			i += hexColour(text[i:])
		case unicode.IsSpace(r):
			out.WriteByte(' ')
		case !unicode.IsControl(r):
			out.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// colour returns the length of the numbers that follow \x03: foreground, and
// perhaps a comma and background, of up to two digits each.
func colour(s string) int {
	n := digits(s)
	if n > 0 && n < len(s) && s[n] == ',' {
		if background := digits(s[n+1:]); background > 0 {
			n += 1 + background
		}
	}
	return n
}

func digits(s string) int {
	n := 0
	for n < len(s) && n < 2 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// hexColour returns the length of the six hexadecimal digits that follow \x04.
func hexColour(s string) int {
	if len(s) < 6 || strings.Trim(s[:6], "0123456789abcdefABCDEF") != "" {
		return 0
	}
	return 6
}

// maxLine is the length of a line of IRC with its CR and LF, RFC 2812 2.3.
const maxLine = 512

// LineLimit is what a message to an IRC channel may be. A server puts the
// prefix, which is "nick!user@host" of the sender, in front of the line that
// others get, and cuts what is then too long.
func LineLimit(prefix, channel string) Limit {
	around := len(":") + len(prefix) + len(" PRIVMSG ") + len(channel) + len(" :") + len("\r\n")
	return Limit{Max: maxLine - around, Count: Bytes}
}
