// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/ircd"
	"xeiaso.net/site/internal/test/pds"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
	"xeiaso.net/site/syndicate/discord"
	"xeiaso.net/site/syndicate/discordtest"
	"xeiaso.net/site/syndicate/irc"
	"xeiaso.net/site/syndicate/mastodon"
	"xeiaso.net/site/syndicate/mastodontest"
	"xeiaso.net/site/xesite/state"
)

// BenchmarkAnnounce is the time from a page that is up to its announcement on
// four networks, confirmed by each: a real server of Bluesky's and of IRC, which
// is connected already, and strict fakes of Mastodon and Discord. The records are
// on disk. How much of it each network takes is told besides.
func BenchmarkAnnounce(b *testing.B) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<title>x</title><p>Hello.")
	}))
	defer site.Close()
	store, err := state.OpenDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	targets := fourNetworks(b, store)
	confirmed := make(chan syndicate.Event, len(targets))
	s, err := syndicate.New(syndicate.Config{
		Store: store, Targets: targets, OnEvent: func(e syndicate.Event) {
			switch e.Outcome {
			case syndicate.OutcomeConfirmed:
				confirmed <- e
			case syndicate.OutcomePlanned:
			default:
				b.Errorf("%+v", e)
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Observe(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	took := map[string]time.Duration{}
	announce := func(n int) {
		p := syndicate.Post{ID: fmt.Sprint(n), URL: fmt.Sprintf("%s/%d", site.URL, n), Title: fmt.Sprint("Post ", n), Published: time.Now()}
		start := time.Now()
		if err := s.Observe(b.Context(), []syndicate.Post{p}); err != nil {
			b.Fatal(err)
		}
		for range targets {
			e := <-confirmed
			took[e.Target] += time.Since(start)
		}
	}
	announce(0) // makes connections and sessions
	clear(took)
	n := 0
	for b.Loop() {
		n++
		announce(n)
	}
	for name, sum := range took {
		b.ReportMetric(float64(sum.Milliseconds())/float64(n), "ms-"+name)
	}
	stop()
	<-ended
}

// fourNetworks makes a target on each.
func fourNetworks(b *testing.B, store state.Store) map[string]syndicate.Destination {
	b.Helper()
	fatal := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	server := pds.Start(b)
	account := server.Account(b)
	sky, err := bluesky.New(bluesky.Config{PDS: server.URL, Handle: account.Handle, AppPassword: syndicate.Secret(account.AppPassword), Store: store})
	fatal(err)
	social := mastodontest.New(mastodontest.Config{})
	socialServer := httptest.NewServer(social)
	b.Cleanup(socialServer.Close)
	toots, err := mastodon.New(mastodon.Config{Server: socialServer.URL, Token: syndicate.Secret(social.Token("blog", "site", "read", "write"))})
	fatal(err)
	chat := discordtest.New(discordtest.Config{})
	chatServer := httptest.NewServer(chat)
	b.Cleanup(chatServer.Close)
	hook := strings.Replace(chat.Webhook(), "https://discord.com", chatServer.URL, 1)
	messages, err := discord.New(discord.Config{Webhook: syndicate.Secret(hook)})
	fatal(err)
	relay := ircd.InspIRCd(b, ircd.Options{Patient: true})
	lines, err := irc.New(irc.Config{Server: relay.Plain, Insecure: true, Nick: "blog", Channel: "#blog", Stay: true, Pace: time.Millisecond})
	fatal(err)
	return map[string]syndicate.Destination{"bluesky": {Target: sky}, "mastodon": {Target: toots}, "discord": {Target: messages}, "irc": {Target: lines}}
}
