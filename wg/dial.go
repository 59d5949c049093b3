// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
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
	if err = t.ended(err); err == nil {
		return conn, nil
	}
	return nil, &net.OpError{Op: "dial", Net: network, Addr: addr, Err: inner(err)}
}

// inner is what an [*net.OpError] is about. One further inside is not meant: it can be
// of a socket that a name server, or the peer itself, was to be reached by.
func inner(err error) error {
	if op, ok := err.(*net.OpError); ok {
		return op.Err
	}
	return err
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
	host, port, err := splitAddress(ctx, network, address)
	if err != nil {
		return nil, nil, err
	}
	names := t.names()
	addrs, err := names.LookupNetIP(ctx, family, host)
	if err != nil {
		return nil, nil, t.explainLookup(ctx, names.Servers, err)
	}
	all := make([]netip.AddrPort, len(addrs))
	for i, a := range addrs {
		all[i] = netip.AddrPortFrom(a, port)
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

// splitAddress takes an address apart. The port may be the name of a service that
// /etc/services has, such as https.
func splitAddress(ctx context.Context, network, address string) (host string, port uint16, err error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	// It asks no server.
	n, err := (&net.Resolver{PreferGo: true}).LookupPort(ctx, network, service)
	if err != nil {
		return "", 0, &net.AddrError{Err: fmt.Sprintf("the port %q is neither a number up to 65535 nor a service", service), Addr: address}
	}
	return host, uint16(n), nil
}

// stagger is until the next address is tried as well, RFC 8305, 5.
const stagger = 250 * time.Millisecond

// attempt is what has become of one address.
type attempt struct {
	conn net.Conn
	addr netip.AddrPort
	err  error
}

// race tries addresses one after the other, and takes the first that answers. The error
// is that of the first that has failed, of those that a peer has if there are any.
func (t *Tunnel) race(ctx context.Context, network string, addrs []netip.AddrPort) (net.Conn, net.Addr, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan attempt, len(addrs))
	pending := 0
	begin := func() {
		addr := addrs[0]
		addrs = addrs[1:]
		pending++
		go func() {
			conn, err := t.dialOne(ctx, network, addr)
			results <- attempt{conn, addr, err}
		}()
	}
	begin()
	timer := time.NewTimer(stagger)
	defer timer.Stop()
	var first attempt
	for pending > 0 {
		select {
		case r := <-results:
			pending--
			if r.err == nil {
				go closeLate(results, pending)
				return r.conn, nil, nil
			}
			if first.err == nil || errors.Is(first.err, ErrNoRoute) && !errors.Is(r.err, ErrNoRoute) {
				first = r
			}
		case <-timer.C:
		}
		if len(addrs) > 0 && ctx.Err() == nil {
			begin()
			timer.Reset(stagger)
		}
	}
	return nil, addrOf(network, first.addr), first.err
}

// closeLate closes what has come up behind the first.
func closeLate(results <-chan attempt, pending int) {
	for range pending {
		if late := <-results; late.conn != nil {
			late.conn.Close()
		}
	}
}

func addrOf(network string, addr netip.AddrPort) net.Addr {
	if strings.HasPrefix(network, "udp") {
		return net.UDPAddrFromAddrPort(addr)
	}
	return net.TCPAddrFromAddrPort(addr)
}

// dialOne connects to one address. It ends with ctx, and soon.
func (t *Tunnel) dialOne(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error) {
	if _, err := t.route(addr.Addr()); err != nil {
		return nil, err
	}
	if strings.HasPrefix(network, "udp") {
		return orNil(t.stack.DialUDP(netip.AddrPort{}, addr))
	}
	conn, err := t.connect(ctx, addr)
	return conn, t.explain(ctx, addr.Addr(), err)
}

const (
	// longWait is from when on TCP lets seconds go by before it tries again.
	longWait = time.Second
	// answerTime is how long what it has tried before may take to be answered.
	answerTime = 250 * time.Millisecond
)

// connect connects by TCP. When a peer has come back meanwhile, it begins once more:
// TCP itself tries after 1, 3, 7, 15 and 31 seconds, and so would wait for as long again.
func (t *Tunnel) connect(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan attempt, 2)
	begin := func() {
		conn, err := orNil(t.stack.DialTCP(ctx, netip.AddrPort{}, addr))
		results <- attempt{conn, addr, err}
	}
	go begin()
	pending, begun := 1, time.Now()
	shaken := t.shaken()
	var again <-chan time.Time
	for {
		select {
		case r := <-results:
			pending--
			if r.err == nil || pending == 0 || ctx.Err() == nil && !os.IsTimeout(r.err) {
				go closeLate(results, pending)
				return r.conn, r.err
			}
		case <-shaken:
			if shaken = t.shaken(); again == nil && time.Since(begun) > longWait {
				shaken, again = nil, time.After(answerTime)
			}
		case <-again:
			pending++
			go begin()
		}
	}
}

// orNil has no pointer that is nil in an interface that is not.
func orNil[T net.Conn](conn T, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// route returns which peer has an address. For those of this end it is none.
func (t *Tunnel) route(addr netip.Addr) (PublicKey, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Contains(t.cfg.own(), addr.Unmap()) {
		return PublicKey{}, nil
	}
	key, ok := t.routes.peer(addr)
	if !ok {
		return PublicKey{}, fmt.Errorf("%w: %s", ErrNoRoute, addr)
	}
	return key, nil
}

// explain returns the error of a call that has waited in vain for an address: if the
// peer that has it does not answer, it is a [*PeerError].
func (t *Tunnel) explain(ctx context.Context, addr netip.Addr, err error) error {
	var timeout net.Error
	late := errors.As(err, &timeout) && timeout.Timeout()
	if err == nil || ctx.Err() == nil && !late {
		return err
	}
	key, gone := t.route(addr) // it can be another one by now
	switch {
	case gone != nil:
		return gone
	case key.IsZero() || !t.deaf(key):
		return err
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return t.peerError(key, inner(err))
}

// explainLookup returns the error of a lookup that was in vain: if nothing answers that
// the first server is behind, that matters more.
func (t *Tunnel) explainLookup(ctx context.Context, servers []netip.AddrPort, err error) error {
	if len(servers) == 0 || ctx.Err() == nil && !os.IsTimeout(err) {
		return err
	}
	key, noRoute := t.route(servers[0].Addr())
	if noRoute != nil || key.IsZero() || !t.deaf(key) {
		return err
	}
	return t.peerError(key, err)
}

// deaf reports whether a peer does not answer.
func (t *Tunnel) deaf(key PublicKey) bool {
	states, _ := t.state()
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[key]
	// It may have answered since the supervisor has looked.
	return p != nil && p.failing(time.Now()) && states[key].lastHandshake.Equal(p.last.lastHandshake)
}

// peerError is about a peer that does not answer.
func (t *Tunnel) peerError(key PublicKey, cause error) error {
	states, _ := t.state()
	t.mu.Lock()
	defer t.mu.Unlock()
	e := &PeerError{Peer: key, LastHandshake: states[key].lastHandshake, Err: cause}
	if p := t.peers[key]; p != nil {
		e.Endpoint, e.Attempts, e.Problem = p.cfg.Endpoint, p.attempts, p.trouble()
	}
	return e
}
