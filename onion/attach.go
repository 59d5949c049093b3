// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
)

// attach uses a tor that runs already until the connection ends, or ctx does. That
// tor is neither ended nor configured. Services that belong to a connection end with
// it.
func (t *tor) attach(ctx context.Context) error {
	starting, cancel := context.WithTimeoutCause(ctx, t.cfg.StartTimeout, fmt.Errorf("it did not answer at its control port within %s", t.cfg.StartTimeout))
	defer cancel()
	network, address := "tcp", t.cfg.Control
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	conn, err := dialControl(starting, network, address, t.cfg.ControlPassword.Reveal(), t.event)
	if err != nil {
		return err
	}
	defer t.hold(conn)()
	if err := t.meet(starting, conn); err != nil {
		return err
	}
	for _, s := range t.services {
		if err := s.addTo(starting, conn); err != nil {
			return err
		}
	}
	cancel()
	err = t.watch(ctx, conn, nil)
	if err == nil {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.cfg.StopTimeout)
		defer cancel()
		for _, s := range t.services {
			conn.ask(stopping, "DEL_ONION "+s.address.ID())
		}
	}
	return err
}

// meet asks a tor what it is, and how far.
func (t *tor) meet(ctx context.Context, conn *controlConn) error {
	lines, err := conn.ask(ctx, "GETINFO version")
	if err != nil {
		return err
	}
	version := versionLine.FindString(strings.Join(lines, " "))
	if older(version, minVersion) {
		return fmt.Errorf("%w: the one at %s is version %s, want %s", ErrTorTooOld, t.cfg.Control, version, dotted(minVersion))
	}
	t.change(func() { t.version, t.phase = version, Bootstrapping })
	if _, err := conn.ask(ctx, "SETEVENTS HS_DESC STATUS_CLIENT NETWORK_LIVENESS"); err != nil {
		return err
	}
	lines, err = conn.ask(ctx, "GETINFO status/bootstrap-phase")
	if err != nil {
		return err
	}
	for _, line := range lines {
		words := splitWords(line)
		if e, ok := parseBootstrap(words).(bootstrapEvent); ok {
			t.change(func() { t.bootstrap(e) })
		}
	}
	return nil
}

// addTo adds a service to a tor.
func (s *Service) addTo(ctx context.Context, conn *controlConn) error {
	_, err := conn.ask(ctx, s.addOnion(!s.cfg.PoW.Off))
	if invalid(err) && !s.cfg.PoW.Off { // it may be of a version, or a build, without
		_, err = conn.ask(ctx, s.addOnion(false))
	}
	if invalid(err) {
		return fmt.Errorf("%w: %w", ErrTorConfig, err)
	}
	return err
}

// invalid reports whether tor says that it will never do this. Other refusals pass:
// the service may still belong to a connection of before.
func invalid(err error) bool {
	refused, ok := errors.AsType[*textproto.Error](err)
	return ok && (refused.Code == 512 || refused.Code == 513)
}

// addOnion is the command that adds the service.
func (s *Service) addOnion(pow bool) string {
	flags := []string{"DiscardPK"}
	if s.cfg.Mode == SingleHop {
		flags = append(flags, "NonAnonymous")
	}
	if s.cfg.CloseOnMaxStreams {
		flags = append(flags, "MaxStreamsCloseCircuit")
	}
	if len(s.cfg.Clients) > 0 {
		flags = append(flags, "V3Auth")
	}
	words := []string{"ADD_ONION", s.key.Control(), "Flags=" + strings.Join(flags, ",")}
	if s.cfg.MaxStreams > 0 {
		words = append(words, fmt.Sprintf("MaxStreams=%d", s.cfg.MaxStreams))
	}
	if pow {
		words = append(words, "PoWDefensesEnabled=1")
		if r := s.cfg.PoW.Queue; r.PerSecond > 0 {
			words = append(words, fmt.Sprintf("PoWQueueRate=%d", r.PerSecond), fmt.Sprintf("PoWQueueBurst=%d", r.burst()))
		}
	}
	for _, l := range s.listeners {
		words = append(words, fmt.Sprintf("Port=%d,%s", l.port, l.inner.Addr()))
	}
	for _, k := range s.cfg.Clients {
		words = append(words, "ClientAuthV3="+strings.ToUpper(k.Public))
	}
	return strings.Join(words, " ")
}
