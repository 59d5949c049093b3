// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"bytes"
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

const (
	// maxRuns is how many connections' packets are put together at the same
	// time. More of them in one call come out less well, not wrong.
	maxRuns = 16
	// maxMerged is as long as a packet can say it is.
	maxMerged = 65535
)

// merger puts together TCP segments of one call to [Device.Write] that continue
// each other. The zero value is ready.
type merger struct {
	runs []run // in the order of their first packets
	free [][][]byte
}

// A run is one segment and those that continue it.
type run struct {
	first    []byte
	network  int // length of the IP header
	both     int // length of both headers
	payload  int // of the first segment
	parts    [][]byte
	total    int // length of the packet that it becomes
	next     uint32
	push     bool
	complete bool // nothing may follow
}

// add takes a packet that has at least one byte. The packet must stay as it is
// until flush.
func (m *merger) add(d *Device, packet []byte) {
	network, both, ok := parseTCP(packet)
	if !ok || !verify(packet, network) {
		if version := packet[0] >> 4; version == 4 || version == 6 {
			// The stack looks closer, and verifies the checksums itself.
			d.deliver(buffer.NewViewWithData(packet), false)
		}
		return
	}
	i := m.find(packet, network)
	if i >= 0 && m.runs[i].extend(packet, both) {
		return
	}
	if i >= 0 {
		m.finish(d, i) // packets of a connection keep their order
	}
	if !mergeable(packet, network, both) {
		d.deliver(buffer.NewViewWithData(packet), true)
		return
	}
	if len(m.runs) == maxRuns {
		m.finish(d, 0)
	}
	m.begin(packet, network, both)
}

// parseTCP returns the lengths of the IP header and of both headers of a TCP
// segment. Whatever is out of the ordinary is not ok: fragments, options and
// extension headers of IP, wrong lengths.
func parseTCP(p []byte) (network, both int, ok bool) {
	switch p[0] >> 4 {
	case 4:
		network = header.IPv4MinimumSize
		ok = len(p) >= network+header.TCPMinimumSize && p[0] == 0x45 &&
			p[9] == uint8(header.TCPProtocolNumber) &&
			binary.BigEndian.Uint16(p[6:])&0x3fff == 0 && // no more fragments, offset 0
			int(binary.BigEndian.Uint16(p[2:])) == len(p)
	case 6:
		network = header.IPv6MinimumSize
		ok = len(p) >= network+header.TCPMinimumSize &&
			p[6] == uint8(header.TCPProtocolNumber) &&
			int(binary.BigEndian.Uint16(p[4:])) == len(p)-network
	}
	if !ok {
		return 0, 0, false
	}
	both = network + int(p[network+12]>>4)*4
	return network, both, both >= network+header.TCPMinimumSize && both <= len(p)
}

// verify reports whether the checksums of a TCP segment are right.
func verify(p []byte, network int) bool {
	if network == header.IPv4MinimumSize && checksum.Checksum(p[:network], 0) != 0xffff {
		return false
	}
	return checksum.Checksum(p[network:], pseudoHeader(p, len(p)-network)) == 0xffff
}

// mergeable reports whether others may continue the segment: it has data, and
// besides that only an acknowledgement.
func mergeable(p []byte, network, both int) bool {
	flags := header.TCP(p[network:]).Flags()
	return len(p) > both && flags&^header.TCPFlagPsh == header.TCPFlagAck
}

// find returns the run of the packet's connection, or -1.
func (m *merger) find(p []byte, network int) int {
	for i := range m.runs {
		if m.runs[i].sameConnection(p, network) {
			return i
		}
	}
	return -1
}

// sameConnection compares addresses, which end the IP header, and ports, which
// follow.
func (r *run) sameConnection(p []byte, network int) bool {
	from := 12
	if network == header.IPv6MinimumSize {
		from = 8
	}
	return r.network == network && bytes.Equal(r.first[from:network+4], p[from:network+4])
}

// extend takes a packet of the same connection into the run, if it continues it.
func (r *run) extend(p []byte, both int) bool {
	if r.complete || !mergeable(p, r.network, both) || !r.alike(p, both) {
		return false
	}
	h := header.TCP(p[r.network:])
	payload := p[both:]
	if h.SequenceNumber() != r.next || len(payload) > r.payload || r.total+len(payload) > maxMerged {
		return false
	}
	r.parts = append(r.parts, payload)
	r.total += len(payload)
	r.next += uint32(len(payload))
	r.push = h.Flags().Contains(header.TCPFlagPsh)
	// A short one ends what the sender had.
	r.complete = r.push || len(payload) < r.payload
	return true
}

// alike reports whether the headers differ in nothing but what is expected of a
// continuation: length, identification, sequence number, PSH, checksums.
func (r *run) alike(p []byte, both int) bool {
	if both != r.both {
		return false
	}
	if r.network == header.IPv4MinimumSize {
		// TOS; flags; TTL.
		if p[1] != r.first[1] || p[6] != r.first[6] || p[8] != r.first[8] {
			return false
		}
	} else if !bytes.Equal(p[:4], r.first[:4]) || p[7] != r.first[7] { // traffic class, flow; hop limit
		return false
	}
	a, b := p[r.network:both], r.first[r.network:both]
	return bytes.Equal(a[8:13], b[8:13]) && // acknowledgement, data offset
		bytes.Equal(a[14:16], b[14:16]) && // window
		bytes.Equal(a[18:], b[18:]) // urgent pointer, options
}

func (m *merger) begin(p []byte, network, both int) {
	r := run{first: p, network: network, both: both, payload: len(p) - both, total: len(p)}
	if n := len(m.free); n > 0 {
		r.parts, m.free = m.free[n-1], m.free[:n-1]
	}
	h := header.TCP(p[network:])
	r.next = h.SequenceNumber() + uint32(r.payload)
	r.push = h.Flags().Contains(header.TCPFlagPsh)
	r.complete = r.push
	m.runs = append(m.runs, r)
}

// flush delivers all runs.
func (m *merger) flush(d *Device) {
	for len(m.runs) > 0 {
		m.finish(d, 0)
	}
}

// finish delivers a run and forgets it.
func (m *merger) finish(d *Device, i int) {
	r := &m.runs[i]
	d.deliver(r.build(), true)
	clear(r.parts) // the buffers belong to the caller of Write
	m.free = append(m.free, r.parts[:0])
	last := len(m.runs) - 1
	copy(m.runs[i:], m.runs[i+1:])
	m.runs[last] = run{}
	m.runs = m.runs[:last]
}

// build makes one packet of a run. Its checksums are not those of the new
// packet: those of the parts were verified.
func (r *run) build() *buffer.View {
	v := buffer.NewView(r.total)
	_, _ = v.Write(r.first)
	for _, p := range r.parts {
		_, _ = v.Write(p)
	}
	b := v.AsSlice()
	if r.network == header.IPv4MinimumSize {
		header.IPv4(b).SetTotalLength(uint16(r.total))
	} else {
		header.IPv6(b).SetPayloadLength(uint16(r.total - r.network))
	}
	if r.push {
		h := header.TCP(b[r.network:])
		h.SetFlags(uint8(h.Flags() | header.TCPFlagPsh))
	}
	return v
}
