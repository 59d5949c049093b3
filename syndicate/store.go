// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Store keeps small records durably. The implementations in
// xeiaso.net/site/xesite/state have this form, in a directory and in memory.
type Store interface {
	// Load returns the value of key. If there is none, the error matches
	// [io/fs.ErrNotExist].
	Load(ctx context.Context, key string) ([]byte, error)

	// Swap replaces the value old of key by new, and reports whether key had
	// that value. If old is nil, key must not exist and is created; if new is
	// nil, key is deleted. An error means that the outcome is unknown.
	Swap(ctx context.Context, key string, old, new []byte) (bool, error)

	// Keys returns the keys that begin with prefix.
	Keys(ctx context.Context, prefix string) ([]string, error)
}

// maxRecord is how long a value in a [Store] may be, in bytes.
const maxRecord = 64 << 10

// version is written into each record, so that equal content means that nobody
// has written in between.
type version struct {
	Generation uint64 `json:"generation"`
	Nonce      string `json:"nonce"`
}

func (v version) next() version {
	return version{Generation: v.Generation + 1, Nonce: rand.Text()}
}

// swap puts the JSON form of next in place of old, which is nil if there must
// be none. An error of the store's own is settled by looking: what lies there is
// ours, or it is not.
func swap(ctx context.Context, store Store, key string, old []byte, next any) (raw []byte, won bool, err error) {
	raw, err = encode(next)
	if err != nil {
		return nil, false, fmt.Errorf("record %s: %w", key, err)
	}
	if len(raw) > maxRecord {
		return nil, false, fmt.Errorf("record %s would have %d bytes: %w", key, len(raw), errTooLarge)
	}
	won, err = store.Swap(ctx, key, old, raw)
	if err == nil {
		return raw, won, nil
	}
	// The reason may be that ctx is done, and the answer matters all the same.
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeGrace)
	defer cancel()
	now, loadErr := load(look, store, key)
	if loadErr == nil && bytes.Equal(now, raw) {
		return raw, true, nil
	}
	return nil, false, fmt.Errorf("write record %s: %w", key, err)
}

// errTooLarge is about a value that no store takes. Trying again does not help.
var errTooLarge = fmt.Errorf("more than %d", maxRecord)

// encode returns the JSON form of a value as it is, with "<" and "&" for
// themselves: a body must neither change nor grow.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// storeGrace is how long a record is written after the context has ended.
const storeGrace = 5 * time.Second

// load returns the value of key, or nil if there is none.
func load(ctx context.Context, store Store, key string) ([]byte, error) {
	raw, err := store.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read record %s: %w", key, err)
	}
	return raw, nil
}
