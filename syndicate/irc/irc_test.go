// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package irc_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/ircd"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/irc"
	"xeiaso.net/site/xesite/state"
)

const password = "correct-horse-battery"

// target returns one for a server without TLS, with no pauses.
func target(t *testing.T, cfg irc.Config) *irc.Target {
	t.Helper()
	if cfg.Nick == "" {
		cfg.Nick = "blog"
	}
	cfg.Channel = "#blog"
	cfg.Pace = time.Millisecond
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	target, err := irc.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// send composes and sends a post with a title.
func send(t *testing.T, target *irc.Target, title string) (syndicate.Receipt, error) {
	t.Helper()
	link := "https://me.example/post?a=1&b=2#c"
	body, err := target.Compose(t.Context(), syndicate.Message{Post: syndicate.Post{ID: title}, Text: title + " :: " + link, Link: link})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return target.Send(ctx, syndicate.Attempt{ID: title, Key: strings.Repeat("0123abcd", 4), Number: 1, Body: body})
}

func known(err error) syndicate.Error {
	if e, ok := errors.AsType[*syndicate.Error](err); ok {
		return *e
	}
	return syndicate.Error{}
}

func TestMessagesAreProvedByTheirEcho(t *testing.T) {
	server := ircd.InspIRCd(t, ircd.Options{Services: true})
	server.Register(t, "blog", password)
	seen := server.Observe(t, "#blog")
	tgt := target(t, irc.Config{Server: server.TLS, TLS: &tls.Config{RootCAs: server.Roots()}, Account: "blog", Password: password})
	for _, title := range []string{"Hello", "Grüße aus 東京 👩‍👩‍👧‍👦", strings.Repeat("very ", 300) + "long"} {
		r, err := send(t, tgt, title)
		if err != nil {
			t.Fatalf("%.20q: %v", title, err)
		}
		// InspIRCd's ids look like this; our own label would have a dash.
		if !strings.Contains(r.ID, "~") {
			t.Errorf("receipt %+v has no id of the server's", r)
		}
	}
	wait.Until(t, "the channel has three messages", func() bool { return len(seen.Texts()) == 3 })
	for _, text := range seen.Texts() {
		if !strings.HasSuffix(text, " :: https://me.example/post?a=1&b=2#c") {
			t.Errorf("the channel saw %q", text)
		}
	}
}

// recorded is a connection that writes down what goes over it.
type recorded struct {
	net.Conn
	out *wait.Buffer
}

func (r recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.note("< ", p[:n])
	return n, err
}

func (r recorded) Write(p []byte) (int, error) {
	r.note("> ", p)
	return r.Conn.Write(p)
}

func (r recorded) note(direction string, p []byte) {
	for line := range strings.Lines(string(p)) {
		fmt.Fprintf(r.out, "%s%s\n", direction, strings.TrimRight(line, "\r\n"))
	}
}

// The transcript shows with -v: what a real server and its services say.
func TestAnAccountLogsInBySASL(t *testing.T) {
	server := ircd.InspIRCd(t, ircd.Options{Services: true})
	server.Register(t, "blog", password)
	seen := server.Observe(t, "#blog")
	transcript := new(wait.Buffer)
	tgt := target(t, irc.Config{
		Server: server.Plain, Insecure: true, Account: "blog", Password: password,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return recorded{c, transcript}, err
		},
	})
	if _, err := send(t, tgt, "Hello"); err != nil {
		t.Fatal(err)
	}
	seen.WaitFor(t, "Hello ::")
	t.Log(transcript)
	for _, want := range []string{"> AUTHENTICATE PLAIN", "AUTHENTICATE ", " 900 ", " 903 ", "> CAP END", "> @label=", ";label=", "msgid="} {
		if !strings.Contains(transcript.String(), want) {
			t.Errorf("the transcript has no %q", want)
		}
	}
}

func TestACertificateLogsIn(t *testing.T) {
	server := ircd.InspIRCd(t, ircd.Options{Services: true})
	mine := ircd.NewCertificate(t)
	owner := server.Client(t, "blog")
	owner.Say("PRIVMSG NickServ :REGISTER " + password + " test@example.com")
	owner.WaitFor(t, "is now registered")
	owner.Say(fmt.Sprintf("PRIVMSG NickServ :CERT ADD %x", sha256.Sum256(mine.Certificate[0])))
	owner.WaitFor(t, "Added fingerprint")
	// Only those with an account may join.
	owner.Say("JOIN #blog")
	owner.Say("MODE #blog +R")
	owner.WaitFor(t, "+R")
	_, err := send(t, target(t, irc.Config{Nick: "other", Server: server.TLS, TLS: &tls.Config{RootCAs: server.Roots()}}), "refused")
	if e := known(err); !e.Refused || !e.NotSent {
		t.Errorf("without an account: %v, want it refused", err)
	}
	tgt := target(t, irc.Config{Nick: "other", Server: server.TLS, TLS: &tls.Config{RootCAs: server.Roots(), Certificates: []tls.Certificate{mine}}})
	if _, err := send(t, tgt, "Hello"); err != nil {
		t.Error(err)
	}
	owner.WaitFor(t, "PRIVMSG #blog :Hello ::")
}

func TestWithoutSASLNickServIsToldOnlyIfAllowed(t *testing.T) {
	server := ircd.InspIRCd(t, ircd.Options{Services: true, NoSASL: true})
	server.Register(t, "blog", password)
	cfg := irc.Config{Nick: "b", Server: server.TLS, TLS: &tls.Config{RootCAs: server.Roots()}, Account: "blog", Password: password}
	if _, err := send(t, target(t, cfg), "Hello"); !known(err).Refused || !strings.Contains(err.Error(), "NickServ") {
		t.Errorf("Send = %v, want an error that names NickServ", err)
	}
	cfg.NickServ = true
	if _, err := send(t, target(t, cfg), "Hello"); err != nil {
		t.Error(err)
	}
	cfg.Password = "wrong"
	if _, err := send(t, target(t, cfg), "Hello"); !known(err).Refused || !known(err).Everything {
		t.Errorf("with a wrong password: %v, want it refused", err)
	}
}

func TestPoorServersProveByTheAnswerToAPing(t *testing.T) {
	for name, server := range map[string]*ircd.Server{"ngircd": ircd.Ngircd(t), "inspircd": ircd.InspIRCd(t, ircd.Options{Poor: true})} {
		seen := server.Observe(t, "#blog")
		tgt := target(t, irc.Config{Server: server.Plain, Insecure: true})
		if _, err := send(t, tgt, "Hello"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		seen.WaitFor(t, "PRIVMSG #blog :Hello ::")
		// The channel does not take everything.
		seen.Say("MODE #blog +m")
		seen.WaitFor(t, "+m")
		_, err := send(t, tgt, "Again")
		if e := known(err); !e.NotSent || !e.Refused || !e.Everything {
			t.Errorf("%s: to a moderated channel: %v, want it refused", name, err)
		}
		if n := len(seen.Texts()); n != 1 {
			t.Errorf("%s: %d messages in the channel, want 1", name, n)
		}
	}
}

func TestTheFirstErrorSaysWhatToDo(t *testing.T) {
	server := ircd.InspIRCd(t, ircd.Options{Services: true})
	server.Register(t, "blog", password)
	closed := server.Observe(t, "#blog")
	roots := &tls.Config{RootCAs: server.Roots()}
	for want, cfg := range map[string]irc.Config{
		"does not accept the account": {Server: server.TLS, TLS: roots, Account: "blog", Password: "wrong-" + password},
		"does not speak TLS":          {Server: chatty(t)},
		"certificate":                 {Server: server.TLS},
		"connection refused":          {Server: "127.0.0.1:1", Insecure: true},
	} {
		_, err := send(t, target(t, cfg), "Hello")
		if err == nil || !strings.Contains(err.Error(), want) || !known(err).NotSent || strings.Contains(err.Error(), password) {
			t.Errorf("Send = %v, want an error of NotSent with %q", err, want)
		}
	}
	closed.Say("MODE #blog +k letmein")
	closed.WaitFor(t, "+k")
	if _, err := send(t, target(t, irc.Config{Server: server.Plain, Insecure: true}), "Hello"); err == nil || !strings.Contains(err.Error(), "cannot join #blog") {
		t.Errorf("without the key: %v", err)
	}
	if _, err := send(t, target(t, irc.Config{Server: server.Plain, Insecure: true, ChannelKey: "letmein"}), "Hello"); err != nil {
		t.Errorf("with the key: %v", err)
	}
}

// chatty is a server that speaks first, and no TLS.
func chatty(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, ":plain.test NOTICE * :*** Looking up your hostname...\r\n")
		}
	}()
	return ln.Addr().String()
}

func TestATakenNickIsNoReasonToBeSilent(t *testing.T) {
	server := ircd.InspIRCd(t, ircd.Options{})
	server.Client(t, "blog")
	server.Client(t, "blog_")
	seen := server.Observe(t, "#blog")
	if _, err := send(t, target(t, irc.Config{Server: server.Plain, Insecure: true}), "Hello"); err != nil {
		t.Fatal(err)
	}
	seen.WaitFor(t, ":blog__!")
}

func TestTitlesAreOneLineWhateverIsInThem(t *testing.T) {
	server := ircd.InspIRCd(t, ircd.Options{})
	seen := server.Observe(t, "#blog")
	tgt := target(t, irc.Config{Server: server.Plain, Insecure: true})
	for _, title := range []string{"a\r\nQUIT :bye", "a\x00b", "\x01ACTION x\x01", "\x0304,12red\x0f \x02bold", "line\nline"} {
		if _, err := send(t, tgt, title); err != nil {
			t.Errorf("%q: %v", title, err)
		}
	}
	want := []string{"a QUIT :bye", "ab", "ACTION x", "red bold", "line line"}
	wait.Until(t, "all are there", func() bool { return len(seen.Texts()) == len(want) })
	for i, text := range seen.Texts() {
		if got, _, _ := strings.Cut(text, " :: "); got != want[i] {
			t.Errorf("the channel saw %q, want %q", got, want[i])
		}
	}
}

// cutter is a proxy that cuts connections, by lines of the client.
type cutter struct {
	net.Listener
	upstream string

	mu  sync.Mutex
	cut func(line string) (before, after bool) // guarded by mu
}

func newCutter(t *testing.T, upstream string) *cutter {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: ln, upstream: upstream}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	return c
}

func (c *cutter) set(cut func(line string) (before, after bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	answers := make(chan struct{})
	muted := false // after the cut nothing comes back, and the server finishes what it has
	var mu sync.Mutex
	go func() {
		defer close(answers)
		buf := make([]byte, 4096)
		for {
			n, err := server.Read(buf)
			mu.Lock()
			quiet := muted
			mu.Unlock()
			if err != nil || quiet {
				return
			}
			client.Write(buf[:n])
		}
	}()
	lines := bufio.NewReader(client)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		c.mu.Lock()
		cut := c.cut
		c.mu.Unlock()
		before, after := false, false
		if cut != nil {
			before, after = cut(line)
		}
		if before {
			return
		}
		if after {
			mu.Lock()
			muted = true
			mu.Unlock()
		}
		server.Write([]byte(line))
		if after {
			<-answers // so the server has handled it
			return
		}
	}
}

func TestACutLineIsUnknownAfterTheMessageAndRetriedBefore(t *testing.T) {
	server := ircd.InspIRCd(t, ircd.Options{})
	seen := server.Observe(t, "#blog")
	proxy := newCutter(t, server.Plain)
	for word, wantState := range map[string]syndicate.State{"NICK": syndicate.Confirmed, "JOIN": syndicate.Confirmed, "PRIVMSG": syndicate.Parked} {
		var cut atomic.Bool
		proxy.set(func(line string) (before, after bool) {
			if strings.Contains(line, word) && !cut.Swap(true) {
				return word != "PRIVMSG", word == "PRIVMSG"
			}
			return false, false
		})
		s, err := syndicate.New(syndicate.Config{
			Store: new(state.Mem), Page: syndicate.Page{Off: true}, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond,
			Targets: map[string]syndicate.Destination{"irc": {Target: target(t, irc.Config{Server: proxy.Addr().String(), Insecure: true})}},
			Logger:  slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		p := syndicate.Post{ID: word, URL: "https://me.example/" + word, Title: "about " + word, Published: time.Now()}
		if err := errors.Join(s.Observe(t.Context(), nil), s.Observe(t.Context(), []syndicate.Post{p}), s.Drain(t.Context())); err != nil {
			t.Fatal(err)
		}
		entries, err := s.Entries(t.Context())
		if err != nil || len(entries) != 1 || entries[0].State != wantState {
			t.Errorf("cut at %s: %+v, %v; want it %s", word, entries, err, wantState)
		}
	}
	wait.Until(t, "all are there", func() bool { return len(seen.Texts()) >= 3 })
	texts := seen.Texts()
	slices.Sort(texts)
	if len(slices.Compact(texts)) != 3 || len(seen.Texts()) != 3 {
		t.Errorf("the channel saw %q, want each once", seen.Texts())
	}
}

func TestAConnectionThatStaysIsMadeAgain(t *testing.T) {
	server := ircd.InspIRCd(t, ircd.Options{})
	seen := server.Observe(t, "#blog")
	proxy := newCutter(t, server.Plain)
	tgt := target(t, irc.Config{Server: proxy.Addr().String(), Insecure: true, Stay: true})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- tgt.Run(ctx) }()
	seen.WaitFor(t, " JOIN ")
	if _, err := send(t, tgt, "one"); err != nil {
		t.Error(err)
	}
	proxy.set(func(string) (bool, bool) { return true, false }) // whatever is sent next
	if _, err := send(t, tgt, "lost"); !known(err).NotSent {
		t.Errorf("over a dead connection: %v, want an error of NotSent", err)
	}
	proxy.set(nil)
	if _, err := send(t, tgt, "two"); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
	wait.Until(t, "both are there", func() bool { return len(seen.Texts()) == 2 })
	seen.WaitFor(t, " QUIT ")
}

func TestNoVerbPrintsThePassword(t *testing.T) {
	tgt := target(t, irc.Config{Server: "irc.example", Account: "blog", Password: password, ChannelKey: password})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, tgt); strings.Contains(got, password) || strings.Contains(got, fmt.Sprintf("%x", password)) {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestConfigurationThatCannotBeRight(t *testing.T) {
	for want, cfg := range map[string]irc.Config{
		"set Nick":             {Server: "a", Channel: "#b"},
		"the Nick is":          {Server: "a", Nick: "a b", Channel: "#b"},
		"set Channel":          {Server: "a", Nick: "a"},
		"begins with #":        {Server: "a", Nick: "a", Channel: "b"},
		"a single one":         {Server: "a", Nick: "a", Channel: "#a,#b"},
		"the Server is":        {Nick: "a", Channel: "#b"},
		"Account and Password": {Server: "a", Nick: "a", Channel: "#b", Account: "x"},
		"line break":           {Server: "a", Nick: "a", Channel: "#b", Account: "x", Password: "y\r\nQUIT"},
	} {
		if _, err := irc.New(cfg); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "QUIT") {
			t.Errorf("New = %v, want an error with %q", err, want)
		}
	}
}
