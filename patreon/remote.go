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
	since    time.Time // when known came
	flight   *flight
	failures int
	next     time.Time // no request before
	problem  error
}

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
	return &RemoteTokenSource{cfg: cfg, endpoint: endpoint, log: logger}, nil
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

// Token implements [TokenSource].
func (s *RemoteTokenSource) Token(ctx context.Context) (Token, error) {
	for {
		t, f, err := s.best(ctx)
		if f == nil {
			return t, err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			if t.Access != "" {
				return t, nil
			}
			return Token{}, fmt.Errorf("patreon: wait for the token server: %w", context.Cause(ctx))
		}
	}
}

// best returns what is known, and a request to wait for if there may be better.
func (s *RemoteTokenSource) best(ctx context.Context) (Token, *flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	t := s.known
	if t.Access != "" && !now.Before(t.Expires) {
		t = Token{}
	}
	switch {
	case t.Access != "" && now.Sub(s.since) < remoteFresh:
		return t, nil, nil
	case s.flight == nil && now.Before(s.next):
		if t.Access != "" {
			return t, nil, nil
		}
		return Token{}, nil, s.problem
	case s.flight == nil:
		s.flight = &flight{done: make(chan struct{})}
		go s.fly(context.WithoutCancel(ctx), s.flight)
	}
	return t, s.flight, nil
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
	s.problem = fmt.Errorf("the token server: %w", err)
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
		return Token{}, serverError(answer, err)
	}
	var doc given
	if err := json.Unmarshal(answer.body, &doc); err != nil || !isToken(doc.AccessToken) || doc.ExpiresIn <= 0 {
		return Token{}, fmt.Errorf("patreon: GET /v1/token: %w: there is no token in it that lasts", ErrMalformed)
	}
	// By how long, not until when: the clocks may differ.
	expires := begun.Add(time.Duration(min(doc.ExpiresIn, int64(maxLifetime/time.Second))) * time.Second)
	return Token{Access: Secret(doc.AccessToken), Expires: expires, Generation: doc.Generation, Scope: doc.Scope}, nil
}

// serverError makes the sentinel of what a token server says.
func serverError(answer *response, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || answer == nil {
		return err
	}
	switch e.Name {
	case "lineage_lost":
		return fmt.Errorf("%w: %w", ErrLineageLost, err)
	case "no_tokens":
		return fmt.Errorf("%w: %w", ErrNoTokens, err)
	}
	return err
}

// ReportUnauthorized implements [Reporter]. The server decides.
func (s *RemoteTokenSource) ReportUnauthorized(ctx context.Context, token Token) error {
	body, err := json.Marshal(map[string]uint64{"generation": token.Generation, "status": http.StatusUnauthorized})
	if err != nil {
		return err
	}
	timed, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	answer, err := s.endpoint.do(timed, s.request(http.MethodPost, "/v1/token/report", body))
	if err != nil {
		return serverError(answer, err)
	}
	var doc struct {
		Generation uint64 `json:"generation"`
	}
	if err := json.Unmarshal(answer.body, &doc); err != nil {
		return fmt.Errorf("patreon: POST /v1/token/report: %w", ErrMalformed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known.Generation != doc.Generation {
		s.since, s.next = time.Time{}, time.Time{}
	}
	return nil
}
