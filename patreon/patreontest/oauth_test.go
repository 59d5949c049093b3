// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest_test

import (
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/patreon/patreontest"
)

// login goes through /oauth2/authorize, and returns the parameters that the
// browser is sent back with.
func (r *rig) login(parameters ...string) url.Values {
	r.t.Helper()
	all := append([]string{"response_type", "code", "client_id", clientID, "redirect_uri", redirect, "scope", "identity campaigns", "state", "st/ate"}, parameters...)
	a := r.want(r.do("GET", r.bare+"/oauth2/authorize"+encode(all), "", "", ""), 302)
	location := a.header.Get("Location")
	if !strings.HasPrefix(location, "http://127.0.0.1:1/callback?") {
		r.t.Fatalf("sent to %s", location)
	}
	target, err := url.Parse(location)
	if err != nil {
		r.t.Fatal(err)
	}
	return target.Query()
}

func exchange(code string, more ...string) url.Values {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect},
		"client_id": {clientID}, "client_secret": {secret},
	}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

func TestALoginGivesAPairOnce(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	r.fake.Login(r.creator)
	back := r.login()
	if back.Get("state") != "st/ate" || back.Get("from") != "patreon" {
		t.Errorf("sent back with %v", back)
	}
	a := r.want(r.token(exchange(back.Get("code"))), 200).json(t)
	if a["token_type"] != "Bearer" || a["expires_in"] != 31*24*3600. || a["scope"] != "identity campaigns" {
		t.Errorf("pair %v", a)
	}
	r.want(r.get(a["access_token"].(string), "/identity"), 200)
	r.want(r.get(a["access_token"].(string), "/webhooks"), 403)
	again := r.want(r.token(exchange(back.Get("code"))), 401)
	if again.body != `{"error":"invalid_grant"}` {
		t.Errorf("answer to a used code: %s", again.body)
	}
}

func TestACodeIsBoundToClientAddressAndTime(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	r.fake.Login(r.creator)
	r.fake.AddClient(patreontest.Client{ID: "other", Secret: secret})
	code := r.login().Get("code")
	r.want(r.token(exchange(code, "client_id", "other")), 401)
	r.want(r.token(exchange(code, "redirect_uri", "http://127.0.0.1:1/callback")), 401)
	r.want(r.token(exchange(code)), 200)
	late := r.login().Get("code")
	r.clock.add(5 * time.Minute)
	r.want(r.token(exchange(late)), 401)
}

func TestALoginCanBeRefused(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	for want, parameters := range map[string][]string{
		"access_denied":             nil,
		"invalid_scope":             {"scope", "identity everything"},
		"unsupported_response_type": {"response_type", "token"},
	} {
		if back := r.login(parameters...); back.Get("error") != want || back.Has("code") {
			t.Errorf("%v: sent back with %v, want %s", parameters, back, want)
		}
	}
	for _, parameters := range [][]string{
		{"response_type", "code", "client_id", "nobody", "redirect_uri", redirect},
		{"response_type", "code", "client_id", clientID, "redirect_uri", "https://evil.example/"},
	} {
		if a := r.want(r.do("GET", r.bare+"/oauth2/authorize"+encode(parameters), "", "", ""), 400); a.header.Get("Location") != "" {
			t.Errorf("%v: sent to %s", parameters, a.header.Get("Location"))
		}
	}
}

func TestTheTokenEndpointWantsAForm(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	pair := r.fake.Portal(clientID, r.creator)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {pair.RefreshToken}, "client_id": {clientID}, "client_secret": {secret}}
	const kind, path = "application/x-www-form-urlencoded", "/api/oauth2/token"
	r.want(r.do("POST", r.bare+path+"?"+form.Encode(), "", kind, ""), 400)
	r.want(r.do("POST", r.bare+path, "", "application/json", form.Encode()), 400)
	r.want(r.do("POST", r.bare+path, "x", kind, form.Encode()), 400)
	r.want(r.do("POST", r.bare+path, "", kind, form.Encode()+"&client_id="+clientID), 400)
	r.want(r.do("POST", r.bare+path, "", kind, form.Encode()+"&audience=x"), 400)
	r.want(r.do("GET", r.bare+path, "", "", ""), 405)
	for name, status := range map[string]int{"client_secret": 401, "client_id": 401, "grant_type": 400, "refresh_token": 401} {
		wrong := url.Values{}
		maps.Copy(wrong, form)
		wrong.Set(name, "wrong")
		r.want(r.token(wrong), status)
		wrong.Del(name)
		if name != "refresh_token" {
			r.want(r.token(wrong), 400)
		}
	}
	r.want(r.token(form), 200)
	if s := r.fake.Stats(); s.Refreshes != 1 || s.InvalidClients != 2 || s.InvalidGrants != 1 || s.SpentRefreshTokensUsed != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestARefreshTokenWorksOnce(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	first := r.fake.Portal(clientID, r.creator)
	second := r.refreshed(first.RefreshToken)
	r.want(r.refresh(first.RefreshToken), 401)
	r.want(r.get(second.AccessToken, "/identity"), 200)
	r.want(r.get(first.AccessToken, "/identity"), 200)
	third := r.refreshed(second.RefreshToken)
	if current, ok := r.fake.Current(clientID, r.creator); !ok || current != third {
		t.Errorf("current pair %v, want %v", current, third)
	}
	s := r.fake.Stats()
	if s.Refreshes != 2 || s.SpentRefreshTokensUsed != 1 || s.InvalidGrants != 1 {
		t.Errorf("stats %+v", s)
	}
	if want := (patreontest.Lineage{Client: clientID, User: r.creator, Refreshes: 2, SpentUsed: 1}); s.Lineages[0] != want {
		t.Errorf("lineage %+v, want %+v", s.Lineages[0], want)
	}
}

func TestAccessTokensEndWithTimeAndWithARefresh(t *testing.T) {
	r := newRig(t, patreontest.Config{TokenLifetime: time.Hour, KillAccess: true})
	first := r.fake.Portal(clientID, r.creator)
	second := r.refreshed(first.RefreshToken)
	if second.ExpiresIn != time.Hour {
		t.Errorf("expires in %s", second.ExpiresIn)
	}
	r.want(r.get(first.AccessToken, "/identity"), 401)
	r.clock.add(time.Hour - time.Second)
	r.want(r.get(second.AccessToken, "/identity"), 200)
	r.clock.add(time.Second)
	doc := r.want(r.get(second.AccessToken, "/identity"), 401).json(t)
	if at(doc, "errors", 0, "code") != 1. || at(doc, "errors", 0, "code_name") != "Unauthorized" || at(doc, "errors", 0, "status") != "401" {
		t.Errorf("error %v", doc)
	}
	third := r.refreshed(second.RefreshToken)
	r.fake.Revoke(third.AccessToken)
	r.want(r.get(third.AccessToken, "/identity"), 401)
	r.refreshed(third.RefreshToken)
	if n := r.fake.Stats().Unauthorized; n != 3 {
		t.Errorf("%d times unauthorized, want 3", n)
	}
}

func TestThePortalAndALoginReplaceThePair(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	r.fake.Login(r.creator)
	first := r.fake.Portal(clientID, r.creator)
	other := r.fake.Portal(clientID, r.fake.AddUser(patreontest.User{}))
	second := r.fake.Portal(clientID, r.creator)
	r.want(r.get(first.AccessToken, "/identity"), 401)
	r.want(r.refresh(first.RefreshToken), 401)
	r.want(r.get(second.AccessToken, "/campaigns"), 200)
	r.want(r.token(exchange(r.login().Get("code"))), 200)
	r.want(r.get(second.AccessToken, "/identity"), 401)
	r.want(r.refresh(second.RefreshToken), 401)
	r.refreshed(other.RefreshToken)
	r.fake.Disconnect(clientID, r.creator)
	if _, ok := r.fake.Current(clientID, r.creator); ok {
		t.Error("a pair works after the client was disconnected")
	}
	if s := r.fake.Stats(); s.SpentRefreshTokensUsed != 0 {
		t.Errorf("a replaced refresh token counts as spent: %+v", s)
	}
}

func TestReuseEndsTheLineageWhereItDoes(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	r.fake.SetRotation(patreontest.KillOnReuse)
	first := r.fake.Portal(clientID, r.creator)
	second := r.refreshed(first.RefreshToken)
	r.want(r.refresh(first.RefreshToken), 401)
	r.want(r.refresh(second.RefreshToken), 401)
	r.want(r.get(second.AccessToken, "/identity"), 401)
}

func TestReuseInTheGraceGivesTheSamePair(t *testing.T) {
	r := newRig(t, patreontest.Config{ReuseGrace: 10 * time.Second})
	r.fake.SetRotation(patreontest.ReuseGrace)
	first := r.fake.Portal(clientID, r.creator)
	second := r.refreshed(first.RefreshToken)
	r.clock.add(9 * time.Second)
	again := r.refreshed(first.RefreshToken)
	if again.RefreshToken != second.RefreshToken || again.AccessToken != second.AccessToken || again.ExpiresIn != second.ExpiresIn-9*time.Second {
		t.Errorf("got %v, want %v", again, second)
	}
	r.clock.add(time.Second)
	r.want(r.refresh(first.RefreshToken), 401)
	r.refreshed(second.RefreshToken)
	if s := r.fake.Stats(); s.Refreshes != 2 || s.SpentRefreshTokensUsed != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestReuseInTheGraceCanGiveAnotherPair(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	r.fake.SetRotation(patreontest.ReuseGraceNew)
	first := r.fake.Portal(clientID, r.creator)
	second := r.refreshed(first.RefreshToken)
	third := r.refreshed(first.RefreshToken)
	if third.RefreshToken == second.RefreshToken {
		t.Error("it is the same pair")
	}
	r.want(r.refresh(second.RefreshToken), 401)
	fourth := r.refreshed(third.RefreshToken)
	// What came of it was used, so nobody waits for it any more.
	r.want(r.refresh(first.RefreshToken), 401)
	r.refreshed(fourth.RefreshToken)
}
