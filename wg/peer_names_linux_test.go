// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wgnet"
	"xeiaso.net/site/wg"
)

func addrs(list ...string) (all []netip.Addr) {
	for _, s := range list {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

func TestNamesAreThoseOfTheOtherSide(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	var many []netip.Addr
	lines := []string{
		"host-record=app.internal,10.9.1.1,fd09:0:0:1::1", "host-record=four.internal,10.9.1.1", "cname=www.internal,app.internal",
		"txt-record=_apps.internal,blog,mi", "srv-host=_http._tcp.internal,app.internal,8080,10,20",
	}
	for i := range 60 {
		addr := netip.AddrFrom4([4]byte{10, 9, 1, byte(100 + i)})
		many = append(many, addr)
		lines = append(lines, "host-record=many.internal,"+addr.String())
	}
	peer.DNS(t, peer.Inside4.String(), append(lines, "edns-packet-max=512")...)
	cfg := configOf(t, network, peer)
	cfg.DNS, cfg.Search = []netip.Addr{peer.Inside4}, []string{"internal"}
	tunnel := up(t, network, cfg, wg.Options{})
	r := tunnel.Resolver()
	both := addrs("fd09:0:0:1::1", "10.9.1.1")
	for _, tt := range []struct {
		network, name string
		want          []netip.Addr
	}{
		{"ip", "app.internal", both},
		{"ip", "app.internal.", both},
		{"ip", "app", both}, // in the search domain
		{"ip", "APP", both},
		{"ip", "www", both},
		{"ip4", "app", addrs("10.9.1.1")},
		{"ip6", "app", addrs("fd09:0:0:1::1")},
		{"ip", "four", addrs("10.9.1.1")},
		{"ip", "many", many}, // more than a packet has room for
	} {
		got, err := r.LookupNetIP(patient(t), tt.network, tt.name)
		slices.SortFunc(got, func(a, b netip.Addr) int { return b.BitLen() - a.BitLen() + int(a.As16()[15]) - int(b.As16()[15]) })
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s %s: %v, %v, want %v", tt.network, tt.name, got, err, tt.want)
		}
	}
	if got, err := r.LookupTXT(patient(t), "_apps.internal"); err != nil || strings.Join(got, "") != "blogmi" {
		t.Errorf("TXT: %q, %v", got, err)
	}
	if got, err := r.LookupCNAME(patient(t), "www.internal"); err != nil || got != "app.internal." {
		t.Errorf("CNAME: %q, %v", got, err)
	}
	if got, err := r.LookupSRV(patient(t), "http", "tcp", "internal"); err != nil || len(got) != 1 || *got[0] != (net.SRV{Target: "app.internal.", Port: 8080, Priority: 10, Weight: 20}) {
		t.Errorf("SRV: %v, %v", got, err)
	}
	for _, tt := range []struct{ network, name string }{{"ip", "none.internal"}, {"ip", "none"}, {"ip6", "four.internal"}} {
		_, err := r.LookupNetIP(patient(t), tt.network, tt.name)
		if e, ok := errors.AsType[*net.DNSError](err); !ok || !e.IsNotFound || e.IsTimeout || e.Name != tt.name {
			t.Errorf("%s %s: %#v", tt.network, tt.name, err)
		}
	}
	for _, family := range []string{"tcp", "tcp4", "tcp6"} {
		l := peer.Listen(t, family, ":0")
		go echo(l)
		_, port, _ := net.SplitHostPort(l.Addr().String())
		conn, err := tunnel.DialContext(patient(t), family, "www:"+port)
		if err != nil {
			t.Errorf("%s: %v", family, err)
			continue
		}
		echoTCP(t, conn)
		l.Close()
	}
}

// Of several servers it does not matter which one works.
func TestAServerThatDoesNotAnswerIsNotTheEnd(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{Addresses: prefixes("10.9.1.1/24", "10.9.1.2/24", "fd09:0:0:1::1/64")})
	failed := peer.FailingDNS(t, "10.9.1.2", 2)
	peer.DNS(t, "10.9.1.1", "host-record=app.internal,10.9.1.1")
	for name, servers := range map[string][]netip.Addr{
		"one fails":        addrs("10.9.1.2", "10.9.1.1"),
		"one is not there": addrs("10.9.1.77", "10.9.1.1"), // inside, where nothing is
		"one refuses":      addrs("fd09:0:0:1::1", "10.9.1.1"),
	} {
		cfg := configOf(t, network, peer)
		cfg.DNS = servers
		tunnel := up(t, network, cfg, wg.Options{})
		begun := time.Now()
		got, err := tunnel.Resolver().LookupNetIP(patient(t), "ip", "app.internal")
		if err != nil || !slices.Equal(got, addrs("10.9.1.1")) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		t.Logf("%s: %s", name, time.Since(begun).Round(time.Millisecond))
		tunnel.Close() // the next one has the same key
	}
	if failed() == 0 {
		t.Error("the server that fails was not asked")
	}
	cfg := configOf(t, network, peer)
	cfg.DNS = addrs("10.9.1.2")
	_, err := up(t, network, cfg, wg.Options{}).Resolver().LookupNetIP(patient(t), "ip", "app.internal")
	if e, ok := errors.AsType[*net.DNSError](err); !ok || e.IsNotFound || !e.IsTemporary || !strings.Contains(e.Server, "10.9.1.2") {
		t.Errorf("if the only one fails: %#v", err)
	}
}

func TestALookupEndsWithItsContext(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{})
	cfg := configOf(t, network, peer)
	cfg.DNS = addrs("10.9.1.1", "10.9.1.77")
	tunnel := up(t, network, cfg, wg.Options{})
	asked := make(chan error, 1)
	silent := peer.ListenPacket(t, "udp", "10.9.1.1:53")
	go func() {
		_, _, err := silent.ReadFrom(make([]byte, 1500))
		asked <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := tunnel.Resolver().LookupNetIP(ctx, "ip", "app.internal")
		ended <- err
	}()
	if err := <-asked; err != nil {
		t.Error(err)
	}
	cancel()
	begun := time.Now()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %#v", err)
	}
	if took := time.Since(begun); took > time.Second { // 50 ms at most are asked for
		t.Errorf("it took %s to end", took)
	}
	short, end := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer end()
	_, err := tunnel.DialContext(short, "tcp", "app.internal:80")
	e, ok := errors.AsType[*net.DNSError](err)
	if op, isOp := errors.AsType[*net.OpError](err); !ok || !isOp || op.Op != "dial" || !e.IsTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline: %#v", err)
	}
}

// A tunnel like those that Fly.io makes: no IPv4, no DNS line, a network of /120 that
// the servers are not in.
func TestATunnelOfFly(t *testing.T) {
	network := wgnet.New(t)
	network.Client = prefixes("fdaa:0:99:a7b:9ada:0:a:2/120")
	peer := network.Peer(t, wgnet.Options{Addresses: prefixes("fdaa:0:99::3/48", "fdaa:0:99:a7b::5/128", "fdaa:0:99:a7b::6/128")})
	const app, other = "fdaa:0:99:a7b::5", "fdaa:0:99:a7b::6"
	peer.DNS(t, "fdaa:0:99::3",
		"host-record=app.internal,"+app, "host-record=top1.nearest.of.app.internal,"+app,
		"host-record=slow.internal,fdaa:0:99:a7b::dead", "host-record=slow.internal,"+other,
		"txt-record=regions.app.internal,ams\\,iad",
	)
	go echo(peer.Listen(t, "tcp", "[::]:8080"))
	cfg := configOf(t, network, peer)
	cfg.Peers[0].AllowedIPs, cfg.Peers[0].Keepalive = prefixes("fdaa:0:99::/48"), 15*time.Second
	sniffer := network.Sniff(t, "nearest", "hello from fly")
	tunnel := up(t, network, cfg, wg.Options{})
	for _, name := range []string{app, "app.internal", "app.internal.", "top1.nearest.of.app.internal"} {
		conn, err := tunnel.DialContext(patient(t), "tcp", net.JoinHostPort(name, "8080"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		fmt.Fprint(conn, "hello from fly")
		b := make([]byte, len("hello from fly"))
		if _, err := conn.Read(b); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
	if got, err := tunnel.Resolver().LookupTXT(patient(t), "regions.app.internal"); err != nil || len(got) != 1 {
		t.Errorf("TXT: %q, %v", got, err)
	}
	// Whichever address comes first, the one that is dead does not hold it up.
	for range 4 {
		begun := time.Now()
		conn, err := tunnel.DialContext(patient(t), "tcp", "slow.internal:8080")
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if took := time.Since(begun); took > 5*time.Second { // 500 ms at most are asked for
			t.Errorf("it took %s", took)
		}
		t.Logf("with a dead address: %s", time.Since(begun).Round(time.Millisecond))
	}
	if _, err := tunnel.DialContext(patient(t), "tcp4", "app.internal:8080"); err == nil {
		t.Error("there is no IPv4 in this tunnel, and it was dialed")
	}
	sniffer.OnlyTo(t, peer.AddrPort4())
}

// Whatever is tried, and however it fails, nothing of it is sent but to the peer.
func TestNothingLeaks(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	peer.DNS(t, "10.9.1.1", "host-record=app.internal,10.9.1.1,fd09:0:0:1::1")
	go echo(peer.Listen(t, "tcp", ":7"))
	go answerPackets(peer.ListenPacket(t, "udp", "10.9.1.1:7"))
	const secret = "the text that nobody may see"
	sniffer := network.Sniff(t, secret, "app\x08internal", "no-such-name", "example\x03com")

	cfg := configOf(t, network, peer)
	cfg.DNS, cfg.Search = addrs("10.9.1.1", "10.9.1.77"), []string{"internal"}
	cfg.Peers[0].AllowedIPs = append(cfg.Peers[0].AllowedIPs, prefixes("198.51.100.0/24")...)
	tunnel := newTunnel(t, network, cfg, wg.Options{DNSTimeout: 200 * time.Millisecond})
	attempt := func(when string) int {
		t.Helper()
		var succeeded atomic.Int32
		var all sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, network := range []string{"tcp", "udp"} {
			for _, address := range []string{
				"app.internal:7", "app:7", "10.9.1.1:7", "[fd09:0:0:1::1]:7", "10.9.1.1:9", "no-such-name.internal:7", "no-such-name:7",
				"www.example.com:7", "localhost:7", "127.0.0.1:7", "[::1]:7", "192.0.2.1:7", "198.51.100.7:7", "[2001:db8::1]:7",
			} {
				all.Go(func() {
					conn, err := tunnel.DialContext(ctx, network, address)
					if err != nil {
						return
					}
					defer conn.Close()
					conn.SetDeadline(time.Now().Add(time.Second))
					fmt.Fprint(conn, secret)
					if n, _ := conn.Read(make([]byte, 100)); n > 0 {
						succeeded.Add(1)
					}
				})
			}
		}
		for _, addr := range addrs("10.9.1.1", "192.0.2.1", "127.0.0.1") {
			all.Go(func() { _, _ = tunnel.Ping(ctx, addr) })
		}
		all.Go(func() { _, _ = tunnel.Resolver().LookupTXT(ctx, "no-such-name.internal") })
		all.Wait()
		t.Logf("%s: %d have worked", when, succeeded.Load())
		return int(succeeded.Load())
	}
	if n := attempt("before Up"); n != 0 {
		t.Error("a tunnel that is not up was used")
	}
	sniffer.OnlyTo(t) // nothing at all
	if err := tunnel.Up(patient(t)); err != nil {
		t.Fatal(err)
	}
	if n := attempt("while it is up"); n == 0 {
		t.Error("nothing has worked")
	}
	peer.Kill(t)
	if n := attempt("with the peer dead"); n != 0 {
		t.Error("a dead peer has answered")
	}
	tunnel.Close()
	if n := attempt("when it is closed"); n != 0 {
		t.Error("a closed tunnel was used")
	}
	sniffer.OnlyTo(t, peer.AddrPort4())
}
