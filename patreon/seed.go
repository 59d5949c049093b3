// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Seed is a pair of tokens that comes from outside: the "Creator's Access Token"
// and the "Creator's Refresh Token" from the page of the client at
// https://www.patreon.com/portal/registration/register-clients.
type Seed struct {
	Access  Secret // may be empty
	Refresh Secret
}

// check reports what is wrong with a seed.
func (s Seed) check() error {
	if s.Refresh == "" {
		return errors.New("patreon: a seed needs the refresh token; the access token alone ends within a month, use StaticToken for it")
	}
	if !isToken(s.Refresh.Reveal()) || s.Access != "" && !isToken(s.Access.Reveal()) {
		return errors.New("patreon: a token of the seed has blanks or other characters in it that no token has; it may not have been copied whole")
	}
	return nil
}

var (
	// ErrSeedUsed: the refresh token was a seed before. It is spent by now.
	ErrSeedUsed = errors.New("patreon: this refresh token was used as a seed before and is spent; get a new pair from the page of the client")
	// ErrSeedNotNeeded: there is a lineage that works.
	ErrSeedNotNeeded = errors.New("patreon: there are tokens that work; use force to replace them")
)

// Seed gives the keeper a pair of tokens, and refreshes it at once: from then on
// the keeper is the only one who has a refresh token of this lineage.
//
// Without force it is taken only if there are no tokens, or the lineage is lost;
// otherwise the error matches [ErrSeedNotNeeded]. A refresh token is taken once;
// the second time the error matches [ErrSeedUsed]. If the first refresh fails,
// the seed is kept nevertheless and the error says what went wrong; it matches
// [ErrLineageLost] if Patreon does not take the token.
func (k *Keeper) Seed(ctx context.Context, seed Seed, force bool) error {
	if err := seed.check(); err != nil {
		return err
	}
	if err := k.rescue(ctx); err != nil {
		return err
	}
	if _, err := k.sow(ctx, seed, force); err != nil {
		return err
	}
	// A refresh of the tokens before may be under way.
	if err := k.landed(ctx); err != nil {
		return err
	}
	if err := k.renew(ctx); err != nil {
		return fmt.Errorf("the seed was taken, and its first refresh has failed: %w", err)
	}
	return nil
}

// landed waits for a refresh that is under way. What became of it is no reason
// to wait with the next.
func (k *Keeper) landed(ctx context.Context) error {
	k.mu.Lock()
	flight := k.flight
	k.mu.Unlock()
	if flight == nil {
		return nil
	}
	select {
	case <-flight.done:
	case <-ctx.Done():
		return fmt.Errorf("patreon: the seed was taken, and is not refreshed yet: %w", context.Cause(ctx))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failures, k.next, k.failure = 0, time.Time{}, nil
	return nil
}

// sow writes a seed into the record.
func (k *Keeper) sow(ctx context.Context, seed Seed, force bool) (*record, error) {
	contest := contest{key: k.cfg.Key}
	for {
		r, raw, err := k.load(ctx)
		if err != nil {
			return nil, err
		}
		next := record{}
		if r != nil {
			next = *r
		}
		switch {
		case next.sown(seed.Refresh.Reveal()):
			return nil, ErrSeedUsed
		case !next.empty() && next.Lost == nil && !force:
			return nil, fmt.Errorf("%w (generation %d, until %s)", ErrSeedNotNeeded, next.Generation, next.ExpiresAt.Format(time.DateTime))
		}
		next.sow(seed.Refresh.Reveal())
		next.grow(k.cfg.ClientID, grant{access: seed.Access.Reveal(), refresh: seed.Refresh.Reveal(), at: time.Now(), lifetime: unknownLifetime})
		next.Foreign = true
		_, won, err := k.swap(ctx, raw, &next)
		if err != nil {
			return nil, err
		}
		if won {
			k.log.InfoContext(ctx, "patreon: a seed was taken", "generation", next.Generation)
			return k.replace(&next), nil
		}
		if err := contest.again(ctx); err != nil {
			return nil, err
		}
	}
}

// replace remembers tokens that come in place of all others.
func (k *Keeper) replace(r *record) *record {
	k.mu.Lock()
	k.known, k.unsaved, k.refused = nil, false, refusal{}
	k.failures, k.next, k.failure = 0, time.Time{}, nil
	k.mu.Unlock()
	return k.remember(r)
}

// sowConfigured takes the seed of the configuration, if there is one that was
// not used before, and returns the record as it is then.
func (k *Keeper) sowConfigured(ctx context.Context, r *record) (*record, error) {
	if k.cfg.Seed == (Seed{}) || r != nil && r.sown(k.cfg.Seed.Refresh.Reveal()) {
		return r, nil
	}
	sown, err := k.sow(ctx, k.cfg.Seed, false)
	if errors.Is(err, ErrSeedUsed) || errors.Is(err, ErrSeedNotNeeded) { // another process was faster
		now, _, err := k.load(ctx)
		return now, err
	}
	return sown, err
}
