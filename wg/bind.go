// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"
)

// controlled is a [conn.Bind] on sockets that somebody else has a say in. That of the
// module has no way to do so, and is a lot faster.
type controlled struct {
	control func(network, address string, c syscall.RawConn) error

	mu     sync.RWMutex
	v4, v6 *net.UDPConn // nil: closed, or the host has no such addresses
}

// outerBuffer is how many bytes the system should hold for a socket; it may hold less.
const outerBuffer = 4 << 20

// Open implements [conn.Bind]: one socket for each family, on the same port.
func (b *controlled) Open(port uint16) (receive []conn.ReceiveFunc, actual uint16, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.v4 != nil || b.v6 != nil {
		return nil, 0, conn.ErrBindAlreadyOpen
	}
	for range 100 {
		b.v4, b.v6, actual, err = b.listen(port)
		if port != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		// The port was free for one family only.
	}
	for _, c := range []*net.UDPConn{b.v4, b.v6} {
		if c != nil {
			_ = c.SetReadBuffer(outerBuffer)
			_ = c.SetWriteBuffer(outerBuffer)
			receive = append(receive, receiver(c))
		}
	}
	return receive, actual, err
}

func (b *controlled) listen(port uint16) (v4, v6 *net.UDPConn, actual uint16, err error) {
	config := net.ListenConfig{Control: b.control}
	open := func(network string) (*net.UDPConn, error) {
		c, err := config.ListenPacket(context.Background(), network, ":"+strconv.Itoa(int(port)))
		if err != nil {
			return nil, err
		}
		udp := c.(*net.UDPConn)
		port = udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		return udp, nil
	}
	v4, err = open("udp4")
	if err != nil && !errors.Is(err, syscall.EAFNOSUPPORT) {
		return nil, nil, 0, err
	}
	v6, err = open("udp6")
	if errors.Is(err, syscall.EAFNOSUPPORT) && v4 != nil {
		err = nil
	}
	if err != nil && v4 != nil {
		v4.Close()
		v4 = nil
	}
	return v4, v6, port, err
}

// receiver reads one packet at a time.
func receiver(c *net.UDPConn) conn.ReceiveFunc {
	return func(packets [][]byte, sizes []int, from []conn.Endpoint) (int, error) {
		n, addr, err := c.ReadFromUDPAddrPort(packets[0])
		if err != nil {
			return 0, err
		}
		sizes[0], from[0] = n, place(unmapped(addr))
		return 1, nil
	}
}

// Send implements [conn.Bind].
func (b *controlled) Send(packets [][]byte, to conn.Endpoint) error {
	at := netip.AddrPort(to.(place))
	b.mu.RLock()
	c := b.v4
	if at.Addr().Is6() {
		c = b.v6
	}
	b.mu.RUnlock()
	if c == nil {
		return syscall.EAFNOSUPPORT
	}
	for _, p := range packets {
		if _, err := c.WriteToUDPAddrPort(p, at); err != nil {
			return err
		}
	}
	return nil
}

// Close implements [conn.Bind].
func (b *controlled) Close() (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range []*net.UDPConn{b.v4, b.v6} {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	b.v4, b.v6 = nil, nil
	return err
}

// SetMark implements [conn.Bind]. Marks are set by whom the sockets are controlled.
func (b *controlled) SetMark(uint32) error { return nil }

// BatchSize implements [conn.Bind].
func (b *controlled) BatchSize() int { return 1 }

// ParseEndpoint implements [conn.Bind].
func (b *controlled) ParseEndpoint(s string) (conn.Endpoint, error) {
	at, err := netip.ParseAddrPort(s)
	return place(unmapped(at)), err
}

// place is where a packet goes to, or is from.
type place netip.AddrPort

// ClearSrc implements [conn.Endpoint]: the system chooses where from each time.
func (place) ClearSrc() {}

// SrcToString implements [conn.Endpoint].
func (place) SrcToString() string { return "" }

// SrcIP implements [conn.Endpoint].
func (place) SrcIP() netip.Addr { return netip.Addr{} }

// DstToString implements [conn.Endpoint].
func (p place) DstToString() string { return netip.AddrPort(p).String() }

// DstToBytes implements [conn.Endpoint].
func (p place) DstToBytes() []byte {
	b, _ := netip.AddrPort(p).MarshalBinary() // never fails
	return b
}

// DstIP implements [conn.Endpoint].
func (p place) DstIP() netip.Addr { return netip.AddrPort(p).Addr() }
