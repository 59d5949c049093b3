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

// collect removes the releases that are no longer kept. It runs between
// builds, so nobody is counting on a blob that is about to go.
func (s *Site) collect(ctx context.Context) {
	s.publishing.Lock() // a rollback may need what is about to go
	defer s.publishing.Unlock()
	keep, err := s.store.Prune(channel, s.cfg.Keep, collectGrace)
	if err == nil {
		if cur := s.serving.Load(); cur != nil {
			keep = append(keep, cur.rel.ID)
		}
		err = s.store.Collect(ctx, keep, collectGrace)
	}
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "remove old releases", "err", err)
	}
}

// polish has the source prepare for the next build, makes the slow codings of
// what is served, then compares contents with their hashes. The next build
// stops it.
func (s *Site) polish(ctx context.Context) {
	cur := s.serving.Load()
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
	rel, err := s.store.Compress(ctx, cur.rel)
	if rel != cur.rel {
		s.serving.CompareAndSwap(cur, s.compile(rel, cur.pub, cur))
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
	s.mu.Lock()
	s.fault = err
	s.mu.Unlock()
	s.queue.add(Trigger{Source: SourceData, Rebuild: true})
}
