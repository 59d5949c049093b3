// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Status tells how a [Keeper] is. It has no secrets.
type Status struct {
	// State is "unknown" before the store was read, then "none", "ok", "expired",
	// "unsaved" (the store does not take the tokens) or "lost".
	State string `json:"state"`

	// Generation numbers the tokens, IssuedAt and ExpiresAt are of the access
	// token, RefreshAt is when it will be refreshed.
	Generation uint64    `json:"generation"`
	Scope      string    `json:"scope,omitzero"`
	IssuedAt   time.Time `json:"issued_at,omitzero"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	RefreshAt  time.Time `json:"refresh_at,omitzero"`

	// Usable tells whether the access token can be given out.
	Usable bool `json:"usable"`

	// Lost tells since when the lineage is lost, and why. The zero value means
	// that it is not.
	LostAt     time.Time `json:"lost_at,omitzero"`
	LostReason string    `json:"lost_reason,omitzero"`

	// IntentAt is when a refresh began that has not ended, by the clock of the
	// process that does it.
	IntentAt time.Time `json:"intent_at,omitzero"`

	// Problem is what went wrong last. It is empty once things go well again.
	Problem string `json:"problem,omitzero"`

	// NextTry is when a refresh that has failed is tried again.
	NextTry time.Time `json:"next_try,omitzero"`

	// ClockSkew is by how much Patreon's clock was ahead of the local one.
	ClockSkew time.Duration `json:"clock_skew_ns"`

	// Refreshed, Failed and Refused count this process's calls of the token
	// endpoint, by how they ended, StoreErrors what the store did not do.
	Refreshed   uint64 `json:"refreshed"`
	Failed      uint64 `json:"failed"`
	Refused     uint64 `json:"refused"`
	StoreErrors uint64 `json:"store_errors"`

	// LastCall is how long the last call of the token endpoint took.
	LastCall time.Duration `json:"last_call_ns"`
}

// counters are of one process.
type counters struct {
	refreshed, failed, lost, storeErrors atomic.Uint64
	seconds                              atomic.Int64 // of the last call, a time.Duration
}

// result counts how a call ended.
func (c *counters) result(what string) {
	switch what {
	case "refreshed":
		c.refreshed.Add(1)
	case "failed":
		c.failed.Add(1)
	case "lost":
		c.lost.Add(1)
	}
}

// Look reads the store, and returns the status. It does not refresh anything. The
// error is about the store; that there are no tokens is none.
func (k *Keeper) Look(ctx context.Context) (Status, error) {
	if _, err := k.reload(ctx); err != nil && !errors.Is(err, ErrNoTokens) {
		return k.Status(), err
	}
	return k.Status(), nil
}

// Status returns what is known, without asking the store. [Keeper.Run] and
// [Keeper.Token] keep it up to date.
func (k *Keeper) Status() Status {
	s := Status{
		State:       "unknown",
		Refreshed:   k.count.refreshed.Load(),
		Failed:      k.count.failed.Load(),
		Refused:     k.count.lost.Load(),
		StoreErrors: k.count.storeErrors.Load(),
		LastCall:    time.Duration(k.count.seconds.Load()),
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	s.ClockSkew = k.skew
	if problem := cmp.Or(k.unread, k.failure); problem != nil {
		s.Problem = problem.Error()
	}
	if k.next.After(now) {
		s.NextTry = k.next
	}
	if !k.knownAt.IsZero() {
		s.State = "none"
	}
	r := k.known
	if r.empty() {
		return s
	}
	s.Generation, s.Scope, s.IssuedAt, s.ExpiresAt = r.Generation, r.Scope, r.IssuedAt, r.ExpiresAt
	s.RefreshAt, s.Usable = r.refreshAt(k.factor), r.usable(now)
	if r.Foreign || r.Rejected {
		s.RefreshAt = now
	}
	if r.Intent != nil {
		s.IntentAt = r.Intent.At
	}
	switch {
	case r.Lost != nil:
		s.State, s.LostAt, s.LostReason = "lost", r.Lost.At, r.Lost.Reason
	case k.unsaved:
		s.State = "unsaved"
	case s.Usable:
		s.State = "ok"
	default:
		s.State = "expired"
	}
	return s
}
