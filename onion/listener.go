// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// counters are of one service.
type counters struct {
	streams  atomic.Int64 // open
	received atomic.Uint64
	sent     atomic.Uint64
}

// listener is where tor brings the visitors of one port of a service. It outlives
// every tor: what tor connects to is a socket of ours.
type listener struct {
	inner    net.Listener
	address  Address
	port     int
	circuits bool // each connection begins with a line that names its circuit
	count    *counters

	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	begun sync.Once
	err   error // of the inner listener; set before done is closed
}

func newListener(inner net.Listener, address Address, port int, circuits bool, count *counters) *listener {
	return &listener{
		inner: inner, address: address, port: port, circuits: circuits, count: count,
		conns: make(chan net.Conn), done: make(chan struct{}),
	}
}

// Addr implements [net.Listener]: it is the address that visitors have.
func (l *listener) Addr() net.Addr { return Addr{l.address, l.port} }

// Addr is the address of a listener for one port of a service.
type Addr struct {
	Address Address
	Port    int
}

// Network returns "onion".
func (Addr) Network() string { return "onion" }

// String returns address and port.
func (a Addr) String() string { return net.JoinHostPort(string(a.Address), strconv.Itoa(a.Port)) }

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	if !l.circuits {
		conn, err := l.inner.Accept()
		if err != nil {
			return nil, err
		}
		return l.wrap(conn, 0), nil
	}
	l.begun.Do(func() { go l.acceptAll() })
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, l.err
	}
}

// acceptAll takes connections, whose first line may be slow to come: the others do
// not wait for it.
func (l *listener) acceptAll() {
	for {
		conn, err := l.inner.Accept()
		if errors.Is(err, net.ErrClosed) {
			l.end(err)
			return
		}
		if err != nil { // too many open files: some are closed soon
			select {
			case <-time.After(acceptPause):
			case <-l.done:
				return
			}
			continue
		}
		go func() {
			circuit, err := readCircuit(conn)
			if err != nil {
				conn.Close() // it is not from our tor
				return
			}
			select {
			case l.conns <- l.wrap(conn, circuit):
			case <-l.done:
				conn.Close()
			}
		}()
	}
}

// acceptPause is how long to wait after a connection that could not be taken.
const acceptPause = 100 * time.Millisecond

func (l *listener) end(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.done)
	})
}

// Close implements [net.Listener].
func (l *listener) Close() error {
	err := l.inner.Close()
	l.end(net.ErrClosed)
	return err
}

func (l *listener) wrap(conn net.Conn, circuit uint64) net.Conn {
	l.count.streams.Add(1)
	return &onionConn{Conn: conn, info: Info{l.address, l.port, circuit}, count: l.count}
}

// onionConn is a connection that came over Tor.
type onionConn struct {
	net.Conn
	info   Info
	count  *counters
	closed atomic.Bool
}

// Info tells how the connection came.
func (c *onionConn) Info() Info { return c.info }

// RemoteAddr returns what is known of the visitor: the circuit, if that. Its form
// is that of a host and a port, which many programs expect.
func (c *onionConn) RemoteAddr() net.Addr { return remoteAddr(c.info.Circuit) }

type remoteAddr uint64

func (remoteAddr) Network() string { return "onion" }

func (a remoteAddr) String() string {
	if a == 0 {
		return "onion:0"
	}
	return "circuit-" + strconv.FormatUint(uint64(a), 10) + ":0"
}

// LocalAddr returns the address that the visitor has asked for.
func (c *onionConn) LocalAddr() net.Addr { return Addr{c.info.Address, c.info.Port} }

// Read implements [net.Conn].
func (c *onionConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.count.received.Add(uint64(n))
	return n, err
}

// Write implements [net.Conn].
func (c *onionConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.count.sent.Add(uint64(n))
	return n, err
}

// ReadFrom implements [io.ReaderFrom]: files are copied by the kernel.
func (c *onionConn) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.Conn, r)
	c.count.sent.Add(uint64(n))
	return n, err
}

// CloseWrite tells the visitor that nothing more comes.
func (c *onionConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close implements [net.Conn].
func (c *onionConn) Close() error {
	if !c.closed.Swap(true) {
		c.count.streams.Add(-1)
	}
	return c.Conn.Close()
}

// lineTimeout is how long the line before a connection may take. Tor writes it at
// once.
const lineTimeout = 2 * time.Second

// maxLine is how long the line may be, with its end:
// https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt, 2.1.
const maxLine = 107

// errLine: the line before a connection is not tor's.
var errLine = errors.New("onion: the connection does not begin with the line of tor's HiddenServiceExportCircuitID")

// readCircuit reads the line that tor writes before a connection, and not a byte
// more.
func readCircuit(conn net.Conn) (uint64, error) {
	if err := conn.SetReadDeadline(time.Now().Add(lineTimeout)); err != nil {
		return 0, err
	}
	line := make([]byte, 0, maxLine)
	for one := make([]byte, 1); len(line) < maxLine; {
		n, err := conn.Read(one)
		switch {
		case n == 0 && err != nil:
			return 0, err
		case n == 0:
			continue
		}
		if line = append(line, one[:n]...); line[len(line)-1] == '\n' {
			circuit, err := parseLine(string(line))
			if err != nil {
				return 0, err
			}
			return circuit, conn.SetReadDeadline(time.Time{})
		}
	}
	return 0, errLine
}

// circuitPrefix begins the address by which tor names a circuit; its lower 32
// bits are the circuit's number. The rest of the line differs from version to
// version.
const circuitPrefix = "fc00:dead:beef:4dad:"

// parseLine finds the number of a circuit in a line such as
//
//	PROXY TCP6 fc00:dead:beef:4dad::0:45 ::1 69 80
//
// See HiddenServiceExportCircuitID in tor(1).
func parseLine(line string) (uint64, error) {
	fields := strings.Fields(strings.TrimSuffix(line, "\r\n"))
	if !strings.HasSuffix(line, "\r\n") || len(fields) != 6 || fields[0] != "PROXY" || fields[1] != "TCP6" {
		return 0, errLine
	}
	rest, ok := strings.CutPrefix(fields[2], circuitPrefix)
	groups := strings.Split(strings.TrimPrefix(rest, ":"), ":")
	if !ok || len(groups) != 2 {
		return 0, errLine
	}
	high, err := strconv.ParseUint(groups[0], 16, 16)
	if err != nil {
		return 0, errLine
	}
	low, err := strconv.ParseUint(groups[1], 16, 16)
	if err != nil {
		return 0, errLine
	}
	return high<<16 | low, nil
}
