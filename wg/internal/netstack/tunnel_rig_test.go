// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
	stock "golang.zx2c4.com/wireguard/tun/netstack"
)

// A host is one end of a tunnel, with our stack or with the one to compare with.
type host struct {
	dial   func(context.Context, netip.AddrPort) (net.Conn, error)
	listen func(port uint16) (net.Listener, error)
	device tun.Device
	bind   conn.Bind
	key    *ecdh.PrivateKey
	wg     *device.Device
}

// newHost makes an end with our stack.
func newHost(t testing.TB, cfg Config) *host {
	t.Helper()
	return hostOf(newStack(t, cfg))
}

func hostOf(s *Stack) *host {
	return &host{
		dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return s.DialTCP(ctx, netip.AddrPort{}, to)
		},
		listen: func(p uint16) (net.Listener, error) { return s.ListenTCP(port(p)) },
		device: s.Device(),
		bind:   s.Bind(conn.NewDefaultBind()),
	}
}

// newStockHost makes an end with the stack that the WireGuard module brings.
func newStockHost(t testing.TB, addresses []netip.Addr, mtu int) *host {
	t.Helper()
	d, n, err := stock.CreateNetTUN(addresses, nil, mtu)
	if err != nil {
		t.Fatal(err)
	}
	return &host{
		dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return n.DialContextTCPAddrPort(ctx, to)
		},
		listen: func(p uint16) (net.Listener, error) { return n.ListenTCPAddrPort(netip.AddrPortFrom(b4, p)) },
		device: d,
		bind:   conn.NewDefaultBind(),
	}
}

// tunnel connects two hosts with WireGuard over loopback.
func tunnel(t testing.TB, a, b *host) {
	t.Helper()
	for _, h := range []*host{a, b} {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		h.key = key
		h.wg = device.NewDevice(h.device, h.bind, device.NewLogger(device.LogLevelError, ""))
		t.Cleanup(h.wg.Close)
		set(t, h, "private_key=%s\nlisten_port=0\n", hex.EncodeToString(key.Bytes()))
		if err := h.wg.Up(); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range [][2]*host{{a, b}, {b, a}} {
		set(t, h[0], "public_key=%x\nendpoint=127.0.0.1:%s\nallowed_ip=0.0.0.0/0\nallowed_ip=::/0\n",
			h[1].key.PublicKey().Bytes(), listenPort(t, h[1]))
	}
}

func set(t testing.TB, h *host, format string, args ...any) {
	t.Helper()
	if err := h.wg.IpcSet(fmt.Sprintf(format, args...)); err != nil {
		t.Fatal(err)
	}
}

func listenPort(t testing.TB, h *host) string {
	t.Helper()
	settings, err := h.wg.IpcGet()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(settings) {
		if p, ok := strings.CutPrefix(line, "listen_port="); ok {
			return strings.TrimSpace(p)
		}
	}
	t.Fatalf("no port in %s", settings)
	return ""
}
