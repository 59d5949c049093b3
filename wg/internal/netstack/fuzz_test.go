// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// sample lets a stack send a bit of everything, and returns the packets.
func sample(t testing.TB) [][]byte {
	s := newStack(t, Config{Addresses: []netip.Addr{a4, a6}, MTU: 1280})
	var packets [][]byte
	for _, to := range families {
		c, err := s.DialUDP(netip.AddrPort{}, netip.AddrPortFrom(to, 53))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(make([]byte, 1300)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // fragments
			buf, sizes := [][]byte{make([]byte, 65535)}, make([]int, 1)
			if _, err := s.Device().Read(buf, sizes, 0); err != nil {
				t.Fatal(err)
			}
			packets = append(packets, buf[0][:sizes[0]])
		}
	}
	return packets
}

// FuzzWrite writes packets that peers could make up. The input is cut into
// packets by lengths within it.
func FuzzWrite(f *testing.F) {
	var seed []byte
	for _, p := range sample(f) {
		f.Add(frame(p))
		seed = append(seed, frame(p)...)
	}
	f.Add(seed)
	for _, p := range [][]byte{segment4(1, "hello"), segment4(6, " you")} {
		seed = append(seed, frame(p)...)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, input []byte) {
		s := newStack(t, Config{Addresses: []netip.Addr{b4, b6}, Queue: 1})
		listen(t, s, 80)
		var packets [][]byte
		for len(input) >= 2 {
			n := min(int(binary.BigEndian.Uint16(input)), len(input)-2)
			packets = append(packets, input[2:2+n])
			input = input[2+n:]
		}
		if n, err := s.Device().Write(packets, 0); n != len(packets) || err != nil {
			t.Errorf("wrote %d of %d, %v", n, len(packets), err)
		}
		// Buffers are not kept, nor changed.
		for _, p := range packets {
			clear(p)
		}
		s.Close()
	})
}

func frame(p []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...)
}

// segment4 makes a TCP segment of IPv4 from port 1000 to 80.
func segment4(seq uint32, data string) []byte {
	p := make([]byte, 40, 40+len(data))
	p[0], p[8], p[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(p[2:], uint16(cap(p)))
	copy(p[12:], a4.AsSlice())
	copy(p[16:], b4.AsSlice())
	binary.BigEndian.PutUint16(p[10:], ^sum(p[:20]))
	binary.BigEndian.PutUint16(p[20:], 1000)
	binary.BigEndian.PutUint16(p[22:], 80)
	binary.BigEndian.PutUint32(p[24:], seq)
	p[32], p[33] = 5<<4, 0x10 // five words of header, ACK
	p = append(p, data...)
	pseudo := append(append([]byte{}, p[12:20]...), 0, 6, 0, byte(len(p)-20))
	binary.BigEndian.PutUint16(p[36:], ^sum(append(pseudo, p[20:]...)))
	return p
}
