// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/internal/test/wgnet"
	"xeiaso.net/site/wg"
)

func TestMain(m *testing.M) { os.Exit(wgnet.Main(m)) }

// configOf is the client's configuration for peers of a network.
func configOf(t testing.TB, network *wgnet.Network, peers ...*wgnet.Peer) *wg.Config {
	t.Helper()
	cfg, err := wg.ParseConfig(strings.NewReader(network.ClientConfig(peers...)))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// newTunnel makes a tunnel, until the test ends. It logs all that it can; of this no
// key of the network may be a part.
func newTunnel(t testing.TB, network *wgnet.Network, cfg *wg.Config, opts wg.Options) *wg.Tunnel {
	t.Helper()
	var log wait.Buffer
	opts.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	tunnel, err := wg.New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tunnel.Close()
		text := log.String()
		for _, secret := range network.Secrets() {
			if strings.Contains(text, secret) || strings.Contains(text, strings.TrimRight(secret, "=")) {
				t.Error("a key is in the log")
			}
		}
		if t.Failed() {
			t.Logf("the tunnel:\n%s", last(text, 80))
		}
	})
	return tunnel
}

// up makes a tunnel and has it go up.
func up(t testing.TB, network *wgnet.Network, cfg *wg.Config, opts wg.Options) *wg.Tunnel {
	t.Helper()
	tunnel := newTunnel(t, network, cfg, opts)
	ctx, cancel := context.WithTimeout(t.Context(), wait.Patience)
	defer cancel()
	if err := tunnel.Up(ctx); err != nil {
		t.Fatal(err)
	}
	return tunnel
}

// patient is a context for what should take moments.
func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait.Patience)
	t.Cleanup(cancel)
	return ctx
}

// last returns the last n lines.
func last(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
