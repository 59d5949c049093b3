// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.zx2c4.com/wireguard/device"
)

const (
	// lookEvery is how often peers are looked at, as long as there are not very many,
	// and lookSeldom how often at least.
	lookEvery  = 100 * time.Millisecond
	lookSeldom = time.Second
	// reopenEvery is how often the outer socket is opened anew while no peer answers.
	reopenEvery = 20 * time.Second
	// jump is how far the clock on the wall may get from the one that only counts:
	// more means that the host has slept, or that somebody has set it.
	jump = 10 * time.Second
)

// peer is what is known of one beside what the device knows. Its fields are guarded
// by the mutex of the tunnel.
type peer struct {
	cfg Peer
	watch
	endpoint endpoint
	setBack  time.Duration // how far the clock was set back since the last handshake
}

// trouble is why a peer cannot be called; nil: it can, as far as is known.
func (p *peer) trouble() error {
	switch {
	case p.setBack > 0:
		return fmt.Errorf("this host's clock was set back by %s, and peers refuse handshakes until it is where it was", p.setBack)
	case len(p.endpoint.addrs) == 0 && p.endpoint.err != nil:
		return p.endpoint.err
	case len(p.endpoint.addrs) == 0 && p.endpoint.pending && !p.endpoint.waiting(time.Now()):
		return errors.New("the name of its endpoint is still being looked up")
	}
	return p.problem
}

// supervise keeps the peers in reach until the tunnel is closed.
func (t *Tunnel) supervise() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	clocks := t.readClocks()
	opened := time.Now()
	for {
		was := clocks
		clocks = t.readClocks()
		if t.jumped(clocks.drift(was)) {
			opened = time.Now()
		}
		answered, hasSocket := t.look(ctx)
		if since := time.Since(opened); !hasSocket && since > time.Second || !answered && since > reopenEvery {
			t.reopen()
			opened = time.Now()
		}
		timer.Reset(t.pause())
		select {
		case <-timer.C:
		case f := <-t.found:
			t.takeIn(f)
		case <-t.closed:
			return
		}
	}
}

// pause is how long to wait between two looks. The device tells all that it has each
// time, which for a thousand peers with ten thousand networks takes some 5 ms.
func (t *Tunnel) pause() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := 8*len(t.peers) + len(t.routes)
	return min(lookEvery+lookEvery*time.Duration(lines)/4000, lookSeldom)
}

// clocks are read at the same time: one that can be set, and stands for how late it
// is, and one that only counts, and stands still while the host sleeps.
type clocks struct{ wall, count time.Time }

func (t *Tunnel) readClocks() clocks { return clocks{t.wall().Round(0), time.Now()} }

// drift is how much further the first clock has gone than the second.
func (c clocks) drift(was clocks) time.Duration {
	return (c.wall.Sub(was.wall) - c.count.Sub(was.count)).Round(time.Second)
}

// jumped acts upon a clock that has not gone evenly. It reports whether the outer
// socket was opened anew.
func (t *Tunnel) jumped(drift time.Duration) bool {
	switch {
	case drift > jump:
		t.log.Info("wg: the host has slept, or its clock was set; the peers are called again", "by", drift.String())
		t.reopen()
	case drift < -jump:
		t.log.Warn("wg: the clock was set back; peers refuse handshakes until it is where it was", "by", (-drift).String())
	default:
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.peers {
		if drift < 0 {
			p.setBack = -drift
			continue
		}
		p.doubt(time.Now(), drift)
	}
	return drift > 0
}

// reopen opens the outer socket anew, on the same port if it can be had. Some errors
// of sockets are for ever, and none outlives a network that was changed.
func (t *Tunnel) reopen() {
	t.changing.Lock()
	defer t.changing.Unlock()
	_, port := t.state()
	if port == 0 {
		t.mu.Lock()
		port = t.cfg.ListenPort
		t.mu.Unlock()
	}
	if err := t.device.IpcSet(fmt.Sprintf("listen_port=%d\n", port)); err != nil {
		t.log.Warn("wg: the outer socket cannot be opened", "port", port, "err", err)
	}
}

// look looks at each peer once. It reports whether one has answered, unless none was
// asked, and whether there is a socket.
func (t *Tunnel) look(ctx context.Context) (answered, hasSocket bool) {
	states, port := t.state()
	asked := false
	for key, state := range states {
		failing, attempts := t.tend(ctx, key, state)
		asked = asked || attempts > 0
		answered = answered || !failing
	}
	return answered || !asked, port != 0
}

// tend sees to it that a peer answers, if it should.
func (t *Tunnel) tend(ctx context.Context, key PublicKey, state peerState) (failing bool, attempts int) {
	t.mu.Lock()
	p := t.peers[key]
	if p == nil { // just removed
		t.mu.Unlock()
		return false, 0
	}
	now := time.Now()
	if p.see(now, state) {
		p.setBack, p.endpoint.gap = 0, 0
		close(t.shake)
		t.shake = make(chan struct{})
	}
	due, anew := p.due(now, p.cfg.Endpoint != "")
	act := due || p.endpoint.fresh
	if act && p.endpoint.wanted(now, p.cfg.Endpoint) {
		go t.find(ctx, key, p.cfg.Endpoint)
	}
	aim := p.endpoint.aim(state.endpoint, p.attempts >= 2 || p.problem != nil)
	act = act && aim.IsValid() && !p.endpoint.waiting(now)
	if act {
		p.endpoint.moved, p.endpoint.fresh = false, false
	}
	if act && due {
		p.try(now)
	}
	failing, attempts = p.failing(now), p.attempts
	t.mu.Unlock()
	if act {
		t.call(key, aim, due, due && anew)
	}
	return failing, attempts
}

// call tells the device where a peer is, and, if shake is set, begins a handshake.
func (t *Tunnel) call(key PublicKey, at netip.AddrPort, shake, anew bool) {
	d := t.device.LookupPeer(device.NoisePublicKey(key.raw))
	if d == nil {
		return
	}
	if anew {
		d.ExpireCurrentKeypairs()
	}
	// Also where it is already: the address of ours that it was called from may be gone.
	err := t.device.IpcSet(uapiEndpoint(key, at))
	if err == nil && shake {
		err = d.SendHandshakeInitiation(false)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[key]; p != nil && err != nil { // nil can also be that the device has just tried by itself
		p.problem = err
	}
}
