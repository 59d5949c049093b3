// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/openapi"
	"xeiaso.net/site/patreon/patreontest"
)

// rig is a fake with a creator and a campaign, and a client that knows nothing.
type rig struct {
	t    *testing.T
	fake *patreontest.Server
	// url is where every request and answer is held against the document, lax
	// where answers are, and bare where neither is.
	url, lax, bare    string
	creator, campaign string
	clock             *clock
	http              *http.Client
	agent             string
}

// clock is one that tests set.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const (
	clientID = "client-1"
	secret   = "s3cr3t"
	redirect = "http://127.0.0.1:1/callback?from=patreon"
	api      = "/api/oauth2/v2"
)

func newRig(t *testing.T, config patreontest.Config) *rig {
	t.Helper()
	clock := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	config.Now = clock.Now
	r := &rig{t: t, fake: patreontest.New(config), clock: clock, http: &http.Client{}, agent: "tests/1"}
	r.http.Transport = &http.Transport{}
	r.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(r.http.CloseIdleConnections)
	r.bare = r.serve(r.fake)
	r.url, r.lax = r.bare, r.bare
	if spec := document(t); spec != nil {
		r.url = r.serve(spec.Wrap(t, "", r.fake))
		lax := *spec
		lax.AnswersOnly = true
		r.lax = r.serve(lax.Wrap(t, "", r.fake))
	}
	r.fake.AddClient(patreontest.Client{ID: clientID, Secret: secret, RedirectURIs: []string{redirect}})
	r.creator = r.fake.AddUser(patreontest.User{FullName: "Wren Quillon"})
	r.campaign = r.fake.AddCampaign(patreontest.Campaign{Creator: r.creator, Name: "Wren makes things"})
	return r
}

func (r *rig) serve(h http.Handler) string {
	server := httptest.NewServer(h)
	r.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// document returns Patreon's, or nil where it is not to be had; one test is
// skipped for that and says so.
func document(t *testing.T) (spec *openapi.Document) {
	t.Helper()
	t.Run("document", func(t *testing.T) { spec = openapi.LoadPatreon(t) })
	return spec
}

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

// json reads the body.
func (a reply) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("status %d, %v: %s", a.status, err, a.body)
	}
	return v
}

// do makes a request.
func (r *rig) do(method, address, token, contentType, body string) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header["User-Agent"] = nil
	if r.agent != "" {
		req.Header.Set("User-Agent", r.agent)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(content), err}
}

// get asks for a path of the API, with pairs of parameters.
func (r *rig) get(token, path string, parameters ...string) reply {
	r.t.Helper()
	return r.do("GET", r.url+api+path+encode(parameters), token, "", "")
}

func encode(parameters []string) string {
	if len(parameters) == 0 {
		return ""
	}
	values := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		values.Set(parameters[i], parameters[i+1])
	}
	return "?" + values.Encode()
}

// send sends a document.
func (r *rig) send(method, token, path, body string) reply {
	r.t.Helper()
	return r.do(method, r.url+api+path, token, "application/json", body)
}

// token makes a request to the token endpoint.
func (r *rig) token(form url.Values) reply {
	r.t.Helper()
	return r.do("POST", r.bare+"/api/oauth2/token", "", "application/x-www-form-urlencoded", form.Encode())
}

// refresh uses a refresh token.
func (r *rig) refresh(token string) reply {
	r.t.Helper()
	return r.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {clientID}, "client_secret": {secret}})
}

// refreshed uses a refresh token that has to work.
func (r *rig) refreshed(token string) patreontest.Pair {
	r.t.Helper()
	a := r.refresh(token)
	if a.status != 200 {
		r.t.Fatalf("refresh: %+v", a)
	}
	v := a.json(r.t)
	return patreontest.Pair{
		AccessToken:  v["access_token"].(string),
		RefreshToken: v["refresh_token"].(string),
		ExpiresIn:    time.Duration(v["expires_in"].(float64)) * time.Second,
	}
}

// want fails the test unless an answer has the status.
func (r *rig) want(a reply, status int) reply {
	r.t.Helper()
	if a.status != status || a.err != nil {
		r.t.Fatalf("answer %d (%v), want %d: %s", a.status, a.err, status, a.body)
	}
	return a
}

// at returns what is at a path of keys and places.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				return nil
			}
			v = l[step]
		}
	}
	return v
}

// ids returns those of the resources in a list.
func ids(v any) []string {
	var all []string
	list, _ := v.([]any)
	for _, item := range list {
		all = append(all, at(item, "id").(string))
	}
	return all
}
