// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package netstack is a network stack within the process, made to sit behind a
// userspace WireGuard device: it dials and listens, and what it sends comes out
// of a [tun.Device] as IP packets.
//
// # Overview
//
// A [Stack] is TCP, UDP and ICMP of gVisor on a link of our own. Package device
// of golang.zx2c4.com/wireguard reads from and writes to [Stack.Device]:
//
//	s, err := netstack.New(netstack.Config{Addresses: addresses, MTU: 1420})
//	if err != nil {
//		return err
//	}
//	wg := device.NewDevice(s.Device(), conn.NewDefaultBind(), logger)
//	// wg.IpcSet, wg.Up
//	c, err := s.DialTCP(ctx, netip.AddrPort{}, server)
//
// All use of gVisor is in this package: it has no tagged versions and promises
// nothing about its API. The WireGuard module's own tun/netstack is a stack of
// the same kind. This one exists because that one moves one packet at a time,
// loses wakeups, cannot be closed twice or under load, and hides the options.
//
// # Speed
//
// Packets cost more than bytes. TCP hands the link up to 64 KiB at once, which
// the device cuts into packets as they are read, checksums included, up to as
// many in one call as the reader has room for. In the other direction, packets
// that continue each other in one call are put together before TCP sees them.
//
// # Checksums
//
// WireGuard proves which peer sent a packet, not that a router behind that peer
// kept it intact. So the checksums of each packet are verified before it is put
// together with others: by the device for those it puts together, by gVisor for
// all others. A packet with a wrong checksum reaches nobody.
//
// # Failure and closing
//
// Errors are [*net.OpError] with an error of package syscall, [net.ErrClosed],
// [os.ErrDeadlineExceeded] or the context's error inside. When TCP and UDP send
// faster than the device is read, they wait; answers to what arrives are dropped
// instead, so that two stacks never wait for each other. [Stack.Close], and
// closing the device is the same, ends all that is pending.
package netstack
