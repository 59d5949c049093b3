// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package irc

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/ergochat/irc-go/ircmsg"
)

// conn is a connection on which we are somebody. One goroutine at a time uses it;
// another one reads.
type conn struct {
	net.Conn
	lines chan ircmsg.Message // closed when the connection has ended
	why   error               // why it has ended; to be read after lines was closed
	nick  string
	has   map[string]bool // capabilities that are switched on

	writing sync.Mutex // guards writes: answers to pings come from the reader
}

const (
	// maxLine is how long a line may be: tags of 8191 bytes and a message of
	// 512 (https://ircv3.net/specs/extensions/message-tags).
	maxLine = 8191 + 512 + 2
	// backlog is how many lines wait for somebody who reads them. If nobody
	// does, for days, the oldest have to go.
	backlog = 256
	// writeTimeout is for a server that does not read.
	writeTimeout = 20 * time.Second
	// quitTimeout is how long a server may take to say goodbye.
	quitTimeout = 3 * time.Second
)

// dial connects.
func (t *Target) dial(ctx context.Context) (*conn, error) {
	raw, err := t.cfg.Dial(ctx, "tcp", t.cfg.Server)
	if err != nil {
		return nil, notSent("connect", err)
	}
	if !t.cfg.Insecure {
		cfg := &tls.Config{}
		if t.cfg.TLS != nil {
			cfg = t.cfg.TLS.Clone()
		}
		if cfg.ServerName == "" {
			cfg.ServerName = t.host
		}
		secure := tls.Client(raw, cfg)
		if err := handshake(ctx, secure, t.cfg.Server); err != nil {
			raw.Close()
			return nil, err
		}
		raw = secure
	}
	c := &conn{Conn: raw, lines: make(chan ircmsg.Message, backlog), nick: t.cfg.Nick, has: map[string]bool{}}
	go c.read()
	return c, nil
}

// handshake begins TLS. Servers without it say something else, or nothing.
func handshake(ctx context.Context, secure *tls.Conn, server string) error {
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := secure.HandshakeContext(ctx)
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return refused("%s does not speak TLS: use its port for TLS, usually 6697", server)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w; is it the port for TLS, usually 6697?", err)
	}
	return notSent("connect with TLS", err)
}

// read passes lines on and answers pings, until the connection ends.
func (c *conn) read() {
	defer close(c.lines)
	in := bufio.NewReaderSize(c.Conn, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = fmt.Errorf("the server sent a line of more than %d bytes", maxLine)
		}
		if err != nil {
			if c.why == nil { // unless the server has said why
				c.why = err
			}
			c.Conn.Close()
			return
		}
		m, err := ircmsg.ParseLine(strings.TrimRight(string(line), "\r\n"))
		if err != nil {
			continue // empty, or nothing that we would understand
		}
		switch m.Command {
		case "PING":
			c.send("", "PONG", m.Params...)
			continue
		case "ERROR":
			c.why = fmt.Errorf("the server closed the connection: %q", text(m))
		}
		c.pass(m)
	}
}

// pass hands a line over. While nobody reads the oldest ones make room.
func (c *conn) pass(m ircmsg.Message) {
	for {
		select {
		case c.lines <- m:
			return
		default:
		}
		select {
		case <-c.lines:
		default:
		}
	}
}

// text is the last parameter of a message, for errors.
func text(m ircmsg.Message) string {
	if len(m.Params) == 0 {
		return m.Command
	}
	s := m.Params[len(m.Params)-1]
	const most = 200
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// send writes a command, with a label if there is one.
func (c *conn) send(label, command string, params ...string) error {
	var tags map[string]string
	if label != "" {
		tags = map[string]string{"label": label}
	}
	m := ircmsg.MakeMessage(tags, "", command, params...)
	line, err := m.LineBytes()
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err = c.Write(line)
	return err
}

// next returns the next line.
func (c *conn) next(ctx context.Context) (ircmsg.Message, error) {
	select {
	case m, ok := <-c.lines:
		if !ok {
			return ircmsg.Message{}, c.why
		}
		return m, nil
	case <-ctx.Done():
		return ircmsg.Message{}, ctx.Err()
	}
}

// ping returns nil if the server answers.
func (c *conn) ping(ctx context.Context) error {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	token := rand.Text()
	if err := c.send("", "PING", token); err != nil {
		return err
	}
	for {
		m, err := c.next(ctx)
		if err != nil {
			return err
		}
		if c.isPong(m, token) {
			return nil
		}
	}
}

// isPong reports whether a line answers our ping. Servers put their name before
// the token.
func (c *conn) isPong(m ircmsg.Message, token string) bool {
	return m.Command == "PONG" && len(m.Params) > 0 && m.Params[len(m.Params)-1] == token
}

// quit says goodbye and waits for the server to close, so that nothing of what
// was said is lost on the way.
func (c *conn) quit() {
	defer c.close()
	ctx, cancel := context.WithTimeout(context.Background(), quitTimeout)
	defer cancel()
	if c.send("", "QUIT") != nil {
		return
	}
	for {
		if _, err := c.next(ctx); err != nil {
			return
		}
	}
}

// close ends the connection, and returns when the reader has ended.
func (c *conn) close() {
	c.Conn.Close()
	for range c.lines { // until it is closed
	}
}
