// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// errDirect is how a dial ends that goes directly.
var errDirect = errors.New("directly")

func direct(context.Context, string, string) (net.Conn, error) { return nil, errDirect }

// silentTunnel makes a tunnel whose only peer never answers.
func silentTunnel(t testing.TB, address string, search []string, allowed ...string) *Tunnel {
	t.Helper()
	cfg := &Config{
		PrivateKey: NewKey(), Addresses: []netip.Prefix{netip.MustParsePrefix(address)}, Search: search,
		DNS: []netip.Addr{netip.MustParseAddr("10.1.0.53")}, Peers: []Peer{{PublicKey: NewKey().Public()}},
	}
	for _, a := range allowed {
		cfg.Peers[0].AllowedIPs = append(cfg.Peers[0].AllowedIPs, netip.MustParsePrefix(a))
	}
	tunnel, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tunnel.Close() })
	return tunnel
}

func TestASplitDialerKnowsWhatIsPrivate(t *testing.T) {
	corp := silentTunnel(t, "10.1.0.2/24", []string{"corp.example"}, "10.1.0.0/16", "fd01::/64")
	fly := silentTunnel(t, "fdaa:0:99::2/120", nil, "fdaa:0:99::/48")
	all := silentTunnel(t, "10.1.0.2/24", nil, "0.0.0.0/0", "::/0")
	own := silentTunnel(t, "10.2.0.2/24", nil)
	const through, aside, refused = "through the tunnel", "directly", "not at all"
	for _, c := range []struct {
		tunnel        *Tunnel
		address, want string
	}{
		{corp, "corp.example:80", through},
		{corp, "git.corp.example:80", through},
		{corp, "a.b.CORP.Example.:80", through},
		{corp, "notcorp.example:80", aside},
		{corp, "corp.example.org:80", aside},
		{corp, "example:80", aside},
		{corp, "corp:80", aside},
		{corp, "own.lan:80", through},
		{corp, "OWN.lan.:80", through},
		{corp, "xn--bcher-kva.example:80", through},
		{corp, "www.XN--BCHER-KVA.example:80", through},
		{corp, "bücher.example:80", refused},
		{corp, "app.internal:80", aside},
		{corp, "localhost:80", aside},
		{corp, "10.1.2.3:80", through},
		{corp, "[::ffff:10.1.2.3]:80", through},
		{corp, "[fd01::1]:80", through},
		{corp, "[fd01::1%eth0]:80", through}, // the zone of such an address means nothing
		{corp, "[fe80::1%eth0]:80", aside},
		{corp, "10.2.0.1:80", aside},
		{own, "10.2.0.2:80", through}, // its own address
		{own, "10.2.0.3:80", aside},
		{corp, "192.0.2.1:80", aside},
		{corp, "127.0.0.1:80", aside},
		{corp, ":80", aside},
		{corp, "10.1:80", refused}, // for inet_aton 10.0.0.1
		{corp, "167837697:80", refused},
		{corp, "0xa010001:80", refused},
		{corp, "10.0X1:80", refused},
		{corp, "0b1:80", aside}, // a name
		{corp, "4f5d:80", aside},
		{corp, "_peer.lan:80", aside},
		{corp, "corp.example..:80", refused},
		{corp, "corp.example%eth0:80", refused},
		{corp, "corp example:80", refused},
		{corp, ".:80", refused},
		{corp, "10.1.0.08:80", refused},
		{corp, "corp.example", refused},
		{corp, "[fd01::1:80", refused},
		{corp, "corp.example:nothing", refused}, // by the tunnel
		{corp, "corp.example:65536", refused},
		{corp, "corp.example:-1", refused},
		{fly, "app.internal:80", through},
		{fly, "internal:80", through},
		{fly, "APP.flycast:80", through},
		{fly, "notinternal:80", aside},
		{fly, "[fdaa:0:99::3]:53", through},
		{fly, "[fdaa:0:9a::3]:53", aside},
		{all, "192.0.2.1:80", through},
		{all, "[2001:db8::1]:80", through},
		{all, "127.0.0.1:80", aside},
		{all, "127.9.9.9:80", aside},
		{all, "[::ffff:127.0.0.1]:80", aside},
		{all, "[::1]:80", aside},
		{all, "0.0.0.0:80", aside},
		{all, "[::]:80", aside},
		{all, "[fe80::1]:80", through},
		{all, "[fe80::1%eth0]:80", aside},
		{all, "app.internal:80", aside}, // names are by domains alone
		{nil, "own.lan:80", refused},
		{nil, "a.own.lan:80", refused},
		{nil, "corp.example:80", aside},
		{nil, "10.1.2.3:80", aside},
	} {
		d := &SplitDialer{Tunnel: c.tunnel, Domains: []string{"Own.LAN.", "xn--bcher-kva.example"}, Direct: direct}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("it was sent"))
		_, err := d.DialContext(ctx, "tcp", c.address)
		got := refused
		switch host, _, _ := net.SplitHostPort(c.address); {
		case errors.Is(err, errDirect):
			got = aside
		case err != nil && strings.Contains(err.Error(), "it was sent"), errors.Is(err, context.Canceled):
			if got = through; !d.Tunneled(host) {
				t.Errorf("%s is said not to go through the tunnel", host)
			}
		}
		if got != c.want {
			t.Errorf("%s goes %s, want %s (%v)", c.address, got, c.want, err)
		}
		if err == nil || c.tunnel == nil && c.want == refused && !errors.Is(err, ErrNoTunnel) {
			t.Errorf("%s: %v", c.address, err)
		}
	}
}

func TestWhatIsPrivateStaysPrivateWhateverTheTunnelDoes(t *testing.T) {
	tunnel := silentTunnel(t, "10.1.0.2/24", []string{"corp.example"}, "10.1.0.0/16")
	outside := make(chan string, 10)
	d := &SplitDialer{Tunnel: tunnel, Direct: func(_ context.Context, _, address string) (net.Conn, error) {
		outside <- address
		return nil, errDirect
	}}
	for _, state := range []string{"not up", "up and not answered", "closed"} {
		switch state {
		case "up and not answered":
			if err := tunnel.Up(t.Context()); err != nil { // the peer has no endpoint
				t.Fatal(err)
			}
		case "closed":
			tunnel.Close()
		}
		for _, address := range []string{"corp.example:80", "10.1.0.1:80"} {
			for _, network := range []string{"tcp", "tcp4", "udp"} {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				conn, err := d.DialContext(ctx, network, address)
				cancel()
				if err == nil { // nothing has to answer over UDP
					conn.Close()
				}
				if err == nil != (network == "udp" && state != "closed" && address[0] == '1') {
					t.Errorf("%s, %s %s: %v", state, network, address, err)
				}
				if state == "closed" && !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s, %s %s: %v", state, network, address, err)
				}
			}
		}
	}
	close(outside)
	for address := range outside {
		t.Errorf("%s was dialed outside", address)
	}
}

func TestDomainsThatAreNoneStopEverything(t *testing.T) {
	for _, domain := range []string{"", ".", "*.corp.example", ".corp.example", "corp..example", "bücher.example", "corp example", strings.Repeat("a", 64)} {
		d := &SplitDialer{Domains: []string{"fine.example", domain}, Direct: direct}
		if err := d.Check(); err == nil || !strings.Contains(err.Error(), "no domain") {
			t.Errorf("%q: %v", domain, err)
		}
		if _, err := d.DialContext(t.Context(), "tcp", "corp.example:80"); err == nil || errors.Is(err, errDirect) {
			t.Errorf("%q: a dial ends with %v", domain, err)
		}
	}
}

func TestNamesAreThoseOfTheConfigurationOfNow(t *testing.T) {
	tunnel := silentTunnel(t, "10.1.0.2/24", []string{"corp.example"}, "10.1.0.0/16")
	d := &SplitDialer{Tunnel: tunnel, Domains: []string{"Own.LAN.", "corp.example"}, Direct: direct}
	if got := fmt.Sprint(d.Names()); got != "[corp.example own.lan]" {
		t.Errorf("%s", got)
	}
	cfg := &Config{PrivateKey: NewKey(), Addresses: []netip.Prefix{netip.MustParsePrefix("fdaa:0:99::2/120")}, Search: []string{"new.example"}}
	if err := tunnel.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(d.Names()); got != "[corp.example flycast internal new.example own.lan]" {
		t.Errorf("%s", got)
	}
	if !d.Tunneled("a.new.example") || d.Tunneled("10.1.0.1") {
		t.Error("the old configuration counts")
	}
}

func TestOtherNetworksAreNotAWayOut(t *testing.T) {
	d := &SplitDialer{Domains: []string{"corp.example"}, Direct: direct}
	for network, want := range map[string]bool{"unix": true, "unixgram": true, "ip": false, "ip4:icmp": false, "TCP": false, "": false} {
		if _, err := d.DialContext(t.Context(), network, "corp.example"); errors.Is(err, errDirect) != want {
			t.Errorf("%q: %v", network, err)
		}
	}
}

func FuzzDomainsMatchOnTheBordersOfLabels(f *testing.F) {
	for _, s := range []string{"example.com", "notexample.com", "a.example.com.", "EXAMPLE.com", ".example.com", "com", "", "example.com.example.com"} {
		f.Add(s, "example.com")
	}
	f.Fuzz(func(t *testing.T, host, domain string) {
		d := &SplitDialer{Domains: []string{domain}}
		if _, err := netip.ParseAddr(host); err == nil || d.Check() != nil {
			return
		}
		if checkHost(host) != nil {
			if !d.Tunneled(host) {
				t.Errorf("%q is refused, and somebody else may be asked for it", host)
			}
			return
		}
		split := func(s string) []string {
			return strings.Split(strings.ToLower(strings.TrimSuffix(s, ".")), ".")
		}
		name, suffix := split(host), split(domain)
		want := len(name) >= len(suffix)
		for i := range suffix {
			want = want && name[len(name)-len(suffix)+i] == suffix[i]
		}
		if got := d.Tunneled(host); got != want {
			t.Errorf("%q in %q: %t", host, domain, got)
		}
	})
}
