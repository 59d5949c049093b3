// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package webmention

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
	"xeiaso.net/site/syndicate/internal/markup"
	"xeiaso.net/site/syndicate/internal/outside"
)

// Config says how mentions are sent.
type Config struct {
	// Client makes the requests. If nil, it is one that connects to public
	// addresses alone; another one has to see to that itself.
	Client *http.Client
	// MaxLinks is how many links of a post are looked at. If zero, it is 50.
	MaxLinks int
	// OnMention is told what became of each link: err is nil if the mention was
	// sent or, with an endpoint of "", the page has none. It may be nil.
	OnMention func(source, target, endpoint string, err error)
}

// Target is a [syndicate.Target] that sends mentions.
type Target struct {
	cfg Config

	mu    sync.Mutex
	sent  map[string]bool // guarded by mu; by key of the attempt and link
	tries map[string]int  // guarded by mu; likewise
}

// New returns a target. It makes no network call.
func New(cfg Config) *Target {
	if cfg.Client == nil {
		cfg.Client = outside.Client()
	}
	if cfg.MaxLinks == 0 {
		cfg.MaxLinks = 50
	}
	return &Target{cfg: cfg, sent: map[string]bool{}, tries: map[string]int{}}
}

// body is what is sent: a mention for each of the targets.
type body struct {
	Source  string   `json:"source"`
	Targets []string `json:"targets"`
}

// Compose implements [syndicate.Composer]. The source is the post's page without
// UTM parameters, for it is what receivers fetch. A link post has none.
func (t *Target) Compose(_ context.Context, m syndicate.Message) ([]byte, error) {
	b := body{Source: m.Post.URL, Targets: []string{}}
	if m.Post.External || m.Post.URL == "" {
		b.Source = ""
		return json.Marshal(b)
	}
	b.Targets = t.links(m.Post)
	// As they are: with "&" as six characters they might not fit.
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(b)
	return bytes.TrimSpace(out.Bytes()), err
}

// links are the addresses of other sites in a post, each once.
func (t *Target) links(p syndicate.Post) []string {
	found := []string{}
	page, err := url.Parse(p.URL)
	if err != nil {
		return found
	}
	size := 0
	add := func(ref string) {
		u, err := page.Parse(ref)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.EqualFold(u.Host, page.Host) || u.User != nil {
			return
		}
		// With fragment: it may be what is mentioned.
		link := u.String()
		if len(link) <= maxLink && !slices.Contains(found, link) && len(found) < t.cfg.MaxLinks && size+len(link) < maxLinks {
			found = append(found, link)
			size += len(link) + 3 // quotes and a comma
		}
	}
	if p.About != "" {
		add(p.About)
	}
	for e := range markup.Elements(p.ContentHTML) {
		if e.Name == "a" && e.Has("href") && !e.HasToken("rel", "nofollow") {
			add(e.Attr("href"))
		}
	}
	return found
}

// maxLink is how long a link may be, and maxLinks all of them, so that they fit a
// body.
const (
	maxLink  = 512
	maxLinks = syndicate.MaxBody - 4<<10
)

// patience is how often a link is tried, and linkTimeout how long each time: not a
// fraction of the usual minute of an attempt, so that it is plain which of the two
// is over.
const (
	patience    = 3
	linkTimeout = 14 * time.Second
)

// Send implements [syndicate.Target].
func (t *Target) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	var b body
	if err := json.Unmarshal(a.Body, &b); err != nil {
		return syndicate.Receipt{}, &syndicate.Error{Err: fmt.Errorf("the body is not ours: %w", err), NotSent: true, Refused: true}
	}
	var errs []error
	for i, link := range t.leastTried(a.Key, b.Targets) {
		where, err := t.mention(ctx, b.Source, link)
		if err != nil && ctx.Err() != nil && i > 0 {
			// That was no try, unless it had all the time there is. This one and
			// the others have their turn next time, before those that hang.
			errs = append(errs, ctx.Err())
			break
		}
		if t.cfg.OnMention != nil {
			t.cfg.OnMention(b.Source, link, where, err)
		}
		if err != nil && worthRetrying(err) && t.tried(a.Key, link) < patience {
			errs = append(errs, fmt.Errorf("%s: %w", link, err))
			continue
		}
		t.note(a.Key, link)
	}
	if err := errors.Join(errs...); err != nil {
		// Sending one again is no double: receivers know it.
		return syndicate.Receipt{}, &syndicate.Error{Err: err, NotSent: true}
	}
	t.forget(a.Key, b.Targets)
	return syndicate.Receipt{ID: "mentions"}, nil
}

// worthRetrying reports whether another try may go better.
func worthRetrying(err error) bool {
	known, ok := errors.AsType[*syndicate.Error](err)
	return !errors.Is(err, outside.ErrInside) && (!ok || !known.Refused)
}

// Reconcile implements [syndicate.Reconciler]: a second mention changes nothing.
func (t *Target) Reconcile(context.Context, syndicate.Attempt) (syndicate.Receipt, error) {
	return syndicate.Receipt{}, syndicate.ErrAbsent
}

// Edit implements [syndicate.Editor], section 3.2 of the standard: receivers look
// at the page again.
func (t *Target) Edit(ctx context.Context, a syndicate.Attempt, r syndicate.Receipt) (syndicate.Receipt, error) {
	_, err := t.Send(ctx, a)
	return r, err
}

// mention tells one page. Without an endpoint there is nothing to do.
func (t *Target) mention(ctx context.Context, source, link string) (where string, err error) {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	where, err = t.discover(ctx, link)
	if err != nil || where == "" {
		return "", err
	}
	form := url.Values{"source": {source}, "target": {link}}
	name := "webmention"
	resp, err := call.Do(ctx, t.cfg.Client, call.Request{
		Method: http.MethodPost, URL: where, Body: []byte(form.Encode()), Name: name,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	})
	if err != nil {
		return where, err
	}
	return where, resp.Check(name, nil)
}

// maxPage is how much of a page is read, in bytes.
const maxPage = 1 << 20

// discover fetches a page and returns its endpoint.
func (t *Target) discover(ctx context.Context, link string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return "", &syndicate.Error{Err: err, Refused: true}
	}
	req.Header.Set("User-Agent", call.UserAgent+" webmention")
	req.Header.Set("Accept", "text/html, */*;q=0.5")
	resp, err := t.cfg.Client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	if resp.StatusCode >= 400 {
		return "", nil // nobody there to tell
	}
	// In the header it counts whatever the type is.
	if where := endpoint(resp.Request.URL, resp.Header.Values("Link"), nil); where != "" {
		return where, nil
	}
	if kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); !strings.Contains(kind, "html") {
		return "", nil
	}
	page, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return "", err
	}
	return endpoint(resp.Request.URL, nil, page), nil
}

// leastTried returns those of the links that are not done, first the ones that
// were tried least.
func (t *Target) leastTried(key string, links []string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(links), func(link string) bool { return t.sent[key+link] })
	slices.SortStableFunc(left, func(a, b string) int { return t.tries[key+a] - t.tries[key+b] })
	return left
}

// tried counts a try.
func (t *Target) tried(key, link string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tries[key+link]++
	return t.tries[key+link]
}

func (t *Target) note(key, link string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent[key+link] = true
}

func (t *Target) forget(key string, links []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, link := range links {
		delete(t.sent, key+link)
		delete(t.tries, key+link)
	}
}
