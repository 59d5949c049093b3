// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package mastodon announces posts on Mastodon, and on other servers that have
// its API, such as GoToSocial and Akkoma.
//
// # Overview
//
//	target, err := mastodon.New(mastodon.Config{
//		Server: "https://mastodon.social",
//		Token:  token,
//	})
//	if err != nil {
//		return err
//	}
//	s, err := syndicate.New(syndicate.Config{
//		Store:   store,
//		Targets: map[string]syndicate.Destination{"mastodon": {Target: target}},
//	})
//
// The account's owner makes the token in its preferences, under Development: a
// new application with the scopes read:accounts, read:statuses, write:statuses
// and write:media. The last is only needed for pictures.
//
// # Text
//
// A text is fitted to what the server says that it allows, counted as Mastodon
// does: links have a length of their own, and the content warning counts.
// Servers that allow more than 500 characters get more. The server is asked once
// an hour.
//
// # Pictures
//
// By default none is attached: Mastodon makes a card of the linked page, with
// the picture and title that the page names, and shows no card if there is an
// attachment. [Config.Pictures] attaches the post's picture with its
// description, for readers who would rather see it large. A picture that is too
// large for the server, or that has changed since the announcement was planned,
// is left out, and the card stands in for it.
//
// # Delivery
//
// Each announcement is sent with an idempotency key. That alone would not do:
// not every server knows such keys, and Mastodon stores one only after the
// status, for an hour. After an answer that was lost, [Target.Reconcile] looks
// for the announcement among the account's own statuses, and says that it is
// absent only when [Config.Settle] has passed since the attempt: a slow database
// may be at it long after its proxy has given up. Package syndicate never sends
// it again before that.
//
// It is found by its link, or by its text if it has none. A status that somebody
// wrote by hand with the same link after the announcement was planned is taken
// for it.
//
// # Edits
//
// [Target.Edit] changes the status in place: boosts and replies stay. The
// visibility stays, too, since Mastodon cannot change it. So do attachments; the
// first gets the picture's new description. A picture is added if there is none.
//
// # What it does not do
//
// It schedules nothing, makes no polls and no threads, and does not scale
// pictures. It does not keep a text from mentioning people: "@somebody" in a
// title is a mention.
package mastodon
