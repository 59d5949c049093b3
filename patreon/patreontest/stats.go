// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
)

// Stats counts what happened.
type Stats struct {
	// Requests are all, by method and path with the parameters' names:
	// "GET /api/oauth2/v2/campaigns/{campaign_id}/members". Paths that do not
	// exist are counted as "unknown".
	Requests map[string]int
	// Codes counts codes that were exchanged for a pair.
	Codes int
	// Refreshes counts pairs that were given for a refresh token, whether or not
	// the answer arrived.
	Refreshes int
	// SpentRefreshTokensUsed counts uses of refresh tokens that were used
	// before, whatever the answer was.
	SpentRefreshTokensUsed int
	// InvalidGrants and InvalidClients count refusals of the token endpoint that
	// no fault made.
	InvalidGrants, InvalidClients int
	// BadRequests, Unauthorized, Forbidden, NotFound and RateLimited count
	// answers of status 400, 401, 403, 404 and 429 that no fault made. The
	// token endpoint's refusals are among them.
	BadRequests, Unauthorized, Forbidden, NotFound, RateLimited int
	// WithoutUserAgent and DefaultUserAgent count requests that were sent away
	// for having no User-Agent, or that of Go; Blocked those from an address
	// that had too many answers of status 401.
	WithoutUserAgent, DefaultUserAgent, Blocked int
	// Deliveries and FailedDeliveries count attempts to deliver webhooks.
	Deliveries, FailedDeliveries int
	// Lineages are all, in the order in which they began.
	Lineages []Lineage
}

// Lineage is a chain of pairs, each of which came out of the one before.
type Lineage struct {
	// Client and User are the ids.
	Client, User string
	// Refreshes and SpentUsed count as those of [Stats] do.
	Refreshes, SpentUsed int
	// Ended tells why the lineage does not work any more; empty if it does.
	Ended string
}

// Request is one that was answered.
type Request struct {
	// Method, Path and Query are those of the request; Query is as it was sent.
	Method, Path, Query string
	// Pattern is the path with the parameters' names, or empty.
	Pattern string
	// UserAgent is what the client said it is.
	UserAgent string
	// Fault is the one that the request met, if any.
	Fault Kind
	// Status is what was answered; 0 if the connection was closed in place of
	// that, or there is no answer yet.
	Status int
}

// count adds an answer.
func (s *Stats) count(a *answer) {
	switch a.status {
	case http.StatusBadRequest:
		s.BadRequests++
	case http.StatusUnauthorized:
		s.Unauthorized++
	case http.StatusForbidden:
		s.Forbidden++
	case http.StatusNotFound:
		s.NotFound++
	case http.StatusTooManyRequests:
		s.RateLimited++
	}
}

// Stats returns what happened until now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Requests = maps.Clone(stats.Requests)
	if stats.Requests == nil {
		stats.Requests = map[string]int{}
	}
	for _, l := range s.lineages {
		stats.Lineages = append(stats.Lineages, Lineage{l.client, l.user, l.refreshes, l.spentUsed, l.ended})
	}
	return stats
}

// Requests returns those that came until now, in the order in which they came.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// begin writes a request down, and returns where.
func (s *Server) begin(c *call, f Fault) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := "unknown"
	if c.pattern != "" {
		name = c.Method + " " + c.pattern
	}
	if s.stats.Requests == nil {
		s.stats.Requests = map[string]int{}
	}
	s.stats.Requests[name]++
	s.log = append(s.log, Request{c.Method, c.URL.Path, c.URL.RawQuery, c.pattern, c.UserAgent(), f.Kind, 0})
	return len(s.log) - 1
}

// end adds what became of it.
func (s *Server) end(c *call, entry, status int) {
	s.mu.Lock()
	s.log[entry].Status = status
	r := s.log[entry]
	s.mu.Unlock()
	s.config.Logger.LogAttrs(c.Context(), slog.LevelInfo, "answered", slog.String("method", r.Method), slog.String("path", r.Path), slog.Int("status", r.Status), slog.String("fault", string(r.Fault)))
}
