// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// Event is something that came about with an announcement, an edit or a removal.
type Event struct {
	Target  string
	Op      Op
	Post    string // the id
	Key     string // of the post
	URL     string // of the post
	Attempt int    // from 1; 0: before the first
	Outcome Outcome
	Reason  Reason // why it is parked
	Receipt Receipt
	Err     error
	Next    time.Time     // when something is done again, if it is not over
	Took    time.Duration // the attempt, if there was one
}

// Outcome is what an [Event] tells of.
type Outcome string

// Outcomes.
const (
	OutcomePlanned   Outcome = "planned"   // it is going to be sent
	OutcomeConfirmed Outcome = "confirmed" // it is on the network
	OutcomeParked    Outcome = "parked"    // a person has to decide
	OutcomeRetried   Outcome = "retried"   // it was not sent, and will be tried again
	OutcomeUnknown   Outcome = "unknown"   // the network will be asked what became of it
	OutcomeForgotten Outcome = "forgotten" // a person has decided against it
	OutcomeDoubled   Outcome = "doubled"   // it is on the network twice, the second time as Receipt
)

// tell passes an event on, and counts and logs it.
func (s *Syndicator) tell(ctx context.Context, e Event) {
	s.count(e)
	attrs := []slog.Attr{
		slog.String("post", e.Post),
		slog.String("target", e.Target),
		slog.String("op", string(e.Op)),
		slog.Int("attempt", e.Attempt),
		slog.String("outcome", string(e.Outcome)),
	}
	level := slog.LevelInfo
	switch e.Outcome {
	case OutcomeParked, OutcomeDoubled: // a person has to act
		level = slog.LevelError
	case OutcomeRetried, OutcomeUnknown:
		level = slog.LevelWarn
	}
	if e.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(e.Reason)))
	}
	if e.Receipt.URL != "" {
		attrs = append(attrs, slog.String("url", e.Receipt.URL))
	}
	if !e.Next.IsZero() {
		attrs = append(attrs, slog.Time("next", e.Next))
	}
	if e.Took > 0 {
		attrs = append(attrs, slog.Duration("dur", e.Took))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("err", e.Err.Error()))
	}
	s.cfg.Logger.LogAttrs(ctx, level, "syndication", attrs...)
	if s.cfg.OnEvent == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil { // what it is told of has happened all the same
			s.cfg.Logger.ErrorContext(ctx, "OnEvent panicked", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	s.cfg.OnEvent(e)
}

// event is what all events about a record have in common.
func (e *entry) event(outcome Outcome) Event {
	return Event{
		Target: e.target, Op: e.op, Post: e.ID, Key: e.key, URL: e.URL,
		Attempt: e.Attempts, Outcome: outcome, Reason: e.Reason, Receipt: e.Receipt,
	}
}
