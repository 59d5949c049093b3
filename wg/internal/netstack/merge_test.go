// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// merged is what becomes of packets of one call: the payloads of the runs that
// are left open, without delivering anything.
func merged(packets ...[]byte) []string {
	m := new(merger)
	var out []string
	for _, p := range packets {
		network, both, ok := parseTCP(p)
		if !ok || !verify(p, network) {
			out = append(out, "refused")
			continue
		}
		if i := m.find(p, network); i < 0 || !m.runs[i].extend(p, both) {
			m.runs = m.runs[:0]
			m.begin(p, network, both)
			out = append(out, "")
		}
		v := m.runs[len(m.runs)-1].build()
		out[len(out)-1] = string(v.AsSlice()[both:])
	}
	return out
}

// change changes bytes of a segment, and makes its checksums right again.
func change(p []byte, at int, b byte) []byte {
	p[at] = b
	p[10], p[11], p[36], p[37] = 0, 0, 0, 0
	binary.BigEndian.PutUint16(p[10:], ^sum(p[:20]))
	pseudo := append(append([]byte{}, p[12:20]...), 0, 6, 0, byte(len(p)-20))
	binary.BigEndian.PutUint16(p[36:], ^sum(append(pseudo, p[20:]...)))
	return p
}

func TestOnlyWhatContinuesIsPutTogether(t *testing.T) {
	first := func() []byte { return segment4(1, "hello") }
	for name, tt := range map[string]struct {
		packets [][]byte
		want    []string
	}{
		"continues":       {[][]byte{first(), segment4(6, "world"), segment4(11, "!")}, []string{"helloworld!"}},
		"after short":     {[][]byte{first(), segment4(6, "you"), segment4(9, "there")}, []string{"helloyou", "there"}},
		"larger":          {[][]byte{first(), segment4(6, "everybody")}, []string{"hello", "everybody"}},
		"gap":             {[][]byte{first(), segment4(7, "world")}, []string{"hello", "world"}},
		"again":           {[][]byte{first(), first()}, []string{"hello", "hello"}},
		"other TOS":       {[][]byte{first(), change(segment4(6, "world"), 1, 3)}, []string{"hello", "world"}},
		"other TTL":       {[][]byte{first(), change(segment4(6, "world"), 8, 3)}, []string{"hello", "world"}},
		"other port":      {[][]byte{first(), change(segment4(6, "world"), 20, 9)}, []string{"hello", "world"}},
		"other source":    {[][]byte{first(), change(segment4(6, "world"), 15, 3)}, []string{"hello", "world"}},
		"other ack":       {[][]byte{first(), change(segment4(6, "world"), 31, 3)}, []string{"hello", "world"}},
		"other window":    {[][]byte{first(), change(segment4(6, "world"), 35, 3)}, []string{"hello", "world"}},
		"FIN":             {[][]byte{first(), change(segment4(6, "world"), 33, 0x11)}, []string{"hello", "world"}},
		"PSH ends":        {[][]byte{first(), change(segment4(6, "world"), 33, 0x18), segment4(11, "there")}, []string{"helloworld", "there"}},
		"fragment":        {[][]byte{change(segment4(6, "world"), 6, 0x20)}, []string{"refused"}},
		"wrong checksum":  {[][]byte{append(first()[:44], 'x')}, []string{"refused"}},
		"wrong IP header": {[][]byte{append([]byte{0x45, 1}, first()[2:]...)}, []string{"refused"}},
		"wrong length":    {[][]byte{append(first(), 0)}, []string{"refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := merged(tt.packets...)
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
		})
	}
}

func TestAMergedPacketCanBeAsLongAsALengthFieldSays(t *testing.T) {
	m := new(merger)
	data := string(make([]byte, 200))
	var seq uint32 = 1
	for range maxMerged / 200 * 2 {
		p := segment4(seq, data)
		seq += 200
		network, both, _ := parseTCP(p)
		if i := m.find(p, network); i < 0 || !m.runs[i].extend(p, both) {
			m.runs = m.runs[:0]
			m.begin(p, network, both)
		}
		if total := m.runs[0].total; total > maxMerged {
			t.Fatalf("a packet of %d bytes", total)
		}
	}
}

func TestMartiansAreDroppedInSilence(t *testing.T) {
	s := newStack(t, Config{Addresses: []netip.Addr{b4}})
	packets := [][]byte{change(segment4(1, "hello"), 12, 127), change(segment4(1, "hello"), 16, 127)}
	if _, err := s.Device().Write(packets, 0); err != nil {
		t.Fatal(err)
	}
	if n := s.ip.Stats().IP.PacketsReceived.Value(); n != 0 {
		t.Errorf("gVisor sees %d of them, and logs that", n)
	}
}
