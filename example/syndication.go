// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/feed"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/state"
)

// syndication announces what the site publishes.
type syndication struct {
	*syndicate.Syndicator
	store   state.Store
	siteURL string
	feed    string
	follow  bool // take announcements back
	links   bool // there is a file of links
	log     *slog.Logger
	trigger func(ctx context.Context) // builds the site again
	changed chan struct{}             // holds a token when links may have changed

	mu       sync.Mutex
	sequence uint64 // guarded by mu; of the newest publication that was observed
	built    []byte // guarded by mu; the links that the last build got
	problem  string // guarded by mu; why the feed cannot be read
	// missed is a publication whose posts could not be recorded; guarded by mu.
	missed *xesite.Published
}

// startSyndication makes it, if anything is to be announced anywhere. What is set
// wrongly is no reason for the site not to run.
func (h *host) startSyndication(store state.Store) {
	f := &h.syndication
	if !f.anySet() {
		return
	}
	targets, wrong := h.targets(store)
	for name, err := range wrong {
		h.off[name] = err.Error()
		h.log.Error("posts are not announced at a target, which is set wrongly", "target", name, "err", err)
	}
	if len(targets) == 0 {
		return
	}
	s := &syndication{
		store: store, siteURL: h.siteURL, feed: f.feed, follow: f.followDeletes, links: f.linksFile != "",
		log: h.log, changed: make(chan struct{}, 1),
		trigger: func(ctx context.Context) {
			if _, err := h.site.Trigger(ctx, xesite.Trigger{Source: xesite.SourceData, Rebuild: true}); err != nil {
				h.log.Error("build with links to announcements", "err", err)
			}
		},
	}
	var err error
	s.Syndicator, err = syndicate.New(syndicate.Config{
		Store: store, Targets: targets, MaxAge: offIfZero(f.maxAge), MaxPerRun: offIfZero(f.maxPerRun),
		Page: syndicate.Page{Off: !f.waitPublic}, DryRun: f.dryRun, Logger: h.log,
		OnPreview: func(p syndicate.Preview) { printPreview(h.stdout, p) },
		OnEvent:   s.event,
	})
	if err != nil {
		h.off["syndication"] = err.Error()
		h.log.Error("posts are not announced", "err", err)
		return
	}
	h.syndicator = s
}

func printPreview(w io.Writer, p syndicate.Preview) {
	line, err := json.Marshal(p)
	if err == nil {
		fmt.Fprintf(w, "%s\n", line)
	}
}

// lead runs while this instance is the one that builds.
func (s *syndication) lead(ctx context.Context, served *xesite.Published) {
	if served != nil {
		s.observe(ctx, *served)
	}
	var all sync.WaitGroup
	all.Go(func() { s.rebuildForLinks(ctx) })
	all.Go(func() { s.lookAgain(ctx) })
	if err := s.Run(ctx); err != nil {
		s.log.Error("announcements", "err", err)
	}
	all.Wait()
}

// published is told of publications, one at a time.
func (s *syndication) published(p xesite.Published) {
	const patience = time.Minute // a store that hangs must not hold up the next
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.observe(ctx, p)
}

// observe looks for new posts in a release. Who went back to an older one does
// not want its posts told of.
func (s *syndication) observe(ctx context.Context, p xesite.Published) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Rollback || p.Sequence < s.sequence {
		return
	}
	s.sequence, s.missed = p.Sequence, nil
	posts, err := s.posts(p.FS)
	if err == nil {
		if err = s.Observe(ctx, posts); err != nil {
			s.missed = &p // it is not the feed that is wrong
		}
	}
	if err != nil {
		s.log.Error("look for new posts", "feed", s.feed, "err", err)
	}
	if s.problem = ""; err != nil {
		s.problem = err.Error()
		return // a feed that is wrong gets better only with a publication
	}
	if s.follow {
		s.removed(ctx, p.FS)
	}
	if err := s.advance(ctx, p.Sequence); err != nil {
		s.log.Error("note which release was looked at for new posts", "err", err)
	}
}

// againEvery is how long is waited for a store that does not work.
const againEvery = time.Minute

// lookAgain looks for new posts in a release where they could not be recorded.
// At the next publication some of them might be too old to be announced.
func (s *syndication) lookAgain(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(againEvery):
		}
		s.mu.Lock()
		missed := s.missed
		s.mu.Unlock()
		if missed != nil {
			s.observe(ctx, *missed)
		}
	}
}

// posts reads the feed of a release.
func (s *syndication) posts(files fs.FS) ([]syndicate.Post, error) {
	name := cmp.Or(strings.TrimPrefix(path.Clean("/"+s.feed), "/"), ".")
	content, err := fs.ReadFile(files, name)
	if info, wrong := fs.Stat(files, name); errors.Is(err, fs.ErrNotExist) || wrong == nil && info.IsDir() {
		return nil, fmt.Errorf("the site has no feed at %q: set -feed to the path of its file, such as /feed/index.xml", s.feed)
	}
	if err != nil {
		return nil, err
	}
	f, err := feed.Parse(bytes.NewReader(content), feed.Options{URL: onSite(s.siteURL, s.feed)})
	if err != nil {
		return nil, fmt.Errorf("feed %q: %w", s.feed, err)
	}
	for _, problem := range f.Problems {
		s.log.Warn("an item of the feed", "feed", s.feed, "problem", problem)
	}
	return f.Posts, nil
}

// removed tells of announced posts whose pages a release does not have.
func (s *syndication) removed(ctx context.Context, files fs.FS) {
	entries, err := s.Entries(ctx)
	if err != nil {
		s.log.Error("look for removed posts", "err", err)
		return
	}
	site, err := url.Parse(s.siteURL)
	if err != nil {
		return
	}
	for _, e := range entries {
		u, err := url.Parse(e.URL)
		own := err == nil && e.URL != "" && strings.EqualFold(u.Host, site.Host)
		if !own || e.Op != syndicate.OpAnnounce || e.State != syndicate.Confirmed || hasPage(files, below(u, site)) {
			continue
		}
		if err := s.Removed(ctx, e.URL); err != nil {
			s.log.Error("take an announcement back", "post", e.Post, "target", e.Target, "err", err)
		}
	}
}

// below is the path of a page on a site that may be below a path itself.
func below(page, site *url.URL) string {
	return strings.TrimPrefix(page.Path, strings.TrimSuffix(site.Path, "/"))
}

// hasPage reports whether a release has a page at a path.
func hasPage(files fs.FS, address string) bool {
	name := strings.TrimPrefix(path.Clean("/"+address), "/")
	for _, candidate := range []string{name, path.Join(name, "index.html"), name + ".html"} {
		if info, err := fs.Stat(files, candidate); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

// cursorKey is the record of the last publication that was observed.
const cursorKey = "syndicate/cursor"

// cursor is its content.
type cursor struct {
	Sequence   uint64    `json:"sequence"`
	ObservedAt time.Time `json:"observed_at"`
}

// advance writes down that a publication was observed: for people, who can see
// how far announcing has come. What is published is looked at again at each
// start, whatever it says.
func (s *syndication) advance(ctx context.Context, sequence uint64) error {
	old, err := s.store.Load(ctx, cursorKey)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	next, err := json.Marshal(cursor{sequence, time.Now().UTC()})
	if err != nil {
		return err
	}
	_, err = s.store.Swap(ctx, cursorKey, old, next)
	return err
}

// event is told of everything that comes to an end.
func (s *syndication) event(e syndicate.Event) {
	if e.Outcome != syndicate.OutcomeConfirmed || !s.links {
		return
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// linksJSON is what the generator gets.
func (s *syndication) linksJSON(ctx context.Context) ([]byte, error) {
	posts, err := s.Links(ctx)
	if err != nil {
		return nil, err
	}
	content, err := json.MarshalIndent(map[string]any{"posts": posts}, "", "  ")
	return append(content, '\n'), err
}

// fetchLinks is linksJSON for a build.
func (s *syndication) fetchLinks(ctx context.Context) ([]byte, error) {
	content, err := s.linksJSON(ctx)
	if err == nil {
		s.mu.Lock()
		s.built = content
		s.mu.Unlock()
	}
	return content, err
}

// linksPause is how long is waited for other networks to confirm, so that one
// build serves them all.
const linksPause = 5 * time.Second

// rebuildForLinks has the site built again when there are links that the last
// build did not get.
func (s *syndication) rebuildForLinks(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
		}
		for more := true; more; {
			select {
			case <-ctx.Done():
				return
			case <-s.changed:
			case <-time.After(linksPause):
				more = false
			}
		}
		content, err := s.linksJSON(ctx)
		s.mu.Lock()
		same := bytes.Equal(content, s.built)
		s.mu.Unlock()
		if err == nil && !same {
			s.trigger(ctx)
		}
	}
}

// status is for the admin API.
func (s *syndication) status() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := map[string]any{"targets": s.Status().Targets, "observed": s.sequence}
	if s.problem != "" {
		status["problem"] = s.problem
	}
	return status
}

// handlers are the page and the API of announcements. Only the instance that
// builds takes commands.
func (s *syndication) handlers(site *xesite.Site) map[string]http.Handler {
	all := s.AdminHandler()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st := site.Status()
		if r.Method != http.MethodGet && r.Method != http.MethodHead && st.Builder != st.Instance {
			w.Header().Set("Retry-After", "5")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			json.NewEncoder(w).Encode(map[string]string{"error": fmt.Sprintf("not this instance announces, but %q", st.Builder)})
			return
		}
		all.ServeHTTP(w, r)
	})
	return map[string]http.Handler{"/syndication": handler, "/api/syndication": handler, "/api/syndication/": handler}
}
