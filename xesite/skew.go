// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"slices"
	"strings"
	"time"

	"xeiaso.net/site/xesite/release"
	"xeiaso.net/site/xesite/serve"
)

// A page that was opened before a publication asks for its style sheet after
// it. What has a fingerprint in its name stays reachable for a while, unless
// the current release has something else at that path.

// earlier is the assets of a release that was served before.
type earlier struct {
	rel      *release.Release // only its assets
	id       release.ID
	sequence uint64
	ended    time.Time // when it was replaced
}

// isAsset reports whether a file stays reachable after its release. HTML never
// does: an old page is wrong, not late.
func isAsset(f release.File) bool {
	return serve.Fingerprinted(f.Path) && !strings.HasPrefix(f.Type, "text/html")
}

// before returns the earlier releases to keep reachable next to a publication
// that follows cur. Previews have none: their pages load again by themselves,
// and only their newest release is kept.
func (c *channel) before(cur *serving, pub *release.Publication) []earlier {
	if cur == nil || c.site.cfg.AssetGrace < 0 || c != c.site.production {
		return nil
	}
	all := cur.earlier
	if cur.rel.ID != pub.Release {
		all = slices.Insert(slices.Clone(all), 0, earlier{
			rel: cur.rel.Only(isAsset), id: cur.rel.ID, sequence: cur.pub.Sequence, ended: pub.PublishedAt,
		})
	}
	return c.reachable(all, pub)
}

// reachable leaves out what is too old, was purged, or is the release itself.
func (c *channel) reachable(all []earlier, pub *release.Publication) (kept []earlier) {
	for _, e := range all {
		known := func(o earlier) bool { return o.id == e.id }
		if e.id == pub.Release || pub.PublishedAt.Sub(e.ended) >= c.site.cfg.AssetGrace ||
			len(kept) >= c.site.cfg.Keep-1 || slices.ContainsFunc(kept, known) {
			continue
		}
		if len(pub.Purged) > 0 {
			e.rel = e.rel.Only(func(f release.File) bool { return !pub.IsPurged("/"+f.Path, e.sequence) })
		}
		if len(e.rel.Index.Files) > 0 {
			kept = append(kept, e)
		}
	}
	return kept
}

// recall makes the assets of earlier releases reachable after a start. It
// reads their indexes, so it runs when the site is being served already; if
// something is published meanwhile, it begins again.
func (c *channel) recall(ctx context.Context) {
	for cur := c.serving.Load(); cur != nil && c.site.cfg.AssetGrace >= 0; cur = c.serving.Load() {
		all := c.published(ctx, cur)
		if len(all) == 0 || c.serving.CompareAndSwap(cur, c.compile(cur.rel, cur.pub, all, cur)) {
			return
		}
	}
}

// published returns what the records say is still reachable beside cur.
func (c *channel) published(ctx context.Context, cur *serving) []earlier {
	pubs, err := c.site.store.Publications(c.name)
	if err != nil {
		c.site.log.WarnContext(ctx, "look for earlier releases", "err", err)
	}
	var all []earlier
	ended := cur.pub.PublishedAt
	for _, pub := range pubs { // newest first
		if pub.Sequence >= cur.pub.Sequence {
			continue
		}
		e := earlier{id: pub.Release, sequence: pub.Sequence, ended: ended}
		ended = pub.PublishedAt
		if time.Since(e.ended) >= c.site.cfg.AssetGrace || ctx.Err() != nil {
			break
		}
		if e.rel, err = c.site.store.Subset(ctx, pub.Release, isAsset); err == nil {
			all = append(all, e)
		}
	}
	return c.reachable(all, cur.pub)
}

// forget ends the reachability of what has had its time.
func (c *channel) forget() {
	cur := c.serving.Load()
	if cur == nil {
		return
	}
	expired := func(e earlier) bool { return time.Since(e.ended) >= c.site.cfg.AssetGrace }
	if slices.ContainsFunc(cur.earlier, expired) {
		left := slices.DeleteFunc(slices.Clone(cur.earlier), expired)
		c.serving.CompareAndSwap(cur, c.compile(cur.rel, cur.pub, left, cur))
	}
}
