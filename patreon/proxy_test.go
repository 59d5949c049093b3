// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

const (
	throughProxy = "/v1/proxy/api/oauth2/v2"
	anIdentity   = throughProxy + "/identity?fields%5Buser%5D=vanity"
)

// problem is the first error of an answer as Patreon writes it.
func problem(t *testing.T, w *httptest.ResponseRecorder) (name, status string) {
	t.Helper()
	doc := into[struct {
		Errors []struct {
			Name   string `json:"code_name"`
			Status string
		}
	}](t, w)
	if len(doc.Errors) != 1 {
		t.Fatalf("%d %s has no error in it", w.Code, w.Body)
	}
	return doc.Errors[0].Name, doc.Errors[0].Status
}

func TestTheProxyLetsThroughWhatReadsOnly(t *testing.T) {
	o := newOffice(t, patreontest.Config{}, nil)
	o.good()
	campaign := o.fake.AddCampaign(patreontest.Campaign{Creator: o.creator})
	member := o.fake.FillMembers(campaign, 1)[0]
	post := o.fake.AddPost(patreontest.Post{Campaign: campaign, Title: "A post"})
	for _, path := range []string{
		"/identity", "/campaigns", "/campaigns/" + campaign, "/campaigns/" + campaign + "/members", "/campaigns/" + campaign + "/posts",
		"/members/" + member, "/posts/" + post, "/%63ampaigns",
	} {
		if w := o.ask("GET", throughProxy+path, ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"data"`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	before := o.upstream()
	for _, target := range []string{
		throughProxy + "/webhooks", throughProxy + "/webhooks/1", throughProxy + "/lives", throughProxy + "/lives/1", throughProxy,
		throughProxy + "/", throughProxy + "/identity/", throughProxy + "/campaigns/" + campaign + "/webhooks",
		throughProxy + "/../../oauth2/token", throughProxy + "/campaigns/../webhooks", throughProxy + "/campaigns/%2e%2e/webhooks",
		throughProxy + "/campaigns/..%2fwebhooks", throughProxy + "//webhooks", throughProxy + "/identity//", throughProxy + "/identity%00",
		throughProxy + "/identity%0a", throughProxy + "/identity%3Fx", throughProxy + "/campaigns/1%20", throughProxy + "/campaigns/é",
		"/v1/proxy/api/oauth2/token", "/v1/proxy/oauth2/authorize", "/v1/proxy/", "/v1/proxy", "/v1/proxy/http://evil.example/identity",
		"/v1/proxy//evil.example/api/oauth2/v2/identity", "/v1/proxyx/api/oauth2/v2/identity", "//evil.example" + throughProxy + "/identity",
		throughProxy + "/identity?a=%zz", throughProxy + "/identity?a;b", throughProxy + "/campaigns/" + strings.Repeat("/", 20),
	} {
		w := o.ask("GET", target, "")
		if w.Code < 300 || w.Code >= 500 || strings.HasPrefix(w.Header().Get("Location"), "//") {
			t.Errorf("%s: %d %v", target, w.Code, w.Header())
		}
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"} {
		if w := o.ask(method, anIdentity, ""); w.Code != 405 {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
	if got := o.upstream(); got != before {
		t.Errorf("%d requests went to Patreon", got-before)
	}
}

func TestTheProxyAsksAsItWasAsked(t *testing.T) {
	o := newOffice(t, patreontest.Config{}, nil)
	o.good()
	w := o.ask("GET", throughProxy+"/identity?include=memberships&fields%5Buser%5D=vanity,full_name&fields[member]=full_name&x=%26y%3D1", "")
	if w.Code != 200 && w.Code != 400 { // the fake does not know x
		t.Fatal(w.Code, w.Body)
	}
	all := o.fake.Requests()
	last := all[len(all)-1]
	if want := "fields%5Bmember%5D=full_name&fields%5Buser%5D=vanity%2Cfull_name&include=memberships&x=%26y%3D1"; last.Query != want {
		t.Errorf("asked for %s, want %s", last.Query, want)
	}
	if last.UserAgent != patreon.DefaultUserAgent {
		t.Errorf("the agent is %q", last.UserAgent)
	}
	get, head := o.ask("GET", anIdentity, ""), o.ask("HEAD", anIdentity, "")
	if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != strconv.Itoa(get.Body.Len()) {
		t.Errorf("HEAD: %d %v", head.Code, head.Header())
	}
	if got := get.Header().Get("Content-Type"); got != "application/vnd.api+json" {
		t.Errorf("the type is %q", got)
	}
}

func TestAnswersAreFreshThenOldThenNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, nil)
		o.good()
		first := o.ask("GET", anIdentity, "")
		pass(29 * time.Second)
		if w := o.ask("GET", anIdentity, ""); w.Header().Get("Age") != "29" || w.Header().Get("Warning") != "" || o.upstream() != 1 {
			t.Errorf("%v after %d requests", w.Header(), o.upstream())
		}
		pass(time.Second)
		if w := o.ask("GET", anIdentity, ""); w.Header().Get("Age") != "0" || o.upstream() != 2 {
			t.Errorf("%v after %d requests", w.Header(), o.upstream())
		}
		if o.ask("GET", throughProxy+"/identity?fields%5Buser%5D=full_name,vanity", ""); o.upstream() != 3 {
			t.Error("another query gets the same answer")
		}
		o.fake.Random(1, 1, patreontest.Fault{Kind: patreontest.Maintenance}, patreontest.Fault{Kind: patreontest.Challenge},
			patreontest.Fault{Kind: patreontest.CutBefore}, patreontest.Fault{Kind: patreontest.HTMLSuccess}, patreontest.Fault{Kind: patreontest.RateLimitedBare})
		for range 20 {
			pass(time.Hour)
			w := o.ask("GET", anIdentity, "")
			if age, _ := strconv.Atoi(w.Header().Get("Age")); w.Code != 200 || w.Body.String() != first.Body.String() || age < 3600 || w.Header().Get("Warning") == "" {
				t.Fatalf("%d %v", w.Code, w.Header())
			}
		}
		pass(4 * time.Hour)
		if w := o.ask("GET", anIdentity, ""); w.Code == 200 {
			t.Errorf("an answer of a day ago is given: %v", w.Header())
		}
	})
}

func TestWhatPatreonSaysOtherwiseNowIsNotHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, nil)
		o.good()
		campaign := o.fake.AddCampaign(patreontest.Campaign{Creator: o.creator})
		member := o.fake.FillMembers(campaign, 1)[0]
		if w := o.ask("GET", throughProxy+"/members/"+member, ""); w.Code != 200 {
			t.Fatal(w.Code)
		}
		o.fake.DeleteMember(member)
		pass(time.Minute)
		w := o.ask("GET", throughProxy+"/members/"+member, "")
		if name, status := problem(t, w); w.Code != 404 || status != "404" || name == "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestManyWhoWantTheSameCostOneRequest(t *testing.T) {
	o := newOffice(t, patreontest.Config{}, nil)
	o.good()
	met, release := make(chan struct{}), make(chan struct{})
	o.fake.Next(1, patreontest.Fault{Kind: patreontest.Slow, Release: release, Met: func(*http.Request) { close(met) }})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if w := o.ask("GET", anIdentity, ""); w.Code != 200 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	<-met
	close(release)
	all.Wait()
	if got := o.upstream(); got != 1 {
		t.Errorf("%d requests", got)
	}
}

func TestTheBudgetOfAMinuteIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, func(cfg *patreon.TokenServerConfig) { cfg.PerMinute = 5 })
		o.good()
		kept := o.ask("GET", anIdentity, "")
		pass(31 * time.Second)
		for i := range 4 {
			if w := o.ask("GET", fmt.Sprintf("%s/campaigns?page%%5Bcount%%5D=%d", throughProxy, i+1), ""); w.Code != 200 {
				t.Errorf("request %d: %d %s", i, w.Code, w.Body)
			}
		}
		w := o.ask("GET", throughProxy+"/campaigns?page%5Bcount%5D=9", "")
		if name, _ := problem(t, w); w.Code != 429 || name != "RequestThrottled" || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		if w := o.ask("GET", anIdentity, ""); w.Code != 200 || w.Header().Get("Warning") == "" || w.Body.String() != kept.Body.String() {
			t.Errorf("the old answer is not given: %d", w.Code)
		}
		if o.upstream() != 5 {
			t.Errorf("%d requests", o.upstream())
		}
		pass(30 * time.Second) // the first one is a minute ago
		if w := o.ask("GET", anIdentity, ""); w.Code != 200 || w.Header().Get("Age") != "0" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
}

func TestATokenThatPatreonRefusesIsReplacedForTheProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, nil)
		token := o.good()
		o.fake.Revoke(token.Access.Reveal())
		before := o.fake.Stats().Refreshes
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				if w := o.ask("GET", fmt.Sprintf("%s/campaigns?page%%5Bcount%%5D=%d", throughProxy, i+1), ""); w.Code != 200 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		}
		all.Wait()
		if n := o.fake.Stats().Refreshes - before; n != 1 {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestPagesForBrowsersBecomeErrorsOfTheAPI(t *testing.T) {
	for fault, want := range map[patreontest.Kind]int{
		patreontest.Challenge: 502, patreontest.HTMLSuccess: 502, patreontest.Maintenance: 502, patreontest.CutBefore: 502, patreontest.CutAnswer: 502,
		patreontest.UnauthorizedHTML: 502, patreontest.ServerError: 500, patreontest.Gone: 410, patreontest.RateLimitedHeader: 429, patreontest.Unauthorized: 401,
	} {
		o := newOffice(t, patreontest.Config{}, nil)
		o.good()
		o.fake.Random(1, 1, patreontest.Fault{Kind: fault, Wait: 9 * time.Second, On: func(r *http.Request) bool { return !strings.Contains(r.URL.RawQuery, "full_name") }})
		w := o.ask("GET", anIdentity, "")
		_, status := problem(t, w)
		if w.Code != want || status != strconv.Itoa(want) || w.Header().Get("Content-Type") != "application/json" || strings.Contains(w.Body.String(), "<") {
			t.Errorf("%s: %d %s", fault, w.Code, w.Body)
		}
		if want == 429 && w.Header().Get("Retry-After") == "" {
			t.Errorf("%v", w.Header())
		}
	}
}

func TestWhatIsKeptHasALimitAndAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, func(cfg *patreon.TokenServerConfig) { cfg.PerMinute = 1 << 30 })
		big := strings.Repeat("x", 15<<20)
		o.cfg.HTTPClient = &http.Client{Transport: line{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, "/members/") {
				o.fake.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/vnd.api+json")
			json.NewEncoder(w).Encode(map[string]string{"data": big})
		})}}
		o.restart()
		var err error
		if o.server, err = patreon.NewTokenServer(patreon.TokenServerConfig{Keeper: o.Keeper, Trusted: true, PerMinute: 1 << 30}); err != nil {
			t.Fatal(err)
		}
		o.good()
		for i := range need.Times(8, 100) {
			if w := o.ask("GET", fmt.Sprint(throughProxy, "/members/", i), ""); w.Code != 200 || w.Body.Len() < len(big) {
				t.Fatal(w.Code)
			}
			pass(time.Second)
		}
		if n, size := o.server.Kept(); size > 64<<20 || n != 4 {
			t.Errorf("%d answers of %d bytes are kept", n, size)
		}
		big += big[:4<<20]
		if w := o.ask("GET", throughProxy+"/members/big", ""); w.Code != 200 || w.Body.Len() < len(big) {
			t.Errorf("%d", w.Code)
		}
		pass(25 * time.Hour)
		o.ask("GET", anIdentity, "")
		if n, _ := o.server.Kept(); n != 1 {
			t.Errorf("%d answers are kept after a day", n)
		}
	})
}

func TestACallerWhoLeavesDoesNotTakeTheAnswerFromOthers(t *testing.T) {
	o := newOffice(t, patreontest.Config{}, nil)
	o.good()
	met, release := make(chan struct{}), make(chan struct{})
	o.fake.Next(1, patreontest.Fault{Kind: patreontest.Slow, Release: release, Met: func(*http.Request) { close(met) }})
	ctx, leave := contextOf(t)
	var all sync.WaitGroup
	all.Go(func() {
		r := httptest.NewRequest("GET", anIdentity, nil).WithContext(ctx)
		r.Header.Set("Authorization", "Bearer "+bearerToken.Reveal())
		o.send(r)
	})
	<-met
	leave()
	all.Wait()
	close(release)
	if w := o.ask("GET", anIdentity, ""); w.Code != 200 || o.upstream() != 1 {
		t.Errorf("%d after %d requests", w.Code, o.upstream())
	}
}
