// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"

	"xeiaso.net/site/wg/internal/dns"
	"xeiaso.net/site/wg/internal/netstack"
)

// Tunnel is one end of a WireGuard tunnel, inside this process. It is safe for
// concurrent use.
type Tunnel struct {
	opts   Options
	log    *slog.Logger
	stack  *netstack.Stack
	device *device.Device
	wall   func() time.Time // the clock that people set

	closing sync.Once
	closed  chan struct{}
	all     sync.WaitGroup // goroutines
	found   chan found     // where peers are, for the supervisor

	changing sync.Mutex // held while the tunnel is brought up or changed

	mu       sync.Mutex // guards what follows
	cfg      Config
	routes   routes
	resolver *dns.Client
	peers    map[PublicKey]*peer
	up       bool
	shake    chan struct{} // closed at the next handshake, of any peer
}

// New makes a tunnel. It can be listened on, and sends nothing before [Tunnel.Up].
// It has to be closed.
func New(cfg *Config, opts Options) (*Tunnel, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	opts.setDefaults()
	t := &Tunnel{
		opts: opts, log: opts.Logger, wall: time.Now,
		closed: make(chan struct{}), found: make(chan found), peers: map[PublicKey]*peer{}, shake: make(chan struct{}),
	}
	t.adopt(cfg.clone())
	if err := t.open(); err != nil {
		return nil, err
	}
	return t, nil
}

// open makes stack and device.
func (t *Tunnel) open() (err error) {
	t.stack, err = netstack.New(netstack.Config{
		Addresses: t.cfg.own(), MTU: t.cfg.MTU,
		SendBuffer: t.opts.SendBuffer, ReceiveBuffer: t.opts.ReceiveBuffer, RACK: t.opts.RACK,
	})
	if err != nil {
		return fmt.Errorf("wg: make the network stack: %w", err)
	}
	t.stack.SetTap(t.opts.Capture)
	t.device = device.NewDevice(t.stack.Device(), t.stack.Bind(t.socket()), deviceLogger(t.log))
	if err := t.device.IpcSet(t.cfg.uapi()); err != nil {
		t.device.Close()
		return fmt.Errorf("wg: configure the device: %w", err)
	}
	return nil
}

// socket is what the device sends and receives with.
func (t *Tunnel) socket() conn.Bind {
	if t.opts.Control != nil {
		return &controlled{control: t.opts.Control}
	}
	return conn.NewDefaultBind()
}

// adopt makes a configuration that of the tunnel, as far as the device does not have
// to know of it. The caller holds t.mu, or is alone.
func (t *Tunnel) adopt(cfg Config) {
	newKey := !cfg.PrivateKey.Equal(t.cfg.PrivateKey)
	t.cfg, t.routes, t.resolver = cfg, cfg.routes(), t.newResolver(cfg)
	peers := map[PublicKey]*peer{}
	for _, c := range cfg.Peers {
		p := t.peers[c.PublicKey]
		if p == nil {
			p = &peer{}
		}
		if newKey {
			p.watch = watch{last: p.last} // who does not know it yet is called
		}
		if p.cfg.Endpoint != c.Endpoint {
			p.endpoint = endpoint{fresh: true}
		}
		p.cfg = c
		peers[c.PublicKey] = p
	}
	t.peers = peers
}

// newResolver asks the servers of a configuration, through the tunnel.
func (t *Tunnel) newResolver(cfg Config) *dns.Client {
	c := &dns.Client{Search: cfg.Search, Timeout: t.opts.DNSTimeout, Dial: t.dialOne}
	for _, server := range cfg.servers() {
		c.Servers = append(c.Servers, netip.AddrPortFrom(server, 53))
	}
	for _, a := range cfg.own() {
		c.IPv4 = c.IPv4 || a.Is4()
		c.IPv6 = c.IPv6 || a.Is6()
	}
	return c
}

// names is who looks names up at present.
func (t *Tunnel) names() *dns.Client {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.resolver
}

// clone makes a copy that has nothing in common with c.
func (c *Config) clone() Config {
	out := *c
	out.Addresses, out.DNS, out.Search = slices.Clone(c.Addresses), slices.Clone(c.DNS), slices.Clone(c.Search)
	out.Peers, out.Ignored = slices.Clone(c.Peers), slices.Clone(c.Ignored)
	for i := range out.Peers {
		out.Peers[i].AllowedIPs = slices.Clone(out.Peers[i].AllowedIPs)
	}
	return out
}

// own are the addresses of this end.
func (c *Config) own() (addrs []netip.Addr) {
	for _, a := range c.Addresses {
		addrs = append(addrs, a.Addr().Unmap())
	}
	return addrs
}

// deviceLogger has the device tell what it tells where we do. It knows no secrets
// but addresses of peers.
func deviceLogger(log *slog.Logger) *device.Logger {
	tell := func(level slog.Level) func(string, ...any) {
		return func(format string, args ...any) {
			if ctx := context.Background(); log.Enabled(ctx, level) {
				log.Log(ctx, level, "wg: "+fmt.Sprintf(format, args...))
			}
		}
	}
	// What the device calls errors, such as a network that is not there for a
	// moment, is tried again and is in the status.
	return &device.Logger{Verbosef: tell(slog.LevelDebug), Errorf: tell(slog.LevelDebug)}
}

// Format writes which addresses it has, and no keys.
func (t *Tunnel) Format(f fmt.State, _ rune) {
	io.WriteString(f, "wg.Tunnel("+fmt.Sprint(t.Addrs())+")")
}

// Addrs are the addresses of this end inside the tunnel.
func (t *Tunnel) Addrs() []netip.Addr {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cfg.own()
}

// Close ends the tunnel. What is pending on it returns an error that matches
// [net.ErrClosed]. It can be called more than once.
func (t *Tunnel) Close() error {
	t.closing.Do(func() {
		t.mu.Lock() // nothing is started after this
		close(t.closed)
		t.mu.Unlock()
		t.stack.Close()
		t.device.Close()
	})
	t.all.Wait()
	return nil
}

// shaken is closed when a peer has answered, the next time.
func (t *Tunnel) shaken() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shake
}

func (t *Tunnel) isClosed() bool {
	select {
	case <-t.closed:
		return true
	default:
		return false
	}
}

// ended returns the error of a call: [net.ErrClosed] if the tunnel was closed, for
// then nothing else matters.
func (t *Tunnel) ended(err error) error {
	if err != nil && t.isClosed() {
		return net.ErrClosed
	}
	return err
}

// Up opens the outer socket, and shakes hands with every peer that has an endpoint.
// It returns when all have answered, or when ctx ends, with an error of type
// [*PeerError] for each that has not. In both cases the tunnel goes on trying until
// it is closed. Peers without an endpoint are not waited for. Up can be called again,
// to wait once more.
func (t *Tunnel) Up(ctx context.Context) error {
	if err := t.start(); err != nil {
		return err
	}
	for {
		waiting := t.unanswered()
		if len(waiting) == 0 {
			return nil
		}
		select {
		case <-time.After(t.pause() / 20):
		case <-t.closed:
			return net.ErrClosed
		case <-ctx.Done():
			var errs []error
			for _, key := range waiting {
				errs = append(errs, t.peerError(key, context.Cause(ctx)))
			}
			return errors.Join(errs...)
		}
	}
}

// start has the device and the supervisor run.
func (t *Tunnel) start() error {
	t.changing.Lock()
	defer t.changing.Unlock()
	t.mu.Lock()
	up, port := t.up, t.cfg.ListenPort
	t.mu.Unlock()
	switch {
	case t.isClosed():
		return net.ErrClosed
	case up:
		return nil
	}
	if err := t.device.Up(); err != nil {
		return fmt.Errorf("wg: open the UDP port %d: %w", port, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed() { // meanwhile
		return net.ErrClosed
	}
	t.up = true
	t.all.Go(t.supervise)
	return nil
}

// state asks the device how its peers are. The port is 0 if there is no socket.
func (t *Tunnel) state() (peers map[PublicKey]peerState, port uint16) {
	text, err := t.device.IpcGet()
	if err != nil {
		return nil, 0
	}
	return parseUAPI(text)
}

// unanswered are the peers with an endpoint that there was no handshake with, in the
// order of the configuration.
func (t *Tunnel) unanswered() (keys []PublicKey) {
	states, _ := t.state()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.cfg.Peers {
		if p.Endpoint != "" && states[p.PublicKey].lastHandshake.IsZero() {
			keys = append(keys, p.PublicKey)
		}
	}
	return keys
}
