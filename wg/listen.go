// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"net"
	"net/http"
	"net/netip"
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
		return nil, t.opened(network, at, err)
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
		return nil, t.opened(network, at, err)
	}
	return c, nil
}

// opened is the error of a socket that could not be opened.
func (t *Tunnel) opened(network string, at netip.AddrPort, err error) error {
	return &net.OpError{Op: "listen", Net: network, Addr: addrOf(network, at), Err: t.ended(inner(err))}
}

// ownAddr is where to listen.
func (t *Tunnel) ownAddr(kind, network, address string) (netip.AddrPort, error) {
	family, ok := strings.CutPrefix(network, kind)
	if !ok || family != "" && family != "4" && family != "6" {
		return netip.AddrPort{}, net.UnknownNetworkError(network)
	}
	host, port, err := splitAddress(context.Background(), network, address)
	if err != nil {
		return netip.AddrPort{}, err
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
	return netip.AddrPortFrom(addr, port), nil
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
	out, err := r.t.names().LookupNetIP(ctx, network, host)
	return out, r.ended(err, host)
}

// LookupTXT returns the texts of a name.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	out, err := r.t.names().LookupTXT(ctx, name)
	return out, r.ended(err, name)
}

// LookupSRV returns the servers of a service, RFC 2782, as they came.
func (r *Resolver) LookupSRV(ctx context.Context, service, proto, name string) ([]*net.SRV, error) {
	out, err := r.t.names().LookupSRV(ctx, service, proto, name)
	return out, r.ended(err, name)
}

// LookupCNAME returns the name that a host has in the end, with a dot at its end.
func (r *Resolver) LookupCNAME(ctx context.Context, host string) (string, error) {
	out, err := r.t.names().LookupCNAME(ctx, host)
	return out, r.ended(err, host)
}

// ended has an error of a tunnel that was closed match [net.ErrClosed].
func (r *Resolver) ended(err error, name string) error {
	if err != nil && r.t.isClosed() {
		return &net.DNSError{Err: net.ErrClosed.Error(), UnwrapErr: net.ErrClosed, Name: name}
	}
	return err
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

// pingSize is how many bytes an echo request has, as those of the program ping.
const pingSize = 56

// Ping sends an echo request to an address inside the tunnel, and returns how long the
// answer took. Errors are like those of [Tunnel.DialContext].
func (t *Tunnel) Ping(ctx context.Context, addr netip.Addr) (took time.Duration, err error) {
	if _, err = t.route(addr); err == nil {
		took, err = t.stack.Ping(ctx, addr.Unmap(), pingSize)
		err = t.explain(ctx, addr, err)
	}
	if err = t.ended(err); err == nil {
		return took, nil
	}
	return 0, &net.OpError{Op: "ping", Net: "ip", Addr: &net.IPAddr{IP: addr.AsSlice()}, Err: inner(err)}
}
