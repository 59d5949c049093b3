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

// live asks for tokens for some days, with and without Run.
func (r *rig) live(days int) {
	r.t.Helper()
	for range days * 24 {
		pass(time.Hour)
		r.good()
	}
}

func TestAClockThatIsSetMakesNoStorm(t *testing.T) {
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
				calls := r.calls()
				r.live(40)
				if n := r.calls() - calls; n < 2 || n > 4 || r.fake.Stats().SpentRefreshTokensUsed != 0 {
					t.Errorf("a clock that was set by %s, running %t: %d refreshes in 40 days", -by, running, n)
				}
			})
		}
	}
}

func TestTimesThatAreOddMeanNeitherForEverNorAStorm(t *testing.T) {
	for name, change := range map[string]func(fields map[string]any){
		"no times":       func(f map[string]any) { delete(f, "issued_at"); delete(f, "expires_at") },
		"no issue":       func(f map[string]any) { delete(f, "issued_at") },
		"no end":         func(f map[string]any) { delete(f, "expires_at") },
		"the end of all": func(f map[string]any) { f["expires_at"] = "9999-12-31T23:59:59Z" },
		"swapped":        func(f map[string]any) { f["issued_at"], f["expires_at"] = f["expires_at"], f["issued_at"] },
		"far apart":      func(f map[string]any) { f["issued_at"], f["expires_at"] = "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z" },
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

func TestALifetimeThatIsNotToldIsShort(t *testing.T) {
	for kind, most := range map[patreontest.Kind]int{
		patreontest.ExpiresMissing: 40 * 52, patreontest.ExpiresZero: 40 * 52, patreontest.ExpiresNegative: 40 * 52,
		patreontest.ExpiresString: 4,
	} {
		for _, running := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, patreontest.Config{}, nil)
				r.fake.Random(1, 1, patreontest.Fault{Kind: kind, On: patreontest.OnToken})
				r.good()
				if running {
					defer r.run()()
				}
				r.live(40)
				if n := r.calls(); n < 3 || n > most {
					t.Errorf("%s: %d refreshes in 40 days", kind, n)
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
