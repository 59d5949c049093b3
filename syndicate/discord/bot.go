// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discord

import (
	"context"
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
	"xeiaso.net/site/syndicate/internal/lookback"
	"xeiaso.net/site/syndicate/internal/settle"
)

// bot announces in a channel that it can read.
type bot struct {
	target
	clock settle.Clock
	id    string // of its user, once it is known; guarded by target.mu
}

var (
	_ syndicate.Composer   = (*bot)(nil)
	_ syndicate.Reconciler = (*bot)(nil)
	_ syndicate.Editor     = (*bot)(nil)
	_ syndicate.Deleter    = (*bot)(nil)
	_ syndicate.Recoverer  = (*bot)(nil)
	_ syndicate.Defaulter  = (*bot)(nil)
)

const (
	// pageSize is how many messages are asked for at once: Discord gives no more.
	pageSize = 100
	// maxPages bounds how far Reconcile looks back, and maxRecoverPages how far
	// Recover does.
	maxPages, maxRecoverPages = 50, 100
	// nonceLength is how long a nonce may be.
	nonceLength = 25
	// plainMessage is the type of messages that are no answers, nor to commands.
	plainMessage = 0
)

// nonce is what Discord knows the announcement by, for some minutes.
func nonce(a syndicate.Attempt) string { return a.Key[:min(len(a.Key), nonceLength)] }

// Send implements [syndicate.Target].
func (b *bot) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	m, err := decode(a)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	if _, err := b.self(ctx); err != nil {
		return syndicate.Receipt{}, err
	}
	m.Nonce = nonce(a)
	m.EnforceNonce = m.Nonce != ""
	made, err := b.post(ctx, m)
	if err != nil {
		if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.NotSent {
			b.clock.Ended(a.Key)
		}
		return syndicate.Receipt{}, err
	}
	b.clock.Forget(a.Key)
	return b.receipt(made), nil
}

// self returns the id of the bot's user, when it is sure that the channel can be
// looked at: otherwise nobody could find out what became of a lost answer.
func (b *bot) self(ctx context.Context) (string, error) {
	if err := b.ready(ctx); err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.id != "" {
		return b.id, nil
	}
	var own struct{ ID string }
	if _, err := b.do(ctx, request{name: "ask who we are", method: http.MethodGet, path: "/users/@me"}, &own); err != nil {
		return "", call.NotSent(err)
	}
	if own.ID == "" {
		return "", call.NotSent(missing("ask who we are"))
	}
	if _, err := b.do(ctx, request{name: "list messages", method: http.MethodGet, path: b.messages("") + "?limit=1"}, nil); err != nil {
		return "", call.NotSent(err)
	}
	b.id = own.ID
	return b.id, nil
}

// Reconcile implements [syndicate.Reconciler]. It looks at the messages of the
// channel back to when the announcement was planned.
func (b *bot) Reconcile(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	m, err := decode(a)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	// Before the look, not after it: what comes while we look may be missed.
	rest := b.clock.Rest(a.Key, a.Last, b.cfg.Settle)
	found, err := b.find(ctx, a, m)
	if err != nil && (rest == 0 || !errors.Is(err, errEmpty)) {
		return syndicate.Receipt{}, err
	}
	if found != nil {
		b.clock.Forget(a.Key)
		return b.receipt(*found), nil
	}
	if rest > 0 {
		return syndicate.Receipt{}, &syndicate.Error{
			Err: errors.New("discord: the message is not there, but Discord may still be at it"), RetryAfter: rest,
		}
	}
	b.clock.Forget(a.Key)
	return syndicate.Receipt{}, syndicate.ErrAbsent
}

// errEmpty is why nobody can tell: Discord answers in the same way to a bot that
// may not read.
var errEmpty = errors.New("discord: list messages: the channel looks empty; if it is not, give the bot the permission Read Message History, and otherwise send the announcement again")

// find returns the message that announces what the attempt is about, or nil. One
// with the very text is preferred to one that has the link.
func (b *bot) find(ctx context.Context, a syndicate.Attempt, m message) (*shownMessage, error) {
	since := lookback.Since(a)
	var same, about *shownMessage
	seen := 0
	complete, err := b.walk(ctx, maxPages, func(s shownMessage, own bool, ahead time.Duration) bool {
		seen++
		switch {
		case s.made().Before(since.Add(ahead)):
			return false
		case !own:
		case s.is(m) || string(s.Nonce) == strconv.Quote(nonce(a)):
			same = &s
		case s.isAbout(a.IsAbout):
			about = &s
		}
		return true
	})
	switch {
	case err != nil:
		return nil, err
	case same != nil:
		return same, nil
	case about != nil:
		return about, nil
	case seen == 0:
		return nil, &syndicate.Error{Err: errEmpty, Refused: true}
	case !complete:
		return nil, errors.New("discord: list messages: there are too many since to find out")
	}
	return nil, nil
}

// walk shows the messages of the channel, from the newest on, until it is told
// that this is enough, or that was all. The last argument is by how much
// Discord's clock is ahead of ours. It returns false if there are more pages than
// it may look at.
func (b *bot) walk(ctx context.Context, pages int, show func(m shownMessage, own bool, ahead time.Duration) bool) (complete bool, err error) {
	self, err := b.self(ctx)
	if err != nil {
		return false, err
	}
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for range pages {
		var raw []json.RawMessage
		resp, err := b.do(ctx, request{name: "list messages", method: http.MethodGet, path: b.messages("") + "?" + query.Encode()}, &raw)
		if err != nil {
			return false, err
		}
		ahead := lookback.ClockAhead(resp.Header)
		last, more := "", true
		for _, item := range raw {
			var m shownMessage
			if json.Unmarshal(item, &m) != nil || !isSnowflake(m.ID) {
				return false, errors.New("discord: list messages: the answer has something that is no message")
			}
			last = m.ID
			more = show(m, m.Author.ID == self && m.Type == plainMessage, ahead) && more
		}
		switch {
		case !more || last == "":
			return true, nil
		case last == query.Get("before"):
			return false, nil // the same again
		}
		query.Set("before", last)
	}
	return false, nil
}

// epoch is when Discord's ids begin, in milliseconds since 1970.
const epoch = 1420070400000

// made is when the message was made, which its id says.
func (m shownMessage) made() time.Time {
	id, err := strconv.ParseInt(m.ID, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(id>>22 + epoch)
}

// is reports whether this is what became of a message.
func (m shownMessage) is(sent message) bool {
	if m.Content != sent.Content {
		return false
	}
	if len(sent.Embeds) == 0 {
		return true
	}
	for _, e := range m.Embeds {
		if e.URL == sent.Embeds[0].URL && e.Title == sent.Embeds[0].Title && e.Description == sent.Embeds[0].Description {
			return true
		}
	}
	return false
}

// isAbout reports whether one of the message's links is what is looked for.
func (m shownMessage) isAbout(wanted func(link string) bool) bool {
	for _, e := range m.Embeds {
		if wanted(e.URL) {
			return true
		}
	}
	for word := range strings.FieldsSeq(m.Content) {
		i := strings.Index(word, "http")
		if i >= 0 && (wanted(word[i:]) || wanted(strings.TrimRight(word[i:], ">|)*_.,;:!?"))) {
			return true
		}
	}
	return false
}

// Recover implements [syndicate.Recoverer]. It finds posts by their links, and
// takes the oldest message of each. It looks at the channel's newest 10,000.
func (b *bot) Recover(ctx context.Context, posts []syndicate.Post) (map[string]syndicate.Receipt, error) {
	found := map[string]syndicate.Receipt{}
	since := lookback.FirstPublished(posts)
	complete, err := b.walk(ctx, maxRecoverPages, func(m shownMessage, own bool, _ time.Duration) bool {
		for _, p := range posts {
			if own && m.isAbout(p.IsAbout) {
				found[p.ID] = b.receipt(m)
			}
		}
		return !m.made().Before(since)
	})
	if err == nil && !complete {
		err = fmt.Errorf("discord: list messages: there are more than %d, the older ones were not looked at", pageSize*maxRecoverPages)
	}
	return found, err
}
