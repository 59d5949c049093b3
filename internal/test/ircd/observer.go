// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package ircd

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
)

// Observer is a client that sits in a channel and writes down what is said. It
// knows just enough of the protocol, and nothing from other packages.
type Observer struct {
	conn net.Conn

	mu    sync.Mutex
	lines []string // guarded by mu; all that came
	texts []string // guarded by mu; what was said
}

// Observe joins a channel, and returns when that is done.
func (s *Server) Observe(t testing.TB, channel string) *Observer {
	t.Helper()
	o := s.Client(t, fmt.Sprintf("obs%d", time.Now().UnixNano()%1e6))
	o.Say("JOIN " + channel)
	o.WaitFor(t, " 366 ") // the end of the names
	return o
}

// Client connects with a nick, and returns when the server has welcomed it.
func (s *Server) Client(t testing.TB, nick string) *Observer {
	t.Helper()
	conn, err := net.Dial("tcp", s.Plain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	o := &Observer{conn: conn}
	go o.read()
	o.Say("NICK " + nick)
	o.Say("USER " + nick + " 0 * :observer")
	o.WaitFor(t, " 001 ")
	return o
}

// Register makes an account by the way of NickServ.
func (s *Server) Register(t testing.TB, account, password string) {
	t.Helper()
	o := s.Client(t, account)
	o.Say("PRIVMSG NickServ :REGISTER " + password + " test@example.com")
	o.WaitFor(t, "is now registered")
	o.Say("QUIT")
}

// Say sends a line.
func (o *Observer) Say(line string) { fmt.Fprintf(o.conn, "%s\r\n", line) }

// WaitFor waits until a line has come that has a part.
func (o *Observer) WaitFor(t testing.TB, part string) {
	t.Helper()
	wait.Until(t, "the server says "+part, func() bool {
		return slices.ContainsFunc(o.Lines(), func(line string) bool { return strings.Contains(line, part) })
	})
}

// Lines returns all that came so far.
func (o *Observer) Lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.lines)
}

// Texts returns what was said in the channel so far.
func (o *Observer) Texts() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.texts)
}

func (o *Observer) read() {
	lines := bufio.NewScanner(o.conn)
	for lines.Scan() {
		line := lines.Text()
		if token, ok := strings.CutPrefix(line, "PING "); ok {
			o.Say("PONG " + token)
			continue
		}
		o.mu.Lock()
		o.lines = append(o.lines, line)
		if _, said, ok := strings.Cut(line, " PRIVMSG #"); ok {
			_, text, _ := strings.Cut(said, " :")
			o.texts = append(o.texts, text)
		}
		o.mu.Unlock()
	}
}
