// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

// Parts that are tested and fuzzed by themselves.
var (
	RecordKey   = recordKey
	IsTID       = isTID
	CardImage   = cardImage
	Shrink      = shrink
	Orientation = orientation
	Links       = links
	BlobCID     = blobCID
)
