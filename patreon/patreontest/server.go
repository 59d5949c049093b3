// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Config is what a test sets up. The zero value is a server that answers as the
// real one does, as far as that is known, and that limits no rates.
type Config struct {
	// Now is the clock for everything that expires or is due. If nil, it is
	// [time.Now].
	Now func() time.Time
	// TokenLifetime is how long access tokens live. If zero, 31 days.
	TokenLifetime time.Duration
	// ReuseGrace is how long a spent refresh token still works, in the modes of
	// [Rotation] in which it does. If zero, a minute.
	ReuseGrace time.Duration
	// KillAccess makes a refresh end the access token before it, too. If not, it
	// lives until it expires.
	KillAccess bool
	// PageSize is how many resources a page has at most. If zero, 1,000 members,
	// 500 with pledge events, and 20 of anything else.
	PageSize int
	// Limits are those on requests. The zero value has none.
	Limits Limits
	// ContentType is that of answers with resources. If empty, it is
	// application/vnd.api+json.
	ContentType string
	// Client delivers webhooks. If nil, it is one of the server's own that waits
	// 10 seconds and follows no redirects.
	Client *http.Client
	// Logger gets a line for each request. If nil, nothing is logged.
	Logger *slog.Logger
}

// Server is a fake of Patreon: a [http.Handler] for the paths under
// https://www.patreon.com. Make it with [New]. Its methods may be called by
// several goroutines at once.
type Server struct {
	config Config
	faults injector

	mu       sync.Mutex // guards everything below
	lastID   int64
	clients  map[string]Client
	login    string
	codes    map[string]*code
	access   map[string]*access
	refresh  map[string]*refresh
	lineages []*lineage
	rotation Rotation
	content  content
	paging   Paging
	cursors  map[string]position
	windows  map[string]*window
	hooks    []*hook
	lives    []*live
	stats    Stats
	log      []Request
}

// New returns a server without clients, users or campaigns.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.TokenLifetime == 0 {
		c.TokenLifetime = 31 * 24 * time.Hour
	}
	if c.ReuseGrace == 0 {
		c.ReuseGrace = time.Minute
	}
	if c.ContentType == "" {
		c.ContentType = "application/vnd.api+json"
	}
	if c.Client == nil {
		c.Client = &http.Client{
			// Nothing stays open when a test ends.
			Transport:     &http.Transport{DisableKeepAlives: true},
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{
		config:  c,
		lastID:  1000,
		clients: map[string]Client{},
		codes:   map[string]*code{},
		access:  map[string]*access{},
		refresh: map[string]*refresh{},
		content: newContent(),
		cursors: map[string]position{},
		windows: map[string]*window{},
	}
}

// SetLimits replaces those of the [Config].
func (s *Server) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.Limits = l
}

// prefix is what all paths of the API begin with.
const prefix = "/api/oauth2/v2"

// endpoint is what a path does for a method.
type endpoint struct {
	scope  string // "" is for everybody
	handle func(*call) *answer
}

// routes are the paths and what they do. The names of parameters are those of
// the OpenAPI document.
func routes() map[string]map[string]endpoint {
	get := func(scope string, h func(*call) *answer) map[string]endpoint {
		return map[string]endpoint{http.MethodGet: {scope, h}}
	}
	return map[string]map[string]endpoint{
		"/oauth2/authorize":                         get("", (*call).authorize),
		"/api/oauth2/token":                         {http.MethodPost: {"", (*call).token}},
		prefix + "/identity":                        get("identity", (*call).identity),
		prefix + "/campaigns":                       get("campaigns", (*call).listCampaigns),
		prefix + "/campaigns/{campaign_id}":         get("campaigns", (*call).showCampaign),
		prefix + "/campaigns/{campaign_id}/members": get("campaigns.members", (*call).listMembers),
		prefix + "/members/{id}":                    get("campaigns.members", (*call).showMember),
		prefix + "/campaigns/{campaign_id}/posts":   get("campaigns.posts", (*call).listPosts),
		prefix + "/posts/{id}":                      get("campaigns.posts", (*call).showPost),
		prefix + "/webhooks": {
			http.MethodGet:  {"w:campaigns.webhook", (*call).listWebhooks},
			http.MethodPost: {"w:campaigns.webhook", (*call).createWebhook},
		},
		prefix + "/webhooks/{id}": {
			http.MethodPatch:  {"w:campaigns.webhook", (*call).editWebhook},
			http.MethodDelete: {"w:campaigns.webhook", (*call).deleteWebhook},
		},
		prefix + "/lives": {http.MethodPost: {"w:campaigns.lives", (*call).createLive}},
		prefix + "/lives/{id}": {
			http.MethodGet:    {"campaigns.lives", (*call).showLive},
			http.MethodPatch:  {"w:campaigns.lives", (*call).editLive},
			http.MethodDelete: {"w:campaigns.lives", (*call).deleteLive},
		},
	}
}

// route finds the pattern that a path fits, and the value of its parameter. The
// pattern is empty if there is none.
func route(path string) (pattern, parameter string, methods map[string]endpoint) {
	got := strings.Split(path, "/")
	for pattern, methods := range routes() {
		if value, ok := match(strings.Split(pattern, "/"), got); ok {
			return pattern, value, methods
		}
	}
	return "", "", nil
}

func match(want, got []string) (parameter string, ok bool) {
	if len(want) != len(got) {
		return "", false
	}
	for i := range want {
		switch {
		case strings.HasPrefix(want[i], "{") && got[i] != "":
			parameter = got[i]
		case want[i] != got[i]:
			return "", false
		}
	}
	return parameter, true
}

// call is a request with what is known of it.
type call struct {
	*http.Request
	s *Server
	// pattern is the path with the names of parameters in place of values, or
	// empty.
	pattern   string
	methods   map[string]endpoint
	parameter string
	body      []byte
	tooLong   bool
	bearer    *access // nil where none is needed
}

// maxBody is how long a request may be, in bytes.
const maxBody = 1 << 20

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Request: r, s: s}
	c.pattern, c.parameter, c.methods = route(r.URL.Path)
	var err error
	c.body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return // the client is gone
	}
	c.tooLong = len(c.body) > maxBody
	f := s.faults.pick(r)
	entry := s.begin(c, f)
	a := f.apply(c)
	if a == nil {
		s.end(c, entry, 0)
		panic(http.ErrAbortHandler)
	}
	s.end(c, entry, a.status)
	a.send(w, f)
}

// answer is what the server says when nothing goes wrong.
func (c *call) answer() *answer {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	e, refusal := c.admit()
	if refusal == nil {
		refusal = e.handle(c)
	}
	c.s.stats.count(refusal)
	if refusal.status == http.StatusUnauthorized {
		c.s.countUnauthorized(c)
	}
	return refusal
}

// admit checks what is the same for all endpoints.
func (c *call) admit() (endpoint, *answer) {
	if refusal := c.checkAgent(); refusal != nil {
		return endpoint{}, refusal
	}
	if c.pattern == "" {
		return endpoint{}, c.fail(http.StatusNotFound, "NotFound", "The requested URL was not found on the server.")
	}
	e, ok := c.methods[c.Method]
	if !ok {
		return endpoint{}, c.methodNotAllowed()
	}
	if c.tooLong {
		return endpoint{}, c.fail(http.StatusBadRequest, "BadRequest", "The request is too large.")
	}
	if e.scope == "" {
		return e, nil
	}
	return e, c.authorizeBearer(e.scope)
}

// checkAgent sends those away that the real server may send away: without a
// User-Agent of their own. Who logs in has a browser.
func (c *call) checkAgent() *answer {
	agent := c.UserAgent()
	switch {
	case c.pattern == "/oauth2/authorize":
		return nil
	case c.s.blocked(c):
		c.s.stats.Blocked++
	case strings.TrimSpace(agent) == "":
		c.s.stats.WithoutUserAgent++
	case strings.HasPrefix(agent, "Go-http-client"):
		c.s.stats.DefaultUserAgent++
	default:
		return nil
	}
	return challenge()
}

func (c *call) methodNotAllowed() *answer {
	a := c.fail(http.StatusMethodNotAllowed, "MethodNotAllowed", "The method is not allowed for the requested URL.")
	for method := range c.methods {
		a.header.Add("Allow", method)
	}
	return a
}

// authorizeBearer finds out whose token came, and whether it may do this.
func (c *call) authorizeBearer(scope string) *answer {
	scheme, value, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	token := c.s.access[value]
	if !strings.EqualFold(scheme, "Bearer") || token == nil || !token.alive(c.s.config.Now()) {
		return c.unauthorized()
	}
	if len(c.Header.Values("Authorization")) != 1 || c.URL.Query().Has("access_token") {
		return c.fail(http.StatusBadRequest, "BadRequest", "There is more than one token.")
	}
	c.bearer = token
	if refusal := c.limit(); refusal != nil {
		return refusal
	}
	if !acceptable(c.Header.Values("Accept")) {
		return c.fail(http.StatusNotAcceptable, "NotAcceptable", "You requested a format that isn't json.")
	}
	if !c.may(scope) {
		return c.lacks(scope)
	}
	return nil
}

// may reports whether the token has a scope.
func (c *call) may(scope string) bool { return c.bearer.lineage.has(scope) }

func (c *call) lacks(scope string) *answer {
	return c.fail(http.StatusForbidden, "InsufficientScope", "The token lacks the scope "+scope+".")
}

// acceptable reports whether a client takes JSON.
func acceptable(fields []string) bool {
	accept := strings.Join(fields, ",")
	if strings.TrimSpace(accept) == "" {
		return true
	}
	for media := range strings.SplitSeq(accept, ",") {
		media, _, _ = strings.Cut(media, ";")
		switch strings.ToLower(strings.TrimSpace(media)) {
		case "*/*", "application/*", "application/json", "application/vnd.api+json":
			return true
		}
	}
	return false
}
