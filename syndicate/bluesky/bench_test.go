// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"xeiaso.net/site/internal/test/pds"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
)

// BenchmarkAnnounce is from a page that is live to the server's confirmation: a
// picture fetched and uploaded, and a record created.
func BenchmarkAnnounce(b *testing.B) {
	server := pds.Start(b)
	account := server.Account(b)
	picture := plain(b, 1200, 630)
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/card.png" {
			w.Write(picture)
			return
		}
		w.Write([]byte(`<head><meta property="og:image" content="/card.png"></head>`))
	}))
	defer home.Close()
	target, err := bluesky.New(bluesky.Config{PDS: server.URL, Handle: account.Handle, AppPassword: syndicate.Secret(account.AppPassword)})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		address := fmt.Sprintf("%s/%d", home.URL, n)
		m := syndicate.Message{Post: syndicate.Post{ID: address, URL: address, Title: "Hello"}, Text: "Hello " + address, Link: address}
		body, err := target.Compose(b.Context(), m)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := target.Send(b.Context(), syndicate.Attempt{ID: address, URL: address, Link: address, Body: body, Created: created, Number: 1}); err != nil {
			b.Fatal(err)
		}
	}
}
