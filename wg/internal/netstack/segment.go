// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// segmenter copies packets out of what the stack sends, and cuts up the large
// ones that TCP makes, as a network card would. The zero value is idle.
type segmenter struct {
	p    *stack.PacketBuffer // nil if idle
	view *buffer.View        // where reading has come to
	off  int                 // in view
	left int                 // bytes still to be read

	// For packets of TCP:
	header  [header.IPv6MinimumSize + 128]byte
	network int // length of the IP header
	both    int // length of both headers; 0 if the packet is to be sent as it is
	size    int // of the payload of one segment
	sent    int // bytes of payload
	count   int // segments
}

// busy reports whether there is a packet to be sent.
func (s *segmenter) busy() bool { return s.p != nil }

// start takes a packet over. mtu is the size of the largest one that may result.
func (s *segmenter) start(p *stack.PacketBuffer, mtu uint32) {
	list, off := p.AsViewList()
	*s = segmenter{p: p, view: list.Front(), off: off, left: p.Size()}
	network, both := len(p.NetworkHeader().Slice()), p.HeaderSize()
	if p.GSOOptions.Type == stack.GSONone || both > len(s.header) {
		return
	}
	s.network, s.both = network, both
	s.read(s.header[:both])
	s.size = int(p.GSOOptions.MSS)
	// The MTU may be smaller than when the connection began.
	if fits := int(mtu) - both; s.size == 0 || s.size > fits {
		s.size = max(fits, 1)
	}
}

// next copies the next packet to b and returns its length; 0 if it has no room.
func (s *segmenter) next(b []byte) int {
	if s.both == 0 {
		return s.whole(b)
	}
	return s.segment(b)
}

// whole copies the packet as it is.
func (s *segmenter) whole(b []byte) int {
	defer s.finish()
	if s.left > len(b) {
		return 0
	}
	return s.read(b[:s.left])
}

// segment copies the headers and the next piece of the payload, and makes the
// headers right for it.
func (s *segmenter) segment(b []byte) int {
	payload := min(s.size, s.left)
	if s.both+payload > len(b) {
		s.finish()
		return 0
	}
	b = b[:s.both+payload]
	copy(b, s.header[:s.both])
	s.read(b[s.both:])
	s.fixIP(b)
	s.fixTCP(b)
	s.sent += payload
	s.count++
	if s.left == 0 {
		s.finish()
	}
	return len(b)
}

// fixIP sets length, identification and checksum.
func (s *segmenter) fixIP(b []byte) {
	if s.network != header.IPv4MinimumSize {
		header.IPv6(b).SetPayloadLength(uint16(len(b) - header.IPv6MinimumSize))
		return
	}
	h := header.IPv4(b)
	h.SetTotalLength(uint16(len(b)))
	h.SetID(h.ID() + uint16(s.count))
	h.SetChecksum(0)
	h.SetChecksum(^checksum.Checksum(h[:s.network], 0))
}

// fixTCP sets sequence number, flags and checksum. FIN and PSH are for the last
// segment, CWR for the first (RFC 3168, section 6.1.2).
func (s *segmenter) fixTCP(b []byte) {
	h := header.TCP(b[s.network:])
	h.SetSequenceNumber(h.SequenceNumber() + uint32(s.sent))
	flags := h.Flags()
	if s.left > 0 {
		flags &^= header.TCPFlagFin | header.TCPFlagPsh
	}
	if s.count > 0 {
		flags &^= header.TCPFlagCwr
	}
	h.SetFlags(uint8(flags))
	h.SetChecksum(0)
	h.SetChecksum(^checksum.Checksum(h, pseudoHeader(b, len(h))))
}

// pseudoHeader returns the sum over what TCP's checksum covers of the IP header
// of packet (RFC 9293, section 3.1). length is that of the segment.
func pseudoHeader(packet []byte, length int) uint16 {
	var tail [4]byte
	tail[1] = uint8(header.TCPProtocolNumber)
	binary.BigEndian.PutUint16(tail[2:], uint16(length))
	addresses := packet[8:40]
	if packet[0]>>4 == 4 {
		addresses = packet[12:20]
	}
	return checksum.Checksum(addresses, checksum.Checksum(tail[:], 0))
}

// read copies from the packet what fits in b.
func (s *segmenter) read(b []byte) int {
	n := 0
	for n < len(b) && s.view != nil {
		rest := s.view.AsSlice()[s.off:]
		c := copy(b[n:], rest)
		n += c
		s.off += c
		if c == len(rest) {
			s.view, s.off = s.view.Next(), 0
		}
	}
	s.left -= n
	return n
}

func (s *segmenter) finish() {
	s.p.DecRef()
	s.p, s.view = nil, nil
}
