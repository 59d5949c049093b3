// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import "net/netip"

// Servers are the name servers inside the tunnel.
func (c *Config) Servers() []netip.Addr { return c.servers() }
