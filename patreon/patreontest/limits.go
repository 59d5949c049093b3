// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"net"
	"time"
)

// Limits are those on requests. A field that is zero does not limit.
type Limits struct {
	// PerClient is how many requests a client may make in two seconds.
	PerClient int
	// PerToken is how many requests may be made in a minute with tokens of one
	// lineage: a refresh does not start anew.
	PerToken int
	// Unauthorized is how many answers of status 401 an address may get in ten
	// minutes. After that, it gets pages for browsers until they are over.
	Unauthorized int
}

// DocumentedLimits returns what Patreon's documentation says: 100 requests in
// two seconds per client, 100 a minute per token. Addresses are blocked after 30
// answers of status 401; that number is a guess.
func DocumentedLimits() Limits { return Limits{PerClient: 100, PerToken: 100, Unauthorized: 30} }

const (
	clientWindow       = 2 * time.Second
	tokenWindow        = time.Minute
	unauthorizedWindow = 10 * time.Minute
)

// window holds when the last requests were.
type window struct{ times []time.Time }

// wait returns how long it is until another one fits in.
func (w *window) wait(now time.Time, length time.Duration, most int) time.Duration {
	for len(w.times) > 0 && now.Sub(w.times[0]) >= length {
		w.times = w.times[1:]
	}
	if most == 0 || len(w.times) < most {
		return 0
	}
	return w.times[len(w.times)-most].Add(length).Sub(now)
}

// window returns that of a name.
func (s *Server) window(name string) *window {
	w := s.windows[name]
	if w == nil {
		w = &window{}
		s.windows[name] = w
	}
	return w
}

// limit refuses a request that is one too many, and counts it otherwise.
func (c *call) limit() *answer {
	now, l := c.s.config.Now(), c.bearer.lineage
	client, token := c.s.window("client "+l.client), c.s.window("token "+l.name())
	wait := max(client.wait(now, clientWindow, c.s.config.Limits.PerClient), token.wait(now, tokenWindow, c.s.config.Limits.PerToken))
	if wait > 0 {
		return c.throttled(wait)
	}
	client.times, token.times = append(client.times, now), append(token.times, now)
	return nil
}

// limitToken does so at the token endpoint, where the client is known and no
// token.
func (c *call) limitToken(client string) *answer {
	now, w := c.s.config.Now(), c.s.window("client "+client)
	if wait := w.wait(now, clientWindow, c.s.config.Limits.PerClient); wait > 0 {
		return c.throttled(wait)
	}
	w.times = append(w.times, now)
	return nil
}

// address names who asks.
func (c *call) address() string {
	host, _, err := net.SplitHostPort(c.RemoteAddr)
	if err != nil {
		return "address " + c.RemoteAddr
	}
	return "address " + host
}

func (s *Server) countUnauthorized(c *call) {
	w := s.window(c.address())
	w.times = append(w.times, s.config.Now())
}

// blocked reports whether an address got too many answers of status 401.
func (s *Server) blocked(c *call) bool {
	return s.window(c.address()).wait(s.config.Now(), unauthorizedWindow, s.config.Limits.Unauthorized) > 0
}
