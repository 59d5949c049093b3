// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// stored returns what the store has.
func (r *rig) stored() string {
	r.t.Helper()
	raw, err := r.store.Load(r.t.Context(), "patreon/token")
	if err != nil {
		r.t.Fatal(err)
	}
	return string(raw)
}

func TestAConfiguredSeedIsTakenWhenThereIsNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		first := r.good()
		// There are tokens that work, and the configuration has another seed.
		r.cfg.Seed = patreon.Seed{Refresh: "made-up-refresh-token"}
		r.restart()
		calls, stored := r.calls(), r.stored()
		if again := r.good(); again != first || r.calls() != calls || r.stored() != stored {
			t.Errorf("the seed was taken: %+v", again)
		}
		// They are lost, and the seed is new.
		r.cfg.Seed = r.seed()
		pass(17 * day)
		r.Token(t.Context())
		if s := r.Status(); s.State != "lost" {
			t.Fatalf("%+v", s)
		}
		r.restart()
		if now := r.good(); now.Generation <= first.Generation {
			t.Errorf("generation %d after %d", now.Generation, first.Generation)
		}
		// They are lost again, and the seed was used.
		r.seed()
		pass(40 * day)
		r.Token(t.Context())
		calls = r.calls()
		for range 10 {
			r.restart()
			if _, err := r.Token(t.Context()); !errors.Is(err, patreon.ErrLineageLost) {
				t.Errorf("the error is %v", err)
			}
		}
		if r.calls() != calls {
			t.Errorf("%d calls with a seed that is spent", r.calls()-calls)
		}
	})
}

func TestASeedThatIsNotTakenChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		old := r.cfg.Seed
		r.good()
		calls, stored := r.calls(), r.stored()
		for _, c := range []struct {
			seed  patreon.Seed
			force bool
			want  error
			says  string
		}{
			{patreon.Seed{Refresh: "made-up"}, false, patreon.ErrSeedNotNeeded, "use force"},
			{old, true, patreon.ErrSeedUsed, "get a new pair"},
			{old, false, patreon.ErrSeedUsed, "get a new pair"},
			{patreon.Seed{}, true, nil, "needs the refresh token"},
			{patreon.Seed{Access: "made-up"}, true, nil, "needs the refresh token"},
			{patreon.Seed{Refresh: "made up"}, true, nil, "copied whole"},
			{patreon.Seed{Refresh: "made-up", Access: "made-up\n"}, true, nil, "copied whole"},
		} {
			err := r.Seed(t.Context(), c.seed, c.force)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("force %t: the error is %v", c.force, err)
			}
		}
		if r.calls() != calls || r.stored() != stored {
			t.Errorf("%d calls, and the record is %s", r.calls()-calls, r.stored())
		}
	})
}

func TestASeedThatPatreonDoesNotTakeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		r.good()
		if err := r.Seed(t.Context(), patreon.Seed{Refresh: "made-up"}, true); !errors.Is(err, patreon.ErrLineageLost) {
			t.Errorf("the error is %v", err)
		}
		if err := r.Seed(t.Context(), r.seed(), false); err != nil {
			t.Error(err)
		}
		r.good()
	})
}

func TestASeedForcedIsRefreshedAtOnceThoughAPauseIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		first := r.good()
		pass(17 * day)
		r.fake.Next(1, patreontest.Fault{Kind: patreontest.RateLimitedBody, Wait: 12 * time.Hour, On: patreontest.OnToken})
		r.good()
		if err := r.Seed(t.Context(), r.seed(), true); err != nil {
			t.Fatal(err)
		}
		if now := r.good(); now.Generation != first.Generation+2 {
			t.Errorf("generation %d after %d", now.Generation, first.Generation)
		}
	})
}

func TestTwoProcessesSeedAtTheSameTime(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, patreontest.Config{}, nil)
			other, err := patreon.NewKeeper(r.cfg)
			if err != nil {
				t.Fatal(err)
			}
			byHand := r.cfg
			byHand.Seed = patreon.Seed{}
			third, err := patreon.NewKeeper(byHand)
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for _, k := range []*patreon.Keeper{r.Keeper, other} {
				all.Go(func() {
					if _, err := k.Token(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Go(func() {
				if err := third.Seed(t.Context(), r.cfg.Seed, true); err != nil && !errors.Is(err, patreon.ErrSeedUsed) {
					t.Error(err)
				}
			})
			all.Wait()
			r.good()
			if s := r.fake.Stats(); s.Refreshes != 1 || s.SpentRefreshTokensUsed != 0 {
				t.Errorf("%d refreshes, %d with a spent token", s.Refreshes, s.SpentRefreshTokensUsed)
			}
		})
	}
}

// The answer to a refresh comes when somebody has seeded, and must not take the
// place of the seed.
func TestASeedDuringARefreshStays(t *testing.T) {
	for _, same := range []bool{false, true} {
		for _, kind := range []patreontest.Kind{patreontest.Slow, patreontest.SlowBefore, patreontest.Hang} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, patreontest.Config{}, nil)
				r.good()
				pass(17 * day)
				r.fake.Next(1, patreontest.Fault{Kind: kind, Wait: 10 * time.Second, On: patreontest.OnToken})
				var refresh sync.WaitGroup
				holder := r.Keeper
				refresh.Go(func() { holder.Token(t.Context()) })
				pass(5 * time.Second)
				if !same {
					r.restart()
				}
				if err := r.Seed(t.Context(), r.seed(), true); err != nil {
					t.Error(err)
				}
				refresh.Wait()
				pass(time.Minute)
				now := r.good()
				r.Keeper = holder
				if again := r.good(); again != now {
					t.Errorf("%s: %+v and %+v", kind, again, now)
				}
				if s := r.fake.Stats(); s.SpentRefreshTokensUsed != 0 || r.Status().State != "ok" {
					t.Errorf("%s: %d with a spent token, %+v", kind, s.SpentRefreshTokensUsed, r.Status())
				}
			})
		}
	}
}
