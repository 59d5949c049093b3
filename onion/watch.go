// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"context"
	"fmt"
	"time"
)

// hold makes a connection the one that is asked, until the returned function is
// called.
func (t *tor) hold(conn *controlConn) (release func()) {
	t.mu.Lock()
	t.conn = conn
	t.mu.Unlock()
	// Whoever waits for an answer is released by Close.
	return func() {
		t.mu.Lock()
		t.conn = nil
		t.mu.Unlock()
		conn.Close()
	}
}

// watch returns when tor is lost, with the reason, or when ctx ends, with nil.
// exited is closed when the process ends; nil: there is none of ours.
func (t *tor) watch(ctx context.Context, conn *controlConn, exited <-chan struct{}) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	lost := make(chan error, 2)
	t.background.Go(func() { lost <- t.beat(inner) })
	t.background.Go(func() { lost <- t.probe(inner) })
	select {
	case <-ctx.Done():
		return nil
	case err := <-lost:
		if ctx.Err() != nil {
			return nil
		}
		return err
	case <-exited:
		return errExited
	case <-conn.done:
		return conn.err
	}
}

// beat asks tor now and then whether it is alive, and whether it gets anywhere.
func (t *tor) beat(ctx context.Context) error {
	for pause(ctx, t.cfg.Heartbeat) {
		if _, err := t.ask(ctx, "GETINFO process/pid"); err != nil {
			return err
		}
		if err := t.stuck(); err != nil {
			return err
		}
	}
	return nil
}

// stuck reports that a service is not published for so long that a new start may
// help.
func (t *tor) stuck() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	waited := time.Since(t.progressAt) > t.cfg.PublishTimeout
	if t.phase == Bootstrapping || t.phase == Starting {
		if !waited {
			return nil
		}
		err := fmt.Errorf("%w: it is at %d %% (%s) for %s", ErrBootstrap, t.percent, t.doing, t.cfg.PublishTimeout)
		if t.err != nil {
			err = fmt.Errorf("%w: %w", err, t.err)
		}
		return &causedError{err, "bootstrap"}
	}
	for _, s := range t.services {
		switch {
		case s.desc.uploaded == 0 && waited:
			err := fmt.Errorf("%w: %s was taken by no directory for %s", ErrPublish, s.address, t.cfg.PublishTimeout)
			if s.desc.trouble != nil {
				err = s.desc.trouble
			}
			return &causedError{err, "bootstrap"}
		case s.desc.uploaded > 0 && time.Since(s.desc.uploadedAt) > staleAfter && !t.down:
			return &causedError{fmt.Errorf("%w: %s was not published anew for %s", ErrPublish, s.address, staleAfter), "stale"}
		}
	}
	return nil
}

// maxLost is how many looks in vain it takes until tor is started anew.
const maxLost = 3

// probe looks the services up now and then.
func (t *tor) probe(ctx context.Context) error {
	wait := t.cfg.ProbeEvery
	for wait > 0 && pause(ctx, wait) {
		wait = t.cfg.ProbeEvery
		for _, s := range t.services {
			lost, err := s.lookUp(ctx)
			switch {
			case ctx.Err() != nil:
				return nil
			case lost >= maxLost:
				return &causedError{err, "probe"}
			case lost > 0:
				wait = t.cfg.ProbeEvery / 5
			}
		}
	}
	<-ctx.Done()
	return nil
}

// lookUp looks up one service that should be found, and returns how often that was
// in vain.
func (s *Service) lookUp(ctx context.Context) (lost int, err error) {
	s.tor.mu.Lock()
	published, down := s.desc.uploaded > 0, s.tor.down
	s.tor.mu.Unlock()
	if !published || down {
		return 0, nil
	}
	timed, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = s.Probe(timed)
	if ctx.Err() != nil {
		return 0, nil
	}
	s.tor.change(func() {
		if err == nil {
			s.desc.lost = 0
			if s.desc.inARow < maxFailures {
				s.desc.trouble = nil
			}
			return
		}
		s.desc.lost++
		s.desc.trouble = err
		lost = s.desc.lost
	})
	return lost, err
}
