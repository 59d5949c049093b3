// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package patreon is a client of Patreon's API, version 2, with what a site needs
// around it: tokens that are kept fresh, webhooks, and a list of supporters that
// nobody vanishes from by mistake.
//
// # The API
//
//	client, err := patreon.NewClient(patreon.ClientConfig{
//		Tokens:    patreon.StaticToken(token),
//		UserAgent: "my-site/1.0 (+https://example.com)",
//	})
//	…
//	for member, err := range client.Members(ctx, campaign, patreon.Query{}) {
//		…
//	}
//
// Patreon answers nothing that was not asked for. A [Query] says what to ask for;
// the zero one asks for everything but what is personal. What was not asked for,
// what is null and what has a value are told apart by [Opt], and likewise with
// related resources, which are found by [One.Get] and [Many.All] in the same
// answer. What Patreon adds to its resources some day is kept in [Extras].
//
// Listings are sequences that hold one page at a time. They end where Patreon's
// own do not, and yield nobody twice. [Client.CollectMembers] tells whether a list
// of members is complete; nobody should be taken for gone because of one that is
// not.
//
// Requests that only read are tried again when there is reason to hope. Those that
// change something are made once, but for status 401, which says that nothing was
// changed. Errors match the sentinels of this package.
//
// Livestreams, an early part of the API, are left out.
package patreon
