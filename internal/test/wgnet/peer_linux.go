// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
)

// Options say what a peer is like. The zero value is an ordinary one.
type Options struct {
	// Program is that of another wireguard-go, such as "wireguard-go" for the one of
	// the system. If empty, it is the version that is in go.mod.
	Program string
	// PresharedKey has one made.
	PresharedKey bool
	// MTU is that of the tunnel on the peer's side. If 0, 1420.
	MTU int
	// LinkMTU is that of the cable: both ends refuse to send longer packets. If 0,
	// 1500.
	LinkMTU int
	// Port is where WireGuard listens. If 0, 51820.
	Port uint16
	// Addresses are those inside the tunnel. If nil, 10.9.N.1/24 and
	// fd09:0:0:N::1/64.
	Addresses []netip.Prefix
}

// Peer is an end of tunnels in another process and another namespace.
type Peer struct {
	*Space
	// Addr4 and Addr6 are outside of the tunnel. Move changes them.
	Addr4, Addr6 netip.Addr
	// Inside4 and Inside6 are inside the tunnel: the first ones of Addresses.
	Inside4, Inside6 netip.Addr

	net       *Network
	opts      Options
	program   string
	dir       string
	key       key
	preshared string // empty: none
	cable     int32
	moved     int
	calls     string   // the client's endpoint; empty: the peer waits to be called
	process   *process // nil: not running
}

// device is the name that the tunnel has, in the peer's namespace.
const device = "wg0"

// Peer starts one, until the test ends.
func (n *Network) Peer(t testing.TB, opts Options) *Peer {
	t.Helper()
	if opts.MTU == 0 {
		opts.MTU = 1420
	}
	if opts.LinkMTU == 0 {
		opts.LinkMTU = 1500
	}
	if opts.Port == 0 {
		opts.Port = 51820
	}
	if opts.Addresses == nil {
		i := len(n.peers) + 1
		opts.Addresses = []netip.Prefix{
			netip.MustParsePrefix(fmt.Sprintf("10.9.%d.1/24", i)), netip.MustParsePrefix(fmt.Sprintf("fd09:0:0:%x::1/64", i)),
		}
	}
	p := &Peer{net: n, opts: opts, program: program(t, opts.Program), dir: t.TempDir(), key: newKey(), cable: cables.Add(1)}
	for _, a := range opts.Addresses {
		if a.Addr().Is4() && !p.Inside4.IsValid() {
			p.Inside4 = a.Addr()
		} else if a.Addr().Is6() && !p.Inside6.IsValid() {
			p.Inside6 = a.Addr()
		}
	}
	if opts.PresharedKey {
		p.preshared = newSharedKey()
	}
	n.peers = append(n.peers, p)
	p.connect(t)
	p.Start(t)
	return p
}

// connect makes the namespace, and a cable to it.
func (p *Peer) connect(t testing.TB) {
	t.Helper()
	space, err := newSpace()
	if err != nil {
		need.Missing(t, err.Error(), "allow namespaces to be made")
	}
	p.Space = space
	name := fmt.Sprintf("v%d", p.cable)
	t.Cleanup(func() { p.end(t, name) })
	home4, home6 := p.outer(1)
	p.Addr4, p.Addr6 = p.outer(2)
	p.net.Home.ip(t,
		fmt.Sprintf("link add %s mtu %d type veth peer name eth0 mtu %d netns %d", name, p.opts.LinkMTU, p.opts.LinkMTU, p.PID()),
		fmt.Sprintf("address add %s/24 dev %s", home4, name),
		fmt.Sprintf("address add %s/64 dev %s nodad", home6, name),
		"link set "+name+" up",
	)
	p.ip(t,
		fmt.Sprintf("address add %s/24 dev eth0", p.Addr4),
		fmt.Sprintf("address add %s/64 dev eth0 nodad", p.Addr6),
		"link set eth0 up",
		fmt.Sprintf("route add default via %s", home4),
		fmt.Sprintf("route add default via %s", home6),
	)
}

// outer returns the addresses of one end of the cable: 1 is home.
func (p *Peer) outer(host int) (v4, v6 netip.Addr) {
	return netip.AddrFrom4([4]byte{10, byte(64 + p.cable>>8), byte(p.cable), byte(host)}),
		netip.MustParseAddr(fmt.Sprintf("fd77:0:0:%x::%x", p.cable, host))
}

// end ends all processes, and with them the namespace.
func (p *Peer) end(t testing.TB, cable string) {
	if p.process != nil {
		if t.Failed() {
			t.Logf("the peer %s:\n%s", p.Addr4, p.process.log())
		}
		if err := p.process.kill(); err != nil {
			t.Error(err)
		}
	}
	// The kernel would do so too, but later.
	_ = p.net.Home.Command(nothing, "ip", "link", "delete", cable).Run()
	if err := p.Space.close(); err != nil {
		t.Error(err)
	}
}

// Start starts the peer after [Peer.Kill], with the same keys.
func (p *Peer) Start(t testing.TB) {
	t.Helper()
	// A killed one leaves its socket behind, which both wireguard-go and wg would remove:
	// wg even that of one that is about to listen. So it is not asked before.
	if err := p.withSockets(nothing, "rm", "-f", "/var/run/wireguard/"+device+".sock").Run(); err != nil {
		t.Fatal(err)
	}
	cmd := p.withSockets(nothing, p.program, "-f", device)
	cmd.Env = append(cmd.Env, "WG_PROCESS_FOREGROUND=1", "LOG_LEVEL=verbose")
	var err error
	if p.process, err = start(cmd); err != nil {
		t.Fatal(err)
	}
	run, err := filepath.EvalSymlinks("/var/run") // which would lead out of the namespace
	if err != nil {
		t.Fatal(err)
	}
	sockets := fmt.Sprintf("/proc/%d/root%s/wireguard/%s.sock", p.PID(), run, device)
	wait.Until(t, "wireguard-go takes commands", func() bool {
		select {
		case <-p.process.exited:
			t.Fatalf("wireguard-go has exited: %s", p.process.log())
		default:
		}
		c, err := net.Dial("unix", sockets)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	p.configure(t)
	lines := []string{fmt.Sprintf("link set %s mtu %d up", device, p.opts.MTU)}
	for _, a := range p.opts.Addresses {
		nodad := ""
		if a.Addr().Is6() {
			nodad = " nodad"
		}
		lines = append(lines, fmt.Sprintf("address add %s dev %s%s", a, device, nodad))
	}
	for _, c := range p.net.Client {
		lines = append(lines, fmt.Sprintf("route replace %s dev %s", netip.PrefixFrom(c.Addr(), c.Addr().BitLen()), device))
	}
	p.ip(t, lines...)
}

// configure tells wireguard-go keys and port. They pass through a file that only
// its owner can read.
func (p *Peer) configure(t testing.TB) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "[Interface]\nPrivateKey = %s\nListenPort = %d\n", p.key.private, p.opts.Port)
	fmt.Fprintf(&b, "[Peer]\nPublicKey = %s\n", p.net.clientKey.public)
	for _, c := range p.net.Client {
		fmt.Fprintf(&b, "AllowedIPs = %s\n", netip.PrefixFrom(c.Addr(), c.Addr().BitLen()))
	}
	if p.preshared != "" {
		fmt.Fprintf(&b, "PresharedKey = %s\n", p.preshared)
	}
	if p.calls != "" {
		fmt.Fprintf(&b, "Endpoint = %s\nPersistentKeepalive = 1\n", p.calls)
	}
	file := filepath.Join(p.dir, "conf")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	p.wg(t, "setconf", device, file)
}

func (p *Peer) wg(t testing.TB, args ...string) string {
	t.Helper()
	out, err := p.withSockets(nothing, "wg", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("wg %s: %v: %s", args[0], err, out)
	}
	return string(out)
}

// Kill ends the peer with SIGKILL. Its sockets outside of WireGuard stay.
func (p *Peer) Kill(t testing.TB) {
	t.Helper()
	if err := p.process.kill(); err != nil {
		t.Fatal(err)
	}
	p.process = nil
}

// Stop has the peer stand still, until [Peer.Cont].
func (p *Peer) Stop(t testing.TB) {
	t.Helper()
	p.process.signal(syscall.SIGSTOP)
	wait.Until(t, "all threads of the peer have stopped", p.process.stopped)
}

// Cont has the peer go on after [Peer.Stop].
func (p *Peer) Cont() { p.process.signal(syscall.SIGCONT) }

// SetPort has WireGuard listen elsewhere, and no longer where it did.
func (p *Peer) SetPort(t testing.TB, port uint16) {
	t.Helper()
	p.opts.Port = port
	p.wg(t, "set", device, "listen-port", strconv.Itoa(int(port)))
}

// Call has the peer call its client at an endpoint outside of the tunnel, at once and
// then every second.
func (p *Peer) Call(t testing.TB, endpoint string) {
	t.Helper()
	p.calls = endpoint
	p.wg(t, "set", device, "peer", p.net.clientKey.public, "endpoint", endpoint, "persistent-keepalive", "1")
}

// Move gives the peer other addresses outside; it loses the ones that it had.
func (p *Peer) Move(t testing.TB) {
	t.Helper()
	p.moved++
	was4, was6 := p.Addr4, p.Addr6
	home4, home6 := p.outer(1)
	p.Addr4, p.Addr6 = p.outer(2 + p.moved)
	p.ip(t,
		fmt.Sprintf("address delete %s/24 dev eth0", was4),
		fmt.Sprintf("address delete %s/64 dev eth0", was6),
		fmt.Sprintf("address add %s/24 dev eth0", p.Addr4),
		fmt.Sprintf("address add %s/64 dev eth0 nodad", p.Addr6),
		fmt.Sprintf("route replace default via %s", home4),
		fmt.Sprintf("route replace default via %s", home6),
	)
}

// AddrPort4 is where WireGuard listens, on the cable's IPv4.
func (p *Peer) AddrPort4() netip.AddrPort { return netip.AddrPortFrom(p.Addr4, p.opts.Port) }

// AddrPort6 is where WireGuard listens, on the cable's IPv6.
func (p *Peer) AddrPort6() netip.AddrPort { return netip.AddrPortFrom(p.Addr6, p.opts.Port) }

// Endpoint4 is AddrPort4 as text.
func (p *Peer) Endpoint4() string { return p.AddrPort4().String() }

// Endpoint6 is AddrPort6 as text.
func (p *Peer) Endpoint6() string { return p.AddrPort6().String() }

// HomeAddr4 is the IPv4 address of home at this peer's cable.
func (p *Peer) HomeAddr4() netip.Addr {
	v4, _ := p.outer(1)
	return v4
}

// PublicKey is that of the peer, in base64.
func (p *Peer) PublicKey() string { return p.key.public }

// networks are those that the peer has inside the tunnel.
func (p *Peer) networks() (all []netip.Prefix) {
	for _, a := range p.opts.Addresses {
		all = append(all, a.Masked())
	}
	return all
}

// Shown is what a peer knows of its client.
type Shown struct {
	Endpoint       netip.AddrPort // invalid: none
	LastHandshake  time.Time      // zero: none
	Received, Sent uint64         // bytes
}

// Show asks the peer about its client.
func (p *Peer) Show(t testing.TB) (s Shown) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(p.wg(t, "show", device, "dump")), "\n")
	if len(lines) < 2 {
		return s
	}
	// public key, preshared key, endpoint, allowed IPs, handshake, received, sent, keepalive
	fields := strings.Split(lines[1], "\t")
	s.Endpoint, _ = netip.ParseAddrPort(fields[2])
	if seconds, _ := strconv.ParseInt(fields[4], 10, 64); seconds != 0 {
		s.LastHandshake = time.Unix(seconds, 0)
	}
	s.Received, _ = strconv.ParseUint(fields[5], 10, 64)
	s.Sent, _ = strconv.ParseUint(fields[6], 10, 64)
	return s
}

// Handshakes is how many initiations the peer has received since its last start.
func (p *Peer) Handshakes() int {
	return strings.Count(p.process.output.String(), "Received handshake initiation")
}
