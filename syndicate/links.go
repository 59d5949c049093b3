// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PostLinks are the places where a post was announced, which its page can link
// to as u-syndication of microformats.
type PostLinks struct {
	ID    string `json:"id"`
	URL   string `json:"url,omitempty"`
	Links []Link `json:"links"`
}

// Link is one such place.
type Link struct {
	Target string `json:"target"`
	URL    string `json:"url"`
}

// Links returns where posts were announced and are still, in an order that stays,
// so that equal links have equal JSON. Announcements without an address, as on
// IRC, are left out.
func (s *Syndicator) Links(ctx context.Context) ([]PostLinks, error) {
	if err := s.ledger.load(ctx, false); err != nil {
		return nil, fmt.Errorf("syndicate: %w", err)
	}
	byID := map[string]*PostLinks{}
	for _, e := range s.ledger.all("") {
		deleted := s.ledger.get(ref{e.target, OpDelete, e.key})
		gone := deleted != nil && deleted.State == Confirmed
		if e.op != OpAnnounce || e.State != Confirmed || e.Receipt.URL == "" || gone {
			continue
		}
		p := byID[e.ID]
		if p == nil {
			p = &PostLinks{ID: e.ID, URL: e.URL}
			byID[e.ID] = p
		}
		p.Links = append(p.Links, Link{Target: e.target, URL: e.Receipt.URL})
	}
	links := []PostLinks{}
	for _, p := range byID {
		links = append(links, *p)
	}
	slices.SortFunc(links, func(a, b PostLinks) int { return strings.Compare(a.ID, b.ID) })
	return links, nil
}

// Recover rebuilds the records of announcements from the networks, after they
// were lost: it asks each target that is a [Recoverer] which of the posts it has,
// and records those as confirmed. It sends nothing. It returns how many records
// each target got back, and what went wrong with others.
func (s *Syndicator) Recover(ctx context.Context, posts []Post) (map[string]int, error) {
	valid, err := validPosts(posts)
	errs := []error{err}
	if err := s.ledger.load(ctx, true); err != nil {
		return nil, fmt.Errorf("syndicate: %w", err)
	}
	found := map[string]int{}
	for _, name := range s.names {
		r, ok := s.targets[name].Target.(Recoverer)
		if !ok {
			continue
		}
		var receipts map[string]Receipt
		err := s.targets[name].exclusively(ctx, func() (err error) {
			receipts, err = r.Recover(ctx, valid)
			return err
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("syndicate: recover from %s: %w", name, err))
		}
		for _, p := range valid {
			receipt, ok := receipts[p.ID]
			if !ok {
				continue
			}
			did, err := s.recovered(ctx, name, p, receipt)
			errs = append(errs, err)
			if did {
				found[name]++
			}
		}
		s.workers[name].wake()
	}
	return found, errors.Join(errs...)
}

// recovered records that a post is announced, unless that is known.
func (s *Syndicator) recovered(ctx context.Context, target string, p Post, receipt Receipt) (did bool, err error) {
	e, err := s.ledger.change(ctx, ref{target, OpAnnounce, p.Key()}, func(old *entry) (record, bool, error) {
		next, err := newRecord(OpAnnounce, p)
		if err != nil {
			return record{}, false, err
		}
		if old != nil {
			next = old.record
		}
		did = old == nil || old.State != Confirmed
		next.confirmed(receipt)
		return next, did, nil
	})
	if err != nil {
		return false, fmt.Errorf("syndicate: recover %q at %s: %w", p.ID, target, err)
	}
	if did {
		s.tell(ctx, e.event(OutcomeConfirmed))
	}
	return did, nil
}
