// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"fmt"
	"maps"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/faultproxy"
	"xeiaso.net/site/internal/test/pds"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
)

// byHand posts with another program.
func byHand(t *testing.T, account *pds.Account, n int, fields map[string]any) (uri string) {
	t.Helper()
	const digits = "234567abcdefghijklmnopqrstuvwxyz"
	rkey := "3jzfcijpj2z" + string(digits[n/32]) + string(digits[n%32])
	record := map[string]any{"$type": "app.bsky.feed.post", "text": "Look", "createdAt": "2026-01-02T03:04:05Z"}
	maps.Copy(record, fields)
	status, answer := account.Call(t, "com.atproto.repo.putRecord", map[string]any{
		"repo": account.DID, "collection": "app.bsky.feed.post", "rkey": rkey, "record": record,
	})
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, answer)
	}
	return "at://" + account.DID + "/app.bsky.feed.post/" + rkey
}

func card(uri string) map[string]any {
	return map[string]any{"$type": "app.bsky.embed.external", "external": map[string]any{"uri": uri, "title": "", "description": ""}}
}

func linked(uri string) []any {
	return []any{map[string]any{
		"index":    map[string]any{"byteStart": 0, "byteEnd": 4},
		"features": []any{map[string]any{"$type": "app.bsky.richtext.facet#link", "uri": uri}},
	}}
}

func TestRecoverFindsWhatWasAnnounced(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	target := newTarget(t, server, account, bluesky.Config{})
	own := send(t, target, note("own", "No link at all"))
	want := map[string]string{
		"own":   own.ID,
		"card":  byHand(t, account, 0, map[string]any{"embed": card("http://me.example/card?utm_source=bsky")}),
		"facet": byHand(t, account, 1, map[string]any{"facets": linked("https://me.example/facet/")}),
		"text":  byHand(t, account, 2, map[string]any{"text": "https://me.example/text"}),
		"moved": byHand(t, account, 3, map[string]any{"embed": card("https://me.example/old")}),
	}
	byHand(t, account, 4, map[string]any{"text": "again", "embed": card("https://me.example/card")})
	byHand(t, account, 5, map[string]any{"facets": linked("https://other.example/missing")})
	ref := map[string]any{"uri": own.ID, "cid": server.Records(t, account.DID)[0].CID}
	byHand(t, account, 6, map[string]any{
		"facets": linked("https://me.example/answered"), "reply": map[string]any{"root": ref, "parent": ref},
	})
	posts := []syndicate.Post{
		{ID: "own", Title: "x"},
		{ID: "card", URL: "https://me.example/card"},
		{ID: "facet", URL: "https://me.example/facet"},
		{ID: "text", URL: "https://me.example/text/"},
		{ID: "moved", URL: "https://me.example/new", Aliases: []string{"https://me.example/old"}},
		{ID: "missing", URL: "https://me.example/missing"},
		{ID: "answered", URL: "https://me.example/answered"},
	}
	receipts, err := target.Recover(t.Context(), posts)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for id, r := range receipts {
		got[id] = r.ID
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if receipts["own"] != own {
		t.Errorf("receipt %+v, want %+v", receipts["own"], own)
	}
}

func TestRecoverReadsAllPages(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	proxy := faultproxy.Start(t, server.URL)
	target := newTarget(t, server, account, bluesky.Config{PDS: proxy.URL})
	var posts []syndicate.Post
	for i := range 210 {
		address := fmt.Sprintf("https://me.example/%d", i)
		posts = append(posts, syndicate.Post{ID: address, URL: address})
		byHand(t, account, i, map[string]any{"embed": card(address)})
	}
	got, err := target.Recover(t.Context(), posts)
	if err != nil || len(got) != len(posts) {
		t.Errorf("%d posts were found, error %v: want %d", len(got), err, len(posts))
	}
	proxy.Once("", faultproxy.None, faultproxy.BadGateway)
	got, err = target.Recover(t.Context(), posts)
	if err == nil || len(got) != 100 {
		t.Errorf("%d posts were found before the server was gone, error %v: want 100", len(got), err)
	}
}
