// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind is a way to fail.
type Kind string

// Ways to fail. Those that are marked "done" do what the request wants, and the
// client is not told, or not well; the others do nothing.
const (
	// None answers as it should be.
	None Kind = ""
	// CutBefore closes the connection.
	CutBefore Kind = "cut before"
	// CutAfter closes the connection in place of an answer; done.
	CutAfter Kind = "cut after"
	// CutAnswer closes the connection in the middle of the answer; done.
	CutAnswer Kind = "cut in the answer"
	// Slow answers as it should be, once Release is closed or Wait is over; done
	// at once.
	Slow Kind = "slow"
	// SlowBefore is Slow, and what the request wants is only done then.
	SlowBefore Kind = "slow before"
	// Hang never answers. When the client gives up, Release is closed or Wait is
	// over, it closes the connection.
	Hang Kind = "hang"
	// HangAfter is Hang; done.
	HangAfter Kind = "hang after"
	// Unauthorized answers 401 with a document of JSON:API.
	Unauthorized Kind = "401"
	// UnauthorizedHTML answers 401 with a page.
	UnauthorizedHTML Kind = "401 page"
	// Challenge answers 403 with a page for browsers.
	Challenge Kind = "403 page"
	// Gone answers 410.
	Gone Kind = "410"
	// RateLimitedBody answers 429; Wait stands in retry_after_seconds.
	RateLimitedBody Kind = "429 body"
	// RateLimitedHeader answers 429 without a body; Wait stands in Retry-After.
	RateLimitedHeader Kind = "429 header"
	// RateLimitedBare answers 429 and says nothing else.
	RateLimitedBare Kind = "429"
	// ServerError answers 500 with a document of JSON:API.
	ServerError Kind = "500"
	// ServerErrorAfter is ServerError; done.
	ServerErrorAfter Kind = "500 after"
	// Maintenance answers 503 with a page.
	Maintenance Kind = "503 page"
	// Truncated sends half of the document as if it were all; done.
	Truncated Kind = "truncated"
	// HTMLSuccess answers 200 with a page, as a captive portal does.
	HTMLSuccess Kind = "200 page"
	// WrongType sends the answer as text/plain; done.
	WrongType Kind = "wrong type"
	// NullBody answers 200 with null in place of the document; done.
	NullBody Kind = "null"
	// InvalidGrant answers 401 with the error invalid_grant, though nothing is
	// wrong with the grant.
	InvalidGrant Kind = "invalid_grant"
	// ExpiresMissing, and the three after it, change expires_in; done.
	ExpiresMissing Kind = "no expires_in"
	// ExpiresZero says 0.
	ExpiresZero Kind = "expires_in 0"
	// ExpiresNegative says -1.
	ExpiresNegative Kind = "expires_in negative"
	// ExpiresString says "2678400".
	ExpiresString Kind = "expires_in a string"
	// RefreshMissing leaves refresh_token out; done.
	RefreshMissing Kind = "no refresh_token"
	// AccessMissing leaves access_token out; done.
	AccessMissing Kind = "no access_token"
	// EchoSecrets answers 400 and quotes the tokens and secrets that were sent.
	EchoSecrets Kind = "echo"
)

// Fault is one that a request meets.
type Fault struct {
	Kind Kind
	// On tells which requests meet it. If nil, all do. [OnToken] and [OnPath] are
	// some.
	On func(*http.Request) bool
	// Release ends what is slow, when it is closed. It may be nil. What is slow
	// ends in any case when the client gives up.
	Release <-chan struct{}
	// Wait ends what is slow, too, if it is not zero, by the clock on the wall.
	// With RateLimitedBody and RateLimitedHeader, it is what the answer asks for.
	Wait time.Duration
	// Met is called when a request meets the fault, before anything else. It may
	// be nil.
	Met func(*http.Request)
}

// OnToken is for requests to the token endpoint.
func OnToken(r *http.Request) bool { return r.URL.Path == "/api/oauth2/token" }

// OnPath returns a function for requests whose path, without /api/oauth2/v2,
// begins with one of the prefixes: "/identity".
func OnPath(prefixes ...string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		path, ok := strings.CutPrefix(r.URL.Path, prefix)
		for _, p := range prefixes {
			if ok && strings.HasPrefix(path, p) {
				return true
			}
		}
		return false
	}
}

// injector decides which request meets which fault.
type injector struct {
	mu     sync.Mutex // guards everything
	next   []Fault
	random []Fault
	share  float64
	source *rand.Rand
	met    map[Kind]int
}

// Next makes the next n requests that it is for meet the fault, after those
// that were set before.
func (s *Server) Next(n int, f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for range n {
		s.faults.next = append(s.faults.next, f)
	}
}

// Random makes a share of requests, between 0 and 1, meet one of the faults, if
// it is for them. The same seed chooses the same. Without faults, it ends that.
func (s *Server) Random(seed uint64, share float64, faults ...Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.source, s.faults.share, s.faults.random = rand.New(rand.NewPCG(seed, 0)), share, faults
}

// ClearFaults ends all faults that no request has met yet.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.next, s.faults.random = nil, nil
}

// Met returns how many requests met each kind of fault.
func (s *Server) Met() map[Kind]int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return maps.Clone(s.faults.met)
}

// pick returns the fault that a request meets.
func (i *injector) pick(r *http.Request) Fault {
	i.mu.Lock()
	f := i.choose(r)
	if f.Kind != None {
		if i.met == nil {
			i.met = map[Kind]int{}
		}
		i.met[f.Kind]++
	}
	i.mu.Unlock()
	if f.Met != nil {
		f.Met(r)
	}
	return f
}

func (i *injector) choose(r *http.Request) Fault {
	for n, f := range i.next {
		if f.meets(r) {
			i.next = append(i.next[:n:n], i.next[n+1:]...)
			return f
		}
	}
	if len(i.random) == 0 || i.source.Float64() >= i.share {
		return Fault{}
	}
	if f := i.random[i.source.IntN(len(i.random))]; f.meets(r) {
		return f
	}
	return Fault{}
}

func (f Fault) meets(r *http.Request) bool { return f.On == nil || f.On(r) }

// apply returns the answer that a request gets, or nil if the connection is to
// be closed.
func (f Fault) apply(c *call) *answer {
	if a, done := f.instead(c); !done {
		return a
	}
	if f.Kind == SlowBefore {
		f.wait(c)
	}
	a := c.answer()
	switch f.Kind {
	case CutAfter:
		return nil
	case HangAfter:
		f.wait(c)
		return nil
	case Slow:
		f.wait(c)
	case ServerErrorAfter:
		return c.fail(http.StatusInternalServerError, "InternalServerError", "Something went wrong.")
	case Truncated:
		a.body = a.body[:len(a.body)/2]
	case WrongType:
		a.header.Set("Content-Type", "text/plain; charset=utf-8")
	case NullBody:
		a.setJSON(nil)
	}
	f.changePair(a)
	return a
}

// instead returns the answer of a fault with which nothing is done; done tells
// that it is not one.
func (f Fault) instead(c *call) (a *answer, done bool) {
	switch f.Kind {
	case CutBefore:
		return nil, false
	case Hang:
		f.wait(c)
		return nil, false
	case Unauthorized:
		return c.unauthorized(), false
	case UnauthorizedHTML:
		return page(http.StatusUnauthorized, "Unauthorized"), false
	case Challenge:
		return challenge(), false
	case Gone:
		return c.fail(http.StatusGone, "Gone", "The resource requested has been removed from our servers."), false
	case RateLimitedBody, RateLimitedHeader, RateLimitedBare:
		return f.rateLimited(c), false
	case ServerError:
		return c.fail(http.StatusInternalServerError, "InternalServerError", "Something went wrong."), false
	case Maintenance:
		return page(http.StatusServiceUnavailable, "We'll be right back"), false
	case HTMLSuccess:
		return page(http.StatusOK, "Welcome to the free wireless network"), false
	case InvalidGrant:
		return refuse(http.StatusUnauthorized, "invalid_grant", ""), false
	case EchoSecrets:
		return c.echo(), false
	}
	return nil, true
}

func (f Fault) rateLimited(c *call) *answer {
	a := c.throttled(f.Wait)
	if f.Kind != RateLimitedHeader {
		a.header.Del("Retry-After")
	}
	if f.Kind != RateLimitedBody {
		a.header.Del("Content-Type")
		a.body = nil
	}
	return a
}

// echo quotes everything that a client should not have to see in a log.
func (c *call) echo() *answer {
	quoted := []string{"bad request:", c.Header.Get("Authorization"), string(c.body)}
	form, _ := url.ParseQuery(string(c.body)) // with what can be read of it
	for _, name := range slices.Sorted(maps.Keys(form)) {
		quoted = append(quoted, form[name]...)
	}
	text := strings.Join(quoted, " ")
	if c.pattern == "/api/oauth2/token" {
		return refuse(http.StatusBadRequest, "invalid_request", text)
	}
	return c.fail(http.StatusBadRequest, "BadRequest", text)
}

// changePair spoils an answer of the token endpoint.
func (f Fault) changePair(a *answer) {
	pair, ok := a.value.(object)
	if !ok || pair["access_token"] == nil {
		return
	}
	switch f.Kind {
	case ExpiresMissing:
		delete(pair, "expires_in")
	case ExpiresZero:
		pair["expires_in"] = 0
	case ExpiresNegative:
		pair["expires_in"] = -1
	case ExpiresString:
		pair["expires_in"] = strconv.Itoa(pair["expires_in"].(int))
	case RefreshMissing:
		delete(pair, "refresh_token")
	case AccessMissing:
		delete(pair, "access_token")
	default:
		return
	}
	a.setJSON(pair)
}

// wait returns when the fault ends, or nobody waits for the answer.
func (f Fault) wait(c *call) {
	var over <-chan time.Time
	if f.Wait > 0 {
		timer := time.NewTimer(f.Wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-f.Release:
	case <-over:
	case <-c.Context().Done():
	}
}
