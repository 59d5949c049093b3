// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"context"
	"net"
)

// What tests of single parts need.
var (
	ReadCircuit = readCircuit
	ParseEvent  = parseEvent
	Quoted      = quoted
)

// ControlConn is a connection to tor, for tests.
type ControlConn = controlConn

// OpenControl authenticates at the other end of a connection.
func OpenControl(ctx context.Context, conn net.Conn, password string, onEvent func(string)) (*ControlConn, error) {
	return openControl(ctx, conn, password, onEvent)
}

// Ask sends a command.
func (c *controlConn) Ask(ctx context.Context, command string) ([]string, error) {
	return c.ask(ctx, command)
}

// Done is closed when the connection has ended.
func (c *controlConn) Done() <-chan struct{} { return c.done }

// Err is why.
func (c *controlConn) Err() error { return c.err }

// CutControl closes the control connection, as if tor had.
func (s *Service) CutControl() {
	s.tor.mu.Lock()
	defer s.tor.mu.Unlock()
	s.tor.conn.conn.Close()
}

// Sockets is the private folder of the service's tor.
func (s *Service) Sockets() string { return s.tor.sockets }

// AskTor sends a command to the tor that runs.
func (s *Service) AskTor(ctx context.Context, command string) ([]string, error) {
	return s.tor.ask(ctx, command)
}
