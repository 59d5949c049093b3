// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package webhook announces posts to a program of one's own: it posts JSON.
//
// # Overview
//
//	target, err := webhook.New(webhook.Config{URL: "https://bot.example/new-post", Key: key})
//
// The request has the form of Standard Webhooks, https://www.standardwebhooks.com:
//
//	POST /new-post
//	Content-Type: application/json
//	webhook-id: 32 hexadecimal digits, the same for every attempt
//	webhook-timestamp: Unix time of the attempt
//	webhook-signature: v1,<base64 of the HMAC-SHA256 of "id.timestamp.body">
//
//	{
//	  "type": "post.announced",
//	  "timestamp": "2026-01-02T15:04:05.678Z",
//	  "data": {"id": …, "url": …, "link": …, "title": …, "text": …, …}
//	}
//
// The types are post.announced, post.edited and post.removed; the last has only
// the id that the receiver answered with. An answer with a status of 2xx says
// that it was taken. If it is a JSON object its "id" and "url" become the
// receipt, so that pages can link to what the receiver made of the post.
//
// # Delivery
//
// If nobody knows whether a request arrived the post is parked, unless
// [Config.Repeat] says that the receiver knows repetitions by their webhook-id.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
)

// Config says where to post.
type Config struct {
	// URL is the address, which may have a secret in it. Required.
	URL syndicate.Secret
	// Key signs requests: "whsec_" and base64, as Standard Webhooks has it, or
	// any other string as it is. If empty, requests are not signed.
	Key syndicate.Secret
	// Repeat sends again what may or may not have arrived.
	Repeat bool
	// Client makes the requests. If nil, it is one without settings.
	Client *http.Client
}

// New returns a target. It makes no network call.
func New(cfg Config) (syndicate.Target, error) {
	u, err := url.Parse(cfg.URL.Reveal())
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, errors.New("webhook: Config: URL is no address like https://example.com/hook")
	}
	t := &target{client: cfg.Client, url: cfg.URL, name: "webhook at " + u.Host, key: []byte(cfg.Key.Reveal())}
	if encoded, ok := strings.CutPrefix(cfg.Key.Reveal(), "whsec_"); ok {
		if t.key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, errors.New("webhook: Config: Key begins with whsec_, and what follows is not base64")
		}
	}
	if cfg.Repeat {
		return repeater{t}, nil
	}
	return t, nil
}

type target struct {
	client *http.Client
	url    syndicate.Secret
	name   string // for errors
	key    []byte
}

// Format writes where it is, whatever the verb: %+v would show the key.
func (t *target) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "webhook.target(%s)", t.name) }

// repeater is a target whose receiver knows repetitions.
type repeater struct{ *target }

// Reconcile implements [syndicate.Reconciler].
func (repeater) Reconcile(context.Context, syndicate.Attempt) (syndicate.Receipt, error) {
	return syndicate.Receipt{}, syndicate.ErrAbsent
}

// post is the data of a request.
type post struct {
	ID             string    `json:"id"`
	URL            string    `json:"url,omitempty"`
	Link           string    `json:"link,omitempty"`
	Title          string    `json:"title,omitempty"`
	Summary        string    `json:"summary,omitempty"`
	Text           string    `json:"text,omitempty"`
	Image          string    `json:"image,omitempty"`
	Tags           []string  `json:"tags,omitempty"`
	Language       string    `json:"language,omitempty"`
	ContentWarning string    `json:"content_warning,omitempty"`
	Visibility     string    `json:"visibility,omitempty"`
	Published      time.Time `json:"published,omitzero"`
}

// Compose implements [syndicate.Composer].
func (t *target) Compose(_ context.Context, m syndicate.Message) ([]byte, error) {
	return json.Marshal(post{
		ID: m.Post.ID, URL: m.Post.URL, Link: m.Link, Title: m.Post.Title, Summary: m.Post.Summary, Text: m.Text,
		Image: m.Post.Image.URL, Tags: m.Post.Tags, Language: m.Language, ContentWarning: m.ContentWarning,
		Visibility: m.Visibility, Published: m.Post.Published,
	})
}

// Send implements [syndicate.Target].
func (t *target) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	return t.post(ctx, "post.announced", a.Key, a.Created, a.Body)
}

// Edit implements [syndicate.Editor].
func (t *target) Edit(ctx context.Context, a syndicate.Attempt, r syndicate.Receipt) (syndicate.Receipt, error) {
	after, err := t.post(ctx, "post.edited", a.Key, a.Created, a.Body)
	if err != nil {
		return r, err
	}
	return after, nil
}

// Delete implements [syndicate.Deleter].
func (t *target) Delete(ctx context.Context, r syndicate.Receipt) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	_, err = t.post(ctx, "post.removed", fmt.Sprintf("%x", sum[:16]), time.Now().UTC().Truncate(time.Millisecond), data)
	return err
}

func (t *target) post(ctx context.Context, kind, id string, at time.Time, data []byte) (syndicate.Receipt, error) {
	body, err := json.Marshal(struct {
		Type      string          `json:"type"`
		Timestamp time.Time       `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}{kind, at, data})
	if err != nil {
		return syndicate.Receipt{}, err
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	header := http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {id}, "Webhook-Timestamp": {stamp}}
	if len(t.key) > 0 {
		mac := hmac.New(sha256.New, t.key)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	resp, err := call.Do(ctx, t.client, call.Request{Method: http.MethodPost, URL: t.url.Reveal(), Header: header, Body: body, Name: t.name})
	if err != nil {
		return syndicate.Receipt{}, err
	}
	if err := resp.Check(t.name, nil); err != nil {
		return syndicate.Receipt{}, err
	}
	return receipt(resp.Body, id), nil
}

// receipt is what the receiver calls the post, or else what we call it.
func receipt(body []byte, id string) syndicate.Receipt {
	var r syndicate.Receipt
	const most = 2048
	if json.Unmarshal(body, &r) != nil || len(r.ID) > most || len(r.URL) > most {
		r = syndicate.Receipt{}
	}
	if u, err := url.Parse(r.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" {
		r.URL = ""
	}
	if r.ID == "" {
		r.ID = id
	}
	return r
}
