// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"bytes"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/faultproxy"
	"xeiaso.net/site/internal/test/pds"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
)

func TestEditReplacesWhatIsAnnounced(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	proxy := faultproxy.Start(t, server.URL)
	target := newTarget(t, server, account, bluesky.Config{PDS: proxy.URL})
	first, second := plain(t, 100, 100), plain(t, 200, 100)
	home := site(t, map[string][]byte{"/1.png": first, "/2.png": second})
	m := syndicate.Message{
		Post: syndicate.Post{ID: "1", URL: home + "/", Title: "Frist", Image: syndicate.Image{URL: home + "/1.png"}, Tags: []string{"a"}},
		Text: "Frist " + home + "/", Link: home + "/", Language: "en",
	}
	receipt := send(t, target, m)
	before, was := only(t, server, account)

	m.Post.Title, m.Text, m.Post.Tags = "First", "First #really", nil
	m.Post.Image.URL = home + "/2.png"
	a := attempt(t, target, m)
	a.Created = created.AddDate(0, 1, 0)
	for range 2 { // it may be called again
		again, err := target.Edit(t.Context(), a, receipt)
		if err != nil || again != receipt {
			t.Fatalf("receipt %+v, error %v: want %+v", again, err, receipt)
		}
	}
	after, got := only(t, server, account)
	if got.Text != "First #really" || got.Embed.External.Title != "First" || got.Tags != nil || after.URI != before.URI {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff(map[string]string{"#really": "really"}, got.parts(t)); diff != "" {
		t.Errorf("facets (-want +got):\n%s", diff)
	}
	if got.CreatedAt != was.CreatedAt {
		t.Errorf("it is from %s now, and was from %s", got.CreatedAt, was.CreatedAt)
	}
	if !bytes.Equal(server.Blob(t, account.DID, got.Embed.External.Thumb.Ref.Link), second) {
		t.Error("the picture is not the new one")
	}
	if n := count(proxy.Log(), put); n != 2 {
		t.Errorf("%d records were written, want 2: an edit that is there already is none", n)
	}
}

func TestEditKeepsWhatOthersAdded(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	status, answer := account.Call(t, "com.atproto.repo.putRecord", map[string]any{
		"repo": account.DID, "collection": "app.bsky.feed.post", "rkey": "3jzfcijpj2z2a",
		"record": map[string]any{
			"$type": "app.bsky.feed.post", "text": "Frist", "createdAt": "2026-01-02T03:04:05Z", "extra": "by another program",
			"embed": map[string]any{"$type": "app.bsky.embed.images", "images": []any{}},
		},
	})
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, answer)
	}
	target := newTarget(t, server, account, bluesky.Config{})
	// What a person noted who confirmed the post by hand.
	receipt := syndicate.Receipt{URL: "https://bsky.app/profile/" + account.Handle + "/post/3jzfcijpj2z2a"}
	m := note("1", "First")
	m.Link, m.Post.URL = "http://127.0.0.1:1/", "http://127.0.0.1:1/"
	if _, err := target.Edit(t.Context(), attempt(t, target, m), receipt); err != nil {
		t.Fatal(err)
	}
	_, got := only(t, server, account)
	if got.Text != "First" || got.Extra != "by another program" || got.CreatedAt != "2026-01-02T03:04:05Z" || got.Embed.Type != "app.bsky.embed.images" {
		t.Errorf("%+v", got)
	}
}

func TestEditLosesNoChangeOfSomebodyElse(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	proxy := faultproxy.Start(t, server.URL)
	target := newTarget(t, server, account, bluesky.Config{PDS: proxy.URL})
	receipt := send(t, target, note("1", "Frist"))
	// While the edit is under way, somebody adds to the record.
	changed := false
	proxy.Choose(func(r *http.Request) faultproxy.Fault {
		if strings.HasSuffix(r.URL.Path, ".putRecord") && !changed {
			changed = true
			account.Call(t, "com.atproto.repo.putRecord", map[string]any{
				"repo": account.DID, "collection": "app.bsky.feed.post", "rkey": path.Base(receipt.ID),
				"record": map[string]any{"$type": "app.bsky.feed.post", "text": "x", "createdAt": "2026-01-02T03:04:05Z", "extra": "new"},
			})
		}
		return faultproxy.None
	})
	a := attempt(t, target, note("1", "First"))
	_, err := target.Edit(t.Context(), a, receipt)
	if want := (syndicate.Error{NotSent: true}); promises(err) != want {
		t.Fatalf("%v: %+v, want %+v", err, promises(err), want)
	}
	if _, err := target.Edit(t.Context(), a, receipt); err != nil {
		t.Fatal(err)
	}
	if _, got := only(t, server, account); got.Text != "First" || got.Extra != "new" {
		t.Errorf("%+v", got)
	}
}

func TestDeletedPostIsNotMadeAgainByAnEdit(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	target := newTarget(t, server, account, bluesky.Config{})
	receipt := send(t, target, note("1", "Frist"))
	for range 2 { // it may be called again
		if err := target.Delete(t.Context(), receipt); err != nil {
			t.Fatal(err)
		}
	}
	_, err := target.Edit(t.Context(), attempt(t, target, note("1", "First")), receipt)
	if want := (syndicate.Error{NotSent: true, Refused: true}); promises(err) != want {
		t.Errorf("%v: %+v, want %+v", err, promises(err), want)
	}
	if n := len(server.Records(t, account.DID)); n != 0 {
		t.Errorf("the account has %d posts", n)
	}
}

func TestOthersPostsAreNotTouched(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account, other := server.Account(t), server.Account(t)
	target := newTarget(t, server, account, bluesky.Config{})
	theirs := send(t, newTarget(t, server, other, bluesky.Config{}), note("1", "Theirs"))
	for _, r := range []syndicate.Receipt{
		theirs,
		{URL: theirs.URL},
		{},
		{ID: "at://" + account.DID + "/app.bsky.feed.like/3jzfcijpj2z2a"},
		{ID: "at://" + account.DID + "/app.bsky.feed.post/../x"},
		{URL: "https://bsky.app/profile/" + account.DID},
		{URL: "::"},
	} {
		want := syndicate.Error{NotSent: true, Refused: true}
		if err := target.Delete(t.Context(), r); promises(err) != want {
			t.Errorf("delete %+v: %v", r, err)
		}
		if _, err := target.Edit(t.Context(), attempt(t, target, note("1", "Ours")), r); promises(err) != want {
			t.Errorf("edit %+v: %v", r, err)
		}
	}
	if _, got := only(t, server, other); got.Text != "Theirs" {
		t.Errorf("the other account says %q", got.Text)
	}
}
