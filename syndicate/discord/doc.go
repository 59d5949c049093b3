// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package discord announces posts in a channel of Discord, by a webhook or as a
// bot.
//
// # Overview
//
//	target, err := discord.New(discord.Config{Webhook: webhook})
//	if err != nil {
//		return err
//	}
//	s, err := syndicate.New(syndicate.Config{
//		Store:   store,
//		Targets: map[string]syndicate.Destination{"discord": {Target: target}},
//	})
//
// # Webhook or bot
//
// A webhook is made in a minute, in the settings of the channel under
// Integrations, and its address is all that is needed. But Discord has no means
// to find out what became of a request of a webhook whose answer was lost. Such
// an announcement is parked until a person has looked: it is never there twice.
//
// A bot takes an application at https://discord.com/developers and somebody who
// invites it, with the permissions View Channel, Send Messages, Read Message
// History and, with [Config.Embed], Embed Links. Its announcements carry a
// nonce, which Discord remembers for some minutes, and they are found again
// among the messages of the channel: each comes out exactly once, and without a
// person. A channel that looks empty proves nothing, since Discord shows an empty
// list to a bot that may not read. Therefore the very first announcement in an
// empty channel is parked as well if its answer is lost.
//
// # Text
//
// By default the message is the text with the link, and Discord makes a card of
// the page that the link leads to: its title, description and picture, as the
// page itself names them. Everybody in the channel knows such messages, a
// notification on a phone shows the text, and it takes no permissions. With
// [Config.Embed] the card is part of the message, and made of the post: for sites
// that have no metadata in their pages.
//
// Nothing in the text formats the message: it is escaped. Nothing mentions
// anybody: every request says so, and not just by escaping. A content warning
// stands in front, and the text is hidden behind it until readers want to see it.
// Discord has no languages and no visibilities.
//
// # Edits
//
// The message is changed in place, and shows that it was. Nobody is notified
// again.
//
// # What it does not do
//
// No threads and no forums, where each message needs a title of its own; no
// buttons, files or polls. It listens to nobody: the bot needs no gateway, and is
// shown as offline.
//
// # Security
//
// The address of a webhook is its password. It and the bot's token are in no
// error and in no log.
package discord
