// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/mastodon"
	"xeiaso.net/site/syndicate/mastodontest"
)

// Example announces one post without a Syndicator, which would also remember
// that it did.
func Example() {
	// In place of these: the account's own server, and a token that its owner
	// made in the preferences, under Development.
	fake := mastodontest.New(mastodontest.Config{})
	server := httptest.NewTLSServer(fake)
	defer server.Close()
	token := fake.Token("blog", "my site", "read:accounts", "read:statuses", "write:statuses")

	target, err := mastodon.New(mastodon.Config{
		Server: server.URL,
		Token:  syndicate.Secret(token),
		Client: server.Client(),
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	post := syndicate.Post{ID: "https://me.example/hello", URL: "https://me.example/hello", Title: "Hello"}
	body, err := target.Compose(ctx, syndicate.Message{Post: post, Text: "Hello, world!", Link: post.URL, Language: "en"})
	if err != nil {
		panic(err)
	}
	_, err = target.Send(ctx, syndicate.Attempt{ID: post.ID, Link: post.URL, Key: post.Key(), Body: body, Created: time.Now()})
	if err != nil {
		panic(err)
	}
	for _, s := range fake.Statuses() {
		fmt.Println(s.Application, "says:", s.Text)
	}
	// Output:
	// my site says: Hello, world! https://me.example/hello
}
