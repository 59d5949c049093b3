// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxKey is the greatest length of a key, in bytes.
	MaxKey = 200
	// MaxValue is the greatest length of a value, in bytes.
	MaxValue = 64 << 10
)

// Store keeps small records. Its methods may be called from several
// goroutines, and several stores, in several processes, may be open on the
// same records. It neither keeps nor changes the slices that it is given, and
// those it returns belong to the caller.
type Store interface {
	// Load returns the value of key. If there is none, the error matches
	// [io/fs.ErrNotExist].
	Load(ctx context.Context, key string) ([]byte, error)

	// Swap replaces the value old of key by new, and reports whether key had
	// that value. If old is nil, key must not exist and is created; if new is
	// nil, key is deleted. An error means that the outcome is unknown.
	Swap(ctx context.Context, key string, old, new []byte) (bool, error)

	// Keys returns, sorted, the keys that begin with prefix; all keys for "".
	// The prefix is compared as a string, so end it in '/' to stay below one
	// element. A key may be gone by the time it is loaded.
	Keys(ctx context.Context, prefix string) ([]string, error)
}

// CheckKey returns an error that says what is wrong with key, if anything is.
func CheckKey(key string) error {
	if key == "" {
		return errors.New("empty key")
	}
	if len(key) > MaxKey {
		return fmt.Errorf("key %.40q… has %d bytes, more than %d; hash its variable part", key, len(key), MaxKey)
	}
	for elem := range strings.SplitSeq(key, "/") {
		switch elem {
		case "":
			return fmt.Errorf("key %q has an empty element", key)
		case ".", "..":
			return fmt.Errorf("key %q has the element %q", key, elem)
		}
	}
	if i := strings.IndexFunc(key, notInKey); i >= 0 {
		return fmt.Errorf("key %q has a byte other than a-z, 0-9, '.', '_', '-' and '/' at %d; hash its variable part", key, i)
	}
	return nil
}

func notInKey(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("._-/", r)
}

// CheckSwap returns an error that says what is wrong with the arguments of
// [Store.Swap], if anything is.
func CheckSwap(key string, old, new []byte) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if old == nil && new == nil {
		return fmt.Errorf("key %q: old and new value are both nil; use Load to ask whether a key exists", key)
	}
	if err := checkValue(key, old); err != nil {
		return err
	}
	return checkValue(key, new)
}

// checkValue accepts nil. An empty slice is refused rather than taken for
// nil: it is what marshalling gone wrong looks like, and would delete.
func checkValue(key string, value []byte) error {
	if value != nil && len(value) == 0 {
		return fmt.Errorf("key %q: a value is empty; use nil to create or to delete", key)
	}
	if len(value) > MaxValue {
		return fmt.Errorf("key %q: a value has %d bytes, more than %d; keep large content elsewhere and its hash here", key, len(value), MaxValue)
	}
	return nil
}
