// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// checks is how often it was asked for whom a token is, but for good.
func (r *rig) checks() int { return r.fake.Stats().Requests["GET /api/oauth2/v2/identity"] }

func TestAReportOfAGoodTokenChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		token := r.good()
		calls, checks := r.calls(), r.checks()
		for range 600 {
			if err := r.ReportUnauthorized(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			pass(time.Second)
		}
		if r.calls() != calls || r.checks()-checks > 11 {
			t.Errorf("%d calls, %d checks", r.calls()-calls, r.checks()-checks)
		}
		if again := r.good(); again != token {
			t.Errorf("there is another token: %+v", again)
		}
	})
}

func TestARevokedTokenIsReplacedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		for round := range 3 {
			token := r.good()
			r.fake.Revoke(token.Access.Reveal())
			checks := r.checks()
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					if err := r.ReportUnauthorized(t.Context(), token); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if s := r.fake.Stats(); s.Refreshes != round+2 || s.SpentRefreshTokensUsed != 0 || r.checks()-checks != 1 {
				t.Errorf("%d refreshes, %d checks", s.Refreshes, r.checks()-checks)
			}
			if now := r.good(); now.Generation != token.Generation+1 {
				t.Errorf("generation %d after %d", now.Generation, token.Generation)
			}
			// Who comes late with the old one costs nothing.
			checks = r.checks()
			if err := r.ReportUnauthorized(t.Context(), token); err != nil || r.checks() != checks {
				t.Errorf("a late report: %v", err)
			}
			pass(time.Minute)
		}
	})
}

func TestNothingThatAClientDoesMakesAStorm(t *testing.T) {
	for _, running := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, patreontest.Config{}, nil)
			token := r.good()
			if running {
				defer r.run()()
			}
			r.seed() // ends the lineage, access token and all
			calls, checks := r.calls(), r.checks()
			for range 1000 {
				err := r.ReportUnauthorized(t.Context(), token)
				_, tokenErr := r.Token(t.Context())
				if !errors.Is(err, patreon.ErrLineageLost) || !errors.Is(tokenErr, patreon.ErrLineageLost) {
					t.Fatalf("the errors are %v and %v", err, tokenErr)
				}
				pass(time.Second)
			}
			if r.calls()-calls != 1 || r.checks()-checks != 1 {
				t.Errorf("%d calls, %d checks", r.calls()-calls, r.checks()-checks)
			}
		})
	}
}

func TestAReportDuringARefreshWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		token := r.good()
		pass(17 * day)
		r.fake.Revoke(token.Access.Reveal())
		r.fake.Next(1, patreontest.Fault{Kind: patreontest.Slow, On: patreontest.OnToken, Wait: 10 * time.Second})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { r.Token(t.Context()) })
			all.Go(func() {
				pass(5 * time.Second)
				if err := r.ReportUnauthorized(t.Context(), token); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if now := r.good(); now.Generation != token.Generation+1 {
			t.Errorf("generation %d", now.Generation)
		}
		if s := r.fake.Stats(); s.Refreshes != 2 || s.SpentRefreshTokensUsed != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestACheckThatHangsHoldsNobodyUpForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		token := r.good()
		r.fake.Next(1, patreontest.Fault{Kind: patreontest.Hang, On: patreontest.OnPath("/identity")})
		begun := time.Now()
		if err := r.ReportUnauthorized(t.Context(), token); err != nil {
			t.Errorf("the error is %v", err)
		}
		if d := time.Since(begun); d > 31*time.Second {
			t.Errorf("it took %s", d)
		}
		r.good()
	})
}
