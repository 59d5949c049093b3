// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"context"
	"fmt"
	"log"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
	"xeiaso.net/site/xesite/state"
)

// A program that announces posts for as long as it runs.
func Example() {
	store, err := state.OpenDir("var/state")
	if err != nil {
		log.Fatal(err)
	}
	target, err := bluesky.New(bluesky.Config{
		Handle:      "me.example.com",
		AppPassword: "abcd-efgh-ijkl-mnop",
		Store:       store,
	})
	if err != nil {
		log.Fatal(err)
	}
	s, err := syndicate.New(syndicate.Config{
		Store:   store,
		Targets: map[string]syndicate.Destination{"bluesky": {Target: target}},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Whenever the site was published:
	//
	//	err := s.Observe(ctx, posts)
	log.Fatal(s.Run(context.Background()))
}

// What will be posted is known before.
func ExampleTarget_Compose() {
	target, err := bluesky.New(bluesky.Config{Handle: "me.example.com", AppPassword: "abcd-efgh-ijkl-mnop"})
	if err != nil {
		log.Fatal(err)
	}
	body, err := target.Compose(context.Background(), syndicate.Message{
		Post:     syndicate.Post{ID: "https://me.example.com/notes/1", Title: "Tea"},
		Text:     "Tea is ready. #tea",
		Language: "en",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(body))
	// Output:
	// {"record":{"$type":"app.bsky.feed.post","text":"Tea is ready. #tea","facets":[{"index":{"byteStart":14,"byteEnd":18},"features":[{"$type":"app.bsky.richtext.facet#tag","tag":"tea"}]}],"langs":["en"]}}
}

// A typing error shows at once.
func ExampleNew() {
	_, err := bluesky.New(bluesky.Config{Handle: "me@example.com", AppPassword: "abcd-efgh-ijkl-mnop"})
	fmt.Println(err)
	// Output:
	// bluesky: Handle "me@example.com" is no name of an account: write it like "me.bsky.social", not as an email address
}
