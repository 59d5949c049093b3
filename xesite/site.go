// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"xeiaso.net/site/internal/atomicfile"
	"xeiaso.net/site/xesite/release"
	"xeiaso.net/site/xesite/state"
)

// Site builds and serves one web site. Make one with [New]; it serves at
// once, and [Site.Run] keeps it up to date. Its methods may be called from any
// number of goroutines.
type Site struct {
	cfg        Config
	log        *slog.Logger
	store      *release.Store
	state      state.Store
	lease      *lease
	queue      *queue
	history    history
	data       dataCache
	keys       *keyring
	metrics    *metrics
	events     eventQueue
	publishing sync.Mutex // one publication at a time, and none while releases are removed
	numbering  sync.Mutex // one build at a time gets its number
	// writing is read-locked from the first blob of a release to its
	// publication, and while variants are made; it is locked while blobs are
	// removed.
	writing  sync.RWMutex
	repolish chan struct{} // has room for one: something was published aside from builds
	mark     string        // of the processes of this data directory's builds

	production *channel
	previews   *previews

	// Only polish uses these.
	verified time.Time  // when contents were last compared with their hashes
	polished release.ID // the release that has all codings

	drained   chan struct{} // closed when Run ends
	drainOnce sync.Once

	mu      sync.Mutex // guards what follows
	running *Build     // the build that runs
	last    *Build     // the last one of production that ended
}

// Current tells what is served.
type Current struct {
	Release     release.ID `json:"release"`
	Commit      string     `json:"commit"`
	Sequence    uint64     `json:"sequence"`
	PublishedAt time.Time  `json:"published_at"`
}

// Published tells of one publication.
type Published struct {
	Current
	Previous release.ID      // the release before, empty for the first
	Changes  release.Changes // against Previous
	Rollback bool            // a release that was published before was published again
	FS       fs.FS           // the files of the release
}

// New opens the data directory and loads the last good release. It does not
// use the network, runs nothing, and works while another instance is running
// on the same directory.
func New(ctx context.Context, cfg Config) (*Site, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Site{cfg: cfg, log: cfg.Logger, queue: newQueue(), drained: make(chan struct{}), repolish: make(chan struct{}, 1)}
	for _, dir := range []string{"", "build", "builds", "cache", "git", "state"} {
		if err := atomicfile.MkdirAll(s.path(dir), 0o700); err != nil {
			return nil, fmt.Errorf("xesite: data directory: %w", err)
		}
	}
	s.mark = directoryID(cfg.DataDir)
	if s.store, err = release.Open(cfg.DataDir); err != nil {
		return nil, err
	}
	s.state = cfg.State
	if s.state == nil {
		if s.state, err = state.OpenDir(s.path("state")); err != nil {
			return nil, err
		}
	}
	s.lease = &lease{store: s.state, lockPath: s.path("lock"), name: cfg.Instance, host: machineID(), log: s.log}
	s.lease.floor = s.highestFence
	s.history = history{s.path("builds")}
	s.keys = &keyring{path: s.path("builds", "keys.json")}
	s.data = dataCache{dir: s.path("cache", "data"), files: cfg.DataFiles}
	s.metrics = newMetrics(s)
	s.events.log = s.log
	s.last = s.history.last("")
	s.production = &channel{site: s, name: production, source: cfg.Source, siteURL: cfg.SiteURL}
	if cfg.LiveReload {
		s.production.pages = reloadTag("")
	}
	s.previews = newPreviews(s, cfg.Previews)
	s.production.load(ctx)
	return s, nil
}

// highestFence returns the highest fence that was published with.
func (s *Site) highestFence() (fence uint64) {
	names, _ := s.store.Channels() // what cannot be read cannot be published on
	for _, name := range names {
		if p, err := s.store.Pointer(name); err == nil {
			fence = max(fence, p.Fence)
		}
	}
	return fence
}

// Format prints which site it is. What its configuration holds is not for
// logs, see [Git.Format].
func (s *Site) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "site in %s", s.cfg.DataDir) }

func (s *Site) path(elem ...string) string {
	return filepath.Join(append([]string{s.cfg.DataDir}, elem...)...)
}

// Current returns what is served. The error is [release.ErrNoRelease] if
// nothing is.
func (s *Site) Current() (Current, error) {
	return s.production.current()
}

// FS returns the files of the release that is served now; it stays with that
// release. Without one it is empty.
func (s *Site) FS() fs.FS {
	if v := s.production.serving.Load(); v != nil {
		return v.rel.FS()
	}
	return (&release.Release{Index: &release.Index{}}).FS()
}

// Ready reports whether a release is served and the site is not draining.
func (s *Site) Ready() bool {
	select {
	case <-s.drained:
		return false
	default:
		return s.production.serving.Load() != nil
	}
}

// Releases lists the publications that can be rolled back to, newest first.
func (s *Site) Releases() ([]Current, error) {
	pubs, err := s.store.Publications(production)
	if err != nil {
		return nil, err
	}
	p, err := s.store.Pointer(production)
	if err != nil && !errors.Is(err, release.ErrNoRelease) {
		return nil, err
	}
	var all []Current
	for _, pub := range pubs {
		if pub.Sequence <= p.Sequence {
			all = append(all, current(pub))
		}
	}
	return all, nil
}

// NotBuilderError is returned where only the instance that builds can do what
// was asked.
type NotBuilderError struct {
	Holder string // the instance that can, empty if there is none
}

// Error names the instance to ask.
func (e *NotBuilderError) Error() string {
	if e.Holder == "" {
		return "xesite: no instance is building at the moment: try again in some seconds"
	}
	return fmt.Sprintf("xesite: this instance does not build: ask %s", e.Holder)
}

// Trigger asks for the newest revision to be built and published, and returns
// at once. On an instance that does not build, the one that does is told; the
// ticket then ends with a [*NotBuilderError]. The error is [ErrNotBuilt] for a
// branch that is neither the site's nor gets previews.
func (s *Site) Trigger(ctx context.Context, t Trigger) (*Ticket, error) {
	t.Source = sourceLabel(t.Source)
	if err := s.resolve(&t); err != nil {
		return nil, err
	}
	s.metrics.triggers[t.Source].Inc()
	ticket := newTicket()
	attrs := []any{"source", t.Source, "trigger", ticket.ID}
	if t.Hint != "" {
		attrs = append(attrs, "hint", t.Hint)
	}
	if t.Branch != "" {
		attrs = append(attrs, "branch", t.Branch)
	}
	s.log.InfoContext(ctx, "trigger", attrs...)
	holder, mine := s.lease.holder()
	if s.queue.open() && (mine || holder == "") {
		s.queue.add(t, ticket)
		return ticket, nil
	}
	if err := s.forward(ctx, t, ticket.ID); err != nil {
		return nil, fmt.Errorf("xesite: leave the trigger for %s: %w", cmp.Or(holder, "the next builder"), err)
	}
	ticket.finish(Build{}, &NotBuilderError{holder})
	return ticket, nil
}

// ServeHTTP answers from the current release, and with 503 while there is
// none. [Site.Handler] adds build.json, hooks and counting.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.production.serve(w, r)
}
