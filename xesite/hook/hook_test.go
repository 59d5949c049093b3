// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package hook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/xesite/hook"
)

const (
	password = hook.Secret("correct horse battery staple")
	after    = "0123456789abcdef0123456789abcdef01234567"
)

var forges = []hook.Forge{hook.GitHub, hook.GitLab, hook.Forgejo, hook.Bitbucket}

// receiver notes what a handler hands over.
type receiver struct {
	mu     sync.Mutex
	pushes []hook.Push
	err    error
}

func (r *receiver) receive(_ context.Context, p hook.Push) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return "", r.err
	}
	r.pushes = append(r.pushes, p)
	return fmt.Sprintf("trigger/%d", len(r.pushes)), nil
}

// newHandler returns a handler for pushes to main, changed by changes.
func newHandler(t testing.TB, forge hook.Forge, changes ...func(*hook.Config)) (*hook.Handler, *receiver) {
	t.Helper()
	var r receiver
	cfg := hook.Config{
		Forge:   forge,
		Secrets: []hook.Secret{password},
		Branch:  "main",
		Receive: r.receive,
		Logger:  slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, change := range changes {
		change(&cfg)
	}
	h, err := hook.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h, &r
}

func pushOf(forge hook.Forge) hook.Push {
	return hook.Push{Forge: forge, Branch: "main", After: after, Repository: "owner/site"}
}

func newRequest(t testing.TB, p hook.Push) *http.Request {
	t.Helper()
	r, err := hook.NewRequest(t.Context(), "http://site.example/hook", password, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rawRequest is a signed delivery of any body as the event push.
func rawRequest(t testing.TB, forge hook.Forge, contentType, body string) *http.Request {
	t.Helper()
	template := newRequest(t, pushOf(forge))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hook", strings.NewReader(body))
	r.Header = template.Header
	r.Header.Set("Content-Type", contentType)
	forge.Sign(r.Header, password, []byte(body))
	return r
}

type answer struct{ Trigger, Reason, Error string }

// deliver has h answer r, and checks what holds for all answers.
func deliver(t testing.TB, h http.Handler, r *http.Request, wantStatus int) (answer, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != wantStatus {
		t.Errorf("status %d, want %d; %s", w.Code, wantStatus, w.Body)
	}
	return checkAnswer(t, w.Result())
}

func checkAnswer(t testing.TB, res *http.Response) (answer, http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control":          "no-store",
		"Content-Type":           "application/json",
		"X-Content-Type-Options": "nosniff",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if unavailable := res.StatusCode == http.StatusServiceUnavailable; unavailable != (res.Header.Get("Retry-After") != "") {
		t.Errorf("status %d with Retry-After: %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
	var a answer
	dec := json.NewDecoder(res.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		t.Errorf("answer: %v", err)
	}
	if res.StatusCode >= 400 && a.Error == "" {
		t.Errorf("status %d without an error text", res.StatusCode)
	}
	return a, res.Header
}

func (r *receiver) want(t testing.TB, n int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pushes) != n {
		t.Errorf("%d pushes were received, want %d: %+v", len(r.pushes), n, r.pushes)
	}
}

func TestPushIsReceived(t *testing.T) {
	events := map[hook.Forge]string{
		hook.GitHub: "push", hook.GitLab: "Push Hook", hook.Forgejo: "push", hook.Bitbucket: "repo:push",
	}
	for _, forge := range forges {
		t.Run(string(forge), func(t *testing.T) {
			h, got := newHandler(t, forge)
			push := pushOf(forge)
			push.Delivery = "11111111-2222-3333-4444-555555555555"
			a, _ := deliver(t, h, newRequest(t, push), http.StatusAccepted)
			if want := (answer{Trigger: "trigger/1"}); a != want {
				t.Errorf("answer %+v, want %+v", a, want)
			}
			want := push
			want.Event, want.Ref = events[forge], "refs/heads/main"
			if diff := cmp.Diff([]hook.Push{want}, got.pushes); diff != "" {
				t.Errorf("pushes differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRealPayloads has the shape of what forges send, cut down to what
// surrounds the fields that are read.
func TestRealPayloads(t *testing.T) {
	for name, c := range map[string]struct {
		forge   hook.Forge
		payload string
	}{
		"github": {hook.GitHub, `{"ref":"refs/heads/main","before":"` + after + `","after":"` + after + `","repository":{"id":1,"name":"site","full_name":"owner/site",
			"private":false,"owner":{"name":"owner"},"clone_url":"http://evil.example/x.git"},"created":false,"deleted":false,"forced":false,"commits":[{"id":"x"}]}`},
		"gitlab": {hook.GitLab, `{"object_kind":"push","event_name":"push","ref":"refs/heads/main","checkout_sha":"` + after + `","after":"` + after + `",
			"project_id":15,"project":{"id":15,"name":"Site","path_with_namespace":"owner/site"},"repository":{"name":"Site","url":"git@evil.example:x.git"}}`},
		"forgejo": {hook.Forgejo, `{"ref":"refs/heads/main","after":"` + after + `","compare_url":"http://evil.example","repository":{"id":140,
			"owner":{"login":"owner"},"full_name":"owner/site"},"pusher":{"id":1}}`},
		"bitbucket": {hook.Bitbucket, `{"actor":{"type":"user"},"repository":{"type":"repository","full_name":"owner/site"},"push":{"changes":[
			{"new":{"type":"tag","name":"v1","target":{"type":"commit","hash":"` + after + `"}},"old":null,"created":true},
			{"old":{"type":"branch","name":"gone","target":{"hash":"` + after + `"}},"new":null,"closed":true},
			{"new":{"type":"branch","name":"dev","target":{"hash":"` + after + `"}},"old":null},
			{"new":{"type":"branch","name":"main","target":{"hash":"` + after + `"}},"old":{"type":"branch","name":"main","target":{"hash":"x"}}}]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			h, got := newHandler(t, c.forge)
			deliver(t, h, rawRequest(t, c.forge, "application/json", c.payload), http.StatusAccepted)
			got.want(t, 1)
			if p := got.pushes[0]; p.Branch != "main" || p.After != after || p.Repository != "owner/site" {
				t.Errorf("received %+v", p)
			}
		})
	}
}

func TestEveryBranchIsReceivedWithoutBranch(t *testing.T) {
	h, got := newHandler(t, hook.Bitbucket, func(c *hook.Config) { c.Branch = "" })
	body := `{"push":{"changes":[{"new":{"type":"branch","name":"a/b"}},{"new":{"type":"branch","name":"c"}}]}}`
	a, _ := deliver(t, h, rawRequest(t, hook.Bitbucket, "application/json", body), http.StatusAccepted)
	got.want(t, 2)
	if a.Trigger != "trigger/2" || got.pushes[0].Branch != "a/b" || got.pushes[1].Branch != "c" {
		t.Errorf("answer %+v, received %+v", a, got.pushes)
	}
}

func TestWhatNeedsNoBuildIsIgnoredWithSuccess(t *testing.T) {
	ping := map[hook.Forge]string{hook.GitHub: "ping", hook.GitLab: "ping", hook.Forgejo: "ping", hook.Bitbucket: "diagnostics:ping"}
	for _, forge := range forges {
		for name, c := range map[string]struct {
			change func(*hook.Push)
			reason string
		}{
			"ping":          {func(p *hook.Push) { p.Event = ping[forge] }, "ping"},
			"another event": {func(p *hook.Push) { p.Event = "star" }, `event "star"`},
			"tag":           {func(p *hook.Push) { p.Ref = "refs/tags/v1" }, `tag "v1"`},
			"foreign":       {func(p *hook.Push) { p.Branch = "dev" }, `foreign branch "dev"`},
			"suffix":        {func(p *hook.Push) { p.Branch = "x/main" }, `foreign branch "x/main"`},
			"deletion":      {func(p *hook.Push) { p.Deleted = true }, `deletion of "refs/heads/main"`},
			"option":        {func(p *hook.Push) { p.Branch = "-main" }, `"refs/heads/-main" is no branch that can be built`},
			"traversal":     {func(p *hook.Push) { p.Branch = "../main" }, `"refs/heads/../main" is no branch that can be built`},
		} {
			t.Run(string(forge)+"/"+name, func(t *testing.T) {
				h, got := newHandler(t, forge)
				push := pushOf(forge)
				c.change(&push)
				a, _ := deliver(t, h, newRequest(t, push), http.StatusOK)
				if want := (answer{Reason: c.reason}); a != want {
					t.Errorf("answer %+v, want %+v", a, want)
				}
				got.want(t, 0)
			})
		}
	}
	for name, c := range map[string]struct {
		forge        hook.Forge
		body, reason string
	}{
		"zeros without deleted": {hook.GitHub, `{"ref":"refs/heads/main","after":"0000000000000000000000000000000000000000"}`, `deletion of "refs/heads/main"`},
		"deleted without zeros": {hook.GitHub, `{"ref":"refs/heads/main","deleted":true,"after":"` + after + `"}`, `deletion of "refs/heads/main"`},
		"notes":                 {hook.Forgejo, `{"ref":"refs/notes/x","after":"` + after + `"}`, `"refs/notes/x" is no branch that can be built`},
		"no changes":            {hook.Bitbucket, `{"push":{"changes":[]}}`, "no branch was pushed"},
		"empty change":          {hook.Bitbucket, `{"push":{"changes":[{"new":null,"old":null}]}}`, "no branch was pushed"},
	} {
		t.Run(name, func(t *testing.T) {
			h, got := newHandler(t, c.forge)
			a, _ := deliver(t, h, rawRequest(t, c.forge, "application/json", c.body), http.StatusOK)
			if a.Reason != c.reason {
				t.Errorf("reason %q, want %q", a.Reason, c.reason)
			}
			got.want(t, 0)
		})
	}
	h, _ := newHandler(t, hook.GitLab)
	r := newRequest(t, pushOf(hook.GitLab))
	r.Header.Set("X-Gitlab-Event", "Tag Push Hook")
	if a, _ := deliver(t, h, r, http.StatusOK); a.Reason != "tag" {
		t.Errorf("reason %q, want tag", a.Reason)
	}
	r = newRequest(t, pushOf(hook.GitLab))
	r.Header.Del("X-Gitlab-Event")
	if a, _ := deliver(t, h, r, http.StatusOK); a.Reason != "no event" {
		t.Errorf("reason %q, want no event", a.Reason)
	}
}

// TestOddHintsAreDropped keeps what is no commit away from git.
func TestOddHintsAreDropped(t *testing.T) {
	for hint, want := range map[string]string{
		after: after, strings.Repeat("a", 64): strings.Repeat("a", 64),
		"": "", "HEAD": "", "--upload-pack=x": "", after[1:]: "", strings.ToUpper(after): "",
	} {
		h, got := newHandler(t, hook.GitHub)
		push := pushOf(hook.GitHub)
		push.After = hint
		deliver(t, h, newRequest(t, push), http.StatusAccepted)
		if got.pushes[0].After != want {
			t.Errorf("After %q became %q, want %q", hint, got.pushes[0].After, want)
		}
	}
}

func TestMalformedBodiesAreTheSendersFault(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		forge             hook.Forge
		contentType, body string
	}{
		"empty":             {hook.GitHub, "application/json", ""},
		"half":              {hook.GitHub, "application/json", `{"ref":"refs/heads/main"`},
		"array":             {hook.GitLab, "application/json", `[]`},
		"null":              {hook.Forgejo, "application/json", `null`},
		"no ref":            {hook.GitHub, "application/json", `{}`},
		"number":            {hook.GitHub, "application/json", `{"ref":1}`},
		"changes no list":   {hook.Bitbucket, "application/json", `{"push":{"changes":1}}`},
		"form as JSON":      {hook.GitHub, "application/json", "payload=%7B%7D"},
		"JSON as form":      {hook.GitHub, form, `{"ref":"refs/heads/main"}`},
		"form, bad escape":  {hook.GitHub, form, "payload=%zz"},
		"form, bad payload": {hook.GitHub, form, "payload=x"},
	} {
		t.Run(name, func(t *testing.T) {
			h, got := newHandler(t, c.forge)
			deliver(t, h, rawRequest(t, c.forge, c.contentType, c.body), http.StatusBadRequest)
			got.want(t, 0)
		})
	}
}

func TestForms(t *testing.T) {
	payload := `{"ref":"refs/heads/main","after":"` + after + `","filler":"%+&="}`
	body := url.Values{"payload": {payload}}.Encode()
	for name, c := range map[string]struct {
		forge  hook.Forge
		signed string
	}{
		"github signs the body":     {hook.GitHub, body},
		"forgejo signs the payload": {hook.Forgejo, payload},
	} {
		t.Run(name, func(t *testing.T) {
			h, got := newHandler(t, c.forge)
			r := rawRequest(t, c.forge, "application/x-www-form-urlencoded; charset=utf-8", body)
			c.forge.Sign(r.Header, password, []byte(c.signed))
			deliver(t, h, r, http.StatusAccepted)
			got.want(t, 1)

			r = rawRequest(t, c.forge, "application/x-www-form-urlencoded", "payload=x&"+body)
			c.forge.Sign(r.Header, password, []byte(c.signed))
			deliver(t, h, r, http.StatusUnauthorized)
			got.want(t, 1)
		})
	}
}

func TestOnlyPost(t *testing.T) {
	h, got := newHandler(t, hook.GitHub)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodOptions, "BREW"} {
		r := newRequest(t, pushOf(hook.GitHub))
		r.Method = method
		if _, header := deliver(t, h, r, http.StatusMethodNotAllowed); header.Get("Allow") != "POST" {
			t.Errorf("%s: Allow: %q", method, header.Get("Allow"))
		}
	}
	got.want(t, 0)
}

func TestFailedReceiveMayBeSentAgain(t *testing.T) {
	h, got := newHandler(t, hook.GitHub)
	push := pushOf(hook.GitHub)
	push.Delivery = "again"

	got.err = errors.New("disk /var/lib/site is full")
	a, header := deliver(t, h, newRequest(t, push), http.StatusServiceUnavailable)
	if strings.Contains(a.Error, "disk") || header.Get("Retry-After") != "10" {
		t.Errorf("answer %+v, Retry-After %s; want no internals, and 10", a, header.Get("Retry-After"))
	}
	got.err = fmt.Errorf("lease: %w", &hook.Refusal{Message: "web-2 builds this site", RetryAfter: 1500 * time.Millisecond, Err: errors.New("internal")})
	a, header = deliver(t, h, newRequest(t, push), http.StatusServiceUnavailable)
	if a.Error != "web-2 builds this site" || header.Get("Retry-After") != "2" {
		t.Errorf("answer %+v, Retry-After %s; want the message, and 2", a, header.Get("Retry-After"))
	}
	got.err = nil
	deliver(t, h, newRequest(t, push), http.StatusAccepted)
	got.want(t, 1)
	a, _ = deliver(t, h, newRequest(t, push), http.StatusAccepted)
	if want := (answer{Reason: "duplicate delivery"}); a != want {
		t.Errorf("answer %+v, want %+v", a, want)
	}
	got.want(t, 1)
}

func TestReceiveMayIgnore(t *testing.T) {
	h, got := newHandler(t, hook.GitHub)
	got.err = fmt.Errorf("queue: %w", &hook.Ignored{Reason: "pinned"})
	if a, _ := deliver(t, h, newRequest(t, pushOf(hook.GitHub)), http.StatusOK); a != (answer{Reason: "pinned"}) {
		t.Errorf("answer %+v", a)
	}
}

func TestDuplicates(t *testing.T) {
	for _, forge := range forges {
		t.Run(string(forge), func(t *testing.T) {
			h, got := newHandler(t, forge, func(c *hook.Config) { c.Deliveries = 2 })
			send := func(id, reason string) {
				t.Helper()
				push := pushOf(forge)
				push.Delivery = id
				if a, _ := deliver(t, h, newRequest(t, push), http.StatusAccepted); a.Reason != reason {
					t.Errorf("%s: reason %q, want %q", id, a.Reason, reason)
				}
			}
			// A forged delivery must not use up an id.
			forged := newRequest(t, hook.Push{Forge: forge, Branch: "main", Delivery: "a"})
			forge.Sign(forged.Header, "wrong", nil)
			deliver(t, h, forged, http.StatusUnauthorized)

			send("a", "")
			send("a", "duplicate delivery")
			send("b", "")
			send("a", "duplicate delivery")
			send("c", "") // a is forgotten
			send("b", "duplicate delivery")
			send("a", "")
			send(strings.Repeat("x", 1000), "") // no id
			send(strings.Repeat("x", 1000), "")
			got.want(t, 6)
		})
	}
}

// TestOldGitLabSharesIDs has the id that GitLab gives to a push and to those
// which that one's hooks set off.
func TestOldGitLabSharesIDs(t *testing.T) {
	h, got := newHandler(t, hook.GitLab)
	for i, c := range []struct{ after, reason string }{
		{after, ""}, {after, "duplicate delivery"}, {strings.Repeat("b", 40), ""},
	} {
		push := pushOf(hook.GitLab)
		push.After = c.after
		r := newRequest(t, push)
		r.Header.Del("Idempotency-Key")
		r.Header.Set("X-Gitlab-Event-UUID", "one")
		if a, _ := deliver(t, h, r, http.StatusAccepted); a.Reason != c.reason {
			t.Errorf("%d: reason %q, want %q", i, a.Reason, c.reason)
		}
	}
	got.want(t, 2)
}

// TestDuplicateWaitsForTheFirst sends a delivery again while it is handled,
// which then fails: the second must not have been called a duplicate.
func TestDuplicateWaitsForTheFirst(t *testing.T) {
	for _, fails := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			outcome := make(chan error)
			h, _ := newHandler(t, hook.GitHub, func(c *hook.Config) {
				c.Receive = func(context.Context, hook.Push) (string, error) { return "t", <-outcome }
			})
			push := pushOf(hook.GitHub)
			push.Delivery = "same"
			var wg sync.WaitGroup
			var mu sync.Mutex
			answers := make(map[string]int)
			for range 2 {
				wg.Go(func() {
					w := httptest.NewRecorder()
					h.ServeHTTP(w, newRequest(t, push))
					mu.Lock()
					defer mu.Unlock()
					answers[fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String()))]++
				})
			}
			synctest.Wait()
			want := map[string]int{`202 {"trigger":"t"}`: 1, `202 {"reason":"duplicate delivery"}`: 1}
			if fails {
				outcome <- errors.New("failed")
				want = map[string]int{`202 {"trigger":"t"}`: 1, `503 {"error":"cannot take this now; deliver it again"}`: 1}
			}
			outcome <- nil
			wg.Wait()
			if diff := cmp.Diff(want, answers); diff != "" {
				t.Errorf("answers differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPanicInReceiveLeavesTheIDFree(t *testing.T) {
	calls := 0
	h, _ := newHandler(t, hook.GitHub, func(c *hook.Config) {
		c.Receive = func(context.Context, hook.Push) (string, error) {
			if calls++; calls == 1 {
				panic("first")
			}
			return "t", nil
		}
	})
	push := pushOf(hook.GitHub)
	push.Delivery = "same"
	func() {
		defer func() { recover() }()
		h.ServeHTTP(httptest.NewRecorder(), newRequest(t, push))
	}()
	deliver(t, h, newRequest(t, push), http.StatusAccepted)
}

func TestReceiveOutlivesTheSenderButNotForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHandler(t, hook.GitHub, func(c *hook.Config) {
			c.Receive = func(ctx context.Context, _ hook.Push) (string, error) {
				start := time.Now()
				<-ctx.Done()
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("the context ended after %v, want 10 s", took)
				}
				return "", ctx.Err()
			}
		})
		ctx, hangUp := context.WithCancel(t.Context())
		hangUp()
		deliver(t, h, newRequest(t, pushOf(hook.GitHub)).WithContext(ctx), http.StatusServiceUnavailable)
	})
}

func TestNewNamesTheWrongField(t *testing.T) {
	for field, change := range map[string]func(*hook.Config){
		"Forge":       func(c *hook.Config) { c.Forge = "sourceforge" },
		"Secrets is":  func(c *hook.Config) { c.Secrets = nil },
		"Secrets[1]":  func(c *hook.Config) { c.Secrets = []hook.Secret{"a", ""} },
		"Secrets[0]":  func(c *hook.Config) { c.Forge, c.Secrets = hook.GitLab, []hook.Secret{"whsec_?"} },
		"Receive":     func(c *hook.Config) { c.Receive = nil },
		"Branch":      func(c *hook.Config) { c.Branch = "refs/heads/main" },
		"MaxBody":     func(c *hook.Config) { c.MaxBody = -1 },
		"BodyTimeout": func(c *hook.Config) { c.BodyTimeout = -1 },
		"LargeBodies": func(c *hook.Config) { c.LargeBodies = make(chan struct{}) },
	} {
		cfg := hook.Config{
			Forge: hook.GitHub, Secrets: []hook.Secret{password},
			Receive: func(context.Context, hook.Push) (string, error) { return "", nil },
		}
		change(&cfg)
		if h, err := hook.New(cfg); h != nil || err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: New = %v, %v; want an error that names it", field, h, err)
		}
	}
	if _, err := hook.NewRequest(t.Context(), "http://x", password, hook.Push{}); err == nil {
		t.Error("NewRequest without a forge succeeded")
	}
	if _, err := hook.NewRequest(t.Context(), ":", password, pushOf(hook.GitHub)); err == nil {
		t.Error("NewRequest without a URL succeeded")
	}
}

func TestSecretsStayOutOfLogsAndAnswers(t *testing.T) {
	var out bytes.Buffer
	for _, forge := range forges {
		h, got := newHandler(t, forge, func(c *hook.Config) { c.Logger = slog.New(slog.NewJSONHandler(&out, nil)) })
		for _, err := range []error{nil, errors.New("an error")} {
			got.err = err
			w := httptest.NewRecorder()
			h.ServeHTTP(w, newRequest(t, pushOf(forge)))
			out.Write(w.Body.Bytes())
		}
		fmt.Fprintf(&out, "%+v %#v", h, h)
	}
	if strings.Contains(out.String(), password.Reveal()) {
		t.Errorf("the secret is in\n%s", out.String())
	}
	for _, want := range []string{`"received webhook"`, `"refused webhook"`, `"err":"an error"`, `"trigger":"trigger/1"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in\n%s", want, out.String())
		}
	}
}
