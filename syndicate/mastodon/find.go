// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/lookback"
)

const (
	// pageSize is how many statuses are asked for at once: no server gives more.
	pageSize = 40
	// maxPages bounds how far Reconcile looks back.
	maxPages = 25
	// maxRecoverPages bounds how far Recover looks back. A server allows 300
	// requests in five minutes.
	maxRecoverPages = 200
)

// Reconcile implements [syndicate.Reconciler]. It looks at the account's own
// statuses back to when the announcement was planned.
func (t *Target) Reconcile(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	b, err := decode(a)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	// Before the look, not after it: what comes while we look may be missed.
	rest := t.clock.Rest(a.Key, a.Last, t.cfg.Settle)
	found, err := t.find(ctx, a, b.Text)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	if found != nil {
		t.clock.Forget(a.Key)
		return found.receipt(), nil
	}
	if rest > 0 {
		return syndicate.Receipt{}, &syndicate.Error{
			Err: errors.New("mastodon: the status is not there, but the server may still be at it"), RetryAfter: rest,
		}
	}
	t.clock.Forget(a.Key)
	return syndicate.Receipt{}, syndicate.ErrAbsent
}

// find returns the status that announces what the attempt is about, or nil. One
// with the very text is preferred to one that has the link.
func (t *Target) find(ctx context.Context, a syndicate.Attempt, text string) (*status, error) {
	account, err := t.ready(ctx)
	if err != nil {
		return nil, err
	}
	since := lookback.Since(a)
	var same, about *status
	complete, err := t.walk(ctx, account, maxPages, func(s status, ahead time.Duration) bool {
		switch {
		case s.CreatedAt.Before(since.Add(ahead)):
			return false
		case s.isReply(): // announcements are none
		case sameText(s.Content, text):
			same = &s
		case s.isAbout(a.IsAbout):
			about = &s
		}
		return true
	})
	switch {
	case same != nil:
		return same, nil
	case err != nil:
		return nil, err
	case about != nil:
		return about, nil
	case !complete:
		return nil, errors.New("mastodon: list own statuses: the server does not show all since then, so nobody can tell")
	}
	return nil, nil
}

func (s status) isReply() bool { return !isNull(s.ReplyTo) }

// isAbout reports whether one of the status's links is what is looked for.
func (s status) isAbout(wanted func(link string) bool) bool {
	if slices.ContainsFunc(links(s.Content), wanted) {
		return true
	}
	return s.Card != nil && wanted(s.Card.URL)
}

// walk shows the account's own statuses, from the newest on, until it is told
// that this is enough, or that was all. The second argument is by how much the
// server's clock is ahead of ours. It returns false if there are more pages than
// it may look at, or than the server shows. What is no status is passed over, and
// makes an error in the end.
func (t *Target) walk(ctx context.Context, account string, pages int, show func(s status, ahead time.Duration) bool) (complete bool, err error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}, "exclude_reblogs": {"true"}}
	var odd error
	for range pages {
		var raw []json.RawMessage
		resp, err := t.do(ctx, request{
			name: "list own statuses", method: http.MethodGet, path: statusesOf(account), query: query, header: http.Header{"Cache-Control": {"no-cache"}},
		}, &raw)
		if err != nil {
			return false, err
		}
		last, more := "", true
		ahead := lookback.ClockAhead(resp.Header)
		for _, item := range raw {
			var s status
			if json.Unmarshal(item, &s) != nil || s.ID == "" || s.CreatedAt.IsZero() {
				odd = errors.New("mastodon: list own statuses: the answer has something that is no status")
				continue
			}
			last = s.ID
			if isNull(s.Reblog) && !show(s, ahead) {
				more = false
			}
		}
		switch {
		case !more || last == "":
			return true, odd
		case last == query.Get("max_id"):
			// The same again. Some servers show the last one once more.
			return len(raw) == 1, odd
		}
		query.Set("max_id", last)
	}
	return false, odd
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func statusesOf(account string) string {
	return "/api/v1/accounts/" + url.PathEscape(account) + "/statuses"
}

// Recover implements [syndicate.Recoverer]. It finds posts by their links, and
// takes the oldest status of each that is no answer. It looks at the account's newest 8,000.
func (t *Target) Recover(ctx context.Context, posts []syndicate.Post) (map[string]syndicate.Receipt, error) {
	found := map[string]syndicate.Receipt{}
	account, err := t.ready(ctx)
	if err != nil {
		return found, err
	}
	since := lookback.FirstPublished(posts)
	complete, err := t.walk(ctx, account, maxRecoverPages, func(s status, ahead time.Duration) bool {
		for _, p := range posts {
			if !s.isReply() && s.isAbout(p.IsAbout) {
				found[p.ID] = s.receipt()
			}
		}
		return !s.CreatedAt.Before(since)
	})
	if err == nil && !complete {
		err = fmt.Errorf("mastodon: list own statuses: there are more than %d, the older ones were not looked at", pageSize*maxRecoverPages)
	}
	return found, err
}
