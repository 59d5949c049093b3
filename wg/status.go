// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Status is how a tunnel is.
type Status struct {
	Addrs      []netip.Addr `json:"addrs"`
	ListenPort uint16       `json:"listen_port"` // of the outer socket; 0 before Up and after Close
	Peers      []PeerStatus `json:"peers"`
}

// State says in a word how a peer is.
type State string

// The states of a peer.
const (
	StateIdle        State = "idle"        // it was neither called nor heard
	StateHandshaking State = "handshaking" // it is being called
	StateUp          State = "up"          // it has answered
	StateStale       State = "stale"       // it has, longer than three minutes ago; there was nothing to say since
	StateUnreachable State = "unreachable" // it does not answer
)

// PeerStatus is how a peer is.
type PeerStatus struct {
	PublicKey PublicKey `json:"public_key"`
	State     State     `json:"state"`
	// Endpoint is as it was configured, Address where the peer was heard last, or is
	// called.
	Endpoint string         `json:"endpoint,omitzero"`
	Address  netip.AddrPort `json:"address,omitzero"`
	// LastHandshake is when the peer has answered last; zero if never. While there is
	// something to say, that is not longer than about two minutes ago.
	LastHandshake time.Time `json:"last_handshake,omitzero"`
	// Sent and Received are bytes, outside of the tunnel.
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
	// Attempts counts handshakes that were begun since LastHandshake.
	Attempts int `json:"attempts,omitzero"`
	// Problem is why the peer cannot be called; empty if it can.
	Problem string `json:"problem,omitzero"`
}

// Status returns how the tunnel is now.
func (t *Tunnel) Status() Status {
	states, port := t.state()
	t.mu.Lock()
	defer t.mu.Unlock()
	s, now := Status{Addrs: t.cfg.own()}, time.Now()
	if t.up && !t.isClosed() {
		s.ListenPort = port
	}
	for _, c := range t.cfg.Peers {
		p, state := t.peers[c.PublicKey], states[c.PublicKey]
		st := PeerStatus{
			PublicKey: c.PublicKey, Endpoint: c.Endpoint, Address: state.endpoint, LastHandshake: state.lastHandshake,
			Sent: state.sent, Received: state.received, Attempts: p.attempts, State: p.state(now),
		}
		if err := p.trouble(); err != nil {
			st.Problem = err.Error()
		}
		s.Peers = append(s.Peers, st)
	}
	return s
}

// state says in a word how the peer is.
func (p *peer) state(now time.Time) State {
	switch {
	case p.attempts >= 2, len(p.endpoint.addrs) == 0 && p.endpoint.err != nil && !p.alive(now):
		return StateUnreachable
	case p.attempts == 1, p.endpoint.pending && p.shook.IsZero():
		return StateHandshaking
	case p.shook.IsZero():
		return StateIdle
	case !p.alive(now):
		return StateStale
	}
	return StateUp
}

// Healthy returns nil if every peer that is called has answered within a time, and
// otherwise what is wrong. A peer that nothing is said to answers each two minutes
// only with a keepalive.
func (t *Tunnel) Healthy(maxAge time.Duration) error {
	var errs []error
	for _, p := range t.Status().Peers {
		if p.Endpoint != "" && (p.LastHandshake.IsZero() || time.Since(p.LastHandshake) > maxAge) {
			errs = append(errs, t.peerError(p.PublicKey, fmt.Errorf("not within %s", maxAge)))
		}
	}
	return errors.Join(errs...)
}
