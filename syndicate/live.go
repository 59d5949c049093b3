// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/syndicate/internal/markup"
)

// liveness looks whether pages are up, once for all targets.
type liveness struct {
	client *http.Client
	log    *slog.Logger

	mu    sync.Mutex
	pages map[string]*pageState // guarded by mu; by key of the post
}

// pageState is what is known about a page.
type pageState struct {
	mu       sync.Mutex // held while somebody looks
	up       bool
	failures int
	next     time.Time
	err      error
}

func newLiveness(p Page, log *slog.Logger) *liveness {
	return &liveness{client: p.Client, log: log, pages: map[string]*pageState{}}
}

// check returns nil if the page of a post is up: that was so once, or it is now.
// Otherwise it says what is wrong and when the next look is.
func (l *liveness) check(ctx context.Context, p Post) (next time.Time, err error) {
	if p.URL == "" {
		return time.Time{}, nil
	}
	l.mu.Lock()
	if l.pages[p.Key()+p.URL] == nil {
		l.pages[p.Key()+p.URL] = &pageState{}
	}
	state := l.pages[p.Key()+p.URL]
	l.mu.Unlock()
	state.mu.Lock()
	defer state.mu.Unlock()
	if state.up {
		return time.Time{}, nil
	}
	if time.Now().Before(state.next) {
		return state.next, state.err
	}
	if err := l.look(ctx, p); err != nil {
		state.failures++
		state.err = fmt.Errorf("the page is not up: %w", err)
		state.next = time.Now().Add(min(time.Minute, time.Second<<min(state.failures-1, 10)))
		return state.next, state.err
	}
	state.up = true
	return time.Time{}, nil
}

// Limits of a look at a page.
const (
	pageTimeout = 20 * time.Second
	maxPage     = 2 << 20
)

// look fetches a page and finds fault with it.
func (l *liveness) look(ctx context.Context, p Post) error {
	status, at, body, err := l.get(ctx, p.URL)
	switch {
	case err != nil:
		return err
	case p.External && status != http.StatusNotFound && status != http.StatusGone && status < 500:
		// Other people's sites may ask who we are, but they are there.
		return nil
	case status != http.StatusOK:
		return fmt.Errorf("%s answers with status %d", p.URL, status)
	case p.External:
		return nil
	}
	if isFront(at.String()) && !isFront(p.URL) && !p.IsAbout(at.String()) {
		return fmt.Errorf("%s leads to the front page %s: the post is not there yet", p.URL, shorten(at.String()))
	}
	canonical, card := "", false
	for e := range markup.Elements(body) {
		if e.Name == "link" && e.HasToken("rel", "canonical") && canonical == "" {
			canonical = e.Attr("href")
		}
		card = card || e.Name == "meta" && e.Attr("property") == "og:title"
	}
	if !card {
		l.log.WarnContext(ctx, "networks will show no card, or a poor one: the page has no <meta property=\"og:title\">", "post", p.ID)
	}
	if canonical == "" {
		return nil
	}
	u, err := at.Parse(canonical)
	if err != nil || !p.IsAbout(u.String()) && !SameAddress(u.String(), at.String()) {
		return fmt.Errorf("%s says that its address is %q: something else is there", p.URL, shorten(canonical))
	}
	return nil
}

// isFront reports whether an address is that of a site, and not of a page.
func isFront(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Path == "" || u.Path == "/")
}

// get fetches a page and follows redirects. It returns the address that it came
// to.
func (l *liveness) get(ctx context.Context, address string) (status int, at *url.URL, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.5")
	req.Header.Set("Cache-Control", "no-cache") // as strangers see it, but new
	req.Header.Set("User-Agent", "xeiaso.net-site-syndicate/0 (looks whether a post is up)")
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxPage))
	return resp.StatusCode, resp.Request.URL, body, err
}

// gone returns nil if a page answers that it is not there any more. One that is
// up is an error, too: then somebody has put it back.
func (l *liveness) gone(ctx context.Context, address string) (next time.Time, err error) {
	status, _, _, err := l.get(ctx, address)
	if err == nil && (status == http.StatusNotFound || status == http.StatusGone) {
		return time.Time{}, nil
	}
	if err == nil {
		err = fmt.Errorf("%s answers with status %d", address, status)
	}
	return time.Now().Add(time.Minute), errors.New("the page is not gone: " + strings.TrimSpace(err.Error()))
}
