// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"fmt"
	"net/netip"
)

// Servers are the name servers inside the tunnel: DNS, or that of Fly.io if there are
// none and an address is of its networks.
func (c *Config) Servers() []netip.Addr { return c.servers() }

// Warnings tell what is allowed and is probably not meant. A configuration is valid
// with them. They have no secrets.
func (c *Config) Warnings() (all []string) {
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if len(c.Peers) == 0 {
		warn("there is no [Peer]: nothing can be reached")
	}
	for _, a := range c.Addresses {
		if a.Addr().Is6() && c.MTU != 0 && c.MTU < minMTU6 {
			warn("the MTU is %d, and IPv6 does not work below %d", c.MTU, minMTU6)
			break
		}
	}
	routes := c.routes()
	for _, server := range c.servers() {
		if _, ok := routes.peer(server); !ok && len(c.Peers) > 0 {
			warn("the DNS server %s is in no peer's AllowedIPs: names will not be found", server)
		}
	}
	owner := map[netip.Prefix]PublicKey{}
	for i := range c.Peers {
		p := &c.Peers[i]
		for _, w := range p.warnings(c.ListenPort) {
			warn("the peer %s: %s", p.PublicKey, w)
		}
		for _, n := range p.AllowedIPs {
			n = n.Masked()
			if first, taken := owner[n]; taken && first != p.PublicKey {
				warn("the peers %s and %s both have %s in their AllowedIPs: the last one of them gets it", first, p.PublicKey, n)
			}
			owner[n] = p.PublicKey
		}
	}
	return all
}

// minMTU6 is the least that IPv6 works with, RFC 8200, 5.
const minMTU6 = 1280

func (p *Peer) warnings(listenPort uint16) (all []string) {
	if len(p.AllowedIPs) == 0 {
		all = append(all, "it has no AllowedIPs: nothing can be sent to it")
	}
	switch {
	case p.Endpoint == "" && listenPort == 0:
		all = append(all, "it has no Endpoint, so it has to come here, and there is no ListenPort that it could come to")
	case p.Endpoint != "" && listenPort == 0 && p.Keepalive == 0:
		all = append(all, "without a PersistentKeepalive, firewalls forget the way back to here when nothing is said for a while; 25 is usual")
	}
	return all
}
