// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// DialContext connects through the tunnel; networks are tcp and udp, and those with a
// 4 or 6 at the end. A name is looked up inside the tunnel; if it has several
// addresses, the next one is tried when one has not answered for 250 ms, RFC 8305.
//
// Errors are of type [*net.OpError]. Inside is [ErrNoRoute] for an address outside of
// every AllowedIPs, a [*PeerError] if the peer that has it does not answer, a
// [*net.DNSError], or what the other side has said, such as [syscall.ECONNREFUSED].
// Nothing is ever sent outside of the tunnel.
func (t *Tunnel) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, addr, err := t.dial(ctx, network, address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, &net.OpError{Op: "dial", Net: network, Addr: addr, Err: err}
	}
	return conn, nil
}

// Dial is DialContext without a context.
func (t *Tunnel) Dial(network, address string) (net.Conn, error) {
	return t.DialContext(context.Background(), network, address)
}

func (t *Tunnel) dial(ctx context.Context, network, address string) (net.Conn, net.Addr, error) {
	family, err := familyOf(network)
	if err != nil {
		return nil, nil, err
	}
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, nil, &net.AddrError{Err: "the port is no number", Addr: address}
	}
	addrs, err := t.resolver.LookupNetIP(ctx, family, host)
	if err != nil {
		return nil, nil, err
	}
	var all []netip.AddrPort
	for _, a := range addrs {
		all = append(all, netip.AddrPortFrom(a, uint16(port)))
	}
	return t.race(ctx, network, all)
}

// familyOf is what a network asks a resolver for.
func familyOf(network string) (string, error) {
	switch network {
	case "tcp", "udp":
		return "ip", nil
	case "tcp4", "udp4":
		return "ip4", nil
	case "tcp6", "udp6":
		return "ip6", nil
	}
	return "", net.UnknownNetworkError(network)
}

// stagger is until the next address is tried as well, RFC 8305, 5.
const stagger = 250 * time.Millisecond

// race tries addresses one after the other, and takes the first that answers.
func (t *Tunnel) race(ctx context.Context, network string, addrs []netip.AddrPort) (net.Conn, net.Addr, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		addr netip.AddrPort
		err  error
	}
	results := make(chan result, len(addrs))
	begin := func(addr netip.AddrPort) {
		go func() {
			conn, err := t.dialOne(ctx, network, addr)
			results <- result{conn, addr, err}
		}()
	}
	begin(addrs[0])
	next, pending := 1, 1
	timer := time.NewTimer(stagger)
	defer timer.Stop()
	var first result
	for {
		select {
		case r := <-results:
			pending--
			if r.err == nil {
				go func() { // those that come too late
					for range pending {
						if late := <-results; late.conn != nil {
							late.conn.Close()
						}
					}
				}()
				return r.conn, nil, nil
			}
			if first.err == nil {
				first = r
			}
			if next == len(addrs) && pending == 0 {
				return nil, tcpOrUDP(network, first.addr), first.err
			}
		case <-timer.C:
		case <-ctx.Done():
			// Those that are under way know more about why; they end at once.
			// Whatever has become of the others no longer matters.
			if first.err == nil && pending > 0 {
				first = <-results
			}
			if first.conn != nil {
				first.conn.Close()
			}
			if first.err == nil {
				first.err = context.Cause(ctx)
			}
			return nil, tcpOrUDP(network, first.addr), first.err
		}
		if next < len(addrs) {
			begin(addrs[next])
			next++
			pending++
			timer.Reset(stagger)
		}
	}
}

func tcpOrUDP(network string, addr netip.AddrPort) net.Addr {
	if strings.HasPrefix(network, "udp") {
		return net.UDPAddrFromAddrPort(addr)
	}
	return net.TCPAddrFromAddrPort(addr)
}

// dialOne connects to one address.
func (t *Tunnel) dialOne(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error) {
	t.mu.Lock()
	key, ok := t.routes.peer(addr.Addr())
	t.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNoRoute, addr.Addr())
	}
	if strings.HasPrefix(network, "udp") {
		return t.stack.DialUDP(netip.AddrPort{}, addr)
	}
	conn, err := t.stack.DialTCP(ctx, netip.AddrPort{}, addr)
	if err == nil {
		return conn, nil
	}
	if cause := context.Cause(ctx); cause != nil && t.silent(key) {
		return nil, t.peerError(key, cause)
	}
	return nil, err
}

// silent reports whether a peer does not answer.
func (t *Tunnel) silent(key PublicKey) bool {
	states, _ := t.state()
	s := states[key]
	return s.lastHandshake.IsZero() || time.Since(s.lastHandshake) > 3*time.Minute // RejectAfterTime
}
