// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"xeiaso.net/site/internal/atomicfile"
	"xeiaso.net/site/xesite/release"
	"xeiaso.net/site/xesite/serve"
	"xeiaso.net/site/xesite/state"
)

// channel is the one that is served.
const channel = "production"

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
	reload     reloader
	events     eventQueue
	publishing sync.Mutex // one publication at a time, and none while releases are removed
	numbering  sync.Mutex // one build at a time gets its number
	// writing is read-locked from the first blob of a release to its
	// publication, and locked while blobs are removed.
	writing  sync.RWMutex
	repolish chan struct{} // has room for one: something was published aside from builds
	mark     string        // of the processes of this data directory's builds

	serving atomic.Pointer[serving]

	// Only polish uses these.
	verified time.Time  // when contents were last compared with their hashes
	polished release.ID // the release that has all codings

	drained   chan struct{} // closed when Run ends
	drainOnce sync.Once

	mu      sync.Mutex // guards what follows
	running *Build     // the build that runs
	last    *Build     // the last one that ended
	bad     uint64     // sequence of a publication that could not be loaded
	fault   error      // why an older release is served than should be
}

// serving is what is answered from, all of one release.
type serving struct {
	handler *serve.Handler
	rel     *release.Release
	pub     *release.Publication
	info    []byte // build.json
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
	Rollback bool            // an older release was published again
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
	s.lease.floor = func() uint64 {
		p, _ := s.store.Pointer(channel) // zero if there is none
		return p.Fence
	}
	s.history = history{s.path("builds")}
	s.keys = &keyring{path: s.path("builds", "keys.json")}
	s.data = dataCache{dir: s.path("cache", "data"), files: cfg.DataFiles}
	s.metrics = newMetrics(s)
	s.events.log = s.log
	if builds, err := s.history.list(1); err == nil && len(builds) > 0 {
		s.last = &builds[0]
	}
	s.load(ctx)
	return s, nil
}

// Format prints which site it is. What its configuration holds is not for
// logs, see [Git.Format].
func (s *Site) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "site in %s", s.cfg.DataDir) }

func (s *Site) path(elem ...string) string {
	return filepath.Join(append([]string{s.cfg.DataDir}, elem...)...)
}

// load serves what the pointer names, if it is newer than what is served, or
// the newest whole release before it.
func (s *Site) load(ctx context.Context) {
	p, err := s.store.Pointer(channel)
	if errors.Is(err, release.ErrNoRelease) {
		return
	}
	s.mu.Lock()
	skip := err == nil && p.Sequence == s.bad
	s.mu.Unlock()
	if cur := s.serving.Load(); err == nil && (skip || cur != nil && cur.pub.Sequence >= p.Sequence) {
		return
	}
	rel, pub, err := s.store.Load(ctx, channel)
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	s.fault, s.bad = err, 0
	if err != nil {
		s.bad = p.Sequence
	}
	s.mu.Unlock()
	if err != nil {
		s.log.ErrorContext(ctx, "the current release cannot be served; serving the last one that is whole", "err", err)
	}
	if rel != nil {
		s.swap(rel, pub)
	}
}

// degraded reports whether an older release is served than was published.
func (s *Site) degraded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault != nil
}

// swap makes a release the one that is served, unless a newer publication is.
func (s *Site) swap(rel *release.Release, pub *release.Publication) {
	for {
		cur := s.serving.Load()
		if cur != nil && cur.pub.Sequence > pub.Sequence {
			return
		}
		next := s.compile(rel, pub, cur)
		if s.serving.CompareAndSwap(cur, next) {
			break
		}
	}
	s.reload.notify()
}

func (s *Site) compile(rel *release.Release, pub *release.Publication, prev *serving) *serving {
	opts := serve.Options{Modified: pub.Modified, OnError: func(err error) {
		s.log.Error("a file of the release cannot be read", "err", err)
	}}
	if prev != nil {
		opts.Previous = prev.handler
	}
	if s.cfg.LiveReload {
		opts.AppendHTML = []byte(reloadTag)
	}
	next := &serving{handler: serve.New(rel, opts), rel: rel, pub: pub}
	next.info, _ = json.Marshal(current(pub)) // plain fields cannot fail
	return next
}

func current(p *release.Publication) Current {
	return Current{p.Release, p.Commit, p.Sequence, p.PublishedAt}
}

// Current returns what is served. The error is [release.ErrNoRelease] if
// nothing is.
func (s *Site) Current() (Current, error) {
	v := s.serving.Load()
	if v == nil {
		return Current{}, fmt.Errorf("xesite: %w", release.ErrNoRelease)
	}
	return current(v.pub), nil
}

// FS returns the files of the release that is served now; it stays with that
// release. Without one it is empty.
func (s *Site) FS() fs.FS {
	if v := s.serving.Load(); v != nil {
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
		return s.serving.Load() != nil
	}
}

// Releases lists the publications that can be rolled back to, newest first.
func (s *Site) Releases() ([]Current, error) {
	pubs, err := s.store.Publications(channel)
	if err != nil {
		return nil, err
	}
	p, err := s.store.Pointer(channel)
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

// Rollback publishes a release again that was published before. Commits that
// were built already are not published again by polls, hooks or a restart,
// so it stays until there is a new commit or a rebuild is asked for. The same
// goes for a build of such a commit that runs meanwhile.
func (s *Site) Rollback(ctx context.Context, id release.ID) (Current, error) {
	if holder, mine := s.lease.holder(); !mine {
		return Current{}, &NotBuilderError{holder}
	}
	pubs, err := s.store.Publications(channel)
	if err != nil {
		return Current{}, err
	}
	i := slices.IndexFunc(pubs, func(p *release.Publication) bool { return p.Release == id })
	if i < 0 {
		return Current{}, fmt.Errorf("xesite: roll back to %s: %w with this name: see the list of releases", id.Short(), release.ErrNoRelease)
	}
	rel, err := s.store.Release(ctx, id)
	if err != nil {
		return Current{}, err
	}
	s.publishing.Lock()
	defer s.publishing.Unlock()
	pub, err := s.publish(ctx, rel, release.PublishOptions{
		Release: id, Commit: pubs[i].Commit, Build: pubs[i].Build, Reason: reasonRollback,
	})
	if err != nil {
		return Current{}, err
	}
	s.log.InfoContext(ctx, "rolled back", "release", id.Short(), "sequence", pub.Sequence)
	return current(pub), nil
}

// reasonRollback is the reason of a publication that a person chose. Until a
// person chooses again, or there is a new commit, it stays.
const reasonRollback = "rollback"

// held reports whether what is served was chosen by a person.
func (s *Site) held() bool {
	v := s.serving.Load()
	return v != nil && (v.pub.Reason == reasonRollback || v.pub.Reason == SourceUpload)
}

// publish moves the pointer, serves the release and tells the world. The caller
// holds publishing.
func (s *Site) publish(ctx context.Context, rel *release.Release, opts release.PublishOptions) (*release.Publication, error) {
	fence, mine := s.lease.fence()
	if !mine {
		holder, _ := s.lease.holder()
		return nil, &NotBuilderError{holder}
	}
	opts.Fence = fence
	prev := s.serving.Load()
	pub, err := s.store.Publish(ctx, channel, opts)
	if err != nil {
		s.load(ctx) // it may have been published all the same
		return nil, err
	}
	s.mu.Lock()
	s.fault, s.bad = nil, 0
	s.mu.Unlock()
	s.swap(rel, pub)
	event := Published{
		Current:  current(pub),
		Rollback: opts.Reason == reasonRollback,
		FS:       rel.FS(),
	}
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

// Trigger asks for the newest revision to be built and published, and returns
// at once. On an instance that does not build, the one that does is told; the
// ticket then ends with a [*NotBuilderError].
func (s *Site) Trigger(ctx context.Context, t Trigger) (*Ticket, error) {
	t.Source = sourceLabel(t.Source)
	s.metrics.triggers[t.Source].Inc()
	ticket := newTicket()
	s.log.InfoContext(ctx, "trigger", "source", t.Source, "trigger", ticket.ID, "hint", t.Hint)
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
	if v := s.serving.Load(); v != nil {
		v.handler.ServeHTTP(w, r)
		return
	}
	unavailable(w, r)
}
