// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// branch is a program somewhere else, which gets its tokens from an office. What
// comes over the wire can be changed.
type branch struct {
	*patreon.RemoteTokenSource
	*office
	calls atomic.Int64
	way   atomic.Pointer[http.HandlerFunc] // in place of the office, if not nil
	cfg   patreon.RemoteConfig
}

func (b *branch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.calls.Add(1)
	if way := b.way.Load(); way != nil {
		(*way)(w, r)
		return
	}
	b.office.server.ServeHTTP(w, r)
}

// meanwhile has another handler in place of the office; nil ends that.
func (b *branch) meanwhile(h http.HandlerFunc) {
	if h == nil {
		b.way.Store(nil)
		return
	}
	b.way.Store(&h)
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func hang(_ http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func newBranch(t *testing.T, edit func(*patreon.RemoteConfig)) *branch {
	t.Helper()
	b := &branch{office: newOffice(t, patreontest.Config{}, nil)}
	b.cfg = patreon.RemoteConfig{
		URL: "http://tokens.internal", Token: bearerToken, HTTPClient: &http.Client{Transport: line{b}},
		Logger: slog.New(slog.NewTextHandler(&b.office.log, nil)),
	}
	if edit != nil {
		edit(&b.cfg)
	}
	s, err := patreon.NewRemoteTokenSource(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.RemoteTokenSource = s
	return b
}

// has gets a token, which must be the one that the keeper has.
func (b *branch) has() patreon.Token {
	b.t.Helper()
	got, err := b.RemoteTokenSource.Token(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if want := b.good(); got.Access != want.Access || got.Generation != want.Generation || got.Scope != want.Scope {
		b.t.Errorf("the token is of generation %d, want %d", got.Generation, want.Generation)
	}
	return got
}

// fails returns the error in place of a token.
func (b *branch) fails() error {
	b.t.Helper()
	token, err := b.RemoteTokenSource.Token(b.t.Context())
	if err == nil {
		b.t.Fatalf("there is a token until %s", token.Expires)
	}
	return err
}

func TestARemoteTokenComesOverASocketOnceForMany(t *testing.T) {
	b := newBranch(t, nil)
	server := httptest.NewServer(b)
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	s, err := patreon.NewRemoteTokenSource(patreon.RemoteConfig{URL: server.URL + "/", Token: bearerToken, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.calls.Load(); n != 0 {
		t.Errorf("%d requests before a token was asked for", n)
	}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if token, err := s.Token(t.Context()); err != nil || token.Access == "" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := b.calls.Load(); n != 1 {
		t.Errorf("%d requests for a hundred callers", n)
	}
	token, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.fake.Revoke(token.Access.Reveal())
	for range 100 {
		all.Go(func() {
			if err := s.ReportUnauthorized(t.Context(), token); err != nil {
				t.Error(err)
			}
			if now, err := s.Token(t.Context()); err != nil || now.Generation != token.Generation+1 {
				t.Errorf("generation %d, %v", now.Generation, err)
			}
		})
	}
	all.Wait()
	if n := b.calls.Load(); n != 3 {
		t.Errorf("%d requests, want one for the token, one report, and one for the next token", n)
	}
}

func TestAServerThatIsDownAtFirstIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBranch(t, nil)
		b.meanwhile(cut)
		for range 600 {
			b.fails()
			pass(time.Second)
		}
		if n := b.calls.Load(); n < 10 || n > 25 {
			t.Errorf("%d requests in ten minutes", n)
		}
		b.meanwhile(nil)
		pass(time.Minute)
		b.has()
	})
}

func TestATokenIsGoodUntilItEndsThoughTheServerIsDown(t *testing.T) {
	for name, way := range map[string]http.HandlerFunc{
		"down": cut, "hangs": hang, "a page": says(200, "text/html", "<html>sign in</html>"), "502": says(502, "text/html", "<html>"),
		"nothing": says(200, "application/json", ""), "half": says(200, "application/json", `{"access_token":"x","expires`),
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBranch(t, nil)
			token := b.has()
			b.meanwhile(way)
			for time.Until(token.Expires) > 2*time.Hour {
				pass(time.Hour)
				begun := time.Now()
				now, err := b.RemoteTokenSource.Token(t.Context())
				if err != nil || now.Access != token.Access {
					t.Fatalf("%s: %v, %s before its end", name, err, time.Until(token.Expires))
				}
				if took := time.Since(begun); took > 5*time.Second {
					t.Fatalf("%s: it took %s", name, took)
				}
			}
			pass(time.Until(token.Expires))
			b.fails()
			b.meanwhile(nil)
			pass(time.Minute)
			b.has()
		})
	}
}

func TestATokenServerThatLiesIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, body := range []string{
			``, `null`, `[]`, `{}`, `{"access_token":"a"}`, `{"access_token":"a","expires_in":0}`, `{"access_token":"a","expires_in":-5}`,
			`{"access_token":"","expires_in":60}`, `{"access_token":"a b","expires_in":60}`, "{\"access_token\":\"a\\nb\",\"expires_in\":60}",
			`{"access_token":"a","expires_in":"60"}`, `{"access_token":"a","expires_in":1e400}`, `{"access_token":5,"expires_in":60}`,
			`{"access_token":"a","expires_in":60,"generation":-1}`, `{"access_token":"a","expires_in":60`,
		} {
			b := newBranch(t, nil)
			b.meanwhile(says(200, "application/json", body))
			if err := b.fails(); !errors.Is(err, patreon.ErrMalformed) || strings.Count(err.Error(), "patreon: ") < 1 || !strings.HasPrefix(err.Error(), "patreon: ") {
				t.Errorf("%s: %v", body, err)
			}
			b.meanwhile(says(200, "application/json", `{"generation":0}`))
			if err := b.RemoteTokenSource.ReportUnauthorized(t.Context(), patreon.Token{Access: "a", Generation: 3}); !errors.Is(err, patreon.ErrMalformed) {
				t.Errorf("a report: %v", err)
			}
		}
		b := newBranch(t, nil)
		b.meanwhile(says(200, "application/json", `{"access_token":"a","expires_in":9223372036854775807,"generation":1}`))
		if token, err := b.RemoteTokenSource.Token(t.Context()); err != nil || time.Until(token.Expires) > 400*24*time.Hour || time.Until(token.Expires) < time.Hour {
			t.Errorf("%s, %v", token.Expires, err)
		}
		b = newBranch(t, nil)
		b.meanwhile(says(302, "text/plain", "elsewhere"))
		if err := b.fails(); !strings.Contains(err.Error(), "302") {
			t.Errorf("%v", err)
		}
	})
}

func TestTheClockOfTheServerDoesNotMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, wrong := range []time.Duration{-9 * time.Hour, 9 * time.Hour, -400 * 24 * time.Hour} {
			b := newBranch(t, nil)
			b.meanwhile(says(200, "application/json", fmt.Sprintf(`{"access_token":"a","expires_in":3600,"generation":1,"expires_at":%q}`,
				time.Now().Add(wrong+time.Hour).Format(time.RFC3339))))
			if token, err := b.RemoteTokenSource.Token(t.Context()); err != nil || time.Until(token.Expires) != time.Hour {
				t.Errorf("%s: until %s, %v", wrong, token.Expires, err)
			}
		}
	})
}

func TestARefreshIsNoticedWithinMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBranch(t, nil)
		b.has()
		for range 40 {
			pass(24 * time.Hour)
			b.has()
		}
	})
}

func TestAReportedTokenIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBranch(t, nil)
		token := b.has()
		// Patreon takes it: the server says that it stays.
		for range 60 {
			if err := b.RemoteTokenSource.ReportUnauthorized(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			pass(time.Second)
		}
		if n := b.calls.Load(); n > 8 {
			t.Errorf("%d requests in a minute", n)
		}
		if b.has() != token {
			t.Error("it is another one")
		}
		b.fake.Revoke(token.Access.Reveal())
		pass(time.Minute)
		if err := b.RemoteTokenSource.ReportUnauthorized(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if now := b.has(); now.Generation != token.Generation+1 {
			t.Errorf("generation %d", now.Generation)
		}
		before := b.calls.Load()
		if err := b.RemoteTokenSource.ReportUnauthorized(t.Context(), token); err != nil || b.calls.Load() != before {
			t.Errorf("a token that was replaced is reported again: %v", err)
		}
	})
}

func TestAWrongBearerTokenIsSaidAndCostsFewRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBranch(t, func(cfg *patreon.RemoteConfig) { cfg.Token = "canary-wrong-bearer" })
		for range 3600 {
			err := b.fails()
			if !errors.Is(err, patreon.ErrUnauthorized) || strings.Contains(err.Error(), "canary") {
				t.Fatal(err)
			}
			pass(time.Second)
		}
		if n := b.calls.Load(); n > 70 {
			t.Errorf("%d requests in an hour", n)
		}
		if strings.Contains(b.office.log.String(), "canary") {
			t.Error("the bearer token is in the log")
		}
	})
}

func TestWhatIsWrongWithTheTokensComesOverTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBranch(t, nil)
		token := b.has()
		b.rig.seed() // ends the lineage
		pass(40 * 24 * time.Hour)
		b.Keeper.Token(t.Context())
		if err := b.fails(); !errors.Is(err, patreon.ErrLineageLost) || errors.Is(err, patreon.ErrNoTokens) || strings.Count(err.Error(), "patreon: ") != 1 {
			t.Errorf("%v", err)
		}
		if err := b.RemoteTokenSource.ReportUnauthorized(t.Context(), token); !errors.Is(err, patreon.ErrLineageLost) {
			t.Errorf("%v", err)
		}
		c, err := patreon.NewRemoteClient(b.cfg)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, err := c.Identity(t.Context(), patreon.Query{}); !errors.Is(err, patreon.ErrLineageLost) || time.Since(begun) > time.Second {
			t.Errorf("by the proxy: %v after %s", err, time.Since(begun))
		}
		if err := b.Seed(t.Context(), b.rig.seed(), false); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		b.has()
		b.meanwhile(says(503, "application/json", `{"error":"no_tokens","detail":"there are none"}`))
		pass(40 * 24 * time.Hour)
		if err := b.fails(); !errors.Is(err, patreon.ErrNoTokens) {
			t.Errorf("%v", err)
		}
	})
}

func TestACallerWhoLeavesDoesNotWaitForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBranch(t, nil)
		b.meanwhile(hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := b.RemoteTokenSource.Token(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		if err := b.RemoteTokenSource.ReportUnauthorized(ctx, patreon.Token{Access: "a"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		pass(time.Minute) // and nothing is left running, or the bubble would not end
	})
}

func TestARemoteClientReadsWithoutAToken(t *testing.T) {
	b := newBranch(t, nil)
	campaign := b.fake.AddCampaign(patreontest.Campaign{Creator: b.creator})
	b.fake.FillMembers(campaign, 25)
	b.fake.SetPaging(patreontest.Paging{LinksNext: true})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.serve(l)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	cfg := patreon.RemoteConfig{URL: "http://" + l.Addr().String(), Token: bearerToken, HTTPClient: &http.Client{Transport: transport}}
	c, err := patreon.NewRemoteClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.CollectMembers(t.Context(), patreon.CampaignID(campaign), patreon.Query{})
	if err != nil || len(s.Members) != 25 || !s.Complete {
		t.Errorf("%d members, %v", len(s.Members), err)
	}
	if _, err := c.CreateWebhook(t.Context(), patreon.NewWebhook{Campaign: patreon.CampaignID(campaign), URI: hookURI, Triggers: patreon.MemberTriggers()}); err == nil {
		t.Error("something was written")
	}
	cfg.Token = "canary-wrong"
	if c, err = patreon.NewRemoteClient(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identity(t.Context(), patreon.Query{}); !errors.Is(err, patreon.ErrUnauthorized) || strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
	wait.Until(t, "requests are counted", func() bool { return b.office.server.Requests()[patreon.Asked{Path: "proxy", Code: 401}] == 1 })
}

func TestARemoteThatCannotWorkIsRefused(t *testing.T) {
	for _, cfg := range []patreon.RemoteConfig{
		{},
		{URL: "tokens.internal"},
		{URL: "http://user:canary@tokens.internal"},
		{URL: "http://tokens.internal", Token: "canary with blanks"},
		{URL: "http://tokens.internal?x"},
		{URL: "http://tokens.internal", UserAgent: "two\nlines"},
	} {
		if _, err := patreon.NewRemoteTokenSource(cfg); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%+v: %v", cfg, err)
		}
		if _, err := patreon.NewRemoteClient(cfg); cfg.Token == "" && (err == nil || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// FuzzTokenAnswer gives answers of a token server: what comes of one is a token
// that lasts, or an error.
func FuzzTokenAnswer(f *testing.F) {
	f.Add(200, "application/json", []byte(`{"access_token":"a","expires_in":60,"generation":1}`))
	f.Add(200, "text/html", []byte(`<html>`))
	f.Add(503, "application/json", []byte(`{"error":"lineage_lost","detail":5}`))
	f.Add(401, "", []byte(`{"errors":[{"code":1e99}]}`))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		if status < 200 || status > 599 || strings.ContainsFunc(contentType, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Skip()
		}
		s, err := patreon.NewRemoteTokenSource(patreon.RemoteConfig{
			URL: "http://tokens.internal", HTTPClient: &http.Client{Transport: line{says(status, contentType, string(body))}},
		})
		if err != nil {
			t.Fatal(err)
		}
		token, err := s.Token(t.Context())
		switch {
		case err != nil && !strings.HasPrefix(err.Error(), "patreon: "):
			t.Errorf("%d %q: %v", status, body, err)
		case err == nil && (token.Access == "" || strings.ContainsAny(token.Access.Reveal(), " \r\n") || time.Until(token.Expires) <= -time.Minute):
			t.Errorf("%d %q: a token until %s", status, body, token.Expires)
		}
	})
}
