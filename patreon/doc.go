// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package patreon is a client of Patreon's API, version 2, with what a site needs
// around it: tokens that are kept fresh, webhooks, and a list of supporters that
// nobody vanishes from by mistake.
package patreon
