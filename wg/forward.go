// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"xeiaso.net/site/wg/internal/relay"
	"xeiaso.net/site/wg/internal/socks"
)

// forwardPatience is how long a connection may take to be made. Handshakes with a peer
// that was away are within it.
const forwardPatience = 30 * time.Second

// Forward hands connections that come to a listener of the host on to an address in
// the tunnel, such as "db.internal:5432" or "10.0.0.1:22". Whoever can connect to the
// listener is let through: it should be of a loopback address, or a unix socket.
//
// It serves until ctx ends, and returns nil then; if the listener or the tunnel is
// closed, it returns an error that matches [net.ErrClosed]. It closes the listener and
// the connections. The end of one direction is passed on. When no connection can be
// made, the client's is reset, and the logger told.
func (t *Tunnel) Forward(ctx context.Context, l net.Listener, remote string) error {
	if err := checkRemote(remote); err != nil {
		l.Close()
		return fmt.Errorf("wg: forward to %q: %w", remote, err)
	}
	return t.relay(ctx, "forward", l, remote, func(ctx context.Context) (net.Conn, error) {
		return t.DialContext(ctx, "tcp", remote)
	})
}

// Reverse hands connections that come to a listener of the tunnel, see
// [Tunnel.Listen], on to an address of the host, such as "127.0.0.1:8080" or
// "unix:/run/app.sock". It is otherwise like [Tunnel.Forward].
func (t *Tunnel) Reverse(ctx context.Context, l net.Listener, local string) error {
	network, address := "tcp", local
	if path, ok := strings.CutPrefix(local, "unix:"); ok {
		network, address = "unix", path
	} else if err := checkRemote(local); err != nil {
		l.Close()
		return fmt.Errorf("wg: reverse to %q: %w", local, err)
	}
	return t.relay(ctx, "reverse", l, local, func(ctx context.Context) (net.Conn, error) {
		var host net.Dialer
		return host.DialContext(ctx, network, address)
	})
}

// checkRemote reports what is wrong with an address to connect to.
func checkRemote(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return errors.New("want a host and a port, such as db.internal:5432")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("the port %q is no number from 1 to 65535", port)
	}
	return nil
}

// relay serves connections by joining each to one that dial makes.
func (t *Tunnel) relay(ctx context.Context, what string, l net.Listener, to string, dial func(context.Context) (net.Conn, error)) error {
	return t.serve(ctx, func(ctx context.Context) error {
		err := relay.Serve(ctx, l, func(ctx context.Context, client net.Conn) {
			timed, cancel := context.WithTimeout(ctx, forwardPatience)
			remote, err := dial(timed)
			cancel()
			if err == nil {
				relay.Join(ctx, client, remote)
				return
			}
			relay.Abort(client)
			if ctx.Err() == nil {
				t.log.Warn("wg: a connection is not handed on", "kind", what, "at", l.Addr().String(), "to", to, "err", err)
			}
		})
		if err != nil {
			return fmt.Errorf("wg: %s to %q: %w", what, to, err)
		}
		return nil
	})
}

// ServeSOCKS is a server of SOCKS 5 for TCP, RFC 1928, whose connections go through
// the tunnel: names are looked up inside, and what is not reached through it is not
// reached at all. It asks for no password: the listener should be of a loopback
// address. It ends as [Tunnel.Forward] does.
func (t *Tunnel) ServeSOCKS(ctx context.Context, l net.Listener) error {
	server := socks.Server{Dial: t.DialContext, Patience: forwardPatience, Logger: t.log}
	return t.serve(ctx, func(ctx context.Context) error { return server.Serve(ctx, l) })
}

// serve calls f with a context that ends when the tunnel does.
func (t *Tunnel) serve(ctx context.Context, f func(context.Context) error) error {
	gone := fmt.Errorf("wg: the tunnel was closed: %w", net.ErrClosed)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-t.closed:
			cancel(gone)
		case <-ctx.Done():
		}
	}()
	if err := f(ctx); err != nil {
		return err
	}
	if context.Cause(ctx) == gone {
		return gone
	}
	return nil
}
