// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon

// For the tests, which are in a package of their own.
var (
	Links    = links
	Plain    = plain
	SameText = sameText
)
