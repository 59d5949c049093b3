// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package tornet

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
)

// SOCKSError is the code by which the proxy refuses: one of RFC 1928, section 6, or
// one of those that tor adds for onion services (its proposal 304).
type SOCKSError byte

// Some codes.
const (
	// HostUnreachable is for a service that does not answer.
	HostUnreachable SOCKSError = 0x04
	// NoDescriptor is for a service that is not published, or no longer.
	NoDescriptor SOCKSError = 0xf0
	// NoIntroduction is for a service that is published but not there.
	NoIntroduction SOCKSError = 0xf2
	// NoClientKey is for a service that wants a key, and the client has none.
	NoClientKey SOCKSError = 0xf4
	// WrongClientKey is for a service that wants another key than the client has.
	WrongClientKey SOCKSError = 0xf5
	// BadAddress is for a name that cannot be a service's.
	BadAddress SOCKSError = 0xf6
)

// Error implements error.
func (e SOCKSError) Error() string { return fmt.Sprintf("the proxy refuses with code %#02x", byte(e)) }

// connect asks the proxy at the other end for a connection (RFC 1928, and RFC 1929 for
// the user, by which tor tells circuits apart).
func connect(conn net.Conn, user, address string) error {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return err
	}
	if len(host) > 255 || user == "" || len(user) > 255 {
		return fmt.Errorf("host %q and user %q must have 1 to 255 bytes", host, user)
	}
	const password = "x" // there must be one
	// One step at a time: of answers to steps that came together tor sends the last.
	login := append([]byte{1, byte(len(user))}, user+"\x01"+password...)
	request := append([]byte{5, 1, 0, 3, byte(len(host))}, host...)
	request = append(request, byte(port>>8), byte(port))
	for _, step := range []struct{ say, hear []byte }{{[]byte{5, 1, 2}, []byte{5, 2}}, {login, []byte{1, 0}}} {
		if _, err := conn.Write(step.say); err != nil {
			return err
		}
		answer := make([]byte, len(step.hear))
		if _, err := io.ReadFull(conn, answer); err != nil {
			return err
		}
		if !bytes.Equal(answer, step.hear) {
			return fmt.Errorf("the proxy says % x", answer)
		}
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	return readAnswer(conn)
}

// readAnswer reads what the proxy says to the request.
func readAnswer(conn net.Conn) error {
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	if head[1] != 0 {
		return SOCKSError(head[1])
	}
	rest := 4 + 2 // address, of no interest, and port
	if head[3] == 4 {
		rest = 16 + 2
	}
	_, err := io.ReadFull(conn, make([]byte, rest))
	return err
}
