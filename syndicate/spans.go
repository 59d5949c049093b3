// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A span is a part of a text that means something only as a whole.
type span struct {
	start, end int // bytes
	kind       kind
}

type kind byte

const (
	link    kind = iota
	hashtag      // with its "#"
	mention      // with its "@"
)

// spans finds links, hashtags and mentions in a text, from left to right. The
// known links are recognized whole, also if they end with what would be taken
// for the punctuation of a sentence. It takes time linear in the text.
func spans(text string, known ...string) []span {
	var found []span
	for i := 0; i < len(text); {
		end, k := i, link
		switch text[i] {
		case 'h', 'H':
			end = linkEnd(text, i, known)
		case '#':
			end, k = hashtagEnd(text, i), hashtag
		case '@':
			end, k = mentionEnd(text, i), mention
		}
		if end == i {
			i++
			continue
		}
		found = append(found, span{i, end, k})
		i = end
	}
	return found
}

// linkEnd returns where the link ends that begins at i, or i if none does.
func linkEnd(text string, i int, known []string) int {
	end := i
	if before, _ := utf8.DecodeLastRuneInString(text[:i]); !isWord(before) && !strings.ContainsRune("@#$", before) {
		end = anyLinkEnd(text, i)
	}
	for _, k := range known {
		if k != "" && strings.HasPrefix(text[i:], k) {
			end = max(end, i+len(k))
		}
	}
	return end
}

// anyLinkEnd is linkEnd for links that nobody told of.
func anyLinkEnd(text string, i int) int {
	host := i
	for _, scheme := range []string{"https://", "http://"} {
		if len(text)-i > len(scheme) && strings.EqualFold(text[i:i+len(scheme)], scheme) {
			host = i + len(scheme)
		}
	}
	if first, _ := utf8.DecodeRuneInString(text[host:]); host == i || !unicode.In(first, unicode.Letter, unicode.Digit) && first != '[' {
		return i
	}
	end := len(text)
	if n := strings.IndexFunc(text[host:], func(r rune) bool { return !inLink(r) }); n >= 0 {
		end = host + n
	}
	return host + len(withoutPunctuation(text[host:end]))
}

// inLink reports whether a link may go on with r. That is RFC 3986, and letters
// of all languages, which people write into addresses.
func inLink(r rune) bool {
	if r >= utf8.RuneSelf {
		return r != utf8.RuneError && unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit)
	}
	return isWord(r) || strings.ContainsRune("-.~:/?#[]@!$&'()*+,;=%", r)
}

// withoutPunctuation takes off the end of a link what belongs to the sentence:
// full stops and the like, and brackets that were opened before it.
func withoutPunctuation(s string) string {
	parens := strings.Count(s, ")") - strings.Count(s, "(")
	brackets := strings.Count(s, "]") - strings.Count(s, "[")
	for s != "" {
		switch s[len(s)-1] {
		case '.', ',', ';', ':', '!', '?', '\'', '*', '~':
		case '(':
			parens++
		case '[':
			brackets++
		case ')':
			if parens--; parens < 0 {
				return s
			}
		case ']':
			if brackets--; brackets < 0 {
				return s
			}
		default:
			return s
		}
		s = s[:len(s)-1]
	}
	return s
}

// hashtagEnd returns where the hashtag ends that begins at i, or i. Networks
// agree on letters, digits and "_", with at least one that is no digit, and not
// in the middle of a word or an address.
func hashtagEnd(text string, i int) int {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	if before != utf8.RuneError && !unicode.IsSpace(before) && !strings.ContainsRune("([{\"'", before) {
		return i
	}
	end, word := i+1, false
	for j, r := range text[i+1:] {
		if !inHashtag(r) {
			break
		}
		word = word || !unicode.IsDigit(r)
		end = i + 1 + j + utf8.RuneLen(r)
	}
	if !word {
		return i
	}
	return end
}

func inHashtag(r rune) bool {
	return r == '_' || r != utf8.RuneError && unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit)
}

// mentionEnd returns where the mention ends that begins at i, or i: a local
// name, and perhaps a host, as Mastodon reads them.
func mentionEnd(text string, i int) int {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	if before != utf8.RuneError && (isWord(before) || unicode.In(before, unicode.Letter, unicode.Digit) || strings.ContainsRune("=/@", before)) {
		return i
	}
	end := nameEnd(text, i+1)
	if end == i+1 {
		return i
	}
	if end < len(text) && text[end] == '@' {
		if host := nameEnd(text, end+1); host > end+1 {
			end = host
		}
	}
	return end
}

// nameEnd returns where a name ends that begins at i: letters, digits and "_",
// with dots and hyphens inside.
func nameEnd(text string, i int) int {
	end := i
	for j := i; j < len(text) && (isWord(rune(text[j])) || j > i && (text[j] == '.' || text[j] == '-')); j++ {
		if isWord(rune(text[j])) {
			end = j + 1
		}
	}
	return end
}

// isWord reports whether r is an ASCII letter, digit or underscore.
func isWord(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
