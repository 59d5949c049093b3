// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/internal/test/wgnet"
	"xeiaso.net/site/wg"
)

// Streams go on while everything that may change around them does.
func TestSoakNoStreamNoticesAReconfiguration(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	cfg := configOf(t, network, peer)
	tunnel := up(t, network, cfg, wg.Options{})
	stop := make(chan struct{})
	var all sync.WaitGroup
	lines := make([]atomic.Int64, 4)
	for i := range lines {
		conn, _ := stream(t, tunnel, peer)
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := ask(conn, fmt.Sprintf("%0512d", lines[i].Load())); err != nil {
					t.Errorf("stream %d, after %d lines: %v", i, lines[i].Load(), err)
					return
				}
				lines[i].Add(1)
			}
		})
	}
	other := wg.Peer{PublicKey: wg.NewKey().Public(), AllowedIPs: prefixes("10.77.0.0/16", "fd77:77::/64"), Endpoint: "192.0.2.7:51820"}
	before := tunnel.Status().Peers[0].LastHandshake
	times := need.Times(30, 100)
	for i := range times {
		next := *cfg
		next.Peers = append([]wg.Peer(nil), cfg.Peers...)
		next.Peers[0].AllowedIPs = append(prefixes(fmt.Sprintf("10.78.%d.0/24", i)), cfg.Peers[0].AllowedIPs...)
		next.Peers[0].Keepalive = time.Duration(i%3) * time.Second
		next.Addresses = append(prefixes(fmt.Sprintf("10.79.0.%d/32", i+1)), cfg.Addresses...)
		next.MTU = []int{1280, 1380, 1420}[i%3]
		next.DNS = []netip.Addr{peer.Inside4}
		next.ListenPort = []uint16{0, 40000}[i/10%2] // the peer has to follow
		if i%2 == 0 {
			next.Peers = append(next.Peers, other)
		}
		if err := tunnel.Reconfigure(&next); err != nil {
			t.Fatalf("the %d. time: %v", i+1, err)
		}
		conn, err := tunnel.DialContext(patient(t), "udp", fmt.Sprintf("10.78.%d.1:9", i))
		if err != nil {
			t.Errorf("the %d. time: %v", i+1, err)
			continue
		}
		conn.Close()
		for i := range lines {
			was := lines[i].Load()
			wait.Until(t, "the stream goes on", func() bool { return t.Failed() || lines[i].Load() > was })
		}
	}
	close(stop)
	all.Wait()
	sum := int64(0)
	for i := range lines {
		sum += lines[i].Load()
	}
	t.Logf("%d changes, %d streams, %d lines", times, len(lines), sum)
	if s := tunnel.Status().Peers[0]; !s.LastHandshake.Equal(before) {
		t.Errorf("there was a handshake at %s, the last before it at %s", s.LastHandshake, before)
	}
}
