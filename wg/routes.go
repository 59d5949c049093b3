// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"cmp"
	"net/netip"
	"slices"
)

// A route says which peer has a network behind it.
type route struct {
	network netip.Prefix
	peer    PublicKey
}

// routes are those of all peers, the longest prefixes first. Of two peers with the
// same network the later has it, as in the device.
type routes []route

func (c *Config) routes() routes {
	owner := map[netip.Prefix]PublicKey{}
	var all routes
	for i := range c.Peers {
		for _, n := range c.Peers[i].AllowedIPs {
			n = n.Masked()
			if _, again := owner[n]; !again {
				all = append(all, route{network: n})
			}
			owner[n] = c.Peers[i].PublicKey
		}
	}
	for i := range all {
		all[i].peer = owner[all[i].network]
	}
	slices.SortStableFunc(all, func(a, b route) int { return cmp.Compare(b.network.Bits(), a.network.Bits()) })
	return all
}

// peer returns who has an address behind it.
func (r routes) peer(addr netip.Addr) (PublicKey, bool) {
	addr = addr.Unmap().WithZone("")
	for _, route := range r {
		if route.network.Contains(addr) {
			return route.peer, true
		}
	}
	return PublicKey{}, false
}

// of are those of one peer.
func (r routes) of(key PublicKey) (its routes) {
	for _, route := range r {
		if route.peer == key {
			its = append(its, route)
		}
	}
	return its
}

// without are those that others does not have, with the same peer.
func (r routes) without(others routes) (rest routes) {
	known := make(map[route]bool, len(others))
	for _, route := range others {
		known[route] = true
	}
	for _, route := range r {
		if !known[route] {
			rest = append(rest, route)
		}
	}
	return rest
}
