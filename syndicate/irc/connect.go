// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package irc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ergochat/irc-go/ircmsg"

	"xeiaso.net/site/syndicate"
)

// connect returns a connection that is in the channel. Nothing is said yet, so
// every error is one of NotSent.
func (t *Target) connect(ctx context.Context) (*conn, error) {
	c, err := t.dial(ctx)
	if err != nil {
		return nil, err
	}
	err = t.register(ctx, c)
	if err == nil {
		err = t.join(ctx, c)
	}
	if err != nil {
		c.close()
		if _, ok := errors.AsType[*syndicate.Error](err); !ok {
			err = notSent("connect to "+t.cfg.Server, err)
		}
		return nil, err
	}
	t.cfg.Logger.InfoContext(ctx, "connected", "server", t.cfg.Server, "nick", c.nick, "channel", t.cfg.Channel)
	return c, nil
}

// wanted are the capabilities that are asked for where they are offered. An
// order is prescribed nowhere, but labeled-response needs batch.
func wanted() []string {
	return []string{"batch", "message-tags", "echo-message", "labeled-response", "server-time"}
}

// register is what the protocol calls it: negotiate capabilities, log in, and be
// welcomed under a name.
func (t *Target) register(ctx context.Context, c *conn) error {
	errs := errors.Join(
		c.send("", "CAP", "LS", "302"),
		c.send("", "NICK", c.nick),
		c.send("", "USER", user(t.cfg.Nick), "0", "*", t.cfg.Name),
	)
	if errs != nil {
		return errs
	}
	offered := map[string]string{}
	loggedIn := false
	for {
		m, err := c.next(ctx)
		if err != nil {
			return err
		}
		switch m.Command {
		case "CAP":
			more, err := t.negotiate(ctx, c, m, offered)
			if err != nil {
				return err
			}
			loggedIn = loggedIn || more
		case "432", "433", "436", "437": // erroneous, in use, collision, unavailable
			if err := t.otherNick(c, m); err != nil {
				return err
			}
		case "001": // RPL_WELCOME
			if len(m.Params) > 0 {
				c.nick = m.Params[0]
			}
			if t.cfg.Account != "" && !loggedIn {
				return t.identify(ctx, c)
			}
			return nil
		case "464", "465": // ERR_PASSWDMISMATCH, ERR_YOUREBANNEDCREEP
			return refused("%s does not let us in: %q", t.cfg.Server, text(m))
		}
	}
}

// user makes a user name of a nick: letters and digits, ten at most.
func user(nick string) string {
	name := strings.Map(func(r rune) rune {
		if r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, nick)
	if name == "" {
		name = "site"
	}
	return name[:min(len(name), 10)]
}

// otherNick tries one that nobody has.
func (t *Target) otherNick(c *conn, m ircmsg.Message) error {
	if m.Command == "432" || len(c.nick) >= len(t.cfg.Nick)+2 {
		return refused("the nick %q cannot be had on %s: %q", c.nick, t.cfg.Server, text(m))
	}
	c.nick += "_"
	return c.send("", "NICK", c.nick)
}

// negotiate answers to a line about capabilities. It reports whether we are
// logged in.
func (t *Target) negotiate(ctx context.Context, c *conn, m ircmsg.Message, offered map[string]string) (loggedIn bool, err error) {
	if len(m.Params) < 3 {
		return false, nil
	}
	list := m.Params[len(m.Params)-1]
	switch strings.ToUpper(m.Params[1]) {
	case "LS":
		for word := range strings.FieldsSeq(list) {
			name, value, _ := strings.Cut(word, "=")
			offered[name] = value
		}
		if len(m.Params) > 3 { // "*": more lines follow
			return false, nil
		}
		ask := t.ask(offered)
		if len(ask) == 0 {
			return false, c.send("", "CAP", "END")
		}
		return false, c.send("", "CAP", "REQ", strings.Join(ask, " "))
	case "ACK":
		for word := range strings.FieldsSeq(list) {
			c.has[word] = true
		}
		if c.has["sasl"] {
			if err := t.authenticate(ctx, c); err != nil {
				return false, err
			}
		}
		return c.has["sasl"], c.send("", "CAP", "END")
	case "NAK":
		return false, c.send("", "CAP", "END")
	}
	return false, nil
}

// ask returns what is asked for of what is offered.
func (t *Target) ask(offered map[string]string) []string {
	ask := slices.DeleteFunc(wanted(), func(name string) bool { _, ok := offered[name]; return !ok })
	mechanisms, ok := offered["sasl"]
	if m := t.mechanism(); ok && m != "" && (mechanisms == "" || slices.Contains(strings.Split(mechanisms, ","), m)) {
		ask = append(ask, "sasl")
	}
	return ask
}

// mechanism is how we prove who we are, or "" if we are nobody in particular.
func (t *Target) mechanism() string {
	switch {
	case t.cfg.Account != "":
		return "PLAIN"
	case t.cfg.TLS != nil && !t.cfg.Insecure && (len(t.cfg.TLS.Certificates) > 0 || t.cfg.TLS.GetClientCertificate != nil):
		return "EXTERNAL"
	}
	return ""
}

// authenticate logs in, https://ircv3.net/specs/extensions/sasl-3.1.
func (t *Target) authenticate(ctx context.Context, c *conn) error {
	if err := c.send("", "AUTHENTICATE", t.mechanism()); err != nil {
		return err
	}
	for {
		m, err := c.next(ctx)
		if err != nil {
			return err
		}
		switch m.Command {
		case "AUTHENTICATE":
			if err := t.prove(c); err != nil {
				return err
			}
		case "903", "907": // RPL_SASLSUCCESS, ERR_SASLALREADY
			return nil
		case "902", "904", "905", "906", "908":
			return refused("%s does not accept the account or its password: %q", t.cfg.Server, text(m))
		}
	}
}

// prove sends the proof in parts of 400 bytes, the last one of which is shorter.
func (t *Target) prove(c *conn) error {
	if t.mechanism() == "EXTERNAL" {
		return c.send("", "AUTHENTICATE", "+")
	}
	const part = 400
	account, password := t.cfg.Account, t.cfg.Password.Reveal()
	rest := base64.StdEncoding.EncodeToString([]byte(account + "\x00" + account + "\x00" + password))
	for {
		chunk := rest[:min(len(rest), part)]
		rest = rest[len(chunk):]
		if chunk == "" {
			chunk = "+"
		}
		if err := c.send("", "AUTHENTICATE", chunk); err != nil {
			return err
		}
		if len(chunk) < part {
			return nil
		}
	}
}

// identify logs in by way of NickServ, where there is no SASL.
func (t *Target) identify(ctx context.Context, c *conn) error {
	if !t.cfg.NickServ {
		return refused("%s offers no SASL PLAIN: set NickServ, or leave out the account", t.cfg.Server)
	}
	if err := c.send("", "PRIVMSG", "NickServ", "IDENTIFY "+t.cfg.Account+" "+t.cfg.Password.Reveal()); err != nil {
		return err
	}
	const patience = 10 * time.Second
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		m, err := c.next(waiting)
		if err != nil && ctx.Err() == nil && waiting.Err() != nil {
			return nil // it has its own way to say yes; the channel will tell
		}
		if err != nil {
			return err
		}
		switch {
		case m.Command == "900": // RPL_LOGGEDIN
			return nil
		case m.Command == "401" || m.Command == "NOTICE" && strings.Contains(strings.ToLower(text(m)), "invalid password"):
			return refused("NickServ on %s: %q", t.cfg.Server, text(m))
		}
	}
}

// join enters the channel, and returns when we are in it.
func (t *Target) join(ctx context.Context, c *conn) error {
	params := []string{t.cfg.Channel}
	if t.cfg.ChannelKey != "" {
		params = append(params, t.cfg.ChannelKey.Reveal())
	}
	if err := c.send("", "JOIN", params...); err != nil {
		return err
	}
	for {
		m, err := c.next(ctx)
		if err != nil {
			return err
		}
		switch m.Command {
		case "JOIN":
			if who, err := m.NUH(); err == nil && who.Name == c.nick {
				return nil
			}
		case "403", "405", "407", "471", "473", "474", "475", "476", "477", "437":
			return refused("we cannot join %s on %s: %q", t.cfg.Channel, t.cfg.Server, text(m))
		}
	}
}

// say sends a message to the channel, and returns when the server has it, with
// the id that it gave, and whether it was cut.
func (c *conn) say(ctx context.Context, channel, message, label string) (id string, cut bool, err error) {
	echoes := c.has["echo-message"]
	if !c.has["labeled-response"] || !echoes {
		label = ""
	}
	token := rand.Text()
	err = c.send(label, "PRIVMSG", channel, message)
	if !echoes { // each command counts where floods are held back
		err = errors.Join(err, c.send("", "PING", token))
	}
	if err != nil {
		return "", false, fmt.Errorf("irc: send: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	for {
		m, err := c.next(ctx)
		if err != nil {
			return "", false, fmt.Errorf("irc: the server has not said whether it has the message: %w", err)
		}
		_, labeled := m.GetTag("label")
		switch {
		case echoes && m.Command == "PRIVMSG" && c.isEcho(m, channel, message, label):
			_, id = m.GetTag("msgid")
			return id, len(m.Params[len(m.Params)-1]) < len(message), nil
		case isRefusal(m, channel) && (label == "" || labeled == label):
			return "", false, refused("the channel %s does not take the message: %q", channel, text(m))
		case !echoes && c.isPong(m, token):
			return "", false, nil
		}
	}
}

// proofTimeout is how long a server may hold a message back. Some do for half a
// minute with who has written a lot before.
const proofTimeout = 45 * time.Second

// isEcho reports whether a line is our message as the channel sees it.
func (c *conn) isEcho(m ircmsg.Message, channel, message, label string) bool {
	if label != "" {
		_, got := m.GetTag("label")
		return got == label && len(m.Params) == 2
	}
	who, err := m.NUH()
	return err == nil && who.Name == c.nick && len(m.Params) == 2 && strings.EqualFold(m.Params[0], channel) &&
		m.Params[1] != "" && strings.HasPrefix(message, m.Params[1])
}

// isRefusal reports whether a line says that the channel does not take a
// message: ERR_NOSUCHNICK, NOSUCHCHANNEL, CANNOTSENDTOCHAN, TOOMANYTARGETS,
// NORECIPIENT, NOTEXTTOSEND, INPUTTOOLONG, NOTONCHANNEL, or a standard reply.
func isRefusal(m ircmsg.Message, channel string) bool {
	switch m.Command {
	case "401", "403", "404", "407", "411", "412", "417", "442":
		return len(m.Params) < 3 || strings.EqualFold(m.Params[1], channel)
	case "FAIL":
		return len(m.Params) > 0 && m.Params[0] == "PRIVMSG"
	}
	return false
}
