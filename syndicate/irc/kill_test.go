// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package irc_test

import (
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/announcer"
	"xeiaso.net/site/internal/test/ircd"
	"xeiaso.net/site/internal/test/need"
)

// announceAndKill runs announcers against a server, and counts what the channel
// has seen by means of an observer.
func announceAndKill(t *testing.T, server *ircd.Server, kills int, naive bool) (announcer.Result, map[string]int) {
	t.Helper()
	delay, window := time.Duration(0), 10*time.Millisecond // it is connected when it sends
	if naive {
		delay, window = 800*time.Millisecond, 500*time.Millisecond // InspIRCd welcomes clients once a second
	}
	seen := server.Observe(t, "#blog")
	r := announcer.Run(t, announcer.Options{
		Network: "irc", Config: map[string]string{"Server": server.Plain, "Channel": "#blog"},
		Kills: kills, Window: window, Timeout: 5 * time.Second, Naive: naive,
		Delay: delay,
	})
	seen.Say("PRIVMSG #blog :the end")
	seen.Say("PING end")
	seen.WaitFor(t, "PONG")
	counts := map[string]int{}
	for _, text := range seen.Texts() {
		if i := strings.Index(text, "https://"); i >= 0 {
			counts[text[i:]]++
		}
	}
	return r, counts
}

func TestKilledAnnouncersSayNothingTwice(t *testing.T) {
	r, counts := announceAndKill(t, ircd.InspIRCd(t, ircd.Options{}), need.Times(6, 300), false)
	r.Check(t, counts)
}

func TestKilledAnnouncersSayNothingTwiceOnAPoorServer(t *testing.T) {
	r, counts := announceAndKill(t, ircd.Ngircd(t), need.Times(4, 300), false)
	r.Check(t, counts)
}

func TestKilledNaiveAnnouncersSayThingsTwice(t *testing.T) {
	r, counts := announceAndKill(t, ircd.InspIRCd(t, ircd.Options{}), need.Times(12, 100), true)
	lost, doubled, _ := r.Compare(counts)
	t.Logf("naive: %d posts, %d kills: %d lost, %d doubled", len(r.Posts), r.Kills, lost, doubled)
	if doubled == 0 {
		t.Error("the naive client has doubled nothing: the method finds nothing")
	}
}
