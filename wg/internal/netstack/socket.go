// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// socket is what connections and listeners have in common.
type socket struct {
	s             *Stack
	network       string // as in package net
	ep            tcpip.Endpoint
	proto         tcpip.NetworkProtocolNumber
	local, remote netip.AddrPort // do not change once others know the socket

	once   sync.Once
	closed chan struct{}

	// Tokens that there may be something to read, or room to write. Each stays
	// until somebody takes it, so no wakeup is lost: who takes one tries, and
	// who fails waits for the next.
	readable, writable           chan struct{}
	readableEntry, writableEntry waiter.Entry
	readDeadline, writeDeadline  *deadline
}

// socket makes a socket of a protocol.
func (s *Stack) socket(network string, transport tcpip.TransportProtocolNumber, proto tcpip.NetworkProtocolNumber) (*socket, error) {
	queue := new(waiter.Queue)
	ep, err := s.ip.NewEndpoint(transport, proto, queue)
	if err != nil {
		return nil, os.NewSyscallError("socket", errnoOf(err))
	}
	return s.adopt(network, ep, queue, proto)
}

// adopt makes a socket of what gVisor has made.
func (s *Stack) adopt(network string, ep tcpip.Endpoint, queue *waiter.Queue, proto tcpip.NetworkProtocolNumber) (*socket, error) {
	so := &socket{
		s: s, network: network, ep: ep, proto: proto,
		closed:       make(chan struct{}),
		readDeadline: newDeadline(), writeDeadline: newDeadline(),
	}
	const ended = waiter.EventHUp | waiter.EventErr
	so.readableEntry, so.readable = waiter.NewChannelEntry(waiter.ReadableEvents | ended)
	so.writableEntry, so.writable = waiter.NewChannelEntry(waiter.WritableEvents | ended)
	queue.EventRegister(&so.readableEntry)
	queue.EventRegister(&so.writableEntry)
	so.locate(netip.AddrPort{}, netip.AddrPort{})
	if !s.track(so) {
		return nil, net.ErrClosed
	}
	return so, nil
}

// locate looks up the socket's addresses. Where gVisor does not say, they are
// these.
func (so *socket) locate(local, remote netip.AddrPort) {
	if a, err := so.ep.GetLocalAddress(); err == nil {
		if known := addrPortOf(a); known.IsValid() {
			local = known
		} else if local.IsValid() {
			local = netip.AddrPortFrom(local.Addr(), a.Port)
		}
	}
	if a, err := so.ep.GetRemoteAddress(); err == nil {
		remote = addrPortOf(a)
	}
	so.s.mu.Lock()
	defer so.s.mu.Unlock()
	so.local, so.remote = local, remote
}

// bind gives the socket an address of ours, if one is asked for.
func (so *socket) bind(local netip.AddrPort) error {
	if !local.Addr().IsValid() && local.Port() == 0 {
		return nil
	}
	if err := so.ep.Bind(fullAddressOf(local, so.proto)); err != nil {
		return os.NewSyscallError("bind", errnoOf(err))
	}
	return nil
}

// abort ends the socket at once, for Close of the stack.
func (so *socket) abort() {
	so.once.Do(func() { close(so.closed) })
	so.ep.Abort()
}

// close ends the socket as its protocol wants it.
func (so *socket) close() error {
	err := net.ErrClosed
	so.once.Do(func() {
		close(so.closed)
		so.s.forget(so)
		so.ep.Close()
		err = nil
	})
	if err != nil {
		return so.failed("close", err)
	}
	return nil
}

// check tells what prevents an operation from beginning.
func (so *socket) check(d *deadline) error {
	select {
	case <-so.closed:
		return net.ErrClosed
	default:
	}
	select {
	case <-d.done():
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

// wait waits for a token.
func (so *socket) wait(token <-chan struct{}, d *deadline) error {
	select {
	case <-token:
		return nil
	case <-so.closed:
		return net.ErrClosed
	case <-d.done():
		return os.ErrDeadlineExceeded
	}
}

// waitContext waits for a token, too.
func (so *socket) waitContext(ctx context.Context, token <-chan struct{}) error {
	select {
	case <-token:
		return nil
	case <-so.closed:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refused makes an error of what gVisor says to call. On a closed socket that
// is always the same.
func (so *socket) refused(call string, err tcpip.Error) error {
	select {
	case <-so.closed:
		return net.ErrClosed
	default:
		return os.NewSyscallError(call, errnoOf(err))
	}
}

// failed is the error of an operation, as package net has it.
func (so *socket) failed(op string, err error) error {
	return opError(op, so.network, so.local, so.remote, err)
}

func opError(op, network string, local, remote netip.AddrPort, err error) error {
	e := &net.OpError{Op: op, Net: network, Err: err}
	if local.IsValid() {
		e.Source = netAddr(network, local)
	}
	if remote.IsValid() {
		e.Addr = netAddr(network, remote)
	}
	if op == "listen" || op == "accept" {
		e.Source, e.Addr = nil, e.Source
	}
	return e
}

func netAddr(network string, a netip.AddrPort) net.Addr {
	switch network {
	case "tcp":
		return net.TCPAddrFromAddrPort(a)
	case "udp":
		return net.UDPAddrFromAddrPort(a)
	}
	return &net.IPAddr{IP: a.Addr().AsSlice()}
}

// LocalAddr implements [net.Conn].
func (so *socket) LocalAddr() net.Addr { return netAddr(so.network, so.local) }

// SetDeadline implements [net.Conn].
func (so *socket) SetDeadline(t time.Time) error {
	if err := so.SetReadDeadline(t); err != nil {
		return err
	}
	return so.SetWriteDeadline(t)
}

// SetReadDeadline implements [net.Conn].
func (so *socket) SetReadDeadline(t time.Time) error { return so.setDeadline(so.readDeadline, t) }

// SetWriteDeadline implements [net.Conn].
func (so *socket) SetWriteDeadline(t time.Time) error { return so.setDeadline(so.writeDeadline, t) }

func (so *socket) setDeadline(d *deadline, t time.Time) error {
	select {
	case <-so.closed:
		return so.failed("set", net.ErrClosed)
	default:
		d.set(t)
		return nil
	}
}
