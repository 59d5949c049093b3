// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package wg reaches a private network by WireGuard from inside one process,
// without root and without touching the network of the host.
package wg
