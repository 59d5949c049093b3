// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package syndicate announces the posts of one's own site on other networks, each
// post once, and keeps the announcements in step with the posts.
//
// # Overview
//
//	store, err := state.OpenDir("var/state") // or anything with the methods of Store
//	if err != nil {
//		return err
//	}
//	fedi, err := mastodon.New(mastodon.Config{Server: "https://social.example", Token: token})
//	if err != nil {
//		return err
//	}
//	s, err := syndicate.New(syndicate.Config{
//		Store:   store,
//		Targets: map[string]syndicate.Destination{"mastodon": {Target: fedi}},
//		Logger:  logger,
//	})
//	if err != nil {
//		return err
//	}
//	f, err := feed.Parse(file, feed.Options{URL: "https://me.example/blog.json"})
//	if err != nil {
//		return err
//	}
//	if err := s.Observe(ctx, f.Posts); err != nil {
//		return err
//	}
//	return s.Drain(ctx)
//
// That is all of a job for cron. A program that stays calls [Syndicator.Run] in a
// goroutine of its own, and [Syndicator.Observe] each time that the site was
// published. Package [xeiaso.net/site/syndicate/feed] reads posts from a feed; they
// can as well come from Go. The targets are packages of their own: bluesky,
// mastodon, discord, irc, webmention, websub and webhook, all below this one.
//
// # Identity
//
// A post is its [Post.ID], which a feed promises never to change. Its address
// may change, and its title: that is an edit of the same post, and
// [Post.Fingerprint] tells that there was one. [Post.Key] is a short form of
// the id for addresses and names of records.
//
// # Delivery
//
// For each post and target there is a record in the [Store], from before anything
// is sent:
//
//	planned → attempting → confirmed
//	                     ↘ parked, until a person decides
//
// An attempt is claimed by a compare-and-swap that also freezes what is sent. When
// the answer is lost, or the program dies, the record says that nobody knows. Then
// a target that is a [Reconciler] looks on the network before anything is sent
// again: on these each post comes out exactly once. On the others it is parked with
// [ReasonUnknown]: on these it comes out at most once, and a person sees where
// nobody knows. A target that says that its network was not told (see [Error]) is
// tried again, with growing pauses or those that the network wants, until
// [Config.GiveUp]; one that refuses has the post parked. Each target waits for
// itself alone.
//
// Before the first attempt the post's page is looked at, since networks fetch it
// once to make a card: see [Page].
//
// What is parked is listed by [Syndicator.Entries] and on the page of
// [Syndicator.AdminHandler]. [Syndicator.Retry], [Syndicator.Confirm] and
// [Syndicator.Forget] are the decisions about it. A record that was damaged counts
// as parked, too, and holds up no other.
//
// # First run
//
// A target without records takes all posts as seen, and announces none. So it is
// for a new site, for a target that is added later, and when all records were lost:
// nothing comes out twice. [Syndicator.Recover] then asks the networks what was
// announced, so that edits and links work again.
//
// # Policy
//
// A post is announced if it is not older than [Config.MaxAge] when it is first
// seen, and if its author ([Override.Skip]) and the [Destination] want it. A post
// that is dated in the future waits for its date. If more than [Config.MaxPerRun]
// are new at once, something is probably wrong, and all of them are parked with
// [ReasonCap]. [Config.DryRun] and [Syndicator.Preview] show what would be sent.
//
// # Edits and deletes
//
// A post with another fingerprint than the one that was announced is an edit, which
// is made on the network if the target is an [Editor], see [Destination.Edits]. As
// long as nothing was sent it only changes what will be. Edits and deletes can be
// repeated, and are, until the network says that they are done.
//
// A post that is missing is never deleted: feeds drop old ones.
// [Syndicator.Delete] takes an announcement back, and with
// [Destination.FollowDeletes] so does [Syndicator.Removed] when the page itself
// answers that it is gone.
//
// # Several instances
//
// Several programs may share a store. Who has not answered within [Config.Timeout]
// and a margin, by the clock of the one who waits, is taken for dead; what it did is
// then unknown, as above. If it comes back with an answer, that is merged and
// nothing is sent again. An instance knows of what others have planned from its last
// Observe, or the start of Run or Drain.
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
//
// Passwords and tokens are of type [Secret] and belong to targets: no record, log
// line, error or answer of this package has one in it. [Syndicator.AdminHandler]
// does not ask who calls.
//
// # Writing a target
//
// A [Target] has one method, Send. What it promises is what its errors say: the
// zero value of [Error], and every other error, promises nothing, and then the post
// is parked. A target that can find its announcements should be a [Reconciler], and
// one whose network has limits a [Composer]. Methods have to return soon after
// their context has ended: whoever does not holds up its own target, and the end of
// Run and Drain. A target that panics is taken for one about whose attempt nobody
// knows.
package syndicate
