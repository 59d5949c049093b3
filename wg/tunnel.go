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
	opts     Options
	log      *slog.Logger
	stack    *netstack.Stack
	device   *device.Device
	resolver *dns.Client

	closing sync.Once
	closed  chan struct{}
	all     sync.WaitGroup // goroutines

	mu     sync.Mutex // guards what follows
	cfg    Config
	routes routes
	peers  map[PublicKey]*peer
	up     bool
}

// peer is what is known of one beside what the device knows.
type peer struct {
	cfg      Peer
	attempts int // handshakes that were asked for since the last one
	problem  error
}

// New makes a tunnel. It can be listened on, and sends nothing before [Tunnel.Up].
// It has to be closed.
func New(cfg *Config, opts Options) (*Tunnel, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	opts.setDefaults()
	c := *cfg
	c.Peers = slices.Clone(cfg.Peers)
	t := &Tunnel{opts: opts, log: opts.Logger, cfg: c, routes: c.routes(), peers: map[PublicKey]*peer{}, closed: make(chan struct{})}
	for _, p := range c.Peers {
		t.peers[p.PublicKey] = &peer{cfg: p}
	}
	if err := t.open(); err != nil {
		return nil, err
	}
	return t, nil
}

// open makes stack and device.
func (t *Tunnel) open() (err error) {
	t.stack, err = netstack.New(netstack.Config{
		Addresses: t.cfg.own(), MTU: t.cfg.MTU,
		SendBuffer: t.opts.SendBuffer, ReceiveBuffer: t.opts.ReceiveBuffer, NoRACK: t.opts.NoRACK,
	})
	if err != nil {
		return fmt.Errorf("wg: make the network stack: %w", err)
	}
	t.stack.SetTap(t.opts.Capture)
	t.device = device.NewDevice(t.stack.Device(), t.stack.Bind(conn.NewDefaultBind()), deviceLogger(t.log))
	if err := t.device.IpcSet(t.cfg.uapi()); err != nil {
		t.device.Close()
		return fmt.Errorf("wg: configure the device: %w", err)
	}
	t.resolver = &dns.Client{
		Search: t.cfg.Search, Timeout: t.opts.DNSTimeout,
		Dial: func(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error) {
			return t.dialOne(ctx, network, server)
		},
	}
	for _, server := range t.cfg.servers() {
		t.resolver.Servers = append(t.resolver.Servers, netip.AddrPortFrom(server, 53))
	}
	for _, a := range t.cfg.own() {
		t.resolver.IPv4 = t.resolver.IPv4 || a.Is4()
		t.resolver.IPv6 = t.resolver.IPv6 || a.Is6()
	}
	return nil
}

// own are the addresses of this end.
func (c *Config) own() (addrs []netip.Addr) {
	for _, a := range c.Addresses {
		addrs = append(addrs, a.Addr())
	}
	return addrs
}

// deviceLogger has the device tell what it tells where we do. It knows no secrets
// but addresses of peers.
func deviceLogger(log *slog.Logger) *device.Logger {
	return &device.Logger{
		Verbosef: func(format string, args ...any) { log.Debug("wg: " + fmt.Sprintf(format, args...)) },
		Errorf:   func(format string, args ...any) { log.Warn("wg: " + fmt.Sprintf(format, args...)) },
	}
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
		close(t.closed)
		t.stack.Close()
		t.device.Close()
	})
	t.all.Wait()
	return nil
}

// Up opens the outer socket, and shakes hands with every peer that has an endpoint.
// It returns when all have answered, or when ctx ends, with an error of type
// [*PeerError] for each that has not. In both cases the tunnel goes on trying until
// it is closed. Peers without an endpoint are not waited for.
func (t *Tunnel) Up(ctx context.Context) error {
	if err := t.start(); err != nil {
		return err
	}
	var errs []error
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		waiting := t.unanswered()
		if len(waiting) == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-t.closed:
			return net.ErrClosed
		case <-ctx.Done():
			for _, key := range waiting {
				errs = append(errs, t.peerError(key, context.Cause(ctx)))
			}
			return errors.Join(errs...)
		}
	}
}

// start has the device and the supervisor run.
func (t *Tunnel) start() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.closed:
		return net.ErrClosed
	default:
	}
	if t.up {
		return nil
	}
	if err := t.device.Up(); err != nil {
		return fmt.Errorf("wg: open the UDP port %d: %w", t.cfg.ListenPort, err)
	}
	t.up = true
	t.all.Go(t.supervise)
	return nil
}

// state asks the device how its peers are.
func (t *Tunnel) state() (peers map[PublicKey]peerState, port uint16) {
	text, err := t.device.IpcGet()
	if err != nil {
		return nil, 0
	}
	return parseUAPI(text)
}

// unanswered are the peers with an endpoint that there was no handshake with.
func (t *Tunnel) unanswered() (keys []PublicKey) {
	states, _ := t.state()
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, p := range t.peers {
		if p.cfg.Endpoint != "" && states[key].lastHandshake.IsZero() {
			keys = append(keys, key)
		}
	}
	return keys
}

// peerError is about a peer that does not answer.
func (t *Tunnel) peerError(key PublicKey, cause error) error {
	states, _ := t.state()
	t.mu.Lock()
	defer t.mu.Unlock()
	e := &PeerError{Peer: key, LastHandshake: states[key].lastHandshake, Err: cause}
	if p := t.peers[key]; p != nil {
		e.Endpoint, e.Attempts = p.cfg.Endpoint, p.attempts
		if p.problem != nil {
			e.Err = fmt.Errorf("%w: %w", cause, p.problem)
		}
	}
	return e
}
