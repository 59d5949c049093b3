// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
)

func TestAPeerThatCannotBeSentToIsNamed(t *testing.T) {
	peer := NewKey().Public()
	tunnel, err := New(&Config{
		PrivateKey: NewKey(), Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")}, DNS: []netip.Addr{netip.MustParseAddr("10.9.0.53")},
		// Nothing can be sent there without asking the system for it.
		Peers: []Peer{{PublicKey: peer, Endpoint: "255.255.255.255:9", AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/24")}}},
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.Close()
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_ = tunnel.Up(short)
	wait.Until(t, "it was tried", func() bool { return tunnel.Status().Peers[0].Problem != "" })
	for what, call := range map[string]func(context.Context) error{
		"Dial":   func(ctx context.Context) error { _, err := tunnel.DialContext(ctx, "tcp", "10.9.0.1:80"); return err },
		"a name": func(ctx context.Context) error { _, err := tunnel.DialContext(ctx, "tcp", "a.example:80"); return err },
		"Ping": func(ctx context.Context) error {
			_, err := tunnel.Ping(ctx, netip.MustParseAddr("10.9.0.1"))
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := call(ctx)
		cancel()
		e, ok := errors.AsType[*PeerError](err)
		if !ok || e.Peer != peer || e.Problem == nil || !os.IsTimeout(err) && what != "a name" {
			t.Errorf("%s: %v", what, err)
		}
		if op, ok := err.(*net.OpError); !ok || op.Op != "dial" && op.Op != "ping" {
			t.Errorf("%s: %#v", what, err)
		}
	}
}

func TestANameServerThatRefusesIsNotTheHost(t *testing.T) {
	a, b := pairOf(t)
	cfg := b.cfg.clone()
	cfg.DNS = []netip.Addr{netip.MustParseAddr("10.9.0.1")} // has no such server
	if err := b.Reconfigure(&cfg); err != nil {
		t.Fatal(err)
	}
	up(t, a, b)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := b.DialContext(ctx, "tcp", "a.example:80")
	e, ok := errors.AsType[*net.DNSError](err)
	if !ok || e.Name != "a.example" || errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
}

func TestAPeerThatHasJustAnsweredIsNotBlamed(t *testing.T) {
	a, b := pairOf(t)
	up(t, a)
	if err := b.device.Up(); err != nil { // nobody supervises it, or has looked yet
		t.Fatal(err)
	}
	peer := b.cfg.Peers[0].PublicKey
	if err := b.device.IpcSet(uapiEndpoint(peer, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.cfg.ListenPort))); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ping(t.Context(), netip.MustParseAddr("10.9.0.1")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := b.DialContext(ctx, "tcp", "10.9.0.9:80") // behind it, there is nobody
	if errors.As(err, new(*PeerError)) || !os.IsTimeout(err) {
		t.Errorf("%v", err)
	}
}

func TestTheErrorOfAnAddressThatCouldBeReachedMattersMost(t *testing.T) {
	a, b := pairOf(t)
	up(t, a, b)
	addrs := []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::1]:80"), netip.MustParseAddrPort("10.9.0.1:80")}
	_, at, err := b.race(t.Context(), "tcp", addrs)
	if !errors.Is(err, syscall.ECONNREFUSED) || at.String() != "10.9.0.1:80" {
		t.Errorf("%s: %v", at, err)
	}
}

func TestADialToAPeerThatIsTakenAwaySaysSo(t *testing.T) {
	_, b := pairOf(t) // the first does not answer
	short, end := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer end()
	_ = b.Up(short)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := b.DialContext(ctx, "tcp", "10.9.0.1:80")
		result <- err
	}()
	wait.Until(t, "it dials", func() bool { return b.Status().Peers[0].Attempts > 2 })
	cfg := b.cfg.clone()
	cfg.Peers = nil
	if err := b.Reconfigure(&cfg); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, ErrNoRoute) {
		t.Errorf("%v", err)
	}
}

func TestALookupThatTakesLongIsTold(t *testing.T) {
	_, b := pairOf(t)
	cfg := b.cfg.clone()
	never := make(chan struct{})
	defer close(never)
	tunnel, err := New(&cfg, Options{ResolveEndpoint: func(context.Context, string) ([]netip.Addr, error) {
		<-never // whatever the context says
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.Close()
	short, end := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer end()
	_ = tunnel.Up(short)
	wait.Until(t, "the status tells", func() bool { return strings.Contains(tunnel.Status().Peers[0].Problem, "looked up") })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = tunnel.DialContext(ctx, "tcp", "10.9.0.1:80")
	if e, ok := errors.AsType[*PeerError](err); !ok || e.Problem == nil {
		t.Errorf("%v", err)
	}
	tunnel.Close()
	if port := tunnel.Status().ListenPort; port != 0 {
		t.Errorf("closed, it has port %d", port)
	}
}
