// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"xeiaso.net/site/syndicate/internal/call"
	"xeiaso.net/site/syndicate/internal/outside"
)

// fetcher gets pages and pictures, of which some are named by foreign pages.
type fetcher struct{ client *http.Client }

// fetcher returns one that connects to public addresses, and to the site's own
// host wherever it is.
func (t *Target) fetcher(own string) *fetcher {
	client := outside.Client(own)
	if t.fetches != nil {
		copied := *t.fetches
		client = &copied
	}
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) > 5 {
			return errors.New("more than 5 redirects")
		}
		return checkWeb(r.URL)
	}
	return &fetcher{client}
}

func checkWeb(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is no address of the web", u.Redacted())
	}
	return nil
}

// get fetches what is at an address, and returns it with the address at which it
// was in the end. Of what is longer than the limit it returns the beginning, if
// that will do, or else an error.
func (f *fetcher) get(ctx context.Context, address string, limit int64, beginning bool) ([]byte, *url.URL, error) {
	u, err := url.Parse(address)
	if err == nil {
		err = checkWeb(u)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("bluesky: fetch: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("bluesky: fetch: %w", err)
	}
	req.Header.Set("User-Agent", call.UserAgent)
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("bluesky: fetch: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("bluesky: fetch %s: status %d", address, resp.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(content)) > limit {
		if !beginning {
			return nil, nil, fmt.Errorf("bluesky: fetch %s: more than %d bytes", address, limit)
		}
		content, err = content[:limit], nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("bluesky: fetch %s: %w", address, err)
	}
	return content, resp.Request.URL, nil
}
