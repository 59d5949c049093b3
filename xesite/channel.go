// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"xeiaso.net/site/xesite/release"
	"xeiaso.net/site/xesite/serve"
)

// production is the name of the channel that visitors see.
const production = "production"

// previewBudget is how much of its content a preview keeps in memory: there
// may be many, and each has few visitors.
const previewBudget = 4 << 20

// channel is what is built from one branch and served at one address:
// production, or a preview.
type channel struct {
	site    *Site
	name    string
	branch  string    // empty: production
	made    time.Time // of a preview, see previewRecord
	source  Source
	siteURL string
	pages   []byte // what is added to the end of each page

	serving atomic.Pointer[serving]
	reload  reloader

	mu    sync.Mutex // guards what follows
	bad   uint64     // sequence of a publication that could not be loaded
	fault error      // why an older release is served than should be
}

// serving is what is answered from, all of one release.
type serving struct {
	handler *serve.Handler
	rel     *release.Release
	pub     *release.Publication
	earlier []earlier // releases before it whose assets are still reachable
	info    []byte    // build.json
}

// load serves what the pointer names, if it is newer than what is served, or
// the newest whole release before it.
func (c *channel) load(ctx context.Context) {
	store, log := c.site.store, c.site.log
	p, err := store.Pointer(c.name)
	if errors.Is(err, release.ErrNoRelease) {
		return
	}
	c.mu.Lock()
	skip := err == nil && p.Sequence == c.bad
	c.mu.Unlock()
	if cur := c.serving.Load(); err == nil && (skip || cur != nil && cur.pub.Sequence >= p.Sequence) {
		return
	}
	rel, pub, err := store.Load(ctx, c.name)
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	c.fault, c.bad = err, 0
	if err != nil {
		c.bad = p.Sequence
	}
	c.mu.Unlock()
	if err != nil {
		log.ErrorContext(ctx, "the current release cannot be served; serving the last one that is whole", "channel", c.name, "err", err)
	}
	if rel != nil {
		c.swap(rel, pub)
	}
}

// degraded reports whether an older release is served than was published.
func (c *channel) degraded() bool { return c.whyOlder() != nil }

// whyOlder returns why an older release is served than was published, nil if
// none is.
func (c *channel) whyOlder() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

// setFault notes why an older release is served, nil that none is.
func (c *channel) setFault(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = err
	if err == nil {
		c.bad = 0
	}
}

// swap makes a release the one that is served, unless a newer publication is.
func (c *channel) swap(rel *release.Release, pub *release.Publication) {
	for {
		cur := c.serving.Load()
		if cur != nil && cur.pub.Sequence > pub.Sequence {
			return
		}
		next := c.compile(rel, pub, c.before(cur, pub), cur)
		if c.serving.CompareAndSwap(cur, next) {
			break
		}
	}
	c.reload.notify()
}

func (c *channel) compile(rel *release.Release, pub *release.Publication, before []earlier, prev *serving) *serving {
	opts := serve.Options{Modified: pub.Modified, AppendHTML: c.pages, OnError: func(err error) {
		c.site.log.Error("a file of the release cannot be read", "channel", c.name, "err", err)
	}}
	if c != c.site.production {
		opts.MemoryBudget = previewBudget
	}
	for _, e := range before {
		opts.Earlier = append(opts.Earlier, e.rel)
	}
	if prev != nil {
		opts.Previous = prev.handler
	}
	next := &serving{handler: serve.New(rel, opts), rel: rel, pub: pub, earlier: before}
	next.info, _ = json.Marshal(current(pub)) // plain fields cannot fail
	return next
}

func current(p *release.Publication) Current {
	return Current{p.Release, p.Commit, p.Sequence, p.PublishedAt}
}

// current returns what is served.
func (c *channel) current() (Current, error) {
	v := c.serving.Load()
	if v == nil {
		return Current{}, fmt.Errorf("xesite: %w", release.ErrNoRelease)
	}
	return current(v.pub), nil
}

// serve answers from the current release, and with 503 while there is none.
func (c *channel) serve(w http.ResponseWriter, r *http.Request) (status int) {
	if v := c.serving.Load(); v != nil {
		return v.handler.Serve(w, r)
	}
	return unavailable(w, r)
}

// publish moves the pointer and serves the release. The caller holds the
// site's publishing.
func (c *channel) publish(ctx context.Context, rel *release.Release, opts release.PublishOptions) (*release.Publication, error) {
	fence, mine := c.site.lease.fence()
	if !mine {
		holder, _ := c.site.lease.holder()
		return nil, &NotBuilderError{holder}
	}
	opts.Fence = fence
	pub, err := c.site.store.Publish(ctx, c.name, opts)
	if err != nil {
		c.load(ctx) // it may have been published all the same
		return nil, err
	}
	c.setFault(nil)
	c.swap(rel, pub)
	return pub, nil
}
