// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodontest_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/pipe"
	"xeiaso.net/site/syndicate/mastodontest"
)

// caller makes requests with a token.
type caller struct {
	t      *testing.T
	client *http.Client
	token  string
}

// call returns the status and the body, or status 0 if there was no whole
// answer.
func (c caller) call(method, path, key string, form url.Values) (int, string, http.Header) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "https://social.example"+path, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	req.GetBody = nil // or package net/http may try again
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	req.Close = true
	client := *c.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, string(body), nil
	}
	return resp.StatusCode, string(body), resp.Header
}

func (c caller) post(text, key string) int {
	c.t.Helper()
	status, _, _ := c.call("POST", "/api/v1/statuses", key, url.Values{"status": {text}})
	return status
}

// open returns the number of statuses that the account's list shows.
func (c caller) open(fake *mastodontest.Server) int {
	c.t.Helper()
	status, body, _ := c.call("GET", "/api/v1/timelines/home", "", nil)
	var list []any
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 {
		c.t.Fatalf("list: status %d: %s", status, body)
	}
	return len(list)
}

// each runs a test on a server in a bubble of its own.
func each(t *testing.T, c mastodontest.Config, test func(t *testing.T, fake *mastodontest.Server, c caller)) {
	synctest.Test(t, func(t *testing.T) {
		fake := mastodontest.New(c)
		test(t, fake, caller{t, pipe.Serve(t, fake), fake.Token("blog", "my app", "read", "write")})
	})
}

func TestFaultsLoseTheAnswerAndNotThePost(t *testing.T) {
	for _, tt := range []struct {
		kind    mastodontest.Fault
		status  int
		visible int
	}{
		{mastodontest.Fault{Kind: mastodontest.CutBefore}, 0, 0},
		{mastodontest.Fault{Kind: mastodontest.CutAfter}, 0, 1},
		{mastodontest.Fault{Kind: mastodontest.CutAnswer}, 0, 1},
		{mastodontest.Fault{Kind: mastodontest.ErrorAfter}, 500, 1},
		{mastodontest.Fault{Kind: mastodontest.TimeoutAfter, Delay: time.Minute}, 504, 0},
		{mastodontest.Fault{Kind: mastodontest.Slow, Delay: time.Minute}, 200, 1},
		{mastodontest.Fault{Kind: mastodontest.RateLimited, Delay: time.Minute}, 429, 0},
		{mastodontest.Fault{Kind: mastodontest.RateLimitedDate, Delay: time.Minute}, 429, 0},
		{mastodontest.Fault{Kind: mastodontest.Unavailable}, 503, 0},
	} {
		t.Run(string(tt.kind.Kind), func(t *testing.T) {
			each(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, c caller) {
				fake.Next(1, tt.kind)
				if got := c.post("hello", ""); got != tt.status {
					t.Errorf("status %d, want %d", got, tt.status)
				}
				if got := c.open(fake); got != tt.visible {
					t.Errorf("%d statuses are visible, want %d", got, tt.visible)
				}
				if got := c.post("hello", ""); got != 200 {
					t.Errorf("the next request got status %d", got)
				}
				if fake.Met()[tt.kind.Kind] != 1 {
					t.Errorf("faults met: %v", fake.Met())
				}
			})
		})
	}
}

func TestRandomFaultsAreTheSameForOneSeed(t *testing.T) {
	run := func() (all []int) {
		each(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, c caller) {
			fake.Random(7, 0.5, mastodontest.Fault{Kind: mastodontest.ErrorAfter}, mastodontest.Fault{Kind: mastodontest.Unavailable})
			for range 20 {
				all = append(all, c.post("hello", ""))
			}
		})
		return all
	}
	first, seen := run(), map[int]int{}
	for i, status := range run() {
		seen[status]++
		if status != first[i] {
			t.Errorf("request %d got status %d and %d", i, first[i], status)
		}
	}
	if len(seen) != 3 {
		t.Errorf("statuses %v, want three kinds", seen)
	}
}

// A key is stored when the status is, and for an hour.
func TestKeysAreHonouredForAnHour(t *testing.T) {
	each(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, c caller) {
		for range 4 {
			c.post("hello", "a")
			<-time.After(25 * time.Minute)
		}
		if n := len(fake.Statuses()); n != 2 {
			t.Errorf("%d statuses after 75 minutes, want 2: the key is kept for 60", n)
		}
		fake.Next(1, mastodontest.Fault{Kind: mastodontest.TimeoutAfter, Delay: time.Minute})
		for range 3 {
			c.post("hello", "b")
			<-time.After(40 * time.Second)
		}
		if n := len(fake.Statuses()); n != 4 {
			t.Errorf("%d statuses, want 4: the key comes late", n)
		}
	})
}

func TestKeysCanBeIgnoredOrBroken(t *testing.T) {
	for keys, want := range map[mastodontest.Keys]struct{ status, statuses int }{
		mastodontest.KeysHonoured: {200, 1},
		mastodontest.KeysIgnored:  {200, 2},
		mastodontest.KeysBroken:   {500, 1},
	} {
		each(t, mastodontest.Config{Keys: keys}, func(t *testing.T, fake *mastodontest.Server, c caller) {
			c.post("hello", "a")
			if got := c.post("hello", "a"); got != want.status || len(fake.Statuses()) != want.statuses {
				t.Errorf("keys %d: status %d and %d statuses, want %v", keys, got, len(fake.Statuses()), want)
			}
		})
	}
}

func TestRefusesWhatMastodonRefuses(t *testing.T) {
	fake := mastodontest.New(mastodontest.Config{MaxCharacters: 40})
	all := fake.Token("blog", "my app", "read", "write")
	reader := fake.Token("blog", "my app", "read:accounts", "read:statuses")
	stranger := fake.Token("stranger", "my app", "write")
	c := caller{t, pipe.Serve(t, fake), all}
	c.post("private", "")
	id := fake.Statuses()[0].ID
	for _, tt := range []struct {
		name, token, method, path string
		form                      url.Values
		status                    int
		body                      string
	}{
		{"no token", "", "POST", "/api/v1/statuses", url.Values{"status": {"a"}}, 401, "The access token is invalid"},
		{"no scope", reader, "POST", "/api/v1/statuses", url.Values{"status": {"a"}}, 403, "This action is outside the authorized scopes"},
		{"a status of somebody else", stranger, "PUT", "/api/v1/statuses/" + id, url.Values{"status": {"a"}}, 404, "Record not found"},
		{"no such status", all, "DELETE", "/api/v1/statuses/1", nil, 404, "Record not found"},
		{"no such path", all, "GET", "/api/v9/statuses", nil, 404, "Record not found"},
		{"scheduled", all, "POST", "/api/v1/statuses", url.Values{"status": {"a"}, "scheduled_at": {"2099-01-01T00:00:00Z"}}, 422, "Record invalid"},
		{"unknown visibility", all, "POST", "/api/v1/statuses", url.Values{"status": {"a"}, "visibility": {"friends"}}, 422, "Record invalid"},
		{"too long with its warning", all, "POST", "/api/v1/statuses", url.Values{"status": {strings.Repeat("a", 30)}, "spoiler_text": {"12345678901"}}, 422, "Text character limit of 40 exceeded"},
		{"41 characters", all, "POST", "/api/v1/statuses", url.Values{"status": {strings.Repeat("é", 41)}}, 422, "Text character limit of 40 exceeded"},
		{"a long link", all, "POST", "/api/v1/statuses", url.Values{"status": {"https://blog.example/" + strings.Repeat("a", 99) + " 3456789012345678"}}, 200, ""},
		{"a long link and one more", all, "POST", "/api/v1/statuses", url.Values{"status": {"https://blog.example/" + strings.Repeat("a", 99) + " 345678901234567890"}}, 422, "Text character limit of 40 exceeded"},
		{"a mention", all, "POST", "/api/v1/statuses", url.Values{"status": {"@me@" + strings.Repeat("a", 60) + ".example 567890123456789012345678901234567890"}}, 200, ""},
		{"flags and families", all, "POST", "/api/v1/statuses", url.Values{"status": {strings.Repeat("🇩🇪👨‍👩‍👧‍👦", 20)}}, 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := caller{t, c.client, tt.token}
			status, body, _ := c.call(tt.method, tt.path, "", tt.form)
			if status != tt.status || !strings.Contains(body, tt.body) {
				t.Errorf("status %d: %s; want %d: %s", status, body, tt.status, tt.body)
			}
		})
	}
}

func TestEditThatChangesNothingIsNone(t *testing.T) {
	each(t, mastodontest.Config{}, func(t *testing.T, fake *mastodontest.Server, c caller) {
		c.post("hello", "")
		before := fake.Statuses()[0]
		if status, body, _ := c.call("PUT", "/api/v1/statuses/"+before.ID, "", url.Values{"status": {"hello"}}); status != 200 || !strings.Contains(body, `"edited_at":null`) {
			t.Errorf("an edit that changes nothing: status %d: %s", status, body)
		}
		c.call("PUT", "/api/v1/statuses/"+before.ID, "", url.Values{"status": {"good bye"}})
		if got := fake.Statuses()[0]; got.Edits != 1 || got.Text != "good bye" {
			t.Errorf("after the edit: %+v", got)
		}
	})
}

func TestRequestsAreCounted(t *testing.T) {
	each(t, mastodontest.Config{RateLimit: 3}, func(t *testing.T, fake *mastodontest.Server, c caller) {
		for want := 2; want >= 0; want-- {
			_, _, header := c.call("GET", "/api/v1/timelines/home", "", nil)
			if got := header.Get("X-RateLimit-Remaining"); got != string(rune('0'+want)) {
				t.Errorf("remaining %s, want %d", got, want)
			}
		}
		if status, _, _ := c.call("GET", "/api/v1/timelines/home", "", nil); status != 429 {
			t.Errorf("status %d, want 429", status)
		}
		<-time.After(5 * time.Minute)
		c.open(fake)
	})
}

func TestApplicationsAreRefusedAsByMastodon(t *testing.T) {
	each(t, mastodontest.Config{}, func(t *testing.T, _ *mastodontest.Server, c caller) {
		const here = "urn:ietf:wg:oauth:2.0:oob"
		_, body, _ := c.call("POST", "/api/v1/apps", "", url.Values{"client_name": {"x"}, "redirect_uris": {here}, "scopes": {"write:statuses"}})
		var app struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		}
		if err := json.Unmarshal([]byte(body), &app); err != nil {
			t.Fatal(err)
		}
		ask := url.Values{"client_id": {app.ID}, "response_type": {"code"}, "redirect_uri": {here}, "scope": {"write:statuses"}, "username": {"me"}, "password": {"correct horse"}}
		grant := url.Values{"client_id": {app.ID}, "client_secret": {app.Secret}, "redirect_uri": {here}, "scope": {"write:statuses"}}
		with := func(form url.Values, changes ...string) url.Values {
			changed := maps.Clone(form)
			for i := 0; i < len(changes); i += 2 {
				changed[changes[i]] = []string{changes[i+1]}
			}
			return changed
		}
		for _, tt := range []struct {
			name, path string
			form       url.Values
			status     int
			says       string
		}{
			{"no name", "/api/v1/apps", url.Values{"redirect_uris": {here}}, 422, "name can't be blank"},
			{"no address", "/api/v1/apps", url.Values{"client_name": {"x"}}, 422, "Redirect URI can't be blank"},
			{"relative address", "/api/v1/apps", url.Values{"client_name": {"x"}, "redirect_uris": {"here"}}, 422, "absolute URI"},
			{"unknown scope", "/api/v1/apps", url.Values{"client_name": {"x"}, "redirect_uris": {here}, "scopes": {"everything"}}, 422, "Scopes"},
			{"unknown application", "/oauth/authorize", with(ask, "client_id", "x"), 401, "unknown client"},
			{"wrong type", "/oauth/authorize", with(ask, "response_type", "token"), 400, "response type"},
			{"another address", "/oauth/authorize", with(ask, "redirect_uri", "https://x.example"), 400, "redirect uri"},
			{"more than registered", "/oauth/authorize", with(ask, "scope", "write"), 400, "scope is invalid"},
			{"wrong password", "/oauth/authorize", with(ask, "password", "x"), 302, ""},
			{"wrong secret", "/oauth/token", with(grant, "client_secret", "x"), 401, "invalid_client"},
			{"wrong code", "/oauth/token", with(grant, "grant_type", "authorization_code", "code", "x"), 400, "invalid_grant"},
			{"password", "/oauth/token", with(grant, "grant_type", "password"), 400, "unsupported_grant_type"},
			{"more for itself", "/oauth/token", with(grant, "grant_type", "client_credentials", "scope", "read"), 400, "invalid_scope"},
			{"for itself", "/oauth/token", with(grant, "grant_type", "client_credentials"), 200, "access_token"},
			{"another's token", "/oauth/revoke", with(grant, "token", c.token), 403, "unauthorized_client"},
		} {
			if status, body, _ := c.call("POST", tt.path, "", tt.form); status != tt.status || !strings.Contains(body, tt.says) {
				t.Errorf("%s: status %d: %s; want %d: %s", tt.name, status, body, tt.status, tt.says)
			}
		}
	})
}
