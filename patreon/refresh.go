// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"
)

// renew refreshes the tokens unless that is not needed any more, together with
// everybody else who asks for it. It returns when ctx ends; the refresh goes on.
func (k *Keeper) renew(ctx context.Context) error {
	for {
		f := k.join(ctx)
		select {
		case <-ctx.Done():
			return fmt.Errorf("patreon: wait for fresh tokens: %w", context.Cause(ctx))
		case <-f.done:
		}
		// The one who began may have gone before the endpoint was called.
		if !errors.Is(f.err, errGone) || ctx.Err() != nil {
			return f.err
		}
	}
}

// errGone ends a flight that waited for another process when its caller left.
var errGone = errors.New("patreon: nobody waits for the tokens any more")

// join returns the flight that is under way, or begins one.
func (k *Keeper) join(ctx context.Context) *flight {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flight != nil {
		return k.flight
	}
	f := &flight{done: make(chan struct{})}
	k.flight = f
	go func() {
		f.err = k.fly(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.note(f.err)
		k.flight = nil
		close(f.done)
	}()
	return f
}

// note remembers how a refresh went wrong. That it is not tried yet is nothing
// new. The caller has the lock.
func (k *Keeper) note(err error) {
	_, early := errors.AsType[*earlyError](err)
	if err != nil && !early && !errors.Is(err, errGone) && !errors.Is(err, errBusy) {
		k.failure = err
	}
}

// fly is one refresh: intent, call, and what became of it. Once the intent is
// written, it does not end with ctx: a token that was asked for has to be kept.
func (k *Keeper) fly(ctx context.Context) error {
	if k.isUnsaved() {
		return errors.New("patreon: the store does not take the tokens of the last refresh; there is no other before it does")
	}
	if k.isRefused() {
		return k.markLost(context.WithoutCancel(ctx))
	}
	c, err := k.claim(ctx, false)
	if c == nil || err != nil {
		return err
	}
	return k.call(ctx, c, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.r.Refresh}})
}

// A claim is the right to call the token endpoint: an intent of ours that
// stands in the store.
type claim struct {
	r     *record // with the intent
	raw   []byte  // its form in the store
	begun time.Time
	// replaces tells that the call is about new tokens, whatever becomes of those
	// in the record.
	replaces bool
	// before is the intent that was there. It may be of a refresh of our own that
	// is under way.
	before *intent
}

// wantsRefresh reports whether tokens have to be refreshed, or why they cannot
// be.
func (k *Keeper) wantsRefresh(r *record) (bool, error) {
	switch {
	case r.empty():
		return false, ErrNoTokens
	case r.Lost != nil:
		return false, fmt.Errorf("%w (%s)", ErrLineageLost, r.Lost.Reason)
	case !r.due(time.Now(), k.factor):
		return false, nil
	}
	return true, k.early()
}

// earlyError is the error while there is no call after one that failed.
type earlyError struct {
	wait  time.Duration
	cause error // may be nil
}

func (e *earlyError) Error() string {
	s := fmt.Sprintf("patreon: the next refresh is in %s, since the last one has failed", e.wait.Round(time.Second))
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

func (e *earlyError) Unwrap() error { return e.cause }

// early returns an error as long as there must be no call.
func (k *Keeper) early() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if wait := time.Until(k.next); wait > 0 {
		return &earlyError{wait, k.failure}
	}
	return nil
}

// errBusy ends a flight that would have to wait for another process, while there
// is a token that can be used.
var errBusy = errors.New("patreon: another process refreshes the tokens")

// claim writes an intent, once no other process has one that may be in use. It
// returns nil if there is nothing to do. A claim that replaces is about new
// tokens; otherwise it is about those in the record.
func (k *Keeper) claim(ctx context.Context, replaces bool) (*claim, error) {
	contest := contest{key: k.cfg.Key}
	for {
		// Whoever left an intent behind may have left the tokens, too.
		err := k.salvage(ctx)
		var r *record
		var raw []byte
		if err == nil {
			k.at("read the record")
			r, raw, err = k.load(ctx)
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, errGone // others may still wait
		case err != nil:
			k.lookLater(lookEvery)
			return nil, err
		}
		k.remember(r)
		if !replaces {
			if wanted, err := k.wantsRefresh(r); !wanted || err != nil {
				return nil, err
			}
		}
		if wait := k.inUse(r, replaces); wait > 0 {
			if !replaces && !r.Foreign && r.usable(time.Now()) {
				k.lookLater(wait)
				return nil, errBusy
			}
			if !pause(ctx, wait) {
				return nil, errGone
			}
			continue
		}
		c, err := k.intend(ctx, r, raw)
		if c != nil || err != nil {
			if c != nil {
				c.replaces = replaces
			}
			return c, err
		}
		if err := contest.again(ctx); ctx.Err() != nil {
			return nil, errGone
		} else if err != nil {
			k.postpone(0)
			return nil, err
		}
	}
}

// inUse returns how long to wait before the record is looked at again, because
// another process may be calling the token endpoint. Its intent counts as left
// behind when it has stood unchanged for twice the time of a call, by our own
// clock. While it waits for its next call there is none: who has new tokens does
// not wait for it.
func (k *Keeper) inUse(r *record, replaces bool) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r == nil || r.Intent == nil || r.Intent.Holder == k.holder || replaces && r.Intent.Wait > 0 {
		k.alien = alien{}
		return 0
	}
	if k.alien.nonce != r.Nonce {
		k.alien = alien{nonce: r.Nonce, since: time.Now()}
	}
	stood := time.Since(k.alien.since)
	// Who waits for long looks less often.
	often := min(max(100*time.Millisecond, stood/8), 5*time.Second)
	return min(r.Intent.Wait+2*k.cfg.Timeout-stood, often)
}

// intend writes the intent. It returns nil if somebody else was faster.
func (k *Keeper) intend(ctx context.Context, r *record, raw []byte) (*claim, error) {
	next := record{}
	if r != nil {
		next = *r
	}
	begun := time.Now()
	next.Intent = &intent{Holder: k.holder, At: begun.UTC().Round(0), Attempt: 1}
	if r != nil && r.Intent != nil {
		next.Intent.Attempt = r.Intent.Attempt + 1
	}
	k.at("write the intent")
	raw, won, err := k.swap(ctx, raw, &next)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, errGone
	case err != nil:
		k.postpone(0)
		return nil, fmt.Errorf("patreon: the token endpoint is not called, since the new tokens could not be kept: %w", err)
	case !won:
		return nil, nil
	}
	k.at("the intent is written")
	c := &claim{r: &next, raw: raw, begun: begun}
	if r != nil {
		c.before = r.Intent
	}
	return c, nil
}

// call calls the token endpoint, and keeps what comes. Others take the intent
// for left behind at some time: the call has ended by then, even if the process
// was stopped in between.
func (k *Keeper) call(ctx context.Context, c *claim, form url.Values) error {
	ctx = context.WithoutCancel(ctx)
	timed, cancel := context.WithDeadline(ctx, c.begun.Add(k.cfg.Timeout))
	defer cancel()
	k.at("call")
	if timed.Err() != nil {
		return k.failed(ctx, c, fmt.Errorf("patreon: the token endpoint is not called, since the store took %s to take the intent; a faster store is needed, or a longer KeeperConfig.Timeout", time.Since(c.begun).Round(time.Millisecond)))
	}
	begun := time.Now()
	g, err := k.requestGrant(timed, form)
	k.count.seconds.Store(int64(time.Since(begun)))
	k.at("the call has returned")
	if err != nil {
		return k.failed(ctx, c, err)
	}
	k.checkClock(ctx, g)
	return k.keep(ctx, c, g)
}

// checkClock compares the local clock with Patreon's.
func (k *Keeper) checkClock(ctx context.Context, g grant) {
	k.mu.Lock()
	k.skew = g.skew
	k.mu.Unlock()
	if g.skew.Abs() > maxSkew {
		k.log.WarnContext(ctx, "patreon: the local clock is wrong, or Patreon's is", "difference", g.skew.Round(time.Second).String())
	}
}

// failed decides what an error of the token endpoint means. A refusal of the
// token is final. After anything else it is not known whether the token was
// spent; the same one is tried again after a pause, which is all that can be
// done.
func (k *Keeper) failed(ctx context.Context, c *claim, err error) error {
	if errors.Is(err, ErrInvalidGrant) && !c.replaces {
		k.count.result("lost")
		return k.lose(ctx, c, err)
	}
	k.count.result("failed")
	next := *c.r
	if next.Intent = c.before; !c.replaces {
		intent := *c.r.Intent
		intent.Wait = k.postpone(pauseAfter(err))
		next.Intent = &intent
	}
	// If this cannot be written, others wait for less long.
	if _, _, err := k.swap(ctx, c.raw, &next); err != nil {
		k.log.WarnContext(ctx, "patreon: the pause before the next refresh cannot be written", "err", err)
	}
	return err
}

// pauseAfter is how long to wait at least after an error, as far as it says.
func pauseAfter(err error) time.Duration {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return 0
	case e.RetryAfter > 0:
		return e.RetryAfter
	case e.Status >= 400 && e.Status < 500 && e.Status != 408 && e.Status != 429:
		// It will be the same next time, and Patreon shuts out addresses with
		// too many of these.
		return forbearance
	}
	return 0
}

// forbearance is the pause after an answer that blames the request.
const forbearance = 5 * time.Minute

// postpone puts off the next call, and returns for how long: a random part of a
// time that doubles with each failure, or more if that is asked for.
func (k *Keeper) postpone(least time.Duration) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	most := min(k.cfg.Backoff<<min(k.failures, 20), k.cfg.MaxBackoff)
	k.failures++
	wait := k.cfg.Backoff/2 + rand.N(max(most, 1))
	wait = max(wait, min(least, max(k.cfg.MaxBackoff, 0)))
	if least > k.cfg.MaxBackoff { // what the server asks for is honoured
		wait = least
	}
	k.next = time.Now().Add(wait)
	return wait
}

// refusal is a refresh token that Patreon did not take.
type refusal struct {
	refresh string
	reason  string
}

// lose marks the lineage as lost.
func (k *Keeper) lose(ctx context.Context, c *claim, cause error) error {
	k.log.ErrorContext(ctx, "patreon: the lineage of tokens is lost; seed again", "err", cause, "access_until", c.r.ExpiresAt)
	k.mu.Lock()
	k.reminded = time.Now()
	k.refused = refusal{c.r.Refresh, fmt.Sprintf("refresh %d with the token of generation %d: %v", c.r.Intent.Attempt, c.r.Generation, cause)}
	k.mu.Unlock()
	return k.markLost(ctx)
}

// isRefused reports whether Patreon is known not to take the refresh token, and
// the store does not know yet.
func (k *Keeper) isRefused() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.refused.refresh != ""
}

// markLost writes that the lineage is lost, unless there is another refresh
// token in the record by now. While that cannot be written the token is
// remembered as refused: the endpoint must not be asked about it again.
func (k *Keeper) markLost(ctx context.Context) error {
	k.mu.Lock()
	refused := k.refused
	k.mu.Unlock()
	contest := contest{key: k.cfg.Key}
	for {
		r, raw, err := k.load(ctx)
		if err == nil && (r == nil || r.Refresh != refused.refresh || r.Lost != nil) {
			k.forgetRefusal(r)
			if r != nil && r.Lost != nil {
				return fmt.Errorf("%w (%s)", ErrLineageLost, r.Lost.Reason)
			}
			return nil
		}
		if err == nil {
			next := *r
			next.Intent, next.Lost = nil, &lost{At: time.Now().UTC().Round(0), Reason: refused.reason}
			k.at("write that it is lost")
			var won bool
			_, won, err = k.swap(ctx, raw, &next)
			if won {
				k.forgetRefusal(&next)
				return fmt.Errorf("%w (%s)", ErrLineageLost, refused.reason)
			}
			if err == nil {
				err = contest.again(ctx)
			}
		}
		if err != nil {
			k.postpone(0)
			return fmt.Errorf("%w (%s); that cannot be written: %w", ErrLineageLost, refused.reason, err)
		}
	}
}

func (k *Keeper) forgetRefusal(r *record) {
	k.mu.Lock()
	k.refused = refusal{}
	k.mu.Unlock()
	k.remember(r)
}

// pause waits, and reports false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
