// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// RichText is a text with facets beside it, as Bluesky has it.
type RichText struct {
	// Text is what readers see.
	Text string
	// Facets say what parts of it mean, from left to right, without overlap.
	Facets []Facet
}

// Facet is a part of a text that is a link or a hashtag.
type Facet struct {
	// Start and End are offsets in bytes of UTF-8; End is the first byte that
	// does not belong to the part.
	Start, End int
	// URL is where the part links to, in full. If empty, it is a hashtag.
	URL string
	// Tag is the hashtag without its "#". If empty, the part is a link.
	Tag string
}

// Enricher makes rich text of plain text. The zero value is ready to use.
type Enricher struct {
	// LinkWidth is how many graphemes of a link are shown, as [ShortLink] has
	// it. If zero, links are shown in full.
	LinkWidth int
	// Links are addresses that are known to be in the text. They are recognized
	// whole, even if they end with a full stop.
	Links []string
}

// Longest hashtag that Bluesky's facets take: maxGraphemes and maxLength in
// app.bsky.richtext.facet#tag.
const (
	maxTagGraphemes = 64
	maxTagBytes     = 640
)

// Enrich finds the links and hashtags of a text, and shows long links short. A
// hashtag that is too long for a facet stays text.
func (e Enricher) Enrich(text string) RichText {
	text = strings.ToValidUTF8(text, "\uFFFD")
	var out RichText
	var shown strings.Builder
	at := 0
	for _, s := range spans(text, e.Links...) {
		part := text[s.start:s.end]
		f := Facet{Start: shown.Len() + s.start - at}
		switch {
		case s.kind == link:
			f.URL = part
		case s.kind == hashtag && len(part)-1 <= maxTagBytes && Graphemes(part[1:]) <= maxTagGraphemes:
			f.Tag = part[1:]
		default:
			continue
		}
		shown.WriteString(text[at:s.start])
		if f.URL != "" && e.LinkWidth > 0 {
			part = ShortLink(part, e.LinkWidth)
		}
		shown.WriteString(part)
		at, f.End = s.end, shown.Len()
		out.Facets = append(out.Facets, f)
	}
	shown.WriteString(text[at:])
	out.Text = shown.String()
	return out
}

// Limits are limits for [Fit] on what Enrich makes of a text.
func (e Enricher) Limits(graphemes, bytes int) []Limit {
	return []Limit{
		{Max: graphemes, Count: func(text string) int { return Graphemes(e.Enrich(text).Text) }},
		{Max: bytes, Count: func(text string) int { return len(e.Enrich(text).Text) }},
	}
}

// Check returns an error if a facet is not a part of the text, or cuts a
// character in two. Servers do not look: a wrong facet is published, and seen.
func (r RichText) Check() error {
	if !utf8.ValidString(r.Text) {
		return errors.New("syndicate: the text is not UTF-8")
	}
	at := 0
	for _, f := range r.Facets {
		switch {
		case f.Start < at || f.End <= f.Start || f.End > len(r.Text):
			return fmt.Errorf("syndicate: facet %d–%d overlaps another or the end of the text at %d", f.Start, f.End, len(r.Text))
		case !utf8.RuneStart(r.Text[f.Start]) || f.End < len(r.Text) && !utf8.RuneStart(r.Text[f.End]):
			return fmt.Errorf("syndicate: facet %d–%d begins or ends inside of a character", f.Start, f.End)
		case (f.URL == "") == (f.Tag == ""):
			return fmt.Errorf("syndicate: facet %d–%d is not either a link or a hashtag", f.Start, f.End)
		}
		at = f.End
	}
	return nil
}

// ShortLink returns how a link is shown where its address is kept elsewhere:
// without scheme and "www.", and with an ellipsis in place of what is beyond the
// width in graphemes. The host is always whole, so that nobody is misled about
// where the link leads, however short the width. What is no address of a web
// page comes back as it is.
func ShortLink(link string, width int) string {
	u, err := url.Parse(link)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return link
	}
	_, bare, _ := strings.Cut(link, "://")
	end := len(bare)
	if i := strings.IndexAny(bare, "/?#"); i >= 0 {
		end = i
	}
	host, rest := strings.TrimPrefix(bare[:end], "www."), bare[end:]
	if rest == "/" {
		rest = ""
	}
	if Graphemes(host+rest) <= width {
		return host + rest
	}
	room := width - Graphemes(host) - Graphemes(ellipsis)
	return host + firstGraphemes(rest, room) + ellipsis
}

// firstGraphemes returns the first n graphemes of a text, if there are as many.
func firstGraphemes(text string, n int) string {
	state, rest := -1, text
	for ; n > 0 && rest != ""; n-- {
		_, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
	}
	return text[:len(text)-len(rest)]
}
