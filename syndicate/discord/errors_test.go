// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discord_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/deliver"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/discord"
	"xeiaso.net/site/syndicate/discordtest"
)

func TestErrorsAreRead(t *testing.T) {
	for body, want := range map[string]struct {
		code   int
		detail string
		retry  time.Duration
	}{
		`{"code":50035,"message":"Invalid Form Body","errors":{"b":{"0":{"c":{"_errors":[{"code":"X","message":"too long"},{"message":"odd"}]}}},"a":{"_errors":[{"message":"empty"}]}}}`: {50035, "Invalid Form Body; a: empty; b.0.c: too long; b.0.c: odd", 0},
		`{"message":"You are being rate limited.","retry_after":0.3,"global":true}`:                                                                                                       {0, "You are being rate limited.", 300 * time.Millisecond},
		`{"retry_after":-1}`:           {0, "", 0},
		`{"retry_after":1e300}`:        {0, "", 24 * time.Hour},
		`{"errors":{"a":[1,{}]}}`:      {0, "", 0},
		`<html>`:                       {0, "", 0},
		`error code: 1015`:             {0, "error code: 1015", 0},
		``:                             {0, "", 0},
		`{"code":"x","message":["y"]}`: {0, "", 0},
	} {
		if got := discord.Code([]byte(body)); got != want.code {
			t.Errorf("%s: code %d, want %d", body, got, want.code)
		}
		if got := discord.Detail([]byte(body)); got != want.detail {
			t.Errorf("%s: detail %q, want %q", body, got, want.detail)
		}
		if got := discord.RetryAfter([]byte(body)); got != want.retry {
			t.Errorf("%s: retry after %s, want %s", body, got, want.retry)
		}
	}
}

// A server may answer anything.
func TestStrangeAnswersAreUnknown(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing": "", "no JSON": "<html>", "no id": "{}", "a list": "[]", "null": "null", "an empty id": `{"id":""}`, "half": `{"id":"1"`,
	} {
		mux := http.NewServeMux()
		say := func(text string) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(text)) }
		}
		mux.HandleFunc("GET /users/@me", say(`{"id":"1"}`))
		mux.HandleFunc("GET /channels/2", say(`{"id":"2"}`))
		mux.HandleFunc("GET /channels/2/messages", say(`[{"id":"odd"}]`))
		mux.HandleFunc("POST /channels/2/messages", say(answer))
		server := httptest.NewTLSServer(mux)
		target, err := discord.New(discord.Config{Bot: "secret", Channel: "2", API: server.URL, Client: server.Client()})
		if err != nil {
			t.Fatal(err)
		}
		a := syndicate.Attempt{Key: "k", Body: []byte(`{"content":"hello"}`), Last: time.Now().Add(-time.Hour)}
		_, err = target.Send(t.Context(), a)
		if e, ok := errors.AsType[*syndicate.Error](err); err == nil || ok && e.NotSent {
			t.Errorf("%s: %v, want an error that promises nothing", name, err)
		}
		_, err = target.(syndicate.Reconciler).Reconcile(t.Context(), a)
		if e, ok := errors.AsType[*syndicate.Error](err); err == nil || errors.Is(err, syndicate.ErrAbsent) || ok && e.Refused {
			t.Errorf("%s: reconcile: %v, want it later", name, err)
		}
		server.Close()
	}
}

// A receipt may be by hand. Without an id, the address of its message would be
// that of the webhook.
func TestReceiptsWithoutAnIDTouchNothing(t *testing.T) {
	for _, kind := range kinds {
		bubble(t, kind, discordtest.Config{}, nil, func(t *testing.T, r *rig) {
			m := message(1)
			a := deliver.Attempt(t, r.target, m)
			for _, id := range []string{"", ".", "..", "1/../..", "1?x=y"} {
				receipt := syndicate.Receipt{ID: id, URL: "https://discord.com/channels/1/2/3"}
				_, err := r.target.(syndicate.Editor).Edit(t.Context(), a, receipt)
				for what, err := range map[string]error{"edit": err, "delete": r.target.(syndicate.Deleter).Delete(t.Context(), receipt)} {
					if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.Refused || e.Everything {
						t.Errorf("%s: %s of %q: %v, want it refused", kind, what, id, err)
					}
				}
			}
			if _, err := r.target.Send(t.Context(), a); err != nil {
				t.Errorf("%s: afterwards: %v", kind, err)
			}
		})
	}
}

// A proxy may repeat what was asked for.
func TestEchoesTellNoSecret(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprintf(w, "no route to %s with %q", r.URL.Path, r.Header["Authorization"])
	}))
	defer server.Close()
	for _, c := range []discord.Config{
		{Webhook: syndicate.Secret(server.URL + "/api/webhooks/1/canary")},
		{Bot: "canary", Channel: "2"},
	} {
		c.API, c.Client = server.URL, server.Client()
		target, err := discord.New(c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = target.Send(t.Context(), syndicate.Attempt{Key: "k", Body: []byte(`{"content":"hello"}`)})
		if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "no route") {
			t.Errorf("error %v, want what the proxy says without the secret", err)
		}
	}
}

// Another program may have the bot answer commands, with links to posts.
func TestAnswersAreNoAnnouncements(t *testing.T) {
	const reply = 19
	for kind, want := range map[int]bool{0: true, reply: false} {
		mux := http.NewServeMux()
		say := func(text string) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(text)) }
		}
		id := (time.Now().UnixMilli() - 1420070400000) << 22
		mux.HandleFunc("GET /users/@me", say(`{"id":"1"}`))
		mux.HandleFunc("GET /channels/2", say(`{"id":"2"}`))
		mux.HandleFunc("GET /channels/2/messages", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("before") != "" {
				w.Write([]byte("[]"))
				return
			}
			fmt.Fprintf(w, `[{"id":"%d","type":%d,"author":{"id":"1"},"content":"see https://blog.example/1"}]`, id, kind)
		})
		server := httptest.NewTLSServer(mux)
		target, err := discord.New(discord.Config{Bot: "secret", Channel: "2", API: server.URL, Client: server.Client()})
		if err != nil {
			t.Fatal(err)
		}
		hour := time.Now().Add(-time.Hour)
		a := syndicate.Attempt{Key: "k", Link: "https://blog.example/1", Body: []byte(`{"content":"x"}`), Created: hour, Last: hour}
		if _, err := target.(syndicate.Reconciler).Reconcile(t.Context(), a); (err == nil) != want || err != nil && !errors.Is(err, syndicate.ErrAbsent) {
			t.Errorf("message of type %d: %v", kind, err)
		}
		server.Close()
	}
}

func TestDefaultsAreDiscordsHabits(t *testing.T) {
	for card, want := range map[bool]string{false: "{{or .Title .Summary}}{{with .Link}}\n{{.}}{{end}}", true: "{{.Summary}}"} {
		target, err := discord.New(discord.Config{Bot: "secret", Channel: "2", Embed: card})
		if err != nil {
			t.Fatal(err)
		}
		if got := target.(syndicate.Defaulter).Defaults().Template; got != want {
			t.Errorf("card %t: template %q, want %q", card, got, want)
		}
	}
}

func FuzzErrors(f *testing.F) {
	f.Add([]byte(`{"code":50035,"message":"Invalid Form Body","errors":{"a":{"0":{"_errors":[{"code":"X","message":"too long"}]}}},"retry_after":0.3}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		discord.Code(body)
		if got := discord.Detail(body); len(got) > 20*len(body)+100 {
			t.Errorf("%d bytes became %d", len(body), len(got))
		}
		if d := discord.RetryAfter(body); d < 0 || d > 24*time.Hour {
			t.Errorf("retry after %s", d)
		}
	})
}
