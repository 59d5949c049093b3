// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/announcer"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/syndicate/mastodontest"
)

// killMode is a server, and what becomes of half of the requests that post.
type killMode struct {
	name  string
	keys  mastodontest.Keys
	fault mastodontest.Fault
}

func killModes() []killMode {
	const soon = 100 * time.Millisecond
	return []killMode{
		{name: "key honoured"},
		{name: "key ignored", keys: mastodontest.KeysIgnored},
		{"500 after acceptance", mastodontest.KeysHonoured, mastodontest.Fault{Kind: mastodontest.ErrorAfter}},
		{"500 for a key that is known", mastodontest.KeysBroken, mastodontest.Fault{Kind: mastodontest.ErrorAfter}},
		{"answer cut", mastodontest.KeysIgnored, mastodontest.Fault{Kind: mastodontest.CutAnswer}},
		{"504 after acceptance", mastodontest.KeysHonoured, mastodontest.Fault{Kind: mastodontest.TimeoutAfter, Delay: soon}},
		{"504 after acceptance, key ignored", mastodontest.KeysIgnored, mastodontest.Fault{Kind: mastodontest.TimeoutAfter, Delay: soon}},
		{"slow", mastodontest.KeysIgnored, mastodontest.Fault{Kind: mastodontest.Slow, Delay: soon}},
	}
}

// run announces on a server of the mode, and counts by what the server has.
func (m killMode) run(t *testing.T, naive bool) (r announcer.Result, counts map[string]int) {
	t.Helper()
	fake := mastodontest.New(mastodontest.Config{Keys: m.keys, RateLimit: 1 << 30})
	server := httptest.NewServer(fake)
	defer server.Close()
	if m.fault.Kind != "" {
		fake.Random(1, 0.5, m.fault)
	}
	kills := need.Times(30, 300)
	if naive {
		kills = 30 // that is enough to tell, and most of them hit nothing
	}
	r = announcer.Run(t, announcer.Options{
		Network: "mastodon",
		Config: map[string]any{
			"Server": server.URL, "Token": fake.Token("blog", "site", scopes...), "Settle": 500 * time.Millisecond,
		},
		Kills: kills, Window: 30 * time.Millisecond, Timeout: 400 * time.Millisecond, Naive: naive,
	})
	counts = map[string]int{}
	for _, s := range fake.Statuses() {
		for _, p := range r.Posts {
			if strings.Contains(s.Text, p.URL) {
				counts[p.ID]++
			}
		}
	}
	t.Logf("the server has %d statuses, faults met: %v", len(fake.Statuses()), fake.Met())
	return r, counts
}

// Whenever it is killed, and whatever the server does with keys and answers.
func TestSoakKilledAnnouncerPostsOnceOnMastodon(t *testing.T) {
	for _, mode := range killModes() {
		t.Run(mode.name, func(t *testing.T) {
			r, counts := mode.run(t, false)
			r.Check(t, counts)
			if _, _, parked := r.Compare(counts); parked > 0 {
				t.Errorf("%d posts are parked: a person would have to look", parked)
			}
		})
	}
}

// The method would prove nothing if a program that does not care passed.
func TestSoakKilledNaiveAnnouncerPostsTwiceOnMastodon(t *testing.T) {
	r, counts := killModes()[0].run(t, true)
	lost, doubled, _ := r.Compare(counts)
	t.Logf("%d posts, %d kills: %d lost, %d doubled", len(r.Posts), r.Kills, lost, doubled)
	if doubled == 0 {
		t.Error("no post is there twice")
	}
}
