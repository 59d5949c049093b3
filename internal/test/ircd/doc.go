// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package ircd runs real IRC servers on loopback: InspIRCd with TLS, the
// extensions of IRCv3 and, on demand, services with accounts, and ngircd, which
// has next to none of that.
//
// # Overview
//
//	server := ircd.InspIRCd(t, ircd.Options{Services: true})
//	server.Register(t, "blog", "password")
//	seen := server.Observe(t, "#blog")
//	// … something announces there
//	fmt.Println(seen.Texts())
//
// Servers and observers end with the test.
package ircd
