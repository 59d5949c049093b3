// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

const day = 24 * time.Hour

// shift moves the times in the record, as a clock that is set does.
func (r *rig) shift(by time.Duration) {
	r.t.Helper()
	r.edit(func(fields map[string]any) {
		for _, name := range []string{"issued_at", "expires_at"} {
			at, err := time.Parse(time.RFC3339Nano, fields[name].(string))
			if err != nil {
				r.t.Fatal(err)
			}
			fields[name] = at.Add(by)
		}
	})
}

// live asks for tokens for some days.
func (r *rig) live(days int) {
	r.t.Helper()
	for range days * 12 {
		pass(2 * time.Hour)
		r.good()
	}
}

func TestAClockThatIsSetMakesNoStorm(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} {
		for _, by := range []time.Duration{-time.Hour, time.Hour, 40 * day, -40 * day, 400 * day, -time.Minute, time.Minute, 100 * 365 * day} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, patreontest.Config{}, nil)
				r.good()
				if running {
					defer r.run()()
				}
				pass(day)
				// The record is as from before the clock was set by the opposite.
				r.shift(by)
				calls, days, least, most := r.calls(), 40, 2, 4
				if running { // Run looks at the store so often that this takes its time
					days, least, most = 2, 0, 1
				}
				r.live(days)
				if n := r.calls() - calls; n < least || n > most || r.fake.Stats().SpentRefreshTokensUsed != 0 {
					t.Errorf("a clock that was set by %s, running %t: %d refreshes in %d days", -by, running, n, days)
				}
			})
		}
	}
}

func TestTimesThatAreOddMeanNeitherForEverNorAStorm(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(fields map[string]any){
		"no times": func(f map[string]any) { delete(f, "issued_at"); delete(f, "expires_at") },
		"no issue": func(f map[string]any) { delete(f, "issued_at") },
		"no end":   func(f map[string]any) { delete(f, "expires_at") },
		"swapped":  func(f map[string]any) { f["issued_at"], f["expires_at"] = f["expires_at"], f["issued_at"] },
		"far apart": func(f map[string]any) {
			f["issued_at"], f["expires_at"] = "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, patreontest.Config{}, nil)
			r.good()
			r.edit(change)
			pass(time.Minute)
			r.live(250)
			if n := r.calls(); n < 10 || n > 20 {
				t.Errorf("%s: %d refreshes in 250 days", name, n)
			}
		})
	}
}

// Nothing tells that such a record lies but Patreon, and then it can be told.
func TestATokenThatIsSaidToLastForEverIsRefreshedWithinHalfAYear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{TokenLifetime: 400 * day}, nil)
		forEver := func(f map[string]any) { f["expires_at"] = "9999-12-31T23:59:59Z" }
		r.good()
		r.edit(forEver)
		pass(time.Minute)
		calls := r.calls()
		r.live(200)
		if n := r.calls() - calls; n != 1 {
			t.Errorf("%d refreshes in 200 days", n)
		}
		r.edit(forEver)
		pass(time.Minute)
		token, err := r.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.fake.Revoke(token.Access.Reveal())
		if err := r.ReportUnauthorized(t.Context(), token); err != nil {
			t.Error(err)
		}
		r.good()
	})
}

func TestALifetimeThatIsNotToldIsShort(t *testing.T) {
	t.Parallel()
	const short = 52 // calls in a day, if a token lasts for an hour
	for kind, perDay := range map[patreontest.Kind]int{
		patreontest.ExpiresMissing: short, patreontest.ExpiresZero: short, patreontest.ExpiresNegative: short,
		patreontest.ExpiresString: 0,
	} {
		for running, days := range map[bool]int{false: 40, true: 2} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, patreontest.Config{}, nil)
				r.fake.Random(1, 1, patreontest.Fault{Kind: kind, On: patreontest.OnToken})
				r.good()
				if running {
					defer r.run()()
				}
				r.live(days)
				// The first is that of the seed.
				if n, least, most := r.calls()-1, days/20+days*perDay/5, days/14+days*perDay; n < least || n > most {
					t.Errorf("%s, running %t: %d refreshes in %d days, want %d to %d", kind, running, n, days, least, most)
				}
				token := r.good()
				if left := time.Until(token.Expires); left <= 0 || left > 31*day {
					t.Errorf("%s: the token lasts for %s", kind, left)
				}
			})
		}
	}
}

func TestAClockThatIsWrongIsTold(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, time.Hour, 40 * day, 0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) {
				next := c.HTTPClient.Transport
				c.HTTPClient = &http.Client{Transport: transport(func(req *http.Request) (*http.Response, error) {
					resp, err := next.RoundTrip(req)
					if err == nil {
						resp.Header.Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
					}
					return resp, err
				})}
			})
			token := r.good()
			if s := r.Status(); (s.ClockSkew - skew).Abs() > time.Second {
				t.Errorf("a skew of %s is told as %s", skew, s.ClockSkew)
			}
			if told := strings.Contains(r.logs.String(), "the local clock is wrong"); told != (skew.Abs() > 5*time.Minute) {
				t.Errorf("a skew of %s: told %t", skew, told)
			}
			if left := time.Until(token.Expires); left != 31*day {
				t.Errorf("the token lasts for %s", left)
			}
		})
	}
}

// transport is a function that answers requests.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAPauseIsNotToldOfWithinItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		r.good()
		r.fake.Random(1, 1, patreontest.Fault{Kind: patreontest.ServerError, On: patreontest.OnToken})
		pass(40 * day)
		longest := 0
		for range 1000 {
			_, err := r.Token(t.Context())
			if !errors.Is(err, patreon.ErrUnavailable) {
				t.Fatalf("the error is %v", err)
			}
			longest = max(longest, len(err.Error()), len(r.Status().Problem))
			pass(100 * time.Millisecond)
		}
		if longest > 500 {
			t.Errorf("an error of %d bytes", longest)
		}
	})
}
