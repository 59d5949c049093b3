// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discord

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
)

// target is what a webhook and a bot have in common. Secrets are in functions,
// since package fmt shows what is in fields, even of a Secret.
type target struct {
	cfg           Config
	where         func() string // the path of the webhook or channel
	authorization func() string
	secrets       func() []string

	mu    sync.Mutex // guards guild
	guild string     // once it is known
}

// messages is where messages are made, and with an id the message.
func (t *target) messages(id string) string {
	if t.isBot() || id != "" {
		return t.where() + "/messages" + strings.TrimSuffix("/"+url.PathEscape(id), "/")
	}
	return t.where()
}

func (t *target) isBot() bool { return t.cfg.Channel != "" }

// shownMessage is a message in an answer.
type shownMessage struct {
	ID      string
	Type    int
	Channel string `json:"channel_id"`
	Author  struct{ ID string }
	Content string
	Nonce   json.RawMessage
	Embeds  []struct{ URL, Title, Description string }
}

// receipt returns how the message is known.
func (t *target) receipt(m shownMessage) syndicate.Receipt {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := syndicate.Receipt{ID: m.ID}
	if t.guild != "" && isSnowflake(m.ID) && isSnowflake(m.Channel) {
		r.URL = "https://discord.com/channels/" + t.guild + "/" + m.Channel + "/" + m.ID
	}
	return r
}

// ready finds out the guild, and that the webhook or the channel is there.
func (t *target) ready(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.guild != "" {
		return nil
	}
	var place struct {
		ID    string
		Guild string `json:"guild_id"`
	}
	_, err := t.do(ctx, request{name: "look at " + t.kind(), method: http.MethodGet, path: t.where()}, &place)
	if err != nil {
		return call.NotSent(err)
	}
	if isSnowflake(place.Guild) {
		t.guild = place.Guild
	}
	return nil
}

func (t *target) kind() string {
	if t.isBot() {
		return "channel"
	}
	return "webhook"
}

// post sends a message, and returns it as Discord shows it.
func (t *target) post(ctx context.Context, m message) (shownMessage, error) {
	const name = "create message"
	r := request{name: name, method: http.MethodPost, path: t.messages(""), body: m}
	if !t.isBot() {
		r.path += "?wait=true" // without it, Discord would not say whether it kept the message
	}
	var made shownMessage
	_, err := t.do(ctx, r, &made)
	if err == nil && !isSnowflake(made.ID) {
		err = missing(name)
	}
	return made, err
}

func missing(name string) error { return fmt.Errorf("discord: %s: the answer has no id", name) }

// Edit implements [syndicate.Editor].
func (t *target) Edit(ctx context.Context, a syndicate.Attempt, r syndicate.Receipt) (syndicate.Receipt, error) {
	m, err := decode(a)
	if err != nil {
		return r, err
	}
	if err := known(r); err != nil {
		return r, err
	}
	const name = "edit message"
	change := map[string]any{"content": m.Content, "allowed_mentions": m.Mentions}
	if len(m.Embeds) > 0 {
		change["embeds"] = m.Embeds
	}
	var made shownMessage
	if _, err := t.do(ctx, request{name: name, method: http.MethodPatch, path: t.messages(r.ID), body: change}, &made); err != nil {
		return r, err
	}
	if !isSnowflake(made.ID) {
		return r, missing(name)
	}
	after := t.receipt(made)
	after.URL = cmp.Or(after.URL, r.URL)
	return after, nil
}

// known refuses a receipt without the id of a message. At the address that it
// would make is the webhook itself, which must be neither edited nor deleted.
func known(r syndicate.Receipt) error {
	if isSnowflake(r.ID) {
		return nil
	}
	return &syndicate.Error{Err: fmt.Errorf("discord: %q at %q is not known as a message", r.ID, r.URL), NotSent: true, Refused: true}
}

// Delete implements [syndicate.Deleter].
func (t *target) Delete(ctx context.Context, r syndicate.Receipt) error {
	if err := known(r); err != nil {
		return err
	}
	resp, err := t.do(ctx, request{name: "delete message", method: http.MethodDelete, path: t.messages(r.ID)}, nil)
	if resp != nil && code(resp.Body) == unknownMessage {
		return nil
	}
	return err
}

// request is one to the API.
type request struct {
	name         string // what errors call it
	method, path string
	body         any // is sent as JSON, if not nil
}

// do makes a request. Its answer goes into the value, if that is not nil.
func (t *target) do(ctx context.Context, r request, answer any) (*call.Response, error) {
	name := "discord: " + r.name
	c := call.Request{Method: r.method, URL: t.cfg.API + r.path, Header: http.Header{}, Name: name}
	if a := t.authorization(); a != "" {
		c.Header.Set("Authorization", a)
	}
	if r.body != nil {
		content, err := json.Marshal(r.body)
		if err != nil {
			return nil, &syndicate.Error{Err: fmt.Errorf("%s: %w", name, err), NotSent: true, Refused: true}
		}
		c.Body = content
		c.Header.Set("Content-Type", "application/json")
	}
	resp, err := call.Do(ctx, t.cfg.Client, c)
	if err != nil {
		return nil, err
	}
	if err := resp.Check(name, t.detail); err != nil {
		return resp, explain(resp, err)
	}
	if answer != nil {
		if err := json.Unmarshal(resp.Body, answer); err != nil {
			return resp, fmt.Errorf("%s: the answer is not JSON as it should be: %w", name, err)
		}
	}
	return resp, nil
}

// What errors mean, of the codes in Discord's documentation.
const (
	unknownChannel      = 10003
	unknownMessage      = 10008
	unknownWebhook      = 10015
	missingAccess       = 50001
	missingPermissions  = 50013
	invalidWebhookToken = 50027
)

// code returns the number by which Discord knows the error of an answer.
func code(body []byte) int {
	var fields struct{ Code int }
	if json.Unmarshal(body, &fields) != nil {
		return 0
	}
	return fields.Code
}

// explain adds to an error what it means for the target, and what to do about
// it.
func explain(resp *call.Response, err error) error {
	e, ok := errors.AsType[*syndicate.Error](err)
	if !ok {
		return err
	}
	remedy := ""
	switch code(resp.Body) {
	case unknownWebhook, invalidWebhookToken:
		remedy = "the webhook was deleted: make a new one in the channel's settings, under Integrations"
	case unknownChannel:
		remedy = "there is no such channel"
	case missingAccess, missingPermissions:
		remedy = "give the bot the permissions View Channel, Send Messages, Read Message History and, for cards, Embed Links"
	default:
		if resp.Status == http.StatusUnauthorized {
			remedy = "make a new token at https://discord.com/developers"
		}
	}
	if remedy != "" && e.NotSent {
		e.Refused, e.Everything = true, true
		e.Err = fmt.Errorf("%w; %s", e.Err, remedy)
	}
	if resp.Status == http.StatusTooManyRequests {
		e.RetryAfter = max(e.RetryAfter, retryAfter(resp.Body))
	}
	return err
}

// retryAfter reads the time in the body of an answer, which is more exact than
// that in the header.
func retryAfter(body []byte) time.Duration {
	var fields struct {
		Seconds float64 `json:"retry_after"`
	}
	if json.Unmarshal(body, &fields) != nil || !(fields.Seconds > 0) {
		return 0
	}
	return time.Duration(min(fields.Seconds, 24*60*60) * float64(time.Second))
}

// detail is the function of that name, without secrets: what is between us and
// Discord may repeat the address or the header of the request.
func (t *target) detail(body []byte) string {
	said := detail(body)
	for _, secret := range t.secrets() {
		said = strings.ReplaceAll(said, secret, "[redacted]")
	}
	return said
}

// detail finds what Discord says about an error: a message, and for forms what
// is wrong with which field.
func detail(body []byte) string {
	var fields struct {
		Message string
		Errors  json.RawMessage
	}
	if json.Unmarshal(body, &fields) != nil {
		return call.Detail(body)
	}
	return strings.Join(append([]string{fields.Message}, within("", fields.Errors, 0)...), "; ")
}

// maxDepth is how deep errors are looked at: a field of an item of a list of an
// item of a list is deeper than any that this package sends.
const maxDepth = 8

// within lists the errors of a form, each with the path of its field.
func within(path string, raw json.RawMessage, depth int) []string {
	var fields map[string]json.RawMessage
	if depth > maxDepth || json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	var all []string
	for _, name := range sorted(fields) {
		if name != "_errors" {
			all = append(all, within(strings.TrimPrefix(path+"."+name, "."), fields[name], depth+1)...)
			continue
		}
		var errs []struct{ Message string }
		if json.Unmarshal(fields[name], &errs) == nil {
			for _, e := range errs {
				all = append(all, path+": "+e.Message)
			}
		}
	}
	return all
}

func sorted(fields map[string]json.RawMessage) []string {
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
