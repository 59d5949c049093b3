// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"errors"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// ErrTooLong is returned by [Fit] if what must stay whole is not within the
// limits.
var ErrTooLong = errors.New("syndicate: what must stay whole is longer than the network allows")

// Limit is how long a text may be on a network.
type Limit struct {
	// Max is the largest count that is allowed.
	Max int
	// Count is how the network counts. It must be fit for any text, and not
	// find more in the beginning of a text than in the whole. If nil, it is
	// [Graphemes].
	Count func(text string) int
}

func (l Limit) allows(text string) bool {
	if l.Count == nil {
		return Graphemes(text) <= l.Max
	}
	return l.Count(text) <= l.Max
}

// Graphemes counts characters as readers see them: a flag or a letter with two
// accents is one.
func Graphemes(text string) int { return uniseg.GraphemeClusterCount(text) }

// Bytes counts bytes of UTF-8.
func Bytes(text string) int { return len(text) }

// UTF16 counts UTF-16 code units, of which an emoji takes two or more. Who counts
// by code points finds fewer, never more.
func UTF16(text string) int {
	n := 0
	for _, r := range text {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

const ellipsis = "…"

// Fit returns the text if it is within all limits, and otherwise as much of it
// as is, with an ellipsis where something was left out.
//
// The link, if it is not empty, stays whole. What stands before its last
// occurrence is shortened, and if that is not enough what follows it as well;
// if the text does not contain the link, it is put at the end after a blank. A
// separator such as " :: " or an empty line before the link stays. Cuts are
// never inside of a grapheme, another link, a hashtag or a mention, and at the
// end of a word unless that takes more than half of what is left.
//
// The result is valid UTF-8. The error is ErrTooLong, if anything: there is no
// room for the link or, without one, for anything of the text.
func Fit(text, link string, limits ...Limit) (string, error) {
	text, link = strings.ToValidUTF8(text, "\uFFFD"), strings.ToValidUTF8(link, "\uFFFD")
	allowed := func(s string) bool {
		return !slices.ContainsFunc(limits, func(l Limit) bool { return !l.allows(s) })
	}
	before, after := around(text, link)
	if whole := before + link + after; allowed(whole) {
		return whole, nil
	}
	if link == "" {
		return fitter{allowed: allowed}.fit(before)
	}
	head, separator := cutSeparator(before)
	// In this order: a shorter text before the link, after it, none after it.
	for _, f := range []struct {
		fitter
		text string
	}{
		{fitter{allowed, link, "", separator + link + after}, head},
		{fitter{allowed, link, before + link, ""}, after},
		{fitter{allowed, link, "", separator + link}, head},
	} {
		if short, err := f.fit(f.text); err == nil {
			return short, nil
		}
	}
	if !allowed(link) {
		return "", ErrTooLong
	}
	return link, nil
}

// around splits a text at the last occurrence of the link. If there is none, it
// makes room for one at the end.
func around(text, url string) (before, after string) {
	if url == "" {
		return text, ""
	}
	for _, s := range slices.Backward(spans(text, url)) {
		if s.kind == link && text[s.start:s.end] == url {
			return text[:s.start], text[s.end:]
		}
	}
	if text = strings.TrimRightFunc(text, unicode.IsSpace); text != "" {
		text += " "
	}
	return text, ""
}

// cutSeparator splits off what stands between a text and a link: blanks, and
// signs like "::" or "–" that have blanks on both sides.
func cutSeparator(before string) (head, separator string) {
	head = strings.TrimRightFunc(before, unicode.IsSpace)
	if head == before {
		return head, " " // a cut text must not run into the link
	}
	sign := strings.TrimRightFunc(head, func(r rune) bool { return unicode.In(r, unicode.Punct, unicode.Symbol) })
	if bare := strings.TrimRightFunc(sign, unicode.IsSpace); bare != sign && len(head)-len(sign) <= 8 {
		head = bare
	}
	return head, before[len(head):]
}

// A fitter shortens a text that stands between two others.
type fitter struct {
	allowed    func(string) bool
	link       string
	head, tail string
}

// fit returns the head, the longest beginning of text that is allowed, and the
// tail; or an error if nothing of the text is.
func (f fitter) fit(text string) (string, error) {
	cuts := cuttable(text, f.link)
	with := func(n int) string { return f.head + cuts[n].text(text) + f.tail }
	// Counts grow with the text, or nearly so: a cut after a link takes a blank.
	n := sort.Search(len(cuts), func(n int) bool { return !f.allowed(with(n)) })
	for n--; n > 0; n-- {
		best := wordEnd(text, cuts, n)
		if best == 0 {
			break // blanks are nothing
		}
		// At a word's end there may be a link, so it has to be counted again.
		if f.allowed(with(best)) {
			return with(best), nil
		}
		if f.allowed(with(n)) {
			return with(n), nil
		}
	}
	return "", ErrTooLong
}

// A cut is a place where a text may end.
type cut struct {
	at    int
	blank bool // whether blanks or commas stand before it
	word  bool // whether a word ends there
	whole bool // whether a link or the like ends there, which must not run into what follows
}

// text returns what is left of the text.
func (c cut) text(text string) string {
	switch {
	case c.at == len(text):
		return text
	case c.whole:
		return text[:c.at] + " " + ellipsis
	}
	return text[:c.at] + ellipsis
}

// cuttable lists the places where a text may end, from left to right. The last
// is its end.
func cuttable(text, link string) []cut {
	kept := spans(text, link)
	cuts := []cut{{word: true}}
	state, rest, at := -1, text, 0
	for rest != "" {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		at += len(cluster)
		for len(kept) > 0 && kept[0].end < at {
			kept = kept[1:]
		}
		if len(kept) > 0 && kept[0].start < at && at < kept[0].end {
			continue
		}
		next, _ := utf8.DecodeRuneInString(rest)
		cuts = append(cuts, cut{
			at:    at,
			blank: strings.Trim(cluster, " \t\r\n\u00a0\u3000,;:-–—(") == "",
			word:  rest == "" || unicode.IsSpace(next),
			whole: len(kept) > 0 && kept[0].end == at,
		})
	}
	return cuts
}

// wordEnd returns the best cut that is not after the n-th.
func wordEnd(text string, cuts []cut, n int) int {
	best := n
	for !cuts[best].word && cuts[best].at > cuts[n].at/2 {
		best--
	}
	if !cuts[best].word || best == 0 {
		best = n // a language without blanks, or one long word
	}
	if cuts[best].at == len(text) {
		return best
	}
	for best > 0 && cuts[best].blank {
		best--
	}
	return best
}
