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

	"golang.zx2c4.com/wireguard/device"
)

// How the supervisor goes about it.
const (
	// lookEvery is how often peers are looked at.
	lookEvery = 100 * time.Millisecond
	// firstGap is until a handshake that was not answered is begun anew. The device
	// itself waits for 5 seconds. It doubles, so that an answer that takes longer
	// than the gap comes before the next one: what is begun anew cannot be answered
	// any more.
	firstGap = 250 * time.Millisecond
	lastGap  = 5 * time.Second
	// silence is for how long nothing may come from a peer that was sent something.
	silence = 3 * time.Second
	// calm is for how long after a handshake none is begun.
	calm = 5 * time.Second
	// resolveEvery is how often a name is looked up again.
	resolveEvery = 30 * time.Second
	// resolveTimeout is how long that may take.
	resolveTimeout = 10 * time.Second
)

// watched is what the supervisor remembers of a peer.
type watched struct {
	state      peerState
	gap        time.Duration // until the next attempt
	triedAt    time.Time
	failed     int       // attempts since the last handshake
	silentFrom time.Time // since when there is no answer to what was sent; zero: there is
	resolvedAt time.Time
	at         netip.AddrPort // where the device was told the peer is
}

// supervise keeps the peers in reach until the tunnel is closed.
func (t *Tunnel) supervise() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-t.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	known := map[PublicKey]*watched{}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		t.look(ctx, known)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// look looks at each peer once.
func (t *Tunnel) look(ctx context.Context, known map[PublicKey]*watched) {
	states, _ := t.state()
	t.mu.Lock()
	peers := make([]Peer, 0, len(t.peers))
	for _, p := range t.peers {
		peers = append(peers, p.cfg)
	}
	t.mu.Unlock()
	for _, p := range peers {
		w := known[p.PublicKey]
		if w == nil {
			w = &watched{gap: firstGap}
			known[p.PublicKey] = w
		}
		if p.Endpoint != "" {
			t.tend(ctx, p, w, states[p.PublicKey])
		}
	}
}

// tend sees to it that a peer answers.
func (t *Tunnel) tend(ctx context.Context, p Peer, w *watched, now peerState) {
	was := w.state
	w.state = now
	if now.lastHandshake.After(was.lastHandshake) {
		w.gap, w.failed, w.silentFrom = firstGap, 0, time.Time{}
		t.noted(p.PublicKey, 0, nil)
	}
	switch {
	case now.received > was.received:
		w.silentFrom = time.Time{}
	case now.sent > was.sent && w.silentFrom.IsZero():
		w.silentFrom = time.Now()
	}
	if w.resolvedAt.IsZero() || w.failed >= 2 && time.Since(w.resolvedAt) >= resolveEvery {
		t.resolve(ctx, p, w)
	}
	if !w.at.IsValid() {
		return
	}
	device := t.device.LookupPeer(device.NoisePublicKey(p.PublicKey.raw))
	if device == nil {
		return
	}
	switch {
	case now.lastHandshake.IsZero():
		if time.Since(w.triedAt) < w.gap {
			return
		}
		if w.failed > 0 {
			device.ExpireCurrentKeypairs() // there are none, and it may try again at once
		}
		w.gap = min(2*w.gap, lastGap)
	case !w.silentFrom.IsZero() && time.Since(w.silentFrom) >= silence && time.Since(now.lastHandshake) >= calm:
		// Keys that are alive are left alone: who only listens is healthy.
		if time.Since(w.triedAt) < max(w.gap, silence) {
			return
		}
		w.gap = min(2*w.gap, 2*lastGap)
	default:
		return
	}
	w.triedAt = time.Now()
	w.failed++
	t.noted(p.PublicKey, w.failed, nil)
	if err := device.SendHandshakeInitiation(false); err != nil {
		t.noted(p.PublicKey, w.failed, err)
	}
}

// noted remembers how it goes with a peer, for errors and the status.
func (t *Tunnel) noted(key PublicKey, attempts int, problem error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[key]; p != nil {
		p.attempts, p.problem = attempts, problem
	}
}

// resolve tells the device where a peer is. A name that cannot be looked up leaves it
// where it was.
func (t *Tunnel) resolve(ctx context.Context, p Peer, w *watched) {
	w.resolvedAt = time.Now()
	at, err := t.lookUp(ctx, p.Endpoint, w.at)
	if err == nil && at != w.at {
		err = t.device.IpcSet(uapiEndpoint(p.PublicKey, at))
	}
	if err != nil {
		t.noted(p.PublicKey, w.failed, err)
		t.log.Warn("wg: the endpoint of a peer is not known", "peer", p.PublicKey, "endpoint", p.Endpoint, "err", err)
		w.resolvedAt = time.Now().Add(time.Second - resolveEvery) // soon again
		if !w.at.IsValid() {
			w.failed = max(w.failed, 2)
		}
		return
	}
	if at != w.at {
		w.at, w.gap, w.triedAt = at, firstGap, time.Time{}
		t.log.Info("wg: the endpoint of a peer", "peer", p.PublicKey, "endpoint", p.Endpoint, "address", at)
	}
}

// lookUp returns where an endpoint is. An address that is in use stays, if the name
// still has it.
func (t *Tunnel) lookUp(ctx context.Context, endpoint string, used netip.AddrPort) (netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(endpoint)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(addr.Unmap(), uint16(port)), nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addrs, err := t.opts.ResolveEndpoint(ctx, strings.TrimSuffix(host, "."))
	if err != nil {
		return netip.AddrPort{}, err
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	switch {
	case len(addrs) == 0:
		return netip.AddrPort{}, fmt.Errorf("%q has no address", host)
	case slices.Contains(addrs, used.Addr()):
		// It did not answer there, though: the next one's turn.
		i := (slices.Index(addrs, used.Addr()) + 1) % len(addrs)
		return netip.AddrPortFrom(addrs[i], uint16(port)), nil
	}
	return netip.AddrPortFrom(addrs[0], uint16(port)), nil
}
