// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package onion serves a site as a Tor onion service.
package onion
