// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package websub_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/websub"
)

func Example() {
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		fmt.Println(r.Form)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer hub.Close()
	target, err := websub.New(websub.Config{Hub: hub.URL, Topics: []string{"https://me.example/blog.json"}})
	if err != nil {
		panic(err)
	}
	_, err = target.Send(context.Background(), syndicate.Attempt{ID: "1"})
	fmt.Println(err)
	// Output:
	// map[hub.mode:[publish] hub.url:[https://me.example/blog.json]]
	// <nil>
}

func TestAnswersOfHubs(t *testing.T) {
	for status, want := range map[int]syndicate.Error{
		429: {NotSent: true, Everything: true},
		400: {NotSent: true, Refused: true},
		503: {},
	} {
		hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			w.Write([]byte("hub.url is not ours\n"))
		}))
		target, err := websub.New(websub.Config{Hub: hub.URL, Topics: []string{"https://me.example/feed"}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = target.Send(t.Context(), syndicate.Attempt{ID: "1"})
		got, ok := errors.AsType[*syndicate.Error](err)
		if !ok || got.NotSent != want.NotSent || got.Refused != want.Refused || got.Everything != want.Everything || !strings.Contains(err.Error(), "hub.url is not ours") {
			t.Errorf("status %d: %+v", status, err)
		}
		hub.Close()
	}
}

func TestConfigurationThatCannotBeRight(t *testing.T) {
	for _, cfg := range []websub.Config{{}, {Hub: "hub.example"}, {Hub: "https://hub.example/"}, {Hub: "https://hub.example/", Topics: []string{"/blog.json"}}} {
		if _, err := websub.New(cfg); err == nil {
			t.Errorf("New(%+v) has no error", cfg)
		}
	}
}
