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
	"maps"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// TokenServerConfig configures a [TokenServer]. Keeper is required.
type TokenServerConfig struct {
	// Keeper has the tokens. The server does not run it: see [Keeper.Run].
	Keeper *Keeper

	// Clients are who may ask. If there are none, only this machine is served,
	// over loopback or a Unix socket.
	Clients []TokenClient

	// Trusted tells that whoever can connect may ask, because the server is
	// behind a listener that only its clients reach, such as one of a tunnel.
	Trusted bool

	// Twirp also serves the form of the service that this one replaces, see
	// [TokenServer.ServeHTTP].
	Twirp bool

	// PerMinute is how many requests the proxy makes at most. If 0, 90: Patreon
	// allows 100 for one access token.
	PerMinute int

	// CacheFor is how old an answer of the proxy may be. If 0, 30 seconds; if
	// negative, each request goes to Patreon.
	CacheFor time.Duration

	// StaleFor is how old an answer may be while there is no other to be had. If
	// 0, 24 hours; if negative, none is given.
	StaleFor time.Duration

	// Logger is told of requests that fail. If nil, nobody is.
	Logger *slog.Logger
}

// TokenServer gives out the access tokens of a [Keeper], or makes requests with
// them for others, so that programs can use Patreon without a refresh token, or
// without any token at all. It is an [http.Handler], and safe for concurrent
// use.
type TokenServer struct {
	cfg         TokenServerConfig
	log         *slog.Logger
	mux         *http.ServeMux
	proxy       *proxy
	credentials atomic.Pointer[[]credential]

	mu       sync.Mutex // guards requests
	requests map[Asked]uint64
}

// Asked is a kind of request to a [TokenServer], of which it counts how many
// there were.
type Asked struct {
	// Client is the name of who asked; empty if that is not known.
	Client string
	// Path is "token", "report", "proxy" or "twirp".
	Path string
	// Code is the status of the answer.
	Code int
}

// NewTokenServer checks a configuration.
func NewTokenServer(cfg TokenServerConfig) (*TokenServer, error) {
	if cfg.Keeper == nil {
		return nil, errors.New("patreon: TokenServerConfig.Keeper is not set")
	}
	if cfg.PerMinute < 0 {
		return nil, errors.New("patreon: TokenServerConfig.PerMinute is negative")
	}
	if cfg.PerMinute == 0 {
		cfg.PerMinute = 90
	}
	setDefault(&cfg.CacheFor, 30*time.Second)
	setDefault(&cfg.StaleFor, 24*time.Hour)
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &TokenServer{cfg: cfg, log: logger, requests: map[Asked]uint64{}, proxy: newProxy(cfg)}
	if err := s.SetClients(cfg.Clients); err != nil {
		return nil, err
	}
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /healthz", s.healthz)
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.HandleFunc("GET /v1/token", s.guard("token", s.token))
	s.mux.HandleFunc("POST /v1/token/report", s.guard("report", s.report))
	s.mux.HandleFunc("GET "+proxyPrefix+"/", s.guard("proxy", s.serveProxy))
	if cfg.Twirp {
		for _, service := range twirpServices {
			s.mux.HandleFunc("POST /twirp/"+service+"/GetToken", s.guard("twirp", s.twirp))
		}
		s.mux.HandleFunc("/twirp/", s.guard("twirp", noRoute))
	}
	return s, nil
}

// Format writes what this is, whatever the verb.
func (s *TokenServer) Format(f fmt.State, _ rune) { io.WriteString(f, "patreon.TokenServer") }

// SetClients replaces [TokenServerConfig.Clients]. It can be called at any time.
func (s *TokenServer) SetClients(clients []TokenClient) error {
	all, err := credentials(clients)
	if err != nil {
		return err
	}
	s.credentials.Store(&all)
	return nil
}

// Serve answers requests that come by l until ctx ends, then finishes those
// under way. It refuses a listener that others than this machine can reach
// unless there are clients, or [TokenServerConfig.Trusted] is set.
func (s *TokenServer) Serve(ctx context.Context, l net.Listener) error {
	if err := s.CheckListener(l.Addr()); err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute, // longer than the proxy waits for Patreon
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	defer srv.Close() // of connections that have not ended in time
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(end)
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// CheckListener reports as an error why the server must not listen on an
// address, see [TokenServer.Serve].
func (s *TokenServer) CheckListener(addr net.Addr) error {
	if s.cfg.Trusted || len(*s.credentials.Load()) > 0 || addr.Network() == "unix" || isLoopback(addr) {
		return nil
	}
	return fmt.Errorf("patreon: the token server does not listen on %s without clients; configure them, or listen on a loopback address or a Unix socket", addr)
}

// ServeHTTP serves:
//
//	GET  /v1/token          {"access_token", "token_type", "expires_at", "expires_in", "generation", "scope"}
//	POST /v1/token/report   {"generation": 7, "status": 401}: a request with that token was refused
//	GET  /v1/proxy/api/oauth2/v2/…   what Patreon answers, for what only reads
//	GET  /healthz           the process is up
//	GET  /readyz            there is a token, and it is safe
//	POST /twirp/xeiaso.net.admin.v1.PatreonService/GetToken   if configured; also "Patreon"
//
// Errors are {"error": …, "detail": …}, those of the proxy as Patreon writes
// them. The refresh token is in no answer.
func (s *TokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	s.mux.ServeHTTP(w, r)
}

// guard lets only clients through, and counts.
func (s *TokenServer) guard(path string, next func(http.ResponseWriter, *http.Request) int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		client, err := s.whoAsks(r)
		code := http.StatusUnauthorized
		if err == nil {
			code = next(w, r)
		} else {
			w.Header().Set("WWW-Authenticate", `Bearer realm="patreon token server"`)
			refuse(w, path, err)
			s.log.WarnContext(r.Context(), "patreon: a request to the token server is refused", "path", path, "remote", r.RemoteAddr, "err", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests[Asked{client, path, code}]++
	}
}

// refuse answers in the form that clients of the path understand.
func refuse(w http.ResponseWriter, path string, err error) {
	switch path {
	case "twirp":
		twirpError(w, http.StatusUnauthorized, "unauthenticated", err.Error())
	case "proxy":
		answerProblem(w, http.StatusUnauthorized, "unauthenticated", err.Error())
	default:
		answerError(w, http.StatusUnauthorized, "unauthenticated", err.Error())
	}
}

// Requests returns how many requests there were of each kind.
func (s *TokenServer) Requests() map[Asked]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[Asked]uint64, len(s.requests))
	maps.Copy(all, s.requests)
	return all
}

// given is the JSON of a token that is given out.
type given struct {
	AccessToken string    `json:"access_token"`
	TokenType   string    `json:"token_type"`
	ExpiresAt   time.Time `json:"expires_at"`
	// ExpiresIn is in seconds, for clients whose clock is wrong.
	ExpiresIn  int64  `json:"expires_in"`
	Generation uint64 `json:"generation"`
	Scope      string `json:"scope"`
}

func (s *TokenServer) token(w http.ResponseWriter, r *http.Request) int {
	t, err := s.cfg.Keeper.Token(r.Context())
	if err != nil {
		return s.noToken(w, r, err)
	}
	w.Header().Set("ETag", strconv.Quote(strconv.FormatUint(t.Generation, 10)))
	return answerJSON(w, http.StatusOK, given{
		AccessToken: t.Access.Reveal(),
		TokenType:   "Bearer",
		ExpiresAt:   t.Expires,
		ExpiresIn:   int64(math.Max(0, time.Until(t.Expires).Seconds())),
		Generation:  t.Generation,
		Scope:       t.Scope,
	})
}

// noToken answers that there is no token at present.
func (s *TokenServer) noToken(w http.ResponseWriter, r *http.Request, err error) int {
	s.log.WarnContext(r.Context(), "patreon: no token can be given out", "err", err)
	w.Header().Set("Retry-After", "60")
	kind, detail := whyNoToken(err)
	return answerError(w, http.StatusServiceUnavailable, kind, detail)
}

// whyNoToken tells clients as much as they can act upon.
func whyNoToken(err error) (kind, detail string) {
	switch {
	case errors.Is(err, ErrLineageLost):
		return nameLineageLost, strings.TrimPrefix(ErrLineageLost.Error(), "patreon: ")
	case errors.Is(err, ErrNoTokens):
		return nameNoTokens, strings.TrimPrefix(ErrNoTokens.Error(), "patreon: ")
	}
	return "unavailable", "the tokens cannot be refreshed at present; the log of the token server tells why"
}

// report hears of a token that Patreon does not take.
func (s *TokenServer) report(w http.ResponseWriter, r *http.Request) int {
	var body struct {
		Generation uint64 `json:"generation"`
		Status     int    `json:"status"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&body); err != nil || body.Status != http.StatusUnauthorized {
		return answerError(w, http.StatusBadRequest, "bad_request", `a report is {"generation": 7, "status": 401}`)
	}
	if err := s.cfg.Keeper.ReportUnauthorized(r.Context(), Token{Generation: body.Generation}); err != nil {
		return s.noToken(w, r, err)
	}
	t, err := s.cfg.Keeper.Token(r.Context())
	if err != nil {
		return s.noToken(w, r, err)
	}
	return answerJSON(w, http.StatusOK, map[string]uint64{"generation": t.Generation})
}

func (s *TokenServer) healthz(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

func (s *TokenServer) readyz(w http.ResponseWriter, r *http.Request) {
	status, err := s.cfg.Keeper.Look(r.Context())
	if err == nil && status.Usable && status.State != "unsaved" {
		fmt.Fprintln(w, "ok")
		return
	}
	http.Error(w, "the tokens are in the state "+strconv.Quote(status.State), http.StatusServiceUnavailable)
}

func answerJSON(w http.ResponseWriter, code int, v any) int {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
	return code
}

func answerError(w http.ResponseWriter, code int, kind, detail string) int {
	return answerJSON(w, code, map[string]string{"error": kind, "detail": detail})
}
