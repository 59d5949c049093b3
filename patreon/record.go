// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// record is what the store has of one lineage of tokens: of one refresh token
// and all that came of it. It is the only place where a refresh token is.
type record struct {
	version

	// Client is the id of the client that the tokens were given to.
	Client string `json:"client"`

	// Generation rises with each pair of tokens.
	Generation uint64 `json:"generation"`

	Access    string    `json:"access_token"`
	Refresh   string    `json:"refresh_token"`
	Scope     string    `json:"scope,omitzero"`
	IssuedAt  time.Time `json:"issued_at,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`

	// Foreign tells that the tokens came from outside. They are refreshed at
	// once, so that nobody else can.
	Foreign bool `json:"foreign,omitzero"`

	// Rejected tells that Patreon does not take the access token any more.
	Rejected bool `json:"rejected,omitzero"`

	// Seeds are the hashes of refresh tokens that came from outside. Each is
	// taken once: after that it is spent, whatever a configuration says.
	Seeds []string `json:"seeds,omitzero"`

	// Intent is of a call to the token endpoint that may be under way.
	Intent *intent `json:"intent,omitzero"`

	// Lost is set when Patreon does not take the refresh token.
	Lost *lost `json:"lost,omitzero"`

	// read is when it was read from the store, by a clock of the keeper's that
	// goes on with each look.
	read uint64
}

// intent is written before the token endpoint is called. It keeps others from
// calling it, and it shows that a record can be written at all: a refresh token
// is spent by the call, and the new one has to go somewhere.
type intent struct {
	// Holder is the process that calls, by a name that it made up.
	Holder string `json:"holder"`
	// At is when it began, for people.
	At time.Time `json:"at"`
	// Attempt counts the calls with one refresh token.
	Attempt int `json:"attempt"`
	// Wait is how long the holder waits for the next call, in nanoseconds, once
	// one has failed.
	Wait time.Duration `json:"wait,omitzero"`
}

// lost is the end of a lineage.
type lost struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// maxSeeds is how many seeds are remembered.
const maxSeeds = 50

// hash is how a token is remembered that must not be known.
func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// sown reports whether a refresh token came as a seed before.
func (r *record) sown(refresh string) bool { return slices.Contains(r.Seeds, hash(refresh)) }

// sow remembers that a refresh token came as a seed.
func (r *record) sow(refresh string) {
	r.Seeds = append(slices.Clone(r.Seeds), hash(refresh))
	r.Seeds = r.Seeds[max(0, len(r.Seeds)-maxSeeds):]
}

// grow puts new tokens into the record.
func (r *record) grow(client string, g grant) {
	r.Client = client
	r.Generation++
	r.Access = g.access
	if g.refresh != "" { // otherwise the old one stays good, RFC 6749 6
		r.Refresh = g.refresh
	}
	r.Scope = g.scope
	r.IssuedAt = g.at.UTC().Round(0)
	r.ExpiresAt = r.IssuedAt.Add(g.lifetime)
	r.Foreign, r.Rejected, r.Intent, r.Lost = false, false, nil, nil
}

// maxSkew is by how much clocks of two machines may differ and still be taken
// for right.
const maxSkew = 5 * time.Minute

// leeway is how long before its end a token is not given out any more: a
// request may be under way for a while.
const leeway = time.Minute

// refreshAt is when the tokens are refreshed: at half of their life, which
// leaves the other half to notice trouble. The factor, about 1, keeps many
// programs from doing so at the same moment.
func (r *record) refreshAt(factor float64) time.Time {
	half := float64(min(r.ExpiresAt.Sub(r.IssuedAt), maxLifetime)) / 2
	return r.IssuedAt.Add(time.Duration(half * factor))
}

// due reports whether the tokens have to be refreshed. A time of issue that is
// still to come means that the clock was set back: nothing that it says about
// the end can be believed.
func (r *record) due(now time.Time, factor float64) bool {
	return r.Foreign || r.Rejected || !now.Before(r.refreshAt(factor)) || now.Before(r.IssuedAt.Add(-maxSkew))
}

// usable reports whether the access token may be given out.
func (r *record) usable(now time.Time) bool {
	return r != nil && r.Access != "" && !r.Rejected && now.Before(r.ExpiresAt.Add(-min(leeway, max(0, r.ExpiresAt.Sub(r.IssuedAt)/10))))
}

// token is what is given out of a record.
func (r *record) token() Token {
	return Token{Access: Secret(r.Access), Expires: r.ExpiresAt, Generation: r.Generation, Scope: r.Scope}
}

// empty reports whether there are no tokens.
func (r *record) empty() bool { return r == nil || r.Refresh == "" }

// load returns the record and its form in the store; both are nil if there is
// none. A store that does not answer must not hold everything up.
func (k *Keeper) load(ctx context.Context) (*record, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, storeGrace)
	defer cancel()
	begun := k.looks.Add(1)
	raw, err := load(ctx, k.cfg.Store, k.cfg.Key)
	if err != nil {
		k.count.storeErrors.Add(1)
	}
	if raw == nil || err != nil {
		return nil, nil, err
	}
	r, ok := decodeRecord(raw)
	if !ok {
		return nil, nil, fmt.Errorf("patreon: record %s in the store is damaged; repair it, or remove it and seed again", k.cfg.Key)
	}
	r.read = begun
	if r.Client != "" && r.Client != k.cfg.ClientID {
		return nil, nil, fmt.Errorf("patreon: record %s is of the client %q, and the client now is %q; seed again under another key, or remove it",
			k.cfg.Key, r.Client, k.cfg.ClientID)
	}
	return r, raw, nil
}

// decodeRecord reads a record. The decoder's error can quote what it has read,
// so it goes no further. What is not an object is none: it may hold the only
// refresh token, and is left alone.
func decodeRecord(raw []byte) (r *record, ok bool) {
	r = &record{}
	err := json.Unmarshal(raw, r)
	return r, err == nil && bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{"))
}

// swap writes next in place of what was loaded as old, and returns its form in
// the store.
func (k *Keeper) swap(ctx context.Context, old []byte, next *record) (raw []byte, won bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeGrace)
	defer cancel()
	next.version = next.version.next()
	raw, won, err = swap(ctx, k.cfg.Store, k.cfg.Key, old, next)
	if err != nil {
		k.count.storeErrors.Add(1)
	}
	return raw, won, err
}
