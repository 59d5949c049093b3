// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

const testToken = "made-up-access-token"

// newClient returns a client of a handler, with a configuration that change
// adapts; it may be nil.
func newClient(t testing.TB, h http.Handler, change func(*patreon.ClientConfig)) *patreon.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	cfg := patreon.ClientConfig{
		Tokens:     patreon.StaticToken(testToken),
		BaseURL:    s.URL,
		UserAgent:  "test/1",
		MinBackoff: time.Nanosecond,
		MaxBackoff: time.Nanosecond,
	}
	if change != nil {
		change(&cfg)
	}
	c, err := patreon.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// script answers one request after another, and the last ones all alike.
type script struct {
	mu       sync.Mutex // guards the fields below
	answers  []answer
	requests []*http.Request
	bodies   []string
}

type answer struct {
	status int
	header map[string]string
	body   string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.answers[min(len(s.requests), len(s.answers)-1)]
	s.requests = append(s.requests, r)
	s.bodies = append(s.bodies, string(body))
	w.Header().Set("Content-Type", "application/vnd.api+json")
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	io.WriteString(w, a.body)
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func answers(bodies ...string) *script {
	s := new(script)
	for _, body := range bodies {
		s.answers = append(s.answers, answer{body: body})
	}
	return s
}

const someone = `{"data":{"type":"user","id":"7","attributes":{"full_name":"Made Up"}},"links":{"self":"x"}}`

func TestIdentityAsksForWhatAnyTokenMaySee(t *testing.T) {
	s := answers(someone)
	u, err := newClient(t, s, nil).Identity(t.Context(), patreon.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := u.FullName.Get(); u.ID != "7" || name != "Made Up" || !ok {
		t.Errorf("user %q is %v", u.ID, u.FullName)
	}
	if !u.About.IsZero() {
		t.Errorf("about is %v, want it absent", u.About)
	}
	r := s.requests[0]
	if got, want := r.Header.Get("Authorization"), "Bearer "+testToken; got != want {
		t.Errorf("authorization %q, want %q", got, want)
	}
	if got := r.Header.Get("User-Agent"); got != "test/1" {
		t.Errorf("user agent %q", got)
	}
	if strings.ContainsAny(r.URL.RawQuery, "[]") {
		t.Errorf("brackets in %q", r.URL.RawQuery)
	}
	if fields := r.URL.Query().Get("fields[user]"); strings.Contains(fields, "email") || !strings.Contains(fields, "full_name") {
		t.Errorf("asked for %q", fields)
	}
}

func TestIdsThatWouldChangeThePathAreRefused(t *testing.T) {
	s := answers(`{}`)
	c := newClient(t, s, nil)
	for _, id := range []string{"", "..", "1/members", "1?x=y", "1#", "a b", "%2e%2e", strings.Repeat("1", 200)} {
		_, campaign := c.Campaign(t.Context(), patreon.CampaignID(id), patreon.Query{})
		_, member := c.Member(t.Context(), patreon.MemberID(id), patreon.Query{})
		_, post := c.Post(t.Context(), patreon.PostID(id), patreon.Query{})
		_, snapshot := c.CollectMembers(t.Context(), patreon.CampaignID(id), patreon.Query{})
		_, update := c.UpdateWebhook(t.Context(), patreon.WebhookID(id), patreon.WebhookChange{Paused: patreon.Some(false)})
		deletion := c.DeleteWebhook(t.Context(), patreon.WebhookID(id))
		_, creation := c.CreateWebhook(t.Context(), patreon.NewWebhook{Campaign: patreon.CampaignID(id), URI: "https://x.example", Triggers: patreon.Triggers()})
		errs := []error{campaign, member, post, snapshot, update, deletion, creation}
		for _, err := range c.Members(t.Context(), patreon.CampaignID(id), patreon.Query{}) {
			errs = append(errs, err)
		}
		for _, err := range c.Posts(t.Context(), patreon.CampaignID(id), patreon.Query{}) {
			errs = append(errs, err)
		}
		if len(errs) != 9 {
			t.Errorf("%q: %d errors", id, len(errs))
		}
		for i, err := range errs {
			if err == nil || !strings.Contains(err.Error(), "is not the id of a") {
				t.Errorf("call %d with %q: %v", i, id, err)
			}
		}
	}
	if n := s.count(); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestNamesThatWouldBecomeOtherParametersAreRefused(t *testing.T) {
	s := answers(someone)
	c := newClient(t, s, nil)
	for _, q := range []patreon.Query{
		{Fields: patreon.Fields{patreon.TypeUser: {"full_name,email"}}},
		{Fields: patreon.Fields{patreon.TypeUser: {""}}},
		{Fields: patreon.Fields{"user]&x[": {"full_name"}}},
		{Include: []string{"user campaign"}},
	} {
		if _, err := c.Identity(t.Context(), q); err == nil {
			t.Errorf("%v passed", q)
		}
	}
	for _, q := range []patreon.Query{{Sort: "a,b"}, {PageSize: -1}} {
		for _, err := range c.Campaigns(t.Context(), q) {
			if err == nil {
				t.Errorf("%v passed", q)
			}
		}
	}
	if n := s.count(); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestAConfigurationThatCannotWorkIsNamed(t *testing.T) {
	token := patreon.StaticToken("x")
	for want, cfg := range map[string]patreon.ClientConfig{
		"Tokens":           {},
		"https://host":     {Tokens: token, BaseURL: "ftp://x.example"},
		"control":          {Tokens: token, UserAgent: "a\r\nb"},
		"must not be nega": {Tokens: token, MaxPages: -1},
	} {
		if _, err := patreon.NewClient(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestWhatPassesIsTriedAgainAndOnlyForReading(t *testing.T) {
	trouble := []answer{
		{status: 503, body: "<html>maintenance</html>", header: map[string]string{"Content-Type": "text/html"}},
		{status: 429, body: `{"errors":[{"code":null,"status":"429","title":"slow","retry_after_seconds":0.001}]}`},
		{status: 429},
		{status: 500, body: `{"errors":[]}`},
		{body: someone},
	}
	s := &script{answers: trouble}
	if _, err := newClient(t, s, nil).Identity(t.Context(), patreon.Query{}); err != nil {
		t.Errorf("after %d requests: %v", s.count(), err)
	}

	s = &script{answers: trouble}
	c := newClient(t, s, nil)
	_, err := c.UpdateWebhook(t.Context(), "1", patreon.WebhookChange{Paused: patreon.Some(false)})
	if s.count() != 1 || !errors.Is(err, patreon.ErrUnavailable) {
		t.Errorf("a change was sent %d times: %v", s.count(), err)
	}

	s = &script{answers: trouble}
	c = newClient(t, s, func(cfg *patreon.ClientConfig) { cfg.Retries = -1 })
	if _, err := c.Identity(t.Context(), patreon.Query{}); s.count() != 1 || err == nil {
		t.Errorf("without retries: %d requests, %v", s.count(), err)
	}
}

func TestConnectionsThatAreCutAreTriedAgain(t *testing.T) {
	var n atomic.Int32
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch n.Add(1) {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, someone[:20])
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, someone)
	}), nil)
	if _, err := c.Identity(t.Context(), patreon.Query{}); err != nil {
		t.Errorf("after %d requests: %v", n.Load(), err)
	}
}

// changing is a token source that has another token after a report.
type changing struct {
	mu       sync.Mutex // guards the fields below
	tokens   []string
	reported []patreon.Token
	err      error
}

func (c *changing) Token(context.Context) (patreon.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return patreon.Token{Access: patreon.Secret(c.tokens[0]), Generation: uint64(len(c.reported))}, nil
}

func (c *changing) ReportUnauthorized(_ context.Context, token patreon.Token) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reported = append(c.reported, token)
	if len(c.tokens) > 1 {
		c.tokens = c.tokens[1:]
	}
	return c.err
}

// tokenCheck answers 401, as a page or as JSON:API, to all tokens but one.
func tokenCheck(good string, page bool, n *atomic.Int32, then http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		switch {
		case r.Header.Get("Authorization") == "Bearer "+good:
			then.ServeHTTP(w, r)
		case page:
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(401)
			io.WriteString(w, "<!DOCTYPE html><title>Unauthorized</title>")
		default:
			w.WriteHeader(401)
			fmt.Fprintf(w, `{"errors":[{"code":1,"code_name":"Unauthorized","status":"401","title":"Unauthorized","detail":"The server could not verify %s."}]}`, r.Header.Get("Authorization"))
		}
	})
}

func TestATokenThatIsRefusedIsReportedOnceAndReplaced(t *testing.T) {
	for _, page := range []bool{false, true} {
		var n atomic.Int32
		tokens := &changing{tokens: []string{"old-token", "new-token"}}
		s := answers(someone)
		c := newClient(t, tokenCheck("new-token", page, &n, s), func(cfg *patreon.ClientConfig) { cfg.Tokens = tokens })
		if _, err := c.Identity(t.Context(), patreon.Query{}); err != nil {
			t.Error(err)
		}
		if len(tokens.reported) != 1 || tokens.reported[0].Access != "old-token" || n.Load() != 2 {
			t.Errorf("%d reports, %d requests", len(tokens.reported), n.Load())
		}
		// A change that was answered with 401 was not acted upon.
		tokens.tokens = []string{"old-token", "new-token"}
		if err := c.DeleteWebhook(t.Context(), "5"); err != nil || s.count() != 2 {
			t.Errorf("a deletion: %v after %d", err, s.count())
		}
	}
}

func TestATokenWithoutAReplacementIsNotTriedAgain(t *testing.T) {
	for name, tokens := range map[string]patreon.TokenSource{
		"static":        patreon.StaticToken("old-token"),
		"same":          &changing{tokens: []string{"old-token"}},
		"report failed": &changing{tokens: []string{"old-token"}, err: errors.New("no")},
	} {
		var n atomic.Int32
		c := newClient(t, tokenCheck("new-token", false, &n, answers(someone)), func(cfg *patreon.ClientConfig) { cfg.Tokens = tokens })
		_, err := c.Identity(t.Context(), patreon.Query{})
		if !errors.Is(err, patreon.ErrUnauthorized) || n.Load() != 1 {
			t.Errorf("%s: %v after %d requests", name, err, n.Load())
		}
	}
	// A report that fails is no reason not to ask.
	var reports atomic.Int32
	late := newClient(t, tokenCheck("new-token", false, &reports, answers(someone)), func(cfg *patreon.ClientConfig) {
		cfg.Tokens = &changing{tokens: []string{"old-token", "new-token"}, err: errors.New("no")}
	})
	if _, err := late.Identity(t.Context(), patreon.Query{}); err != nil || reports.Load() != 2 {
		t.Errorf("after a report that failed: %v after %d requests", err, reports.Load())
	}
	// The next one is not accepted, either: that is the end.
	var n atomic.Int32
	c := newClient(t, tokenCheck("none", false, &n, answers(someone)), func(cfg *patreon.ClientConfig) {
		cfg.Tokens = &changing{tokens: []string{"1", "2", "3", "4"}}
	})
	if _, err := c.Identity(t.Context(), patreon.Query{}); !errors.Is(err, patreon.ErrUnauthorized) || n.Load() != 2 {
		t.Errorf("%v after %d requests", err, n.Load())
	}
}

func TestManyMayUseAClientAtOnce(t *testing.T) {
	w := newWorld(t, patreontest.Config{PageSize: 10}, nil)
	w.FillMembers(string(w.campaign), 30)
	old, _ := w.Current("app", w.creator)
	now := w.Portal("app", w.creator)
	tokens := &changing{tokens: []string{old.AccessToken, now.AccessToken}}
	c := newClient(t, w.Server, func(cfg *patreon.ClientConfig) { cfg.Tokens = tokens })
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, err := c.CollectMembers(t.Context(), w.campaign, patreon.Query{})
			if err != nil || len(s.Members) != 30 {
				t.Errorf("%d members: %v", len(s.Members), err)
			}
		})
	}
	group.Wait()
}

func TestATokenSourceThatFailsIsNotAskedAgainAndAgain(t *testing.T) {
	s := answers(someone)
	c := newClient(t, s, func(cfg *patreon.ClientConfig) { cfg.Tokens = patreon.StaticToken("") })
	_, err := c.Identity(t.Context(), patreon.Query{})
	if want := "patreon: GET /api/oauth2/v2/identity: access token: the access token is empty"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
	if s.count() != 0 {
		t.Errorf("%d requests", s.count())
	}
}

func TestAnswersThatAreNoneAreToldApart(t *testing.T) {
	page := map[string]string{"Content-Type": "text/html; charset=utf-8", "Cf-Ray": "ray-1"}
	for name, tt := range map[string]struct {
		answer
		want error
		text string
	}{
		"challenge":      {answer{status: 403, header: page, body: "<html>"}, patreon.ErrChallenge, "page for browsers"},
		"challenge, 200": {answer{header: page, body: "<html>"}, patreon.ErrChallenge, "ray-1"},
		"forbidden":      {answer{status: 403, body: `{"errors":[{"detail":"scope"}]}`}, patreon.ErrForbidden, "scope"},
		"401 page":       {answer{status: 401, header: page, body: "<html>"}, patreon.ErrUnauthorized, "401"},
		"not found":      {answer{status: 404, body: `{"errors":[{"status":"404"}]}`}, patreon.ErrNotFound, "404"},
		"gone":           {answer{status: 410}, patreon.ErrGone, "410"},
		"truncated":      {answer{body: someone[:50]}, patreon.ErrMalformed, `unexpected end of JSON input`},
		"empty":          {answer{}, patreon.ErrMalformed, "0 bytes"},
		"text":           {answer{body: "try later " + testToken, header: map[string]string{"Content-Type": "text/plain"}}, patreon.ErrMalformed, `"text/plain" that begin with "try later [redacted]"`},
		"list":           {answer{body: `[]`}, patreon.ErrMalformed, "a list in place of an object"},
		"no data":        {answer{body: `{"meta":{}}`}, patreon.ErrMalformed, "no data"},
		"data null":      {answer{body: `{"data":null}`}, patreon.ErrMalformed, "null in place of a resource"},
		"data list":      {answer{body: `{"data":[]}`}, patreon.ErrMalformed, "a list in place of a resource"},
		"other type":     {answer{body: `{"data":{"type":"post","id":"1"}}`}, patreon.ErrMalformed, `"post" in place of "user"`},
		"no id":          {answer{body: `{"data":{"type":"user"}}`}, patreon.ErrMalformed, "nothing in place of a string"},
		"included":       {answer{body: `{"data":{"type":"user","id":"1"},"included":{}}`}, patreon.ErrMalformed, "included"},
		"attribute":      {answer{body: `{"data":{"type":"user","id":"1","attributes":{"full_name":5}}}`}, patreon.ErrMalformed, `user "1": full_name: a number in place of a string`},
	} {
		s := &script{answers: []answer{tt.answer}}
		_, err := newClient(t, s, nil).Identity(t.Context(), patreon.Query{})
		if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.text) || s.count() != 1 {
			t.Errorf("%s: after %d requests: %v", name, s.count(), err)
		}
		if strings.Contains(fmt.Sprint(err), testToken) || strings.Count(fmt.Sprint(err), "patreon: ") > 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	s := &script{answers: []answer{{status: 302, header: map[string]string{"Location": other.URL}}}}
	if _, err := newClient(t, s, nil).Identity(t.Context(), patreon.Query{}); err == nil || elsewhere.Load() != 0 {
		t.Errorf("error %v, %d requests elsewhere", err, elsewhere.Load())
	}
}

func TestTokensAreNotInLogsErrorsOrOtherTexts(t *testing.T) {
	var n atomic.Int32
	var log wait.Buffer
	tokens := &changing{tokens: []string{"old-token", "odd-token"}}
	h := tokenCheck("none", false, &n, nil)
	c := newClient(t, h, func(cfg *patreon.ClientConfig) {
		cfg.Tokens = tokens
		cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	_, err := c.Identity(t.Context(), patreon.Query{})
	static := patreon.StaticToken(testToken)
	hook := patreon.Webhook{ID: "1", Secret: testToken}
	cfg := patreon.ClientConfig{Tokens: static}
	texts := []string{log.String(), fmt.Sprint(err), fmt.Sprintf("%#v", err)}
	for _, v := range []any{static, c, cfg, hook, *c, patreon.Some(hook.Secret), struct{ C *patreon.Client }{c}} {
		encoded, _ := json.Marshal(v)
		texts = append(texts, fmt.Sprintf("%v %+v %#v %s %q %x", v, v, v, v, v, v), string(encoded))
	}
	if log.String() == "" {
		t.Error("nothing was logged")
	}
	for _, text := range texts {
		for _, secret := range []string{"old-token", "odd-token", testToken, fmt.Sprintf("%x", testToken)} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has a token in it", text)
			}
		}
	}
}

func TestWebhooksAreCreatedChangedAndRemoved(t *testing.T) {
	const hook = `{"data":{"type":"webhook","id":"9","attributes":{"secret":"s3cret","triggers":["members:create","x:new"],"paused":false,"uri":"https://x.example/"},
		"relationships":{"campaign":{"data":{"type":"campaign","id":"1"}}}},"links":{"self":""}}`
	s := answers(hook, hook, "")
	c := newClient(t, s, nil)
	w, err := c.CreateWebhook(t.Context(), patreon.NewWebhook{Campaign: "1", URI: "https://x.example/", Triggers: []patreon.Trigger{patreon.MembersCreate}})
	if err != nil || w.ID != "9" || w.Secret.Reveal() != "s3cret" || w.Campaign.ID() != "1" {
		t.Errorf("created %v, %v", w, err)
	}
	if triggers := w.Triggers.Or(nil); len(triggers) != 2 || !triggers[0].Known() || triggers[1].Known() {
		t.Errorf("triggers %v", w.Triggers)
	}
	change := patreon.WebhookChange{Paused: patreon.Some(false), URI: patreon.Some("https://y.example/"), Triggers: patreon.Triggers()[:1]}
	if _, err = c.UpdateWebhook(t.Context(), "9", change); err != nil {
		t.Error(err)
	}
	s.answers[2].status = 204
	if err := c.DeleteWebhook(t.Context(), "9"); err != nil {
		t.Error(err)
	}
	want := []string{
		`POST /api/oauth2/v2/webhooks {"data":{"attributes":{"triggers":["members:create"],"uri":"https://x.example/"},"relationships":{"campaign":{"data":{"type":"campaign","id":"1"}}},"type":"webhook"}}`,
		`PATCH /api/oauth2/v2/webhooks/9 {"data":{"attributes":{"paused":false,"triggers":["members:create"],"uri":"https://y.example/"},"id":"9","type":"webhook"}}`,
		`DELETE /api/oauth2/v2/webhooks/9 `,
	}
	for i, r := range s.requests {
		if got := r.Method + " " + r.URL.String() + " " + s.bodies[i]; got != want[i] {
			t.Errorf("request %d\n%s, want\n%s", i, got, want[i])
		}
	}
	if _, err := c.UpdateWebhook(t.Context(), "9", patreon.WebhookChange{}); err == nil {
		t.Error("a change of nothing was sent")
	}
	if _, err := c.CreateWebhook(t.Context(), patreon.NewWebhook{Campaign: "1"}); err == nil {
		t.Error("a webhook without an address was sent")
	}
}
