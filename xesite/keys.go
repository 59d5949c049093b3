// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"

	"xeiaso.net/site/internal/atomicfile"
)

// keyring remembers the keys of recent builds and how they ended, so that a
// commit is not built, nor published, again without need.
type keyring struct {
	path string

	mu      sync.Mutex // guards entries
	loaded  bool
	entries []keyEntry
}

type keyEntry struct {
	Key    string `json:"key"`
	Commit string `json:"commit,omitempty"`
	// Channel is empty for production: a commit that was seen as a preview is
	// news to the site itself.
	Channel string `json:"channel,omitempty"`
	Result  Result `json:"result"`
}

const maxKeys = 200

// get returns how the build with this key ended, and whether there was one.
func (k *keyring) get(key string) (Result, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	for _, e := range slices.Backward(k.entries) {
		if e.Key == key {
			return e.Result, true
		}
	}
	return "", false
}

// commit reports whether a commit was built for a channel, and whether it was
// published then, with whatever data.
func (k *keyring) commit(channel, id string) (built, published bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	for _, e := range k.entries {
		if e.Commit == id && e.Channel == channel {
			built = true
			published = published || e.Result == ResultPublished || e.Result == ResultUnchanged
		}
	}
	return built, published
}

func (k *keyring) load() {
	if k.loaded {
		return
	}
	k.loaded = true
	if b, err := os.ReadFile(k.path); err == nil {
		// A ring that cannot be read is a ring without entries: things are
		// built once more.
		json.Unmarshal(b, &k.entries)
	}
}

func (k *keyring) put(e keyEntry) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	k.entries = slices.DeleteFunc(k.entries, func(o keyEntry) bool { return o.Key == e.Key })
	k.entries = append(k.entries, e)
	k.entries = k.entries[max(0, len(k.entries)-maxKeys):]
	b, err := json.Marshal(k.entries)
	if err != nil {
		return err
	}
	return atomicfile.Write(k.path, b, 0o644)
}

// forget makes the next instance that leads read what this one's predecessor
// has written.
func (k *keyring) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded, k.entries = false, nil
}

// buildKey stands for all that decides what a build makes.
func (s *Site) buildKey(ch *channel, rev Revision, data []datum) string {
	sum := sha256.New()
	if c, ok := s.cfg.Builder.(Command); ok {
		fmt.Fprintf(sum, "%q %q ", c.Line, c.Env)
	}
	fmt.Fprintf(sum, "%q %q %q %q %q %q", rev.ID, hashData(data), s.cfg.BuildKey, s.cfg.BuildDir, s.cfg.OutputDir, ch.siteURL)
	return hex.EncodeToString(sum.Sum(nil))
}
