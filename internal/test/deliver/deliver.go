// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package deliver sends an announcement as package syndicate does, without its
// records: until it is confirmed, refused, or nobody can know.
package deliver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"xeiaso.net/site/syndicate"
)

// Attempt returns the first attempt to announce a message.
func Attempt(t testing.TB, target syndicate.Target, m syndicate.Message) syndicate.Attempt {
	t.Helper()
	sum := sha256.Sum256([]byte(m.Post.ID))
	a := syndicate.Attempt{
		Target: "test", ID: m.Post.ID, URL: m.Post.URL, Aliases: m.Post.Aliases, Link: m.Link,
		Key: hex.EncodeToString(sum[:16]), Created: time.Now().UTC().Truncate(time.Millisecond), Number: 1,
	}
	c, ok := target.(syndicate.Composer)
	if !ok {
		t.Fatal("the target composes nothing")
	}
	for range rounds {
		var err error
		if a.Body, err = c.Compose(t.Context(), m); err == nil {
			if len(a.Body) > syndicate.MaxBody {
				t.Fatalf("the body has %d bytes", len(a.Body))
			}
			return a
		}
		if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.NotSent || e.Refused {
			t.Fatalf("compose: %v", err)
		}
		pause(err)
	}
	t.Fatal("it did not come about that the message was composed")
	return a
}

// rounds is after how many requests something is wrong.
const rounds = 1000

// ErrUnknown is returned if nobody can find out whether the announcement is on
// the network.
var ErrUnknown = errors.New("nobody knows")

// Run makes attempts until one is confirmed. Each may take as long as timeout
// says, in which a killed program is one that sends nothing more. It never sends
// again what may be on the network.
func Run(t testing.TB, target syndicate.Target, a syndicate.Attempt, timeout time.Duration) (syndicate.Receipt, error) {
	t.Helper()
	for range rounds {
		receipt, err := once(t.Context(), timeout, func(ctx context.Context) (syndicate.Receipt, error) { return target.Send(ctx, a) })
		a.Number++
		e, _ := errors.AsType[*syndicate.Error](err)
		switch {
		case err == nil:
			return receipt, nil
		case e != nil && e.NotSent && e.Refused:
			return receipt, err
		case e != nil && e.NotSent:
			pause(err)
			continue
		}
		a.Last = time.Now().UTC()
		if receipt, err = reconcile(t, target, a, timeout); !errors.Is(err, syndicate.ErrAbsent) {
			return receipt, err
		}
	}
	t.Fatal("it did not come about that the announcement was confirmed")
	return syndicate.Receipt{}, nil
}

// reconcile asks until the target knows.
func reconcile(t testing.TB, target syndicate.Target, a syndicate.Attempt, timeout time.Duration) (syndicate.Receipt, error) {
	t.Helper()
	r, ok := target.(syndicate.Reconciler)
	if !ok {
		return syndicate.Receipt{}, ErrUnknown
	}
	for range rounds {
		receipt, err := once(t.Context(), timeout, func(ctx context.Context) (syndicate.Receipt, error) { return r.Reconcile(ctx, a) })
		e, _ := errors.AsType[*syndicate.Error](err)
		if err == nil || errors.Is(err, syndicate.ErrAbsent) || e != nil && e.Refused && !e.Everything {
			return receipt, err
		}
		pause(err)
	}
	t.Fatal("it did not come about that the attempt was reconciled")
	return syndicate.Receipt{}, nil
}

func once(ctx context.Context, timeout time.Duration, f func(context.Context) (syndicate.Receipt, error)) (syndicate.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return f(ctx)
}

// pause waits as long as the network wants, or for some seconds.
func pause(err error) {
	wait := 5 * time.Second
	if e, ok := errors.AsType[*syndicate.Error](err); ok && e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	<-time.After(wait)
}
