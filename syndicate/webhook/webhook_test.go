// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/webhook"
	"xeiaso.net/site/xesite/state"
)

const secret = "hunter2hunter2hunter2"

// receiver verifies requests as Standard Webhooks has it.
type receiver struct {
	t      *testing.T
	cuts   int      // how many requests get no answer
	events []string // "id type title"
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		rc.t.Error(err)
	}
	id := r.Header.Get("webhook-id")
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s.%s", id, r.Header.Get("webhook-timestamp"), body)
	if got, want := r.Header.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		rc.t.Errorf("signature %q, want %q", got, want)
	}
	var event struct {
		Type string
		Data struct{ ID, Title string }
	}
	if err := json.Unmarshal(body, &event); err != nil {
		rc.t.Errorf("%s: %v", body, err)
	}
	rc.events = append(rc.events, fmt.Sprint(event.Type, " ", event.Data.ID, " ", event.Data.Title))
	if rc.cuts--; rc.cuts >= 0 {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprint(w, `{"id": "42", "url": "https://bot.example/42"}`)
}

func run(t *testing.T, cfg webhook.Config) (*syndicate.Syndicator, *wait.Buffer) {
	t.Helper()
	target, err := webhook.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	log := new(wait.Buffer)
	s, err := syndicate.New(syndicate.Config{
		Store: new(state.Mem), Targets: map[string]syndicate.Destination{"hook": {Target: target}}, Page: syndicate.Page{Off: true},
		MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	observe(t, s)
	return s, log
}

func observe(t *testing.T, s *syndicate.Syndicator, posts ...syndicate.Post) {
	t.Helper()
	if err := s.Observe(t.Context(), posts); err != nil {
		t.Fatal(err)
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestReceiversGetSignedEvents(t *testing.T) {
	rc := &receiver{t: t}
	srv := httptest.NewServer(rc)
	defer srv.Close()
	s, _ := run(t, webhook.Config{URL: syndicate.Secret(srv.URL + "/hook"), Key: secret})
	p := syndicate.Post{ID: "a", URL: "https://me.example/a", Title: "First", Published: time.Now()}
	observe(t, s, p)
	p.Title = "Second"
	observe(t, s, p)
	if err := s.Delete(t.Context(), "hook", p.Key()); err != nil {
		t.Fatal(err)
	}
	observe(t, s)
	want := "post.announced a First, post.edited a Second, post.removed 42 "
	if got := strings.Join(rc.events, ", "); got != want {
		t.Errorf("events %q\nwant   %q", got, want)
	}
}

func TestUnknownOutcomesAreParkedUnlessTheReceiverKnowsRepetitions(t *testing.T) {
	for _, repeat := range []bool{false, true} {
		rc := &receiver{t: t, cuts: 1}
		srv := httptest.NewServer(rc)
		s, log := run(t, webhook.Config{URL: syndicate.Secret(srv.URL + "/path-" + secret), Key: secret, Repeat: repeat})
		p := syndicate.Post{ID: "a", URL: "https://me.example/a", Title: "First", Published: time.Now()}
		observe(t, s, p)
		entries, err := s.Entries(t.Context())
		if err != nil || len(entries) != 1 || (entries[0].State == syndicate.Parked) == repeat {
			t.Errorf("repeat=%t: entries %+v, %v", repeat, entries, err)
		}
		if strings.Contains(log.String()+fmt.Sprint(entries), secret) {
			t.Errorf("the secret is in log or entries:\n%s\n%+v", log, entries)
		}
		srv.Close()
	}
}

func TestNoVerbPrintsTheKey(t *testing.T) {
	for _, repeat := range []bool{false, true} {
		tgt, err := webhook.New(webhook.Config{URL: "https://a.example/" + secret, Key: secret, Repeat: repeat})
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, tgt); strings.Contains(got, secret) || strings.Contains(got, fmt.Sprint([]byte(secret))) {
				t.Errorf("%s prints %q", verb, got)
			}
		}
	}
}

func TestConfigurationThatCannotBeRight(t *testing.T) {
	for _, cfg := range []webhook.Config{{}, {URL: "example.com/" + secret}, {URL: "https://a.example/", Key: "whsec_" + secret + "!"}} {
		_, err := webhook.New(cfg)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("New = %v, want an error without the secret", err)
		}
	}
}
