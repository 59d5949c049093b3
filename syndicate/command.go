// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Errors of commands.
var (
	// ErrNoEntry says that there is no such target, or nothing about the post
	// at that target.
	ErrNoEntry = errors.New("there is no such announcement")
	// ErrState says that the command does not make sense as things stand.
	ErrState = errors.New("not as things stand")

	errAddress = errors.New("not an address")
)

// Retry has something done that is parked, waits or was forgotten, and has a post
// announced that was taken as seen, if it was observed. The key is [Post.Key].
//
// Whoever retries what is parked with [ReasonUnknown] should have looked that it
// is not on the network: it is sent again.
func (s *Syndicator) Retry(ctx context.Context, target, key string) error {
	err := s.command(ctx, target, key, func(e *entry) (record, bool, error) {
		next := e.record
		switch e.State {
		case Confirmed:
			return record{}, false, nil
		case Attempting:
			if !e.Ended {
				return record{}, false, fmt.Errorf("%w: it is under way, or its outcome is not known yet; wait a moment", ErrState)
			}
			return record{}, false, nil // is looked at again
		}
		next.State, next.Reason, next.Error, next.Due = Planned, "", "", time.Time{}
		next.Planned = time.Now().UTC()
		if e.op == OpDelete {
			next.Fingerprint = sureDelete
		}
		if next.Body == nil && next.Post == nil && e.op != OpDelete {
			return record{}, false, fmt.Errorf("%w: the post is not known any more", ErrState)
		}
		return next, true, nil
	})
	if errors.Is(err, ErrNoEntry) && s.ledger.hasSeen(target, key) {
		return s.announceSeen(ctx, target, key)
	}
	return err
}

// announceSeen plans a post that was taken as seen.
func (s *Syndicator) announceSeen(ctx context.Context, target, key string) error {
	p, ok := s.observed(key)
	if !ok || s.targets[target] == nil {
		return fmt.Errorf("syndicate: %s at %q: %w among the posts that the site has now", key, target, ErrNoEntry)
	}
	rec, err := newRecord(OpAnnounce, p)
	if err != nil {
		return fmt.Errorf("syndicate: post %q: %w", p.ID, err)
	}
	defer s.workers[target].wake()
	return s.record(ctx, ref{target, OpAnnounce, key}, nil, rec)
}

// Confirm says that a post is announced at a target, by whatever means, at an
// address there, which may be empty. It is not sent any more.
func (s *Syndicator) Confirm(ctx context.Context, target, key, address string) error {
	if err := checkURL("the address", address, true); err != nil {
		return fmt.Errorf("syndicate: %w: %w", errAddress, err)
	}
	return s.command(ctx, target, key, func(e *entry) (record, bool, error) {
		switch {
		case e.op != OpAnnounce && e.final():
			return record{}, false, nil
		case e.State == Attempting && !e.Ended:
			return record{}, false, fmt.Errorf("%w: it is under way; wait a moment", ErrState)
		}
		next := e.record
		receipt := e.Receipt
		if address != "" && e.op == OpAnnounce {
			receipt.URL = address
		}
		next.confirmed(receipt)
		return next, true, nil
	})
}

// Forget decides that something that is planned or parked is not done. A post is
// not announced at that target any more.
func (s *Syndicator) Forget(ctx context.Context, target, key string) error {
	return s.command(ctx, target, key, func(e *entry) (record, bool, error) {
		switch {
		case e.State == Confirmed || e.State == Forgotten:
			return record{}, false, nil
		case e.State == Attempting && !e.Ended:
			return record{}, false, fmt.Errorf("%w: it is under way; wait a moment", ErrState)
		}
		next := e.record
		next.State, next.Reason, next.Ended, next.Due = Forgotten, "", false, time.Time{}
		return next, true, nil
	})
}

// Delete takes an announcement back, whether or not the page is there.
func (s *Syndicator) Delete(ctx context.Context, target, key string) error {
	d, err := s.find(ctx, target)
	if err != nil {
		return err
	}
	s.observing.Lock()
	defer s.observing.Unlock()
	e, err := s.ledger.refresh(ctx, ref{target, OpAnnounce, key})
	if err != nil {
		return fmt.Errorf("syndicate: %w", err)
	}
	if e == nil {
		return fmt.Errorf("syndicate: %s at %q: %w", key, target, ErrNoEntry)
	}
	defer s.workers[target].wake()
	if err := s.planDelete(ctx, d, e, true); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// find returns a target whose records are loaded.
func (s *Syndicator) find(ctx context.Context, target string) (*destination, error) {
	d := s.targets[target]
	if d == nil {
		return nil, fmt.Errorf("syndicate: target %q: %w; there are %q", target, ErrNoEntry, slices.Sorted(maps.Keys(s.targets)))
	}
	if err := s.ledger.load(ctx, false); err != nil {
		return nil, fmt.Errorf("syndicate: %w", err)
	}
	return d, nil
}

// command changes the records of a post at a target. A change returns false for
// what it leaves as it is.
func (s *Syndicator) command(ctx context.Context, target, key string, change func(*entry) (record, bool, error)) error {
	if _, err := s.find(ctx, target); err != nil {
		return err
	}
	found := false
	for _, op := range []Op{OpAnnounce, OpEdit, OpDelete} {
		did := false
		e, err := s.ledger.change(ctx, ref{target, op, key}, func(old *entry) (next record, ok bool, err error) {
			if old == nil {
				return record{}, false, nil
			}
			found = true
			next, did, err = change(old)
			return next, did, err
		})
		if err != nil {
			return fmt.Errorf("syndicate: %s at %s: %w", key, target, err)
		}
		if did {
			s.tellOf(ctx, e)
		}
	}
	s.workers[target].forgive()
	if !found {
		return fmt.Errorf("syndicate: %s at %q: %w", key, target, ErrNoEntry)
	}
	return nil
}

// tellOf tells of what a command has made of an entry.
func (s *Syndicator) tellOf(ctx context.Context, e *entry) {
	outcome := map[State]Outcome{Planned: OutcomePlanned, Confirmed: OutcomeConfirmed, Forgotten: OutcomeForgotten}[e.State]
	s.tell(ctx, e.event(outcome))
}
