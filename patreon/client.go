// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ClientConfig is what a [Client] needs. Only Tokens is required.
type ClientConfig struct {
	// Tokens gives out the access tokens. If it is a [Reporter], it is told of
	// tokens that Patreon does not accept.
	Tokens TokenSource

	// HTTPClient makes the requests, without following redirects. If nil, it is one
	// with the timeouts and the proxy that are usual.
	HTTPClient *http.Client

	// BaseURL is where Patreon is. If empty, it is [DefaultURL].
	BaseURL string

	// UserAgent names the program: "name/version (+https://where.example)". Patreon
	// may drop requests that do not name one. If empty, it is [DefaultUserAgent].
	UserAgent string

	// MaxPages is the length of a listing at which something is thought to be
	// wrong, in pages. If 0, it is 1,000.
	MaxPages int

	// Timeout is how long one try of a request may take, to the end of the answer.
	// If 0, it is two minutes.
	Timeout time.Duration

	// Retries is how often a request that only reads is tried again after a status
	// of 429 or 5xx, or without an answer. If 0, it is 4; if negative, there are
	// none. Requests that change something are made once.
	Retries int

	// MinBackoff and MaxBackoff are the limits of the wait before a further try: a
	// random part of MinBackoff, then of twice that, and so on up to MaxBackoff. If
	// 0, they are a second and 30 seconds.
	MinBackoff, MaxBackoff time.Duration

	// MaxRetryAfter is the longest wait that Patreon may ask for; if it asks for
	// more, the call returns the error at once, as it does when the wait would be
	// longer than its context allows. If 0, it is two minutes.
	MaxRetryAfter time.Duration

	// Logger is told of requests that are tried again. If nil, nothing is logged.
	Logger *slog.Logger
}

// Client reads and changes what Patreon has. It is safe for concurrent use.
//
// Errors are an [*Error] where Patreon answered, and match the sentinels of this
// package with [errors.Is].
type Client struct {
	endpoint endpoint
	tokens   TokenSource
	log      *slog.Logger
	maxPages int
	retries  int
	timeout  time.Duration
	patience patience
}

// NewClient checks a configuration. It makes no request.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Tokens == nil {
		return nil, errors.New("patreon: ClientConfig.Tokens is missing; a StaticToken will do to begin with")
	}
	e, err := newEndpoint(cfg.HTTPClient, cfg.BaseURL, cfg.UserAgent)
	if err != nil {
		return nil, err
	}
	if cfg.MaxPages < 0 || min(cfg.Timeout, cfg.MinBackoff, cfg.MaxBackoff, cfg.MaxRetryAfter) < 0 {
		return nil, errors.New("patreon: MaxPages and the times of ClientConfig must not be negative")
	}
	c := &Client{
		endpoint: e,
		tokens:   cfg.Tokens,
		log:      cfg.Logger,
		maxPages: cmp.Or(cfg.MaxPages, 1000),
		retries:  max(0, cmp.Or(cfg.Retries, 4)),
		timeout:  cmp.Or(cfg.Timeout, 2*time.Minute),
		patience: patience{
			least:      cmp.Or(cfg.MinBackoff, time.Second),
			most:       cmp.Or(cfg.MaxBackoff, 30*time.Second),
			retryAfter: cmp.Or(cfg.MaxRetryAfter, 2*time.Minute),
		},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Format prints nothing of what is inside: fmt would find tokens in there.
func (c Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "patreon.Client(%s)", c.endpoint.base) }

// read makes a request that changes nothing, and tries again where that makes
// sense.
func (c *Client) read(ctx context.Context, path string, query url.Values) (request, *response, error) {
	r := request{method: http.MethodGet, path: path, query: query}
	for try := 0; ; try++ {
		r, resp, err := c.send(ctx, r)
		if err == nil || try >= c.retries || !passing(ctx, err) {
			return r, resp, err
		}
		if err := c.wait(ctx, r, try, err); err != nil {
			return r, nil, err
		}
	}
}

// send makes a request with a token. Of a token that Patreon does not accept it
// tells the source, and if that has another one now, it tries once more. That is
// right also for requests that change something: one with status 401 was not
// acted upon.
func (c *Client) send(ctx context.Context, r request) (request, *response, error) {
	token, err := c.token(ctx, r)
	if err != nil {
		return r, nil, err
	}
	signed := r.sign(token)
	resp, err := c.once(ctx, signed)
	if resp == nil || resp.status != http.StatusUnauthorized {
		return signed, resp, err
	}
	again, ok := c.another(ctx, r, token)
	if !ok {
		return signed, resp, err
	}
	signed = r.sign(again)
	resp, err = c.once(ctx, signed)
	return signed, resp, err
}

// once makes a request and gives it its time.
func (c *Client) once(ctx context.Context, r request) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.endpoint.do(ctx, r)
}

func (c *Client) token(ctx context.Context, r request) (Token, error) {
	token, err := c.tokens.Token(ctx)
	if err == nil && token.Access == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return Token{}, &tokenError{request: r.name(), err: err}
	}
	return token, nil
}

// tokenError is that of a token source.
type tokenError struct {
	request string
	err     error
}

func (t *tokenError) Error() string {
	return fmt.Sprintf("patreon: %s: access token: %s", t.request, strings.TrimPrefix(t.err.Error(), "patreon: "))
}

func (t *tokenError) Unwrap() error { return t.err }

// another returns a token in place of one that Patreon does not accept, if there
// is one.
func (c *Client) another(ctx context.Context, r request, refused Token) (Token, bool) {
	reporter, ok := c.tokens.(Reporter)
	if !ok {
		return Token{}, false
	}
	if err := reporter.ReportUnauthorized(ctx, refused); err != nil {
		// The caller gets Patreon's error, of which this is no part. There may be
		// another token all the same.
		c.log.WarnContext(ctx, "patreon: access token refused, and the report of it failed", "request", r.name(), "err", err)
	}
	token, err := c.token(ctx, r)
	if err != nil || token.Access == refused.Access {
		return Token{}, false
	}
	c.log.InfoContext(ctx, "patreon: access token refused, and there is another one", "request", r.name(), "generation", token.Generation)
	return token, true
}

// sign returns the request with a token in it.
func (r request) sign(token Token) request {
	header := http.Header{}
	if r.header != nil {
		header = r.header.Clone()
	}
	header.Set("Authorization", "Bearer "+token.Access.Reveal())
	r.header = header
	r.secrets = append([]string{token.Access.Reveal()}, r.secrets...)
	return r
}

// malformed is the error of an answer with a good status that is not what the
// API promises.
func malformed(r request, resp *response, problem error) error {
	// A document has names and addresses of people in it, so its beginning is not
	// quoted any further than it is the same for all.
	begins := resp.body[:min(len(resp.body), 80)]
	if i := skipBlank(begins, 0); i < len(begins) && (begins[i] == '{' || begins[i] == '[') {
		begins = begins[:min(len(begins), i+16)]
	}
	return &malformedError{
		text: fmt.Sprintf("patreon: %s: the answer cannot be understood: %s; it is %d bytes of %q that begin with %q",
			r.name(), scrub(problem.Error(), r.secrets), len(resp.body), scrub(resp.header.Get("Content-Type"), nil), scrub(string(begins), r.secrets)),
		cause: problem,
	}
}

// malformedError keeps a [*FieldError] within reach.
type malformedError struct {
	text  string
	cause error
}

func (m *malformedError) Error() string { return m.text }

func (m *malformedError) Unwrap() []error { return []error{ErrMalformed, m.cause} }
