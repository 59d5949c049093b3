// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxMetrics is how long tor's metrics may be, in bytes. They are some 30 KB.
const maxMetrics = 4 << 20

// TorMetrics returns what tor counts itself, in the text format of Prometheus, if
// [Config.Metrics] is set.
func (s *Service) TorMetrics(ctx context.Context) ([]byte, error) {
	s.tor.mu.Lock()
	at, runs := s.tor.metricsAt, s.tor.conn != nil
	s.tor.mu.Unlock()
	switch {
	case !s.tor.cfg.Metrics:
		return nil, errors.New("onion: tor does not count: Config.Metrics is not set")
	case !runs:
		return nil, ErrNotRunning
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("onion: ask for tor's metrics: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("onion: ask for tor's metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("onion: tor answers %s when asked for its metrics", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMetrics))
	if err != nil {
		return nil, fmt.Errorf("onion: read tor's metrics: %w", err)
	}
	return body, nil
}
