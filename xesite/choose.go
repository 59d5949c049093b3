// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"xeiaso.net/site/xesite/release"
)

// Reasons of publications that a person chose.
const (
	// Until a person chooses again, or there is a new commit, these stay.
	reasonRollback = "rollback"
	reasonUpload   = SourceUpload
	// Until a person chooses again, these stay: of what was the site in its own
	// right, and of what was gone back to, by the pin or before it.
	reasonPin     = "pin"
	reasonPinBack = "pin after rollback"
	// The site is what it was before it was pinned.
	reasonUnpin = "unpin"
	// Nothing changed but what is reachable of earlier releases.
	reasonPurge = "purge"
)

// ErrPinned is in the error of what cannot be published because the site is
// pinned to a release.
var ErrPinned = errors.New("the site is pinned to a release: unpin it first")

// ErrBadPath is in the error of [Site.Purge] for what is no path of a site.
var ErrBadPath = errors.New("not a path of the site")

// reason returns why what is served was published.
func (s *Site) reason() string {
	if v := s.production.serving.Load(); v != nil {
		return v.pub.Reason
	}
	return ""
}

// held reports whether what is served was chosen by a person.
func (s *Site) held() bool {
	return s.Pinned() || slices.Contains([]string{reasonRollback, reasonUpload}, s.reason())
}

// Pinned reports whether a release is pinned, see [Site.Pin].
func (s *Site) Pinned() bool {
	return slices.Contains([]string{reasonPin, reasonPinBack}, s.reason())
}

// Rollback publishes a release again that was published before. Commits that
// were built already are not published again by polls, hooks or a restart,
// so it stays until there is a new commit or a rebuild is asked for. The same
// goes for a build of such a commit that runs meanwhile.
func (s *Site) Rollback(ctx context.Context, id release.ID) (Current, error) {
	return s.choose(ctx, id, func([]*release.Publication) (string, error) {
		if s.Pinned() {
			return "", fmt.Errorf("xesite: roll back to %s: %w", id.Short(), ErrPinned)
		}
		return reasonRollback, nil
	})
}

// Pin publishes a release, which may be the current one, and keeps it: until
// [Site.Unpin] nothing else is published, whatever is pushed or asked for. An
// empty id stands for the current release. Previews go on.
func (s *Site) Pin(ctx context.Context, id release.ID) (Current, error) {
	if id == "" {
		cur, err := s.Current()
		if err != nil {
			return Current{}, err
		}
		id = cur.Release
	}
	return s.choose(ctx, id, func(pubs []*release.Publication) (string, error) {
		if wasOwn(id, pubs) {
			return reasonPin, nil
		}
		return reasonPinBack, nil
	})
}

// wasOwn reports whether the last release that was current in its own right,
// and not because a person went back, is this one.
func wasOwn(id release.ID, pubs []*release.Publication) bool {
	for _, pub := range pubs { // newest first
		if pub.Reason != reasonPinBack {
			return pub.Release == id && pub.Reason != reasonRollback && pub.Reason != reasonUpload
		}
	}
	return false
}

// Unpin lets the site go on, and looks for what was pushed meanwhile. If an
// older release was pinned, it stays until there is a new commit, as after a
// rollback.
func (s *Site) Unpin(ctx context.Context) (Current, error) {
	if cur, err := s.Current(); err != nil || !s.Pinned() {
		return cur, err
	}
	cur, err := s.republish(ctx, func(v *serving) release.PublishOptions {
		switch v.pub.Reason {
		case reasonPin:
			return release.PublishOptions{Reason: reasonUnpin}
		case reasonPinBack:
			return release.PublishOptions{Reason: reasonRollback}
		}
		return release.PublishOptions{Reason: v.pub.Reason} // somebody was faster
	})
	if err != nil {
		return Current{}, err
	}
	_, err = s.Trigger(ctx, Trigger{Source: SourceAdmin})
	return cur, err
}

// choose publishes a release that was published before, for the reason that
// its argument makes of the publications, the newest first.
func (s *Site) choose(ctx context.Context, id release.ID, reason func([]*release.Publication) (string, error)) (Current, error) {
	if holder, mine := s.lease.holder(); !mine {
		return Current{}, &NotBuilderError{holder}
	}
	s.publishing.Lock()
	defer s.publishing.Unlock()
	s.production.load(ctx) // who builds since a moment ago may not have followed yet
	pubs, err := s.store.Publications(production)
	if err != nil {
		return Current{}, err
	}
	i := slices.IndexFunc(pubs, func(p *release.Publication) bool { return p.Release == id })
	if i < 0 {
		return Current{}, fmt.Errorf("xesite: publish %s again: %w with this name: see the list of releases", id.Short(), release.ErrNoRelease)
	}
	why, err := reason(pubs)
	if err != nil {
		return Current{}, err
	}
	rel, err := s.store.Release(ctx, id)
	if err != nil {
		return Current{}, err
	}
	pub, err := s.announce(ctx, rel, true, release.PublishOptions{
		Release: id, Commit: pubs[i].Commit, Build: pubs[i].Build, Reason: why,
	})
	if err != nil {
		return Current{}, err
	}
	return current(pub), nil
}

// republish publishes what is served once more, with the options that f adds:
// nothing can come in between.
func (s *Site) republish(ctx context.Context, f func(v *serving) release.PublishOptions) (Current, error) {
	if holder, mine := s.lease.holder(); !mine {
		return Current{}, &NotBuilderError{holder}
	}
	s.publishing.Lock()
	defer s.publishing.Unlock()
	s.production.load(ctx)
	v := s.production.serving.Load()
	if v == nil {
		return Current{}, fmt.Errorf("xesite: %w", release.ErrNoRelease)
	}
	fault := s.production.whyOlder()
	opts := f(v)
	opts.Release, opts.Commit, opts.Build = v.rel.ID, v.pub.Commit, v.pub.Build
	pub, err := s.announce(ctx, v.rel, true, opts)
	if err != nil {
		return Current{}, err
	}
	if fault != nil { // nobody has chosen the older release: a newer one has to come back
		s.production.setFault(fault)
	}
	return current(pub), nil
}

// publish makes a new release the site's, unless another one is pinned. The
// caller holds publishing.
func (s *Site) publish(ctx context.Context, rel *release.Release, opts release.PublishOptions) (*release.Publication, error) {
	if s.Pinned() {
		return nil, fmt.Errorf("xesite: publish %s: %w", rel.ID.Short(), ErrPinned)
	}
	return s.announce(ctx, rel, false, opts)
}

// announce publishes on production and tells the world. The caller holds
// publishing.
func (s *Site) announce(ctx context.Context, rel *release.Release, again bool, opts release.PublishOptions) (*release.Publication, error) {
	prev := s.production.serving.Load()
	pub, err := s.production.publish(ctx, rel, opts)
	if err != nil {
		return nil, err
	}
	if again {
		s.log.InfoContext(ctx, "published again", "reason", opts.Reason, "release", rel.ID.Short(), "sequence", pub.Sequence)
	}
	event := Published{Current: current(pub), Rollback: again, FS: rel.FS()}
	var before *release.Index
	if prev != nil {
		event.Previous, before = prev.rel.ID, prev.rel.Index
	}
	event.Changes = release.Diff(before, rel.Index)
	if s.cfg.OnPublish != nil {
		s.events.add(func() { s.cfg.OnPublish(event) })
	}
	return pub, nil
}

// Purge makes paths unreachable that the current release does not have and
// that are served from earlier ones all the same, see [Config.AssetGrace]. It
// is for what must be gone now. A path that ends in an asterisk stands for
// all that begin like it; without any paths all are meant.
//
// What the current release has itself is not touched: take it out of the
// repository first.
func (s *Site) Purge(ctx context.Context, paths ...string) (Current, error) {
	if len(paths) == 0 {
		paths = []string{"/*"}
	}
	for _, path := range paths {
		if len(path) < 2 || path[0] != '/' {
			return Current{}, fmt.Errorf("xesite: purge %q: %w: it begins with a slash, like /css/site.0123abcd.css or /css/*", path, ErrBadPath)
		}
	}
	return s.republish(ctx, func(v *serving) release.PublishOptions {
		reason := reasonPurge
		if s.held() { // what a person chose stays so
			reason = v.pub.Reason
		}
		return release.PublishOptions{Reason: reason, Purge: paths}
	})
}
