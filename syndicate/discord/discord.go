// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discord

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"xeiaso.net/site/syndicate"
)

// Config says where to announce, and as whom: either Webhook or Bot and Channel
// are set.
type Config struct {
	// Webhook is the address of a webhook:
	// "https://discord.com/api/webhooks/<id>/<token>".
	Webhook syndicate.Secret

	// Bot is the token of a bot, and Channel the id of the channel that it posts
	// in, which Discord's menus copy in developer mode.
	Bot     syndicate.Secret
	Channel string

	// Username and AvatarURL are how a webhook is shown. If empty, they are as in
	// its settings. A bot has those of its account.
	Username, AvatarURL string

	// Embed puts a card into the message that is made of the post: title, text,
	// picture and date. If false, Discord makes one of the page, see the package
	// comment.
	Embed bool

	// Settle is the longest time that Discord may go on with a request of a bot
	// whose answer was lost. It is waited before something is sent again. If
	// zero, it is two minutes.
	Settle time.Duration

	// Client makes the requests. If nil, it is one without settings.
	Client *http.Client

	// API is the address of the API. If empty, it is
	// "https://discord.com/api/v10", or that of a webhook on this machine.
	API string
}

// endpoint is Discord's API.
const endpoint = "https://discord.com/api/v10"

// New returns a target for a webhook or for a bot. It does not connect to
// Discord.
//
// Both are [syndicate.Composer], [syndicate.Editor], [syndicate.Deleter] and
// [syndicate.Defaulter]; that of a bot is a [syndicate.Reconciler] and a
// [syndicate.Recoverer] as well.
func New(c Config) (syndicate.Target, error) {
	if c.API == "" {
		c.API = apiOf(c.Webhook)
	}
	c.API = strings.TrimSuffix(c.API, "/")
	if c.Settle == 0 {
		c.Settle = 2 * time.Minute
	}
	id, token, err := checkWebhook(c.Webhook, c.API != endpoint)
	if err := errors.Join(err, c.check()); err != nil {
		return nil, fmt.Errorf("discord: %w", err)
	}
	webhookPath, botToken := "/webhooks/"+id+"/"+token, c.Bot.Reveal()
	c.Webhook, c.Bot = "", ""
	if botToken != "" {
		return &bot{target: target{
			cfg: c, where: func() string { return "/channels/" + c.Channel },
			authorization: func() string { return "Bot " + botToken }, secrets: func() []string { return []string{botToken} },
		}}, nil
	}
	return &webhook{target: target{
		cfg: c, where: func() string { return webhookPath },
		authorization: func() string { return "" }, secrets: func() []string { return []string{token} },
	}}, nil
}

// apiOf is where a webhook is: at Discord, or at a proxy on this machine.
func apiOf(webhook syndicate.Secret) string {
	u, err := url.Parse(webhook.Reveal())
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return endpoint
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return endpoint
	}
	before, _, _ := strings.Cut(u.Path, "/webhooks/")
	return u.Scheme + "://" + u.Host + before
}

func (c Config) check() error {
	var errs []error
	fault := func(wrong bool, format string, a ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	fault(c.Webhook == "" && c.Bot == "", "neither Webhook nor Bot: make a webhook in the channel's settings, under Integrations")
	fault(c.Webhook != "" && (c.Bot != "" || c.Channel != ""), "both Webhook and Bot or Channel: a webhook has its channel")
	fault(c.Bot != "" && !isSnowflake(c.Channel), "the Channel is %q, want the number that Discord's menus copy as channel ID", c.Channel)
	fault(c.Bot == "" && c.Webhook == "" && c.Channel != "", "a Channel and no Bot: it needs the bot's token")
	fault(strings.ContainsFunc(c.Bot.Reveal(), func(r rune) bool { return r <= ' ' || r >= 0x7f }), "the Bot token has blanks or other characters that no token has")
	fault(c.Bot != "" && (c.Username != "" || c.AvatarURL != ""), "a Username or AvatarURL for a Bot: those of its account are shown")
	fault(c.Settle < 0, "the Settle is %s, and must not be negative", c.Settle)
	errs = append(errs, checkUsername(c.Username), checkAddress("AvatarURL", c.AvatarURL), checkAddress("API", c.API))
	return errors.Join(errs...)
}

var webhookPattern = regexp.MustCompile(`^/api(?:/v[0-9]+)?/webhooks/([0-9]+)/([A-Za-z0-9_-]+)/?$`)

// checkWebhook returns what a webhook's address is made of. It never is a part
// of an error.
func checkWebhook(address syndicate.Secret, anywhere bool) (id, token string, err error) {
	if address == "" {
		return "", "", nil
	}
	wrong := errors.New("the Webhook is no address as Discord copies it: https://discord.com/api/webhooks/<id>/<token>")
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Scheme != "https" && !anywhere || u.User != nil {
		return "", "", wrong
	}
	host := u.Hostname()
	if !anywhere && host != "discord.com" && host != "discordapp.com" && !strings.HasSuffix(host, ".discord.com") {
		return "", "", wrong
	}
	m := webhookPattern.FindStringSubmatch(u.Path)
	if m == nil {
		return "", "", wrong
	}
	return m[1], m[2], nil
}

func isSnowflake(s string) bool {
	return s != "" && len(s) < 20 && strings.Trim(s, "0123456789") == ""
}

// checkUsername refuses what Discord refuses, which it would do only after the
// first post.
func checkUsername(name string) error {
	lower := strings.ToLower(name)
	switch {
	case utf8.RuneCountInString(name) > 80:
		return errors.New("the Username has more than 80 characters")
	case strings.Contains(lower, "discord"), strings.Contains(lower, "clyde"), lower == "everyone", lower == "here":
		return fmt.Errorf("the Username is %q: Discord allows none with \"discord\" or \"clyde\", nor \"everyone\" or \"here\"", name)
	}
	return nil
}

func checkAddress(field, address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("the %s is %q, want an address with https", field, address)
	}
	return nil
}
