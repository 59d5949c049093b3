// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"xeiaso.net/site/internal/atomicfile"
)

func (t *tor) dataDir() string       { return filepath.Join(t.cfg.Dir, "tor") }
func (t *tor) controlSocket() string { return filepath.Join(t.sockets, "control") }
func (t *tor) cookie() string        { return filepath.Join(t.sockets, "cookie") }

func older(version string, than []int) bool { return slices.Compare(numbers(version), than) < 0 }

// prepare writes what tor reads, and returns the path of its configuration.
func (t *tor) prepare(p program) (torrc string, err error) {
	if err := checkSocketPath(t.controlSocket()); err != nil {
		return "", err
	}
	if strings.ContainsAny(t.cfg.Dir, "\r\n\x00") {
		return "", fmt.Errorf("%w: the folder %q has a line break in it", ErrTorConfig, t.cfg.Dir)
	}
	data, err := filepath.Abs(t.dataDir())
	if err == nil {
		err = atomicfile.MkdirAll(data, 0o700)
	}
	if err == nil {
		err = os.Chmod(data, 0o700) // tor insists
	}
	if err == nil {
		err = errors.Join(removeIfThere(t.cookie()), removeIfThere(t.controlSocket())) // of the tor of before
	}
	if err != nil {
		return "", fmt.Errorf("onion: prepare tor's folder: %w", err)
	}
	lines, err := t.lines(p, data)
	if err != nil {
		return "", err
	}
	torrc = filepath.Join(t.sockets, "torrc")
	if err := os.WriteFile(torrc, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("onion: write tor's configuration: %w", err)
	}
	return torrc, nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// lines are tor's configuration: see tor(1).
func (t *tor) lines(p program, data string) ([]string, error) {
	lines := []string{
		"DataDirectory " + quoted(data),
		"ControlSocket " + t.controlSocket(),
		"CookieAuthentication 1",
		"CookieAuthFile " + t.cookie(),
		// So that there is somebody to hear of the first event.
		disabled,
		// It ends when this process does, should it come to that before it belongs
		// to the control connection.
		fmt.Sprintf("__OwningControllerProcess %d", os.Getpid()),
		// Only relays and exits care for countries, and the tables take 30 MB.
		"GeoIPFile " + os.DevNull,
		"GeoIPv6File " + os.DevNull,
		"Log notice stdout",
	}
	if !slices.ContainsFunc(t.cfg.Torrc, isSocksPort) {
		lines = append(lines, "SocksPort 0")
	}
	if t.cfg.Mode == SingleHop {
		lines = append(lines, "HiddenServiceSingleHopMode 1", "HiddenServiceNonAnonymousMode 1")
	}
	if t.cfg.Metrics {
		at, err := t.metricsAddress()
		if err != nil {
			return nil, err
		}
		lines = append(lines, "MetricsPort "+at, "MetricsPortPolicy accept 127.0.0.1")
	}
	lines = append(lines, t.cfg.Torrc...)
	for _, s := range t.services {
		dir := t.serviceDir(data, s)
		if err := s.writeDir(dir); err != nil {
			return nil, fmt.Errorf("onion: write a service into tor's folder: %w", err)
		}
		lines = append(lines, s.lines(dir, p)...)
	}
	return lines, nil
}

func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func isSocksPort(line string) bool {
	fields := strings.Fields(line)
	return len(fields) > 0 && strings.EqualFold(strings.TrimLeft(fields[0], "+/"), "SocksPort")
}

// serviceDir is the folder that tor calls HiddenServiceDir. Its name is that of the
// folder of sockets, which no other process has: another one that waits for this
// folder must not take away the key that a tor is about to read, since tor then makes
// a new one.
func (t *tor) serviceDir(data string, s *Service) string {
	return filepath.Join(data, "hs-"+filepath.Base(t.sockets)+"-"+s.address.ID())
}

// settle is called when tor holds its folder. What dead processes have left in it
// is removed, and a tor that is told to read its configuration again, as by a
// SIGHUP, stays in the network.
func (t *tor) settle() error {
	t.sweep(func(name string) bool { return !strings.HasPrefix(name, "hs-"+filepath.Base(t.sockets)+"-") })
	torrc := filepath.Join(t.sockets, "torrc")
	text, err := os.ReadFile(torrc)
	if err == nil {
		err = os.WriteFile(torrc, bytes.Replace(text, []byte(disabled+"\n"), nil, 1), 0o600)
	}
	if err != nil {
		return fmt.Errorf("onion: write tor's configuration: %w", err)
	}
	return nil
}

// disabled is the line without which a tor starts to publish.
const disabled = "DisableNetwork 1"

// sweep removes folders of services from tor's folder.
func (t *tor) sweep(old func(name string) bool) {
	entries, err := os.ReadDir(t.dataDir())
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "hs-") && old(e.Name()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(t.dataDir(), e.Name())))
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.log.Warn("onion: a copy of a key is left in tor's folder", "err", err)
	}
}

// removeServiceDirs removes those of this process.
func (t *tor) removeServiceDirs() {
	if t.sockets != "" {
		t.sweep(func(name string) bool { return strings.HasPrefix(name, "hs-"+filepath.Base(t.sockets)+"-") })
	}
}

// metricsAddress finds a port for tor's own metrics: it cannot take a free one by
// itself. If another program is faster, tor does not start, and the next start
// has another port.
func (t *tor) metricsAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("onion: find a port for tor's metrics: %w", err)
	}
	defer l.Close()
	at := l.Addr().String()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.metricsAt = at
	return at, nil
}

// writeDir writes the folder that tor calls HiddenServiceDir. It is a copy: the
// key itself stays where tor does not reach.
func (s *Service) writeDir(dir string) error {
	clients := filepath.Join(dir, "authorized_clients")
	if err := os.MkdirAll(clients, 0o700); err != nil {
		return err
	}
	for _, k := range s.cfg.Clients {
		line := "descriptor:x25519:" + strings.ToUpper(k.Public) + "\n"
		if err := os.WriteFile(filepath.Join(clients, k.Name+".auth"), []byte(line), 0o600); err != nil {
			return err
		}
	}
	if s.cfg.OnionBalance != "" {
		line := "MasterOnionAddress " + string(s.cfg.OnionBalance) + "\n"
		if err := os.WriteFile(filepath.Join(dir, "ob_config"), []byte(line), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, keyFile), s.key.File(), 0o600)
}

// lines are the part of tor's configuration about one service.
func (s *Service) lines(dir string, p program) []string {
	lines := []string{"HiddenServiceDir " + quoted(dir), "HiddenServiceVersion 3"}
	for _, l := range s.listeners {
		lines = append(lines, fmt.Sprintf("HiddenServicePort %d unix:%s", l.port, l.inner.Addr()))
	}
	if n := s.cfg.MaxStreams; n > 0 {
		lines = append(lines, fmt.Sprintf("HiddenServiceMaxStreams %d", n))
	}
	if s.cfg.CloseOnMaxStreams {
		lines = append(lines, "HiddenServiceMaxStreamsCloseCircuit 1")
	}
	if s.cfg.Circuits {
		lines = append(lines, "HiddenServiceExportCircuitID haproxy")
	}
	if p.pow && !s.cfg.PoW.Off {
		lines = append(lines, "HiddenServicePoWDefensesEnabled 1")
		if r := s.cfg.PoW.Queue; r.PerSecond > 0 {
			lines = append(lines, fmt.Sprintf("HiddenServicePoWQueueRate %d", r.PerSecond), fmt.Sprintf("HiddenServicePoWQueueBurst %d", r.burst()))
		}
	}
	if r := s.cfg.Introductions; r.PerSecond > 0 {
		lines = append(lines, "HiddenServiceEnableIntroDoSDefense 1",
			fmt.Sprintf("HiddenServiceEnableIntroDoSRatePerSec %d", r.PerSecond), fmt.Sprintf("HiddenServiceEnableIntroDoSBurstPerSec %d", r.burst()))
	}
	if s.cfg.OnionBalance != "" {
		lines = append(lines, "HiddenServiceOnionBalanceInstance 1")
	}
	return lines
}
