// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package wgnet is a private network for tests of WireGuard: peers run in other
// processes, each in a network namespace of its own, with a TUN device and TCP of
// the kernel. It needs Linux and root, and touches nothing of the host:
//
//	func TestMain(m *testing.M) { os.Exit(wgnet.Main(m)) }
//
//	func TestX(t *testing.T) {
//		net := wgnet.New(t)
//		peer := net.Peer(t, wgnet.Options{PresharedKey: true})
//		l := peer.Listen(t, "tcp", "10.9.1.1:80") // inside the tunnel, on the peer's side
//		cfg, err := wg.ParseConfig(strings.NewReader(net.ClientConfig(peer)))
//		…
//	}
//
// # The network
//
// Home is where the code under test runs. [Main] starts the test binary anew in an
// empty namespace, which then is home; without it, home is a namespace like those
// of the peers, for programs that the test starts there by [Space.Command]. Each peer
// is at the end of a cable of its own, with an IPv4 and an IPv6 address. Home also
// has a default route, that leads nowhere: what leaks is seen by [Network.Sniff].
//
// Inside, the client is 10.9.0.2 and fd09::2, and the first peer of a network is
// 10.9.1.1 and fd09:0:0:1::1, the second 10.9.2.1, and so on.
//
// # What is left behind
//
// Nothing. Namespaces belong to processes that the kernel ends together with the
// test, however that ends, and none has a name. Sockets of wireguard-go are in a
// file system that only its own namespace has.
package wgnet
