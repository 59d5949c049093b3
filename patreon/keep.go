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
	"sync"
	"time"

	"xeiaso.net/site/internal/atomicfile"
)

// keep puts new tokens into the store, before anybody gets them. If the store
// does not take them, they go into the emergency file and are given out all the
// same, for they are the only ones that are good, and the store is tried again
// for ever.
func (k *Keeper) keep(ctx context.Context, c *claim, g grant) error {
	k.count.result("refreshed")
	next := *c.r
	next.grow(k.cfg.ClientID, g)
	settle := k.rescueSoon(ctx, emergency{Key: k.cfg.Key, Over: hash(c.r.Refresh), Record: next})
	done, err := k.put(ctx, c, g)
	if rescued := settle(done); done {
		if rescued {
			k.removeEmergency(g.refresh)
		}
		return nil
	}
	k.log.ErrorContext(ctx, "patreon: the store does not take the new tokens; trying on", "err", err, "emergency_file", k.cfg.EmergencyPath)
	saving := make(chan struct{})
	k.mu.Lock()
	k.known, k.knownAt, k.unsaved, k.saving = &next, time.Now(), true, saving
	k.failures, k.next, k.failure = 0, time.Time{}, err
	k.mu.Unlock()
	go func() {
		defer close(saving)
		k.putAtLast(ctx, c, g, saving)
	}()
	return nil
}

// rescueAfter is how long a store may take for new tokens until they are in the
// emergency file as well.
const rescueAfter = time.Second

// rescueSoon writes the emergency file if the store is slow: a process that is
// killed meanwhile would take the tokens with it. settle ends that, once it is
// known whether the store has them; if not, the file is written at the latest then.
func (k *Keeper) rescueSoon(ctx context.Context, e emergency) (settle func(done bool) (rescued bool)) {
	write := sync.OnceFunc(func() {
		if err := k.writeEmergency(e); err != nil {
			k.log.ErrorContext(ctx, "patreon: the new tokens are in memory only, and end with this process", "err", err)
		}
	})
	if k.cfg.EmergencyPath == "" { // then it is only worth to say so if the store fails
		return func(done bool) bool {
			if !done {
				write()
			}
			return false
		}
	}
	timer := time.AfterFunc(rescueAfter, write)
	return func(done bool) bool {
		if timer.Stop() && done {
			return false
		}
		write() // or waits until it is written
		return true
	}
}

// putAtLast tries until the store has the tokens, or newer ones, or there are
// newer ones that it does not take.
func (k *Keeper) putAtLast(ctx context.Context, c *claim, g grant, saving chan struct{}) {
	for wait := k.cfg.Backoff; ; wait = min(2*wait, time.Minute) {
		pause(ctx, wait)
		k.mu.Lock()
		superseded := k.unsaved && k.saving != saving
		k.mu.Unlock()
		if superseded {
			return
		}
		if done, _ := k.put(ctx, c, g); done {
			k.removeEmergency(g.refresh)
			k.log.InfoContext(ctx, "patreon: the store has the new tokens now")
			return
		}
	}
}

// put writes new tokens into the record, and reports whether that is done with.
// It is if the record has another refresh token than the one that was spent:
// then somebody has seeded, and the newer tokens are theirs.
func (k *Keeper) put(ctx context.Context, c *claim, g grant) (done bool, err error) {
	contest := contest{key: k.cfg.Key}
	for {
		r, raw, err := k.load(ctx)
		if err != nil {
			return false, err
		}
		if r == nil {
			r = &record{read: k.looks.Load(), Generation: c.r.Generation, Refresh: c.r.Refresh, Seeds: c.r.Seeds}
		} else if g.refresh != "" && r.Refresh == g.refresh { // a write of before has come through
			k.saved(r)
			return true, nil
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
		if err := contest.again(ctx); err != nil {
			return false, err
		}
	}
}

// saved remembers what the store has.
func (k *Keeper) saved(r *record) {
	k.mu.Lock()
	k.unsaved, k.saving = false, nil
	k.failures, k.next, k.failure = 0, time.Time{}, nil
	k.mu.Unlock()
	k.remember(r)
}

func (k *Keeper) isUnsaved() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.unsaved
}

// emergency is the content of the emergency file: a record that the store did
// not take, which one it is, and the hash of the refresh token in the record
// that it replaces.
type emergency struct {
	Key    string `json:"key"`
	Over   string `json:"over"`
	Record record `json:"record"`
}

// writeEmergency writes the file. That of another lineage, whose keeper has the
// same path, is as precious.
func (k *Keeper) writeEmergency(e emergency) error {
	path := k.cfg.EmergencyPath
	if path == "" {
		return errors.New("there is no emergency file: KeeperConfig.EmergencyPath is not set")
	}
	if there, err := k.readEmergency(); err == nil && there != nil && there.Key != e.Key {
		return fmt.Errorf("the emergency file %s holds the record %q; each lineage needs an EmergencyPath of its own", path, there.Key)
	}
	content, err := json.Marshal(e)
	if err != nil {
		return err
	}
	k.at("write the emergency file")
	if err := atomicfile.Write(path, content, 0o600); err != nil {
		return err
	}
	k.at("the emergency file is written")
	return nil
}

// readEmergency reads the file. It is nil if there is none, and empty if it is
// damaged.
func (k *Keeper) readEmergency() (*emergency, error) {
	if k.cfg.EmergencyPath == "" {
		return nil, nil
	}
	content, err := os.ReadFile(k.cfg.EmergencyPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("patreon: read the emergency file: %w", err)
	}
	var e emergency
	if json.Unmarshal(content, &e) != nil || e.Record.empty() {
		return &emergency{Key: k.cfg.Key}, nil
	}
	return &e, nil
}

// removeEmergency removes the file once the store has the refresh token that is
// in it.
func (k *Keeper) removeEmergency(refresh string) {
	e, err := k.readEmergency()
	if e == nil && err == nil || e != nil && (e.Key != k.cfg.Key || e.Record.Refresh != refresh) {
		return // none, or that of somebody else by now
	}
	if err == nil {
		err = os.Remove(k.cfg.EmergencyPath)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.log.Error("patreon: the emergency file cannot be removed; its tokens are in the store", "err", err)
	}
}

// rescue does what salvage does, once.
func (k *Keeper) rescue(ctx context.Context) error {
	k.mu.Lock()
	done := k.rescued
	k.mu.Unlock()
	if done {
		return nil
	}
	if err := k.salvage(ctx); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rescued = true
	return nil
}

// salvage puts into the store what another process, or an earlier one, has left
// in the emergency file, if the record in the store is the one that it was to
// replace. Otherwise it is older than what the store has, and is put aside.
func (k *Keeper) salvage(ctx context.Context) error {
	e, err := k.readEmergency()
	switch {
	case e == nil || err != nil:
		return err
	case e.Key != k.cfg.Key:
		k.log.WarnContext(ctx, "patreon: the emergency file is of another record; each lineage needs a path of its own", "path", k.cfg.EmergencyPath, "key", e.Key)
		return nil
	case e.Record.Client != k.cfg.ClientID:
		k.log.ErrorContext(ctx, "patreon: the emergency file is damaged, or of another client; it is put aside", "path", k.cfg.EmergencyPath)
		k.putAside(ctx)
		return nil
	}
	contest := contest{key: k.cfg.Key}
	for {
		r, raw, err := k.load(ctx)
		if err != nil {
			k.strand(e)
			return err
		}
		if r != nil && r.Refresh == e.Record.Refresh {
			k.removeEmergency(e.Record.Refresh)
			return nil
		}
		if !r.empty() && hash(r.Refresh) != e.Over {
			k.log.WarnContext(ctx, "patreon: the emergency file is older than the tokens in the store; it is put aside", "path", k.cfg.EmergencyPath)
			k.putAside(ctx)
			return nil
		}
		next := e.Record
		if r != nil {
			next.version, next.Seeds, next.Generation = r.version, r.Seeds, max(next.Generation, r.Generation+1)
		}
		k.at("write the tokens of the emergency file")
		_, won, err := k.swap(ctx, raw, &next)
		if err == nil && !won {
			err = contest.again(ctx)
		}
		if err != nil {
			k.strand(e)
			return fmt.Errorf("patreon: the tokens of the emergency file cannot be kept: %w", err)
		}
		if won {
			k.at("the tokens of the emergency file are written")
			k.log.InfoContext(ctx, "patreon: the tokens of the emergency file are in the store now", "generation", next.Generation)
			k.removeEmergency(e.Record.Refresh)
			return nil
		}
	}
}

// strand has the access token of the emergency file given out, though the store
// does not take it.
func (k *Keeper) strand(e *emergency) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = &e.Record
	}
}

// putAside renames the emergency file. If that fails, it is in the way, and
// does no harm.
func (k *Keeper) putAside(ctx context.Context) {
	err := os.Rename(k.cfg.EmergencyPath, k.cfg.EmergencyPath+".unused")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // another process was faster
		k.log.ErrorContext(ctx, "patreon: the emergency file cannot be put aside", "err", err)
	}
}
