// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discord

// For the tests, which are in a package of their own.
var (
	Detail     = detail
	Code       = code
	RetryAfter = retryAfter
)
