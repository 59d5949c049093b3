// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"
)

// Service is an onion service. It is safe for concurrent use.
type Service struct {
	cfg       Config
	key       Key
	address   Address
	tor       *tor
	listeners []*listener
	count     counters

	// tor.mu guards what follows.
	state      State
	changed    chan struct{} // closed when state changes
	readyUntil time.Time
	desc       descriptor
}

// New checks a configuration, loads or makes the key, and opens the listeners. It
// neither runs tor nor uses the network. Who does not go on to call
// [Service.Run] has to call [Service.Close].
func New(cfg Config) (*Service, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	key, err := loadKey(&cfg)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, key: key, address: key.Address(), changed: make(chan struct{})}
	s.state = State{Phase: Stopped, Since: time.Now()}
	if cfg.With != nil {
		s.tor = cfg.With.tor
	} else if s.tor, err = newTor(cfg); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.tor.add(s); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func loadKey(cfg *Config) (Key, error) {
	dir := filepath.Join(cfg.Dir, "key")
	if cfg.Key.IsZero() {
		return LoadKey(dir, cfg.Mode)
	}
	return cfg.Key, WriteKey(dir, cfg.Key, cfg.Mode)
}

// open makes the listeners.
func (s *Service) open() error {
	s.tor.mu.Lock()
	number := s.tor.opened
	s.tor.opened++
	s.tor.mu.Unlock()
	for _, port := range s.cfg.Ports {
		inner, err := s.tor.listen(number, port)
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, newListener(inner, s.address, port, s.cfg.Circuits, &s.count))
	}
	return nil
}

// Address returns the address, which the key decides.
func (s *Service) Address() Address { return s.address }

// Format writes which service it is, and no secrets.
func (s *Service) Format(f fmt.State, _ rune) {
	io.WriteString(f, "onion.Service("+string(s.address)+")")
}

// Listener returns the listener of the first port. It has no connections before
// [Service.Run] has published the service, lives on whatever becomes of tor, and is
// closed when Run returns. Its connections have a method Info, see [ConnContext].
func (s *Service) Listener() net.Listener { return s.listeners[0] }

// ListenerOf returns the listener of one of [Config.Ports], or nil.
func (s *Service) ListenerOf(port int) net.Listener {
	for _, l := range s.listeners {
		if l.port == port {
			return l
		}
	}
	return nil
}

// Close closes the listeners of a service that was never run. It can be called
// more than once.
func (s *Service) Close() error {
	var errs []error
	for _, l := range s.listeners {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.tor.drop(s)
	if s.cfg.With == nil {
		errs = append(errs, s.tor.remove())
	}
	return errors.Join(errs...)
}

// Run publishes the service and keeps it published until ctx ends; then it returns
// nil. It returns an error if that cannot work without somebody doing something:
// [ErrTorNotFound], [ErrTorTooOld] or [ErrTorConfig]. All else is tried again. It can
// be called once. For a service that uses the tor of another one, [Config.With], it
// waits for that one's Run.
//
// When it returns, its tor has ended, and connections with it: a server should be
// shut down first.
func (s *Service) Run(ctx context.Context) error {
	if s.cfg.With == nil {
		return s.tor.run(ctx)
	}
	select {
	case <-ctx.Done():
		for _, l := range s.listeners {
			l.Close()
		}
		return nil
	case <-s.tor.ended:
		return s.tor.failed
	}
}

// Serve runs a service and a server for it, on each of its ports, until ctx ends.
// Requests come with [FromContext]. Requests that are under way then have half a
// minute.
func Serve(ctx context.Context, cfg Config, handler http.Handler) error {
	s, err := New(cfg)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler, ConnContext: ConnContext,
		ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	served := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		go func() { served <- server.Serve(l) }()
	}
	select {
	case err = <-ended:
		server.Close()
		return err
	case err = <-served:
		if errors.Is(err, net.ErrClosed) { // Run is about to return
			server.Close()
			return <-ended
		}
		err = fmt.Errorf("onion: serve: %w", err)
	case <-ctx.Done():
	}
	drain, stop := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer stop()
	if server.Shutdown(drain) != nil {
		server.Close()
	}
	cancel()
	return errors.Join(err, <-ended)
}

// CloseCircuit closes the circuit that [Info.Circuit] names, and with it all
// connections that came by it.
func (s *Service) CloseCircuit(ctx context.Context, circuit uint64) error {
	_, err := s.tor.ask(ctx, "CLOSECIRCUIT "+strconv.FormatUint(circuit, 10))
	return err
}

// Stats are counts since the service was made.
type Stats struct {
	// StreamsOpen is how many connections are open now.
	StreamsOpen int64
	// Received and Sent are bytes.
	Received, Sent uint64
	// Uploads and FailedUploads count descriptors that directories took, or not.
	Uploads, FailedUploads uint64
	// Restarts counts how often tor was started again, by the cause of it: see
	// [Causes].
	Restarts map[string]uint64
}

// Stats returns the counts.
func (s *Service) Stats() Stats {
	stats := Stats{StreamsOpen: s.count.streams.Load(), Received: s.count.received.Load(), Sent: s.count.sent.Load(), Restarts: map[string]uint64{}}
	s.tor.mu.Lock()
	defer s.tor.mu.Unlock()
	stats.Uploads, stats.FailedUploads = s.desc.allUploaded, s.desc.allFailed
	for _, cause := range Causes() {
		stats.Restarts[cause] = s.tor.restarts[cause]
	}
	return stats
}
