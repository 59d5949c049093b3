// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"bytes"
	"net"
	"net/netip"
	"os"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// UDPConn is a UDP socket, connected or not. Its methods may be called at the
// same time.
type UDPConn struct{ *socket }

var (
	_ net.Conn       = (*UDPConn)(nil)
	_ net.PacketConn = (*UDPConn)(nil)
)

// DialUDP makes a socket that sends to remote and receives from there only. If
// local is zero, it has an address of the stack that fits, and a free port.
func (s *Stack) DialUDP(local, remote netip.AddrPort) (*UDPConn, error) {
	so, err := s.openUDP(local, remote)
	if err != nil {
		return nil, opError("dial", "udp", local, remote, err)
	}
	return &UDPConn{so}, nil
}

// ListenUDP makes a socket that receives from everywhere on an address of the
// stack, or on all of one family if it is 0.0.0.0, or on all of both if it is ::
// or zero. With port 0 it takes a free one.
func (s *Stack) ListenUDP(local netip.AddrPort) (*UDPConn, error) {
	local = unspecified(local)
	so, err := s.openUDP(local, netip.AddrPort{})
	if err != nil {
		return nil, opError("listen", "udp", local, netip.AddrPort{}, err)
	}
	return &UDPConn{so}, nil
}

func (s *Stack) openUDP(local, remote netip.AddrPort) (*socket, error) {
	of := remote
	if !of.IsValid() {
		of = local
	}
	so, err := s.socket("udp", udp.ProtocolNumber, protocolOf(of.Addr()))
	if err != nil {
		return nil, err
	}
	err = so.bind(local)
	if err == nil && remote.IsValid() {
		err = so.connected(so.ep.Connect(fullAddressOf(remote, so.proto)))
	}
	if err != nil {
		_ = so.close()
		return nil, err
	}
	so.locate(local, remote)
	return so, nil
}

// RemoteAddr implements [net.Conn]. It is nil if the socket is not connected.
func (c *UDPConn) RemoteAddr() net.Addr {
	if !c.remote.IsValid() {
		return nil
	}
	return netAddr(c.network, c.remote)
}

// Read implements [net.Conn]. It reads one datagram; what does not fit is lost.
func (c *UDPConn) Read(b []byte) (int, error) {
	n, _, err := c.ReadFromUDPAddrPort(b)
	return n, err
}

// ReadFrom implements [net.PacketConn].
func (c *UDPConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromUDPAddrPort is like ReadFrom, without the allocations.
func (c *UDPConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := c.read(b)
	if err != nil {
		err = c.failed("read", err)
	}
	return n, from, err
}

func (c *UDPConn) read(b []byte) (int, netip.AddrPort, error) {
	for {
		if err := c.check(c.readDeadline); err != nil {
			return 0, netip.AddrPort{}, err
		}
		w := tcpip.SliceWriter(b)
		r, err := c.ep.Read(&w, tcpip.ReadOptions{NeedRemoteAddr: true})
		switch err.(type) {
		case nil:
			return r.Count, addrPortOf(r.RemoteAddr), nil
		case *tcpip.ErrWouldBlock:
		default:
			return 0, netip.AddrPort{}, c.refused("read", err)
		}
		if err := c.wait(c.readable, c.readDeadline); err != nil {
			return 0, netip.AddrPort{}, err
		}
	}
}

// Write implements [net.Conn]. It sends one datagram.
func (c *UDPConn) Write(b []byte) (int, error) {
	return c.send(b, netip.AddrPort{})
}

// WriteTo implements [net.PacketConn]. The address has to be a [*net.UDPAddr].
func (c *UDPConn) WriteTo(b []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.UDPAddr)
	if !ok || !a.AddrPort().IsValid() {
		return 0, c.failed("write", os.NewSyscallError("sendto", errnoOf(&tcpip.ErrDestinationRequired{})))
	}
	return c.send(b, a.AddrPort())
}

// WriteToUDPAddrPort is like WriteTo.
func (c *UDPConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if !to.IsValid() {
		return 0, c.failed("write", os.NewSyscallError("sendto", errnoOf(&tcpip.ErrDestinationRequired{})))
	}
	return c.send(b, to)
}

func (c *UDPConn) send(b []byte, to netip.AddrPort) (int, error) {
	var options tcpip.WriteOptions
	if to.IsValid() {
		full := fullAddressOf(to, c.proto)
		options.To = &full
	}
	if err := c.write(b, options); err != nil {
		return 0, opError("write", c.network, c.local, to, err)
	}
	return len(b), nil
}

func (c *UDPConn) write(b []byte, options tcpip.WriteOptions) error {
	for {
		if err := c.check(c.writeDeadline); err != nil {
			return err
		}
		_, err := c.ep.Write(bytes.NewReader(b), options)
		switch err.(type) {
		case nil:
			return nil
		case *tcpip.ErrWouldBlock:
		default:
			return c.refused("write", err)
		}
		if err := c.wait(c.writable, c.writeDeadline); err != nil {
			return err
		}
	}
}

// Close implements [net.Conn].
func (c *UDPConn) Close() error { return c.close() }
