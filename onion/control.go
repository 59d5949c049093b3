// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"

	"github.com/cretz/bine/control"
)

// controlConn is a connection to tor's control port:
// https://spec.torproject.org/control-spec/. bine reads and authenticates. Who
// gets what was read is decided here: its own dispatcher blocks all readers when
// one listener is slow, or when two ask at the same time.
type controlConn struct {
	conn net.Conn
	bine *control.Conn

	asking  sync.Mutex // held from a command to its reply
	replies chan *control.Response
	done    chan struct{} // closed when nothing more can be read
	err     error         // why; set before done is closed

	mu  sync.Mutex // guards why
	why error      // it was us who closed it; nil: it was not
}

// errHungUp: it was tor that has closed the connection, most likely because it ends.
var errHungUp = fmt.Errorf("%w: it was closed", ErrControlLost)

// dialControl connects to tor and authenticates. onEvent is called for each event
// with its text, on the goroutine that reads: it must neither block nor ask.
func dialControl(ctx context.Context, network, address, password string, onEvent func(string)) (*controlConn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrControlLost, err)
	}
	c, err := openControl(ctx, conn, password, onEvent)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func openControl(ctx context.Context, conn net.Conn, password string, onEvent func(string)) (*controlConn, error) {
	c := &controlConn{
		conn: conn, bine: control.NewConn(textproto.NewConn(conn)),
		replies: make(chan *control.Response, 1), done: make(chan struct{}),
	}
	unwatch := context.AfterFunc(ctx, func() { conn.Close() })
	err := c.authenticate(password)
	if !unwatch() {
		return nil, fmt.Errorf("%w: it did not authenticate us: %w", ErrUnresponsive, context.Cause(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("onion: tor does not authenticate us: %w; its cookie has to be readable, or a password given", err)
	}
	go c.read(onEvent)
	return c, nil
}

// authenticate proves that we may. bine does not go on to the password where there
// is a cookie that it cannot read.
func (c *controlConn) authenticate(password string) error {
	err := c.bine.Authenticate(password)
	if err == nil || password == "" {
		return err
	}
	if _, again := c.bine.SendRequest("AUTHENTICATE %s", hex.EncodeToString([]byte(password))); again != nil {
		return err
	}
	return nil
}

// hangUp closes the connection for a reason that is ours.
func (c *controlConn) hangUp(why error) {
	c.mu.Lock()
	if c.why == nil {
		c.why = why
	}
	c.mu.Unlock()
	c.conn.Close()
}

func (c *controlConn) ownReason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// read hands out what tor sends until the connection ends.
func (c *controlConn) read(onEvent func(string)) {
	defer close(c.done)
	defer c.conn.Close()
	defer func() {
		if why := c.ownReason(); why != nil {
			c.err = fmt.Errorf("%w: %w", ErrControlLost, why)
		}
	}()
	for {
		resp, err := c.bine.ReadResponse()
		switch {
		case err == io.EOF:
			c.err = errHungUp
			return
		case err != nil:
			c.err = fmt.Errorf("%w: %w", ErrControlLost, err)
			return
		case resp.IsAsync():
			onEvent(resp.Reply)
			continue
		}
		select {
		case c.replies <- resp:
		default:
			c.err = fmt.Errorf("%w: it sent a reply to nothing", ErrControlLost)
			return
		}
	}
}

// Close ends the connection, and what waits for it.
func (c *controlConn) Close() {
	c.conn.Close()
	<-c.done
}

// ask sends a command and returns the lines of the reply. A connection whose
// reply was not waited for is closed, since the next one would get it.
func (c *controlConn) ask(ctx context.Context, command string) ([]string, error) {
	if strings.ContainsAny(command, "\r\n\x00") {
		return nil, fmt.Errorf("onion: a command to tor has a line break in it")
	}
	c.asking.Lock()
	defer c.asking.Unlock()
	defer context.AfterFunc(ctx, func() { c.hangUp(fmt.Errorf("%w: %w", ErrUnresponsive, context.Cause(ctx))) })()
	if _, err := io.WriteString(c.conn, command+"\r\n"); err != nil {
		c.conn.Close()
	}
	select {
	case resp := <-c.replies:
		return reply(command, resp)
	case <-c.done:
	}
	select {
	case resp := <-c.replies: // the last words
		return reply(command, resp)
	default:
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnresponsive, context.Cause(ctx))
	}
	return nil, c.err
}

// reply returns the lines of a reply, or the error that it is. Of the command only
// its name is told: keys are in the rest.
func reply(command string, resp *control.Response) ([]string, error) {
	if resp.Err.Code/100 != 2 {
		name, _, _ := strings.Cut(command, " ")
		return nil, fmt.Errorf("onion: tor refuses %s: %w", name, resp.Err)
	}
	return append(resp.Data, resp.Reply), nil
}

// quoted writes a string as the control protocol, and torrc, have it.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
