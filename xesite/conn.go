// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"io"
	"net"
	"sync"
	"time"
)

// bufferSize is that of the buffer between net/http and a connection. Of an
// answer that is longer, header included, it writes so many bytes, and the
// rest by another system call, which costs about as much as everything else
// about a request. A write of this size is therefore held back until the rest
// comes.
const bufferSize = 4096

// holdFor is how long a write is held back if no rest comes: somebody has
// flushed when the buffer was just full.
const holdFor = 2 * time.Millisecond

// joiningListener makes connections that join the parts of an answer.
type joiningListener struct{ net.Listener }

// Accept implements [net.Listener].
func (l joiningListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
		return &joiningConn{TCPConn: tcp}, nil
	}
	return conn, err
}

// joiningConn writes the parts of an answer by one system call.
type joiningConn struct {
	*net.TCPConn

	mu    sync.Mutex  // guards what follows, and the order of writes
	held  *[]byte     // out of heldBuffers
	timer *time.Timer // ends the holding; made at the first need
	parts net.Buffers // what a write consists of; a field, or it would be allocated
	pair  [2][]byte   // behind parts
}

// heldBuffers are used again: an idle connection needs none.
var heldBuffers = sync.Pool{New: func() any { return new(make([]byte, bufferSize)) }}

// Write implements [net.Conn].
func (c *joiningConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.held != nil:
		n, err := c.send(p)
		return max(n-bufferSize, 0), err
	case len(p) == bufferSize:
		c.hold(p)
		return len(p), nil
	}
	return c.TCPConn.Write(p)
}

// hold keeps p for the next write. The caller holds mu.
func (c *joiningConn) hold(p []byte) {
	c.held = heldBuffers.Get().(*[]byte)
	copy(*c.held, p)
	if c.timer == nil {
		c.timer = time.AfterFunc(holdFor, func() { c.flush() })
	} else {
		c.timer.Reset(holdFor)
	}
}

// send writes what is held, and more if there is more. The caller holds mu.
func (c *joiningConn) send(more []byte) (int, error) {
	c.timer.Stop()
	c.pair = [2][]byte{*c.held, more}
	c.parts = c.pair[:]
	n, err := c.parts.WriteTo(c.TCPConn)
	heldBuffers.Put(c.held)
	c.held, c.parts, c.pair = nil, nil, [2][]byte{}
	return int(n), err
}

// flush writes what is held.
func (c *joiningConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		return nil
	}
	_, err := c.send(nil)
	return err
}

// Read implements [net.Conn]. Who reads has written all that it had.
func (c *joiningConn) Read(p []byte) (int, error) {
	c.flush() // an error shows at the next write, as it would have
	return c.TCPConn.Read(p)
}

// ReadFrom implements [io.ReaderFrom], by sendfile where there is a file.
func (c *joiningConn) ReadFrom(r io.Reader) (int64, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.TCPConn.ReadFrom(r)
}

// CloseWrite ends the sending side, after what is held.
func (c *joiningConn) CloseWrite() error {
	c.flush()
	return c.TCPConn.CloseWrite()
}

// Close implements [net.Conn].
func (c *joiningConn) Close() error {
	// Only if that can be done at once: a client that reads nothing must not
	// keep its connection open.
	if c.mu.TryLock() {
		if c.held != nil {
			c.SetWriteDeadline(time.Now().Add(holdFor))
			c.send(nil)
		}
		c.mu.Unlock()
	}
	return c.TCPConn.Close()
}
