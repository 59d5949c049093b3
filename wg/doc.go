// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package wg reaches a private network by WireGuard from inside one process,
// without root and without touching the network of the host.
//
//	cfg, err := wg.ParseConfig(file) // as wg-quick(8) has it
//	if err != nil {
//		return err
//	}
//	tunnel, err := wg.New(cfg, wg.Options{Logger: logger})
//	if err != nil {
//		return err
//	}
//	defer tunnel.Close()
//	if err := tunnel.Up(ctx); err != nil {
//		return err // which peer has not answered
//	}
//	resp, err := tunnel.HTTPClient().Get("http://app.internal:8080/")
//
// The tunnel has a network stack of its own, in this process: TCP, UDP, DNS and
// pings. No other program sees it, and several tunnels do not see each other. What it
// gives out are types of package net, so that whatever dials or listens can use it:
// [Tunnel.DialContext], [Tunnel.Listen], [Tunnel.ListenPacket],
// [Tunnel.HTTPTransport], [Tunnel.Resolver], [Tunnel.Ping].
//
// # What goes through the tunnel
//
// Everything that its methods do, and nothing else. A name is asked for at the DNS
// servers of the configuration, by way of the tunnel; the host's resolver, its
// /etc/hosts and its search list are not used. An address goes to the peer that has it
// in its AllowedIPs; if there is none that is an error, [ErrNoRoute], at once. There is
// no way back to the network of the host: not for a name that is not found, and not
// while no peer answers.
//
// Of the host's network only two things are used: a UDP socket, and the host's
// resolver for names of endpoints, see [Options].
//
// A program that reaches private and public hosts by one client has [SplitDialer]. By
// [Tunnel.Forward], [Tunnel.Reverse] and [Tunnel.ServeSOCKS] other programs on the
// machine get in, and programs in the tunnel get out.
//
// # What is watched
//
// From [Tunnel.Up] on, peers that have an endpoint are called until they answer: a
// handshake that is lost is begun again after a quarter of a second, then after longer
// and longer pauses. When something was sent and nothing comes back, a new handshake is
// tried after some three seconds, so that a peer that was restarted is found soon, and
// TCP connections go on. Names of endpoints are looked up again while a peer does not
// answer, for it may have moved; so are peers called again when the host has slept.
//
// [Tunnel.Reconfigure] changes keys, peers and addresses of a tunnel that is up, and
// leaves alone what stays. [PCAP] makes a file of the packets inside, for tcpdump.
//
// [Tunnel.Status] and [Tunnel.Healthy] tell how the peers are. Peers that nothing is
// said to are not called: give them a PersistentKeepalive where it matters to know.
//
// # Errors
//
// Those of connections are of type [*net.OpError], as from package net. Inside can be
// [ErrNoRoute]; a [*PeerError], which is a timeout and names peer, endpoint and last
// handshake, when it is the peer that does not answer; a [*net.DNSError]; and
// [syscall.ECONNREFUSED] and its like, from the other side. After [Tunnel.Close]
// everything ends with [net.ErrClosed].
//
// Dials wait for as long as their context does; of themselves, those of TCP end after
// some two minutes. Give it a deadline.
//
// # Configuration
//
// [ParseConfig] reads the files that wg-quick(8) reads, and names line and key of what
// is wrong. Nothing of the host is changed, so commands (PostUp and so on), routing
// tables and marks are not obeyed; [Config.Ignored] lists them. [Config.Warnings] tell
// what is valid and hardly meant. One private key is for one tunnel at a time: two that
// use it take the peer from each other.
//
// # Fly.io
//
// The file that "fly wireguard create" writes works as it is. Where it has no DNS line,
// the server is derived from the address; the private networks have IPv6 alone, and
// only that is asked for. With [SplitDialer], names in "internal" and "flycast" go
// through the tunnel. What is to be reached there has to listen on [::] or
// fly-local-6pn.
//
// # Security
//
// Keys do not print themselves: not in errors, logs, statuses, %v or JSON. Only
// [Key.Reveal] shows them.
//
// Who is in the private network can connect to what listens in the tunnel, and who is
// on the host to what Forward and ServeSOCKS listen on there, which should be loopback
// addresses. A peer can send packets from its AllowedIPs only. Traffic is encrypted to
// the peer; what is behind it is that network's affair, so use TLS where it matters.
//
// # What there is not
//
// An interface of the operating system, which other programs would see; forwards of
// UDP; and routing between peers.
//
// Package xeiaso.net/site/wg/metrics has metrics for Prometheus.
package wg
