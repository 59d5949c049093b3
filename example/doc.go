// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Command example hosts one web site from a git repository: it is the thin
// program around package xesite. Without flags it makes a demo site, so that
// there is something to look at and to change. Run it with -help for its
// flags; each can also be set by an environment variable, GIT_REPO for
// -git-repo.
//
// With a first word it does something else, each with a -help of its own:
//
//	example token-server   shares the tokens of Patreon among programs
//	example patreon        seeds these tokens, and shows how they are
//	example onion          shows the address on Tor, and moves its key
//	example wg             makes keys of WireGuard, and checks files of it
package main
