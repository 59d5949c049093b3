// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// patience is how long to wait before a further try.
type patience struct {
	least, most time.Duration
	// retryAfter is the longest wait that a server may ask for.
	retryAfter time.Duration
}

// backoff returns a wait, with the full range of chance: many clients that have
// failed at the same moment must not come back at the same moment.
func (p patience) backoff(try int) time.Duration {
	limit := p.most
	if try < 32 { // beyond, it would overflow
		if shifted := p.least << try; shifted > 0 && shifted < limit && shifted>>try == p.least {
			limit = shifted
		}
	}
	return rand.N(limit + 1)
}

// passing reports whether the same request may succeed later.
func passing(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if errors.Is(e, ErrLineageLost) || errors.Is(e, ErrNoTokens) { // somebody has to seed first
			return false
		}
		return errors.Is(e, ErrRateLimited) || errors.Is(e, ErrUnavailable)
	}
	// Otherwise there was no answer, or not all of one; unless there was no token,
	// and then the source has tried what it can.
	_, noToken := errors.AsType[*tokenError](err)
	return !noToken
}

// wait waits before a further try. If that makes no sense, it returns the error
// of the last one.
func (c *Client) wait(ctx context.Context, r request, try int, last error) error {
	wait := c.patience.backoff(try)
	if e, ok := errors.AsType[*Error](last); ok && e.RetryAfter > 0 {
		if e.RetryAfter > c.patience.retryAfter {
			return last
		}
		// All who were told the same time would come at the same moment.
		wait = e.RetryAfter + wait/4
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return last
	}
	c.log.DebugContext(ctx, "patreon: request failed and is tried again", "request", r.name(), "try", try+1, "wait", wait.String(), "err", last)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w; gave up waiting: %w", last, context.Cause(ctx))
	}
}
