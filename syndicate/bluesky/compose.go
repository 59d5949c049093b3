// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"xeiaso.net/site/syndicate"
)

// What a post may have: lexicons app.bsky.feed.post and app.bsky.richtext.facet.
const (
	maxGraphemes    = 300
	maxBytes        = 3000
	maxLanguages    = 3
	maxTags         = 8
	maxTagGraphemes = 64
	maxTagBytes     = 640
)

// linkWidth is how much of a link is shown: about as much as on bsky.app. The
// rest of the text is worth more; the whole address is in the facet.
const linkWidth = 32

// The card may have texts of any length, and nobody shows more than this.
const (
	maxCardTitle       = 300
	maxCardDescription = 600
)

// Compose implements [syndicate.Composer]. It fetches the picture of the card,
// and the post's page to find it where the post names none; without a picture
// the card is sent all the same.
func (t *Target) Compose(ctx context.Context, m syndicate.Message) ([]byte, error) {
	if m.Visibility == "private" || m.Visibility == "direct" {
		return nil, refused(fmt.Errorf("bluesky: a post with visibility %q cannot be announced: everybody sees what is posted here", m.Visibility))
	}
	record, err := t.record(m)
	if err != nil {
		return nil, refused(err)
	}
	b := body{Record: record}
	if record.Embed != nil {
		pic, err := t.picture(ctx, m)
		if err != nil {
			t.logger.WarnContext(ctx, "the card has no picture", "target", "bluesky", "post", m.Post.ID, "err", err)
		}
		b.Record, b.Picture, b.Own = record.withThumb(pic.blob()), pic.source, ownHost(m)
	}
	raw, err := json.Marshal(b)
	if err == nil && len(raw) > syndicate.MaxBody {
		err = fmt.Errorf("bluesky: the announcement with all links has %d bytes: it may have %d", len(raw), syndicate.MaxBody)
	}
	if err != nil {
		return nil, refused(err)
	}
	return raw, nil
}

// refused makes an error of one that will be the same next time.
func refused(err error) error {
	return &syndicate.Error{Err: err, NotSent: true, Refused: true}
}

// record makes what is published of a message, without time and picture.
func (t *Target) record(m syndicate.Message) (post, error) {
	rich, err := fit(m)
	if err != nil {
		return post{}, err
	}
	if rich.Text == "" && m.Link == "" {
		return post{}, errors.New("bluesky: there is neither a text nor a link to announce")
	}
	return post{
		Type:   collection,
		Text:   rich.Text,
		Facets: facets(rich),
		Embed:  linkCard(m),
		Langs:  t.langs(m.Language),
		Labels: selfLabels(m.ContentWarning),
		Tags:   tags(m.Post.Tags, rich),
	}, nil
}

// fit makes the text and its facets. A link that is not in the text is not put
// there: it is in the card.
func fit(m syndicate.Message) (syndicate.RichText, error) {
	text, link := m.Text, m.Link
	if m.ContentWarning != "" && selfLabels(m.ContentWarning) == nil {
		text = "CW: " + m.ContentWarning + "\n\n" + text
	}
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if text == "" {
		return syndicate.RichText{}, nil
	}
	var enricher syndicate.Enricher
	enricher.LinkWidth = linkWidth
	if link != "" && strings.Contains(text, link) {
		enricher.Links = []string{link}
	} else {
		link = ""
	}
	text, err := syndicate.Fit(text, link, enricher.Limits(maxGraphemes, maxBytes)...)
	if err != nil {
		return syndicate.RichText{}, err
	}
	rich := enricher.Enrich(text)
	return rich, rich.Check()
}

// selfLabels returns the label that a content warning is the name of, if any.
// Other warnings cannot be given but as a text.
func selfLabels(warning string) *labels {
	if !slices.Contains([]string{"sexual", "nudity", "porn", "graphic-media"}, warning) {
		return nil
	}
	return &labels{Type: "com.atproto.label.defs#selfLabels", Values: []label{{warning}}}
}

// langs returns the language of a text as the record has it. Of tags that a
// server may not know, with extensions, the language alone is left.
func (t *Target) langs(tag string) []string {
	language, _, _ := strings.Cut(tag, "-")
	for _, known := range []string{tag, language} {
		if languageForm.MatchString(known) {
			return []string{known}
		}
	}
	return t.languages
}

// tags returns the tags of a post that are not in its text, without "#", as many
// as there may be.
func tags(all []string, rich syndicate.RichText) []string {
	var out []string
	has := func(tag string) bool {
		return slices.ContainsFunc(out, func(o string) bool { return strings.EqualFold(o, tag) }) ||
			slices.ContainsFunc(rich.Facets, func(f syndicate.Facet) bool { return strings.EqualFold(f.Tag, tag) })
	}
	for _, tag := range all {
		tag = strings.TrimPrefix(syndicate.Hashtag(tag), "#")
		if tag == "" || has(tag) || len(tag) > maxTagBytes || syndicate.Graphemes(tag) > maxTagGraphemes {
			continue
		}
		if out = append(out, tag); len(out) == maxTags {
			break
		}
	}
	return out
}

// linkCard makes the card of the post's page, or nil if it has none. Bluesky
// does not look at the page itself.
func linkCard(m syndicate.Message) *embed {
	if m.Link == "" {
		return nil
	}
	return &embed{Type: cardType, External: card{
		URI:         m.Link,
		Title:       shorten(cmp.Or(m.Post.Title, syndicate.ShortLink(m.Link, linkWidth)), maxCardTitle),
		Description: shorten(m.Post.Summary, maxCardDescription),
	}}
}

// shorten returns at most so many graphemes of a text.
func shorten(text string, most int) string {
	short, err := syndicate.Fit(text, "", syndicate.Limit{Max: most}, syndicate.Limit{Max: 10 * most, Count: syndicate.Bytes})
	if err != nil {
		return "" // a single character of thousands of bytes
	}
	return short
}
