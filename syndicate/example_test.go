// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate_test

import (
	"fmt"
	"log"

	"xeiaso.net/site/syndicate"
)

func ExamplePost() {
	post := syndicate.Post{
		ID: "https://me.example/posts/hello/", URL: "https://me.example/posts/hello/",
		Title: "Hello", Language: "en", Tags: []string{"meta"},
		Overrides: map[string]syndicate.Override{
			"irc":      {Skip: new(true)},
			"mastodon": {ContentWarning: "Introductions"},
		},
	}
	if err := post.Validate(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(post.Key(), post.Skips("irc"), post.For("mastodon").ContentWarning)

	edited := post
	edited.Title = "Hello, world"
	fmt.Println(edited.Key() == post.Key(), edited.Fingerprint() == post.Fingerprint())
	// Output:
	// e5e39176cd4f2aae true Introductions
	// true false
}

func ExamplePost_Validate() {
	fmt.Println(syndicate.Post{ID: "1", URL: "/posts/hello/"}.Validate())
	// Output: syndicate: post "1": URL is "/posts/hello/", want an address that begins with https:// or http://
}

func ExampleFit() {
	const link = "https://me.example/posts/cats/"
	text, err := syndicate.Fit("Everything that I know about cats\n\n"+link+"\n\n#cats", link,
		syndicate.Limit{Max: 60, Count: syndicate.Graphemes})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
	// Output:
	// Everything that I…
	//
	// https://me.example/posts/cats/
	//
	// #cats
}

func ExampleGraphemes() {
	fmt.Println(syndicate.Graphemes("🏳️‍🌈 é"), syndicate.UTF16("🏳️‍🌈 é"), syndicate.Bytes("🏳️‍🌈 é"))
	// Output: 3 8 17
}

func ExampleUTF16() {
	fmt.Println(syndicate.UTF16("a🐈"))
	// Output: 3
}

func ExampleBytes() {
	fmt.Println(syndicate.Bytes("a🐈"))
	// Output: 5
}

// A post on Bluesky: at most 300 graphemes and 3,000 bytes of what is shown.
func ExampleEnricher() {
	const link = "https://me.example/posts/2026/everything-about-cats/?lang=en"
	e := syndicate.Enricher{LinkWidth: 30, Links: []string{link}}
	text, err := syndicate.Fit("Everything about cats\n\n"+link+"\n\n#cats", link, e.Limits(300, 3000)...)
	if err != nil {
		log.Fatal(err)
	}
	rich := e.Enrich(text)
	fmt.Println(rich.Text)
	for _, f := range rich.Facets {
		fmt.Printf("%q %s%s\n", rich.Text[f.Start:f.End], f.URL, f.Tag)
	}
	// Output:
	// Everything about cats
	//
	// me.example/posts/2026/everyth…
	//
	// #cats
	// "me.example/posts/2026/everyth…" https://me.example/posts/2026/everything-about-cats/?lang=en
	// "#cats" cats
}

func ExampleShortLink() {
	fmt.Println(syndicate.ShortLink("https://www.me.example/posts/2026/everything-about-cats/", 24))
	// Output: me.example/posts/2026/e…
}

// A post on Mastodon, whose instance reserves 23 characters for a link.
func ExampleCountReserved() {
	count := func(text string) int { return syndicate.CountReserved(text, 23) }
	fmt.Println(count("https://me.example/posts/2026/everything-about-cats/"), count("by @jo@social.example"))

	const link = "https://me.example/posts/2026/everything-about-cats/"
	text, err := syndicate.Fit("Everything about cats "+link, link, syndicate.Limit{Max: 42, Count: count})
	fmt.Println(text, err)
	// Output:
	// 23 6
	// Everything about… https://me.example/posts/2026/everything-about-cats/ <nil>
}

// A message on Discord: fitted by the length that it has when it is escaped.
func ExampleEscapeMarkdown() {
	const link = "https://me.example/a_b_c"
	text, err := syndicate.Fit("**kwargs and `*args`, @everyone: "+link, link, syndicate.Limit{
		Max: 2000, Count: func(text string) int { return syndicate.UTF16(syndicate.EscapeMarkdown(text)) },
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(syndicate.EscapeMarkdown(text))
	// Output: \*\*kwargs and \`\*args\`, \@everyone: https://me.example/a_b_c
}

func ExampleHashtag() {
	fmt.Println(syndicate.Hashtag("home lab"), syndicate.Hashtag("go"))
	// Output: #HomeLab #go
}

// A message on IRC, which others get with the sender's prefix before it.
func ExampleLineLimit() {
	const link = "https://me.example/posts/hello/"
	text := syndicate.PlainLine("New article :: Hello\r\nQUIT :: " + link)
	text, err := syndicate.Fit(text, link, syndicate.LineLimit("mimi!mimi@bot.example", "#blog"))
	fmt.Println(text, err)
	// Output: New article :: Hello QUIT :: https://me.example/posts/hello/ <nil>
}

func ExamplePlainLine() {
	fmt.Printf("%q\n", syndicate.PlainLine("\x0304,12Red\x0f and \x01ACTION\x01\r\nmore"))
	// Output: "Red and ACTION more"
}

func ExampleUTM_Tag() {
	utm := syndicate.UTM{Source: "mastodon", Medium: "social", Campaign: "posse"}
	link, err := utm.Tag("https://me.example/search?q=cats&utm_source=rss#results")
	fmt.Println(link, err)
	// Output: https://me.example/search?q=cats&utm_source=mastodon&utm_medium=social&utm_campaign=posse#results <nil>
}
