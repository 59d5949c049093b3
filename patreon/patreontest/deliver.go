// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Sign returns what X-Patreon-Signature says of a body: the HMAC-MD5 with the
// webhook's secret, as hexadecimal digits in lower case.
func Sign(secret string, body []byte) string {
	h := hmac.New(md5.New, []byte(secret))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// RetrySchedule returns how long after an attempt that failed the next one is
// made. When the last has failed, the webhook is paused.
func RetrySchedule() []time.Duration {
	const day, week = 24 * time.Hour, 7 * 24 * time.Hour
	return []time.Duration{time.Hour, 3 * time.Hour, day, 3 * day, week, week, week}
}

// Emit makes an event, and sends it to the webhooks that are for it. The payload
// is the id of a member or a post, which [Server.Payload] makes a document of;
// or a []byte, which is sent as it is; or a value to send as JSON. With an id,
// only webhooks of its campaign get it.
//
// A webhook that is paused, or to which an attempt has failed, gets the event
// when it is its turn: see [Server.Deliver]. The error tells which webhooks could
// not be told at once, or that there can be no such event.
func (s *Server) Emit(ctx context.Context, event string, payload any) error {
	hooks, err := s.enqueue(event, payload)
	if err != nil {
		return err
	}
	return s.send(ctx, hooks)
}

// enqueue adds an event to the queues that it is for. It returns the webhooks
// that are to be told at once.
func (s *Server) enqueue(name string, payload any) ([]*hook, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(Triggers(), name) && !strings.HasPrefix(name, "pledges:") {
		return nil, fmt.Errorf("patreontest: there is no event %q", name)
	}
	var now []*hook
	for _, h := range s.hooks {
		if !slices.Contains(h.triggers, name) {
			continue
		}
		body, err := s.bodyFor(h, name, payload)
		if err != nil {
			return nil, err
		}
		if body == nil {
			continue
		}
		if len(h.queue) == 0 && h.failures == 0 {
			h.due = s.config.Now()
		}
		h.queue = append(h.queue, event{name, body})
		if !h.paused {
			now = append(now, h)
		}
	}
	return now, nil
}

// bodyFor returns what a webhook is sent, or nil if the event is not for its
// campaign.
func (s *Server) bodyFor(h *hook, name string, payload any) ([]byte, error) {
	switch p := payload.(type) {
	case []byte:
		return bytes.Clone(p), nil
	case string:
		r, ok := s.subject(name, p)
		if !ok {
			return nil, fmt.Errorf("patreontest: event %s: there is nothing with the id %q", name, p)
		}
		if r.one["campaign"].id != h.campaign {
			return nil, nil
		}
		return s.payload(name, r, h.email), nil
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("patreontest: event %s: %w", name, err)
	}
	return body, nil
}

// Deliver sends what is due by [Config.Now]. When an attempt succeeds, all that
// waits for the same webhook follows; when one fails, it is made again as
// [RetrySchedule] says, and after the last the webhook is paused. A client ends
// the pause by setting paused to false, and what waits is due then. The error
// tells which attempts failed.
func (s *Server) Deliver(ctx context.Context) error {
	s.mu.Lock()
	hooks := slices.Clone(s.hooks)
	s.mu.Unlock()
	return s.send(ctx, hooks)
}

// NextDelivery returns when something is due next. ok is false if nothing
// waits, or only for webhooks that are paused.
func (s *Server) NextDelivery() (at time.Time, ok bool) {
	for _, h := range s.Hooks() {
		if !h.Due.IsZero() && (!ok || h.Due.Before(at)) {
			at, ok = h.Due, true
		}
	}
	return at, ok
}

func (s *Server) send(ctx context.Context, hooks []*hook) error {
	var failed []error
	for _, h := range hooks {
		if err := s.flush(ctx, h); err != nil {
			failed = append(failed, fmt.Errorf("patreontest: webhook %s: %w", h.id, err))
		}
	}
	return errors.Join(failed...)
}

// flush sends what waits for a webhook, if it is due, until an attempt fails.
func (s *Server) flush(ctx context.Context, h *hook) error {
	h.sending.Lock()
	defer h.sending.Unlock()
	for {
		e, uri, secret, ok := s.due(h)
		if !ok {
			return nil
		}
		err := s.post(ctx, e, uri, secret)
		if ctx.Err() != nil {
			return ctx.Err() // the test gave up, not the receiver
		}
		s.attempted(h, err)
		if err != nil {
			return err
		}
	}
}

// due returns the event that is to be sent now.
func (s *Server) due(h *hook) (e event, uri, secret string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.paused || len(h.queue) == 0 || s.config.Now().Before(h.due) || !slices.Contains(s.hooks, h) {
		return event{}, "", "", false
	}
	return h.queue[0], h.uri, h.secret, true
}

// attempted writes down how an attempt ended.
func (s *Server) attempted(h *hook, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	h.lastAttempted = now
	s.stats.Deliveries++
	if err == nil {
		h.queue, h.failures, h.due = h.queue[1:], 0, now
		return
	}
	s.stats.FailedDeliveries++
	h.failures++
	schedule := RetrySchedule()
	if h.failures > len(schedule) {
		h.paused = true
		return
	}
	h.due = now.Add(schedule[h.failures-1])
}

// post sends an event.
func (s *Server) post(ctx context.Context, e event, uri, secret string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, bytes.NewReader(e.body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Patreon HTTP Robot")
	req.Header.Set("X-Patreon-Event", e.name)
	req.Header.Set("X-Patreon-Signature", Sign(secret, e.body))
	resp, err := s.config.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("event %s was answered with %s", e.name, resp.Status)
	}
	return nil
}
