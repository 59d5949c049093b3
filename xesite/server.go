// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Server runs HTTP servers with limits that the outside world calls for, and
// stops them without cutting anybody off. The zero value is good.
type Server struct {
	// Grace is how long Serve waits for running requests when it ends. If
	// zero, 20 seconds.
	Grace time.Duration

	// Logger gets what net/http has to say. If nil, nobody does.
	Logger *slog.Logger

	// ConnContext changes the context of the requests of a connection, as in
	// [net/http.Server]. It may be nil.
	ConnContext func(ctx context.Context, c net.Conn) context.Context

	readTimeout time.Duration // if zero, the one below
}

// The limits. There is none on the time of a whole answer: a large download
// over a slow line is legitimate, and idle or slow readers cost little.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 60 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 32 << 10
	defaultGrace      = 20 * time.Second
	// lameDuck is how long connections are asked to close before they are
	// closed. Package net/http drops a request that it reads later than that.
	lameDuck = time.Second
)

// Serve answers on ln until ctx ends, then lets running requests finish and
// returns nil. It closes ln. Requests' contexts end when the grace time does.
//
// As long as there are connections, it goes on to answer for up to a second,
// and closes each one after its answer: so a request that was on its way is
// answered too.
func (s Server) Serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	// Streams, such as live reload, never finish by themselves.
	requests, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var conns connections
	srv := &http.Server{
		Handler:           conns.closing(h),
		ConnState:         conns.count,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       cmp.Or(s.readTimeout, readTimeout),
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(serverLog{logOr(s.Logger).Handler()}, slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnContext:       s.ConnContext,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(joiningListener{ln}) }()
	select {
	case err := <-failed:
		return fmt.Errorf("xesite: serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	grace := cmp.Or(s.Grace, defaultGrace)
	conns.drain(min(lameDuck, grace/2))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	// Whoever watches for the end of a request's context gets it somewhat
	// before connections are cut.
	time.AfterFunc(grace*3/4, stop)
	if err := srv.Shutdown(ctx); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			logOr(s.Logger).Warn("requests were still running after the grace time", "addr", ln.Addr().String())
		}
		srv.Close()
	}
	return nil
}

// connections are those of one server.
type connections struct {
	open     atomic.Int64
	draining atomic.Bool
}

// count keeps the number of open connections.
func (c *connections) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	}
}

// closing closes connections after their answers from drain on, and always
// after a chunked request: one that had a Content-Length too must not be
// followed by another (RFC 9112 section 6.1), and net/http does not tell.
func (c *connections) closing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.draining.Load() || len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// drain waits until no connection is open, at most d.
func (c *connections) drain(d time.Duration) {
	c.draining.Store(true)
	const step = 10 * time.Millisecond
	for ; d > 0 && c.open.Load() > 0; d -= step {
		time.Sleep(step)
	}
}

// serverLog gets what net/http has to say at debug level: what strange things
// clients send. That a handler panicked is for everybody to see.
type serverLog struct{ slog.Handler }

// Enabled implements [slog.Handler]: the message decides.
func (serverLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements [slog.Handler].
func (l serverLog) Handle(ctx context.Context, r slog.Record) error {
	level := r.Level
	if strings.Contains(r.Message, "panic") {
		level = slog.LevelError
	}
	if !l.Handler.Enabled(ctx, level) {
		return nil
	}
	record := slog.NewRecord(r.Time, level, "http server", 0)
	record.AddAttrs(slog.String("detail", r.Message))
	return l.Handler.Handle(ctx, record)
}
