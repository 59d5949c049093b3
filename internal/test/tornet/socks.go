// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package tornet

import (
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
	ask := []byte{5, 1, 2, 1, byte(len(user))}
	ask = append(append(ask, user...), byte(len(password)))
	ask = append(append(ask, password...), 5, 1, 0, 3, byte(len(host)))
	ask = append(append(ask, host...), byte(port>>8), byte(port))
	if _, err := conn.Write(ask); err != nil {
		return err
	}
	var answer [2 + 2 + 10]byte // tor always says 0.0.0.0:0 at the end
	if _, err := io.ReadFull(conn, answer[:2+2+2]); err != nil {
		return err
	}
	switch {
	case answer[0] != 5 || answer[1] != 2 || answer[3] != 0 || answer[4] != 5:
		return fmt.Errorf("the proxy says % x", answer[:6])
	case answer[5] != 0:
		return SOCKSError(answer[5])
	}
	_, err = io.ReadFull(conn, answer[6:])
	return err
}
