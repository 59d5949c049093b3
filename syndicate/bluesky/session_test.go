// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"bytes"
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
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/faultproxy"
	"xeiaso.net/site/internal/test/pds"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
	"xeiaso.net/site/xesite/state"
)

const (
	logins    = "POST /xrpc/com.atproto.server.createSession"
	refreshes = "POST /xrpc/com.atproto.server.refreshSession"
)

// A server allows 300 new sessions a day.
func TestSessionOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	proxy := faultproxy.Start(t, server.URL)
	store := newStore(t)
	for i := range 3 {
		target := newTarget(t, server, account, bluesky.Config{PDS: proxy.URL, Store: store})
		send(t, target, note(fmt.Sprint(i), "Hello"))
	}
	if n := count(proxy.Log(), logins); n != 1 {
		t.Errorf("%d sessions were made, want one", n)
	}
	if n := len(server.Records(t, account.DID)); n != 3 {
		t.Errorf("the account has %d posts, want 3", n)
	}
}

func TestSessionIsRenewedWhenItsTokenIsRefused(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	for name, tt := range map[string]struct {
		change            map[string]string
		logins, refreshes int
	}{
		"access":       {map[string]string{"access": "not.a.token"}, 1, 1},
		"both":         {map[string]string{"access": "not.a.token", "refresh": "neither.is.this"}, 2, 1},
		"no session":   {map[string]string{"access": ""}, 2, 0},
		"wrong person": {map[string]string{"did": "x"}, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := faultproxy.Start(t, server.URL)
			store := newStore(t)
			config := bluesky.Config{PDS: proxy.URL, Store: store}
			send(t, newTarget(t, server, account, config), note(name+" first", "Hello"))
			changeSession(t, store, tt.change)
			send(t, newTarget(t, server, account, config), note(name+" second", "Hello"))
			send(t, newTarget(t, server, account, config), note(name+" third", "Hello"))
			if l, r := count(proxy.Log(), logins), count(proxy.Log(), refreshes); l != tt.logins || r != tt.refreshes {
				t.Errorf("%d new sessions and %d renewed ones, want %d and %d", l, r, tt.logins, tt.refreshes)
			}
			for field, changed := range tt.change {
				if _, session := storedSession(t, store); session[field] == changed {
					t.Errorf("the store has still got %s %q", field, changed)
				}
			}
		})
	}
}

// Of several processes that find the token expired, one renews it for all, or
// each has a good one.
func TestProcessesRenewOneSession(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	proxy := faultproxy.Start(t, server.URL)
	store := newStore(t)
	config := bluesky.Config{PDS: proxy.URL, Store: store}
	send(t, newTarget(t, server, account, config), note("first", "Hello"))
	for round := range 3 {
		changeSession(t, store, map[string]string{"access": fmt.Sprintf("not.a.token%d", round)})
		var all sync.WaitGroup
		for i := range 4 {
			target := newTarget(t, server, account, config)
			a := attempt(t, target, note(fmt.Sprint(round, i), "Hello"))
			all.Go(func() {
				if _, err := target.Send(t.Context(), a); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if n := count(proxy.Log(), logins); n != 1 {
		t.Errorf("%d sessions were made, want one", n)
	}
	if n := len(server.Records(t, account.DID)); n != 13 {
		t.Errorf("the account has %d posts, want 13", n)
	}
}

// forgetful is a store that writes nothing, as if the process had ended before.
type forgetful struct{ syndicate.Store }

func (forgetful) Swap(context.Context, string, []byte, []byte) (bool, error) {
	return false, errors.New("the disk is full")
}

func TestSessionThatCannotBeKeptIsUsed(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	proxy := faultproxy.Start(t, server.URL)
	store := newStore(t)
	send(t, newTarget(t, server, account, bluesky.Config{PDS: proxy.URL, Store: store}), note("1", "Hello"))
	changeSession(t, store, map[string]string{"access": "not.a.token"})
	var log bytes.Buffer
	lossy := newTarget(t, server, account, bluesky.Config{
		PDS: proxy.URL, Store: forgetful{store}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	send(t, lossy, note("2", "Hello"))
	send(t, lossy, note("3", "Hello"))
	if !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("the log does not say why: %s", log.String())
	}
	// The next process has the old refresh token, which was used already.
	send(t, newTarget(t, server, account, bluesky.Config{PDS: proxy.URL, Store: store}), note("4", "Hello"))
	if n := count(proxy.Log(), logins); n != 1 {
		t.Errorf("%d sessions were made, want one", n)
	}
}

// broken is a store that does not answer.
type broken struct{ syndicate.Store }

func (broken) Load(context.Context, string) ([]byte, error) {
	return nil, errors.New("no route to host")
}

func TestNoSessionIsMadeWhileTheStoreIsBroken(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	proxy := faultproxy.Start(t, server.URL)
	target := newTarget(t, server, account, bluesky.Config{PDS: proxy.URL, Store: broken{new(state.Mem)}})
	_, err := target.Send(t.Context(), attempt(t, target, note("1", "Hello")))
	if want := (syndicate.Error{NotSent: true, Everything: true}); promises(err) != want {
		t.Errorf("%v: %+v, want %+v", err, promises(err), want)
	}
	if n := len(proxy.Log()); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestWrongPasswordSaysWhatToDo(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	const wrong = "abcd-efgh-ijkl-mnop"
	target := newTarget(t, server, account, bluesky.Config{AppPassword: wrong})
	_, err := target.Send(t.Context(), attempt(t, target, note("1", "Hello")))
	if want := (syndicate.Error{NotSent: true, Refused: true, Everything: true}); promises(err) != want {
		t.Errorf("%v: %+v, want %+v", err, promises(err), want)
	}
	for _, want := range []string{"https://bsky.app/settings/app-passwords", account.Handle} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %s", err, want)
		}
	}
	if strings.Contains(err.Error(), wrong) {
		t.Errorf("%q has the password in it", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	proxy := faultproxy.Start(t, server.URL)
	store := newStore(t)
	var out bytes.Buffer
	config := bluesky.Config{PDS: proxy.URL, Store: store, Logger: slog.New(slog.NewTextHandler(&out, nil))}
	target := newTarget(t, server, account, config)
	send(t, target, note("1", "Hello"))
	_, session := storedSession(t, store)
	for _, f := range faultproxy.All() {
		if !f.Hangs() {
			proxy.Once("", f)
			_, err := target.Send(t.Context(), attempt(t, target, note(f.String(), "Hello")))
			fmt.Fprintln(&out, err)
		}
	}
	config.AppPassword = syndicate.Secret(account.AppPassword)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&out, verb+verb+verb, config.AppPassword, target, config)
	}
	for name, secret := range map[string]string{"password": account.AppPassword, "access": session["access"], "refresh": session["refresh"]} {
		if secret == "" || strings.Contains(out.String(), secret) {
			t.Errorf("the %s was printed", name)
		}
	}
}

// A proxy may repeat what was asked for.
func TestEchoesTellNoSecret(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusBadGateway)
		json.NewEncoder(w).Encode(map[string]string{"message": "no route for " + r.Header.Get("Authorization") + string(content)})
	}
	for _, s := range []scripted{
		{"createSession": echo},
		{"createSession": says(200, session), "putRecord": echo},
		{"createSession": says(200, session), "putRecord": says(401, "{}"), "refreshSession": echo},
	} {
		target := s.start(t)
		_, err := target.Send(t.Context(), attempt(t, target, note("1", "Hello")))
		if err == nil || !strings.Contains(err.Error(), "no route") {
			t.Errorf("error %v, want what the proxy says", err)
		}
		for _, secret := range []string{"abcd", "a.b.c", "d.e.f"} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%q has %q in it", err, secret)
			}
		}
	}
}

// scripted is a server that answers as told, by the method that is called.
type scripted map[string]func(w http.ResponseWriter, r *http.Request)

func (s scripted) start(t *testing.T) *bluesky.Target {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := s[r.URL.Path[strings.LastIndexByte(r.URL.Path, '.')+1:]]
		if !ok {
			t.Errorf("unexpected request %s %s", r.Method, r.URL)
			http.NotFound(w, r)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	target, err := bluesky.New(bluesky.Config{PDS: server.URL, Handle: "me.test", AppPassword: "abcd"})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// says answers with a status and a body.
func says(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write([]byte(body))
	}
}

const (
	me      = "did:plc:abcdefghijklmnopqrstuvwx"
	session = `{"did":"` + me + `","handle":"me.test","accessJwt":"a.b.c","refreshJwt":"d.e.f"}`
)

func TestAnswersToALoginAreNotTrusted(t *testing.T) {
	t.Parallel()
	waits := syndicate.Error{NotSent: true, Everything: true}
	person := syndicate.Error{NotSent: true, Refused: true, Everything: true}
	for name, tt := range map[string]struct {
		status int
		body   string
		want   syndicate.Error
	}{
		"another account":  {200, strings.ReplaceAll(session, "me.test", "you.test"), person},
		"no DID":           {200, strings.ReplaceAll(session, me, "me"), waits},
		"no token":         {200, strings.ReplaceAll(session, "a.b.c", ""), waits},
		"token with lines": {200, strings.ReplaceAll(session, "a.b.c", `a\nEvil: b`), waits},
		"endless token":    {200, strings.ReplaceAll(session, "a.b.c", strings.Repeat("a", 1<<20)), waits},
		"page":             {200, "<html>Log in to the hotel's network</html>", waits},
		"two factors":      {401, `{"error":"AuthFactorTokenRequired","message":"A sign in code has been sent"}`, person},
		"taken down":       {400, `{"error":"AccountTakedown","message":"Account has been taken down"}`, person},
		"moved":            {301, ``, person},
		"down":             {502, `{"error":"UpstreamFailure"}`, waits},
		"broken":           {500, `{"error":"InternalServerError"}`, waits},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := scripted{"createSession": says(tt.status, tt.body)}.start(t)
			_, err := target.Send(t.Context(), attempt(t, target, note("1", "Hello")))
			if diff := cmp.Diff(tt.want, promises(err)); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if _, err := target.Reconcile(t.Context(), attempt(t, target, note("1", "Hello"))); promises(err).NotSent || errors.Is(err, syndicate.ErrAbsent) {
				t.Errorf("Reconcile knows something: %v", err)
			}
		})
	}
}

// The official server says 400 where others say 401.
func TestExpiredTokenIsRenewedWhateverTheStatus(t *testing.T) {
	t.Parallel()
	for _, refusal := range []func(http.ResponseWriter, *http.Request){
		says(400, `{"error":"ExpiredToken","message":"Token has expired"}`),
		says(400, `{"error":"InvalidToken"}`),
		says(401, `{"error":"AuthMissing"}`),
		says(401, ``),
	} {
		target := scripted{
			"createSession":  says(200, session),
			"refreshSession": says(200, strings.ReplaceAll(session, "a.b.c", "new")),
			"putRecord": func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer new" {
					refusal(w, r)
					return
				}
				answerPut(w, r)
			},
		}.start(t)
		send(t, target, note("1", "Hello"))
	}
}

// answerPut answers as a server does that has written the record.
func answerPut(w http.ResponseWriter, r *http.Request) {
	var in struct{ Rkey string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		panic(err)
	}
	fmt.Fprintf(w, `{"uri":"at://%s/app.bsky.feed.post/%s","cid":"bafy"}`, me, in.Rkey)
}

func TestTokenThatIsAlwaysRefusedIsNoLoop(t *testing.T) {
	t.Parallel()
	made := 0
	target := scripted{
		"createSession": says(200, session),
		"refreshSession": func(w http.ResponseWriter, r *http.Request) {
			made++
			says(200, strings.ReplaceAll(session, "a.b.c", fmt.Sprint("token", made)))(w, r)
		},
		"putRecord": says(400, `{"error":"InvalidToken"}`),
	}.start(t)
	_, err := target.Send(t.Context(), attempt(t, target, note("1", "Hello")))
	if want := (syndicate.Error{NotSent: true, Everything: true}); promises(err) != want || made > 5 {
		t.Errorf("%v after %d renewals: %+v, want %+v", err, made, promises(err), want)
	}
}

func TestRenamedAccountIsTheSame(t *testing.T) {
	t.Parallel()
	target := scripted{
		"createSession":  says(200, session),
		"refreshSession": says(200, strings.ReplaceAll(strings.ReplaceAll(session, "me.test", "i.test"), "a.b.c", "new")),
		"putRecord": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer new" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			answerPut(w, r)
		},
	}.start(t)
	send(t, target, note("1", "Hello"))
}

func TestAccountThatBecameAnotherNeedsAPerson(t *testing.T) {
	t.Parallel()
	const other = "did:plc:zyxwvutsrqponmlkjihgfedc"
	target := scripted{
		"createSession":  says(200, session),
		"refreshSession": says(200, strings.ReplaceAll(session, me, other)),
		"putRecord":      says(401, ""),
	}.start(t)
	_, err := target.Send(t.Context(), attempt(t, target, note("1", "Hello")))
	if want := (syndicate.Error{NotSent: true, Refused: true, Everything: true}); promises(err) != want || !strings.Contains(err.Error(), other) {
		t.Errorf("%v: %+v, want %+v", err, promises(err), want)
	}
}

func TestRateLimitSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header func() http.Header
		want   time.Duration
	}{
		"since 1970": {func() http.Header {
			return http.Header{"Ratelimit-Reset": {fmt.Sprint(time.Now().Add(42 * time.Second).Unix())}}
		}, 42 * time.Second},
		"from now": {func() http.Header { return http.Header{"Ratelimit-Reset": {"42"}} }, 42 * time.Second},
		"tomorrow": {func() http.Header {
			return http.Header{"Ratelimit-Reset": {fmt.Sprint(time.Now().Add(48 * time.Hour).Unix())}}
		}, 24 * time.Hour},
		"past": {func() http.Header {
			return http.Header{"Ratelimit-Reset": {fmt.Sprint(time.Now().Add(-time.Hour).Unix())}}
		}, 0},
		"nonsense":    {func() http.Header { return http.Header{"Ratelimit-Reset": {"soon"}} }, 0},
		"retry-after": {func() http.Header { return http.Header{"Retry-After": {"7"}, "Ratelimit-Reset": {"42"}} }, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				answer := httptest.NewRecorder()
				target, err := bluesky.New(bluesky.Config{Handle: "me.test", AppPassword: "x", Client: &http.Client{
					Transport: roundTrip(func(*http.Request) (*http.Response, error) {
						answer.Code = http.StatusTooManyRequests
						resp := answer.Result()
						resp.Header = tt.header()
						return resp, nil
					}),
				}})
				if err != nil {
					t.Fatal(err)
				}
				_, err = target.Send(t.Context(), attempt(t, target, note("1", "Hello")))
				if want := (syndicate.Error{NotSent: true, Everything: true, RetryAfter: tt.want}); promises(err) != want {
					t.Errorf("%v: %+v, want %+v", err, promises(err), want)
				}
			})
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
