// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
)

// pairOf makes two ends of a tunnel, the second of which knows where the first is.
func pairOf(t testing.TB) (a, b *Tunnel) {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	l.Close()
	ka, kb, psk := NewKey(), NewKey(), NewSharedKey()
	prefix := netip.MustParsePrefix
	a, err = New(&Config{
		PrivateKey: ka, Addresses: []netip.Prefix{prefix("10.9.0.1/24"), prefix("fd09::1/64")}, ListenPort: port,
		Peers: []Peer{{PublicKey: kb.Public(), PresharedKey: psk, AllowedIPs: []netip.Prefix{prefix("10.9.0.2/32"), prefix("fd09::2/128")}}},
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	b, err = New(&Config{
		PrivateKey: kb, Addresses: []netip.Prefix{prefix("10.9.0.2/24"), prefix("fd09::2/64")},
		Peers: []Peer{{PublicKey: ka.Public(), PresharedKey: psk, Endpoint: fmt.Sprintf("somewhere.example:%d", port), AllowedIPs: []netip.Prefix{prefix("10.9.0.0/24"), prefix("fd09::/64")}}},
	}, Options{ResolveEndpoint: func(_ context.Context, host string) ([]netip.Addr, error) {
		if host != "somewhere.example" {
			return nil, fmt.Errorf("asked for %q", host)
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a, b
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestTwoEndsTalk(t *testing.T) {
	a, b := pairOf(t)
	echo(t, a, ":80")
	if err := a.Up(t.Context()); err != nil { // has nobody to call
		t.Fatal(err)
	}
	if err := b.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"10.9.0.1:80", "[fd09::1]:80"} {
		conn, err := b.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "hello")
		conn.(interface{ CloseWrite() error }).CloseWrite()
		if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
			t.Errorf("%s: %q, %v", at, got, err)
		}
		conn.Close()
	}
	_, err := b.Dial("tcp", "10.9.0.1:81")
	if op, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, syscall.ECONNREFUSED) || op.Addr.String() != "10.9.0.1:81" {
		t.Errorf("a closed port: %#v", err)
	}
	if _, err := b.Dial("tcp", "10.8.0.1:80"); !errors.Is(err, ErrNoRoute) {
		t.Errorf("outside: %v", err)
	}
	if _, err := b.Dial("tcp", "name:80"); !errors.As(err, new(*net.DNSError)) {
		t.Errorf("a name: %v", err)
	}
	b.Close()
	if _, err := b.Dial("tcp", "10.9.0.1:80"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// The host's own resolver is asked if nobody else is named.
func TestAnEndpointWithANameOfTheHostIsFound(t *testing.T) {
	a, b := pairOf(t)
	b.Close()
	cfg := b.cfg.clone()
	_, port, err := net.SplitHostPort(cfg.Peers[0].Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Peers[0].Endpoint = net.JoinHostPort("localhost", port)
	b, err = New(&cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	echo(t, a, ":80")
	up(t, a, b)
	conn, err := b.Dial("tcp", "10.9.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	if err := said(conn); err != nil {
		t.Error(err)
	}
	if at := b.Status().Peers[0].Address.Addr(); !at.IsLoopback() {
		t.Errorf("the peer is at %s", at)
	}
}

func TestAPeerThatIsNotThereIsNamed(t *testing.T) {
	_, b := pairOf(t) // the first is not up
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := b.Up(ctx)
	e, ok := errors.AsType[*PeerError](err)
	if !ok || !errors.Is(err, context.DeadlineExceeded) || e.Attempts < 2 || !e.LastHandshake.IsZero() {
		t.Errorf("Up: %#v", err)
	}
	dial, end := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer end()
	_, err = b.DialContext(dial, "tcp", "10.9.0.1:80")
	if _, ok := errors.AsType[*PeerError](err); !ok || !os.IsTimeout(err) {
		t.Errorf("Dial: %#v", err)
	}
}

// TCP tries after 1, 3, 7 and 15 seconds. The handshake that is begun before the peer is
// back is lost, and the next one, 5 seconds later, is done between the last two.
func TestADialThatWaitsForAPeerBeginsAnewWhenItIsBack(t *testing.T) {
	a, b := pairOf(t)
	b.Close()
	var mu sync.Mutex
	ports := map[string]int{} // how often each was connected from
	b, err := New(&b.cfg, Options{ResolveEndpoint: b.opts.ResolveEndpoint, Capture: func(p []byte, in bool) {
		if syn := p[0] == 0x45 && p[9] == 6 && p[33]&0x12 == 0x02; syn && !in {
			mu.Lock()
			defer mu.Unlock()
			ports[string(p[20:22])]++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	up(t, a, b)
	a.Close() // b has keys that nobody knows any more
	dialed := make(chan error)
	go func() {
		conn, err := b.Dial("tcp", "10.9.0.1:80")
		if err == nil {
			err = said(conn)
		}
		dialed <- err
	}()
	wait.Until(t, "it has tried three times", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, n := range ports {
			return n >= 3
		}
		return false
	})
	back, err := New(&a.cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	echo(t, back, ":80")
	up(t, back)
	if err := <-dialed; err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ports) != 2 {
		t.Errorf("it has tried %v", ports)
	}
}
