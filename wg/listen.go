// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Listen listens inside the tunnel; networks are tcp, tcp4 and tcp6. The host of an
// address is one of the tunnel's own, or empty for all of them; port 0 is a free one.
// It can be called before [Tunnel.Up]. It ends when the tunnel does.
func (t *Tunnel) Listen(network, address string) (net.Listener, error) {
	at, err := t.ownAddr("tcp", network, address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	l, err := t.stack.ListenTCP(at)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// ListenPacket is like [Tunnel.Listen] for udp, udp4 and udp6.
func (t *Tunnel) ListenPacket(network, address string) (net.PacketConn, error) {
	at, err := t.ownAddr("udp", network, address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	c, err := t.stack.ListenUDP(at)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ownAddr is where to listen.
func (t *Tunnel) ownAddr(kind, network, address string) (netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return netip.AddrPort{}, &net.AddrError{Err: "the port is no number", Addr: address}
	}
	family, ok := strings.CutPrefix(network, kind)
	if !ok || family != "" && family != "4" && family != "6" {
		return netip.AddrPort{}, net.UnknownNetworkError(network)
	}
	addr := netip.IPv6Unspecified() // both
	switch {
	case host == "" && family == "4":
		addr = netip.IPv4Unspecified()
	case host != "":
		if addr, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, &net.AddrError{Err: "to listen, an address of the tunnel itself is needed", Addr: address}
		}
		addr = addr.Unmap()
	}
	if family == "4" && !addr.Is4() || family == "6" && addr.Is4() {
		return netip.AddrPort{}, &net.AddrError{Err: "the address is not of " + network, Addr: address}
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// Resolver looks up names inside the tunnel, at the servers of the configuration, and
// nowhere else. It is safe for concurrent use.
type Resolver struct{ t *Tunnel }

// Resolver returns the tunnel's.
func (t *Tunnel) Resolver() *Resolver { return &Resolver{t} }

// LookupNetIP returns the addresses of a host; network is ip, ip4 or ip6. Kinds of
// addresses that the tunnel has none of are not asked for. Errors are of type
// [*net.DNSError].
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return r.t.resolver.LookupNetIP(ctx, network, host)
}

// LookupTXT returns the texts of a name.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return r.t.resolver.LookupTXT(ctx, name)
}

// LookupSRV returns the servers of a service, RFC 2782, as they came.
func (r *Resolver) LookupSRV(ctx context.Context, service, proto, name string) ([]*net.SRV, error) {
	return r.t.resolver.LookupSRV(ctx, service, proto, name)
}

// LookupCNAME returns the name that a host has in the end, with a dot at its end.
func (r *Resolver) LookupCNAME(ctx context.Context, host string) (string, error) {
	return r.t.resolver.LookupCNAME(ctx, host)
}

// HTTPTransport returns a transport whose connections go through the tunnel. Idle ones
// are closed soon: machines of private networks come and go.
func (t *Tunnel) HTTPTransport() *http.Transport {
	return &http.Transport{
		DialContext:           t.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   10,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// HTTPClient returns a client with such a transport, and no time limit: requests
// should have a context with one.
func (t *Tunnel) HTTPClient() *http.Client { return &http.Client{Transport: t.HTTPTransport()} }

// Ping sends an echo request to an address inside the tunnel, and returns how long the
// answer took.
func (t *Tunnel) Ping(ctx context.Context, addr netip.Addr) (time.Duration, error) {
	t.mu.Lock()
	key, ok := t.routes.peer(addr)
	t.mu.Unlock()
	if !ok {
		return 0, &net.OpError{Op: "ping", Net: "ip", Addr: &net.IPAddr{IP: addr.AsSlice()}, Err: ErrNoRoute}
	}
	took, err := t.stack.Ping(ctx, addr, 56)
	if err != nil && ctx.Err() != nil && t.silent(key) {
		return 0, &net.OpError{Op: "ping", Net: "ip", Addr: &net.IPAddr{IP: addr.AsSlice()}, Err: t.peerError(key, context.Cause(ctx))}
	}
	return took, err
}
