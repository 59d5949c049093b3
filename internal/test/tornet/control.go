// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package tornet

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Control is a connection to the control socket of a tor. Its methods can be
// called concurrently.
type Control struct {
	conn    net.Conn
	replies chan reply // closed when the connection is

	commands sync.Mutex // held while a command waits for its reply

	mu     sync.Mutex // guards events and more
	events []string
	more   chan struct{} // closed, and made anew, when there are more
}

// reply is what tor says to one command, or one event.
type reply struct {
	code  string
	lines []string // without code; of a data block, the line that opens it, then the block
}

// patience is how long one command may take.
const patience = 60 * time.Second

// dialControl connects to the control socket in a data directory, and proves
// with the cookie there that it may.
func dialControl(dir string) (*Control, error) {
	cookie, err := os.ReadFile(filepath.Join(dir, "control_auth_cookie"))
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("unix", filepath.Join(dir, "control"))
	if err != nil {
		return nil, err
	}
	c := &Control{conn: conn, replies: make(chan reply), more: make(chan struct{})}
	go c.read()
	if _, err := c.Command("AUTHENTICATE " + hex.EncodeToString(cookie)); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// close ends the connection and its goroutine.
func (c *Control) close() {
	c.conn.Close()
	for range c.replies { // until the goroutine has ended
	}
}

func (c *Control) read() {
	defer close(c.replies)
	for lines := bufio.NewReader(c.conn); ; {
		r, err := readReply(lines)
		switch {
		case err != nil:
			return
		case r.code == "650":
			c.mu.Lock()
			c.events = append(c.events, strings.Join(r.lines, "\n"))
			close(c.more)
			c.more = make(chan struct{})
			c.mu.Unlock()
		default:
			c.replies <- r
		}
	}
}

// readReply reads one reply: lines of "250-text" or "250+text" with a data block,
// and one of "250 text" at the end (control-spec, section 2.3).
func readReply(r *bufio.Reader) (reply, error) {
	var whole reply
	for {
		line, err := readLine(r)
		if err != nil {
			return whole, err
		}
		if len(line) < 4 {
			return whole, fmt.Errorf("tor says %q, which is no reply", line)
		}
		whole.code = line[:3]
		text := line[4:]
		if line[3] == '+' {
			block, err := readBlock(r)
			if err != nil {
				return whole, err
			}
			text += "\n" + block
		}
		whole.lines = append(whole.lines, text)
		if line[3] == ' ' {
			return whole, nil
		}
	}
}

func readBlock(r *bufio.Reader) (string, error) {
	var block strings.Builder
	for {
		line, err := readLine(r)
		if err != nil || line == "." {
			return block.String(), err
		}
		block.WriteString(strings.TrimPrefix(line, ".") + "\n")
	}
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// Command sends one line and returns the lines of the reply, without their codes.
// A data block follows the line that opens it, after a newline. A reply other than
// 2xx is an error that has code and text.
func (c *Control) Command(line string) ([]string, error) {
	c.commands.Lock()
	defer c.commands.Unlock()
	verb, _, _ := strings.Cut(line, " ")
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", line); err != nil {
		return nil, fmt.Errorf("%s: %w", verb, err)
	}
	select {
	case r, ok := <-c.replies:
		if !ok {
			return nil, fmt.Errorf("%s: %w", verb, errors.New("tor has closed the connection"))
		}
		if r.code[0] != '2' {
			return nil, fmt.Errorf("%s: tor says %s %s", verb, r.code, strings.Join(r.lines, "\n"))
		}
		return r.lines, nil
	case <-time.After(patience):
		c.conn.Close() // a reply that came now would be taken for that of the next command
		return nil, fmt.Errorf("%s: no reply within %v", verb, patience)
	}
}

// Must is Command for what has to succeed.
func (c *Control) Must(t testing.TB, line string) []string {
	t.Helper()
	lines, err := c.Command(line)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// Info returns the value that GETINFO has for a key.
func (c *Control) Info(key string) (string, error) {
	lines, err := c.Command("GETINFO " + key)
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(strings.TrimPrefix(lines[0], key+"="), "\n"), nil
}

// Event waits for an event that ok says yes to, among those that came since the
// last one that Event returned, and ends the test if none comes within two minutes.
// Events have to be asked for with SETEVENTS first. They come without code:
// "HS_DESC UPLOADED …".
func (c *Control) Event(t testing.TB, what string, ok func(event string) bool) string {
	t.Helper()
	deadline := time.After(2 * patience)
	for seen := 0; ; {
		c.mu.Lock()
		for ; seen < len(c.events); seen++ {
			if event := c.events[seen]; ok(event) {
				c.events = c.events[seen+1:]
				c.mu.Unlock()
				return event
			}
		}
		more := c.more
		c.mu.Unlock()
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("no event tells that %s", what)
		}
	}
}
