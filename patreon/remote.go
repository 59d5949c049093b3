// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// RemoteConfig is where a [TokenServer] is. URL is required.
type RemoteConfig struct {
	// URL is the address of the server, such as "http://tokens.internal:8080".
	URL string

	// Token is the bearer token that the server knows this program by. It may be
	// empty where the server serves everybody who reaches it.
	Token Secret

	// HTTPClient makes the requests, through a tunnel for example. If nil, one of
	// our own.
	HTTPClient *http.Client

	// UserAgent goes with each request. If empty, [DefaultUserAgent].
	UserAgent string

	// Timeout bounds a request for a token. If 0, 30 seconds.
	Timeout time.Duration

	// Logger is told when an old token has to do. If nil, nobody is.
	Logger *slog.Logger
}

// RemoteTokenSource gets access tokens from a [TokenServer]. It neither connects
// before the first token is asked for, nor gives up: a server that is down when
// the program starts is asked again. A token that it has is good until it ends,
// whether the server answers or not. It is a [Reporter], and safe for concurrent
// use.
type RemoteTokenSource struct {
	cfg      RemoteConfig
	endpoint endpoint
	log      *slog.Logger

	mu       sync.Mutex // guards what follows
	known    Token
	since    time.Time // when known came; zero if the server has another
	flight   *flight
	begun    time.Time // when flight began
	failures int
	next     time.Time // no request before
	problem  error
	told     Token     // what was reported last; Generation is the newest then
	toldAt   time.Time // when

	reporting chan struct{} // held while a report is under way
}

// remotePatience is how long a token that lasts is held back while the server is
// asked whether there is another. One that hangs must not hold everybody up.
const remotePatience = 5 * time.Second

// remoteFresh is for how long a token is given out before the server is asked
// whether there is another.
const remoteFresh = 5 * time.Minute

// NewRemoteTokenSource checks a configuration. It makes no request.
func NewRemoteTokenSource(cfg RemoteConfig) (*RemoteTokenSource, error) {
	if cfg.URL == "" {
		return nil, errors.New("patreon: RemoteConfig.URL is not set")
	}
	if cfg.Token != "" && !isToken(cfg.Token.Reveal()) {
		return nil, errors.New("patreon: the bearer token for the token server has blanks or other characters in it that no token has")
	}
	endpoint, err := newEndpoint(cfg.HTTPClient, cfg.URL, cfg.UserAgent)
	if err != nil {
		return nil, err
	}
	setDefault(&cfg.Timeout, 30*time.Second)
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &RemoteTokenSource{cfg: cfg, endpoint: endpoint, log: logger, reporting: make(chan struct{}, 1)}, nil
}

// NewRemoteClient returns a client that reads through the proxy of a
// [TokenServer]: this program then has no token of Patreon at all.
func NewRemoteClient(cfg RemoteConfig) (*Client, error) {
	if cfg.URL == "" {
		return nil, errors.New("patreon: RemoteConfig.URL is not set")
	}
	token := cfg.Token
	if token == "" {
		token = "none" // the server takes no notice of it
	}
	return NewClient(ClientConfig{
		Tokens:     StaticToken(token),
		HTTPClient: cfg.HTTPClient,
		BaseURL:    strings.TrimSuffix(cfg.URL, "/") + proxyPrefix,
		UserAgent:  cfg.UserAgent,
		Logger:     cfg.Logger,
	})
}

// Format writes where the server is, whatever the verb.
func (s *RemoteTokenSource) Format(f fmt.State, _ rune) {
	io.WriteString(f, "patreon.RemoteTokenSource("+s.endpoint.base.Host+")")
}

// Token implements [TokenSource]. Errors match [ErrLineageLost] and [ErrNoTokens]
// where the server says so, and [ErrUnauthorized] where it does not know the
// bearer token.
func (s *RemoteTokenSource) Token(ctx context.Context) (Token, error) {
	for {
		t, f, left, err := s.best(ctx)
		if f == nil {
			return t, err
		}
		if done, err := await(ctx, f, left); done {
			continue
		} else if t.Access == "" && err != nil {
			return Token{}, fmt.Errorf("patreon: wait for the token server: %w", err)
		}
		return t, nil
	}
}

// await waits for a request, for as long as is left, and reports whether it has
// ended.
func await(ctx context.Context, f *flight, left time.Duration) (done bool, err error) {
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-f.done:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// best returns what is known, and a request to wait for if there may be better,
// with for how long.
func (s *RemoteTokenSource) best(ctx context.Context) (Token, *flight, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	t := s.known
	if t.Access != "" && !now.Before(t.Expires) {
		t = Token{}
	}
	switch {
	case t.Access != "" && now.Sub(s.since) < remoteFresh:
		return t, nil, 0, nil
	case s.flight == nil && now.Before(s.next):
		if t.Access != "" {
			return t, nil, 0, nil
		}
		return Token{}, nil, 0, s.problem
	case s.flight == nil:
		s.flight, s.begun = &flight{done: make(chan struct{})}, now
		go s.fly(context.WithoutCancel(ctx), s.flight)
	}
	left := s.cfg.Timeout + time.Second // it ends by itself
	if t.Access != "" {
		left = max(0, remotePatience-now.Sub(s.begun))
	}
	return t, s.flight, left, nil
}

// fly asks the server once.
func (s *RemoteTokenSource) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	t, err := s.ask(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	close(f.done)
	if err == nil {
		s.known, s.since, s.failures, s.problem, s.next = t, time.Now(), 0, nil, time.Time{}
		return
	}
	s.failures++
	s.problem = err
	s.next = time.Now().Add(min(time.Second<<min(s.failures-1, 6), time.Minute))
	s.log.Warn("patreon: the token server does not answer as it should", "err", err, "token_until", s.known.Expires)
}

func (s *RemoteTokenSource) request(method, path string, body []byte) request {
	r := request{method: method, path: path, body: body, header: http.Header{}, secrets: []string{s.cfg.Token.Reveal()}}
	if s.cfg.Token != "" {
		r.header.Set("Authorization", "Bearer "+s.cfg.Token.Reveal())
	}
	if body != nil {
		r.header.Set("Content-Type", "application/json")
	}
	return r
}

func (s *RemoteTokenSource) ask(ctx context.Context) (Token, error) {
	begun := time.Now()
	answer, err := s.endpoint.do(ctx, s.request(http.MethodGet, "/v1/token", nil))
	if err != nil {
		return Token{}, err
	}
	var doc given
	if err := json.Unmarshal(answer.body, &doc); err != nil || !isToken(doc.AccessToken) || doc.ExpiresIn <= 0 {
		return Token{}, fmt.Errorf("patreon: GET /v1/token: %w: there is no token in it that lasts", ErrMalformed)
	}
	// By how long, not until when: the clocks may differ.
	expires := begun.Add(time.Duration(min(doc.ExpiresIn, int64(maxLifetime/time.Second))) * time.Second)
	return Token{Access: Secret(doc.AccessToken), Expires: expires, Generation: doc.Generation, Scope: doc.Scope}, nil
}

// reportEvery is how often the server is told that a token is not taken, of which
// it has said that it stays: it asks Patreon once a minute at most.
const reportEvery = 10 * time.Second

// ReportUnauthorized implements [Reporter]. The server decides. Callers that
// report the same token at the same time cost one request.
func (s *RemoteTokenSource) ReportUnauthorized(ctx context.Context, token Token) error {
	select {
	case s.reporting <- struct{}{}:
		defer func() { <-s.reporting }()
	case <-ctx.Done():
		return fmt.Errorf("patreon: report a token that is not accepted: %w", context.Cause(ctx))
	}
	if s.isOld(token) {
		return nil
	}
	newest, err := s.report(ctx, token)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told, s.toldAt = Token{Access: token.Access, Generation: newest}, time.Now()
	if s.known.Generation != newest {
		s.since, s.next = time.Time{}, time.Time{}
	}
	return nil
}

// isOld reports whether there is no need to report a token.
func (s *RemoteTokenSource) isOld(token Token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known.Access != "" && s.known.Access != token.Access || // there is another
		s.told.Access == token.Access && (s.told.Generation != token.Generation || time.Since(s.toldAt) < reportEvery)
}

// report tells the server, and returns the generation of the token that it has
// then.
func (s *RemoteTokenSource) report(ctx context.Context, token Token) (uint64, error) {
	body, err := json.Marshal(map[string]uint64{"generation": token.Generation, "status": http.StatusUnauthorized})
	if err != nil {
		return 0, err
	}
	timed, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	answer, err := s.endpoint.do(timed, s.request(http.MethodPost, "/v1/token/report", body))
	if err != nil {
		return 0, err
	}
	var doc struct {
		Generation uint64 `json:"generation"`
	}
	if err := json.Unmarshal(answer.body, &doc); err != nil || doc.Generation == 0 {
		return 0, fmt.Errorf("patreon: POST /v1/token/report: %w", ErrMalformed)
	}
	return doc.Generation, nil
}
