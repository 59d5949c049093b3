// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"xeiaso.net/site/syndicate/internal/call"
)

// fetcher gets pages and pictures, of which some are named by foreign pages.
type fetcher struct{ client *http.Client }

// fetcher returns one that connects to public addresses, and to the site's own
// host wherever it is: a site under development, or one in the same cluster, has
// an address that nobody else is to be reached at.
func (t *Target) fetcher(own string) *fetcher {
	client := http.Client{Transport: guarded(own)}
	if t.fetches != nil {
		client = *t.fetches
	}
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) > 5 {
			return errors.New("more than 5 redirects")
		}
		return checkWeb(r.URL)
	}
	return &fetcher{&client}
}

// guarded returns a transport that reaches no private network. The address is
// looked at after the name was resolved, at the moment of connecting, so that a
// name cannot mean something else by then.
func guarded(own string) http.RoundTripper {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{Timeout: 10 * time.Second}
		if host, _, err := net.SplitHostPort(address); err != nil || own == "" || !strings.EqualFold(host, own) {
			d.Control = func(_, address string, _ syscall.RawConn) error { return checkPublic(address) }
		}
		return d.DialContext(ctx, network, address)
	}
	return &http.Transport{DialContext: dial, DisableKeepAlives: true, TLSHandshakeTimeout: 10 * time.Second}
}

// checkPublic refuses addresses that are not of the public internet.
func checkPublic(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	addr := at.Addr().Unmap().WithZone("")
	special := slices.ContainsFunc(specialNetworks(), func(p netip.Prefix) bool { return p.Contains(addr) })
	if special || !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return fmt.Errorf("%s is no address of the public internet", addr)
	}
	return nil
}

// specialNetworks are those of the registries in RFC 6890 that package netip
// does not tell apart, and those that lead to any address of another network.
func specialNetworks() []netip.Prefix {
	var all []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10",
	} {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
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
