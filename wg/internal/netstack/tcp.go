// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

const (
	backlog = 4096 // connections that wait for Accept, as the default of Linux
	// Package net's: a peer that is gone is noticed after two minutes and a half.
	keepalive      = 15 * time.Second
	keepaliveCount = 9
)

// TCPConn is a TCP connection. Its methods may be called at the same time.
type TCPConn struct {
	*socket

	reading sync.Mutex // guards into
	into    tcpip.SliceWriter
	writing sync.Mutex // guards from
	from    bytes.Reader
}

// A TCPListener accepts TCP connections.
type TCPListener struct{ *socket }

var (
	_ net.Conn     = (*TCPConn)(nil)
	_ net.Listener = (*TCPListener)(nil)
)

// DialTCP connects to remote, from an address of the stack that fits if local
// is zero. It ends with ctx, which does not matter to the connection later.
func (s *Stack) DialTCP(ctx context.Context, local, remote netip.AddrPort) (*TCPConn, error) {
	so, err := s.dialTCP(ctx, local, remote)
	if err != nil {
		return nil, opError("dial", "tcp", local, remote, err)
	}
	return newTCPConn(so), nil
}

func (s *Stack) dialTCP(ctx context.Context, local, remote netip.AddrPort) (*socket, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	so, err := s.socket("tcp", tcp.ProtocolNumber, protocolOf(remote.Addr()))
	if err != nil {
		return nil, err
	}
	if err = so.bind(local); err == nil {
		err = so.connect(ctx, remote)
	}
	if err != nil {
		_ = so.close()
		return nil, err
	}
	so.locate(local, remote)
	return so, nil
}

// connect waits until the connection is there.
func (so *socket) connect(ctx context.Context, remote netip.AddrPort) error {
	err := so.ep.Connect(fullAddressOf(remote, so.proto))
	if _, started := err.(*tcpip.ErrConnectStarted); !started {
		return so.connected(err)
	}
	for {
		if err := so.waitContext(ctx, so.writable); err != nil {
			return err
		}
		if err := so.ep.LastError(); err != nil {
			return so.refused("connect", err)
		}
		switch tcp.EndpointState(so.ep.State()) {
		case tcp.StateInitial, tcp.StateBound, tcp.StateConnecting, tcp.StateSynSent, tcp.StateSynRecv:
			continue
		}
		return nil
	}
}

// connected is what gVisor says at once about connecting.
func (so *socket) connected(err tcpip.Error) error {
	switch err.(type) {
	case nil:
		return nil
	case *tcpip.ErrHostUnreachable: // it has no route, or no address of the family
		err = &tcpip.ErrNetworkUnreachable{}
	}
	return so.refused("connect", err)
}

// newTCPConn makes a connection of a connected socket.
func newTCPConn(so *socket) *TCPConn {
	idle, interval := tcpip.KeepaliveIdleOption(keepalive), tcpip.KeepaliveIntervalOption(keepalive)
	// None of these fails on a connection that lives.
	_ = so.ep.SetSockOpt(&idle)
	_ = so.ep.SetSockOpt(&interval)
	_ = so.ep.SetSockOptInt(tcpip.KeepaliveCountOption, keepaliveCount)
	so.ep.SocketOptions().SetKeepAlive(true)
	return &TCPConn{socket: so}
}

// RemoteAddr implements [net.Conn].
func (c *TCPConn) RemoteAddr() net.Addr { return netAddr(c.network, c.remote) }

// Read implements [net.Conn].
func (c *TCPConn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	n, err := c.read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = c.failed("read", err)
	}
	return n, err
}

func (c *TCPConn) read(b []byte) (int, error) {
	if err := c.check(c.readDeadline); err != nil || len(b) == 0 {
		return 0, err
	}
	for {
		c.into = b
		r, err := c.ep.Read(&c.into, tcpip.ReadOptions{})
		c.into = nil
		switch err.(type) {
		case nil:
			c.ep.ModerateRecvBuf(r.Count)
			return r.Count, nil
		case *tcpip.ErrClosedForReceive:
			return 0, c.eof()
		case *tcpip.ErrWouldBlock:
		default:
			return 0, c.refused("read", err)
		}
		if err := c.wait(c.readable, c.readDeadline); err != nil {
			return 0, err
		}
	}
}

// eof tells the end that we made from that of the peer.
func (c *TCPConn) eof() error {
	select {
	case <-c.closed:
		return net.ErrClosed
	default:
		return io.EOF
	}
}

// Write implements [net.Conn].
func (c *TCPConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.from.Reset(b)
	defer c.from.Reset(nil)
	if err := c.write(); err != nil {
		return len(b) - c.from.Len(), c.failed("write", err)
	}
	return len(b), nil
}

// write writes what is in c.from.
func (c *TCPConn) write() error {
	for {
		if err := c.check(c.writeDeadline); err != nil {
			return err
		}
		before := int64(c.from.Len())
		n, err := c.ep.Write(&c.from, tcpip.WriteOptions{})
		// What was read from c.from and not taken has to be read again.
		if _, seek := c.from.Seek(c.from.Size()-before+n, io.SeekStart); seek != nil {
			return seek
		}
		switch err.(type) {
		case nil:
			if c.from.Len() == 0 {
				return nil
			}
			continue
		case *tcpip.ErrWouldBlock:
		default:
			return c.refused("write", err)
		}
		if err := c.wait(c.writable, c.writeDeadline); err != nil {
			return err
		}
	}
}

// CloseWrite tells the peer that nothing more will come. Reading goes on.
func (c *TCPConn) CloseWrite() error { return c.shutdown(tcpip.ShutdownWrite) }

// CloseRead ends reading. Writing goes on.
func (c *TCPConn) CloseRead() error { return c.shutdown(tcpip.ShutdownRead) }

func (c *TCPConn) shutdown(what tcpip.ShutdownFlags) error {
	if err := c.ep.Shutdown(what); err != nil {
		return c.failed("close", c.refused("shutdown", err))
	}
	return nil
}

// SetLinger says what Close does with what was not delivered yet, as that of
// [net.TCPConn] does: 0 seconds throw it away, and reset the connection.
func (c *TCPConn) SetLinger(seconds int) error {
	select {
	case <-c.closed:
		return c.failed("set", net.ErrClosed)
	default:
	}
	c.ep.SocketOptions().SetLinger(tcpip.LingerOption{Enabled: seconds >= 0, Timeout: time.Duration(seconds) * time.Second})
	return nil
}

// Close implements [net.Conn]. What was written is still delivered.
func (c *TCPConn) Close() error { return c.close() }

// ListenTCP listens on an address of the stack, or on all of one family if it
// is 0.0.0.0, or on all of both if it is :: or zero. With port 0 it takes a free
// one.
func (s *Stack) ListenTCP(local netip.AddrPort) (*TCPListener, error) {
	so, err := s.listenTCP(local)
	if err != nil {
		return nil, opError("listen", "tcp", local, netip.AddrPort{}, err)
	}
	return &TCPListener{so}, nil
}

func (s *Stack) listenTCP(local netip.AddrPort) (*socket, error) {
	so, err := s.socket("tcp", tcp.ProtocolNumber, protocolOf(local.Addr()))
	if err != nil {
		return nil, err
	}
	err = so.bind(local)
	if err == nil {
		if refusal := so.ep.Listen(backlog); refusal != nil {
			err = so.refused("listen", refusal)
		}
	}
	if err != nil {
		_ = so.close()
		return nil, err
	}
	so.locate(unspecified(local), netip.AddrPort{})
	return so, nil
}

// unspecified writes no address as :: is written: gVisor knows only one of them.
func unspecified(a netip.AddrPort) netip.AddrPort {
	if a.Addr().IsValid() {
		return a
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), a.Port())
}

// Accept implements [net.Listener]. The connections are of type [*TCPConn].
func (l *TCPListener) Accept() (net.Conn, error) {
	so, err := l.accept()
	if err != nil {
		return nil, l.failed("accept", err)
	}
	return newTCPConn(so), nil
}

func (l *TCPListener) accept() (*socket, error) {
	for {
		if err := l.check(l.readDeadline); err != nil {
			return nil, err
		}
		ep, queue, err := l.ep.Accept(nil)
		switch err.(type) {
		case nil:
			return l.s.adopt("tcp", ep, queue, l.proto)
		case *tcpip.ErrWouldBlock:
		default:
			return nil, l.refused("accept", err)
		}
		if err := l.wait(l.readable, l.readDeadline); err != nil {
			return nil, err
		}
	}
}

// Addr implements [net.Listener].
func (l *TCPListener) Addr() net.Addr { return l.LocalAddr() }

// Close implements [net.Listener]. Connections that were accepted go on.
func (l *TCPListener) Close() error { return l.close() }
