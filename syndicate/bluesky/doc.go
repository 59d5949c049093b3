// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package bluesky announces posts of one's own site on Bluesky, or on another
// server that speaks the AT Protocol: each post once, whatever is lost on the
// way.
//
// # Overview
//
//	target, err := bluesky.New(bluesky.Config{
//		Handle:      "me.example.com",
//		AppPassword: syndicate.Secret(os.Getenv("BLUESKY_APP_PASSWORD")),
//		Store:       store,
//	})
//	if err != nil {
//		return err
//	}
//	s, err := syndicate.New(syndicate.Config{
//		Store:   store,
//		Targets: map[string]syndicate.Destination{"bluesky": {Target: target}},
//	})
//
// An app password is made at https://bsky.app/settings/app-passwords. It can do
// less than the account's own, and be taken back.
//
// # What is posted
//
// A text of at most 300 characters and 3000 bytes, in which links are shown short
// and, like hashtags, lead somewhere; and the card of the link with title,
// summary and picture. [Target.Compose] returns all of it, and thus a dry run
// shows it, before anything has been sent.
//
//   - A link that the text has stays whole. One that it has not is not put there,
//     since the card has it.
//   - Tags that the text does not have go into the record, eight at most, where
//     they count for searches and are not seen.
//   - The warnings "sexual", "nudity", "porn" and "graphic-media" become labels.
//     Others are put in front of the text: Bluesky has nothing else for them.
//   - Everybody sees what is posted. A post with visibility "private" or "direct"
//     is refused; "unlisted" makes no difference.
//   - The language is the post's or, if that is not known, [Config.Languages].
//
// The card's picture is the post's, or else the one that its page has for cards
// (og:image). JPEG, PNG, GIF and WebP are taken as they are, up to a megabyte;
// what is larger is made a smaller JPEG, except WebP, which is left out. A
// picture never stops a post: without it the card has none, and [Config.Logger]
// is told why.
//
// # Each post once
//
// A post's record has a key that is derived from account and post id, and nothing
// else. It is only ever created: where it exists already, [Target.Send] returns
// its receipt and changes nothing, whatever it says by now. So the same post can
// be sent any number of times, by any number of processes, with all local state
// lost: there is one record. [Target.Reconcile] looks whether it is there.
//
// The keys look like those of the years 2005 to 2013, so that they cannot be the
// keys of what other programs post. Readers do not see them; posts are shown in
// the order of the time that is in the record.
//
// A post that was deleted on Bluesky is not made again, as long as the record of
// its announcement is kept. [Target.Recover] finds what was announced before, also
// by other programs: by the link.
//
// # Edits
//
// [Target.Edit] puts a new text and card into the same record; likes and replies
// stay. It is off by default, see [syndicate.Destination]: Bluesky does not show
// that a post was edited, and many readers keep the first version.
//
// # Sessions
//
// A server allows 300 logins a day. So the session is kept in the store, shared
// by all processes, and renewed when it has expired; the password is used when
// there is none, or when it cannot be renewed. Its key in the store is
// syndicate/bluesky/ and a hash. It has tokens in it that are as good as the
// password for three months: keep the store where others cannot read it.
//
// # Security
//
// Password and tokens are sent to the server only, encrypted unless it is on this
// machine, and are not in errors, logs or printed values. Answers are limited in
// size, and not believed to be about what they are not about.
//
// Pages and pictures are fetched from public addresses only, so that a foreign
// page cannot name a picture inside of one's own network; the site's own host is
// trusted, wherever it is. How many pixels a picture has is looked at before it is
// decoded.
//
// # What it does not do
//
// No threads, replies, mentions, videos or pictures without a link. Bluesky does
// not look at pages by itself, so there is no need to wait for a page; but its
// picture is fetched when the announcement is composed.
package bluesky
