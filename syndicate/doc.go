// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package syndicate is about announcing the posts of one's own site on other
// networks: what a [Post] is, and how its text is made to fit.
//
// Nothing is sent yet: the outbox that delivers each post once, and a package
// for each network, are planned. Package [xeiaso.net/site/syndicate/feed] reads
// posts from a site's feed.
//
// # Overview
//
//	f, err := feed.Parse(file, feed.Options{URL: "https://me.example/blog.json"})
//	if err != nil {
//		return err
//	}
//	for _, post := range f.Posts {
//		text, err := syndicate.Fit(post.Title+"\n\n"+post.URL, post.URL,
//			syndicate.Limit{Max: 300, Count: syndicate.Graphemes})
//		…
//	}
//
// # Identity
//
// A post is its [Post.ID], which a feed promises never to change. Its address
// may change, and its title: that is an edit of the same post, and
// [Post.Fingerprint] tells that there was one. [Post.Key] is a short form of
// the id for addresses and names of records.
//
// # Fitting
//
// [Fit] shortens a text until it is within all limits of a network, by the
// network's own count. It never cuts inside of a character as readers see it, a
// link, a hashtag or a mention; it prefers the end of a word; and the link that
// it is told to keep comes out whole, or there is an error.
//
//	Bluesky   Enricher.Limits(300, 3000), then Enricher.Enrich for the facets
//	Mastodon  Limit{500, …} with CountReserved for the instance's numbers
//	Discord   Limit{2000, …} with UTF16 of what EscapeMarkdown makes of a text
//	IRC       LineLimit of one's own prefix and the channel, after PlainLine
//
// The numbers are parameters, since servers differ and change.
//
// # Security
//
// What a feed says is not trusted to be harmless: [PlainLine] leaves nothing
// that an IRC server would take for a second command, [EscapeMarkdown] nothing
// that formats or mentions, and a link is only ever shown short with its whole
// host. Texts that are not UTF-8 are repaired first, so that byte offsets stay
// what they are when the text is encoded.
package syndicate
