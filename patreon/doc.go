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
//
// # Tokens
//
// Where a program gets its access tokens from is a [TokenSource]. A
// [StaticToken] serves for a month. A [Keeper] serves for ever: Patreon's tokens
// end after a month, and its refresh tokens work once, so that who uses one and
// then crashes, or runs twice, has lost them. A Keeper writes down what it is about
// to do before it does it, on a [Store] that any number of processes share, and
// gives out nothing that is not saved. Start it with the two tokens of the client's
// page ([KeeperConfig.Seed]) or with a login ([Keeper.LoginOnLoopback],
// [Keeper.Exchange]), and have [Keeper.Run] running. Nobody else may use its
// refresh token.
//
// In one case tokens are lost whatever a client does: Patreon has made the new pair
// and its answer never arrives. A Keeper then tells so, in [Status.Lost], in the log
// and by [ErrLineageLost], and needs a new seed. That comes at half of the access
// token's life, which goes on working for the rest of it, two weeks or so.
//
// # Token server
//
// A [TokenServer] shares the tokens of one Keeper among programs. One with a
// [RemoteTokenSource] gets access tokens; one with [NewRemoteClient] has its
// requests made by the server, within one limit for all. The refresh token leaves
// the Keeper in neither case. Beyond the own machine nobody is served without a
// bearer token, of which the server knows hashes only.
//
//	GET  /v1/token                        an access token and how long it lasts
//	POST /v1/token/report                 Patreon did not take it
//	GET  /v1/proxy/api/oauth2/v2/…        the API, for reading
//	GET  /readyz                          whether there is a token to give
//
// # Webhooks
//
// A [WebhookHandler] checks what Patreon sends, takes no delivery twice, and calls
// [WebhookConfig.OnChange] once for all the events of one act. A [Registration]
// registers it and sees to it that it stays registered: Patreon pauses webhooks
// that fail. An event is a reason to read the members again, not the news itself:
// events come late, twice, in any order, or not at all.
//
// # Supporters
//
// [Supporters] keeps the list for a page of thanks in a file, the last one that is
// known, and has nobody vanish from it because Patreon was away, answered in part,
// or said for a day around the first of the month that nobody pays. It has names
// and tiers and nothing else unless more is asked for, and nobody who wants to be
// private. [SupporterList.JSON] is for a generator of sites.
//
// # Tests
//
// Package xeiaso.net/site/patreon/patreontest is a Patreon for tests, with all the
// ways in which it fails. Package xeiaso.net/site/patreon/metrics has metrics for
// Prometheus.
package patreon
