// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package peers compares the host program with other servers that people use
// for static sites: nginx, Caddy, the standard library's file server, and a
// handler that always writes the same bytes, which is the least that net/http
// can cost. All of them serve one tree of real pages on this machine, each in
// processes of its own, in rounds of equal load.
//
// "make bench-peers" installs the servers, runs it and prints a table. It
// takes some minutes, so other commands leave it out.
package peers
