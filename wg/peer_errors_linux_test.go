// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/internal/test/wgnet"
	"xeiaso.net/site/wg"
)

// tells checks that an error has no key in it, and logs it for people to read.
func tells(t *testing.T, network *wgnet.Network, err error) {
	t.Helper()
	for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%#v", err), fmt.Sprintf("%+v", errors.Unwrap(err))} {
		for _, secret := range network.Secrets() {
			if strings.Contains(text, strings.TrimRight(secret, "=")) {
				t.Error("a key is in an error")
			}
		}
	}
	t.Log(err)
}

// Whatever is wrong, who waits in vain learns which peer it is.
func TestAPeerThatCannotAnswerIsNamed(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	for name, spoil := range map[string]func(*wg.Peer){
		"there is nothing":       func(p *wg.Peer) { p.Endpoint = "198.51.100.1:51820" },
		"the port is closed":     func(p *wg.Peer) { p.Endpoint = at(peer.Addr4, 4) },
		"the key is another":     func(p *wg.Peer) { p.PublicKey = wg.NewKey().Public() },
		"the preshared key, too": func(p *wg.Peer) { p.PresharedKey = wg.NewSharedKey() },
		"the name is unknown":    func(p *wg.Peer) { p.Endpoint = "gateway.example:51820" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configOf(t, network, peer)
			cfg.DNS = addrs("10.9.1.1")
			spoil(&cfg.Peers[0])
			tunnel := newTunnel(t, network, cfg, wg.Options{ResolveEndpoint: func(_ context.Context, host string) ([]netip.Addr, error) {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := tunnel.Up(ctx)
			tells(t, network, err)
			if e, ok := errors.AsType[*wg.PeerError](err); !ok || e.Peer != cfg.Peers[0].PublicKey || e.Endpoint != cfg.Peers[0].Endpoint || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Up: %#v", err)
			}
			for what, try := range map[string]func(context.Context) error{
				"TCP": func(ctx context.Context) error {
					_, err := tunnel.DialContext(ctx, "tcp", "10.9.1.1:80")
					return err
				},
				"a name": func(ctx context.Context) error {
					_, err := tunnel.DialContext(ctx, "tcp", "app.internal:80")
					return err
				},
				"a ping": func(ctx context.Context) error {
					_, err := tunnel.Ping(ctx, peer.Inside6)
					return err
				},
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				begun := time.Now()
				err := try(ctx)
				if took := time.Since(begun); took > 2*time.Second { // 50 ms after the deadline are asked for
					t.Errorf("%s took %s", what, took)
				}
				tells(t, network, err)
				e, ok := errors.AsType[*wg.PeerError](err)
				if _, isOp := errors.AsType[*net.OpError](err); !ok || !isOp || e.Endpoint != cfg.Peers[0].Endpoint || !e.LastHandshake.IsZero() || !os.IsTimeout(err) {
					t.Errorf("%s: %#v", what, err)
				}
			}
			s := tunnel.Status().Peers[0]
			t.Logf("%+v", s)
			if s.State == wg.StateUp || !s.LastHandshake.IsZero() {
				t.Errorf("the status is %+v", s)
			}
		})
	}
}

func TestWhatCannotBeReachedIsToldAtOnce(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{})
	tunnel := up(t, network, configOf(t, network, peer), wg.Options{})
	begun := time.Now()
	for address, want := range map[string]error{
		"192.0.2.1:80": wg.ErrNoRoute, "[2001:db8::1]:80": wg.ErrNoRoute, "127.0.0.1:80": wg.ErrNoRoute,
		at(peer.Inside4, 9): syscall.ECONNREFUSED, at(peer.Inside6, 9): syscall.ECONNREFUSED,
	} {
		_, err := tunnel.DialContext(patient(t), "tcp", address)
		tells(t, network, err)
		op, ok := errors.AsType[*net.OpError](err)
		if !ok || !errors.Is(err, want) || op.Op != "dial" || op.Net != "tcp" || op.Addr == nil || op.Addr.String() != address || os.IsTimeout(err) {
			t.Errorf("%s: %#v", address, err)
		}
	}
	for _, outside := range addrs("192.0.2.1", "2001:db8::1") {
		_, err := tunnel.Ping(patient(t), outside)
		tells(t, network, err)
		if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, wg.ErrNoRoute) {
			t.Errorf("ping of %s: %#v", outside, err)
		}
	}
	if took := time.Since(begun); took > time.Second { // each 5 ms at most
		t.Errorf("it took %s", took)
	}
	// UDP is told later, if at all.
	conn, err := tunnel.DialContext(patient(t), "udp", at(peer.Inside4, 9))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "hello")
	conn.SetReadDeadline(time.Now().Add(wait.Patience))
	_, err = conn.Read(make([]byte, 10))
	tells(t, network, err)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("UDP: %#v", err)
	}
}

// Someone behind the peer who does not answer is no fault of the peer.
func TestAPeerThatAnswersIsNotBlamed(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{})
	tunnel := up(t, network, configOf(t, network, peer), wg.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := tunnel.DialContext(ctx, "tcp", "10.9.1.77:80")
	tells(t, network, err)
	if _, blamed := errors.AsType[*wg.PeerError](err); blamed || !errors.Is(err, context.DeadlineExceeded) || !os.IsTimeout(err) {
		t.Errorf("a deadline: %#v", err)
	}
	cancelled, stop := context.WithCancel(t.Context())
	stop()
	_, err = tunnel.DialContext(cancelled, "tcp", "10.9.1.77:80")
	tells(t, network, err)
	if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %#v", err)
	}
}
