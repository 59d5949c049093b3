// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package bluesky announces posts of one's own site on Bluesky, or on another
// server that speaks the AT Protocol: each post once, whatever is lost on the
// way.
package bluesky
