// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodontest

import (
	"html"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// entity is a part of a text that is more than text.
type entity struct {
	kind       string // "link", "mention" or "hashtag"
	start, end int
}

// What Mastodon's documentation calls a link, a mention and a hashtag: a link
// has a scheme and a host with a dot, what ends a sentence is no part of it.
var entityPattern = regexp.MustCompile(`(?i)(?P<link>https?://(?:[\pL\pN_-]+\.)+\pL[\pL\pN_-]*[\pL\pN_](?::\d+)?(?:[/?#][^\s<>"]*)?)` +
	`|(?P<mention>@[a-z0-9_]+(?:[a-z0-9_.-]*[a-z0-9_]+)?(?:@[\pL\pN_](?:[\pL\pN_.-]*[\pL\pN_])?)?)` +
	`|(?P<hashtag>#[\pL\pM\pN_]*[\pL\pM_][\pL\pM\pN_]*)`)

// entities finds the entities of a text from left to right.
func entities(text string) []entity {
	var found []entity
	for at := 0; ; {
		m := entityPattern.FindStringSubmatchIndex(text[at:])
		if m == nil {
			return found
		}
		e := entity{start: at + m[0], end: at + m[1]}
		for i, name := range entityPattern.SubexpNames() {
			if i > 0 && m[2*i] >= 0 {
				e.kind = name
			}
		}
		if before, _ := utf8.DecodeLastRuneInString(text[:e.start]); e.start > 0 && glued(before) {
			_, n := utf8.DecodeRuneInString(text[e.start:])
			at = e.start + n
			continue
		}
		if e.kind == "link" {
			e.end = e.start + len(trimLink(text[e.start:e.end]))
		}
		found = append(found, e)
		at = e.end
	}
}

// glued reports whether what follows such a letter is a part of a word.
func glued(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_@#$/&", r)
}

// trimLink leaves out what a sentence has after a link.
func trimLink(link string) string {
	for {
		short := strings.TrimRight(link, `.,:;!?'"*…`)
		if strings.HasSuffix(short, ")") && strings.Count(short, "(") < strings.Count(short, ")") {
			short = short[:len(short)-1]
		}
		if short == link {
			return link
		}
		link = short
	}
}

// count is the length of a status: links are as long as is reserved for them, of
// mentions the local part counts, the warning counts.
func (s *Server) count(spoiler, text string) int {
	var counted strings.Builder
	at := 0
	for _, e := range entities(text) {
		counted.WriteString(text[at:e.start])
		switch part := text[e.start:e.end]; e.kind {
		case "link":
			counted.WriteString(strings.Repeat("x", s.config.CharactersPerURL))
		case "mention":
			local, _, _ := strings.Cut(part[1:], "@")
			counted.WriteString("@" + local)
		default:
			counted.WriteString(part)
		}
		at = e.end
	}
	counted.WriteString(text[at:])
	return clusters(spoiler + counted.String())
}

// clusters counts characters as readers see them, in the main by the rules of
// UAX 29: what is put onto a character, joined to it by a zero width joiner, or
// the second half of a flag counts nothing.
func clusters(text string) int {
	n, flags := 0, 0
	var last rune
	for _, r := range text {
		regional := r >= 0x1F1E6 && r <= 0x1F1FF
		switch {
		case n > 0 && last == '\r' && r == '\n':
		case n > 0 && !unicode.IsControl(last) && extends(r):
		case n > 0 && last == 0x200D && r >= 0x2190 && !unicode.IsLetter(r):
		case n > 0 && hangul(last, r):
		case n > 0 && unicode.Is(unicode.Prepended_Concatenation_Mark, last) && !unicode.IsControl(r):
		case regional && flags%2 == 1:
		default:
			n++
		}
		if regional {
			flags++
		} else if !extends(r) {
			flags = 0
		}
		last = r
	}
	return n
}

func extends(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc) || r == 0x200C || r == 0x200D ||
		r >= 0x1F3FB && r <= 0x1F3FF || r >= 0xE0020 && r <= 0xE007F || r == 0xFF9E || r == 0xFF9F
}

// hangul reports whether two letters of Korean are parts of one syllable.
func hangul(a, b rune) bool {
	leading := a >= 0x1100 && a <= 0x115F
	vowel := b >= 0x1160 && b <= 0x11A7
	trailing := b >= 0x11A8 && b <= 0x11FF
	syllable := a >= 0xAC00 && a <= 0xD7A3
	return leading && (b >= 0x1100 && b <= 0x11A7 || b >= 0xAC00 && b <= 0xD7A3) ||
		(syllable && (a-0xAC00)%28 == 0 || a >= 0x1160 && a <= 0x11A7) && (vowel || trailing) ||
		(syllable || a >= 0x11A8 && a <= 0x11FF) && trailing
}

// content is a text as Mastodon makes HTML of it.
func content(base, text string) string {
	var out strings.Builder
	at := 0
	for _, e := range entities(text) {
		out.WriteString(html.EscapeString(text[at:e.start]))
		switch part := text[e.start:e.end]; e.kind {
		case "link":
			out.WriteString(anchor(part))
		case "hashtag":
			out.WriteString(`<a href="` + base + "/tags/" + html.EscapeString(strings.ToLower(part[1:])) + `" class="mention hashtag" rel="tag">#<span>` + html.EscapeString(part[1:]) + `</span></a>`)
		default: // nobody of that name is known
			out.WriteString(html.EscapeString(part))
		}
		at = e.end
	}
	out.WriteString(html.EscapeString(text[at:]))
	return paragraphs(out.String())
}

// anchor shows thirty characters of a link.
func anchor(link string) string {
	scheme, rest, _ := strings.Cut(link, "://")
	prefix := scheme + "://"
	if bare, found := strings.CutPrefix(rest, "www."); found {
		prefix, rest = prefix+"www.", bare
	}
	shown, hidden, class := []rune(rest), []rune(nil), ""
	if len(shown) > 30 {
		shown, hidden, class = shown[:30], shown[30:], "ellipsis"
	}
	return `<a href="` + html.EscapeString(link) + `" target="_blank" rel="nofollow noopener" translate="no"><span class="invisible">` + prefix +
		`</span><span class="` + class + `">` + html.EscapeString(string(shown)) + `</span><span class="invisible">` + html.EscapeString(string(hidden)) + `</span></a>`
}

var emptyLines = regexp.MustCompile(`\n\n+`)

// paragraphs is what Rails calls a simple format.
func paragraphs(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	text = emptyLines.ReplaceAllString(text, "</p><p>")
	return "<p>" + strings.ReplaceAll(text, "\n", "<br />") + "</p>"
}
