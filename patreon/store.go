// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
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

// storeGrace is how long a store may take to tell what became of a write.
const storeGrace = 15 * time.Second

// maxContest is how many writes in a row may fail because somebody else was
// faster.
const maxContest = 30

// A contest is a write that is tried again when somebody else was faster.
type contest struct {
	key   string
	tries int
}

// again waits for a moment, and returns an error once there were too many tries:
// a store that never takes anything must not be asked for ever.
func (c *contest) again(ctx context.Context) error {
	c.tries++
	if c.tries >= maxContest {
		return fmt.Errorf("patreon: record %s was changed %d times by others while it was to be written; see who else uses it", c.key, c.tries)
	}
	if !pause(ctx, mathrand.N(time.Duration(c.tries)*time.Millisecond)) {
		return fmt.Errorf("patreon: write record %s: %w", c.key, context.Cause(ctx))
	}
	return nil
}

// version is written into each record, so that equal content means that nobody
// has written in between.
type version struct {
	Version uint64 `json:"version"`
	Nonce   string `json:"nonce"`
}

func (v version) next() version {
	return version{Version: v.Version + 1, Nonce: rand.Text()}
}

// load returns the value of key, or nil if there is none.
func load(ctx context.Context, store Store, key string) ([]byte, error) {
	raw, err := store.Load(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("patreon: read record %s: %w", key, err)
	}
	return raw, nil
}

// swap puts the JSON form of next in place of old, which is nil if there must
// be none. An error of the store's own is settled by looking: what lies there is
// ours, or it is not.
func swap(ctx context.Context, store Store, key string, old []byte, next any) (raw []byte, won bool, err error) {
	raw, err = json.Marshal(next)
	if err == nil && len(raw) > maxRecord {
		err = fmt.Errorf("it would have %d bytes, more than %d", len(raw), maxRecord)
	}
	if err != nil {
		return nil, false, fmt.Errorf("patreon: record %s: %w", key, err)
	}
	won, err = store.Swap(ctx, key, old, raw)
	if err == nil {
		return raw, won, nil
	}
	// The reason may be that ctx is done, and the answer matters all the same.
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeGrace)
	defer cancel()
	if now, loadErr := load(look, store, key); loadErr == nil && bytes.Equal(now, raw) {
		return raw, true, nil
	}
	return nil, false, fmt.Errorf("patreon: write record %s: %w", key, err)
}
