// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest_test

import (
	"testing"
	"time"

	"xeiaso.net/site/patreon/patreontest"
)

func TestATokenHasItsLimitAndARefreshDoesNotHelp(t *testing.T) {
	r := newRig(t, patreontest.Config{Limits: patreontest.Limits{PerToken: 3}})
	pair := r.fake.Portal(clientID, r.creator)
	for range 3 {
		r.want(r.get(pair.AccessToken, "/identity"), 200)
		r.clock.add(10 * time.Second)
	}
	pair = r.refreshed(pair.RefreshToken)
	a := r.want(r.get(pair.AccessToken, "/identity"), 429)
	if got := at(a.json(t), "errors", 0, "retry_after_seconds"); got != 30. || a.header.Get("Retry-After") != "30" {
		t.Errorf("retry after %v, %s", got, a.header.Get("Retry-After"))
	}
	r.clock.add(30*time.Second - 1)
	r.want(r.get(pair.AccessToken, "/identity"), 429)
	r.clock.add(1)
	r.want(r.get(pair.AccessToken, "/identity"), 200)
	r.fake.SetLimits(patreontest.Limits{})
	r.want(r.get(pair.AccessToken, "/identity"), 200)
}

func TestAClientHasItsLimitWithAllTokens(t *testing.T) {
	r := newRig(t, patreontest.Config{Limits: patreontest.DocumentedLimits()})
	one := r.fake.Portal(clientID, r.creator).AccessToken
	two := r.fake.Portal(clientID, r.fake.AddUser(patreontest.User{})).AccessToken
	for range 50 {
		r.want(r.get(one, "/identity"), 200)
		r.want(r.get(two, "/identity"), 200)
	}
	r.want(r.get(one, "/identity"), 429)
	r.want(r.refresh("refresh"), 429)
	r.clock.add(2 * time.Second)
	r.want(r.get(two, "/identity"), 200)
}

func TestAStormOf401IsBlocked(t *testing.T) {
	r := newRig(t, patreontest.Config{Limits: patreontest.Limits{Unauthorized: 5}})
	token := r.fake.Portal(clientID, r.creator).AccessToken
	for range 5 {
		r.want(r.get("wrong", "/identity"), 401)
	}
	r.want(r.do("GET", r.bare+api+"/identity", token, "", ""), 403)
	r.clock.add(10 * time.Minute)
	r.want(r.get(token, "/identity"), 200)
	if s := r.fake.Stats(); s.Blocked != 1 || s.Unauthorized != 5 {
		t.Errorf("stats %+v", s)
	}
}
