// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discord_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/announcer"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/discord"
	"xeiaso.net/site/syndicate/discordtest"
)

// kill announces on a server half of whose answers meet the fault, and counts by
// what the server has.
func kill(t *testing.T, kind string, window time.Duration, fault discordtest.Fault, naive bool) (r announcer.Result, counts map[string]int) {
	t.Helper()
	fake := discordtest.New(discordtest.Config{NonceWindow: window})
	server := httptest.NewServer(fake)
	defer server.Close()
	config := map[string]any{"API": server.URL + "/api/v10", "Settle": 500 * time.Millisecond}
	if kind == "bot" {
		config["Bot"], config["Channel"] = fake.Bot(), fake.Channel()
		greet(t, discord.Config{API: server.URL + "/api/v10", Bot: syndicate.Secret(fake.Bot()), Channel: config["Channel"].(string)})
	} else {
		config["Webhook"] = fake.Webhook()
	}
	if fault.Kind != "" {
		fake.Random(1, 0.5, fault)
	}
	kills := need.Times(30, 300)
	if naive {
		kills = 30 // that is enough to tell, and most of them hit nothing
	}
	r = announcer.Run(t, announcer.Options{
		Network: "discord", Config: config,
		Kills: kills, Window: 30 * time.Millisecond, Timeout: 400 * time.Millisecond, Naive: naive,
	})
	counts = map[string]int{}
	for _, m := range fake.Messages() {
		for _, p := range r.Posts {
			if strings.Contains(m.Content, p.URL) {
				counts[p.ID]++
			}
		}
	}
	t.Logf("the server has %d messages, faults met: %v", len(fake.Messages()), fake.Met())
	return r, counts
}

// greet puts a message into the channel, since an empty one proves nothing.
func greet(t *testing.T, c discord.Config) {
	t.Helper()
	target, err := discord.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Send(t.Context(), syndicate.Attempt{Body: []byte(`{"content":"Hello, I am the bot"}`)}); err != nil {
		t.Fatal(err)
	}
}

// killFaults are ways to lose an answer.
func killFaults() map[string]discordtest.Fault {
	const soon = 100 * time.Millisecond
	return map[string]discordtest.Fault{
		"all is well":          {},
		"500 after acceptance": {Kind: discordtest.ErrorAfter},
		"answer cut":           {Kind: discordtest.CutAnswer},
		"504 after acceptance": {Kind: discordtest.TimeoutAfter, Delay: soon},
		"slow":                 {Kind: discordtest.Slow, Delay: soon},
	}
}

// Nonces are remembered for so short that the channel's list has to do.
func TestSoakKilledBotPostsOnceOnDiscord(t *testing.T) {
	for name, fault := range killFaults() {
		t.Run(name, func(t *testing.T) {
			r, counts := kill(t, "bot", time.Millisecond, fault, false)
			r.Check(t, counts)
			if _, _, parked := r.Compare(counts); parked > 0 {
				t.Errorf("%d posts are parked: a person would have to look", parked)
			}
		})
	}
}

// What nobody can know is parked and listed.
func TestSoakKilledWebhookPostsNothingTwiceOnDiscord(t *testing.T) {
	for name, fault := range killFaults() {
		t.Run(name, func(t *testing.T) {
			r, counts := kill(t, "webhook", 0, fault, false)
			r.Check(t, counts)
			for _, e := range r.Entries {
				if e.State == syndicate.Parked && e.Reason != syndicate.ReasonUnknown {
					t.Errorf("%s is parked for %s: %s", e.Post, e.Reason, e.Error)
				}
			}
		})
	}
}

// The method would prove nothing if a program that does not care passed.
func TestSoakKilledNaiveAnnouncerPostsTwiceOnDiscord(t *testing.T) {
	for _, kind := range kinds {
		r, counts := kill(t, kind, 0, discordtest.Fault{}, true)
		lost, doubled, _ := r.Compare(counts)
		t.Logf("%s: %d posts, %d kills: %d lost, %d doubled", kind, len(r.Posts), r.Kills, lost, doubled)
		if doubled == 0 {
			t.Errorf("%s: no post is there twice", kind)
		}
	}
}
