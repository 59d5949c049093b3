// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Key is a secret key: the private one of an interface, or one that two peers
// share beside it. It does not print itself; [Key.Reveal] does. The zero value is no
// key.
type Key struct {
	// fmt does not ask fields of other people's structs how they want to be printed, if
	// they are not exported. Then it follows one pointer at most, and not two.
	raw *secret
}

type secret struct{ bytes *[32]byte }

// PublicKey is what a peer is known by. The zero value is no key.
type PublicKey struct {
	raw [32]byte
}

// ErrKey: what should be a key is none.
var ErrKey = errors.New("wg: this is no key")

// NewKey makes a private key from the system's random numbers, as "wg genkey" does.
func NewKey() Key {
	k := NewSharedKey() // nobody else has it yet
	raw := k.bytes()
	raw[0] &= 248
	raw[31] = raw[31]&127 | 64
	return k
}

// NewSharedKey makes a key for two peers to share, as "wg genpsk" does.
func NewSharedKey() Key {
	raw := new([32]byte)
	rand.Read(raw[:]) // never fails
	return Key{&secret{raw}}
}

// ParseKey reads a secret key from the form that the program wg has: 32 bytes in
// base64. Errors match [ErrKey], and do not have the key in them.
func ParseKey(s string) (Key, error) {
	raw, err := parseKey(s)
	if err != nil {
		return Key{}, err
	}
	return Key{&secret{&raw}}, nil
}

// ParsePublicKey reads a public key from the same form.
func ParsePublicKey(s string) (PublicKey, error) {
	raw, err := parseKey(s)
	return PublicKey{raw}, err
}

func parseKey(s string) (raw [32]byte, err error) {
	decoded, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(decoded) != 32 || len(s) != 44 {
		return raw, fmt.Errorf("%w: it has %d characters, and not 44 of base64 with = at the end", ErrKey, len(s))
	}
	return [32]byte(decoded), nil
}

// bytes are those of the key; zeros if it is none.
func (k Key) bytes() []byte {
	if k.raw == nil {
		return make([]byte, 32)
	}
	return k.raw.bytes[:]
}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k.Equal(Key{}) }

// Equal reports whether two keys are the same, in a time that tells nothing. The
// operator == does not.
func (k Key) Equal(other Key) bool { return subtle.ConstantTimeCompare(k.bytes(), other.bytes()) == 1 }

// Public returns the public key of a private one.
func (k Key) Public() PublicKey {
	private, err := ecdh.X25519().NewPrivateKey(k.bytes())
	if err != nil { // it is of 32 bytes, which is all that is asked for
		return PublicKey{}
	}
	return PublicKey{[32]byte(private.PublicKey().Bytes())}
}

// Reveal returns the key in base64. It is for files that only their owner reads.
func (k Key) Reveal() string { return base64.StdEncoding.EncodeToString(k.bytes()) }

const redacted = "[redacted]"

// String returns a placeholder.
func (Key) String() string { return redacted }

// Format writes a placeholder, whatever the verb.
func (Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// IsZero reports whether there is no key.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// String returns the key in base64.
func (k PublicKey) String() string { return base64.StdEncoding.EncodeToString(k.raw[:]) }

// MarshalText returns the key in base64.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText returns.
func (k *PublicKey) UnmarshalText(text []byte) (err error) {
	*k, err = ParsePublicKey(string(text))
	return err
}
