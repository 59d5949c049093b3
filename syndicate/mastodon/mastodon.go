// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
	"xeiaso.net/site/syndicate/internal/settle"
)

// Config says which account announces, and how.
type Config struct {
	// Server is the address of the account's server, such as
	// "https://mastodon.social", or its name alone. With http it has to be this
	// machine. Required.
	Server string

	// Token is the account's access token, with the scopes read:accounts,
	// read:statuses, write:statuses and, for pictures, write:media. Required.
	Token syndicate.Secret

	// Visibility is that of posts which do not say: one of
	// [syndicate.Visibilities]. If empty, it is what the account's preferences
	// say.
	Visibility string

	// Pictures attaches the picture of a post. Then Mastodon shows no card of the
	// link, which mostly has the same picture.
	Pictures bool

	// Settle is the longest time that the server may go on with a request whose
	// answer was lost, and that a new status may take to be listed. It is waited
	// before something is sent again. If zero, it is five minutes.
	Settle time.Duration

	// Client makes the requests to the server. If nil, it is one without
	// settings. Its timeout, if any, should be longer than the server takes for a
	// status: about 30 seconds.
	Client *http.Client

	// PictureClient fetches the pictures of posts. If nil, it is one that goes to
	// public addresses only, since a feed may name any.
	PictureClient *http.Client
}

// Target announces posts on a server that has Mastodon's API. Make it with
// [New]. It is a [syndicate.Target] with all that is optional but a loop and
// habits of its own.
type Target struct {
	cfg    Config
	server string        // without a slash at the end
	token  func() string // package fmt shows what is in fields, even of a Secret, but not in functions
	clock  settle.Clock

	mu      sync.Mutex // guards everything below
	limits  limits
	asked   time.Time // when limits were asked for
	account string    // id of the token's account, once it is known to be able to do all that is needed
}

var (
	_ syndicate.Composer   = (*Target)(nil)
	_ syndicate.Reconciler = (*Target)(nil)
	_ syndicate.Editor     = (*Target)(nil)
	_ syndicate.Deleter    = (*Target)(nil)
	_ syndicate.Recoverer  = (*Target)(nil)
)

// New returns a target. It does not connect to the server.
func New(c Config) (*Target, error) {
	server, err := checkServer(c.Server)
	errs := []error{err}
	if c.Token == "" {
		errs = append(errs, errors.New("no Token: make one in the account's preferences, under Development"))
	} else if strings.ContainsFunc(c.Token.Reveal(), func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		errs = append(errs, errors.New("the Token has blanks or other characters that no token has"))
	}
	if c.Visibility != "" && !slices.Contains(syndicate.Visibilities(), c.Visibility) {
		errs = append(errs, fmt.Errorf("the Visibility is %q, want one of %q", c.Visibility, syndicate.Visibilities()))
	}
	if c.Settle < 0 {
		errs = append(errs, fmt.Errorf("the Settle is %s, and must not be negative", c.Settle))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("mastodon: %w", err)
	}
	if c.Settle == 0 {
		c.Settle = 5 * time.Minute
	}
	token := c.Token.Reveal
	c.Token = ""
	return &Target{cfg: c, server: server, token: token}, nil
}

// checkServer returns the address of a server. A token must not travel in the
// open, so with http only this machine will do.
func checkServer(server string) (string, error) {
	if server == "" {
		return "", errors.New("no Server")
	}
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	u, err := url.Parse(server)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("the Server is no address: want something like https://mastodon.social")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", fmt.Errorf("the Server has more than a scheme and a host: want https://%s", u.Host)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", fmt.Errorf("the Server is %q, where everybody could read the Token: use https", server)
	}
	return u.Scheme + "://" + u.Host, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// request is one to the server's API.
type request struct {
	name         string // what errors call it
	method, path string
	query        url.Values
	body         any // is sent as JSON, if not nil
	header       http.Header
	content      []byte // is sent as it is, if body is nil
}

// do makes a request. Its answer goes into the value, if that is not nil.
func (t *Target) do(ctx context.Context, r request, answer any) (*call.Response, error) {
	name := "mastodon: " + r.name + " at " + t.server
	header := http.Header{"Authorization": {"Bearer " + t.token()}, "Accept": {"application/json"}}
	maps.Copy(header, r.header)
	content := r.content
	if r.body != nil {
		var err error
		if content, err = json.Marshal(r.body); err != nil {
			return nil, &syndicate.Error{Err: fmt.Errorf("%s: %w", name, err), NotSent: true, Refused: true}
		}
		header.Set("Content-Type", "application/json")
	}
	address := t.server + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	resp, err := call.Do(ctx, t.cfg.Client, call.Request{Method: r.method, URL: address, Header: header, Body: content, Name: name})
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

// detail is what the server says about an error, without the token: what is
// between us and the server may repeat the request.
func (t *Target) detail(body []byte) string {
	return strings.ReplaceAll(call.Detail(body), t.token(), "[redacted]")
}

// explain adds to an error what to do about it, and when.
func explain(resp *call.Response, err error) error {
	e, ok := errors.AsType[*syndicate.Error](err)
	switch {
	case !ok:
	case resp.Status == http.StatusUnauthorized || resp.Status == http.StatusForbidden:
		e.Err = fmt.Errorf("%w; the token may be wrong or lack a scope: make one in the account's preferences, under Development, with read:accounts, read:statuses, write:statuses and write:media", e.Err)
	case resp.Status == http.StatusTooManyRequests && e.RetryAfter == 0:
		e.RetryAfter = rateLimitReset(resp.Header, time.Now())
	}
	return err
}

// rateLimitReset returns how long it takes until requests are allowed again.
// Mastodon says so in a field of its own, as a date, and GoToSocial in seconds
// since 1970.
func rateLimitReset(h http.Header, now time.Time) time.Duration {
	v := h.Get("X-RateLimit-Reset")
	at, err := time.Parse(time.RFC3339, v)
	if seconds, wrong := strconv.ParseInt(v, 10, 64); wrong == nil {
		at, err = time.Unix(seconds, 0), nil
	}
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), time.Hour))
}
