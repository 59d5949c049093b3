// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/onion"
	onionmetrics "xeiaso.net/site/onion/metrics"
	"xeiaso.net/site/xesite"
)

// onionSite is the site as an onion service. One instance of the program has it,
// the one that builds: two tors with one key would take visitors from each other.
type onionSite struct {
	cfg     onion.Config
	address onion.Address
	limits  *onion.CircuitLimits // nil: none
	handler func() http.Handler
	log     *slog.Logger

	mu      sync.Mutex // guards what follows
	service *onion.Service
	problem string
}

// startOnion makes it, if it is wanted. What is set wrongly is no reason for the
// site not to run, and neither is a tor that is not there.
func (h *host) startOnion(dataDir string) {
	o, err := h.newOnion(dataDir)
	if err != nil {
		h.off["onion"] = err.Error()
		h.log.Error("there is no onion service", "err", err)
		return
	}
	h.onion = o
}

func (h *host) newOnion(dataDir string) (*onionSite, error) {
	f := &h.config.onion
	if err := f.check(); err != nil || !f.on {
		return nil, err
	}
	cfg, err := f.config(dataDir, h.log)
	if err != nil {
		return nil, err
	}
	// Checks everything, and makes the key, so that the address is known from now on.
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	service, err := onion.New(cfg)
	if err != nil {
		return nil, err
	}
	defer service.Close()
	o := &onionSite{cfg: cfg, address: service.Address(), log: h.log}
	if n := f.circuitLimit; n > 0 {
		o.limits = &onion.CircuitLimits{Rate: onion.Rate{PerSecond: n}, Close: o.closeCircuit}
	}
	o.handler = sync.OnceValue(func() http.Handler { return h.onionHandler("onion", o.address, o.limits) })
	return o, nil
}

// current is the service while there is one here.
func (o *onionSite) current() *onion.Service {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.service
}

func (o *onionSite) set(s *onion.Service, problem string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.service, o.problem = s, problem
}

// location is where visitors can come to, or "".
func (o *onionSite) location() onion.Address {
	if s := o.current(); s != nil {
		return s.Location()
	}
	return ""
}

func (o *onionSite) closeCircuit(circuit uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if s := o.current(); s != nil {
		// It may be gone by itself.
		if err := s.CloseCircuit(ctx, circuit); err != nil {
			o.log.Debug("a circuit with too many requests is not closed", "err", err)
		}
	}
}

// lead serves until ctx ends.
func (o *onionSite) lead(ctx context.Context) {
	service, err := onion.New(o.cfg)
	if err != nil {
		o.log.Error("there is no onion service", "err", err)
		o.set(nil, err.Error())
		return
	}
	o.set(service, "")
	defer o.set(nil, "")
	// Tor goes on until the requests that are under way are answered.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		service.Run(running) // it logs
	}()
	defer func() { <-ended }()
	defer stop()
	// What net/http has to say may be about visitors.
	server := xesite.Server{Grace: 10 * time.Second, ConnContext: onion.ConnContext}
	if err := server.Serve(ctx, service.Listener(), o.handler()); err != nil && ctx.Err() == nil {
		<-ctx.Done() // the state says what is wrong with tor
	}
}

// onionHandler is what visitors see who come over Tor.
func (h *host) onionHandler(name string, address onion.Address, limits *onion.CircuitLimits) http.Handler {
	private := onion.PrivateConfig{Clearnet: h.clearnet(), Logger: h.log}
	if h.onionDomain != "" {
		private.Hosts = []string{h.onionDomain}
	}
	listener := xesite.Listener{Name: name}
	if limits != nil {
		listener.Middleware = append(listener.Middleware, limits.Handler)
	}
	listener.Middleware = append(listener.Middleware, onion.Private(private))
	return h.site.Handler(listener)
}

// clearnet are the hosts of the site elsewhere.
func (h *host) clearnet() (hosts []string) {
	if u, err := url.Parse(h.siteURL); err == nil && u.Host != "" {
		hosts = append(hosts, u.Host)
	}
	if h.redirectDomain != "" {
		hosts = append(hosts, h.redirectDomain)
	}
	return hosts
}

// location tells visitors on the clearnet where the site is on Tor.
func (h *host) location() func(http.Handler) http.Handler {
	switch {
	case h.onion != nil:
		return onion.Location(onion.LocationConfig{Address: h.onion.location})
	case strings.HasSuffix(h.onionDomain, ".onion"):
		return onion.Location(onion.LocationConfig{Address: onion.Fixed(onion.Address(h.onionDomain))})
	}
	return nil
}

// listenOnion opens the listener for an onion service that something else runs.
func (h *host) listenOnion() (err error) {
	if h.onionBind == "" {
		return nil
	}
	if path, ok := strings.CutPrefix(h.onionBind, "unix:"); ok {
		return h.listenOnionSocket(path)
	}
	h.onionListener, err = listen("onion-bind", h.onionBind)
	return err
}

func (h *host) listenOnionSocket(path string) (err error) {
	// One that a killed process has left behind.
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return fmt.Errorf("-onion-bind %q: something listens there already: stop it, or choose another path", h.onionBind)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		os.Remove(path)
	}
	if h.onionListener, err = net.Listen("unix", filepath.Clean(path)); err != nil {
		return fmt.Errorf("-onion-bind %q: %w", h.onionBind, err)
	}
	return nil
}

// serveOnionBind answers requests that a tor of somebody else brings.
func (h *host) serveOnionBind(ctx context.Context) error {
	server := xesite.Server{ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		return onion.WithInfo(ctx, onion.Info{Address: onion.Address(h.onionDomain), Port: 80})
	}}
	return server.Serve(ctx, h.onionListener, h.onionHandler("onion-bind", onion.Address(h.onionDomain), nil))
}

// onionStatus is what the status says of it.
type onionStatus struct {
	Address    onion.Address `json:"address"`
	URL        string        `json:"url"`
	State      string        `json:"state"`
	Since      time.Time     `json:"since,omitzero"`
	Problem    string        `json:"problem,omitzero"`
	Bootstrap  int           `json:"bootstrap_percent,omitzero"`
	Attempt    int           `json:"attempt,omitzero"`
	Next       time.Time     `json:"next_start,omitzero"`
	TorVersion string        `json:"tor_version,omitzero"`
	Uploaded   uint64        `json:"descriptors_uploaded"`
	Streams    int64         `json:"streams_open"`
}

func (o *onionSite) status() onionStatus {
	o.mu.Lock()
	service, problem := o.service, o.problem
	o.mu.Unlock()
	st := onionStatus{Address: o.address, URL: o.address.URL(), State: string(onion.Stopped), Problem: problem}
	if service == nil {
		return st
	}
	now := service.State()
	st.State, st.Since, st.Bootstrap, st.Attempt = string(now.Phase), now.Since, now.Percent, now.Attempt
	st.Next, st.TorVersion, st.Uploaded = now.Next, now.TorVersion, now.Uploaded
	st.Streams = service.Stats().StreamsOpen
	if now.Err != nil {
		st.Problem = now.Err.Error()
	}
	return st
}

func (o *onionSite) metrics() onionmetrics.Sources {
	s := onionmetrics.Sources{Service: o.current}
	if o.limits != nil {
		s.Limits = o.limits.Limited
	}
	return s
}
