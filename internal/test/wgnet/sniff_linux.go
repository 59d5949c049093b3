// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"xeiaso.net/site/internal/test/wait"
)

// Sniffer sees every packet on every interface of home. Its methods can be called
// concurrently.
type Sniffer struct {
	home *Space
	file *os.File
	done chan struct{}

	mu     sync.Mutex // guards what follows
	needle [][]byte
	found  []string
	flows  map[Flow]int
}

// Flow is what packets have in common.
type Flow struct {
	Protocol byte // of IP: 6 is TCP, 17 is UDP
	Src, Dst netip.AddrPort
	Type     byte // of ICMP
}

// String has the protocol in words, if it is a usual one.
func (f Flow) String() string {
	name := map[byte]string{1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}[f.Protocol]
	return fmt.Sprintf("%s(%d) type %d from %s to %s", name, f.Protocol, f.Type, f.Src, f.Dst)
}

// Sniff begins to look at the packets of home, until the test ends. Plain is text that
// must be in none.
func (n *Network) Sniff(t testing.TB, plain ...string) *Sniffer {
	t.Helper()
	s := &Sniffer{home: n.Home, done: make(chan struct{}), flows: map[Flow]int{}}
	for _, text := range plain {
		s.needle = append(s.needle, []byte(text))
	}
	if err := n.Home.do(s.open); err != nil {
		t.Fatal(err)
	}
	go s.read()
	t.Cleanup(func() {
		s.file.Close()
		<-s.done
	})
	return s
}

func (s *Sniffer) open() error {
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return fmt.Errorf("open a packet socket: %w", err)
	}
	// Nothing may be missed.
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	s.file = os.NewFile(uintptr(fd), "packets")
	return err
}

func (s *Sniffer) read() {
	defer close(s.done)
	frame := make([]byte, 1<<17)
	for {
		n, err := s.file.Read(frame)
		if errors.Is(err, unix.ENETDOWN) { // an interface has gone
			continue
		}
		if err != nil {
			return
		}
		s.look(frame[:n])
	}
}

func (s *Sniffer) look(frame []byte) {
	f, ok := parseFrame(frame)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		s.flows[f]++
	}
	for _, text := range s.needle {
		if bytes.Contains(frame, text) {
			s.found = append(s.found, fmt.Sprintf("%q in %s", text, f))
		}
	}
}

// parseFrame reads the headers of an Ethernet frame with a packet of IP.
func parseFrame(frame []byte) (f Flow, ok bool) {
	if len(frame) < 14+20 {
		return f, false
	}
	packet := frame[14:]
	var src, dst netip.Addr
	var payload []byte
	switch kind := binary.BigEndian.Uint16(frame[12:]); {
	case kind == unix.ETH_P_IP:
		f.Protocol = packet[9]
		src, dst = netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20]))
		payload = packet[min(len(packet), int(packet[0]&0xf)*4):]
	case kind == unix.ETH_P_IPV6 && len(packet) >= 40:
		f.Protocol = packet[6]
		src, dst = netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40]))
		payload = packet[40:]
		if f.Protocol == 0 && len(payload) > 8 { // hop-by-hop options, as MLD has them
			f.Protocol = payload[0]
			payload = payload[min(len(payload), 8+8*int(payload[1])):]
		}
	default:
		return f, false
	}
	var ports [2]uint16
	switch {
	case (f.Protocol == unix.IPPROTO_TCP || f.Protocol == unix.IPPROTO_UDP) && len(payload) >= 4:
		ports = [2]uint16{binary.BigEndian.Uint16(payload), binary.BigEndian.Uint16(payload[2:])}
	case len(payload) > 0:
		f.Type = payload[0]
	}
	f.Src, f.Dst = netip.AddrPortFrom(src, ports[0]), netip.AddrPortFrom(dst, ports[1])
	return f, true
}

// Flows returns all that were seen until now.
func (s *Sniffer) Flows(t testing.TB) (flows []Flow) {
	t.Helper()
	s.catchUp(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.flows {
		flows = append(flows, f)
	}
	slices.SortFunc(flows, func(a, b Flow) int { return strings.Compare(a.String(), b.String()) })
	return flows
}

// marker is where nobody listens: discard.
const marker = "127.0.0.9:9"

// catchUp sends a packet, and waits until it was seen: then all before it were.
func (s *Sniffer) catchUp(t testing.TB) {
	t.Helper()
	conn, err := s.home.Dial(t.Context(), "udp", marker)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("marker")); err != nil {
		t.Fatal(err)
	}
	f := Flow{Protocol: unix.IPPROTO_UDP, Src: netip.MustParseAddrPort(conn.LocalAddr().String()), Dst: netip.MustParseAddrPort(marker)}
	wait.Until(t, "the sniffer has seen all packets", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.flows[f] > 0
	})
}

// OnlyTo fails the test if something else was seen than UDP from and to the places,
// or one of the texts in it. What the kernel itself says about neighbours and packets
// that cannot be delivered is left out.
func (s *Sniffer) OnlyTo(t testing.TB, places ...netip.AddrPort) {
	t.Helper()
	seen := 0
	for _, f := range s.Flows(t) {
		switch {
		case f.Dst.String() == marker, f.kernel():
		case f.Protocol == unix.IPPROTO_UDP && (slices.Contains(places, f.Src) || slices.Contains(places, f.Dst)):
			seen++
		default:
			t.Errorf("outside of the tunnel there was %s", f)
		}
	}
	if seen == 0 && len(places) > 0 {
		t.Errorf("the sniffer has seen nothing at all that goes to %s", places)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.found) > 0 {
		t.Errorf("plaintext was seen, %d times: %s", len(s.found), s.found[0])
	}
	if st, err := statistics(s.file); err != nil || st.Drops > 0 {
		t.Errorf("the sniffer has missed %d packets, %v", st.Drops, err)
	}
}

// kernel reports whether nobody but the kernel sends such packets: ICMP about what
// is unreachable, and the protocols of neighbours and of multicast.
func (f Flow) kernel() bool {
	switch f.Protocol {
	case unix.IPPROTO_ICMP:
		return f.Type == 3
	case unix.IPPROTO_ICMPV6:
		return f.Type == 1 || f.Type >= 130 && f.Type <= 143
	}
	return false
}

func statistics(file *os.File) (st unix.TpacketStats, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return st, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var got *unix.TpacketStats
		if got, failed = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); failed == nil {
			st = *got
		}
	})
	return st, errors.Join(err, failed)
}
