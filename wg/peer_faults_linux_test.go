// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/internal/test/wgnet"
	"xeiaso.net/site/wg"
)

// ask sends a line over a connection to an echo server, and waits until it is back.
func ask(conn net.Conn, line string) error {
	conn.SetDeadline(time.Now().Add(wait.Patience))
	if _, err := io.WriteString(conn, line); err != nil {
		return err
	}
	b := make([]byte, len(line))
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != line {
		return fmt.Errorf("%q came back: %w", b, err)
	}
	return nil
}

// stream opens a connection to an echo server on the peer's side.
func stream(t testing.TB, tunnel *wg.Tunnel, peer *wgnet.Peer) (conn net.Conn, address string) {
	t.Helper()
	l := peer.Listen(t, "tcp", ":0")
	go echo(l)
	address = at(peer.Inside4, netip.MustParseAddrPort(l.Addr().String()).Port())
	conn, err := tunnel.DialContext(patient(t), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := ask(conn, "before"); err != nil {
		t.Fatal(err)
	}
	return conn, address
}

// recovers waits until the stream goes on and the address can be dialed anew, and logs
// how long that takes.
func recovers(t testing.TB, tunnel *wg.Tunnel, conn net.Conn, address string) {
	t.Helper()
	begun := time.Now()
	dialed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), wait.Patience)
		defer cancel()
		again, err := tunnel.DialContext(ctx, "tcp", address)
		if err == nil {
			defer again.Close()
			err = ask(again, "anew")
		}
		t.Logf("a new connection after %s: %v", time.Since(begun).Round(time.Millisecond), err)
		dialed <- err
	}()
	err := ask(conn, "after")
	t.Logf("the open stream after %s: %v", time.Since(begun).Round(time.Millisecond), err)
	if err := errors.Join(err, <-dialed); err != nil {
		t.Error(err)
	}
}

// aged waits until the last handshake is longer ago than WireGuard has between two.
func aged(t testing.TB, tunnel *wg.Tunnel) {
	t.Helper()
	wait.Until(t, "the last handshake is some time ago", func() bool {
		return time.Since(tunnel.Status().Peers[0].LastHandshake) > 5*time.Second
	})
}

func TestAKilledPeerIsFoundAgain(t *testing.T) {
	t.Parallel()
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	tunnel := up(t, network, configOf(t, network, peer), wg.Options{})
	conn, address := stream(t, tunnel, peer)
	for range need.Times(1, 10) {
		aged(t, tunnel)
		peer.Kill(t)
		peer.Start(t)
		recovers(t, tunnel, conn, address)
	}
}

func TestAPeerThatWasAwayForAWhileIsFoundAgain(t *testing.T) {
	t.Parallel()
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{})
	tunnel := up(t, network, configOf(t, network, peer), wg.Options{})
	conn, address := stream(t, tunnel, peer)
	peer.Kill(t)
	// While it is gone it is called in vain.
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	_, err := tunnel.DialContext(ctx, "tcp", address)
	if e, ok := errors.AsType[*wg.PeerError](err); !ok || e.Attempts == 0 || e.LastHandshake.IsZero() {
		t.Errorf("while it is away: %v", err)
	}
	peer.Start(t)
	recovers(t, tunnel, conn, address)
}

func TestAPeerThatMovesIsFoundByItsName(t *testing.T) {
	t.Parallel()
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{})
	cfg := configOf(t, network, peer)
	cfg.Peers[0].Endpoint = "gateway.example:51820"
	var where atomic.Value
	where.Store(peer.Addr4)
	var asked atomic.Int32
	tunnel := up(t, network, cfg, wg.Options{ResolveEndpoint: func(context.Context, string) ([]netip.Addr, error) {
		asked.Add(1)
		return []netip.Addr{where.Load().(netip.Addr)}, nil
	}})
	conn, address := stream(t, tunnel, peer)
	aged(t, tunnel)
	peer.Kill(t) // otherwise it would come to us
	peer.Move(t)
	peer.Start(t)
	where.Store(peer.Addr4)
	recovers(t, tunnel, conn, address)
	if got := tunnel.Status().Peers[0].Address; got != peer.AddrPort4() {
		t.Errorf("the peer is at %s, want %s", got, peer.AddrPort4())
	}
	if n := asked.Load(); n < 2 || n > 5 {
		t.Errorf("the name was looked up %d times", n)
	}
}

// A server on the peer's side that sends by itself, as one has to for us to notice.
func TestAPeerThatChangesItsPortIsFollowed(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	tunnel := up(t, network, configOf(t, network, peer), wg.Options{})
	l := peer.Listen(t, "tcp", ":0")
	more := make(chan string)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for line := range more {
			fmt.Fprint(conn, line)
		}
	}()
	defer close(more)
	conn, err := tunnel.DialContext(patient(t), "tcp", at(peer.Inside4, netip.MustParseAddrPort(l.Addr().String()).Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 5 {
		more <- "more"
		conn.SetDeadline(time.Now().Add(wait.Patience))
		if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
			t.Fatalf("after %d changes: %v", i, err)
		}
		if got := tunnel.Status().Peers[0].Address; got != peer.AddrPort4() {
			t.Errorf("the peer is at %s, want %s", got, peer.AddrPort4())
		}
		peer.SetPort(t, uint16(4000+i))
	}
	if n := tunnel.Status().Peers[0]; n.Attempts > 1 {
		t.Errorf("it was asked for %d handshakes", n.Attempts)
	}
}

// A router in between that forgets connections gives them another port.
func TestARouterMayForgetTheConnection(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	relay := network.Relay(t, peer.AddrPort4(), 1)
	cfg := configOf(t, network, peer)
	cfg.Peers[0].Endpoint = relay.Endpoint()
	tunnel := up(t, network, cfg, wg.Options{})
	conn, _ := stream(t, tunnel, peer)
	for i := range 10 {
		relay.Rebind(t)
		if err := ask(conn, "again"); err != nil {
			t.Fatalf("after %d times: %v", i+1, err)
		}
	}
	if got, want := peer.Show(t).Endpoint.Port(), relay.Addr().Port(); got != want {
		t.Errorf("the peer has us at port %d, want %d", got, want)
	}
	if n := relay.Up().Initiations; n > 2 {
		t.Errorf("there were %d handshakes, want as many as without a change", n)
	}
}

func TestAPeerThatStandsStillDoesNoHarm(t *testing.T) {
	t.Parallel()
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{})
	tunnel := up(t, network, configOf(t, network, peer), wg.Options{})
	conn, address := stream(t, tunnel, peer)
	peer.Stop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	if _, err := tunnel.DialContext(ctx, "tcp", address); err == nil {
		t.Error("a peer that stands still has answered")
	}
	peer.Cont()
	recovers(t, tunnel, conn, address)
	if n := peer.Handshakes(); n > 6 {
		t.Errorf("there were %d handshakes", n)
	}
}

// Who only listens is healthy, and says so every ten seconds only.
func TestAPeerThatOnlyListensIsLeftAlone(t *testing.T) {
	t.Parallel()
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{})
	relay := network.Relay(t, peer.AddrPort4(), 1)
	cfg := configOf(t, network, peer)
	cfg.Peers[0].Endpoint = relay.Endpoint()
	tunnel := up(t, network, cfg, wg.Options{})
	c := peer.ListenPacket(t, "udp", at(peer.Inside4, 514))
	var received atomic.Int32
	go func() {
		for {
			if _, _, err := c.ReadFrom(make([]byte, 100)); err != nil {
				return
			}
			received.Add(1)
		}
	}()
	conn, err := tunnel.DialContext(t.Context(), "udp", at(peer.Inside4, 514))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const packets = 200
	tick := time.NewTicker(60 * time.Millisecond) // 12 s in all
	defer tick.Stop()
	for range packets {
		<-tick.C
		if _, err := fmt.Fprint(conn, "a line of a log"); err != nil {
			t.Fatal(err)
		}
	}
	wait.Until(t, "all but a few have come", func() bool { return received.Load() >= packets*99/100 })
	t.Logf("%d of %d packets, %d handshakes", received.Load(), packets, relay.Up().Initiations)
	if n := relay.Up().Initiations; n > 5 {
		t.Errorf("there were %d handshakes", n)
	}
	if s := tunnel.Status().Peers[0]; s.Attempts > 1 || s.Problem != "" {
		t.Errorf("the status is %+v", s)
	}
}

func TestALostHandshakeIsBegunAnewSoon(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{})
	for _, lost := range []string{"initiation", "response"} {
		relay := network.Relay(t, peer.AddrPort4(), 1)
		first := true
		link := wgnet.Link{Drop: func(p []byte) bool {
			drop := first && p[0] <= 2
			first = first && !drop
			return drop
		}}
		if lost == "initiation" {
			relay.Set(link, wgnet.Link{})
		} else {
			relay.Set(wgnet.Link{}, link)
		}
		cfg := configOf(t, network, peer)
		cfg.Peers[0].Endpoint = relay.Endpoint()
		begun := time.Now()
		tunnel := up(t, network, cfg, wg.Options{})
		took := time.Since(begun)
		t.Logf("without the first %s: %s, %d initiations", lost, took.Round(time.Millisecond), relay.Up().Initiations)
		if took > 4*time.Second { // WireGuard's own time is 5
			t.Errorf("without the first %s it took %s", lost, took)
		}
		tunnel.Close()
	}
}

func TestALongWayCausesNoStormOfHandshakes(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{})
	relay := network.Relay(t, peer.AddrPort4(), 1)
	far := wgnet.Link{Delay: 200 * time.Millisecond}
	relay.Set(far, far)
	cfg := configOf(t, network, peer)
	cfg.Peers[0].Endpoint = relay.Endpoint()
	begun := time.Now()
	tunnel := up(t, network, cfg, wg.Options{})
	t.Logf("up after %s and %d initiations", time.Since(begun).Round(time.Millisecond), relay.Up().Initiations)
	conn, _ := stream(t, tunnel, peer)
	for range 5 {
		if err := ask(conn, "hello"); err != nil {
			t.Fatal(err)
		}
	}
	if n := relay.Up().Initiations; n > 4 {
		t.Errorf("there were %d initiations", n)
	}
}

// The path in one direction only is as bad as none, and it may come back.
func TestAWayThatIsBlockedForAWhileComesBack(t *testing.T) {
	t.Parallel()
	for name, links := range map[string][2]wgnet.Link{
		"from us": {{Blackhole: true}, {}}, "to us": {{}, {Blackhole: true}},
	} {
		t.Run(name, func(t *testing.T) {
			network := wgnet.New(t)
			peer := network.Peer(t, wgnet.Options{})
			relay := network.Relay(t, peer.AddrPort4(), 1)
			cfg := configOf(t, network, peer)
			cfg.Peers[0].Endpoint = relay.Endpoint()
			tunnel := up(t, network, cfg, wg.Options{})
			conn, address := stream(t, tunnel, peer)
			relay.Set(links[0], links[1])
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			if _, err := tunnel.DialContext(ctx, "tcp", address); err == nil {
				t.Error("the way is not blocked")
			}
			relay.Set(wgnet.Link{}, wgnet.Link{})
			recovers(t, tunnel, conn, address)
		})
	}
}
