// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

// Keys of posts must be TIDs: 13 digits of this alphabet for 64 bits, of which
// the first is zero, 53 are microseconds since 1970, and 10 tell clocks apart.
const tidAlphabet = "234567abcdefghijklmnopqrstuvwxyz"

// recordKey returns the key of the record that announces a post. It depends on
// nothing else than account and post, so that a post can have one record only,
// whatever became of one's own memory of it.
//
// The time in it is one of the 2^48 microseconds, almost nine years, from the
// beginning of 2005. Other programs make keys of the present time, and so never
// the same. With the clock's bits 58 bits come from the hash: among 10,000 posts
// of one account, two have the same key with a chance of one in five billion.
func recordKey(did, postID string) string {
	sum := sha256.Sum256([]byte("bluesky record key 1\x00" + did + "\x00" + postID))
	const clockBits, timeBits = 10, 48
	random := binary.BigEndian.Uint64(sum[:]) >> (64 - clockBits - timeBits)
	begin := uint64(time.Date(2005, time.January, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	return tid(begin<<clockBits + random)
}

// tid writes 64 bits, of which the first is zero, as a TID.
func tid(bits uint64) string {
	digits := make([]byte, 13)
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = tidAlphabet[bits&31]
		bits >>= 5
	}
	return string(digits)
}

// isTID reports whether a text is a TID.
func isTID(s string) bool {
	return len(s) == 13 && s[0] <= 'j' && strings.Trim(s, tidAlphabet) == ""
}

// blobCID returns the address of a file's content: version 1, raw bytes,
// SHA-256 of 32 bytes, in base 32 without padding.
func blobCID(content []byte) string {
	sum := sha256.Sum256(content)
	digits := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	return "b" + digits.EncodeToString(append([]byte{0x01, 0x55, 0x12, 0x20}, sum[:]...))
}
