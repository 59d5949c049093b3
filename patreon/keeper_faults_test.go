// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

func TestAProviderThatLiesIsSurvivedOrTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind patreontest.Kind
		wait time.Duration
		most int  // calls in a day
		lost bool // the pair was made, and is nowhere
	}{
		{kind: patreontest.CutBefore, most: 300},
		{kind: patreontest.CutAfter, most: 300, lost: true},
		{kind: patreontest.CutAnswer, most: 300, lost: true},
		{kind: patreontest.Slow, wait: 20 * time.Second, most: 1},
		{kind: patreontest.Hang, most: 300},
		{kind: patreontest.HangAfter, most: 300, lost: true},
		{kind: patreontest.Unauthorized, most: 200},
		{kind: patreontest.UnauthorizedHTML, most: 200},
		{kind: patreontest.Challenge, most: 200},
		{kind: patreontest.Gone, most: 200},
		{kind: patreontest.RateLimitedBody, wait: time.Hour, most: 25},
		{kind: patreontest.RateLimitedHeader, wait: time.Hour, most: 25},
		{kind: patreontest.RateLimitedBare, most: 300},
		{kind: patreontest.ServerError, most: 300},
		{kind: patreontest.ServerErrorAfter, most: 300, lost: true},
		{kind: patreontest.Maintenance, most: 300},
		{kind: patreontest.Truncated, most: 300, lost: true},
		{kind: patreontest.HTMLSuccess, most: 300},
		{kind: patreontest.WrongType, most: 1},
		{kind: patreontest.NullBody, most: 300, lost: true},
		{kind: patreontest.AccessMissing, most: 300, lost: true},
		{kind: patreontest.EchoSecrets, most: 200},
	} {
		for _, running := range []bool{false, true} {
			t.Run(fmt.Sprint(c.kind, " ", running), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.ClientSecret = "s+cr/t & client" })
					r.fake.AddClient(patreontest.Client{ID: "client", Secret: "s+cr/t & client"})
					token := r.good()
					fault := patreontest.Fault{Kind: c.kind, Wait: c.wait, On: patreontest.OnToken}
					stop := func() {}
					if running {
						stop = r.run()
					}
					r.lie(fault, c.most)
					r.recover(token, c.lost, stop)
				})
			})
		}
	}
}

// lie has a fault last for a day, in which there is a refresh due.
func (r *rig) lie(fault patreontest.Fault, most int) {
	r.t.Helper()
	r.fake.Random(1, 1, fault)
	calls := r.calls()
	r.edit(func(fields map[string]any) { // due now, and usable
		fields["issued_at"] = time.Now().Add(-20 * day)
		fields["expires_at"] = time.Now().Add(11 * day)
	})
	pass(11 * time.Second)
	texts := map[string]bool{} // most are the same
	for range 24 * 12 {
		now, err := r.Token(r.t.Context())
		if err != nil {
			r.t.Fatalf("the token that is known is not given out: %v", err)
		}
		texts[fmt.Sprintf("%+v %v", now, now)] = true
		pass(5 * time.Minute)
	}
	n := r.calls() - calls
	if n < 1 || n > most {
		r.t.Errorf("%d calls in a day", n)
	}
	status := r.Status()
	told, _ := json.Marshal(status)
	texts[string(told)], texts[fmt.Sprintf("%+v", r.Keeper)], texts[r.logs.String()] = true, true, true
	for text := range texts {
		r.silent("a text", text)
	}
}

// recover sees what there is after a day of faults.
func (r *rig) recover(token patreon.Token, lost bool, stop func()) {
	r.t.Helper()
	r.fake.ClearFaults()
	spent := r.fake.Stats().SpentRefreshTokensUsed
	pass(61 * time.Minute)
	stop()
	if !lost {
		r.good()
		pass(time.Minute)
		if now := r.good(); now.Generation != token.Generation+1 || spent != 0 || r.Status().Problem != "" {
			r.t.Errorf("generation %d after %d, %d spent tokens used, %+v", now.Generation, token.Generation, spent, r.Status())
		}
		return
	}
	r.good() // the old one, as long as it lasts
	pass(12 * day)
	if _, err := r.Token(r.t.Context()); !errors.Is(err, patreon.ErrLineageLost) {
		r.t.Errorf("the error is %v", err)
	} else {
		r.silent("the error", err.Error())
	}
	if s := r.Status(); s.State != "lost" || s.LostReason == "" {
		r.t.Errorf("%+v", s)
	}
	if err := r.Seed(r.t.Context(), r.seed(), false); err != nil {
		r.t.Fatal(err)
	}
	r.good()
}

func TestARefusalThatIsALieIsFinalAndCostsOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		r.good()
		pass(17 * day)
		calls := r.calls()
		r.fake.Next(1, patreontest.Fault{Kind: patreontest.InvalidGrant, On: patreontest.OnToken})
		for range 1000 {
			r.good()
			pass(time.Minute)
		}
		if s := r.Status(); s.State != "lost" || r.calls() != calls+1 {
			t.Errorf("%d calls, %+v", r.calls()-calls, s)
		}
	})
}

func TestTokensWithoutARefreshTokenAreUsedAndThenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		r.good()
		pass(17 * day)
		r.fake.Next(1, patreontest.Fault{Kind: patreontest.RefreshMissing, On: patreontest.OnToken})
		r.good()
		if s := r.Status(); s.State != "ok" || s.Generation != 3 {
			t.Errorf("%+v", s)
		}
		pass(17 * day)
		r.good()
		if s := r.Status(); s.State != "lost" {
			t.Errorf("%+v", s)
		}
	})
}

func TestARefusalThatCannotBeWrittenIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store := newMoodyRig(t, patreontest.Config{}, nil)
		r.good()
		pass(17 * day)
		r.seed()
		writes := 0
		store.mood(nil, limitWrites(&writes, 1))
		calls := r.calls()
		for range 24 * 60 {
			r.Token(t.Context())
			pass(time.Minute)
		}
		if n := r.calls() - calls; n != 1 {
			t.Errorf("%d calls", n)
		}
		store.mood(nil, nil)
		pass(16 * time.Minute)
		r.Token(t.Context())
		if s := r.Status(); s.State != "lost" || r.calls()-calls != 1 {
			t.Errorf("%d calls, %+v", r.calls()-calls, s)
		}
	})
}
