// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/announcer"
	"xeiaso.net/site/internal/test/faultproxy"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/pds"
)

// killed runs announcers at an account, and returns how often it has each post.
func killed(t *testing.T, server *pds.Server, url string, o announcer.Options) (announcer.Result, map[string]int) {
	t.Helper()
	account := server.Account(t)
	o.Network = "bluesky"
	o.Config = map[string]string{"PDS": url, "Handle": account.Handle, "Password": account.AppPassword}
	o.Window, o.Timeout = 40*time.Millisecond, 500*time.Millisecond
	result := announcer.Run(t, o)
	counts := map[string]int{}
	for _, r := range server.Records(t, account.DID) {
		var post record
		if err := json.Unmarshal(r.Value, &post); err != nil {
			t.Fatal(err)
		}
		counts[post.Embed.External.URI]++
	}
	return result, counts
}

func TestKilledAnnouncerPostsOnceOnBluesky(t *testing.T) {
	server := pds.Start(t)
	result, counts := killed(t, server, server.URL, announcer.Options{Kills: need.Times(30, 300)})
	result.Check(t, counts)
}

// Besides the kills, a third of the requests that publish meet with a fault.
func TestKilledAnnouncerPostsOnceThroughABrokenNetwork(t *testing.T) {
	server := pds.Start(t)
	proxy := faultproxy.Start(t, server.URL)
	proxy.Choose(func(r *http.Request) faultproxy.Fault {
		if !strings.HasSuffix(r.URL.Path, ".putRecord") || rand.N(3) > 0 {
			return faultproxy.None
		}
		for {
			f := faultproxy.All()[rand.N(len(faultproxy.All()))]
			// These say how long to wait: seconds, for which the test would.
			if f != faultproxy.TooMany && f != faultproxy.TooManyDate {
				return f
			}
		}
	})
	result, counts := killed(t, server, proxy.URL, announcer.Options{Kills: need.Times(30, 300)})
	result.Check(t, counts)
	faults := 0
	for _, line := range proxy.Log() {
		if strings.HasPrefix(line, put) && !strings.HasPrefix(line, put+": None") {
			faults++
		}
	}
	if t.Logf("%d faults", faults); faults == 0 {
		t.Error("there was no fault")
	}
}

// The tests above would prove nothing if a program that does not care passed.
func TestKilledNaiveAnnouncerDoublesPosts(t *testing.T) {
	server := pds.Start(t)
	for range 3 { // chance is on its side, once in a while
		result, counts := killed(t, server, server.URL, announcer.Options{Kills: need.Times(30, 300), Naive: true})
		lost, doubled, _ := result.Compare(counts)
		t.Logf("%d posts, %d kills: %d lost, %d doubled", len(result.Posts), result.Kills, lost, doubled)
		if doubled > 0 {
			return
		}
	}
	t.Error("no post is doubled")
}
