// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"errors"
	"time"

	"xeiaso.net/site/xesite/release"
)

// collectGrace is how long after its replacement a release's files stay for
// responses that began before.
const collectGrace = 10 * time.Minute

// collect removes the releases that are no longer kept, and previews that have
// had their time. While somebody writes a release, who counts on blobs that
// nothing else may use any more, it leaves that to the next time.
func (s *Site) collect(ctx context.Context) {
	if !s.writing.TryLock() {
		return
	}
	defer s.writing.Unlock()
	s.previews.expire(ctx)
	s.publishing.Lock() // a rollback may need what is about to go
	defer s.publishing.Unlock()
	keep, err := s.kept()
	if err == nil {
		err = s.store.Collect(ctx, keep, collectGrace)
	}
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "remove old releases", "err", err)
	}
}

// kept returns the releases to keep, after it has removed the records of
// others.
func (s *Site) kept() (keep []release.ID, err error) {
	names, err := s.store.Channels()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		n := s.cfg.Keep
		if name != production {
			n = 1
		}
		ids, err := s.store.Prune(name, n, collectGrace)
		if err != nil {
			return nil, err
		}
		keep = append(keep, ids...)
	}
	if cur := s.production.serving.Load(); cur != nil {
		keep = append(keep, cur.rel.ID)
		for _, e := range cur.earlier {
			keep = append(keep, e.id)
		}
	}
	return keep, nil
}

// polish has the source prepare for the next build, makes the slow codings of
// what is served, then compares contents with their hashes. The next build
// stops it.
func (s *Site) polish(ctx context.Context) {
	cur := s.production.serving.Load()
	if cur == nil {
		return
	}
	// First the short work, which makes the next build faster.
	if m, ok := s.cfg.Source.(Maintainer); ok {
		if err := m.Maintain(ctx); err != nil {
			s.log.WarnContext(ctx, "maintain the source", "err", err)
		}
	}
	if s.polished != cur.rel.ID && ctx.Err() == nil {
		s.compress(ctx, cur)
	}
	if ctx.Err() == nil && time.Since(s.verified) > verifyEvery {
		s.verified = time.Now()
		s.verify(ctx, cur.rel)
	}
}

// compress adds the slow codings. What clients hold stays valid: a coding only
// joins.
func (s *Site) compress(ctx context.Context, cur *serving) {
	s.writing.RLock() // what is written is not visible yet, and may be old when it is
	defer s.writing.RUnlock()
	rel, err := s.store.Compress(ctx, cur.rel)
	for rel != cur.rel && !s.production.serving.CompareAndSwap(cur, s.production.compile(rel, cur.pub, cur.earlier, cur)) {
		// It may have been published again meanwhile.
		if cur = s.production.serving.Load(); cur.rel.ID != rel.ID {
			return
		}
	}
	switch {
	case err == nil:
		s.polished = rel.ID
	case ctx.Err() == nil:
		s.log.WarnContext(ctx, "compress", "release", rel.ID.Short(), "err", err)
	}
}

// verifyEvery is how often all contents are compared with their hashes.
const verifyEvery = 24 * time.Hour

// verify reports contents that rotted, and has them built again.
func (s *Site) verify(ctx context.Context, rel *release.Release) {
	err := s.store.Verify(ctx, rel)
	if !errors.Is(err, release.ErrCorrupt) || ctx.Err() != nil {
		return
	}
	s.log.ErrorContext(ctx, "the release is damaged on disk; building it again", "err", err)
	if err := s.store.Quarantine(ctx, rel); err != nil {
		s.log.ErrorContext(ctx, "remove the damaged contents", "err", err)
	}
	s.production.setFault(err)
	s.queue.add(Trigger{Source: SourceData, Rebuild: true})
}
