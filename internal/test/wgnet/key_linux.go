// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
)

// nothing is the context of what has to be done whether or not a test has ended.
var nothing = context.Background()

// key is a pair of keys, in base64.
type key struct{ private, public string }

func newKey() key {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // there is no randomness
	}
	return key{base64.StdEncoding.EncodeToString(k.Bytes()), base64.StdEncoding.EncodeToString(k.PublicKey().Bytes())}
}

func (k key) secrets() []string { return []string{k.private, toHex(k.private)} }

func newSharedKey() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	return base64.StdEncoding.EncodeToString(raw)
}

func toHex(key string) string {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		panic(err) // all come from this file
	}
	return hex.EncodeToString(raw)
}
