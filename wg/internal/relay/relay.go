// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package relay hands connections on: what forwards of ports and a server of SOCKS
// have in common.
package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// Serve calls handle for each connection of a listener, in a goroutine of its own,
// until ctx ends, and returns nil then. It closes the listener, and returns when all
// calls have.
func Serve(ctx context.Context, l net.Listener, handle func(ctx context.Context, conn net.Conn)) error {
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case err != nil && temporary(err):
			pause(ctx, 100*time.Millisecond)
			continue
		case err != nil:
			return err
		}
		all.Go(func() { handle(ctx, conn) })
	}
}

// temporary reports whether a listener goes on after an error: there may be too many
// open files for a moment.
func temporary(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Join copies between two connections until both directions have ended, or ctx does,
// and closes them. The end of one direction is passed on.
func Join(ctx context.Context, a, b net.Conn) {
	abort := func() { Abort(a); Abort(b) }
	defer a.Close()
	defer b.Close()
	defer context.AfterFunc(ctx, abort)()
	var both sync.WaitGroup
	both.Go(func() { pass(a, b, abort) })
	pass(b, a, abort)
	both.Wait()
}

// pass copies one direction, and passes its end on.
func pass(to, from net.Conn, abort func()) {
	if _, err := io.Copy(to, from); err != nil {
		abort()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
		return
	}
	to.Close()
}

// Abort closes a connection so that the other side does not take it for the end of
// what was sent: over TCP by a reset.
func Abort(conn net.Conn) {
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		tcp.SetLinger(0) // fails only where the connection is gone
	}
	conn.Close()
}
