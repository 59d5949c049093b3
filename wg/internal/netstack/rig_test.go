// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"golang.zx2c4.com/wireguard/tun"
)

var (
	a4 = netip.MustParseAddr("10.1.0.1")
	b4 = netip.MustParseAddr("10.1.0.2")
	a6 = netip.MustParseAddr("fd00:1::1")
	b6 = netip.MustParseAddr("fd00:1::2")
)

// families are the addresses of both ends, for tests that do the same with each.
var families = map[string]netip.Addr{"IPv4": b4, "IPv6": b6}

// A mangle decides what becomes of packets on their way: it returns those that
// arrive. It may change and keep them.
type mangle func(packets [][]byte) [][]byte

// newStack makes a stack that the test's end closes.
func newStack(t testing.TB, cfg Config) *Stack {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// pair makes two stacks with a wire between them that does what m says.
func pair(t testing.TB, cfg Config, m func() mangle) (a, b *Stack) {
	t.Helper()
	cfg.Addresses = []netip.Addr{a4, a6}
	a = newStack(t, cfg)
	cfg.Addresses = []netip.Addr{b4, b6}
	b = newStack(t, cfg)
	var wires sync.WaitGroup
	wires.Go(func() { wire(t, a.Device(), b.Device(), m) })
	wires.Go(func() { wire(t, b.Device(), a.Device(), m) })
	t.Cleanup(func() {
		a.Close()
		b.Close()
		wires.Wait()
	})
	return a, b
}

// wire carries packets until one end is closed, and looks at each of them.
func wire(t testing.TB, from, to tun.Device, m func() mangle) {
	const offset = 16 // WireGuard leaves room for its header
	deliver := func(packets [][]byte) [][]byte { return packets }
	if m != nil {
		deliver = m()
	}
	bufs, sizes := make([][]byte, 64), make([]int, 64)
	for i := range bufs {
		bufs[i] = make([]byte, offset+65535)
	}
	for {
		n, err := from.Read(bufs, sizes, offset)
		if err != nil {
			return
		}
		mtu, _ := from.MTU()
		var packets [][]byte
		for i := range n {
			p := slices.Clone(bufs[i][offset:][:sizes[i]])
			if why := wrong(p, mtu); why != "" {
				t.Errorf("the stack sent %s: %x", why, p[:min(len(p), 80)])
			}
			packets = append(packets, p)
		}
		var arriving [][]byte
		for _, p := range deliver(packets) {
			arriving = append(arriving, append(make([]byte, offset, offset+len(p)), p...))
		}
		if len(arriving) == 0 {
			continue
		}
		if _, err := to.Write(arriving, offset); err != nil {
			return
		}
	}
}

// wrong tells what is wrong with a packet on the wire; empty if nothing is. It
// shares no code with what made it.
func wrong(p []byte, mtu int) string {
	if len(p) > mtu {
		return fmt.Sprintf("%d bytes where %d are allowed", len(p), mtu)
	}
	var proto byte
	var transport, pseudo []byte
	switch p[0] >> 4 {
	case 4:
		network := int(p[0]&15) * 4
		if int(binary.BigEndian.Uint16(p[2:])) != len(p) {
			return "a wrong IPv4 length"
		}
		if sum(p[:network]) != 0xffff {
			return "a wrong IPv4 checksum"
		}
		if binary.BigEndian.Uint16(p[6:])&0x3fff != 0 {
			return "" // of fragments, only the whole has a checksum
		}
		proto, transport, pseudo = p[9], p[network:], p[12:20]
	case 6:
		if int(binary.BigEndian.Uint16(p[4:])) != len(p)-40 {
			return "a wrong IPv6 length"
		}
		proto, transport, pseudo = p[6], p[40:], p[8:40]
	default:
		return "no IP"
	}
	if proto != 6 && proto != 17 {
		return ""
	}
	all := slices.Concat(pseudo, []byte{0, proto, byte(len(transport) >> 8), byte(len(transport))}, transport)
	if sum(all) != 0xffff {
		return "a wrong checksum of TCP or UDP"
	}
	return ""
}

// sum is the checksum of RFC 1071, as plainly as can be.
func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		word := uint32(b[i]) << 8
		if i+1 < len(b) {
			word |= uint32(b[i+1])
		}
		s += word
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// losing loses one packet in n.
func losing(n int) func() mangle {
	return func() mangle {
		r := rand.New(rand.NewPCG(1, uint64(n)))
		return func(packets [][]byte) [][]byte {
			return slices.DeleteFunc(packets, func([]byte) bool { return r.IntN(n) == 0 })
		}
	}
}

// reordering lets one packet in n arrive some later.
func reordering(n int) func() mangle {
	return func() mangle {
		r := rand.New(rand.NewPCG(2, uint64(n)))
		var late [][]byte
		return func(packets [][]byte) [][]byte {
			var out [][]byte
			for _, p := range packets {
				if len(late) == 0 && r.IntN(n) == 0 {
					late = append(late, p)
					continue
				}
				out = append(out, p)
				if len(late) > 0 && r.IntN(4) == 0 {
					out, late = append(out, late...), nil
				}
			}
			return out
		}
	}
}

// corrupting flips a bit, anywhere, in one packet in n, and counts them.
func corrupting(n int, count *atomic.Int64) func() mangle {
	return func() mangle {
		r := rand.New(rand.NewPCG(3, uint64(n)))
		return func(packets [][]byte) [][]byte {
			for _, p := range packets {
				if r.IntN(n) == 0 {
					p[r.IntN(len(p))] ^= 1 << r.IntN(8)
					count.Add(1)
				}
			}
			return packets
		}
	}
}

// port is an address that listens on all.
func port(p uint16) netip.AddrPort { return netip.AddrPortFrom(netip.Addr{}, p) }

func listen(t testing.TB, s *Stack, p uint16) *TCPListener {
	t.Helper()
	l, err := s.ListenTCP(port(p))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// connected returns the two ends of a connection.
func connected(t testing.TB, a, b *Stack, to netip.Addr) (dialed, accepted *TCPConn) {
	t.Helper()
	l := listen(t, b, 0)
	dialed, err := a.DialTCP(t.Context(), netip.AddrPort{}, netip.AddrPortFrom(to, uint16(l.Addr().(*net.TCPAddr).Port)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		dialed.Close()
		c.Close()
	})
	return dialed, c.(*TCPConn)
}
