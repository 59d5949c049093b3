// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNoRoute: an address is in no peer's AllowedIPs, so that no packet could ever go
// there.
var ErrNoRoute = errors.New("wg: no peer has this address in its AllowedIPs")

// PeerError: a peer does not answer. It is a timeout.
type PeerError struct {
	Peer     PublicKey
	Endpoint string // as it was configured; empty if the peer has none
	// LastHandshake is when it has answered last; zero if never.
	LastHandshake time.Time
	// Attempts is how often it was asked since by the tunnel's supervisor. The device
	// asks by itself, too.
	Attempts int
	// Problem is why it cannot even be asked, such as a name that nobody knows. It is nil
	// if that is not known.
	Problem error
	// Err is what has ended the waiting.
	Err error
}

// Error implements error.
func (e *PeerError) Error() string {
	where := e.Endpoint
	if where == "" {
		where = "no endpoint: it has to come to us"
	}
	since := "it has never answered: a key or the endpoint may be wrong, or a firewall in between"
	if !e.LastHandshake.IsZero() {
		since = "it has answered last at " + e.LastHandshake.UTC().Format(time.RFC3339)
	}
	if e.Problem != nil {
		since += "; " + e.Problem.Error()
	}
	return fmt.Sprintf("wg: peer %s (%s) does not answer, %d attempts: %s: %v", e.Peer, where, e.Attempts, since, e.Err)
}

// Unwrap returns Err and Problem.
func (e *PeerError) Unwrap() []error {
	if e.Problem == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Problem}
}

// Timeout implements [net.Error].
func (e *PeerError) Timeout() bool { return true }

// Temporary implements [net.Error].
func (e *PeerError) Temporary() bool { return true }

// Is reports that this is the end of a deadline, whatever has ended the waiting.
func (e *PeerError) Is(target error) bool { return target == context.DeadlineExceeded }
