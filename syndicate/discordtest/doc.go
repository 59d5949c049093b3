// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package discordtest is a server for tests of programs that post on Discord, by
// a webhook or as a bot. It refuses what Discord refuses, records who would be
// pinged, and fails in the ways that lose answers, when it is told to.
//
// # Overview
//
//	fake := discordtest.New(discordtest.Config{})
//	server := httptest.NewTLSServer(fake)
//	defer server.Close()
//	hook := fake.Webhook() // an address at discord.com, for the client to take apart
//	fake.Next(1, discordtest.Fault{Kind: discordtest.ErrorAfter})
//	…
//	for _, m := range fake.Messages() {
//		if len(m.Pings) > 0 {
//			t.Errorf("%q pings %q", m.Content, m.Pings)
//		}
//	}
//
// The API is below /api/v10 of the server.
//
// # What it has
//
// Webhooks: show, execute, and get, edit and delete a message. Channels, for
// bots: show, list messages, and create, get, edit and delete one, with nonces.
// The bot itself. Content and embeds with all their limits.
//
// Its answers are as Discord's OpenAPI document has them, with one difference
// that Discord makes itself: the codes of errors within a form are words.
//
// # What it does not do
//
// No gateway, components, files, polls, stickers, threads or interactions: a
// request with one of them is refused. It unfurls no links. It is not fit for
// anything but tests.
package discordtest
