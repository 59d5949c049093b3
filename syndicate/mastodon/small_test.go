// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/mastodon"
	"xeiaso.net/site/xesite/state"
)

// Small servers have statuses and not much besides. Where they do not show them
// again, a lost answer is a person's business.
func TestServersWithStatusesAndNothingElseWillDo(t *testing.T) {
	for _, cut := range []bool{false, true} {
		var posts atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.URL.Path != "/api/v1/statuses" {
				http.NotFound(w, r)
				return
			}
			posts.Add(1)
			if cut {
				panic(http.ErrAbortHandler)
			}
			io.WriteString(w, `{"id": "1", "url": "https://small.example/1"}`)
		}))
		target, err := mastodon.New(mastodon.Config{Server: srv.URL, Token: "x"})
		if err != nil {
			t.Fatal(err)
		}
		s, err := syndicate.New(syndicate.Config{
			Store: new(state.Mem), Targets: map[string]syndicate.Destination{"small": {Target: target}}, Page: syndicate.Page{Off: true},
			MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		p := syndicate.Post{ID: "a", URL: "https://me.example/a", Title: "A", Published: time.Now()}
		if err := errors.Join(s.Observe(t.Context(), nil), s.Observe(t.Context(), []syndicate.Post{p}), s.Drain(t.Context())); err != nil {
			t.Fatal(err)
		}
		want := syndicate.Confirmed
		if cut {
			want = syndicate.Parked
		}
		if entries, err := s.Entries(t.Context()); err != nil || len(entries) != 1 || entries[0].State != want || posts.Load() != 1 {
			t.Errorf("cut=%t: %+v, %v, posted %d times", cut, entries, err, posts.Load())
		}
		srv.Close()
	}
}
