// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.zx2c4.com/wireguard/tun"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	defaultMTU    = 1420
	defaultQueue  = 256
	defaultBatch  = 128     // what a WireGuard socket sends and receives at once on Linux
	defaultBuffer = 5 << 19 // more is faster alone, slower together (BenchmarkChoices), and takes memory
	// initialBuffer is what a TCP connection begins with. It grows by itself, up
	// to what Config says.
	initialBuffer = 1 << 20
	minMTU        = 576
	maxMTU        = 65535

	// nic is the only interface of a stack.
	nic tcpip.NICID = 1
)

// Config is how a [Stack] is set up.
type Config struct {
	// Addresses are the stack's own. A family without an address cannot be
	// dialed. They can be changed later, see [Stack.SetAddresses].
	Addresses []netip.Addr
	// MTU is the size of the largest packet, in bytes; 0 means 1420. With less
	// than 1280 there is no IPv6 in practice.
	MTU int
	// SendBuffer and ReceiveBuffer are how many bytes a TCP connection may hold
	// that were not acknowledged, or not read; 0 means 2.5 MiB. They bound what a
	// connection carries in one round trip.
	SendBuffer, ReceiveBuffer int
	// RACK selects loss detection by time (RFC 8985) over counting duplicate
	// acknowledgements. Where packets overtake each other it carries more. But when
	// several in a row are lost on a way of less than a millisecond, gVisor's
	// repairs two of them each 200 ms: of 160 transfers of 1 MB to a peer whose
	// socket overflows, 25 took longer than a second, the longest 25; without
	// RACK none did. BenchmarkBadPath compares them.
	RACK bool
	// Queue is how many sends of up to 64 KiB wait for the device's reader; 0
	// means 256.
	Queue int
	// Batch is how many packets the device asks to be read and written in one
	// call; 0 means 128.
	Batch int
}

// Stack is a network stack without a network card: what it sends is read from
// its [Stack.Device], and what is written there it receives. All methods may be
// called at the same time.
type Stack struct {
	cfg  Config
	ip   *stack.Stack
	link *link
	dev  *Device

	mu        sync.Mutex // guards the following
	closed    bool
	open      map[*socket]struct{}
	addresses []netip.Addr
	gone      chan struct{} // closed when Close is done
}

// New makes a stack. It has to be closed.
func New(cfg Config) (*Stack, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Stack{cfg: cfg, link: newLink(cfg.MTU, cfg.Queue), open: map[*socket]struct{}{}, gone: make(chan struct{})}
	s.ip = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
		HandleLocal:        true, // one may dial one's own address
	})
	s.dev = newDevice(s)
	if err := s.setUp(); err != nil {
		s.Close()
		return nil, fmt.Errorf("netstack: %w", err)
	}
	return s, nil
}

// complete fills in what zero means.
func (c Config) complete() (Config, error) {
	for _, f := range []struct {
		name            string
		v               *int
		zero, from, til int
	}{
		{"MTU", &c.MTU, defaultMTU, minMTU, maxMTU},
		{"SendBuffer", &c.SendBuffer, defaultBuffer, tcp.MinBufferSize, 1 << 30},
		{"ReceiveBuffer", &c.ReceiveBuffer, defaultBuffer, tcp.MinBufferSize, 1 << 30},
		{"Queue", &c.Queue, defaultQueue, 1, 1 << 16},
		{"Batch", &c.Batch, defaultBatch, 1, 1 << 10},
	} {
		if *f.v == 0 {
			*f.v = f.zero
		}
		if *f.v < f.from || *f.v > f.til {
			return c, fmt.Errorf("netstack: %s is %d: use %d to %d", f.name, *f.v, f.from, f.til)
		}
	}
	return c, nil
}

// setUp gives the new stack its options, its interface and its addresses.
func (s *Stack) setUp() error {
	var recovery tcpip.TCPRecovery // none: by counting
	if s.cfg.RACK {
		recovery = tcpip.TCPRACKLossDetection
	}
	sack := tcpip.TCPSACKEnabled(true) // gVisor's default is off
	send := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: min(initialBuffer, s.cfg.SendBuffer), Max: s.cfg.SendBuffer}
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: min(initialBuffer, s.cfg.ReceiveBuffer), Max: s.cfg.ReceiveBuffer}
	for _, o := range []tcpip.SettableTransportProtocolOption{&sack, &recovery, &send, &receive} {
		if err := s.ip.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return fmt.Errorf("set %T: %w", o, errnoOf(err))
		}
	}
	if err := s.ip.CreateNIC(nic, s.link); err != nil {
		return fmt.Errorf("create interface: %w", errnoOf(err))
	}
	var err error
	if s.dev.v4, err = s.endpoint(ipv4.ProtocolNumber); err != nil {
		return err
	}
	if s.dev.v6, err = s.endpoint(ipv6.ProtocolNumber); err != nil {
		return err
	}
	return s.SetAddresses(s.cfg.Addresses)
}

// endpoint returns where arriving packets of a protocol go.
func (s *Stack) endpoint(proto tcpip.NetworkProtocolNumber) (stack.NetworkEndpoint, error) {
	ep, err := s.ip.GetNetworkEndpoint(nic, proto)
	if err != nil {
		return nil, fmt.Errorf("find protocol %#x: %w", proto, errnoOf(err))
	}
	return ep, nil
}

// Device returns the stack's other side, for a WireGuard device. It is always
// the same.
func (s *Stack) Device() tun.Device { return s.dev }

// SetAddresses changes the stack's own addresses to these. Connections of those
// that stay are not touched, connections of those that go end.
func (s *Stack) SetAddresses(addresses []netip.Addr) error {
	wanted := make([]netip.Addr, 0, len(addresses))
	for _, a := range addresses {
		if a = a.Unmap().WithZone(""); !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
			return fmt.Errorf("netstack: %q is no address for an interface", a)
		}
		if !slices.Contains(wanted, a) {
			wanted = append(wanted, a)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	for _, a := range s.addresses {
		if !slices.Contains(wanted, a) {
			s.removeAddress(a)
		}
	}
	for _, a := range wanted {
		if err := s.addAddress(a); err != nil {
			return err
		}
	}
	s.addresses = wanted
	s.setRoutes()
	return nil
}

// removeAddress takes an address away, and before that the connections that
// have it, so that their peers hear of it. The caller holds s.mu.
func (s *Stack) removeAddress(a netip.Addr) {
	for so := range s.open {
		if so.local.Addr() == a {
			so.ep.Abort()
		}
	}
	s.ip.RemoveAddress(nic, addressOf(a))
}

// addAddress adds an address that is not there. The caller holds s.mu. It gets
// no prefix: the link has no neighbours and no broadcast, only the peers'
// AllowedIPs.
func (s *Stack) addAddress(a netip.Addr) error {
	if slices.Contains(s.addresses, a) {
		return nil
	}
	proto := tcpip.ProtocolAddress{Protocol: protocolOf(a), AddressWithPrefix: addressOf(a).WithPrefix()}
	if err := s.ip.AddProtocolAddress(nic, proto, stack.AddressProperties{}); err != nil {
		return fmt.Errorf("netstack: add address %q: %w", a, errnoOf(err))
	}
	return nil
}

// setRoutes sends everything of the families that have an address to the link.
// The caller holds s.mu.
func (s *Stack) setRoutes() {
	var routes []tcpip.Route
	if slices.ContainsFunc(s.addresses, netip.Addr.Is4) {
		routes = append(routes, tcpip.Route{Destination: header.IPv4EmptySubnet, NIC: nic})
	}
	if slices.ContainsFunc(s.addresses, netip.Addr.Is6) {
		routes = append(routes, tcpip.Route{Destination: header.IPv6EmptySubnet, NIC: nic})
	}
	s.ip.SetRouteTable(routes)
}

// SetMTU changes the size of the largest packet, in bytes. What connections send
// from now on keeps to it.
func (s *Stack) SetMTU(mtu int) error {
	if mtu < minMTU || mtu > maxMTU {
		return fmt.Errorf("netstack: MTU is %d: use %d to %d", mtu, minMTU, maxMTU)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.link.SetMTU(uint32(mtu))
	s.dev.announce(tun.EventMTUUpdate)
	return nil
}

// SetTap has f called with each packet that goes in or out from now on, as it
// is on the wire; nil stops that. f must not keep packet, and is called by
// several goroutines.
func (s *Stack) SetTap(f func(packet []byte, in bool)) {
	if f == nil {
		s.dev.tap.Store(nil)
		return
	}
	s.dev.tap.Store(&f)
}

// Close ends the stack and its device. Whatever is pending on it returns
// [net.ErrClosed]; peers of connections are told if the device is still read
// from. It returns when the goroutines of the stack have ended, and may be
// called again.
func (s *Stack) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.gone
		return nil
	}
	s.closed = true
	open := s.open
	s.open = nil
	s.mu.Unlock()

	s.link.release() // whoever waits to send, holds locks that follow
	for so := range open {
		so.abort()
	}
	s.ip.Close()
	s.dev.close()
	s.ip.Wait()
	close(s.gone)
	return nil
}

// track takes a socket into the care of Close. It reports whether the stack is
// still open; if not, the socket was ended.
func (s *Stack) track(so *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		so.abort()
		return false
	}
	s.open[so] = struct{}{}
	return true
}

func (s *Stack) forget(so *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, so)
}

var _ io.Closer = (*Stack)(nil)
