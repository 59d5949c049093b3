// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package patreontest is a server for tests of clients of Patreon: its API,
// version 2, its OAuth, and its webhooks. It refuses what Patreon refuses, and
// fails in the ways that lose tokens and supporters, when it is told to.
//
// # Overview
//
//	fake := patreontest.New(patreontest.Config{})
//	server := httptest.NewServer(fake)
//	defer server.Close()
//	fake.AddClient(patreontest.Client{ID: "my client", Secret: "hush"})
//	creator := fake.AddUser(patreontest.User{FullName: "Wren Quillon"})
//	campaign := fake.AddCampaign(patreontest.Campaign{Creator: creator})
//	fake.FillMembers(campaign, 2500)
//	pair := fake.Portal("my client", creator)
//	fake.Next(1, patreontest.Fault{Kind: patreontest.CutAfter, On: patreontest.OnToken})
//	…
//	if n := fake.Stats().SpentRefreshTokensUsed; n != 0 {
//		t.Errorf("%d refresh tokens were used twice", n)
//	}
//
// Patreon has no sandbox. This server is made from its documentation, from
// reports of people who use it, and from an unofficial OpenAPI document, and
// from no client: it imports none, so that a client is held against another
// reading of the same sources.
//
// # What it has
//
// All endpoints of the OpenAPI document; /oauth2/authorize, where the user of
// [Server.Login] agrees at once, and /api/oauth2/token with the grants
// authorization_code and refresh_token; webhooks that are signed, delivered and
// delivered again on the schedule that Patreon documents, by the clock of the
// [Config].
//
// # What it is strict about
//
//   - Requests need a User-Agent that is not Go's own; others get 403 and a page
//     for browsers.
//   - Every scope of the documentation, for each endpoint, and for the fields and
//     relations that have one of their own.
//   - Resources have no attributes but those of fields[type], and no
//     relationships but those of include. Names of types, fields and relations
//     that do not exist are refused with status 400 that names the parameter.
//   - Brackets in a query must be percent-encoded.
//   - Cursors belong to one list. Pages have at most 1,000 members, or 500 with
//     pledge events.
//   - A refresh token works once, unless [Server.SetRotation] says otherwise. A
//     code works once, with its redirect_uri, for five minutes. Another login,
//     or [Server.Portal], ends the pair that a client had for the user.
//   - Parameters of the token endpoint stand in a form in the body, once each.
//   - Documents that are sent have no fields without a meaning.
//
// # What is invented
//
// Nobody outside knows these: how long a code lives; that one may ask for pages
// larger than there are and gets the largest; that pages of anything but members
// have 20 resources; what statuses and words errors have other than those of
// 401, 429 and the token endpoint; how many answers of 401 it takes until an
// address is blocked; that the access token before a refresh lives on; that
// email in fields[user] of somebody else needs the scope
// campaigns.members[email]; that webhooks of other clients are 404.
//
// # Where it differs from the OpenAPI document
//
// Where Patreon's own documentation, or a payload that somebody has published,
// shows something else, that is done: errors stand in a field "errors", and
// their code may be null; the number of all resources stands in
// meta.pagination; creating a webhook answers with one and not with a list; a
// webhook that was never used has null for last_attempted_at; the urls of posts
// and tiers are relative; and paths of more than one relation can be included.
//
// It is not fit for anything but tests: it keeps all in memory, for ever.
package patreontest
