// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"crypto/rand"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/cretz/bine/torutil/ed25519"
)

// Key is the secret key of an onion service, version 3. Who has it has the
// address. Its form is the expanded one that tor keeps: the scalar and the
// prefix of RFC 8032 5.1.5, 32 bytes each. It does not print itself.
//
// The zero value is no key; [NewKey] makes one, and [ParseKey] reads one.
type Key struct {
	expanded [64]byte
}

// NewKey makes a key from the system's random numbers.
func NewKey() Key {
	var seed [32]byte
	rand.Read(seed[:]) // never fails
	k := Key{sha512.Sum512(seed[:])}
	k.expanded[0] &= 248
	k.expanded[31] &= 63
	k.expanded[31] |= 64
	return k
}

// keyHeader begins tor's file hs_ed25519_secret_key, and is 32 bytes long.
const keyHeader = "== ed25519v1-secret: type0 ==\x00\x00\x00"

// controlPrefix begins a key in tor's control protocol.
const controlPrefix = "ED25519-V3:"

// ErrKeyFormat: what should be a key is none.
var ErrKeyFormat = errors.New("onion: this is no key of an onion service")

// ParseKey reads a key in one of the forms that tor has: the content of its file
// hs_ed25519_secret_key, which programs that look for addresses with a name in
// them write too, or "ED25519-V3:" and base64, as ADD_ONION answers. Errors match
// [ErrKeyFormat].
func ParseKey(data []byte) (Key, error) {
	raw := data
	if text, ok := strings.CutPrefix(strings.TrimSpace(string(data)), controlPrefix); ok {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return Key{}, fmt.Errorf("%w: what comes after %s is not base64", ErrKeyFormat, controlPrefix)
		}
		raw = decoded
	} else if rest, ok := strings.CutPrefix(string(data), keyHeader); ok {
		raw = []byte(rest)
	} else {
		return Key{}, fmt.Errorf("%w: it begins neither like hs_ed25519_secret_key nor with %s", ErrKeyFormat, controlPrefix)
	}
	if len(raw) != 64 {
		return Key{}, fmt.Errorf("%w: it has %d bytes in place of 64; it may have been cut off", ErrKeyFormat, len(raw))
	}
	k := Key{[64]byte(raw)}
	// Tor's own keys are clamped like this. A seed that was taken for a key is not,
	// and would make another address than everywhere else.
	if k.expanded[0]&7 != 0 || k.expanded[31]&192 != 64 {
		return Key{}, fmt.Errorf("%w: its bits are not set as those of a secret scalar are", ErrKeyFormat)
	}
	return k, nil
}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k == Key{} }

// Equal reports whether two keys are the same, in a time that tells nothing.
func (k Key) Equal(other Key) bool {
	return subtle.ConstantTimeCompare(k.expanded[:], other.expanded[:]) == 1
}

// File returns the content of tor's file hs_ed25519_secret_key.
func (k Key) File() []byte { return append([]byte(keyHeader), k.expanded[:]...) }

// Control returns the key as the control protocol has it.
func (k Key) Control() string {
	return controlPrefix + base64.StdEncoding.EncodeToString(k.expanded[:])
}

// Address returns the address that the key stands for, with ".onion".
func (k Key) Address() Address {
	return addressOf(ed25519.PrivateKey(k.expanded[:]).PublicKey())
}

const redacted = "[redacted]"

// String returns a placeholder.
func (Key) String() string { return redacted }

// Format writes a placeholder, whatever the verb.
func (Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Address is the host name of an onion service: 56 letters and digits, and
// ".onion", in lower case.
type Address string

var addressEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// addressOf makes the address of a public key, as rend-spec-v3 [ONIONADDRESS] has
// it: the key, two bytes of a check sum, and the version.
func addressOf(public []byte) Address {
	const version = 3
	check := checkSum(public, version)
	raw := append(append(append([]byte{}, public...), check[:2]...), version)
	return Address(strings.ToLower(addressEncoding.EncodeToString(raw)) + ".onion")
}

func checkSum(public []byte, version byte) [32]byte {
	return sha3.Sum256(append(append([]byte(".onion checksum"), public...), version))
}

// ErrAddress: what should be an address of an onion service is none.
var ErrAddress = errors.New("onion: this is no address of an onion service")

// ParseAddress checks an address, in upper or lower case, with ".onion". Errors
// match [ErrAddress].
func ParseAddress(s string) (Address, error) {
	label, ok := strings.CutSuffix(strings.ToLower(s), ".onion")
	if !ok {
		return "", fmt.Errorf("%w: %q does not end in .onion", ErrAddress, s)
	}
	raw, err := addressEncoding.DecodeString(strings.ToUpper(label))
	if err != nil || len(raw) != 35 {
		return "", fmt.Errorf("%w: %q does not have 56 letters and digits from 2 to 7 before .onion; 16 are of a form that ended in 2021", ErrAddress, s)
	}
	public, check, version := raw[:32], raw[32:34], raw[34]
	if want := checkSum(public, version); version != 3 || string(want[:2]) != string(check) {
		return "", fmt.Errorf("%w: a character of %q is wrong, as its check sum says", ErrAddress, s)
	}
	return Address(label + ".onion"), nil
}

// ID returns the address without ".onion", as tor's control protocol has it.
func (a Address) ID() string { return strings.TrimSuffix(string(a), ".onion") }

// URL returns the address of the service's first page.
func (a Address) URL() string { return "http://" + string(a) + "/" }
