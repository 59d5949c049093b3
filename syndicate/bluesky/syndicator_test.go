// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/pds"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
)

// newSyndicator returns a syndicator that announces at the account without delay.
func newSyndicator(t *testing.T, server *pds.Server, account *pds.Account, store syndicate.Store) *syndicate.Syndicator {
	t.Helper()
	s, err := syndicate.New(syndicate.Config{
		Store: store,
		Targets: map[string]syndicate.Destination{
			"bluesky": {Target: newTarget(t, server, account, bluesky.Config{Store: store}), UTM: syndicate.UTM{Source: "bluesky"}},
		},
		MaxPerRun: -1, Page: syndicate.Page{Off: true}, Timeout: 5 * time.Second, MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// somePosts are posts of a site that does not answer.
func somePosts(n int) []syndicate.Post {
	var all []syndicate.Post
	for i := range n {
		address := fmt.Sprintf("http://127.0.0.1:1/posts/%d/", i)
		all = append(all, syndicate.Post{ID: address, URL: address, Title: fmt.Sprintf("Post %d", i), Tags: []string{"home lab"}, Published: time.Now()})
	}
	return all
}

// observe has all posts announced.
func observe(t *testing.T, s *syndicate.Syndicator, posts []syndicate.Post) {
	t.Helper()
	if err := s.Observe(t.Context(), posts); err != nil {
		t.Error(err)
		return
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLostStateIsRecoveredFromTheServer(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	posts := somePosts(5)
	s := newSyndicator(t, server, account, newStore(t))
	observe(t, s, nil) // the first look takes all for seen
	observe(t, s, posts)
	before, err := s.Links(t.Context())
	if err != nil || len(before) != len(posts) {
		t.Fatalf("%d posts have links, error %v: want %d", len(before), err, len(posts))
	}
	after := newSyndicator(t, server, account, newStore(t))
	observe(t, after, posts)
	if n := len(server.Records(t, account.DID)); n != len(posts) {
		t.Errorf("%d records after the state was lost, want %d", n, len(posts))
	}
	counts, err := after.Recover(t.Context(), posts)
	if err != nil || counts["bluesky"] != len(posts) {
		t.Errorf("recovered %v, error %v: want %d", counts, err, len(posts))
	}
	links, err := after.Links(t.Context())
	if err != nil || fmt.Sprint(links) != fmt.Sprint(before) {
		t.Errorf("links %v, error %v: want %v", links, err, before)
	}
}

// With one store, and with none in common: the key of a record is the same.
func TestTwoInstancesPostOnce(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	for name, shared := range map[string]bool{"one store": true, "two stores": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := server.Account(t)
			posts := somePosts(10)
			store := newStore(t)
			var all sync.WaitGroup
			for range 2 {
				if !shared {
					store = newStore(t)
				}
				s := newSyndicator(t, server, account, store)
				observe(t, s, nil)
				all.Go(func() { observe(t, s, posts) })
			}
			all.Wait()
			if n := len(server.Records(t, account.DID)); n != len(posts) {
				t.Errorf("%d records, want %d", n, len(posts))
			}
		})
	}
}

func TestDefaultTextHasTitleLinkAndHashtags(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	account := server.Account(t)
	s := newSyndicator(t, server, account, newStore(t))
	observe(t, s, nil)
	observe(t, s, somePosts(1))
	_, got := only(t, server, account)
	const link = "http://127.0.0.1:1/posts/0/?utm_source=bluesky"
	if want := "Post 0\n\n127.0.0.1:1/posts/0/?utm_source…\n\n#HomeLab"; got.Text != want {
		t.Errorf("text %q, want %q", got.Text, want)
	}
	if parts := got.parts(t); parts["127.0.0.1:1/posts/0/?utm_source…"] != link || got.Embed.External.URI != link {
		t.Errorf("links %v, card %+v", parts, got.Embed.External)
	}
}
