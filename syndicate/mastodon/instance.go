// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
)

// limits are what a server allows.
type limits struct {
	characters, perLink, files int
	description                int
	imageBytes                 int64
	imageTypes                 []string
}

// instance is what the server says about itself.
type instance struct {
	Configuration struct {
		Statuses struct {
			MaxCharacters int `json:"max_characters"`
			PerURL        int `json:"characters_reserved_per_url"`
			MaxMedia      int `json:"max_media_attachments"`
		} `json:"statuses"`
		Media struct {
			DescriptionLimit int      `json:"description_limit"`
			ImageSizeLimit   int64    `json:"image_size_limit"`
			Types            []string `json:"supported_mime_types"`
		} `json:"media_attachments"`
	} `json:"configuration"`
	// MaxTootChars is what Pleroma and servers like it have in the first version.
	MaxTootChars int `json:"max_toot_chars"`
}

// fresh is for how long limits are good.
const fresh = time.Hour

// allowed returns what the server allows.
func (t *Target) allowed(ctx context.Context) (limits, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.asked.IsZero() && time.Since(t.asked) < fresh {
		return t.limits, nil
	}
	var i instance
	resp, err := t.do(ctx, request{name: "ask for limits", method: http.MethodGet, path: "/api/v2/instance"}, &i)
	if resp != nil && (resp.Status == http.StatusNotFound || resp.Status == http.StatusGone) {
		i = instance{}
		resp, err = t.do(ctx, request{name: "ask for limits", method: http.MethodGet, path: "/api/v1/instance"}, &i)
	}
	if resp != nil && resp.Status == http.StatusNotFound {
		i, err = instance{}, nil // one of the small servers, which says nothing about itself
	}
	if err != nil {
		return limits{}, call.NotSent(err)
	}
	t.limits, t.asked = i.limits(), time.Now()
	return t.limits, nil
}

// limits returns what the instance allows, and what Mastodon would where it says
// nothing that makes sense.
func (i instance) limits() limits {
	s, m := i.Configuration.Statuses, i.Configuration.Media
	first := func(values ...int) int {
		i := slices.IndexFunc(values, func(v int) bool { return v > 0 })
		return values[i]
	}
	l := limits{
		characters:  first(s.MaxCharacters, i.MaxTootChars, 500),
		perLink:     first(s.PerURL, 23),
		files:       first(s.MaxMedia, 4),
		description: first(m.DescriptionLimit, 1500),
		imageBytes:  min(m.ImageSizeLimit, maxPicture),
	}
	if l.imageBytes <= 0 {
		l.imageBytes = maxPicture
	}
	for _, kind := range []string{"image/png", "image/jpeg", "image/gif", "image/webp"} {
		if len(m.Types) == 0 || slices.Contains(m.Types, kind) {
			l.imageTypes = append(l.imageTypes, kind)
		}
	}
	return l
}

// maxPicture is how large a picture may be, in bytes: what Mastodon allows.
const maxPicture = 16 << 20

// errNoLookup says that a server has statuses, and no way to find them again. It
// is announced there all the same; if an answer is lost a person has to look.
var errNoLookup = errors.New("mastodon: the server does not show an account its own statuses")

// ready returns the id of the account, when it is sure that the token may also
// read: without that nobody could find out what became of a lost answer.
func (t *Target) ready(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.account != "" {
		return t.account, nil
	}
	var own struct{ ID string }
	resp, err := t.do(ctx, request{name: "ask who we are", method: http.MethodGet, path: "/api/v1/accounts/verify_credentials"}, &own)
	if resp != nil && resp.Status == http.StatusNotFound {
		return "", &syndicate.Error{Err: errNoLookup, NotSent: true, Refused: true}
	}
	if err != nil {
		return "", call.NotSent(err)
	}
	if own.ID == "" {
		return "", call.NotSent(missing("ask who we are"))
	}
	_, err = t.do(ctx, request{
		name: "list own statuses", method: http.MethodGet, path: statusesOf(own.ID), query: url.Values{"limit": {"1"}},
	}, nil)
	if err != nil {
		return "", call.NotSent(err)
	}
	t.account = own.ID
	return t.account, nil
}
