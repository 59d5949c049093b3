// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Observe tells of all posts that the site has now, and plans what is to be done
// about them. It returns when that is recorded, so that nothing is lost after
// it: what is announced is a matter of [Syndicator.Run].
//
// A target that observes for the first time takes every post as seen and
// announces nothing: so it is with a new site, a new target, and records that
// were lost. A post that is missing is not thereby deleted.
//
// A post that is not valid, see [Post.Validate], is left out. A post whose record
// is damaged is not announced, but waits for a person, with [ReasonDamaged]. The
// error then says so, and the others are planned all the same.
func (s *Syndicator) Observe(ctx context.Context, posts []Post) error {
	s.observing.Lock()
	defer s.observing.Unlock()
	valid, err := validPosts(posts)
	errs := []error{err}
	// Another instance may have begun, planned and sent meanwhile.
	if err := s.ledger.load(ctx, true); err != nil {
		return fmt.Errorf("syndicate: %w", err)
	}
	s.mu.Lock()
	s.posts = map[string]Post{}
	for _, p := range valid {
		s.posts[p.Key()] = p
	}
	s.mu.Unlock()
	for _, name := range s.names {
		if err := errors.Join(s.ledger.faults(name), s.plan(ctx, s.targets[name], valid)); err != nil {
			errs = append(errs, fmt.Errorf("syndicate: plan for %s: %w", name, err))
		}
		s.workers[name].wake()
	}
	return errors.Join(errs...)
}

// validPosts returns those that can be announced, oldest first, each once.
func validPosts(posts []Post) ([]Post, error) {
	var valid []Post
	var errs []error
	known := map[string]bool{}
	for _, p := range posts {
		if err := p.Validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		if !known[p.Key()] {
			known[p.Key()] = true
			valid = append(valid, p)
		}
	}
	slices.SortFunc(valid, oldestFirst)
	return valid, errors.Join(errs...)
}

func oldestFirst(a, b Post) int {
	return cmp.Or(a.Published.Compare(b.Published), cmp.Compare(a.ID, b.ID))
}

// plan records what is to be done about the posts at one target.
func (s *Syndicator) plan(ctx context.Context, d *destination, posts []Post) error {
	if s.ledger.sight(d.name) != nil {
		return nil // which is told already
	}
	if !s.ledger.began(d.name) {
		if err := s.begin(ctx, d, posts); !errors.Is(err, errMoved) {
			return err
		}
	}
	var announce []Post
	var old []string
	var errs []error
	var upcoming time.Time
	for _, p := range posts {
		e := s.ledger.get(ref{d.name, OpAnnounce, p.Key()})
		switch verdict := s.judge(d, p, e); verdict {
		case isUpcoming:
			if upcoming.IsZero() || p.Published.Before(upcoming) {
				upcoming = p.Published
			}
		case isNew:
			announce = append(announce, p)
		case isOld:
			old = append(old, p.Key())
		case isKnown:
			errs = append(errs, s.planChange(ctx, d, p, e))
		}
	}
	s.workers[d.name].expect(upcoming)
	if s.cfg.DryRun {
		s.previewAll(ctx, d, announce)
		return errors.Join(errs...)
	}
	if len(old) > 0 {
		errs = append(errs, s.ledger.addSeen(ctx, d.name, old, false))
	}
	return errors.Join(append(errs, s.planAll(ctx, d, announce))...)
}

// begin takes everything that is there as seen.
func (s *Syndicator) begin(ctx context.Context, d *destination, posts []Post) error {
	keys := make([]string, len(posts))
	for i, p := range posts {
		keys[i] = p.Key()
	}
	s.cfg.Logger.InfoContext(ctx, "first look at the posts for a target: they are taken as seen and not announced",
		"target", d.name, "posts", len(posts), "dry_run", s.cfg.DryRun)
	if s.cfg.DryRun {
		return nil
	}
	return s.ledger.addSeen(ctx, d.name, keys, true)
}

// verdict is what is to be done about a post.
type verdict int

const (
	isOutside  verdict = iota // the policy does not want it
	isUpcoming                // it is dated in the future
	isSeen                    // it was there before the target
	isKnown                   // it has a record
	isOld                     // it is too old to be announced
	isNew
)

// judge says what a post is at a target, where it may have an entry.
func (s *Syndicator) judge(d *destination, p Post, e *entry) verdict {
	now := time.Now()
	switch {
	case e != nil:
		return isKnown
	case s.ledger.hasSeen(d.name, p.Key()):
		return isSeen
	case !d.wants(p):
		// Without a date its age would be judged anew each time: it would be
		// new on the day on which the policy changes.
		if p.Published.IsZero() {
			return isOld
		}
		return isOutside
	case p.Published.After(now):
		return isUpcoming
	case s.cfg.MaxAge > 0 && !p.Published.IsZero() && now.Sub(p.Published) > s.cfg.MaxAge:
		return isOld
	}
	return isNew
}

// planAll records announcements of posts that are new. Too many of them at once
// are parked, all of them.
func (s *Syndicator) planAll(ctx context.Context, d *destination, posts []Post) error {
	var reason Reason
	if s.cfg.MaxPerRun > 0 && len(posts) > s.cfg.MaxPerRun {
		reason = ReasonCap
	}
	var errs []error
	for _, p := range posts {
		rec, err := newRecord(OpAnnounce, p)
		if err != nil {
			errs = append(errs, fmt.Errorf("post %q: %w", p.ID, err))
			continue
		}
		if reason != "" {
			rec.State, rec.Reason = Parked, reason
			rec.Error = fmt.Sprintf("%d posts were new at once, more than %d; retry those that are to be announced", len(posts), s.cfg.MaxPerRun)
		}
		errs = append(errs, s.record(ctx, ref{d.name, OpAnnounce, p.Key()}, nil, rec))
	}
	return errors.Join(errs...)
}

func newRecord(op Op, p Post) (record, error) {
	kept, err := keep(p)
	if err != nil {
		return record{}, err
	}
	return record{
		Op: op, State: Planned, ID: p.ID, URL: p.URL, Title: head(kept.Title, maxTitle), Fingerprint: p.Fingerprint(),
		Post: kept, Planned: time.Now().UTC(),
	}, nil
}

// record writes a record that is planned or parked, and tells of it. If somebody
// else was faster, theirs counts.
func (s *Syndicator) record(ctx context.Context, r ref, old *entry, rec record) error {
	e, err := s.ledger.put(ctx, r, old, rec)
	if errors.Is(err, errMoved) {
		return nil
	}
	if err != nil {
		return err
	}
	outcome := OutcomePlanned
	if rec.State == Parked {
		outcome = OutcomeParked
	}
	event := e.event(outcome)
	if rec.Error != "" {
		event.Err = errors.New(rec.Error)
	}
	s.tell(ctx, event)
	return nil
}

// planChange records that a post that has a record is different now: in the
// record itself as long as nothing is on the network, and else as an edit.
func (s *Syndicator) planChange(ctx context.Context, d *destination, p Post, e *entry) error {
	fingerprint := p.Fingerprint()
	switch {
	case s.cfg.DryRun || e.fault != nil:
		return nil
	case e.unsent() && e.Fingerprint != fingerprint:
		return s.planInPlace(ctx, d, p, e)
	case e.State != Confirmed || e.Receipt.ID == "" || !d.edits() || p.Skips(d.Network):
		return nil
	case s.ledger.get(ref{d.name, OpDelete, e.key}).underWay():
		return nil
	}
	return s.planEdit(ctx, d, p, e, fingerprint)
}

// unsent reports whether nothing of an announcement can be on the network, and
// whether it is announced is still open: to us, or to the post's author.
func (e *entry) unsent() bool {
	open := e.State == Planned || e.State == Parked || e.State == Forgotten && e.Reason == ReasonSkipped
	return e.op == OpAnnounce && open && e.Body == nil
}

// underWay reports whether something is done, or going to be. The entry may be
// nil.
func (e *entry) underWay() bool {
	return e != nil && e.State != Forgotten && e.State != Parked
}

// planInPlace changes what is going to be announced. If the author wants the post
// kept off the network now, nothing is, until that changes again.
func (s *Syndicator) planInPlace(ctx context.Context, d *destination, p Post, e *entry) error {
	rec, err := newRecord(OpAnnounce, p)
	if err != nil {
		return fmt.Errorf("post %q: %w", p.ID, err)
	}
	next := e.record
	next.URL, next.Title, next.Fingerprint, next.Post = rec.URL, rec.Title, rec.Fingerprint, rec.Post
	switch wanted := d.wants(p); {
	case !wanted && e.State != Forgotten:
		next.State, next.Reason, next.Error = Forgotten, ReasonSkipped, ""
	case wanted && e.State == Forgotten:
		next.State, next.Reason, next.Planned, next.Due = Planned, "", rec.Planned, time.Time{}
	}
	after, err := s.ledger.put(ctx, e.ref, e, next)
	switch {
	case errors.Is(err, errMoved):
		return nil
	case err == nil && after.State != e.State:
		s.tellOf(ctx, after)
	}
	return err
}

// planEdit records an edit, unless the newest state of the post is on the
// network, on its way there, or was given up.
func (s *Syndicator) planEdit(ctx context.Context, d *destination, p Post, e *entry, fingerprint string) error {
	at := ref{d.name, OpEdit, e.key}
	edit := s.ledger.get(at)
	current := e.Fingerprint
	if edit != nil {
		current = edit.Fingerprint
	}
	if current == fingerprint || edit != nil && edit.State == Attempting {
		return nil // after the attempt there is another look
	}
	rec, err := newRecord(OpEdit, p)
	if err != nil {
		return fmt.Errorf("post %q: %w", p.ID, err)
	}
	rec.Shown = e.Shown
	if edit != nil {
		rec.Shown = edit.Shown
	}
	return s.record(ctx, at, edit, rec)
}

// Removed tells that pages of the site are gone, by their addresses. Where
// [Destination.FollowDeletes] says so, announcements of posts that were there
// are taken back, once the page answers that it is gone; what is not announced by
// then is not announced any more. It changes nothing about posts that
// [Syndicator.Observe] was told of last.
func (s *Syndicator) Removed(ctx context.Context, addresses ...string) error {
	s.observing.Lock()
	defer s.observing.Unlock()
	if err := s.ledger.load(ctx, false); err != nil {
		return fmt.Errorf("syndicate: %w", err)
	}
	var errs []error
	for _, e := range s.ledger.all("") {
		d := s.targets[e.target]
		_, there := s.observed(e.key)
		address := s.address(e)
		gone := slices.ContainsFunc(addresses, func(a string) bool { return address != "" && SameAddress(a, address) })
		if d == nil || !d.FollowDeletes || e.op != OpAnnounce || there || !gone || s.cfg.DryRun {
			continue
		}
		errs = append(errs, s.planDelete(ctx, d, e, false))
		s.workers[d.name].wake()
	}
	return errors.Join(errs...)
}

// address is where the post of an announcement is, as far as is known: it may
// have moved since, which is an edit.
func (s *Syndicator) address(e *entry) string {
	if edit := s.ledger.get(ref{e.target, OpEdit, e.key}); edit != nil && edit.URL != "" {
		return edit.URL
	}
	return e.URL
}

// planDelete records that an announcement is to be taken back. If sure, the page
// need not be gone; otherwise the announcement may be still to come.
func (s *Syndicator) planDelete(ctx context.Context, d *destination, e *entry, sure bool) error {
	at := ref{d.name, OpDelete, e.key}
	if old := s.ledger.get(at); old != nil && old.State != Parked && old.State != Forgotten {
		return nil
	}
	_, can := d.Target.(Deleter)
	switch {
	case !can:
		return fmt.Errorf("syndicate: %s cannot take announcements back", d.name)
	case e.State == Confirmed && e.Receipt.ID == "":
		return fmt.Errorf("syndicate: it is not known what %s calls the announcement of %q", d.name, e.ID)
	case e.State == Forgotten && !sure:
		return nil
	case e.State != Confirmed && sure:
		return fmt.Errorf("syndicate: %q is not announced at %s, it is %s", e.ID, d.name, e.State)
	}
	rec := record{Op: OpDelete, State: Planned, ID: e.ID, URL: s.address(e), Title: e.Title, Receipt: e.Receipt, Planned: time.Now().UTC()}
	if sure {
		rec.Fingerprint = sureDelete
	}
	return s.record(ctx, at, s.ledger.get(at), rec)
}

// sureDelete marks a removal that a person has asked for.
const sureDelete = "asked for"

// again plans once more with the posts that were observed last: one may have
// come out, or changed while it was sent.
func (s *Syndicator) again(ctx context.Context, d *destination) error {
	s.observing.Lock()
	defer s.observing.Unlock()
	posts := s.allObserved()
	if len(posts) == 0 {
		return nil
	}
	return s.plan(ctx, d, posts)
}
