// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package irc

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"xeiaso.net/site/syndicate"
)

// Config says where to announce, and as whom.
type Config struct {
	// Server is host and port. The port may be left out: it is 6697, or 6667
	// with Insecure. Required.
	Server string
	// Insecure connects without TLS: everybody on the way can read the password
	// and change what is said.
	Insecure bool
	// TLS is used for connections. With a certificate of the client's it proves
	// who we are, by SASL EXTERNAL. If nil, it is the one of the system.
	TLS *tls.Config
	// Nick is what we are called. If somebody else is, one with an underscore at
	// the end is tried. Required.
	Nick string
	// Name is the "real name". If empty, it is the nick.
	Name string
	// Channel is where announcements are made. Required.
	Channel string
	// ChannelKey is the password of the channel, if it has one.
	ChannelKey syndicate.Secret
	// Account and Password are for SASL PLAIN. If both are empty, we have no
	// account, or the certificate tells which.
	Account  string
	Password syndicate.Secret
	// NickServ sends account and password to NickServ if the server has no SASL.
	NickServ bool
	// Stay keeps the connection for as long as the target runs.
	Stay bool
	// Linger is how long the connection is kept without Stay. If zero, it is ten
	// seconds.
	Linger time.Duration
	// Pace is the time between messages. If zero, it is two seconds.
	Pace time.Duration
	// Dial connects to an address. If nil, a [net.Dialer] does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger is told of connections. If nil, nobody is.
	Logger *slog.Logger
}

// Target is a [syndicate.Target] that says something in a channel.
type Target struct {
	cfg  Config
	host string

	turn chan struct{} // holds a token: who has it uses conn and the fields below
	conn *conn         // nil: not connected
	said time.Time     // when the last message was sent
	used time.Time     // when the connection was used last
	runs bool          // Run looks after the connection
	news chan struct{} // tells Run that the connection was used
}

// New returns a target. It makes no connection.
func New(cfg Config) (*Target, error) {
	port := "6697"
	if cfg.Insecure {
		port = "6667"
	}
	var errs []error
	host, _, err := net.SplitHostPort(cfg.Server)
	if err != nil {
		host = strings.Trim(cfg.Server, "[]")
		cfg.Server = net.JoinHostPort(host, port)
	}
	if host == "" || strings.ContainsAny(host, "/ ") {
		errs = append(errs, fmt.Errorf("the Server is %q, want a host and a port such as irc.example.org:6697", cfg.Server))
	}
	errs = append(errs, checkWord("Nick", cfg.Nick), checkWord("Channel", cfg.Channel))
	if cfg.Channel != "" && !strings.ContainsAny(cfg.Channel[:1], "#&+!") {
		errs = append(errs, fmt.Errorf("the Channel is %q, want one that begins with #", cfg.Channel))
	}
	if strings.Contains(cfg.Channel, ",") {
		errs = append(errs, fmt.Errorf("the Channel is %q, want a single one", cfg.Channel))
	}
	if (cfg.Account == "") != (cfg.Password == "") {
		errs = append(errs, errors.New("set Account and Password both, or neither"))
	}
	for field, value := range map[string]string{"Name": cfg.Name, "Account": cfg.Account, "Password": cfg.Password.Reveal(), "ChannelKey": cfg.ChannelKey.Reveal()} {
		if strings.ContainsAny(value, "\r\n\x00") {
			errs = append(errs, fmt.Errorf("the %s has a line break or NUL in it", field))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("irc: Config: %w", err)
	}
	cfg.Name = cmp.Or(cfg.Name, cfg.Nick)
	cfg.Linger, cfg.Pace = cmp.Or(cfg.Linger, 10*time.Second), cmp.Or(cfg.Pace, 2*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: 20 * time.Second}).DialContext
	}
	return &Target{cfg: cfg, host: host, turn: make(chan struct{}, 1), news: make(chan struct{}, 1)}, nil
}

// Format writes where it announces, whatever the verb: %+v would show the
// password.
func (t *Target) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "irc.Target(%s on %s)", t.cfg.Channel, t.cfg.Server)
}

// checkWord accepts what stands alone as a parameter of a command.
func checkWord(field, value string) error {
	if value == "" {
		return fmt.Errorf("set %s", field)
	}
	if strings.ContainsAny(value, " \r\n\x00\x07") || value[0] == ':' {
		return fmt.Errorf("the %s is %q, want one without blanks and control characters", field, value)
	}
	return nil
}

// Defaults implements [syndicate.Defaulter]: one line, and no edits.
func (t *Target) Defaults() syndicate.Defaults {
	return syndicate.Defaults{Template: "{{or .Title .Summary}}{{with .Link}} :: {{.}}{{end}}", KeepFirst: true}
}

// body is what is said.
type body struct {
	Channel string `json:"channel"`
	Text    string `json:"text"`
}

// Compose implements [syndicate.Composer].
func (t *Target) Compose(_ context.Context, m syndicate.Message) ([]byte, error) {
	text := syndicate.PlainLine(m.Text)
	if m.ContentWarning != "" {
		text = "[" + syndicate.PlainLine(m.ContentWarning) + "] " + text
	}
	text, err := syndicate.Fit(text, m.Link, syndicate.LineLimit(t.longestPrefix(), t.cfg.Channel))
	if err != nil {
		return nil, &syndicate.Error{Err: fmt.Errorf("irc: %w", err), Refused: true}
	}
	return json.Marshal(body{t.cfg.Channel, text})
}

// longestPrefix is one that is as long as ours can be: the server tells it only
// when we are connected. Hosts have 63 bytes at most on nearly all of them.
func (t *Target) longestPrefix() string {
	const host, user = 63, 11
	return t.cfg.Nick + "__!" + strings.Repeat("x", user) + "@" + strings.Repeat("x", host)
}

// Prepare implements [syndicate.Preparer]: it connects. Without Run nobody would
// keep the connection, and Send makes it.
func (t *Target) Prepare(ctx context.Context) error {
	if err := t.take(ctx); err != nil {
		return err
	}
	defer t.release()
	if !t.runs {
		return nil
	}
	return t.ready(ctx)
}

// Send implements [syndicate.Target].
func (t *Target) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	var b body
	if err := json.Unmarshal(a.Body, &b); err != nil || b.Text != syndicate.PlainLine(b.Text) || b.Text == "" {
		return syndicate.Receipt{}, &syndicate.Error{Err: errors.New("irc: the body is not ours"), NotSent: true, Refused: true}
	}
	if err := t.take(ctx); err != nil {
		return syndicate.Receipt{}, err
	}
	defer t.release()
	if err := t.ready(ctx); err != nil {
		return syndicate.Receipt{}, err
	}
	if err := t.pace(ctx); err != nil {
		return syndicate.Receipt{}, err
	}
	label := fmt.Sprintf("%.20s-%d", a.Key, a.Number)
	id, cut, err := t.conn.say(ctx, t.cfg.Channel, b.Text, label)
	t.said = time.Now()
	if err != nil {
		t.drop() // in whatever state it is
		return syndicate.Receipt{}, err
	}
	if cut { // not by what the protocol says about lengths
		t.cfg.Logger.WarnContext(ctx, "the server has cut an announcement", "server", t.cfg.Server, "text", b.Text)
	}
	return syndicate.Receipt{ID: cmp.Or(id, label)}, nil
}

// take waits for the turn.
func (t *Target) take(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return notSent("wait for the connection", ctx.Err())
	}
}

// release gives the turn away. Without anybody who looks after it, the connection
// ends with it.
func (t *Target) release() {
	t.used = time.Now()
	if t.conn != nil && !t.runs {
		t.quit()
	}
	select {
	case t.news <- struct{}{}:
	default:
	}
	<-t.turn
}

// ready has a connection that is alive and in the channel.
func (t *Target) ready(ctx context.Context) error {
	if t.conn != nil {
		// It may have died long ago, which a message would not tell.
		if t.conn.ping(ctx) == nil {
			return nil
		}
		t.drop()
	}
	c, err := t.connect(ctx)
	if err != nil {
		return err
	}
	t.conn = c
	return nil
}

// pace waits until the next message may be sent.
func (t *Target) pace(ctx context.Context) error {
	rest := t.cfg.Pace - time.Since(t.said)
	if t.said.IsZero() || rest <= 0 {
		return nil
	}
	select {
	case <-time.After(rest):
		return nil
	case <-ctx.Done():
		return notSent("wait for the pause between messages", ctx.Err())
	}
}

// Run implements [syndicate.Runner]: it keeps the connection, or ends it when it
// was not used for a while.
func (t *Target) Run(ctx context.Context) error {
	if err := t.take(ctx); err != nil {
		return err
	}
	t.runs = true
	t.release()
	defer t.leave()
	for failures := 0; ; {
		pause, err := t.keep(ctx)
		if err != nil {
			failures++
			pause = min(5*time.Minute, time.Second<<min(failures, 10))
			t.cfg.Logger.WarnContext(ctx, "not connected", "server", t.cfg.Server, "err", err, "next", time.Now().Add(pause))
		} else {
			failures = 0
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.news:
		case <-time.After(pause):
		}
	}
}

// leave ends the connection in good order.
func (t *Target) leave() {
	t.turn <- struct{}{}
	t.runs = false
	t.release()
}

// keep does what Run has to do now, and returns when it has to look again.
func (t *Target) keep(ctx context.Context) (pause time.Duration, err error) {
	const alive = time.Minute
	if err := t.take(ctx); err != nil {
		return 0, err
	}
	defer func() { <-t.turn }()
	switch {
	case t.cfg.Stay:
		attempt, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return alive, t.ready(attempt)
	case t.conn == nil:
		return time.Hour, nil
	}
	if rest := t.cfg.Linger - time.Since(t.used); rest > 0 {
		return rest, nil
	}
	t.quit()
	return time.Hour, nil
}

// quit says goodbye and ends the connection.
func (t *Target) quit() {
	t.conn.quit()
	t.conn = nil
}

// drop ends the connection without a word.
func (t *Target) drop() {
	if t.conn != nil {
		t.conn.close()
		t.conn = nil
	}
}

// notSent is an error from before anything was said. It concerns every post.
func notSent(what string, err error) error {
	return &syndicate.Error{Err: fmt.Errorf("irc: %s: %w", what, err), NotSent: true, Everything: true}
}

// refused is an error that a person has to mend.
func refused(format string, args ...any) error {
	return &syndicate.Error{Err: fmt.Errorf("irc: "+format, args...), NotSent: true, Refused: true, Everything: true}
}
