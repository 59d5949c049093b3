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

// Retry has something done that is parked or waits, or else what was forgotten,
// and has a post announced that was taken as seen, if it was observed. A removal
// that was forgotten is not revived: that is what [Syndicator.Delete] is for. The
// key is [Post.Key].
//
// Whoever retries what is parked with [ReasonUnknown] or [ReasonDamaged] should
// have looked that it is not on the network: it is sent again.
func (s *Syndicator) Retry(ctx context.Context, target, key string) error {
	waits := false
	err := s.command(ctx, target, key, func(e *entry) (record, bool, error) {
		next := e.record
		switch e.State {
		case Confirmed:
			return record{}, false, nil
		case Forgotten:
			if waits || e.op == OpDelete || s.anyWaits(target, key) {
				return record{}, false, nil
			}
		case Attempting:
			if !e.Ended {
				return record{}, false, fmt.Errorf("%w: it is under way, or its outcome is not known yet; wait a moment", ErrState)
			}
			waits = true
			return record{}, false, nil // is looked at again
		}
		waits = true
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
	defer s.workers[target].forgive()
	return s.record(ctx, ref{target, OpAnnounce, key}, nil, rec)
}

// anyWaits reports whether something about a post is parked or not done yet.
func (s *Syndicator) anyWaits(target, key string) bool {
	return slices.ContainsFunc([]Op{OpAnnounce, OpEdit, OpDelete}, func(op Op) bool {
		e := s.ledger.get(ref{target, op, key})
		return e != nil && e.State != Confirmed && e.State != Forgotten
	})
}

// Confirm says that a post is announced at a target, by whatever means, at an
// address there, which may be empty. It is not sent any more; nor is an edit that
// waits. With an address it also corrects the one of an announcement that is
// confirmed.
func (s *Syndicator) Confirm(ctx context.Context, target, key, address string) error {
	if err := checkURL("the address", address, true); err != nil {
		return fmt.Errorf("syndicate: %w: %w", errAddress, err)
	}
	return s.command(ctx, target, key, func(e *entry) (record, bool, error) {
		switch {
		case e.op == OpDelete, e.op == OpEdit && (e.State == Confirmed || e.State == Forgotten):
			return record{}, false, nil
		case e.State == Confirmed && (address == "" || address == e.Receipt.URL):
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
	d, err := s.find(ctx, target, key)
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

// find returns a target whose records are loaded, if the key is one.
func (s *Syndicator) find(ctx context.Context, target, key string) (*destination, error) {
	d := s.targets[target]
	if !validKey(key) {
		return nil, fmt.Errorf("syndicate: post %q: %w; want 16 hexadecimal digits", shorten(key), ErrNoEntry)
	}
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
	if _, err := s.find(ctx, target, key); err != nil {
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
			if old, err = s.mended(old); err != nil {
				return record{}, false, err
			}
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

// mended returns an entry about which a person can decide: in place of a record
// that is damaged one of the post as the site has it now. It is taken for one that
// may be on the network.
func (s *Syndicator) mended(e *entry) (*entry, error) {
	if e.fault == nil {
		return e, nil
	}
	p, ok := s.observed(e.key)
	if !ok || e.again {
		return nil, fmt.Errorf("%w: %w", ErrState, e.fault)
	}
	rec, err := newRecord(e.op, p)
	if err != nil {
		return nil, err
	}
	rec.State, rec.Reason, rec.Error, rec.Unknown = Parked, ReasonDamaged, e.Error, rec.Planned
	after := *e
	after.record, after.fault = rec, nil
	return &after, nil
}

// tellOf tells of what a command has made of an entry.
func (s *Syndicator) tellOf(ctx context.Context, e *entry) {
	outcome := map[State]Outcome{Planned: OutcomePlanned, Confirmed: OutcomeConfirmed, Forgotten: OutcomeForgotten}[e.State]
	s.tell(ctx, e.event(outcome))
}
