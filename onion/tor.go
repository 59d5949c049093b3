// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// tor is a tor that is kept running, or kept connected to, with its services.
type tor struct {
	cfg     Config
	log     *slog.Logger
	sockets string   // a folder that is ours alone; empty for an attached tor
	lock    *os.File // of it

	mu       sync.Mutex // guards what follows, and the like of each service
	services []*Service
	opened   int // how many services have listeners
	began    bool

	phase   Phase // Publishing means that tor is in its network
	percent int
	doing   string
	err     error
	attempt int
	next    time.Time
	version string
	pid     int
	down    bool // tor cannot reach the network

	conn       *controlConn   // nil: none
	background sync.WaitGroup // what uses conn; nothing is added while there is none
	progressAt time.Time      // when it got any further
	readyAt    time.Time      // since when all services are ready; zero: they are not
	wasReady   bool           // they were, since tor has started
	over       bool           // run has returned, or is about to
	news       []func()       // what is to be logged as soon as mu is free
	restarts   map[string]uint64
	metricsAt  string                    // where tor tells its own metrics
	fetches    map[chan descEvent]string // who waits for the descriptor of which service

	ended  chan struct{} // closed when run returns
	failed error         // what it returns
}

// Causes returns all the keys of [Stats.Restarts].
func Causes() []string {
	return []string{
		"exit",      // tor has ended
		"control",   // the connection to it was lost
		"heartbeat", // it did not answer
		"bootstrap", // it did not get into its network, or could not publish the service
		"probe",     // the service was not found on the network
		"stale",     // the service was not published anew
		"locked",    // another tor uses the folder
		"start",     // it could not be started
	}
}

func newTor(cfg Config) (*tor, error) {
	t := &tor{
		cfg: cfg, log: cfg.Logger, phase: Stopped, restarts: map[string]uint64{}, fetches: map[chan descEvent]string{},
		ended: make(chan struct{}),
	}
	if cfg.Control != "" {
		return t, nil
	}
	var err error
	if t.sockets, t.lock, err = makeSockets(); err != nil {
		return nil, fmt.Errorf("onion: make a folder for sockets: %w", err)
	}
	return t, nil
}

func (t *tor) remove() error {
	if t.sockets == "" {
		return nil
	}
	t.lock.Close()
	return os.RemoveAll(t.sockets)
}

// maxSocketPath is how long the path of a Unix socket may be, on the system that
// takes the shortest.
const maxSocketPath = 103

// listen opens what tor connects to for one port of a service. A tor that runs as
// somebody else could not open a socket in a folder of ours.
func (t *tor) listen(service, port int) (net.Listener, error) {
	network, at := "tcp", "127.0.0.1:0"
	if t.sockets != "" {
		network, at = "unix", filepath.Join(t.sockets, strconv.Itoa(service)+"-"+strconv.Itoa(port))
		if err := checkSocketPath(at); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(network, at)
	if err != nil {
		return nil, fmt.Errorf("onion: listen for tor: %w", err)
	}
	return l, nil
}

func checkSocketPath(path string) error {
	if len(path) > maxSocketPath || slices.ContainsFunc([]byte(path), func(c byte) bool { return c <= ' ' || c == '"' || c == '\\' || c > '~' }) {
		return fmt.Errorf("onion: the path %q of a socket is longer than %d bytes, or has blanks or other characters in it that tor does not take; set TMPDIR to another folder", path, maxSocketPath)
	}
	return nil
}

// add adds a service, before run.
func (t *tor) add(s *Service) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.began {
		return errors.New("onion: the service With is running: make all services first, and run it then")
	}
	for _, other := range t.services {
		if other.address == s.address {
			return fmt.Errorf("onion: there are two services with the address %s on one tor", s.address)
		}
	}
	t.services = append(t.services, s)
	return nil
}

// drop takes a service back, before run.
func (t *tor) drop(s *Service) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.began {
		t.services = slices.DeleteFunc(t.services, func(other *Service) bool { return other == s })
	}
}

// run keeps tor running until ctx ends.
func (t *tor) run(ctx context.Context) error {
	t.mu.Lock()
	began := t.began
	t.began = true
	t.mu.Unlock()
	if began {
		return errors.New("onion: Service.Run was called twice")
	}
	defer close(t.ended)
	t.failed = t.supervise(ctx)
	t.removeServiceDirs()
	for _, s := range t.services {
		for _, l := range s.listeners {
			l.Close()
		}
	}
	if err := t.remove(); err != nil {
		t.log.Warn("onion: a folder is left behind", "err", err)
	}
	return t.failed
}

// supervise starts tor again and again.
func (t *tor) supervise(ctx context.Context) error {
	backoff := t.cfg.MinBackoff
	for {
		err := t.once(ctx)
		if ctx.Err() != nil {
			t.change(func() { t.phase, t.err, t.over = Stopped, nil, true })
			return nil
		}
		if permanent(err) {
			t.change(func() { t.phase, t.err, t.over = Failed, err, true })
			t.log.Error("onion: the service cannot run", "err", err)
			return err
		}
		if t.readyFor() >= 2*backoff {
			backoff = t.cfg.MinBackoff
		}
		// Not all services of a machine that comes back at the same moment.
		wait := backoff/2 + rand.N(backoff/2+1)
		cause := causeOf(err)
		t.change(func() {
			t.restarts[cause]++
			t.phase, t.err, t.next = Backoff, err, time.Now().Add(wait)
		})
		t.log.Warn("onion: tor is started again", "cause", cause, "err", err, "in", wait.String())
		if !pause(ctx, wait) {
			t.change(func() { t.phase, t.err, t.next, t.over = Stopped, nil, time.Time{}, true })
			return nil
		}
		backoff = min(2*backoff, t.cfg.MaxBackoff)
	}
}

// readyFor returns for how long all services were ready, up to now.
func (t *tor) readyFor() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.readyAt.IsZero() {
		return 0
	}
	return time.Since(t.readyAt)
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A causedError says in which way tor was lost, for the metric.
type causedError struct {
	error
	cause string
}

func (e *causedError) Unwrap() error { return e.error }

func causeOf(err error) string {
	var caused *causedError
	switch {
	case errors.As(err, &caused):
		return caused.cause
	case errors.Is(err, ErrLocked):
		return "locked"
	case errors.Is(err, ErrTorExited):
		return "exit"
	case errors.Is(err, ErrUnresponsive):
		return "heartbeat"
	case errors.Is(err, ErrControlLost):
		return "control"
	}
	return "start"
}

// once runs tor until it ends, or ctx does.
func (t *tor) once(ctx context.Context) error {
	t.change(func() {
		t.phase, t.err, t.next, t.percent, t.doing, t.pid = Starting, nil, time.Time{}, 0, "", 0
		if t.wasReady {
			t.attempt = 0
		}
		t.attempt++
		t.wasReady = false
		t.down, t.readyAt, t.progressAt = false, time.Time{}, time.Now()
		for _, s := range t.services {
			s.desc.begin()
		}
	})
	defer t.background.Wait()
	if t.cfg.Control != "" {
		return t.attach(ctx)
	}
	return t.runChild(ctx)
}

// change changes what the state is made of. A logger may ask for the state, so it
// is told afterwards.
func (t *tor) change(f func()) {
	t.mu.Lock()
	f()
	t.updateAll()
	news := t.news
	t.news = nil
	t.mu.Unlock()
	for _, tell := range news {
		tell()
	}
}

// updateAll tells each service. mu must be held.
func (t *tor) updateAll() {
	ready := true
	for _, s := range t.services {
		s.update()
		ready = ready && s.state.Phase == Ready
	}
	if !ready && t.phase == Publishing {
		t.readyAt = time.Time{}
	} else if ready && t.readyAt.IsZero() {
		t.readyAt, t.wasReady = time.Now(), true
	}
}

// state is how a service is. mu must be held.
func (t *tor) state(s *Service) State {
	st := State{
		Phase: t.phase, Err: t.err, Attempt: t.attempt, TorVersion: t.version, PID: t.pid,
		Uploaded: s.desc.uploaded, FailedUploads: s.desc.failed,
	}
	switch t.phase {
	case Bootstrapping:
		st.Percent, st.Doing = t.percent, t.doing
	case Backoff:
		st.Next = t.next
	case Publishing:
		if t.down {
			st.Err = errDown
		} else {
			st.Err = s.desc.trouble
		}
		switch {
		case s.desc.uploaded == 0:
		case st.Err != nil:
			st.Phase = Degraded
		default:
			st.Phase = Ready
		}
	}
	return st
}

var errDown = errors.New("onion: tor cannot reach its network")

// ask sends a command to the tor that runs. Who asks may lose interest: the answer
// is waited for all the same, since tor ends with a connection that is closed.
func (t *tor) ask(ctx context.Context, command string) ([]string, error) {
	t.mu.Lock()
	conn := t.conn
	if conn == nil || ctx.Err() != nil {
		t.mu.Unlock()
		if conn == nil {
			return nil, ErrNotRunning
		}
		return nil, fmt.Errorf("onion: ask tor: %w", context.Cause(ctx))
	}
	type answer struct {
		lines []string
		err   error
	}
	answered := make(chan answer, 1)
	t.background.Go(func() {
		patience := 3 * t.cfg.Heartbeat
		timed, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), patience, fmt.Errorf("no answer within %s", patience))
		defer cancel()
		lines, err := conn.ask(timed, command)
		answered <- answer{lines, err}
	})
	t.mu.Unlock()
	select {
	case a := <-answered:
		return a.lines, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("onion: ask tor: %w", context.Cause(ctx))
	}
}
