// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// ErrNoTunnel: a connection belongs to a tunnel, and there is none.
var ErrNoTunnel = errors.New("wg: there is no tunnel, and this goes nowhere else")

// SplitDialer dials some hosts through a tunnel, and all others directly:
//
//	split := &wg.SplitDialer{Tunnel: tunnel, Domains: []string{"corp.example"}}
//	client := &http.Client{Transport: &http.Transport{DialContext: split.DialContext}}
//
// Through the tunnel go
//
//   - names in the Search domains of the tunnel's configuration, the domains
//     themselves included, and in Domains;
//   - names in "internal" and "flycast", if the tunnel has an address of Fly.io;
//   - IP addresses that a peer of the tunnel has in its AllowedIPs, and the tunnel's
//     own, but for those of this machine: loopback, unspecified, and link-local ones
//     with a zone.
//
// Names without a dot that are no such domain themselves go directly, and so does the
// rest. What belongs to the tunnel never uses the network or the DNS of the host,
// whether the tunnel is up, down or closed. A transport must have no Proxy for these
// hosts: it would be asked for them.
//
// Fields must not be changed once it is used; it is safe for concurrent use.
type SplitDialer struct {
	// Tunnel is the tunnel. If nil, names in Domains fail with [ErrNoTunnel], and
	// everything else goes directly.
	Tunnel *Tunnel

	// Domains are names such as "corp.example", for which the tunnel is as well, with
	// all names below them. Case and a dot at the end do not matter. A domain with
	// letters beyond ASCII has its form with "xn--".
	Domains []string

	// Direct dials everything else. If nil, a [net.Dialer] does.
	Direct func(ctx context.Context, network, address string) (net.Conn, error)
}

// Check reports what is wrong with Domains. DialContext does so, too: a domain that is
// none could be one that was meant to be private.
func (d *SplitDialer) Check() error {
	for _, domain := range d.Domains {
		if !isDomain(canonical(domain)) {
			return fmt.Errorf("wg: %q is no domain: want one such as corp.example, which stands for all names below it; one beyond ASCII is written with xn--", domain)
		}
	}
	return nil
}

// DialContext connects to an address, which is a host and a port, on the networks tcp
// and udp, and those with a 4 or 6 at the end. Networks of unix go directly. Errors are
// those of [Tunnel.DialContext] or of Direct, or a [*net.OpError].
func (d *SplitDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	through, err := d.decide(network, address)
	switch {
	case err != nil:
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	case through:
		return d.Tunnel.DialContext(ctx, network, address)
	case d.Direct != nil:
		return d.Direct(ctx, network, address)
	}
	var direct net.Dialer
	return direct.DialContext(ctx, network, address)
}

// decide reports whether an address is reached through the tunnel. An error says that
// it is not reached at all.
func (d *SplitDialer) decide(network, address string) (through bool, err error) {
	if strings.HasPrefix(network, "unix") {
		return false, nil
	}
	if _, err := familyOf(network); err != nil {
		return false, err
	}
	if err := d.Check(); err != nil {
		return false, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, err
	}
	if err := checkHost(host); err != nil {
		return false, err
	}
	through = d.Tunneled(host)
	if through && d.Tunnel == nil {
		return false, fmt.Errorf("%w: %q", ErrNoTunnel, host)
	}
	return through, nil
}

// checkHost refuses hosts that this package and a resolver of the host could
// understand differently.
func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return nil
	}
	name := canonical(host)
	switch {
	case strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }):
		return &net.AddrError{Err: "a name beyond ASCII is dialed in its form with xn--, as net/http does", Addr: strconv.QuoteToASCII(host)}
	case !isDomain(name), isNumber(name[strings.LastIndexByte(name, '.')+1:]):
		return &net.AddrError{Err: "this is neither a name nor an IP address with all its parts", Addr: strconv.QuoteToASCII(host)}
	}
	return nil
}

// isNumber reports whether the last label of a name makes it an address for
// inet_aton(3), which some resolvers ask first: it reads 167772161, 10.1 and 0xa.1 as
// 10.0.0.1.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// Tunneled reports whether a host, which is a name or an IP address, is reached
// through the tunnel, or would be if there was one. What is neither counts as such, so
// that nobody else is asked for it; DialContext refuses it.
func (d *SplitDialer) Tunneled(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return d.Tunnel != nil && d.Tunnel.routed(addr)
	}
	name := canonical(host)
	return checkHost(host) != nil || slices.ContainsFunc(d.Names(), func(domain string) bool { return isWithin(name, domain) })
}

// Names are the domains that belong to the tunnel at present: Domains, and those of
// its configuration.
func (d *SplitDialer) Names() []string {
	names := slices.Clone(d.Domains)
	if d.Tunnel != nil {
		names = append(names, d.Tunnel.domains()...)
	}
	for i := range names {
		names[i] = canonical(names[i])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// canonical is a name as it is compared.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// isWithin reports whether a name is a domain or below it.
func isWithin(name, domain string) bool {
	above, ok := strings.CutSuffix(name, domain)
	return ok && domain != "" && (above == "" || above[len(above)-1] == '.')
}

// flyDomains are those that the name servers of Fly.io's private networks have.
var flyDomains = []string{"internal", "flycast"}

// domains are those that the tunnel's servers are for.
func (t *Tunnel) domains() (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	names = slices.Clone(t.cfg.Search)
	for _, a := range t.cfg.Addresses {
		if flyNetwork.Contains(a.Addr()) {
			return append(names, flyDomains...)
		}
	}
	return names
}

// routed reports whether an address is behind a peer, or one of this end, and not one
// of this machine.
func (t *Tunnel) routed(addr netip.Addr) bool {
	addr = addr.Unmap()
	linkLocal := addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() || addr.IsInterfaceLocalMulticast()
	if addr.IsLoopback() || addr.IsUnspecified() || addr.Zone() != "" && linkLocal {
		return false
	}
	_, err := t.route(addr.WithZone(""))
	return err == nil
}
