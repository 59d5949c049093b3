// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
)

const (
	// echoHeader is as long for ICMPv4 as for ICMPv6.
	echoHeader = 8
	// nonce is how many bytes of an echo tell it from all others.
	nonce = 16
)

// Ping sends one ICMP echo with size bytes of payload, at least 16, and returns
// how long the reply took. It waits for that as long as ctx lets it.
func (s *Stack) Ping(ctx context.Context, to netip.Addr, size int) (time.Duration, error) {
	to = to.Unmap()
	took, err := s.ping(ctx, to, max(size, nonce))
	if err != nil {
		return 0, opError("ping", "ip", netip.AddrPort{}, netip.AddrPortFrom(to, 0), err)
	}
	return took, nil
}

func (s *Stack) ping(ctx context.Context, to netip.Addr, size int) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	transport, kind := icmp.ProtocolNumber6, uint8(header.ICMPv6EchoRequest)
	if to.Is4() {
		transport, kind = icmp.ProtocolNumber4, uint8(header.ICMPv4Echo)
	}
	so, err := s.socket("ip", transport, protocolOf(to))
	if err != nil {
		return 0, err
	}
	defer func() { _ = so.close() }()
	if err := so.connected(so.ep.Connect(fullAddressOf(netip.AddrPortFrom(to, 0), so.proto))); err != nil {
		return 0, err
	}
	echo := make([]byte, echoHeader+size)
	echo[0] = kind
	_, _ = rand.Read(echo[echoHeader : echoHeader+nonce]) // never fails
	begin := time.Now()
	if _, err := so.ep.Write(bytes.NewReader(echo), tcpip.WriteOptions{}); err != nil {
		return 0, so.refused("sendto", err)
	}
	if err := so.awaitReply(ctx, echo[echoHeader:]); err != nil {
		return 0, err
	}
	return time.Since(begin), nil
}

// awaitReply waits for the reply with this payload. The socket has an identifier
// of its own, but that may have been another's a moment ago.
func (so *socket) awaitReply(ctx context.Context, payload []byte) error {
	var reply bytes.Buffer
	for {
		reply.Reset()
		_, err := so.ep.Read(&reply, tcpip.ReadOptions{})
		switch err.(type) {
		case nil:
			if b := reply.Bytes(); len(b) >= echoHeader && bytes.Equal(b[echoHeader:], payload) {
				return nil
			}
			continue
		case *tcpip.ErrWouldBlock:
		default:
			return so.refused("recvfrom", err)
		}
		if err := so.waitContext(ctx, so.readable); err != nil {
			return err
		}
	}
}
