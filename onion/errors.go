// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import "errors"

// Errors that [Service.Run] returns, or that [State.Err] tells of. Each comes with
// what tor said about it, if anything.
var (
	// ErrTorNotFound: there is no program tor.
	ErrTorNotFound = errors.New("onion: tor is not there")

	// ErrTorTooOld: tor is of a version that is known to endanger its users.
	ErrTorTooOld = errors.New("onion: tor is too old")

	// ErrTorConfig: tor does not take what it was told, most often a line of
	// [Config.Torrc].
	ErrTorConfig = errors.New("onion: tor does not take its configuration")

	// ErrLocked: another tor uses the folder. That of a process that has just died
	// is gone in a moment.
	ErrLocked = errors.New("onion: another tor uses the folder")

	// ErrTorExited: tor has ended.
	ErrTorExited = errors.New("onion: tor has ended")

	// ErrControlLost: the control connection has ended, and what was asked for may
	// or may not have been done.
	ErrControlLost = errors.New("onion: the connection to tor is lost")

	// ErrUnresponsive: tor is there and does not answer.
	ErrUnresponsive = errors.New("onion: tor does not answer")

	// ErrBootstrap: tor did not get into its network.
	ErrBootstrap = errors.New("onion: tor does not get into its network")

	// ErrPublish: the service could not be published, so that nobody finds it.
	ErrPublish = errors.New("onion: the service is not published")

	// ErrNotRunning: there is no tor that could be asked.
	ErrNotRunning = errors.New("onion: tor does not run")
)

// permanent reports whether trying again is of no use.
func permanent(err error) bool {
	return errors.Is(err, ErrTorNotFound) || errors.Is(err, ErrTorTooOld) || errors.Is(err, ErrTorConfig)
}
