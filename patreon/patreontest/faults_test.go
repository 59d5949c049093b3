// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/patreon/patreontest"
)

func TestFaultsAtTheTokenEndpoint(t *testing.T) {
	for _, tt := range []struct {
		kind   patreontest.Kind
		status int // 0: there is no answer that can be read
		done   bool
		body   string // a part of it
	}{
		{patreontest.CutBefore, 0, false, ""},
		{patreontest.CutAfter, 0, true, ""},
		{patreontest.CutAnswer, 0, true, ""},
		{patreontest.Unauthorized, 401, false, `"code":1,`},
		{patreontest.UnauthorizedHTML, 401, false, "<html"},
		{patreontest.Challenge, 403, false, "<html"},
		{patreontest.Gone, 410, false, `"status":"410"`},
		{patreontest.RateLimitedBody, 429, false, `"retry_after_seconds":9`},
		{patreontest.RateLimitedHeader, 429, false, ""},
		{patreontest.RateLimitedBare, 429, false, ""},
		{patreontest.ServerError, 500, false, `"errors":`},
		{patreontest.ServerErrorAfter, 500, true, `"errors":`},
		{patreontest.Maintenance, 503, false, "<html"},
		{patreontest.Truncated, 200, true, `{"access_token":`},
		{patreontest.HTMLSuccess, 200, false, "<html"},
		{patreontest.WrongType, 200, true, `"refresh_token":`},
		{patreontest.NullBody, 200, true, `null`},
		{patreontest.InvalidGrant, 401, false, `{"error":"invalid_grant"}`},
		{patreontest.ExpiresMissing, 200, true, `","refresh_token"`},
		{patreontest.ExpiresZero, 200, true, `"expires_in":0,`},
		{patreontest.ExpiresNegative, 200, true, `"expires_in":-1,`},
		{patreontest.ExpiresString, 200, true, `"expires_in":"2678400"`},
		{patreontest.RefreshMissing, 200, true, `2678400,"scope"`},
		{patreontest.AccessMissing, 200, true, `{"expires_in"`},
		{patreontest.EchoSecrets, 400, false, secret},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			r := newRig(t, patreontest.Config{})
			pair := r.fake.Portal(clientID, r.creator)
			r.fake.Next(1, patreontest.Fault{Kind: tt.kind, On: patreontest.OnToken, Wait: 9 * time.Second})
			r.want(r.get(pair.AccessToken, "/identity"), 200)
			a := r.refresh(pair.RefreshToken)
			if a.status != tt.status && (tt.status != 0 || a.err == nil) || !strings.Contains(a.body, tt.body) {
				t.Errorf("answer %+v, want %d with %s", a, tt.status, tt.body)
			}
			if (a.err == nil) != (tt.status != 0) {
				t.Errorf("error %v", a.err)
			}
			if now, _ := r.fake.Current(clientID, r.creator); now != pair != tt.done {
				t.Errorf("refreshed %t, want %t", now != pair, tt.done)
			}
			if n := r.fake.Met()[tt.kind]; n != 1 {
				t.Errorf("met %d times", n)
			}
			current, _ := r.fake.Current(clientID, r.creator)
			r.refreshed(current.RefreshToken) // the fault is over
		})
	}
}

func TestRetryAfterStandsWhereItIsTold(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	pair := r.fake.Portal(clientID, r.creator)
	for kind, want := range map[patreontest.Kind]string{
		patreontest.RateLimitedBody: "", patreontest.RateLimitedHeader: "90", patreontest.RateLimitedBare: "",
	} {
		r.fake.Next(1, patreontest.Fault{Kind: kind, On: patreontest.OnPath("/identity"), Wait: 90 * time.Second})
		a := r.want(r.do("GET", r.bare+api+"/identity", pair.AccessToken, "", ""), 429)
		if got := a.header.Get("Retry-After"); got != want {
			t.Errorf("%s: Retry-After %q, want %q", kind, got, want)
		}
		if (a.body != "") != (kind == patreontest.RateLimitedBody) {
			t.Errorf("%s: body %q", kind, a.body)
		}
	}
}

func TestATruncatedDocumentIsNoDocument(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	pair := r.fake.Portal(clientID, r.creator)
	r.fake.Next(1, patreontest.Fault{Kind: patreontest.Truncated})
	a := r.want(r.do("GET", r.bare+api+"/identity", pair.AccessToken, "", ""), 200)
	if json.Valid([]byte(a.body)) {
		t.Errorf("answer %s", a.body)
	}
}

func TestSlowAnswersComeWhenTheyAreReleased(t *testing.T) {
	for kind, before := range map[patreontest.Kind]bool{patreontest.Slow: false, patreontest.SlowBefore: true} {
		r := newRig(t, patreontest.Config{})
		pair := r.fake.Portal(clientID, r.creator)
		release, met := make(chan struct{}), make(chan struct{})
		r.fake.Next(1, patreontest.Fault{Kind: kind, Release: release, Met: func(*http.Request) { close(met) }})
		answers := make(chan reply, 1)
		go func() { answers <- r.refresh(pair.RefreshToken) }()
		<-met
		// Others are not held up.
		r.want(r.get(pair.AccessToken, "/identity"), 200)
		if now, _ := r.fake.Current(clientID, r.creator); before && now != pair {
			t.Errorf("%s: refreshed already", kind)
		}
		close(release)
		r.want(<-answers, 200)
		if now, _ := r.fake.Current(clientID, r.creator); now == pair {
			t.Errorf("%s: not refreshed", kind)
		}
	}
}

func TestWhatHangsEndsWithTheClient(t *testing.T) {
	for kind, done := range map[patreontest.Kind]bool{patreontest.Hang: false, patreontest.HangAfter: true} {
		r := newRig(t, patreontest.Config{})
		pair := r.fake.Portal(clientID, r.creator)
		ctx, cancel := context.WithCancel(t.Context())
		r.fake.Next(1, patreontest.Fault{Kind: kind, Met: func(*http.Request) { cancel() }})
		body := strings.NewReader("grant_type=refresh_token&client_id=" + clientID + "&client_secret=" + secret + "&refresh_token=" + pair.RefreshToken)
		req, err := http.NewRequestWithContext(ctx, "POST", r.bare+"/api/oauth2/token", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("User-Agent", r.agent)
		if resp, err := r.http.Do(req); err == nil {
			resp.Body.Close()
			t.Errorf("%s: answer %s", kind, resp.Status)
		}
		refreshed := func() bool {
			now, _ := r.fake.Current(clientID, r.creator)
			return now != pair
		}
		if done {
			wait.Until(t, "the pair is another one", refreshed)
		} else if refreshed() {
			t.Errorf("%s: refreshed", kind)
		}
	}
}

func TestRandomFaultsAreTheSameEachTime(t *testing.T) {
	run := func() string {
		r := newRig(t, patreontest.Config{})
		token := r.fake.Portal(clientID, r.creator).AccessToken
		r.fake.Random(7, 0.5, patreontest.Fault{Kind: patreontest.ServerError}, patreontest.Fault{Kind: patreontest.Challenge})
		var b strings.Builder
		for range 40 {
			b.WriteString(string(rune('0' + r.do("GET", r.bare+api+"/identity", token, "", "").status/100)))
		}
		r.fake.ClearFaults()
		r.want(r.do("GET", r.bare+api+"/identity", token, "", ""), 200)
		return b.String()
	}
	first := run()
	if second := run(); first != second || !strings.Contains(first, "2") || !strings.Contains(first, "4") || !strings.Contains(first, "5") {
		t.Errorf("classes of status: %s and %s", first, second)
	}
}

func TestRequestsAreWrittenDown(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	pair := r.fake.Portal(clientID, r.creator)
	r.want(r.get(pair.AccessToken, "/identity", "fields[user]", "full_name"), 200)
	r.fake.Next(1, patreontest.Fault{Kind: patreontest.CutBefore})
	r.do("GET", r.bare+api+"/campaigns/7", pair.AccessToken, "", "")
	got := r.fake.Requests()
	// A request of Go's client is sent again when a used connection is closed.
	want := patreontest.Request{Method: "GET", Path: api + "/identity", Query: "fields%5Buser%5D=full_name", Pattern: api + "/identity", UserAgent: "tests/1", Status: 200}
	if got[0] != want {
		t.Errorf("request %+v, want %+v", got[0], want)
	}
	want = patreontest.Request{Method: "GET", Path: api + "/campaigns/7", Pattern: api + "/campaigns/{campaign_id}", UserAgent: "tests/1", Fault: patreontest.CutBefore}
	if got[1] != want {
		t.Errorf("request %+v, want %+v", got[1], want)
	}
	if n := r.fake.Stats().Requests["GET "+api+"/campaigns/{campaign_id}"]; n != len(got)-1 {
		t.Errorf("%d requests counted", n)
	}
}

func TestManyAtOnceRefreshOnce(t *testing.T) {
	r := newRig(t, patreontest.Config{})
	pair := r.fake.Portal(clientID, r.creator)
	var won, lost atomic.Int32
	done := make(chan struct{})
	for range 20 {
		go func() {
			defer func() { done <- struct{}{} }()
			r.fake.FillMembers(r.campaign, 3)
			switch r.refresh(pair.RefreshToken).status {
			case 200:
				won.Add(1)
			case 401:
				lost.Add(1)
			}
			r.get(pair.AccessToken, "/campaigns/"+r.campaign+"/members", "include", "user")
			r.fake.Stats()
		}()
	}
	for range 20 {
		<-done
	}
	if s := r.fake.Stats(); won.Load() != 1 || lost.Load() != 19 || s.Refreshes != 1 || s.SpentRefreshTokensUsed != 19 {
		t.Errorf("%d won, %d lost, %+v", won.Load(), lost.Load(), s)
	}
}
