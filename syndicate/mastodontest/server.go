// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodontest

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/syndicate/internal/faulty"
)

// Config is what an administrator would set up.
type Config struct {
	// URL is the server's own, which addresses of statuses begin with. If empty,
	// it is what requests are made to.
	URL string
	// Users log in with their name and this password. If empty, it is
	// "correct horse". There are as many users as log in or get a token.
	Password string
	// MaxCharacters is how long a status may be. If zero, 500.
	MaxCharacters int
	// CharactersPerURL is how many characters a link counts as. If zero, 23.
	CharactersPerURL int
	// MaxMedia is how many attachments a status may have. If zero, 4.
	MaxMedia int
	// MaxImage is how large an image may be, in bytes. If zero, 16 MiB.
	MaxImage int
	// MaxDescription is how long the description of media may be. If zero,
	// 1500.
	MaxDescription int
	// MediaDelay is how long it takes to process media. If zero, no time.
	MediaDelay time.Duration
	// Keys is what becomes of idempotency keys.
	Keys Keys
	// OldInstance is a server without /api/v2/instance.
	OldInstance bool
	// RateLimit is how many requests an account has in five minutes. If zero,
	// 300.
	RateLimit int
	// Version is what the server says it is. If empty, 4.5.2.
	Version string
}

// Keys is what a server does with idempotency keys.
type Keys int

// What becomes of idempotency keys.
const (
	// KeysHonoured answers a key that was used within an hour with the status
	// that was made then.
	KeysHonoured Keys = iota
	// KeysIgnored makes another status each time, as GoToSocial does.
	KeysIgnored
	// KeysBroken answers a key that was used within an hour with status 500, as
	// a version of Mastodon did in 2026.
	KeysBroken
)

// Fault is a way to fail.
type Fault = faulty.Fault

// Ways to fail, for Fault's Kind. Those that end with After do what the request
// wants, and do not say so.
const (
	// CutBefore closes the connection before anything was done.
	CutBefore = faulty.CutBefore
	// CutAfter closes the connection in place of an answer.
	CutAfter = faulty.CutAfter
	// CutAnswer closes the connection in the middle of the answer.
	CutAnswer = faulty.CutAnswer
	// ErrorAfter answers 500.
	ErrorAfter = faulty.ErrorAfter
	// TimeoutAfter answers 504. The status and its key are there only when the
	// delay has passed.
	TimeoutAfter = faulty.TimeoutAfter
	// Slow answers when the delay has passed.
	Slow = faulty.Slow
	// RateLimited answers 429 with Retry-After in seconds.
	RateLimited = faulty.RateLimited
	// RateLimitedDate answers 429 with Retry-After as a date.
	RateLimitedDate = faulty.RateLimitedDate
	// Unavailable answers 503.
	Unavailable = faulty.Unavailable
)

// Server is a [http.Handler]. Make it with [New]. Its methods may be called by
// several goroutines at once.
type Server struct {
	config Config
	mux    *http.ServeMux
	faults faulty.Injector

	mu       sync.Mutex // guards everything below
	lastID   int64
	apps     []*app
	codes    map[string]*grant
	tokens   map[string]*token
	accounts []*account
	statuses []*status
	media    []*media
}

// New returns a server without accounts or statuses.
func New(c Config) *Server {
	for _, d := range []struct {
		field *int
		zero  int
	}{
		{&c.MaxCharacters, 500},
		{&c.CharactersPerURL, 23},
		{&c.MaxMedia, 4},
		{&c.MaxImage, 16 << 20},
		{&c.MaxDescription, 1500},
		{&c.RateLimit, 300},
	} {
		if *d.field == 0 {
			*d.field = d.zero
		}
	}
	if c.Version == "" {
		c.Version = "4.5.2"
	}
	if c.Password == "" {
		c.Password = "correct horse"
	}
	s := &Server{config: c, mux: http.NewServeMux(), codes: map[string]*grant{}, tokens: map[string]*token{}}
	s.routes()
	return s
}

// Next makes the next n requests that the fault is for meet it: those that
// create a status, if it does not say.
func (s *Server) Next(n int, f Fault) { s.faults.Next(n, f) }

// Random makes a share of requests, between 0 and 1, meet one of the faults. The
// same seed chooses the same.
func (s *Server) Random(seed uint64, share float64, faults ...Fault) {
	s.faults.Random(seed, share, faults...)
}

// Met returns how many requests met each kind of fault.
func (s *Server) Met() map[faulty.Kind]int { return s.faults.Met() }

func (s *Server) routes() {
	for pattern, h := range map[string]struct {
		scope  string // "" is for everybody
		handle func(*request) answer
	}{
		"POST /api/v1/apps":                       {"", (*request).createApp},
		"GET /api/v1/apps/verify_credentials":     {anyScope, (*request).showApp},
		"GET /oauth/authorize":                    {"", (*request).askUser},
		"POST /oauth/authorize":                   {"", (*request).userAgrees},
		"POST /oauth/token":                       {"", (*request).createToken},
		"POST /oauth/revoke":                      {"", (*request).revokeToken},
		"GET /api/v1/instance":                    {"", (*request).instanceV1},
		"GET /api/v2/instance":                    {"", (*request).instanceV2},
		"GET /api/v1/accounts/verify_credentials": {"read:accounts", (*request).ownAccount},
		"GET /api/v1/accounts/{id}":               {"read:accounts", (*request).showAccount},
		"GET /api/v1/accounts/{id}/statuses":      {"read:statuses", (*request).listStatuses},
		"GET /api/v1/timelines/home":              {"read:statuses", (*request).home},
		"POST /api/v1/statuses":                   {"write:statuses", (*request).createStatus},
		"GET /api/v1/statuses/{id}":               {"read:statuses", (*request).showStatus},
		"GET /api/v1/statuses/{id}/source":        {"read:statuses", (*request).source},
		"GET /api/v1/statuses/{id}/context":       {"read:statuses", (*request).context},
		"PUT /api/v1/statuses/{id}":               {"write:statuses", (*request).editStatus},
		"DELETE /api/v1/statuses/{id}":            {"write:statuses", (*request).deleteStatus},
		"POST /api/v1/media":                      {"write:media", (*request).uploadNow},
		"POST /api/v2/media":                      {"write:media", (*request).upload},
		"GET /api/v1/media/{id}":                  {"write:media", (*request).showMedia},
		"PUT /api/v1/media/{id}":                  {"write:media", (*request).describeMedia},
		"GET /media/{id}":                         {"", (*request).mediaFile},
	} {
		creates := pattern == "POST /api/v1/statuses"
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.faults.Serve(w, r, creates, func(w http.ResponseWriter, r *http.Request) {
				s.serve(w, r, h.scope, h.handle)
			}, failed)
		})
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound.write(w) })
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A slash at the end means nothing to Rails, and some clients have one.
	if bare := strings.TrimSuffix(r.URL.Path, "/"); bare != r.URL.Path && bare != "" {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = bare, ""
	}
	s.mux.ServeHTTP(w, r)
}

// failed writes an error as Mastodon or the proxy in front of it does.
func failed(w http.ResponseWriter, status int, wait time.Duration) {
	switch status {
	case http.StatusTooManyRequests:
		w.Header().Set("X-RateLimit-Limit", "300")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", timestamp(time.Now().Add(wait)))
		refuse(status, "Too many requests").write(w)
	case http.StatusGatewayTimeout:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		w.Write([]byte("<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body><center><h1>504 Gateway Time-out</h1></center><hr><center>nginx</center></body>\r\n</html>\r\n"))
	case http.StatusServiceUnavailable:
		refuse(status, "There was a temporary problem serving your request, please try again").write(w)
	default:
		refuse(status, "We're sorry, but something went wrong on our end.").write(w)
	}
}

// serve answers a request of somebody who has the scope.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, scope string, handle func(*request) answer) {
	q, err := s.read(w, r)
	if err != nil {
		refuse(http.StatusBadRequest, "%s", err).write(w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q.token = s.tokens[bearer(r)]
	if refusal := q.refuses(scope); refusal != nil {
		refusal.write(w)
		return
	}
	if q.token != nil && q.token.limited(s.config.RateLimit, w.Header()) {
		refuse(http.StatusTooManyRequests, "Too many requests").write(w)
		return
	}
	handle(q).write(w)
}

// nextID returns an id that grows with time: milliseconds, and two bytes that
// tell apart what is of the same.
func (s *Server) nextID() int64 {
	s.lastID = max(s.lastID+1, time.Now().UnixMilli()<<16)
	return s.lastID
}

func format(id int64) string { return strconv.FormatInt(id, 10) }

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
