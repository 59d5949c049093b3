// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discordtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"xeiaso.net/site/syndicate/discordtest"
)

// A program that does not say otherwise pings all people of the channel with
// what a title happens to contain.
func Example() {
	fake := discordtest.New(discordtest.Config{})
	server := httptest.NewServer(fake)
	defer server.Close()

	hook := strings.Replace(fake.Webhook(), "https://discord.com/api", server.URL+"/api/v10", 1)
	resp, err := http.Post(hook, "application/json", strings.NewReader(`{"content":"New post: how to stop \\@everyone"}`))
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	for _, m := range fake.Messages() {
		fmt.Println(m.Content, m.Pings)
	}
	// Output:
	// New post: how to stop \@everyone [@everyone]
}
