// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
	"xeiaso.net/site/syndicate/discord"
	"xeiaso.net/site/syndicate/irc"
	"xeiaso.net/site/syndicate/mastodon"
	"xeiaso.net/site/syndicate/webmention"
	"xeiaso.net/site/syndicate/websub"
	"xeiaso.net/site/xesite"
)

// syndicationFlags say where posts are announced.
type syndicationFlags struct {
	feed string

	blueskyPDS, blueskyHandle string
	blueskyPassword           xesite.Secret

	mastodonURL, mastodonVisibility string
	mastodonToken                   xesite.Secret

	discordWebhook, discordBotToken xesite.Secret
	discordChannel                  string

	ircServer, ircNick, ircChannel, ircAccount string
	ircPassword                                xesite.Secret
	ircInsecure                                bool

	webmention bool
	websubHub  string

	maxAge                            time.Duration
	maxPerRun                         int
	dryRun, waitPublic, followDeletes bool
	linksFile                         string
}

func (f *syndicationFlags) flags(fs *flag.FlagSet) {
	fs.StringVar(&f.feed, "feed", "/blog.json", "`path` on the site of the feed whose new posts are announced: JSON Feed, RSS or Atom")
	fs.StringVar(&f.blueskyPDS, "bluesky-pds", bluesky.DefaultPDS, "`URL` of the Bluesky account's server")
	fs.StringVar(&f.blueskyHandle, "bluesky-handle", "", "`name` of the Bluesky account, such as me.bsky.social")
	secretVar(fs, "bluesky-app-password", "app password of the Bluesky account", oneSecret(&f.blueskyPassword))
	fs.StringVar(&f.mastodonURL, "mastodon-url", "", "`URL` of the Mastodon account's server")
	secretVar(fs, "mastodon-token", "access token of the Mastodon account", oneSecret(&f.mastodonToken))
	fs.StringVar(&f.mastodonVisibility, "mastodon-visibility", "", "public, unlisted, private or direct (default: the account's `setting`)")
	secretVar(fs, "discord-webhook", "address of a Discord webhook", oneSecret(&f.discordWebhook))
	secretVar(fs, "discord-bot-token", "token of a Discord bot, in place of a webhook", oneSecret(&f.discordBotToken))
	fs.StringVar(&f.discordChannel, "discord-channel", "", "`id` of the channel for the Discord bot")
	fs.StringVar(&f.ircServer, "irc-server", "", "`host` and port of an IRC server (default port: 6697)")
	fs.StringVar(&f.ircNick, "irc-nick", "", "`nick` on IRC")
	fs.StringVar(&f.ircChannel, "irc-channel", "", "`channel` on IRC, with its #")
	fs.StringVar(&f.ircAccount, "irc-sasl-user", "", "`account` on IRC")
	secretVar(fs, "irc-sasl-password", "password of the account on IRC", oneSecret(&f.ircPassword))
	fs.BoolVar(&f.ircInsecure, "irc-insecure", false, "connect to the IRC server without TLS")
	fs.BoolVar(&f.webmention, "webmention", false, "tell pages that new posts link to")
	fs.StringVar(&f.websubHub, "websub-hub", "", "`URL` of a WebSub hub that is told of new posts")
	durationVar(fs, &f.maxAge, "syndicate-max-age", 72*time.Hour, "greatest `age` of a post that is announced when it is first seen; 0 is no limit")
	intVar(fs, &f.maxPerRun, "syndicate-max-per-run", 3, "`number` of posts that may be new at once; more are parked, 0 is no limit")
	fs.BoolVar(&f.dryRun, "syndicate-dry-run", false, "print what would be announced, and announce nothing")
	fs.BoolVar(&f.waitPublic, "syndicate-wait-public", true, "announce a post only when its page is up at its public address")
	fs.BoolVar(&f.followDeletes, "syndicate-follow-deletes", false, "take announcements back when their page was removed from the site")
	fs.StringVar(&f.linksFile, "syndicate-links-file", "", "`file` of the checkout that says, for the generator, where posts were announced")
}

// anySet reports whether anything is to be announced anywhere, be it set rightly
// or not.
func (f *syndicationFlags) anySet() bool {
	return f.blueskySet() || f.mastodonSet() || f.discordSet() || f.ircSet() || f.webmention || f.websubHub != ""
}

func (f *syndicationFlags) blueskySet() bool { return f.blueskyHandle != "" || f.blueskyPassword != "" }

func (f *syndicationFlags) mastodonSet() bool { return f.mastodonURL != "" || f.mastodonToken != "" }

func (f *syndicationFlags) discordSet() bool {
	return f.discordWebhook != "" || f.discordBotToken != "" || f.discordChannel != ""
}

func (f *syndicationFlags) ircSet() bool {
	return f.ircServer != "" || f.ircNick != "" || f.ircChannel != "" || f.ircAccount != "" || f.ircPassword != ""
}

// targets makes those that are set, and says which are set wrongly.
func (h *host) targets(store syndicate.Store) (targets map[string]syndicate.Destination, wrong map[string]error) {
	f := &h.syndication
	targets, wrong = map[string]syndicate.Destination{}, map[string]error{}
	add := func(name string, target syndicate.Target, err error) {
		if err != nil {
			wrong[name] = err
			return
		}
		targets[name] = syndicate.Destination{Target: target, FollowDeletes: f.followDeletes}
	}
	if f.blueskySet() {
		t, err := h.bluesky(store)
		add("bluesky", t, err)
	}
	if f.mastodonSet() {
		t, err := h.mastodon()
		add("mastodon", t, err)
	}
	if f.discordSet() {
		t, err := discord.New(discord.Config{Webhook: f.discordWebhook, Bot: f.discordBotToken, Channel: f.discordChannel})
		add("discord", t, hint(err, "-discord-webhook, or -discord-bot-token and -discord-channel"))
	}
	if f.ircSet() {
		t, err := irc.New(irc.Config{
			Server: f.ircServer, Nick: f.ircNick, Channel: f.ircChannel, Account: f.ircAccount, Password: f.ircPassword,
			Insecure: f.ircInsecure, NickServ: true, Logger: h.log,
		})
		add("irc", t, hint(err, "-irc-server, -irc-nick, -irc-channel, -irc-sasl-user, -irc-sasl-password"))
	}
	if f.webmention {
		add("webmention", webmention.New(webmention.Config{}), nil)
	}
	if f.websubHub != "" {
		t, err := websub.New(websub.Config{Hub: f.websubHub, Topics: []string{onSite(h.siteURL, f.feed)}})
		add("websub", t, hint(err, "-websub-hub"))
	}
	return targets, wrong
}

func (h *host) bluesky(store syndicate.Store) (syndicate.Target, error) {
	f := &h.syndication
	if f.blueskyHandle == "" || f.blueskyPassword == "" {
		return nil, errors.New("set both -bluesky-handle and -bluesky-app-password")
	}
	t, err := bluesky.New(bluesky.Config{
		PDS: f.blueskyPDS, Handle: f.blueskyHandle, AppPassword: f.blueskyPassword, Store: store, Logger: h.log,
	})
	return t, hint(err, "-bluesky-pds, -bluesky-handle")
}

func (h *host) mastodon() (syndicate.Target, error) {
	f := &h.syndication
	if f.mastodonURL == "" || f.mastodonToken == "" {
		return nil, errors.New("set both -mastodon-url and -mastodon-token")
	}
	t, err := mastodon.New(mastodon.Config{Server: f.mastodonURL, Token: f.mastodonToken, Visibility: f.mastodonVisibility})
	return t, hint(err, "-mastodon-url, -mastodon-visibility")
}

// hint names the flags that an error is about.
func hint(err error, flags string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w (see %s)", err, flags)
}

// onSite is the address for everybody of a path on the site, which may be below
// a path itself.
func onSite(siteURL, path string) string {
	base, err := url.Parse(siteURL)
	if err != nil {
		return path
	}
	return base.JoinPath(path).String()
}
