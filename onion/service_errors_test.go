// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package onion_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/onion"
)

// stub is a program in place of tor.
func stub(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tor")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// version is the part of a stub that says what tor says.
const version = `case "$1" in --version) echo "Tor version 0.4.9.11."; exit;; --list-modules) echo "pow: no"; exit;; esac
`

// runs runs a service until it ends by itself.
func runs(t *testing.T, cfg onion.Config) (*onion.Service, error) {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := onion.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait.Patience)
	defer cancel()
	err = s.Run(ctx)
	return s, err
}

func TestWhatOnlyAPersonCanMendEndsRun(t *testing.T) {
	for name, c := range map[string]struct {
		cfg   onion.Config
		match error
		want  string
	}{
		"missing":    {onion.Config{Tor: "/nowhere/tor"}, onion.ErrTorNotFound, "install it"},
		"no program": {onion.Config{Tor: t.TempDir()}, onion.ErrTorNotFound, "install it"},
		"not tor":    {onion.Config{Tor: stub(t, "echo hello\n")}, onion.ErrTorNotFound, `"hello"`},
		"fails":      {onion.Config{Tor: stub(t, "exit 3\n")}, onion.ErrTorNotFound, "exit status 3"},
		"old":        {onion.Config{Tor: stub(t, "echo Tor version 0.4.7.1.\n")}, onion.ErrTorTooOld, "0.4.7.1, want 0.4.8.9"},
		"torrc":      {onion.Config{Torrc: []string{"NoSuchOption 1"}}, onion.ErrTorConfig, "NoSuchOption"},
		"value":      {onion.Config{Torrc: []string{"BandwidthRate lots"}}, onion.ErrTorConfig, "lots"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := runs(t, c.cfg)
			if !errors.Is(err, c.match) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "onion: ") {
				t.Errorf("the error is %v", err)
			}
			if st := s.State(); st.Phase != onion.Failed || !errors.Is(st.Err, c.match) || st.Attempt != 1 {
				t.Errorf("the state is %+v", st)
			}
			if err := s.Ready(t.Context()); !errors.Is(err, c.match) {
				t.Errorf("Ready says %v", err)
			}
			for cause, n := range s.Stats().Restarts {
				if n != 0 {
					t.Errorf("%d restarts because of %s", n, cause)
				}
			}
			if _, err := s.Listener().Accept(); err == nil {
				t.Error("the listener is open")
			}
		})
	}
}

// backsOff runs a service until it waits for the next start for a second time, and
// returns its state and the causes.
func backsOff(t *testing.T, cfg onion.Config) (onion.State, map[string]uint64) {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.MinBackoff, cfg.MaxBackoff = time.Millisecond, 5*time.Millisecond
	s, err := onion.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var last onion.State
	for st := range s.States(ctx) {
		if last = st; st.Phase == onion.Backoff && st.Attempt >= 2 || st.Phase == onion.Failed {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run returns %v", err)
	}
	return last, s.Stats().Restarts
}

func TestWhatPassesIsTriedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg   onion.Config
		match error
		cause string
		want  string
	}{
		"ends":                 {onion.Config{Tor: stub(t, version+"echo 'Nov 24 12:00:00.000 [err] The moon is full.'; exit 1\n")}, onion.ErrTorExited, "exit", "The moon is full."},
		"is killed":            {onion.Config{Tor: stub(t, version+"kill -9 $$\n")}, onion.ErrTorExited, "exit", "killed"},
		"says nothing":         {onion.Config{Tor: stub(t, version+"exit 0\n")}, onion.ErrTorExited, "exit", "exit status 0"},
		"never opens":          {onion.Config{Tor: stub(t, version+"exec sleep 60\n"), StartTimeout: 50 * time.Millisecond}, onion.ErrUnresponsive, "start", "50ms"},
		"hangs at its version": {onion.Config{Tor: stub(t, "exec sleep 60\n"), StartTimeout: 50 * time.Millisecond}, onion.ErrUnresponsive, "start", "50ms"},
		"no folder":            {onion.Config{Tor: stub(t, version+"exit 0\n"), Dir: t.TempDir()}, nil, "start", "not a directory"},
		"a port in use":        {onion.Config{Torrc: []string{"SocksPort 127.0.0.1:1"}}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			switch name {
			case "no folder": // something else is in its place
				if err := os.WriteFile(filepath.Join(c.cfg.Dir, "tor"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			case "a port in use":
				h := build(t, nil)
				h.Close()
				l := h.net.NewClient(t, "SocksPort 127.0.0.1:auto")
				at, err := l.Control(t).Info("net/listeners/socks")
				if err != nil {
					t.Fatal(err)
				}
				fields := strings.Fields(strings.ReplaceAll(at, `"`, ""))
				c.cfg.Torrc = append(h.net.Torrc(), "SocksPort "+fields[len(fields)-1])
				c.cause, c.want = "start", "Failed to bind"
			}
			state, restarts := backsOff(t, c.cfg)
			if state.Phase != onion.Backoff || state.Next.IsZero() || c.match != nil && !errors.Is(state.Err, c.match) || !strings.Contains(fmt.Sprint(state.Err), c.want) {
				t.Errorf("the state is %+v", state)
			}
			if restarts[c.cause] < 2 {
				t.Errorf("restarts: %v", restarts)
			}
		})
	}
}

func TestAFolderInUseIsWaitedFor(t *testing.T) {
	first := open(t, http.HandlerFunc(tells), func(c *onion.Config) { c.Mode = onion.SingleHop })
	second := build(t, func(c *onion.Config) { c.Mode, c.Dir = onion.SingleHop, first.Dir() })
	second.run(http.HandlerFunc(tells))
	wait.Until(t, "the second waits for the folder", func() bool {
		s := second.State()
		return s.Phase == onion.Backoff && errors.Is(s.Err, onion.ErrLocked)
	})
	if first.State().Phase != onion.Ready {
		t.Errorf("the first is %s", first.State())
	}
	first.get("/")
	first.stop()
	second.ready()
	if _, body := second.get("/"); !strings.HasPrefix(body, "true") {
		t.Errorf("the second answers %q", body)
	}
}

func TestFoldersMayHaveAnyName(t *testing.T) {
	h := build(t, nil)
	h.Close()
	for _, name := range []string{`#with blanks, "quotes", back\slash, ümläut and [a]*?`, strings.Repeat("long", 50)} {
		dir := filepath.Join(t.TempDir(), name, "onion")
		s, err := onion.New(onion.Config{Dir: dir, Torrc: h.net.Torrc(), Mode: onion.SingleHop})
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		if err := s.Ready(ctx); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, tmp := range []string{filepath.Join(t.TempDir(), "with blanks"), filepath.Join(t.TempDir(), strings.Repeat("x", 100))} {
		if err := os.Mkdir(tmp, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("TMPDIR", tmp)
		if s, err := onion.New(onion.Config{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
			t.Errorf("sockets in %q: %v", tmp, err)
			if err == nil {
				s.Close()
			}
		}
		if left, _ := os.ReadDir(tmp); len(left) != 0 {
			t.Errorf("%s is left in %q", left, tmp)
		}
	}
}

func TestWithoutItsNetworkTorIsStartedAgainAndNeverGivenUp(t *testing.T) {
	h := build(t, func(c *onion.Config) {
		for i, line := range c.Torrc {
			if strings.HasPrefix(line, "DirAuthority") { // nobody is there
				fields := strings.Fields(line)
				for j, f := range fields {
					if strings.HasPrefix(f, "orport=") {
						fields[j] = "orport=9"
					}
					if strings.HasPrefix(f, "127.0.0.1:") {
						fields[j] = "127.0.0.1:9"
					}
				}
				c.Torrc[i] = strings.Join(fields, " ")
			}
		}
		c.Heartbeat, c.PublishTimeout = 100*time.Millisecond, 2*time.Second
	})
	h.run(http.HandlerFunc(tells))
	wait.Until(t, "tor was started again", func() bool { return h.Stats().Restarts["bootstrap"] >= 2 })
	var last onion.State
	wait.Until(t, "the state tells why", func() bool {
		last = h.State()
		return last.Phase == onion.Backoff && errors.Is(last.Err, onion.ErrBootstrap)
	})
	if h.Location() != "" {
		t.Error("pages would tell of it")
	}
}

func TestStartsAndStopsLeaveNothing(t *testing.T) {
	h := build(t, nil)
	h.Close()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	dir := t.TempDir()
	cycle := func() {
		s, err := onion.New(onion.Config{Dir: dir, Torrc: h.net.Torrc(), Mode: onion.SingleHop, Circuits: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		if err := s.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		pid := s.State().PID
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("process %d is left", pid)
		}
	}
	cycle()
	goroutines, files := counts()
	for range cycles() {
		cycle()
	}
	wait.Until(t, "goroutines and files are as before", func() bool {
		g, f := counts()
		return g <= goroutines && f <= files
	})
	// Neither does a process that was killed, in the end.
	folder := func(name string) string { return filepath.Join(tmp, name) }
	for name, age := range map[string]time.Duration{"onion-service-old": time.Hour, "onion-service-new": 0, "onion-service-used": time.Hour, "onion-else": time.Hour} {
		if err := errors.Join(os.Mkdir(folder(name), 0o700), os.WriteFile(filepath.Join(folder(name), "torrc"), nil, 0o600), os.Chtimes(folder(name), time.Time{}, time.Now().Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	used, err := os.Open(folder("onion-service-used"))
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	if err := syscall.Flock(int(used.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	cycle()
	for name, want := range map[string]bool{"onion-service-old": false, "onion-service-new": true, "onion-service-used": true, "onion-else": true} {
		if _, err := os.Stat(folder(name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
		os.RemoveAll(folder(name))
	}
	// One that was never run.
	s, err := onion.New(onion.Config{Dir: dir, Mode: onion.SingleHop})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("%s is left, %v", left, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "tor", "hs-*")); err != nil || len(left) != 0 {
		t.Errorf("%s is left, %v", left, err)
	}
}
