// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package irc_test

import (
	"context"
	"fmt"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/irc"
)

func Example() {
	target, err := irc.New(irc.Config{Server: "irc.libera.chat", Nick: "myblog", Channel: "#myblog"})
	if err != nil {
		panic(err)
	}
	body, err := target.Compose(context.Background(), syndicate.Message{
		Text: "A title\r\nQUIT :with a line break :: https://me.example/1", Link: "https://me.example/1",
	})
	fmt.Println(string(body), err)
	// Output: {"channel":"#myblog","text":"A title QUIT :with a line break :: https://me.example/1"} <nil>
}
