// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How names of endpoints are looked up.
const (
	// resolveGap is how often, while a peer does not answer. It doubles, up to
	// lastResolveGap.
	resolveGap     = 5 * time.Second
	lastResolveGap = 30 * time.Second
	// retryGap is the first one after a lookup that has failed.
	retryGap = time.Second
	// resolvePatience is how long an attempt waits for it.
	resolvePatience = time.Second
	// resolveTimeout is how long it may take at all.
	resolveTimeout = 10 * time.Second
)

// endpoint is where a peer is said to be.
type endpoint struct {
	addrs   []netip.AddrPort // what its name stands for; empty: not known yet
	fresh   bool             // the device does not know of it yet
	moved   bool             // the name has come to stand for others
	pending bool             // it is being looked up
	asked   time.Time        // when that was begun
	gap     time.Duration    // until it may be begun again
	failed  int              // lookups since the last one that was good
	err     error            // of the last one
}

// wanted reports whether a name should be looked up now, and takes down that it is.
func (e *endpoint) wanted(now time.Time, name string) bool {
	if at, err := netip.ParseAddrPort(name); err == nil {
		e.addrs = []netip.AddrPort{unmapped(at)}
		return false
	}
	if name == "" || e.pending || now.Sub(e.asked) < e.gap {
		return false
	}
	e.pending, e.asked = true, now
	e.gap = min(max(2*e.gap, resolveGap), lastResolveGap)
	return true
}

// waiting reports whether an attempt should wait for what is being looked up.
func (e *endpoint) waiting(now time.Time) bool {
	return e.pending && now.Sub(e.asked) < resolvePatience
}

// aim returns where to call a peer. It is where it is at present, unless its name says
// otherwise, or it does not answer there: then it is the next address of the name.
func (e *endpoint) aim(present netip.AddrPort, deaf bool) netip.AddrPort {
	i := slices.Index(e.addrs, present)
	switch {
	case len(e.addrs) == 0:
		return present
	case !present.IsValid(), i < 0 && (e.fresh || e.moved || deaf):
		return e.addrs[0]
	case deaf:
		return e.addrs[(i+1)%len(e.addrs)]
	}
	return present
}

// found is what has become of a lookup.
type found struct {
	peer     PublicKey
	endpoint string
	addrs    []netip.AddrPort
	err      error
}

// find looks up the name of an endpoint, and lets the supervisor know.
func (t *Tunnel) find(ctx context.Context, key PublicKey, endpoint string) {
	addrs, err := t.lookUp(ctx, endpoint)
	select {
	case t.found <- found{key, endpoint, addrs, err}:
	case <-t.closed:
	}
}

// takeIn remembers what was found.
func (t *Tunnel) takeIn(f found) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[f.peer]
	if p == nil || p.cfg.Endpoint != f.endpoint {
		return // meanwhile it is another one
	}
	e := &p.endpoint
	e.pending = false
	if f.err != nil {
		if e.err == nil || e.err.Error() != f.err.Error() { // the rest is in the status
			t.log.Warn("wg: where a peer is cannot be looked up", "peer", f.peer, "endpoint", f.endpoint, "err", f.err)
		}
		e.err, e.gap = f.err, min(retryGap<<min(e.failed, 10), lastResolveGap)
		e.failed++
		return
	}
	e.err, e.failed = nil, 0
	if !sameAddrs(e.addrs, f.addrs) {
		e.moved, e.addrs = len(e.addrs) > 0, f.addrs
		t.log.Info("wg: where a peer is", "peer", f.peer, "endpoint", f.endpoint, "addresses", fmt.Sprint(f.addrs))
	}
}

// sameAddrs ignores the order: servers turn it round each time.
func sameAddrs(a, b []netip.AddrPort) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(at netip.AddrPort) bool { return !slices.Contains(b, at) })
}

// lookUp returns where an endpoint with a name is, as its resolver has it.
func (t *Tunnel) lookUp(ctx context.Context, endpoint string) (at []netip.AddrPort, err error) {
	host, portText, err := net.SplitHostPort(endpoint)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addrs, err := t.opts.ResolveEndpoint(ctx, strings.TrimSuffix(host, "."))
	for _, a := range addrs {
		at = append(at, unmapped(netip.AddrPortFrom(a, uint16(port))))
	}
	if err == nil && len(at) == 0 {
		err = fmt.Errorf("%q has no address", host)
	}
	return at, err
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
