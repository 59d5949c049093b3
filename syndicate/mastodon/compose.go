// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/picture"
)

// body is what of a message is kept for all attempts.
type body struct {
	Text       string `json:"text"`
	Warning    string `json:"warning,omitempty"`
	Visibility string `json:"visibility,omitempty"`
	Language   string `json:"language,omitempty"`
	// Picture is what to attach, if not nil.
	Picture *attachment `json:"picture,omitempty"`
}

// attachment is a picture, as it was when the message was composed.
type attachment struct {
	URL    string `json:"url"`
	Alt    string `json:"alt,omitempty"`
	SHA256 string `json:"sha256"`
}

// maxText is how long a text may be, in bytes: twice of it and the rest are
// within syndicate.MaxBody, if nothing in it is of the kind that JSON escapes
// sixfold.
const maxText = 12 << 10

// Compose implements [syndicate.Composer]. It asks the server for its limits,
// once an hour, and fetches the picture if one is to be attached.
func (t *Target) Compose(ctx context.Context, m syndicate.Message) ([]byte, error) {
	l, err := t.allowed(ctx)
	if err != nil {
		return nil, err
	}
	b := body{Language: language(m.Language), Visibility: m.Visibility}
	if b.Visibility == "" {
		b.Visibility = t.cfg.Visibility
	}
	if err := b.fit(m, l); err != nil {
		return nil, err
	}
	if t.cfg.Pictures && m.Post.Image.URL != "" {
		if b.Picture, err = t.attachment(ctx, m.Post.Image, l); err != nil {
			return nil, err
		}
	}
	return json.Marshal(b)
}

// fit sets the text and the warning. The warning may take half of what is
// allowed: readers need to know what it is about.
func (b *body) fit(m syndicate.Message, l limits) error {
	var err error
	if warning := syndicate.PlainLine(m.ContentWarning); warning != "" {
		b.Warning, err = syndicate.Fit(warning, "", syndicate.Limit{Max: l.characters / 2}, syndicate.Limit{Max: maxText / 4, Count: syndicate.Bytes})
		if err != nil {
			return tooLong("content warning", err)
		}
	}
	count := func(text string) int { return syndicate.CountReserved(text, l.perLink) }
	room := l.characters - syndicate.Graphemes(b.Warning)
	b.Text, err = syndicate.Fit(printable(m.Text), m.Link, syndicate.Limit{Max: room, Count: count}, syndicate.Limit{Max: maxText, Count: syndicate.Bytes})
	if err != nil {
		return tooLong("text", err)
	}
	if b.Text = strings.TrimSpace(b.Text); b.Text == "" {
		return &syndicate.Error{Err: errors.New("mastodon: there is nothing to say: neither text nor link"), NotSent: true, Refused: true}
	}
	return nil
}

func tooLong(what string, err error) error {
	return &syndicate.Error{Err: fmt.Errorf("mastodon: %s: %w", what, err), NotSent: true, Refused: true}
}

// printable leaves out control characters: databases refuse some of them.
func printable(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text))
}

// language returns a BCP 47 tag as Mastodon knows languages: by their two or
// three letters, and Chinese also by where it is from. What it does not know it
// would replace by the account's own.
func language(tag string) string {
	parts := strings.Split(strings.ReplaceAll(tag, "_", "-"), "-")
	base := strings.ToLower(parts[0])
	if len(base) < 2 || len(base) > 3 || strings.Trim(base, "abcdefghijklmnopqrstuvwxyz") != "" {
		return ""
	}
	for _, region := range parts[1:] {
		if region = strings.ToUpper(region); base == "zh" && slices.Contains([]string{"CN", "HK", "TW"}, region) {
			return base + "-" + region
		}
	}
	return base
}

// attachment returns the picture of a post if the server would take it.
func (t *Target) attachment(ctx context.Context, image syndicate.Image, l limits) (*attachment, error) {
	p, err := t.fetch(ctx, image.URL, l)
	if refused(err) {
		return nil, nil // the card has to do
	}
	if err != nil {
		return nil, err
	}
	alt, err := syndicate.Fit(printable(image.Alt), "", syndicate.Limit{Max: l.description, Count: syndicate.UTF16}, syndicate.Limit{Max: maxText / 4, Count: syndicate.Bytes})
	if err != nil {
		alt = ""
	}
	return &attachment{URL: image.URL, Alt: alt, SHA256: p.Hash()}, nil
}

func (t *Target) fetch(ctx context.Context, address string, l limits) (picture.Picture, error) {
	p, err := picture.Fetch(ctx, t.cfg.PictureClient, address, picture.Limits{Bytes: l.imageBytes, Types: l.imageTypes})
	if e, ok := errors.AsType[*syndicate.Error](err); ok {
		e.Err = fmt.Errorf("mastodon: %w", e.Err)
	}
	return p, err
}

// refused reports whether an error says that there is no use in trying again.
func refused(err error) bool {
	e, ok := errors.AsType[*syndicate.Error](err)
	return ok && e.Refused
}
