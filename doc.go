// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package site is the documentation of a module for people who host their own
// site from a git repository. A push makes a webhook call, the repository is
// fetched, a generator of your choice builds it, and the result replaces what
// visitors see in one step, or leaves it as it was when anything went wrong.
//
// There is nothing to import here; take the packages that you need.
//
// # Packages
//
// [xeiaso.net/site/xesite] does all of the above: a [net/http.Handler] and
// a worker behind it. What it is made of can be had apart:
//
//	xesite/release    immutable, content-addressed releases of a site
//	xesite/serve      an http.Handler over a release
//	xesite/hook       webhooks of GitHub, GitLab, Forgejo, Gitea and Bitbucket
//	xesite/state      small records with compare-and-swap, for several instances
//	xesite/markdown   a generator: a folder of Markdown becomes a blog
//
// [xeiaso.net/site/syndicate] announces posts on other networks, each once. Below
// it are the networks, which do not import each other: bluesky, mastodon, discord,
// irc, webmention, websub and webhook; feed, which reads posts from feeds; and
// strict servers for tests, mastodontest and discordtest.
//
// [xeiaso.net/site/patreon] is a client of Patreon's API with what a site needs
// around it: tokens that are kept fresh, a server of tokens for other programs,
// webhooks, and a list of supporters. Below it is a strict server for tests,
// patreontest.
//
// example is a program that is made of these packages, for running a site
// without writing Go.
//
// [xeiaso.net/site/onion] serves a site as a Tor onion service: it runs tor and
// runs it again, and has what such a service needs on both sides.
//
// [xeiaso.net/site/wg] is a WireGuard tunnel inside a process, without root: it
// dials and listens in a private network that nothing else on the machine sees.
//
// # Imports
//
// Packages use the standard library's types where they meet. Importing one
// does not bring the dependencies of another: xesite/state, xesite/hook and
// patreon need the standard library alone, xesite/release and xesite/serve two modules
// for compression, syndicate and its networks one for counting characters.
//
// No package logs, registers metrics, reads a configuration or exits by
// itself: all of that is for the program that imports it to decide.
//
// # Stability
//
// The module is at v0. Until v1 a minor version may change an exported
// identifier, which the changelog says and, where it can be had, a deprecated
// form of the old one bridges; a patch version never does. What is on disk is
// kept readable: a newer version reads the data directory of an older one.
//
// Supported are the two newest releases of Go from 1.26 on, and Linux. Other
// systems with Unix's processes and file locks should do; what is missing
// there is said where it matters.
package site
