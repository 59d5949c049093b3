// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

func TestRunEndsAtOnceWhenThereIsNothingToFinish(t *testing.T) {
	for name, prepare := range map[string]func(r *rig, store *moody){
		"fresh": func(*rig, *moody) {},
		"lost": func(r *rig, _ *moody) {
			r.seed()
			pass(17 * day)
		},
		"a pause": func(r *rig, _ *moody) {
			r.fake.Random(1, 1, patreontest.Fault{Kind: patreontest.ServerError, On: patreontest.OnToken})
			pass(17 * day)
		},
		"no tokens": func(r *rig, _ *moody) { remove(r.t, r) },
		"a store that hangs": func(_ *rig, store *moody) {
			store.mood(func(ctx context.Context, _ func() ([]byte, error)) ([]byte, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}, nil)
			pass(time.Minute)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, store := newMoodyRig(t, patreontest.Config{}, nil)
			r.good()
			prepare(r, store)
			stop := r.run()
			pass(time.Hour)
			begun := time.Now()
			stop()
			if d := time.Since(begun); d > 0 {
				t.Errorf("%s: it took %s", name, d)
			}
			pass(time.Minute) // a look may be under way
		})
	}
}

func TestARefreshThatIsUnderWayAtTheEndIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		first := r.good()
		reached := make(chan struct{})
		r.fake.Next(1, patreontest.Fault{
			Kind: patreontest.Slow, Wait: 10 * time.Second, On: patreontest.OnToken,
			Met: func(*http.Request) { close(reached) },
		})
		stop := r.run()
		<-reached
		begun := time.Now()
		stop()
		if d := time.Since(begun); d > 10*time.Second {
			t.Errorf("it took %s", d)
		}
		r.restart()
		if now := r.good(); now.Generation != first.Generation+1 || r.fake.Stats().Refreshes != 2 {
			t.Errorf("generation %d after %d, %d refreshes", now.Generation, first.Generation, r.fake.Stats().Refreshes)
		}
	})
}

// unsave has a refresh that the store does not take.
func (r *rig) unsave(store *moody) patreon.Token {
	r.t.Helper()
	first := r.good()
	pass(17 * day)
	writes := 0
	store.mood(nil, limitWrites(&writes, 1))
	now := r.good()
	if s := r.Status(); s.State != "unsaved" || now.Generation != first.Generation+1 {
		r.t.Fatalf("%+v", s)
	}
	return now
}

func TestRunStaysForTokensThatAreNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store := newMoodyRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.Backoff = 5 * time.Second })
		now := r.unsave(store)
		stop := r.run()
		pass(time.Second)
		// The store comes back, and is slow. In time is what it takes then.
		store.mood(func(_ context.Context, load func() ([]byte, error)) ([]byte, error) {
			pass(10 * time.Second)
			return load()
		}, func(_ context.Context, swap func() (bool, error)) (bool, error) {
			pass(10 * time.Second)
			return swap()
		})
		begun := time.Now()
		stop()
		if d := time.Since(begun); d < 20*time.Second || d > 30*time.Second {
			t.Errorf("it took %s", d)
		}
		store.mood(nil, nil)
		r.restart()
		if again := r.good(); again.Generation != now.Generation || r.fake.Stats().Refreshes != 2 {
			t.Errorf("generation %d after %d", again.Generation, now.Generation)
		}
		pass(time.Minute) // a look may be under way
	})
}

func TestTokensThatTheStoreNeverTookAreInTheEmergencyFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "emergency")
		r, store := newMoodyRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.EmergencyPath = path })
		now := r.unsave(store)
		stop := r.run()
		pass(time.Hour)
		begun := time.Now()
		stop()
		if d := time.Since(begun); d > 31*time.Second {
			t.Errorf("it took %s", d)
		}
		if !strings.Contains(r.logs.String(), "the process ends with tokens that the store has not taken") {
			t.Error("nobody was told")
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("the file is %v, %v", info, err)
		}
		// The next process, while the store takes nothing still.
		before := r.Keeper
		r.restart()
		if again := r.good(); again != now {
			t.Errorf("%+v after %+v", again, now)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		r.silent("the log", r.logs.String())
		// And once it does.
		store.mood(nil, nil)
		r.restart()
		if again := r.good(); again.Access != now.Access || r.fake.Stats().Refreshes != 2 {
			t.Errorf("%+v after %+v", again, now)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file is still there: %v", err)
		}
		pass(17 * day)
		r.good()
		if s := r.fake.Stats(); s.Refreshes != 3 || s.SpentRefreshTokensUsed != 0 {
			t.Errorf("%d refreshes, %d with a spent token", s.Refreshes, s.SpentRefreshTokensUsed)
		}
		r.Keeper = before // as if it had never ended
		r.good()
	})
}

func TestWithoutAnEmergencyFileTheTokensAreServedAndThatIsTold(t *testing.T) {
	for name, path := range map[string]string{"none": "", "a directory that is not there": "/nonexistent/made-up/emergency"} {
		synctest.Test(t, func(t *testing.T) {
			r, store := newMoodyRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.EmergencyPath = path })
			now := r.unsave(store)
			if !strings.Contains(r.logs.String(), "in memory only") {
				t.Errorf("%s: nobody was told", name)
			}
			for range 100 {
				pass(time.Minute)
				if again := r.good(); again != now {
					t.Errorf("%s: %+v after %+v", name, again, now)
				}
			}
			store.mood(nil, nil)
			pass(2 * time.Minute)
			r.restart()
			r.good()
			if s := r.fake.Stats(); s.Refreshes != 2 || s.SpentRefreshTokensUsed != 0 {
				t.Errorf("%s: %d refreshes, %d with a spent token", name, s.Refreshes, s.SpentRefreshTokensUsed)
			}
		})
	}
}

func TestAnEmergencyFileThatIsNoneIsPutAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "emergency")
		r, store := newMoodyRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.EmergencyPath = path })
		r.unsave(store)
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		store.mood(nil, nil)
		pass(2 * time.Minute)
		r.good()
		pass(17 * day)
		now := r.good() // is newer than the file
		for name, content := range map[string]string{
			"older": string(old), "empty": "", "cut": string(old[:len(old)/2]), "null": "null", "another type": `[1]`, "nothing in it": `{"key":"patreon/token"}`,
			"another client": strings.Replace(string(old), `"client":"client"`, `"client":"other"`, 1),
		} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			calls := r.calls()
			r.restart()
			if again := r.good(); again.Generation != now.Generation || r.calls() != calls {
				t.Errorf("%s: generation %d after %d", name, again.Generation, now.Generation)
			}
			aside, err := os.ReadFile(path + ".unused")
			if err != nil || string(aside) != content {
				t.Errorf("%s: it was not put aside: %q, %v", name, aside, err)
			}
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: it is still there: %v", name, err)
			}
		}
		r.silent("the log", r.logs.String())
	})
}

func TestAnEmergencyFileOfAnotherLineageStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "emergency")
		r, store := newMoodyRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.EmergencyPath = path })
		const other = `{"key":"patreon/other","over":"","record":{"client":"client","refresh_token":"made-up"}}`
		if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
			t.Fatal(err)
		}
		r.unsave(store)
		if there, err := os.ReadFile(path); err != nil || string(there) != other {
			t.Errorf("the file is %q, %v", there, err)
		}
		if !strings.Contains(r.logs.String(), "needs an EmergencyPath of its own") {
			t.Error("nobody was told")
		}
		store.mood(nil, nil)
		pass(2 * time.Minute)
	})
}

// A bubble of synctest does not end well while a goroutine of it is blocked.
func TestNoGoroutineStaysBehind(t *testing.T) {
	for _, kind := range []patreontest.Kind{patreontest.None, patreontest.Slow, patreontest.Hang, patreontest.HangAfter, patreontest.ServerError} {
		synctest.Test(t, func(t *testing.T) {
			r, store := newMoodyRig(t, patreontest.Config{}, nil)
			token := r.good()
			pass(17 * day)
			if kind != patreontest.None {
				r.fake.Next(3, patreontest.Fault{Kind: kind, Wait: 40 * time.Second})
			}
			store.mood(func(ctx context.Context, load func() ([]byte, error)) ([]byte, error) {
				pass(time.Second)
				return load()
			}, nil)
			stop := r.run()
			ctx, cancel := context.WithCancel(t.Context())
			var callers sync.WaitGroup
			for range 20 {
				callers.Go(func() { r.Token(ctx) })
				callers.Go(func() { r.ReportUnauthorized(ctx, token) })
				callers.Go(func() { r.Look(ctx) })
				callers.Go(func() { r.Exchange(ctx, "made-up", redirectURI) })
				callers.Go(func() { r.Seed(ctx, patreon.Seed{Refresh: "made-up"}, false) })
			}
			pass(5 * time.Second)
			cancel()
			callers.Wait()
			stop()
			pass(2 * time.Minute) // a look or a check may be under way
		})
	}
}
