// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"fmt"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wgnet"
	"xeiaso.net/site/wg"
)

// A packet of the tunnel is 60 bytes longer outside over IPv4, and 80 over IPv6. What
// is too long for the path is dropped without a word.
func TestPacketsAreShortEnoughForThePath(t *testing.T) {
	for _, tt := range []struct {
		own, peer int // MTU inside
		path      int // outside
	}{
		{1420, 1420, 1480},
		{1380, 1380, 1440},
		{1280, 1280, 1340},
		{1280, 1420, 1341}, // ours is enough: TCP tells the other side
	} {
		t.Run(fmt.Sprintf("%d of %d", tt.own, tt.path), func(t *testing.T) {
			network := wgnet.New(t)
			peer := network.Peer(t, wgnet.Options{MTU: tt.peer})
			relay := network.Relay(t, peer.AddrPort4(), 1)
			link := wgnet.Link{MTU: tt.path}
			relay.Set(link, link)
			cfg := configOf(t, network, peer)
			cfg.MTU, cfg.Peers[0].Endpoint = tt.own, relay.Endpoint()
			moves(t, peer, up(t, network, cfg, wg.Options{}))
		})
	}
	t.Run("a short cable", func(t *testing.T) {
		network := wgnet.New(t)
		network.Client = prefixes("10.9.0.2/16") // Linux has no IPv6 where less than 1280 bytes fit
		peer := network.Peer(t, wgnet.Options{MTU: 1200, LinkMTU: 1280, Addresses: prefixes("10.9.1.1/24")})
		cfg := configOf(t, network, peer)
		cfg.MTU, cfg.Peers[0].Endpoint = 1200, peer.Endpoint6()
		moves(t, peer, up(t, network, cfg, wg.Options{}))
	})
}

// moves has a megabyte go each way, over IPv4 and, if the peer has it, IPv6.
func moves(t *testing.T, peer *wgnet.Peer, tunnel *wg.Tunnel) {
	t.Helper()
	content := megabyte()
	serve(t, peer.Listen(t, "tcp", ":80"), sums(content))
	begun := time.Now()
	transfer(t, tunnel, at(peer.Inside4, 80), content)
	if peer.Inside6.IsValid() {
		transfer(t, tunnel, at(peer.Inside6, 80), content)
	}
	t.Logf("moved in %s", time.Since(begun).Round(time.Millisecond))
}

func TestAPoorPathIsGoodEnough(t *testing.T) {
	t.Parallel()
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	relay := network.Relay(t, peer.AddrPort4(), 7)
	poor := wgnet.Link{Loss: 0.01, Reorder: 0.02, Delay: 15 * time.Millisecond, Jitter: time.Millisecond}
	relay.Set(poor, poor)
	cfg := configOf(t, network, peer)
	cfg.Peers[0].Endpoint = relay.Endpoint()
	moves(t, peer, up(t, network, cfg, wg.Options{}))
}
