// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// moody is a store that does what a test has it do in place of what it should.
type moody struct {
	patreon.Store

	mu     sync.Mutex // guards what follows
	onLoad func(ctx context.Context, load func() ([]byte, error)) ([]byte, error)
	onSwap func(ctx context.Context, swap func() (bool, error)) (bool, error)
	loads  int
}

func (m *moody) Load(ctx context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	m.loads++
	on := m.onLoad
	m.mu.Unlock()
	load := func() ([]byte, error) { return m.Store.Load(ctx, key) }
	if on == nil {
		return load()
	}
	return on(ctx, load)
}

func (m *moody) Swap(ctx context.Context, key string, old, new []byte) (bool, error) {
	m.mu.Lock()
	on := m.onSwap
	m.mu.Unlock()
	swap := func() (bool, error) { return m.Store.Swap(ctx, key, old, new) }
	if on == nil {
		return swap()
	}
	return on(ctx, swap)
}

// mood changes what the store does.
func (m *moody) mood(onLoad func(context.Context, func() ([]byte, error)) ([]byte, error), onSwap func(context.Context, func() (bool, error)) (bool, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onLoad, m.onSwap = onLoad, onSwap
}

func (m *moody) reads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.loads
}

func newMoodyRig(t *testing.T, fake patreontest.Config, edit func(*patreon.KeeperConfig)) (*rig, *moody) {
	m := &moody{}
	r := newRig(t, fake, func(c *patreon.KeeperConfig) {
		m.Store = c.Store
		c.Store = m
		if edit != nil {
			edit(c)
		}
	})
	return r, m
}

type (
	loadMood = func(context.Context, func() ([]byte, error)) ([]byte, error)
	swapMood = func(context.Context, func() (bool, error)) (bool, error)
)

func TestAStoreThatTakesNothingCostsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		load loadMood
		swap swapMood
		says string
	}{
		"full":      {nil, func(context.Context, func() (bool, error)) (bool, error) { return false, syscall.ENOSPC }, "no space left"},
		"read-only": {nil, func(context.Context, func() (bool, error)) (bool, error) { return false, syscall.EROFS }, "read-only"},
		"conflicts": {nil, func(context.Context, func() (bool, error)) (bool, error) { return false, nil }, "see who else uses it"},
		"hangs": {
			func(ctx context.Context, _ func() ([]byte, error)) ([]byte, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
			func(ctx context.Context, _ func() (bool, error)) (bool, error) {
				<-ctx.Done()
				return false, ctx.Err()
			},
			"deadline exceeded",
		},
		"writes hang": {nil, func(ctx context.Context, _ func() (bool, error)) (bool, error) {
			<-ctx.Done()
			return false, ctx.Err()
		}, "deadline exceeded"},
		"unreadable":    {func(context.Context, func() ([]byte, error)) ([]byte, error) { return nil, syscall.EIO }, nil, "input/output error"},
		"damaged":       {func(context.Context, func() ([]byte, error)) ([]byte, error) { return []byte(`{"access_token":`), nil }, nil, "repair it, or remove it and seed again"},
		"nothing in it": {func(context.Context, func() ([]byte, error)) ([]byte, error) { return []byte("null"), nil }, nil, "repair it, or remove it and seed again"},
		"another client": {func(_ context.Context, load func() ([]byte, error)) ([]byte, error) {
			raw, err := load()
			return []byte(strings.Replace(string(raw), `"client":"client"`, `"client":"other"`, 1)), err
		}, nil, "seed again under another key, or remove it"},
	} {
		for _, running := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { takesNothing(t, c.load, c.swap, c.says, running) })
			})
		}
	}
}

func takesNothing(t *testing.T, load loadMood, swap swapMood, says string, running bool) {
	r, store := newMoodyRig(t, patreontest.Config{TokenLifetime: 48 * time.Hour}, nil)
	token := r.good()
	if running {
		defer r.run()()
	}
	pass(18 * time.Hour)
	store.mood(load, swap)
	calls, reads, logs := r.calls(), store.reads(), strings.Count(r.logs.String(), "\n")
	for range 18 { // the refresh is due in this time
		pass(time.Hour)
		if again, err := r.Token(t.Context()); err != nil || again != token {
			t.Fatalf("the token that is known is not given out: %v", err)
		}
	}
	if s := r.Status(); !strings.Contains(s.Problem, says) {
		t.Errorf("the problem is %q", s.Problem)
	}
	if n := strings.Count(r.logs.String(), "\n") - logs; n > 18*60+100 {
		t.Errorf("%d lines in the log", n)
	}
	if n := store.reads() - reads; n > 18*60*5 {
		t.Errorf("%d reads", n)
	}
	pass(13 * time.Hour)
	_, err := r.Token(t.Context())
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("when the token has ended, the error is %v", err)
	}
	if r.calls() != calls {
		t.Errorf("the endpoint was called %d times, and what comes cannot be kept", r.calls()-calls)
	}
	store.mood(nil, nil)
	pass(16 * time.Minute)
	if now := r.good(); now.Generation != token.Generation+1 || r.calls() != calls+1 {
		t.Errorf("generation %d after %d calls", now.Generation, r.calls()-calls)
	}
	if s := r.Status(); s.State != "ok" || s.Problem != "" {
		t.Errorf("the status is %+v", s)
	}
	r.silent("the log", r.logs.String())
}

func TestAStoreThatDoesNotEvenListenHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store := newMoodyRig(t, patreontest.Config{}, nil)
		token := r.good()
		release := make(chan struct{})
		store.mood(func(_ context.Context, load func() ([]byte, error)) ([]byte, error) {
			<-release
			return load()
		}, nil)
		begun := time.Now()
		for range 100 {
			pass(time.Minute)
			if again, err := r.Token(context.Background()); err != nil || again != token {
				t.Fatal(err)
			}
		}
		if late := time.Since(begun) - 100*time.Minute; late > 100*time.Second {
			t.Errorf("callers waited for %s", late)
		}
		close(release)
	})
}

func TestAWriteThatErrsThoughItWroteIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store := newMoodyRig(t, patreontest.Config{}, nil)
		store.mood(nil, func(_ context.Context, swap func() (bool, error)) (bool, error) {
			won, err := swap()
			if won {
				return false, errors.Join(err, syscall.EIO)
			}
			return won, err
		})
		for generation := range 5 {
			r.good()
			if s := r.fake.Stats(); s.Refreshes != generation+1 || s.SpentRefreshTokensUsed != 0 {
				t.Errorf("%+v", s)
			}
			pass(17 * 24 * time.Hour)
		}
	})
}

func TestAWriteThatComesThroughLateIsNotDoneTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store := newMoodyRig(t, patreontest.Config{}, nil)
		first := r.good()
		pass(17 * 24 * time.Hour)
		writes := 0
		store.mood(nil, func(_ context.Context, swap func() (bool, error)) (bool, error) {
			if writes++; writes != 2 {
				return swap()
			}
			// The tokens: first it seems that they were not written.
			time.AfterFunc(200*time.Millisecond, func() { swap() })
			return false, syscall.EIO
		})
		if now := r.good(); now.Generation != first.Generation+1 {
			t.Errorf("generation %d", now.Generation)
		}
		pass(time.Hour)
		if now := r.good(); now.Generation != first.Generation+1 || r.Status().State != "ok" || r.Status().Problem != "" {
			t.Errorf("generation %d, %+v", now.Generation, r.Status())
		}
	})
}

func TestASlowStoreIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store := newMoodyRig(t, patreontest.Config{}, nil)
		first := r.good()
		const delay = 10 * time.Second
		store.mood(func(_ context.Context, load func() ([]byte, error)) ([]byte, error) {
			pass(delay)
			return load()
		}, func(_ context.Context, swap func() (bool, error)) (bool, error) {
			pass(delay)
			return swap()
		})
		pass(time.Minute)
		begun := time.Now()
		r.good()
		if wait := time.Since(begun); wait > 2*time.Second {
			t.Errorf("a good token took %s", wait)
		}
		pass(17 * 24 * time.Hour)
		if now := r.good(); now.Generation != first.Generation+1 {
			t.Errorf("generation %d", now.Generation)
		}
		if s := r.fake.Stats(); s.Refreshes != 2 || s.SpentRefreshTokensUsed != 0 || r.Status().State != "ok" {
			t.Errorf("%+v, %+v", s, r.Status())
		}
		pass(time.Minute) // a look may be under way
	})
}

func TestAnIntentThatTookTooLongIsNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store := newMoodyRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.Timeout = 5 * time.Second })
		r.good()
		pass(17 * 24 * time.Hour)
		store.mood(nil, func(_ context.Context, swap func() (bool, error)) (bool, error) {
			pass(6 * time.Second) // others may take the intent for left behind
			return swap()
		})
		calls := r.calls()
		r.good()
		if s := r.Status(); r.calls() != calls || !strings.Contains(s.Problem, "a faster store is needed") {
			t.Errorf("%d calls, %+v", r.calls()-calls, s)
		}
	})
}

func TestARecordThatIsRemovedIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		seed := r.cfg.Seed
		r.cfg.Seed = patreon.Seed{}
		r.restart()
		if _, err := r.Token(t.Context()); !errors.Is(err, patreon.ErrNoTokens) || !strings.Contains(err.Error(), "seed them") {
			t.Errorf("without tokens the error is %v", err)
		}
		if err := r.Seed(t.Context(), seed, false); err != nil {
			t.Fatal(err)
		}
		r.good()
		remove(t, r)
		pass(time.Minute)
		calls := r.calls()
		if _, err := r.Token(t.Context()); !errors.Is(err, patreon.ErrNoTokens) {
			t.Errorf("the error is %v", err)
		}
		if s := r.Status(); s.State != "none" || r.calls() != calls {
			t.Errorf("%d calls, %+v", r.calls()-calls, s)
		}
		if err := r.Seed(t.Context(), r.seed(), false); err != nil {
			t.Fatal(err)
		}
		r.good()
	})
}

func remove(t testing.TB, r *rig) {
	t.Helper()
	raw, err := r.store.Load(t.Context(), "patreon/token")
	if err != nil {
		t.Fatal(err)
	}
	if won, err := r.store.Swap(t.Context(), "patreon/token", raw, nil); !won || err != nil {
		t.Fatal(won, err)
	}
}

func TestTokensThatComeWhenTheRecordWasRemovedAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		first := r.good()
		pass(17 * 24 * time.Hour)
		r.fake.Next(1, patreontest.Fault{Kind: patreontest.Slow, On: patreontest.OnToken, Wait: 10 * time.Second})
		time.AfterFunc(5*time.Second, func() { remove(t, r) })
		if now := r.good(); now.Generation != first.Generation+1 {
			t.Errorf("generation %d", now.Generation)
		}
		r.restart()
		r.good()
		if s := r.fake.Stats(); s.Refreshes != 2 || s.SpentRefreshTokensUsed != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestADamageDuringARefreshCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "emergency")
		r, store := newMoodyRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.EmergencyPath = path })
		first := r.good()
		pass(17 * 24 * time.Hour)
		r.fake.Next(1, patreontest.Fault{Kind: patreontest.Slow, On: patreontest.OnToken, Wait: 10 * time.Second})
		time.AfterFunc(5*time.Second, func() {
			store.mood(func(context.Context, func() ([]byte, error)) ([]byte, error) { return []byte("{"), nil }, nil)
		})
		if now := r.good(); now.Generation != first.Generation+1 {
			t.Errorf("generation %d", now.Generation)
		}
		if s := r.Status(); s.State != "unsaved" || !strings.Contains(s.Problem, "repair it") {
			t.Errorf("%+v", s)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("the emergency file: %v, %v", info, err)
		}
		store.mood(nil, nil)
		pass(2 * time.Minute)
		if s := r.Status(); s.State != "ok" || s.Problem != "" {
			t.Errorf("%+v", s)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the emergency file is still there: %v", err)
		}
		r.silent("the log", r.logs.String())
	})
}

func TestASlowStoreIsNoRiskForNewTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "emergency")
		r, store := newMoodyRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.EmergencyPath = path })
		first := r.good()
		pass(17 * 24 * time.Hour)
		writes := 0
		store.mood(nil, func(_ context.Context, swap func() (bool, error)) (bool, error) {
			if writes++; writes == 2 { // the first is the intent
				pass(10 * time.Second)
			}
			return swap()
		})
		var there atomic.Bool
		time.AfterFunc(5*time.Second, func() {
			_, err := os.Stat(path)
			there.Store(err == nil)
		})
		if now := r.good(); now.Generation != first.Generation+1 {
			t.Errorf("generation %d", now.Generation)
		}
		pass(time.Minute)
		if !there.Load() {
			t.Error("while the store was slow, the new tokens were in memory only")
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the emergency file is still there: %v", err)
		}
	})
}

// limitWrites lets so many writes through.
func limitWrites(writes *int, limit int) swapMood {
	return func(_ context.Context, swap func() (bool, error)) (bool, error) {
		if *writes++; *writes > limit {
			return false, syscall.ENOSPC
		}
		return swap()
	}
}

// everyOtherRead lets every other read through.
func everyOtherRead(reads *int) loadMood {
	return func(_ context.Context, load func() ([]byte, error)) ([]byte, error) {
		if *reads++; *reads%2 == 0 {
			return nil, syscall.EIO
		}
		return load()
	}
}

func TestAStoreThatIsReadNowAndThenMakesNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store := newMoodyRig(t, patreontest.Config{}, nil)
		r.good()
		pass(17 * day)
		n := 0
		store.mood(everyOtherRead(&n), nil)
		reads := store.reads()
		for range 600 {
			r.good()
			pass(100 * time.Millisecond)
		}
		if n := store.reads() - reads; n > 20 {
			t.Errorf("%d reads in a minute", n)
		}
		logs := strings.Count(r.logs.String(), "\n")
		stop := r.run()
		pass(6 * time.Hour)
		stop()
		if n := strings.Count(r.logs.String(), "\n") - logs; n > 6*60+10 {
			t.Errorf("%d lines in the log in 6 hours", n)
		}
		if s := r.fake.Stats(); s.Refreshes != 1 {
			t.Errorf("%d refreshes", s.Refreshes)
		}
	})
}

func TestARefreshThatIsPutOffHidesNoNewerTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		r.good()
		other, err := patreon.NewKeeper(r.cfg)
		if err != nil {
			t.Fatal(err)
		}
		pass(17 * day)
		r.fake.Next(1, patreontest.Fault{Kind: patreontest.ServerError, On: patreontest.OnToken})
		stop := r.run() // fails at once, and waits for a minute
		defer stop()
		pass(5 * time.Second)
		if err := other.Seed(t.Context(), r.seed(), true); err != nil {
			t.Fatal(err)
		}
		pass(11 * time.Second)
		r.good()
	})
}
