// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package socks is a server of SOCKS 5, RFC 1928, for connections over TCP. It asks
// nobody for a password: who can connect to it may use it.
package socks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"xeiaso.net/site/wg/internal/relay"
)

// Server hands connections on. Dial is required.
type Server struct {
	// Dial connects to what a client has asked for. The address is a name or an IP
	// address, and a port. Errors become the codes of the RFC.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Patience is how long a client may take for its request, and Dial for a
	// connection. If 0, 30 seconds.
	Patience time.Duration

	// Logger is told of what fails. If nil, nobody is.
	Logger *slog.Logger
}

// Serve serves until ctx ends, and returns nil then. It closes the listener, and the
// connections.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if err := relay.Serve(ctx, l, s.ServeConn); err != nil {
		return fmt.Errorf("wg: accept for SOCKS: %w", err)
	}
	return nil
}

// ServeConn serves one client, and closes the connection.
func (s *Server) ServeConn(ctx context.Context, client net.Conn) {
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { relay.Abort(client) })
	defer stop()
	patience := s.Patience
	if patience == 0 {
		patience = 30 * time.Second
	}
	client.SetDeadline(time.Now().Add(patience))
	address, code, err := readRequest(client)
	if code != 0 {
		answer(client, code)
	}
	if err != nil {
		s.log("a request to the SOCKS server is refused", err)
		return
	}
	timed, cancel := context.WithTimeout(ctx, patience)
	remote, err := s.Dial(timed, "tcp", address)
	cancel()
	client.SetDeadline(time.Now().Add(patience)) // for the answer
	if err != nil {
		answer(client, codeOf(err))
		s.log("a connection for a client of the SOCKS server is not made", err)
		return
	}
	if answer(client, succeeded) != nil {
		relay.Abort(remote)
		return
	}
	client.SetDeadline(time.Time{})
	stop()
	relay.Join(ctx, client, remote)
}

func (s *Server) log(text string, err error) {
	if s.Logger != nil {
		s.Logger.Debug("wg: "+text, "err", err)
	}
}

// Codes of answers, RFC 1928, 6.
const (
	succeeded          = 0
	generalFailure     = 1
	networkUnreachable = 3
	hostUnreachable    = 4
	connectionRefused  = 5
	ttlExpired         = 6
	badCommand         = 7
	badAddressType     = 8
)

// codeOf is the code for an error of Dial.
func codeOf(err error) byte {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return connectionRefused
	case errors.Is(err, syscall.ENETUNREACH):
		return networkUnreachable
	case errors.Is(err, syscall.EHOSTUNREACH), errors.As(err, &dns):
		return hostUnreachable
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ttlExpired
	}
	return generalFailure
}

// answer sends an answer. The address in it is of no use to anybody here.
func answer(w io.Writer, code byte) error {
	_, err := w.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0})
	return err
}

// readRequest greets a client and reads what it asks for. code is the answer to a
// request that is refused; 0 if there is none to give.
func readRequest(rw io.ReadWriter) (address string, code byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(rw, head[:2]); err != nil {
		return "", 0, err
	}
	if head[0] != 5 {
		return "", 0, fmt.Errorf("its version is %d, want 5", head[0])
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(rw, methods); err != nil {
		return "", 0, err
	}
	if !slices.Contains(methods, 0) {
		rw.Write([]byte{5, 0xff})
		return "", 0, errors.New("the client wants to authenticate, which cannot be done here")
	}
	if _, err := rw.Write([]byte{5, 0}); err != nil {
		return "", 0, err
	}
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return "", 0, err
	}
	host, code, err := readHost(rw, head[3])
	if err != nil {
		return "", code, err
	}
	var port [2]byte
	if _, err := io.ReadFull(rw, port[:]); err != nil {
		return "", 0, err
	}
	if head[0] != 5 || head[1] != 1 {
		return "", badCommand, fmt.Errorf("the client sends command %d; only 1, to connect, is known", head[1])
	}
	return net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(port[:])))), 0, nil
}

// readHost reads an address of a type.
func readHost(r io.Reader, kind byte) (host string, code byte, err error) {
	var length [1]byte
	switch kind {
	case 1:
		length[0] = 4
	case 3:
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return "", 0, err
		}
	case 4:
		length[0] = 16
	default:
		return "", badAddressType, fmt.Errorf("the client sends an address of type %d", kind)
	}
	raw := make([]byte, length[0])
	if _, err := io.ReadFull(r, raw); err != nil {
		return "", 0, err
	}
	if kind == 3 {
		if len(raw) == 0 {
			return "", generalFailure, errors.New("the client sends an empty name")
		}
		return string(raw), 0, nil
	}
	addr, _ := netip.AddrFromSlice(raw) // of 4 or 16 bytes
	return addr.Unmap().String(), 0, nil
}
