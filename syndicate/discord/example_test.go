// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discord_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/discord"
	"xeiaso.net/site/syndicate/discordtest"
)

// Example announces one post without a Syndicator, which would also remember
// that it did.
func Example() {
	// In place of these: the address that Discord shows in the settings of the
	// channel, under Integrations, and no API.
	fake := discordtest.New(discordtest.Config{})
	server := httptest.NewTLSServer(fake)
	defer server.Close()

	target, err := discord.New(discord.Config{
		Webhook: syndicate.Secret(fake.Webhook()),
		Client:  server.Client(),
		API:     server.URL + "/api/v10",
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	post := syndicate.Post{ID: "https://me.example/hello", URL: "https://me.example/hello", Title: "Hello"}
	body, err := target.(syndicate.Composer).Compose(ctx, syndicate.Message{Post: post, Text: "Hello, @everyone!", Link: post.URL})
	if err != nil {
		panic(err)
	}
	_, err = target.Send(ctx, syndicate.Attempt{ID: post.ID, Link: post.URL, Key: post.Key(), Body: body, Created: time.Now()})
	if err != nil {
		panic(err)
	}
	for _, m := range fake.Messages() {
		fmt.Printf("%s, which pings %d people\n", m.Content, len(m.Pings))
	}
	// Output:
	// Hello, \@everyone! https://me.example/hello, which pings 0 people
}
