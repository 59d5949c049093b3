// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheLongestPrefixHasTheAddress(t *testing.T) {
	a, b := NewKey().Public(), NewKey().Public()
	c := Config{Peers: []Peer{
		{PublicKey: a, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/16")}},
		{PublicKey: b, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.0.0.9/8")}},
	}}
	r := c.routes()
	for addr, want := range map[string]PublicKey{
		"192.0.2.1": a, "10.1.2.3": b, "10.2.0.1": b, "fd00::1": a, "::ffff:10.1.2.3": b, "fd01::1": {}, "::1": {},
	} {
		got, ok := r.peer(netip.MustParseAddr(addr))
		if got != want || ok == want.IsZero() {
			t.Errorf("%s is behind %s, want %s", addr, got, want)
		}
	}
}

func TestWhatTheDeviceTellsIsRead(t *testing.T) {
	a, b := NewKey().Public(), NewKey().Public()
	c := Config{PrivateKey: NewKey(), ListenPort: 7, Peers: []Peer{{PublicKey: a, Keepalive: 1500 * time.Millisecond, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.9/8")}}}}
	if text := c.uapi(); !strings.Contains(text, "allowed_ip=10.0.0.0/8\n") || !strings.Contains(text, "persistent_keepalive_interval=2\n") || !strings.Contains(text, "listen_port=7\n") {
		t.Errorf("the device is told %s", text)
	}
	text := "private_key=00\nlisten_port=4711\n" +
		strings.SplitN(uapiEndpoint(a, netip.MustParseAddrPort("[2001:db8::1]:51820")), "\n", 2)[0] + "\nendpoint=[2001:db8::1]:51820\nlast_handshake_time_sec=1700000000\nlast_handshake_time_nsec=5\ntx_bytes=10\nrx_bytes=20\nallowed_ip=0.0.0.0/0\n" +
		strings.SplitN(uapiEndpoint(b, netip.AddrPort{}), "\n", 2)[0] + "\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\nerrno=0\n"
	peers, port := parseUAPI(text)
	want := peerState{endpoint: netip.MustParseAddrPort("[2001:db8::1]:51820"), lastHandshake: time.Unix(1700000000, 5), sent: 10, received: 20}
	if port != 4711 || len(peers) != 2 || peers[a] != want || peers[b] != (peerState{}) {
		t.Errorf("%d %+v", port, peers)
	}
}

func TestAPeerThatDoesNotAnswerIsATimeout(t *testing.T) {
	err := error(&net.OpError{Op: "dial", Err: &PeerError{Peer: NewKey().Public(), Endpoint: "a:1", Attempts: 3, Err: context.Canceled}})
	var timeout net.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, context.Canceled) || !errors.As(err, &timeout) || !timeout.Timeout() || !strings.Contains(err.Error(), "a:1") {
		t.Errorf("the error is %v", err)
	}
}

func TestManyPeersAreLookedAtLessOften(t *testing.T) {
	tunnel := &Tunnel{peers: map[PublicKey]*peer{}}
	if got := tunnel.pause(); got != lookEvery {
		t.Errorf("without peers: every %s", got)
	}
	for range 1000 {
		tunnel.peers[NewKey().Public()] = &peer{}
	}
	tunnel.routes = make(routes, 10_000)
	if got := tunnel.pause(); got < 3*lookEvery || got > lookSeldom {
		t.Errorf("with a thousand peers: every %s", got)
	}
	tunnel.routes = make(routes, 1_000_000)
	if got := tunnel.pause(); got != lookSeldom {
		t.Errorf("with a million networks: every %s", got)
	}
}

func TestTensOfThousandsOfNetworksAreNoTrouble(t *testing.T) {
	cfg := &Config{PrivateKey: NewKey(), Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/32")}}
	for range 2 {
		p := Peer{PublicKey: NewKey().Public()}
		for i := range 50_000 {
			p.AllowedIPs = append(p.AllowedIPs, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32))
		}
		cfg.Peers = append(cfg.Peers, p)
	}
	other := cfg.clone()
	slices.Reverse(other.Peers)
	begin := time.Now()
	text := other.uapiFrom(cfg)
	if took := time.Since(begin); took > 10*time.Second { // quadratic, it would be a minute
		t.Errorf("it took %s", took)
	}
	if n := strings.Count(text, "\nallowed_ip=10."); n != 50_000 {
		t.Errorf("%d networks move, want 50000", n)
	}
}
