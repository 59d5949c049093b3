// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// descriptor is what is known of a service's descriptor, which tells visitors
// where to find it. A tor puts it into several directories, and does so anew every
// hour or two.
type descriptor struct {
	uploaded, failed       uint64 // since tor has started
	allUploaded, allFailed uint64 // since ever
	inARow                 int    // failures since the last success
	uploadedAt             time.Time
	lost                   int   // looks in vain since the last success
	trouble                error // why visitors may not find it; nil: they do
}

// begin is called when tor starts.
func (d *descriptor) begin() {
	d.uploaded, d.failed, d.inARow, d.lost, d.trouble = 0, 0, 0, 0, nil
	d.uploadedAt = time.Time{}
}

// maxFailures is how many directories may refuse a descriptor one after the other: a
// whole round on the public network, two descriptors at eight directories each. They
// refuse one that is no newer than theirs, as that of a tor which was started again at
// once can be.
const maxFailures = 16

// staleAfter is for how long there may be no upload: tor does one every one to two
// hours, and a descriptor lasts for three.
const staleAfter = 3 * time.Hour

func (d *descriptor) succeeded() {
	d.uploaded++
	d.allUploaded++
	d.inARow, d.uploadedAt = 0, time.Now()
	if d.lost == 0 {
		d.trouble = nil
	}
}

func (d *descriptor) refused(reason string) {
	d.failed++
	d.allFailed++
	if d.inARow++; d.inARow >= maxFailures {
		d.trouble = fmt.Errorf("%w: %d directories in a row did not take it: %s", ErrPublish, d.inARow, cmp.Or(reason, "no reason given"))
	}
}

// event takes an event of tor's, on the goroutine that reads.
func (t *tor) event(text string) {
	switch e := parseEvent(text).(type) {
	case descEvent:
		t.change(func() { t.descEvent(e) })
	case bootstrapEvent:
		t.change(func() { t.bootstrap(e) })
	case livenessEvent:
		t.change(func() { t.down = !e.up })
	}
}

func (t *tor) bootstrap(e bootstrapEvent) {
	if e.percent > t.percent {
		t.progressAt = time.Now()
	}
	t.percent, t.doing, t.err = max(t.percent, e.percent), e.summary, nil
	if e.warning != "" {
		t.err = fmt.Errorf("%w: at %d %% (%s): %s", ErrBootstrap, e.percent, e.tag, e.warning)
	}
	if t.phase != Bootstrapping && t.phase != Starting {
		t.err = nil
		return
	}
	t.phase = Bootstrapping
	if e.percent == 100 {
		t.phase, t.err = Publishing, nil
	}
}

func (t *tor) descEvent(e descEvent) {
	i := slices.IndexFunc(t.services, func(s *Service) bool { return s.address.ID() == e.service })
	if i < 0 {
		return
	}
	d := &t.services[i].desc
	switch {
	case e.action == "UPLOADED":
		if d.uploaded == 0 {
			t.progressAt = time.Now()
		}
		d.succeeded()
	case e.action == "FAILED" && (e.reason == "UPLOAD_REJECTED" || !t.fetching(e.service)):
		d.refused(e.reason)
	case e.action == "REQUESTED", e.action == "RECEIVED", e.action == "FAILED":
		for c, service := range t.fetches {
			if service != e.service {
				continue
			}
			select {
			case c <- e:
			default: // it has heard enough
			}
		}
	}
}

func (t *tor) fetching(service string) bool {
	for _, other := range t.fetches {
		if other == service {
			return true
		}
	}
	return false
}

// Probe looks the service up, as a visitor would: it fetches its descriptor from
// the network. An error that matches [ErrPublish] means that it was not found.
func (s *Service) Probe(ctx context.Context) error {
	heard := make(chan descEvent, 32)
	s.tor.mu.Lock()
	s.tor.fetches[heard] = s.address.ID()
	s.tor.mu.Unlock()
	defer func() {
		s.tor.mu.Lock()
		defer s.tor.mu.Unlock()
		delete(s.tor.fetches, heard)
	}()
	var err error
	// Each time tor asks another directory. One that has just joined does not have
	// the descriptor yet.
	for range 3 {
		if _, err = s.tor.ask(ctx, "HSFETCH "+s.address.ID()); err != nil {
			return err
		}
		var found bool
		if found, err = s.heard(ctx, heard); found || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (s *Service) heard(ctx context.Context, heard <-chan descEvent) (bool, error) {
	for {
		select {
		case e := <-heard:
			switch e.action {
			case "RECEIVED":
				return true, nil
			case "FAILED":
				return false, fmt.Errorf("%w: a look at the network does not find it: %s", ErrPublish, e.reason)
			}
		case <-ctx.Done():
			return false, fmt.Errorf("%w: a look at the network has no answer: %w", ErrPublish, context.Cause(ctx))
		case <-s.tor.ended:
			return false, ErrNotRunning
		}
	}
}
