// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package webmention_test

import (
	"context"
	"fmt"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/webmention"
)

func Example() {
	target := webmention.New(webmention.Config{
		OnMention: func(_, target, endpoint string, err error) { fmt.Println(target, endpoint, err) },
	})
	body, err := target.Compose(context.Background(), syndicate.Message{Post: syndicate.Post{
		ID: "1", URL: "https://me.example/1", ContentHTML: `<a href="https://friend.example/post">Well said!</a>`,
	}})
	fmt.Println(string(body), err)
	// Output: {"source":"https://me.example/1","targets":["https://friend.example/post"]} <nil>
}
