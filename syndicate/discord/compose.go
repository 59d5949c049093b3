// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discord

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"xeiaso.net/site/syndicate"
)

// Limits in Discord's documentation.
const (
	maxContent     = 2000
	maxTitle       = 256
	maxDescription = 4096
	maxAddress     = 2048
)

// message is what is sent: the body of an announcement.
type message struct {
	Content  string   `json:"content,omitempty"`
	Embeds   []embed  `json:"embeds,omitempty"`
	Mentions mentions `json:"allowed_mentions"`
	// Username and AvatarURL are for webhooks.
	Username  string `json:"username,omitempty"`
	AvatarURL string `json:"avatar_url,omitempty"`
	// Nonce and EnforceNonce are for bots, and set when it is sent.
	Nonce        string `json:"nonce,omitempty"`
	EnforceNonce bool   `json:"enforce_nonce,omitempty"`
}

// embed is a card.
type embed struct {
	Title       string `json:"title,omitempty"`
	URL         string `json:"url,omitempty"`
	Description string `json:"description,omitempty"`
	Timestamp   string `json:"timestamp,omitempty"`
	Image       *image `json:"image,omitempty"`
}

type image struct {
	URL string `json:"url"`
}

// mentions says who may be notified: nobody, whatever the text has.
type mentions struct {
	Parse []string `json:"parse"`
}

func nobody() mentions { return mentions{Parse: []string{}} }

// Defaults implements [syndicate.Defaulter]. There are no hashtags on Discord.
func (t *target) Defaults() syndicate.Defaults {
	if t.cfg.Embed {
		return syndicate.Defaults{Template: "{{.Summary}}"}
	}
	return syndicate.Defaults{Template: "{{or .Title .Summary}}{{with .Link}}\n{{.}}{{end}}"}
}

// Compose implements [syndicate.Composer]. It asks nobody.
func (t *target) Compose(_ context.Context, m syndicate.Message) ([]byte, error) {
	out := message{Mentions: nobody(), Username: t.cfg.Username, AvatarURL: t.cfg.AvatarURL}
	var err error
	if t.cfg.Embed && len(m.Link) <= maxAddress {
		err = out.setEmbed(m)
	} else {
		out.Content, err = content(m.Text, m.Link, syndicate.PlainLine(m.ContentWarning), maxContent)
	}
	if err == nil && out.Content == "" && len(out.Embeds) == 0 {
		err = errors.New("there is nothing to say: neither text nor link")
	}
	if err != nil {
		return nil, &syndicate.Error{Err: fmt.Errorf("discord: %w", err), NotSent: true, Refused: true}
	}
	return json.Marshal(out)
}

// content returns a text, escaped and short enough, that is hidden behind a
// warning if there is one.
func content(text, link, warning string, most int) (string, error) {
	before, after := "", ""
	if warning != "" {
		short, err := fit(warning, "", most/2)
		if err != nil {
			return "", err
		}
		before, after = short+"\n|| ", " ||"
	}
	text, err := fit(strings.TrimSpace(text), link, most-syndicate.UTF16(before+after))
	if err != nil || text == "" {
		return "", err
	}
	return before + text + after, nil
}

// fit returns a text that is short enough once it is escaped.
func fit(text, link string, most int) (string, error) {
	escape := func(s string) string {
		if link == "" {
			return syndicate.EscapeMarkdown(s)
		}
		return syndicate.EscapeMarkdown(s, link)
	}
	text, err := syndicate.Fit(text, link, syndicate.Limit{Max: most, Count: func(s string) int { return syndicate.UTF16(escape(s)) }})
	return strings.TrimSpace(escape(text)), err
}

// setEmbed makes the card. What the warning is about is not shown: neither text
// nor picture.
func (m *message) setEmbed(from syndicate.Message) error {
	e := embed{URL: from.Link}
	warning := syndicate.PlainLine(from.ContentWarning)
	var err error
	if e.Title, err = fit(syndicate.PlainLine(from.Post.Title), "", maxTitle); err != nil {
		return err
	}
	if e.Description, err = content(from.Text, "", warning, maxDescription); err != nil {
		return err
	}
	if e.Title == "" && e.Description == "" {
		// A card needs a text, if only that of its link.
		e.Title = syndicate.EscapeMarkdown(syndicate.ShortLink(from.Link, maxTitle/2))
	}
	if address := from.Post.Image.URL; warning == "" && len(address) <= maxAddress && checkAddress("", address) == nil && address != "" {
		e.Image = &image{URL: address}
	}
	if !from.Post.Published.IsZero() {
		e.Timestamp = from.Post.Published.UTC().Format(time.RFC3339)
	}
	if e.Title == "" && e.Description == "" {
		return nil
	}
	m.Embeds = []embed{e}
	return nil
}

func decode(a syndicate.Attempt) (message, error) {
	var m message
	if err := json.Unmarshal(a.Body, &m); err != nil || m.Content == "" && len(m.Embeds) == 0 {
		return m, &syndicate.Error{Err: fmt.Errorf("discord: the body of the announcement was not made by this package: %v", err), NotSent: true, Refused: true}
	}
	m.Mentions = nobody()
	return m, nil
}
