// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// check is the last look at whether Patreon takes an access token.
type check struct {
	generation uint64
	at         time.Time
	running    chan struct{} // closed at the end; nil: none
}

// checkEvery is how often the access token of one generation is looked at,
// whoever says that it is not taken: one bad client must neither spend the
// budget of requests nor have tokens refreshed that are good.
const checkEvery = time.Minute

// ReportUnauthorized implements [Reporter]. The keeper asks Patreon itself
// whether it takes the token, at most once a minute, and refreshes only if it
// does not. The error tells why there is no other token.
func (k *Keeper) ReportUnauthorized(ctx context.Context, token Token) error {
	r, err := k.reload(ctx)
	if err != nil {
		return err
	}
	if r.Generation != token.Generation {
		return nil // there are others
	}
	if !r.Rejected {
		rejected, err := k.examine(ctx, r)
		if !rejected || err != nil {
			return err
		}
	}
	return k.renew(ctx)
}

// examine asks Patreon whether it takes the access token of a record, unless
// that was done within the last minute, and marks one that it does not take.
// Callers share a look that is under way.
func (k *Keeper) examine(ctx context.Context, r *record) (rejected bool, err error) {
	k.mu.Lock()
	if running := k.check.running; running != nil {
		k.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
		now := k.newest()
		return now != nil && now.Generation == r.Generation && now.Rejected, nil
	}
	if k.check.generation == r.Generation && time.Since(k.check.at) < checkEvery {
		k.mu.Unlock()
		return false, nil
	}
	running := make(chan struct{})
	k.check = check{generation: r.Generation, at: time.Now(), running: running}
	k.mu.Unlock()

	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.check.running = nil
		close(running)
	}()
	timed, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.cfg.Timeout)
	defer cancel()
	if k.accepted(timed, r) {
		return false, nil
	}
	return true, k.reject(context.WithoutCancel(ctx), r)
}

// accepted asks for who the token is of. All but a clear no counts as a yes.
func (k *Keeper) accepted(ctx context.Context, r *record) bool {
	_, err := k.endpoint.do(ctx, request{
		method:  http.MethodGet,
		path:    "/api/oauth2/v2/identity",
		query:   url.Values{"fields[user]": {"full_name"}},
		header:  http.Header{"Authorization": {"Bearer " + r.Access}},
		secrets: []string{r.Access},
	})
	return !errors.Is(err, ErrUnauthorized)
}

// reject marks the access token of a record as one that Patreon does not take.
func (k *Keeper) reject(ctx context.Context, r *record) error {
	k.log.WarnContext(ctx, "patreon: the access token is not accepted any more, before its time", "generation", r.Generation)
	contest := contest{key: k.cfg.Key}
	for {
		now, raw, err := k.load(ctx)
		if err != nil {
			return err
		}
		if now == nil || now.Generation != r.Generation || now.Rejected {
			k.remember(now)
			return nil
		}
		next := *now
		next.Rejected = true
		_, won, err := k.swap(ctx, raw, &next)
		if err == nil && !won {
			err = contest.again(ctx)
		}
		if err != nil {
			return fmt.Errorf("patreon: the access token is not accepted any more, and is not refreshed: %w", err)
		}
		if won {
			k.remember(&next)
			return nil
		}
	}
}
