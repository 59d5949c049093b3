// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package outside fetches addresses that came out of somebody's text, and only
// from the public internet: a link in a post must not make this machine ask its
// own services, or those of the network that it is in.
package outside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrInside is in the error of a connection that is refused.
var ErrInside = errors.New("not an address of the public internet")

// Client returns a client that connects to public addresses alone, whatever name
// or redirect leads to others. It uses no proxy, which would connect for us. The
// hosts that are named own are connected to wherever they are: one's own site may
// be under development, or next door.
func Client(own ...string) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer(own),
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  20 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true, // no host is asked twice
			ForceAttemptHTTP2:      true,
		},
		Timeout: 30 * time.Second,
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			const most = 5
			if len(via) > most {
				return fmt.Errorf("more than %d redirects", most)
			}
			return nil
		},
	}
}

// dialer returns a function that connects to public addresses and own hosts.
func dialer(own []string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := &net.Dialer{Timeout: 10 * time.Second}
		host, _, err := net.SplitHostPort(address)
		if err != nil || !slices.ContainsFunc(own, func(o string) bool { return o != "" && strings.EqualFold(o, host) }) {
			d.ControlContext = control
		}
		return d.DialContext(ctx, network, address)
	}
}

// control looks at the address that is really connected to, after the name was
// resolved.
func control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !Public(ap.Addr()) {
		return fmt.Errorf("%s: %w", address, ErrInside)
	}
	return nil
}

// Public reports whether an address belongs to the public internet, by the IANA
// registries of special-purpose addresses (RFC 6890).
func Public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false
	}
	for _, p := range special() {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}

// special are ranges that are not public beyond those that package netip knows.
// IPv6 ranges that carry IPv4 addresses lead back to those.
func special() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"), // carriers
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"), // documentation
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("::/8"),
		netip.MustParsePrefix("64:ff9b::/96"), // NAT64
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("100::/64"),
		netip.MustParsePrefix("2001::/23"),
		netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("2002::/16"), // 6to4
		netip.MustParsePrefix("fec0::/10"),
	}
}
