// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"xeiaso.net/site/internal/atomicfile"
)

// keep puts new tokens into the store, before anybody gets them. If the store
// does not take them, they go into the emergency file and are given out all the
// same, for they are the only ones that are good, and the store is tried again
// for ever.
func (k *Keeper) keep(ctx context.Context, c *claim, g grant) error {
	k.count.result("refreshed")
	done, err := k.put(ctx, c, g)
	if done {
		return nil
	}
	next := *c.r
	next.grow(k.cfg.ClientID, g)
	k.log.ErrorContext(ctx, "patreon: the store does not take the new tokens; trying on", "err", err, "emergency_file", k.cfg.EmergencyPath)
	if err := k.writeEmergency(emergency{Over: hash(c.r.Refresh), Record: next}); err != nil {
		k.log.ErrorContext(ctx, "patreon: the new tokens are in memory only, and end with this process", "err", err)
	}
	saving := make(chan struct{})
	k.mu.Lock()
	k.known, k.knownAt, k.unsaved, k.saving = &next, time.Now(), true, saving
	k.failures, k.next = 0, time.Time{}
	k.problem = err.Error()
	k.mu.Unlock()
	go func() {
		defer close(saving)
		k.putAtLast(ctx, c, g)
	}()
	return nil
}

// putAtLast tries until the store has the tokens, or newer ones.
func (k *Keeper) putAtLast(ctx context.Context, c *claim, g grant) {
	for wait := k.cfg.Backoff; ; wait = min(2*wait, time.Minute) {
		pause(ctx, wait)
		if done, _ := k.put(ctx, c, g); done {
			k.removeEmergency()
			k.log.InfoContext(ctx, "patreon: the store has the new tokens now")
			return
		}
	}
}

// put writes new tokens into the record, and reports whether that is done with.
// It is if the record has another refresh token than the one that was spent:
// then somebody has seeded, and the newer tokens are theirs.
func (k *Keeper) put(ctx context.Context, c *claim, g grant) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeGrace)
	defer cancel()
	for {
		r, raw, err := k.load(ctx)
		if err != nil {
			return false, err
		}
		if r == nil {
			r = &record{Generation: c.r.Generation, Seeds: c.r.Seeds}
		} else if r.Refresh != c.r.Refresh && !c.replaces {
			k.log.WarnContext(ctx, "patreon: the tokens of a refresh are dropped, since there are others by now")
			k.saved(r)
			return true, nil
		}
		next := *r
		next.grow(k.cfg.ClientID, g)
		k.at("write the tokens")
		_, won, err := k.swap(ctx, raw, &next)
		if err != nil {
			return false, err
		}
		if won {
			k.at("the tokens are written")
			k.saved(&next)
			k.log.InfoContext(ctx, "patreon: the tokens are fresh", "generation", next.Generation, "expires", next.ExpiresAt)
			return true, nil
		}
	}
}

// saved remembers what the store has.
func (k *Keeper) saved(r *record) {
	k.mu.Lock()
	k.unsaved, k.saving = false, nil
	k.mu.Unlock()
	k.remember(r)
}

func (k *Keeper) isUnsaved() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.unsaved
}

// emergency is the content of the emergency file: a record that the store did
// not take, and the hash of the refresh token in the record that it replaces.
type emergency struct {
	Over   string `json:"over"`
	Record record `json:"record"`
}

func (k *Keeper) writeEmergency(e emergency) error {
	if k.cfg.EmergencyPath == "" {
		return errors.New("there is no emergency file: KeeperConfig.EmergencyPath is not set")
	}
	content, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return atomicfile.Write(k.cfg.EmergencyPath, content, 0o600)
}

// removeEmergency removes the file once the store has what is in it.
func (k *Keeper) removeEmergency() {
	if k.cfg.EmergencyPath == "" {
		return
	}
	if err := os.Remove(k.cfg.EmergencyPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.log.Error("patreon: the emergency file cannot be removed; its tokens are in the store", "err", err)
	}
}

// rescue puts into the store what an earlier process left in the emergency
// file. It does so once.
func (k *Keeper) rescue(ctx context.Context) error {
	k.mu.Lock()
	done := k.rescued || k.cfg.EmergencyPath == ""
	k.mu.Unlock()
	if done {
		return nil
	}
	content, err := os.ReadFile(k.cfg.EmergencyPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("patreon: read the emergency file: %w", err)
	default:
		if err := k.salvage(ctx, content); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rescued = true
	return nil
}

// salvage puts the content of the emergency file into the store, if the record
// there is the one that it was to replace. Otherwise it is older than what the
// store has, and is put aside.
func (k *Keeper) salvage(ctx context.Context, content []byte) error {
	var e emergency
	if err := json.Unmarshal(content, &e); err != nil || e.Record.empty() || e.Record.Client != k.cfg.ClientID {
		k.log.ErrorContext(ctx, "patreon: the emergency file is damaged, or of another client; it is put aside", "path", k.cfg.EmergencyPath)
		return k.putAside()
	}
	for {
		r, raw, err := k.load(ctx)
		if err != nil {
			return err
		}
		if r != nil && r.Refresh == e.Record.Refresh {
			k.removeEmergency()
			return nil
		}
		if !r.empty() && hash(r.Refresh) != e.Over {
			k.log.WarnContext(ctx, "patreon: the emergency file is older than the tokens in the store; it is put aside", "path", k.cfg.EmergencyPath)
			return k.putAside()
		}
		next := e.Record
		if r != nil {
			next.version, next.Seeds, next.Generation = r.version, r.Seeds, max(next.Generation, r.Generation+1)
		}
		_, won, err := k.swap(ctx, raw, &next)
		if err != nil {
			return err
		}
		if won {
			k.log.InfoContext(ctx, "patreon: the tokens of the emergency file are in the store now", "generation", next.Generation)
			k.removeEmergency()
			return nil
		}
	}
}

// putAside renames the emergency file.
func (k *Keeper) putAside() error {
	if err := os.Rename(k.cfg.EmergencyPath, k.cfg.EmergencyPath+".unused"); err != nil {
		return fmt.Errorf("patreon: put the emergency file aside: %w", err)
	}
	return nil
}
