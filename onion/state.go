// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Phase is how far a service is.
type Phase string

// The phases of a service.
const (
	Stopped       Phase = "stopped"       // it does not run, or not any more
	Starting      Phase = "starting"      // tor does not answer yet
	Bootstrapping Phase = "bootstrapping" // tor is on the way into its network
	Publishing    Phase = "publishing"    // nobody can find the service yet
	Ready         Phase = "ready"         // visitors can come
	Degraded      Phase = "degraded"      // some visitors may not find the service, or the network is away
	Backoff       Phase = "backoff"       // tor is started again at State.Next
	Failed        Phase = "failed"        // it needs somebody; see State.Err
)

// State is how a service is.
type State struct {
	Phase Phase
	// Since is when the phase began.
	Since time.Time
	// Percent and Doing tell how far Bootstrapping is, in tor's words.
	Percent int
	Doing   string
	// Err is why the phase is Degraded, Backoff or Failed, or what stands in the way
	// of Bootstrapping or Publishing. It is nil otherwise.
	Err error
	// Attempt counts the starts of tor since it was ready last.
	Attempt int
	// Next is when tor is started again; zero unless the phase is Backoff.
	Next time.Time
	// TorVersion and PID are of the tor that runs, or ran last. The PID of an
	// attached tor is 0.
	TorVersion string
	PID        int
	// Uploaded and FailedUploads count what was told to the directories since tor
	// has started.
	Uploaded      uint64
	FailedUploads uint64
}

// String returns a line for people.
func (s State) String() string {
	text := string(s.Phase)
	if s.Phase == Bootstrapping {
		text += fmt.Sprintf(" %d %%", s.Percent)
	}
	if s.Err != nil {
		text += ": " + s.Err.Error()
	}
	return text
}

// State returns how the service is now.
func (s *Service) State() State {
	s.tor.mu.Lock()
	defer s.tor.mu.Unlock()
	return s.state
}

// States returns the state now, and then each that it changes to, until ctx ends
// or the loop does. Of states that follow each other faster than the loop goes
// round it gives the last.
func (s *Service) States(ctx context.Context) iter.Seq[State] {
	return func(yield func(State) bool) {
		for {
			s.tor.mu.Lock()
			state, changed := s.state, s.changed
			s.tor.mu.Unlock()
			if !yield(state) {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Ready waits until visitors can come. The error is that of ctx, or why the
// service has failed, or [ErrNotRunning] if Run has returned.
func (s *Service) Ready(ctx context.Context) error {
	var last State
	for last = range s.States(ctx) {
		switch last.Phase {
		case Ready:
			return nil
		case Failed:
			return last.Err
		case Stopped:
			s.tor.mu.Lock()
			over := s.tor.over
			s.tor.mu.Unlock()
			if over {
				return ErrNotRunning
			}
		}
	}
	return fmt.Errorf("onion: %s is not ready but %s: %w", s.address, last, context.Cause(ctx))
}

// Location returns the address while visitors can come, and for a while after,
// and "" otherwise. It is for [LocationConfig.Address].
func (s *Service) Location() Address {
	s.tor.mu.Lock()
	defer s.tor.mu.Unlock()
	if s.state.Phase == Ready || !s.readyUntil.IsZero() && time.Since(s.readyUntil) < s.cfg.LocationGrace {
		return s.address
	}
	return ""
}

// update computes the state anew and tells those who wait. tor.mu must be held.
func (s *Service) update() {
	was := s.state
	now := s.tor.state(s)
	if now.Phase == was.Phase {
		now.Since = was.Since
	} else {
		now.Since = time.Now()
	}
	if now == was {
		return
	}
	if was.Phase == Ready && now.Phase != Ready {
		s.readyUntil = now.Since
	}
	s.state = now
	close(s.changed)
	s.changed = make(chan struct{})
	if now.Phase != was.Phase && now.Phase != Failed && now.Phase != Backoff { // those are told as warnings
		s.tor.news = append(s.tor.news, func() {
			s.cfg.Logger.Info("onion: the service is "+string(now.Phase), "address", s.address, "state", now.String())
		})
	}
}
