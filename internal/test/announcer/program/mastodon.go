// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/mastodon"
)

// mastodonConfig says where an account is.
type mastodonConfig struct {
	Server string
	Token  string
	Settle time.Duration
}

// mastodonNetwork is a server with Mastodon's API.
func mastodonNetwork() network {
	return network{
		target: func(config json.RawMessage, _ syndicate.Store) (syndicate.Target, error) {
			var c mastodonConfig
			if err := json.Unmarshal(config, &c); err != nil {
				return nil, err
			}
			return mastodon.New(mastodon.Config{Server: c.Server, Token: syndicate.Secret(c.Token), Settle: c.Settle})
		},
		naive: func(ctx context.Context, config json.RawMessage, p syndicate.Post) error {
			var c mastodonConfig
			if err := json.Unmarshal(config, &c); err != nil {
				return err
			}
			return post(ctx, c.Server+"/api/v1/statuses", "Bearer "+c.Token, map[string]any{"status": p.Title + "\n\n" + p.URL})
		},
	}
}

// post is how most programs make a request.
func post(ctx context.Context, address, authorization string, body any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(content))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
