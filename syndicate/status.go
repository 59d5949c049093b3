// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Status is what is known about a [Syndicator].
type Status struct {
	DryRun  bool           `json:"dry_run,omitempty"`
	Targets []TargetStatus `json:"targets"` // by name
}

// TargetStatus is what is known about one target.
type TargetStatus struct {
	Name  string `json:"name"`
	Began bool   `json:"began"` // false: the next look takes all posts as seen
	Seen  int    `json:"seen"`  // posts that are not announced, since they were there before
	// Outbox is how many announcements, edits and removals there are by state,
	// with those of each state, if only 0.
	Outbox map[State]int `json:"outbox"`
	// Counts are how often there was an [Outcome] since the start.
	Counts map[Outcome]int `json:"counts"`
	// Fault is why nothing is sent there now, and Until when it is tried again.
	Fault string    `json:"fault,omitempty"`
	Until time.Time `json:"until,omitzero"`
	// Halted says that a person has to mend something.
	Halted bool `json:"halted,omitempty"`
}

// Entry is an announcement, an edit or a removal.
type Entry struct {
	Target   string    `json:"target"`
	Key      string    `json:"id"` // of the post, as commands want it
	Op       Op        `json:"op"`
	State    State     `json:"state"`
	Reason   Reason    `json:"reason,omitempty"`
	Error    string    `json:"error,omitempty"` // the last one
	Post     string    `json:"post"`            // the post's id
	URL      string    `json:"post_url,omitempty"`
	Title    string    `json:"title,omitempty"`
	Attempts int       `json:"attempts"`
	Planned  time.Time `json:"planned,omitzero"`
	Due      time.Time `json:"due,omitzero"`
	Done     time.Time `json:"done,omitzero"`
	Receipt  Receipt   `json:"receipt,omitzero"`
	// Removable says that [Syndicator.Delete] can take it back.
	Removable bool `json:"removable,omitempty"`
}

// Status returns how things stand, as far as this instance has seen.
func (s *Syndicator) Status() Status {
	st := Status{DryRun: s.cfg.DryRun}
	for _, name := range s.names {
		t := TargetStatus{
			Name: name, Began: s.ledger.began(name), Seen: s.ledger.seenCount(name),
			Outbox: map[State]int{Planned: 0, Attempting: 0, Confirmed: 0, Parked: 0},
			Counts: s.counted(name),
		}
		for _, e := range s.ledger.all(name) {
			t.Outbox[e.State]++
		}
		if d := s.workers[name].state(); d.err != "" {
			t.Fault, t.Until, t.Halted = d.err, d.until, d.halted
		}
		st.Targets = append(st.Targets, t)
	}
	return st
}

// Entries reads all records from the store, and returns them, those that need a
// person first, then by time, newest first. The error is that of the store.
func (s *Syndicator) Entries(ctx context.Context) ([]Entry, error) {
	if err := s.ledger.load(ctx, true); err != nil {
		return nil, fmt.Errorf("syndicate: %w", err)
	}
	var entries []Entry
	for _, e := range s.ledger.all("") {
		public := e.public()
		if d := s.targets[e.target]; d != nil {
			_, deletes := d.Target.(Deleter)
			public.Removable = deletes && e.op == OpAnnounce && e.State == Confirmed && e.Receipt.ID != ""
		}
		entries = append(entries, public)
	}
	order := []State{Parked, Attempting, Planned, Confirmed, Forgotten}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(slices.Index(order, a.State)-slices.Index(order, b.State), later(b.Planned, b.Done).Compare(later(a.Planned, a.Done)))
	})
	return entries, nil
}

func (e *entry) public() Entry {
	return Entry{
		Target: e.target, Key: e.key, Op: e.op, State: e.State, Reason: e.Reason, Error: e.Error,
		Post: e.ID, URL: e.URL, Title: e.Title, Attempts: e.Attempts,
		Planned: e.Planned, Due: e.Due, Done: e.Done, Receipt: e.Receipt,
	}
}

func (s *Syndicator) count(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[e.Target] == nil {
		s.counts[e.Target] = map[Outcome]int{}
	}
	s.counts[e.Target][e.Outcome]++
}

func (s *Syndicator) counted(target string) map[Outcome]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[Outcome]int{}
	maps.Copy(counts, s.counts[target])
	return counts
}
