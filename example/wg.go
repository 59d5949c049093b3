// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/wg"
	"xeiaso.net/site/xesite"
)

// privateNetwork is a way into one, by WireGuard. Neither a file that is wrong nor
// peers that do not answer are a reason for the site not to run, or to wait.
type privateNetwork struct {
	flags *wgFlags
	log   *slog.Logger

	opened chan struct{} // closed once there is a tunnel

	mu       sync.Mutex // guards what follows
	tunnel   *wg.Tunnel // nil: the file is wrong since the start
	problem  string     // of the flags or the file
	search   []string   // what a file that is wrong since the start seems to have
	notUp    string     // why the tunnel cannot even begin
	warnings []string
	ignored  []string
	uses     []*wgUse
}

// wgUse is what the tunnel is used for beside dialing.
type wgUse struct {
	Kind    string `json:"kind"` // admin, forward, socks
	Address string `json:"address"`
	Remote  string `json:"remote,omitzero"`
	Problem string `json:"problem,omitzero"`
}

// startPrivateNetwork makes it, if anything is set.
func (h *host) startPrivateNetwork() {
	f := &h.config.wg
	if !f.anySet() {
		return
	}
	p := &privateNetwork{flags: f, log: h.log, opened: make(chan struct{})}
	h.private = p
	if err := f.check(); err != nil {
		p.fail("there is no tunnel", err)
		return
	}
	p.reload()
}

// fail remembers what is wrong with flags or file, for the status.
func (p *privateNetwork) fail(what string, err error) {
	p.log.Error(what, "err", err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problem = err.Error()
}

// reload reads the file, and makes the tunnel of it, or changes that which there is.
// A file that is wrong changes nothing.
func (p *privateNetwork) reload() {
	if p.flags.check() != nil {
		return // flags do not become right
	}
	cfg, warnings, err := readWG(p.flags.config, nil)
	if err == nil {
		err = p.apply(cfg)
	}
	switch {
	case err != nil && p.current() == nil:
		p.keepPrivate(searchDomains(p.flags.config))
		p.fail("there is no tunnel", fmt.Errorf("-wg-config: %w", err))
		return
	case err != nil:
		p.fail("the tunnel stays as it was", fmt.Errorf("-wg-config: %w; the tunnel stays as it was", err))
		return
	}
	for _, w := range warnings {
		p.log.Warn("the file of -wg-config: " + w)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problem, p.warnings, p.ignored = "", warnings, cfg.Ignored
}

// keepPrivate remembers names that are not to be looked up outside for the want of a
// tunnel.
func (p *privateNetwork) keepPrivate(domains []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.search = domains
}

// apply gives the tunnel a configuration. Connections in it stay.
func (p *privateNetwork) apply(cfg *wg.Config) error {
	if t := p.current(); t != nil {
		return t.Reconfigure(cfg)
	}
	t, err := wg.New(cfg, wg.Options{Logger: p.log})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tunnel = t
	close(p.opened)
	return nil
}

// current is the tunnel, or nil.
func (p *privateNetwork) current() *wg.Tunnel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tunnel
}

// split tells what goes through the tunnel.
func (p *privateNetwork) split() *wg.SplitDialer {
	if t := p.current(); t != nil {
		return &wg.SplitDialer{Tunnel: t, Domains: p.flags.domains}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return &wg.SplitDialer{Domains: append(p.flags.private(), p.search...)}
}

// dial connects through the tunnel or directly.
func (p *privateNetwork) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := p.split().DialContext(ctx, network, address)
	if errors.Is(err, wg.ErrNoTunnel) {
		p.mu.Lock()
		defer p.mu.Unlock()
		err = fmt.Errorf("%w (%s)", err, p.problem)
	}
	return conn, err
}

// client returns one that makes its connections so. Of the environment's proxy nothing
// private is asked.
func (p *privateNetwork) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: p.dial,
		Proxy: func(r *http.Request) (*url.URL, error) {
			if p.split().Tunneled(r.URL.Hostname()) {
				return nil, nil
			}
			return http.ProxyFromEnvironment(r)
		},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		IdleConnTimeout:       30 * time.Second, // machines of private networks come and go
		ForceAttemptHTTP2:     true,
	}}
}

// close ends the tunnel, after everything that uses it.
func (p *privateNetwork) close() {
	if t := p.current(); t != nil {
		t.Close()
	}
}

// run keeps the tunnel up, and serves in it, until ctx ends.
func (p *privateNetwork) run(ctx context.Context, admin http.Handler) error {
	select {
	case <-p.opened: // by a later SIGHUP, if the file was wrong
	case <-ctx.Done():
		return nil
	}
	t := p.current()
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { p.up(ctx, t) })
	f := p.flags
	if f.admin != "" {
		p.use(&wgUse{Kind: "admin", Address: f.admin}, &all, func(u *wgUse) (func() error, error) {
			l, err := t.Listen("tcp", f.admin)
			if err != nil {
				return nil, fmt.Errorf("-wg-admin %q: %w", f.admin, err)
			}
			return func() error { return xesite.Server{Logger: p.log}.Serve(ctx, l, admin) }, nil
		})
	}
	for _, pair := range f.forwards {
		local, remote, invalid := splitForward(pair)
		p.use(&wgUse{Kind: "forward", Address: local, Remote: remote}, &all, func(u *wgUse) (func() error, error) {
			if invalid != nil {
				return nil, fmt.Errorf("-wg-forward %q: %w", pair, invalid)
			}
			l, err := p.listen("wg-forward", u)
			return func() error { return t.Forward(ctx, l, remote) }, err
		})
	}
	if f.socks != "" {
		p.use(&wgUse{Kind: "socks", Address: f.socks}, &all, func(u *wgUse) (func() error, error) {
			l, err := p.listen("wg-socks", u)
			return func() error { return t.ServeSOCKS(ctx, l) }, err
		})
	}
	return nil
}

// listen listens on this machine.
func (p *privateNetwork) listen(flag string, u *wgUse) (net.Listener, error) {
	l, err := listen(flag, u.Address)
	if err != nil {
		return nil, err
	}
	u.Address = l.Addr().String()
	if reachable(l.Addr()) {
		p.log.Warn("other machines can reach the private network through this one: -"+flag+" is better on 127.0.0.1", "addr", u.Address)
	}
	return l, nil
}

// use runs one of the uses. What is wrong with it is no matter to the others.
func (p *privateNetwork) use(u *wgUse, all *sync.WaitGroup, open func(*wgUse) (serve func() error, err error)) {
	serve, err := open(u)
	p.mu.Lock()
	p.uses = append(p.uses, u)
	p.mu.Unlock()
	if err != nil {
		p.useFailed(u, err)
		return
	}
	all.Go(func() {
		if err := serve(); err != nil {
			p.useFailed(u, err)
		}
	})
}

func (p *privateNetwork) useFailed(u *wgUse, err error) {
	p.log.Error("a use of the tunnel is off", "kind", u.Kind, "err", err)
	p.mu.Lock()
	defer p.mu.Unlock()
	u.Problem = err.Error()
}

// upAgain is how long is waited when the tunnel's UDP port cannot be had.
const upAgain = 10 * time.Second

// up opens the tunnel, and tells when its peers have answered.
func (p *privateNetwork) up(ctx context.Context, t *wg.Tunnel) {
	for {
		err := t.Up(ctx)
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		if p.notUp = ""; err != nil {
			p.notUp = err.Error()
		}
		p.mu.Unlock()
		if err == nil {
			p.log.Info("all peers of the tunnel have answered that are called", "addrs", fmt.Sprint(t.Addrs()))
			return
		}
		// Peers that do not answer are waited for: something else is wrong.
		p.log.Error("the tunnel is not up", "err", err)
		select {
		case <-time.After(upAgain):
		case <-ctx.Done():
			return
		}
	}
}

// wgStatus is what the status says of it.
type wgStatus struct {
	// State is "up" if all peers have answered that are called, "down" if not, and
	// "off" if there is no tunnel.
	State   string `json:"state"`
	Problem string `json:"problem,omitzero"`
	wg.Status
	Domains  []string `json:"domains,omitzero"` // names in them go through the tunnel
	Uses     []wgUse  `json:"uses,omitzero"`
	Warnings []string `json:"warnings,omitzero"`
	Ignored  []string `json:"ignored,omitzero"`
}

func (p *privateNetwork) status() wgStatus {
	domains := p.split().Names()
	p.mu.Lock()
	st := wgStatus{State: "off", Problem: cmp.Or(p.problem, p.notUp), Domains: domains, Warnings: p.warnings, Ignored: p.ignored}
	for _, u := range p.uses {
		st.Uses = append(st.Uses, *u)
	}
	t, notUp := p.tunnel, p.notUp != ""
	p.mu.Unlock()
	if t == nil {
		return st
	}
	st.State, st.Status = "up", t.Status()
	if notUp || slices.ContainsFunc(st.Peers, isDown) {
		st.State = "down"
	}
	return st
}

// isDown reports whether a peer does not answer.
func isDown(p wg.PeerStatus) bool {
	return p.State == wg.StateUnreachable || p.Endpoint != "" && p.LastHandshake.IsZero()
}

// tunnelStatus is what metrics are made of.
func (p *privateNetwork) tunnelStatus() wg.Status { return p.status().Status }

// note is a line for the start page.
func (p *privateNetwork) note() string {
	st := p.status()
	var down []string
	for _, peer := range st.Peers {
		if isDown(peer) {
			down = append(down, cmp.Or(peer.Endpoint, peer.PublicKey.String()))
		}
	}
	note := "The tunnel is " + st.State
	if len(down) > 0 {
		note += ": no answer from " + strings.Join(down, ", ")
	}
	if st.Problem != "" {
		note += ": " + st.Problem
	}
	return note + "."
}
