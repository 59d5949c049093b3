// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package webmention tells the pages that a post links to that it does, as
// https://www.w3.org/TR/webmention/ has it.
//
// # Overview
//
//	target := webmention.New(webmention.Config{})
//	s, err := syndicate.New(syndicate.Config{
//		Targets: map[string]syndicate.Destination{"webmention": {Target: target}},
//		…
//	})
//
// The links are those in [syndicate.Post.ContentHTML], and About, up to
// [Config.MaxLinks]. Those to the site itself are left out, and those with
// rel=nofollow.
//
// # Delivery
//
// For each link the page is fetched, and its endpoint looked for in the Link
// header fields and then in <link> and <a> elements, sections 3.1.2 and 3.1.3. A
// page without one is the common case and no error.
//
// Receivers know a mention by its source and target, so it is sent again where
// nobody knows what became of it, and after edits. A page or an endpoint that
// does not work is tried three times, with the pauses of the outbox, and then
// left: one dead link must not hold up the others or call for a person. Links
// that were tried less come first. What was
// sent within the life of the program is not sent again.
//
// # Security
//
// Links come out of texts, and endpoints out of foreign pages. Only addresses of
// the public internet are connected to, as they are after names were resolved,
// and the answers are limited in time and size.
package webmention
