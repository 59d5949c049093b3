// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"xeiaso.net/site/internal/test/need"
)

// Network is a home and the peers that it can reach.
type Network struct {
	// Home is where the code under test runs, or the program that the test starts.
	Home *Space
	// Client are the addresses of the client inside the tunnel. They may be changed
	// before the first peer is made.
	Client []netip.Prefix

	clientKey key
	peers     []*Peer
	kernels   []*Kernel
}

// cables numbers those of this process, of which several networks may be at one
// home.
var cables atomic.Int32

// own is the home of this process, if Main has started it.
var own struct {
	once sync.Once
	err  error
}

// New makes a network, until the test ends. Without Linux, root or a program that it
// needs, it skips the test.
func New(t testing.TB) *Network {
	t.Helper()
	need.Root(t)
	need.Program(t, "unshare", "apt-get install util-linux")
	need.Program(t, "ip", "apt-get install iproute2")
	need.Program(t, "wg", "apt-get install wireguard-tools")
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		need.Missing(t, "there is no /dev/net/tun", "modprobe tun")
	}
	n := &Network{
		Client:    []netip.Prefix{netip.MustParsePrefix("10.9.0.2/16"), netip.MustParsePrefix("fd09::2/48")},
		clientKey: newKey(),
	}
	if os.Getenv(inside) != "" {
		n.Home = &Space{}
		own.once.Do(func() { own.err = n.Home.leadNowhere() })
		if own.err != nil {
			t.Fatal(own.err)
		}
		return n
	}
	home, err := newSpace()
	if err != nil {
		need.Missing(t, err.Error(), "allow namespaces to be made")
	}
	n.Home = home
	t.Cleanup(func() {
		if err := home.close(); err != nil {
			t.Error(err)
		}
	})
	if err := home.leadNowhere(); err != nil {
		t.Fatal(err)
	}
	return n
}

// leadNowhere gives a home a default route, to a namespace where everything is
// dropped: packets leave, and nobody says that they do not arrive.
func (s *Space) leadNowhere() error {
	world, err := newSpace() // ends with this process
	if err != nil {
		return err
	}
	script := fmt.Sprintf(`
ip link add out type veth peer name eth0 netns %d
ip address add 192.0.2.2/24 dev out
ip -6 address add 2001:db8::2/64 dev out nodad
ip link set out up
nsenter --target %[1]d --net ip link set eth0 up
ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev out nud permanent
ip -6 neighbour add 2001:db8::1 lladdr 02:00:00:00:00:01 dev out nud permanent
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8::1
`, world.PID())
	for _, conf := range []string{"all", "default"} {
		script = "echo 0 >/proc/sys/net/ipv6/conf/" + conf + "/accept_dad\n" + script
	}
	if out, err := s.Command(nothing, "sh", "-ec", script).CombinedOutput(); err != nil {
		return fmt.Errorf("make a default route: %w: %s", err, out)
	}
	return nil
}

// ClientConfig is a file of wg-quick for the client of these peers, with the IPv4
// addresses of their cables as endpoints.
func (n *Network) ClientConfig(peers ...*Peer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[Interface]\nPrivateKey = %s\nAddress = %s\n", n.clientKey.private, join(n.Client))
	for _, p := range peers {
		fmt.Fprintf(&b, "\n[Peer]\nPublicKey = %s\nAllowedIPs = %s\nEndpoint = %s\n", p.key.public, join(p.networks()), p.Endpoint4())
		if p.preshared != "" {
			fmt.Fprintf(&b, "PresharedKey = %s\n", p.preshared)
		}
	}
	return b.String()
}

// Secrets are all private and preshared keys of the network, in base64 and in hex:
// what must be in no log and no error.
func (n *Network) Secrets() (secrets []string) {
	secrets = n.clientKey.secrets()
	for _, p := range n.peers {
		secrets = append(secrets, p.key.secrets()...)
		if p.preshared != "" {
			secrets = append(secrets, p.preshared, toHex(p.preshared))
		}
	}
	for _, k := range n.kernels {
		for i := range k.Tunnels {
			secrets = append(secrets, k.Tunnels[i].secrets()...)
		}
	}
	return secrets
}

func join(prefixes []netip.Prefix) string {
	var all []string
	for _, p := range prefixes {
		all = append(all, p.String())
	}
	return strings.Join(all, ", ")
}
