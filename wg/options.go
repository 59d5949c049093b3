// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Options say how a tunnel works. The zero value is good.
type Options struct {
	// ResolveEndpoint looks up the names of endpoints, outside of the tunnel. If nil,
	// the resolver of the host does. It is called by a goroutine for each peer, and has
	// to return when ctx ends: until it does, that peer is not looked for again.
	ResolveEndpoint func(ctx context.Context, host string) ([]netip.Addr, error)

	// SendBuffer and ReceiveBuffer are how many bytes a TCP connection may hold that
	// were not acknowledged, or not read. If 0, 2.5 MiB.
	SendBuffer, ReceiveBuffer int

	// RACK detects losses by time, RFC 8985, in place of by counting. It is better where
	// packets often overtake each other. Where several in a row are lost on a short way,
	// it can stand still for seconds as it is in this version of gVisor.
	RACK bool

	// DNSTimeout is how long a server may take for an answer. If 0, 5 seconds.
	DNSTimeout time.Duration

	// Control is called for each outer UDP socket after it was made and before it is
	// bound, as that of [net.ListenConfig] is: to mark it, or to bind it to an
	// interface. It is called again whenever the sockets are opened anew; with its error
	// they are not, which is tried again later. Packets then go out one by one, which
	// takes more time than without. If nil, nobody is.
	Control func(network, address string, c syscall.RawConn) error

	// Capture is given each packet inside the tunnel, as it comes or goes. It must
	// neither keep nor change it, and return soon, since the packet waits. It is called
	// by several goroutines at the same time. If nil, nobody is.
	// [PCAP] makes a file of them.
	Capture func(packet []byte, in bool)

	// Logger is told what happens. If nil, nobody is.
	Logger *slog.Logger
}

func (o *Options) setDefaults() {
	if o.ResolveEndpoint == nil {
		resolver := &net.Resolver{}
		o.ResolveEndpoint = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return resolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}
