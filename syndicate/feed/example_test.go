// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed_test

import (
	"fmt"
	"log"
	"strings"

	"xeiaso.net/site/syndicate/feed"
)

func ExampleParse() {
	f, err := feed.Parse(strings.NewReader(`{
		"version": "https://jsonfeed.org/version/1.1",
		"title": "Me",
		"home_page_url": "https://me.example/",
		"items": [
			{"id": "1", "url": "/posts/1/", "title": "One", "date_published": "2026-03-01T18:00:00Z",
			 "_syndicate": {"networks": {"irc": {"skip": true}}}},
			{"url": "/posts/2/", "title": "Two"}
		]
	}`), feed.Options{URL: "https://me.example/blog.json"})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range f.Posts {
		fmt.Println(p.Title, p.URL, p.Published, "not on IRC:", p.Skips("irc"))
	}
	for _, p := range f.Problems {
		fmt.Println(p)
	}
	// Output:
	// One https://me.example/posts/1/ 2026-03-01 18:00:00 +0000 UTC not on IRC: true
	// item 2: no id; the item is left out
}
