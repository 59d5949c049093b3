// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"xeiaso.net/site/onion"
)

// onionFlags say how the site is on Tor.
type onionFlags struct {
	on                               bool
	tor, keyFile, clientsFile, torrc string
	singleHop, pow                   bool
	maxStreams, circuitLimit         int
	control                          string
}

func (f *onionFlags) flags(fs *flag.FlagSet) {
	fs.BoolVar(&f.on, "onion", false, "serve the site as a Tor onion service, too")
	fs.StringVar(&f.tor, "onion-tor", "", "`path` of the program tor (default: tor from the PATH)")
	fs.StringVar(&f.keyFile, "onion-key-file", "", "`file` with the service's key in tor's own form (default: <data-dir>/onion/key, made at the first start)")
	fs.BoolVar(&f.singleHop, "onion-single-hop", false, "answer faster, and do not hide where the service is")
	fs.BoolVar(&f.pow, "onion-pow", true, "under a flood, have visitors compute for their place in the queue")
	fs.IntVar(&f.maxStreams, "onion-max-streams", 0, "`number` of connections that one circuit may have open; 0: any")
	fs.StringVar(&f.clientsFile, "onion-client-auth-file", "", "`file` with who may connect: a line for each of \"name descriptor:x25519:KEY\" (default: everybody)")
	fs.IntVar(&f.circuitLimit, "onion-circuit-limit", 0, "`number` of requests a second that one circuit may make; 0: any")
	fs.StringVar(&f.torrc, "onion-torrc", "", "`file` with further lines of tor's configuration")
	fs.StringVar(&f.control, "onion-control", "", "control port of a tor that runs already, as `127.0.0.1:9051` or unix:/path (default: run one)")
}

// config puts the flags into the form that package onion wants.
func (f *onionFlags) config(dataDir string, log *slog.Logger) (onion.Config, error) {
	cfg := onion.Config{
		Dir: filepath.Join(dataDir, "onion"), Mode: onion.Anonymous, PoW: onion.PoW{Off: !f.pow},
		MaxStreams: f.maxStreams, Circuits: f.circuitLimit > 0,
		Tor: f.tor, Control: f.control, Logger: log,
	}
	if f.circuitLimit < 0 {
		return cfg, fmt.Errorf("-onion-circuit-limit %d: want how many requests a second, or 0 for any", f.circuitLimit)
	}
	if f.singleHop {
		cfg.Mode = onion.SingleHop
	}
	var err error
	if f.keyFile != "" {
		raw, err := os.ReadFile(f.keyFile)
		if err != nil {
			return cfg, fmt.Errorf("-onion-key-file: %w", err)
		}
		if cfg.Key, err = onion.ParseKey(raw); err != nil {
			return cfg, fmt.Errorf("-onion-key-file %s: %w", f.keyFile, err)
		}
	}
	if f.clientsFile != "" {
		text, err := os.ReadFile(f.clientsFile)
		if err != nil {
			return cfg, fmt.Errorf("-onion-client-auth-file: %w", err)
		}
		if cfg.Clients, err = onion.ParseClientKeys(string(text)); err != nil {
			return cfg, fmt.Errorf("-onion-client-auth-file %s: %w", f.clientsFile, err)
		}
		if len(cfg.Clients) == 0 {
			return cfg, fmt.Errorf("-onion-client-auth-file %s: there is nobody in it; leave out the flag to let everybody in", f.clientsFile)
		}
	}
	if f.torrc != "" {
		var text []byte
		if text, err = os.ReadFile(f.torrc); err != nil {
			return cfg, fmt.Errorf("-onion-torrc: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			cfg.Torrc = append(cfg.Torrc, strings.TrimRight(line, "\r\n"))
		}
	}
	return cfg, nil
}

// check finds what does not fit together. The rest is found by package onion.
func (f *onionFlags) check() error {
	if !f.on && (f.keyFile != "" || f.clientsFile != "" || f.control != "" || f.torrc != "" || f.singleHop || f.circuitLimit != 0 || f.maxStreams != 0) {
		return errors.New("there are flags for an onion service, and -onion is not set")
	}
	return nil
}
