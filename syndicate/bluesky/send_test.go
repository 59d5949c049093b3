// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/faultproxy"
	"xeiaso.net/site/internal/test/pds"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
)

const put = "POST /xrpc/com.atproto.repo.putRecord"

func TestPostComesBackAsSent(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	target := newTarget(t, server, account, bluesky.Config{})
	picture := plain(t, 1200, 630)
	home := site(t, map[string][]byte{
		"/post/":      []byte(`<head><title>x</title><meta property="og:image" content="/card.png?a=1&amp;b=2"></head>`),
		"/card.png":   picture,
		"/unused.png": plain(t, 10, 10),
	})
	link := home + "/post/?utm_source=bluesky&utm_campaign=a-rather-long-campaign"
	m := syndicate.Message{
		Post: syndicate.Post{
			ID: "urn:1", URL: home + "/post/", Title: "Über Gärten 👩‍🌾", Summary: "Was wächst.",
			Tags: []string{"home lab", "Gärten", "Rosen", "rosen", "C++"},
		},
		Text:     "Über Gärten 👩‍🌾\n\n" + link + "\n\n#HomeLab #Gärten",
		Link:     link,
		Language: "de",
	}
	receipt := send(t, target, m)

	raw, got := only(t, server, account)
	t.Logf("%s\n%s", raw.URI, raw.Value)
	short := strings.TrimPrefix(link, "http://")[:31] + "…"
	if want := "Über Gärten 👩‍🌾\n\n" + short + "\n\n#HomeLab #Gärten"; got.Text != want {
		t.Errorf("text %q, want %q", got.Text, want)
	}
	if diff := cmp.Diff(map[string]string{short: link, "#HomeLab": "HomeLab", "#Gärten": "Gärten"}, got.parts(t)); diff != "" {
		t.Errorf("facets (-want +got):\n%s", diff)
	}
	card := got.Embed.External
	if card.URI != link || card.Title != m.Post.Title || card.Description != m.Post.Summary {
		t.Errorf("card %+v", card)
	}
	if card.Thumb.MimeType != "image/png" || !bytes.Equal(server.Blob(t, account.DID, card.Thumb.Ref.Link), picture) {
		t.Errorf("the picture of the card is not the page's: %+v", card.Thumb)
	}
	if diff := cmp.Diff([]string{"Rosen", "C"}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"de"}, got.Langs); diff != "" {
		t.Errorf("langs (-want +got):\n%s", diff)
	}
	if want := "2026-03-04T05:06:07.890Z"; got.CreatedAt != want {
		t.Errorf("created at %s, want %s", got.CreatedAt, want)
	}
	key := raw.URI[strings.LastIndexByte(raw.URI, '/')+1:]
	if want := (syndicate.Receipt{ID: raw.URI, URL: "https://bsky.app/profile/" + account.DID + "/post/" + key}); receipt != want {
		t.Errorf("receipt %+v, want %+v", receipt, want)
	}
}

// The server counts both characters and bytes.
func TestTextsAtTheLimitsAreTaken(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	const family = "👨‍👩‍👧‍👦" // 25 bytes
	for name, tt := range map[string]struct {
		text string
		cut  bool
	}{
		"300 characters": {strings.Repeat("é", 300), false},
		"301 characters": {strings.Repeat("é", 301), true},
		"3000 bytes":     {strings.Repeat(family, 120), false},
		"3025 bytes":     {strings.Repeat(family, 121), true},
		"3001 bytes":     {"x" + strings.Repeat(family, 120), true},
		"much of both":   {strings.Repeat("ÄÖ "+family, 1000), true},
		"right to left":  {strings.Repeat("שלום עולם ", 100), true},
		"accents":        {strings.Repeat("e\u0301\u0302", 400), true},
		"zeros":          {"a\x00b", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := server.Account(t)
			send(t, newTarget(t, server, account, bluesky.Config{}), note("1", tt.text))
			_, got := only(t, server, account)
			if (got.Text != tt.text) != tt.cut || tt.cut && !strings.HasSuffix(got.Text, "…") {
				t.Errorf("%d characters, %d bytes: %q", syndicate.Graphemes(got.Text), len(got.Text), got.Text)
			}
		})
	}
}

func TestSendingTwiceMakesOneRecord(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	first := newTarget(t, server, account, bluesky.Config{})
	again := newTarget(t, server, account, bluesky.Config{})
	a := send(t, first, note("1", "Hello"))
	b := send(t, again, note("1", "Hello again, after all was forgotten"))
	if a != b {
		t.Errorf("receipts %v and %v", a, b)
	}
	if _, got := only(t, server, account); got.Text != "Hello" {
		t.Errorf("the record says %q: it was written again", got.Text)
	}
}

func TestSendLeavesAnEditedRecordAlone(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	target := newTarget(t, server, account, bluesky.Config{})
	receipt := send(t, target, note("1", "Hello"))
	rkey := receipt.ID[strings.LastIndexByte(receipt.ID, '/')+1:]
	status, answer := account.Call(t, "com.atproto.repo.putRecord", map[string]any{
		"repo": account.DID, "collection": "app.bsky.feed.post", "rkey": rkey,
		"record": map[string]any{"$type": "app.bsky.feed.post", "text": "Changed by hand", "createdAt": "2026-01-02T03:04:05Z"},
	})
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, answer)
	}
	if again := send(t, target, note("1", "Hello")); again != receipt {
		t.Errorf("receipt %v, want %v", again, receipt)
	}
	if _, got := only(t, server, account); got.Text != "Changed by hand" {
		t.Errorf("the record says %q", got.Text)
	}
}

// Whatever happens to the request that publishes, there is one record in the
// end, and nothing is said of it that is not so.
func TestFaultsLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	for _, f := range faultproxy.All() {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			account := server.Account(t)
			proxy := faultproxy.Start(t, server.URL)
			target := newTarget(t, server, account, bluesky.Config{PDS: proxy.URL})
			a := attempt(t, target, note("1", "Hello"))
			if _, err := target.Reconcile(t.Context(), a); !errors.Is(err, syndicate.ErrAbsent) {
				t.Fatalf("before anything was sent: %v, want ErrAbsent", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var done atomic.Bool
			proxy.Choose(func(r *http.Request) faultproxy.Fault {
				if !strings.HasSuffix(r.URL.Path, ".putRecord") || done.Swap(true) {
					return faultproxy.None
				}
				if f.Hangs() {
					cancel() // the client gives up
				}
				return f
			})
			_, err := target.Send(ctx, a)
			if err == nil {
				t.Fatal("no error")
			}
			known := promises(err)
			if known.NotSent && f.Passes() {
				t.Fatalf("the server has it, and the error says that it has not: %v", err)
			}
			if limited := f == faultproxy.TooMany || f == faultproxy.TooManyDate; limited != (known.RetryAfter > 0) || limited != known.NotSent {
				t.Errorf("%v: %+v", err, known)
			}
			settle(t, target, a)
			if _, got := only(t, server, account); got.Text != "Hello" {
				t.Errorf("the record says %q", got.Text)
			}
			wait.Until(t, "the request came to its end", func() bool { return count(proxy.Log(), put+": "+f.String()) == 1 })
			only(t, server, account)
		})
	}
}

// settle does what a Syndicator does after an attempt whose outcome nobody
// knows.
func settle(t *testing.T, target *bluesky.Target, a syndicate.Attempt) {
	t.Helper()
	receipt, err := target.Reconcile(t.Context(), a)
	if errors.Is(err, syndicate.ErrAbsent) {
		a.Number++
		receipt, err = target.Send(t.Context(), a)
	}
	if err != nil || receipt.ID == "" {
		t.Fatalf("receipt %+v, error %v", receipt, err)
	}
}

// A fault of any request before the last leaves the post unpublished, and says
// so.
func TestFaultsBeforePublishingAreNotSent(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	home := site(t, map[string][]byte{"/card.png": plain(t, 100, 100)})
	for _, f := range faultproxy.All() {
		if f.Hangs() {
			continue // like the others, and slower
		}
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			account := server.Account(t)
			proxy := faultproxy.Start(t, server.URL)
			target := newTarget(t, server, account, bluesky.Config{PDS: proxy.URL})
			m := note("1", "Hello")
			m.Post.URL, m.Link, m.Post.Image.URL = home+"/", home+"/", home+"/card.png"
			a := attempt(t, target, m)
			proxy.Once("POST /xrpc/com.atproto.server.createSession", f)
			if _, err := target.Send(t.Context(), a); !promises(err).NotSent || !promises(err).Everything || promises(err).Refused {
				t.Fatalf("without a session: %v, %+v", err, promises(err))
			}
			if n := len(server.Records(t, account.DID)); n != 0 {
				t.Fatalf("the account has %d records", n)
			}
			// A picture is tried again, and at last given up.
			for a.Number = 1; a.Number < 5; a.Number++ {
				proxy.Once("POST /xrpc/com.atproto.repo.uploadBlob", f)
				_, err := target.Send(t.Context(), a)
				if err == nil {
					break
				}
				if !promises(err).NotSent {
					t.Fatalf("without the picture: %v", err)
				}
			}
			if a.Number == 5 {
				settle(t, target, a) // the server was busy, and is not any more
			} else if _, got := only(t, server, account); got.Embed.External.Thumb.Size != 0 {
				t.Errorf("there is a picture that was not uploaded: %+v", got.Embed)
			}
			only(t, server, account)
		})
	}
}
