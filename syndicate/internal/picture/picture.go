// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package picture fetches pictures of posts, from addresses that a feed names.
package picture

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
)

// Limits are what a picture has to be within.
type Limits struct {
	// Bytes is how long it may be.
	Bytes int64
	// Types are media types.
	Types []string
}

// Picture is one that was fetched.
type Picture struct {
	Content []byte
	// Type is its media type, by what the content begins with.
	Type string
}

// Hash returns the SHA-256 of the content.
func (p Picture) Hash() string {
	sum := sha256.Sum256(p.Content)
	return hex.EncodeToString(sum[:])
}

// Fetch fetches a picture. If client is nil, it is one that goes to public
// addresses only.
//
// An error is a *[syndicate.Error] with NotSent, and with Refused if there is no
// use in trying again.
func Fetch(ctx context.Context, client *http.Client, address string, limits Limits) (Picture, error) {
	if client == nil {
		client = Client()
		defer client.CloseIdleConnections()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil || req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return Picture{}, failed(true, "%q is no address", address)
	}
	req.Header.Set("User-Agent", call.UserAgent)
	resp, err := client.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if err != nil {
		return Picture{}, failed(errors.Is(err, errNotPublic), "%q: %w", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		again := resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout
		return Picture{}, failed(!again, "%q: status %d", address, resp.StatusCode)
	}
	return read(resp.Body, address, limits)
}

func read(body io.Reader, address string, limits Limits) (Picture, error) {
	content, err := io.ReadAll(io.LimitReader(body, limits.Bytes+1))
	kind := http.DetectContentType(content)
	switch {
	case err != nil:
		return Picture{}, failed(false, "%q: %w", address, err)
	case int64(len(content)) > limits.Bytes:
		return Picture{}, failed(true, "%q has more than %d bytes", address, limits.Bytes)
	case !slices.Contains(limits.Types, kind):
		return Picture{}, failed(true, "%q is %s, want one of %q", address, kind, limits.Types)
	}
	return Picture{content, kind}, nil
}

func failed(refused bool, format string, a ...any) error {
	return &syndicate.Error{Err: fmt.Errorf("picture "+format, a...), NotSent: true, Refused: refused}
}

var errNotPublic = errors.New("not a public address")

// Client returns a client that goes to public addresses only, also when it is
// redirected, and never through a proxy: who writes a feed may not look around
// in the network of who reads it.
func Client() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err == nil && !public(at.Addr()) {
			err = errNotPublic
		}
		return err
	}}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  20 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		Timeout: time.Minute,
	}
}

// public reports whether an address is one of the internet.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(reserved(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// reserved are the networks in the registries of special-purpose addresses that
// package netip does not know, and those by which IPv6 reaches IPv4.
func reserved() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"),
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("192.88.99.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("::/96"),
		netip.MustParsePrefix("64:ff9b::/96"),
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("100::/64"),
		netip.MustParsePrefix("2001::/23"),
		netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("2002::/16"),
		netip.MustParsePrefix("fec0::/10"),
	}
}
