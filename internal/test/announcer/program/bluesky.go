// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
)

// account is one of a PDS.
type account struct{ PDS, Handle, Password string }

func blueskyNetwork() network {
	var naive *session
	return network{
		target: func(config json.RawMessage, store syndicate.Store) (syndicate.Target, error) {
			var a account
			if err := json.Unmarshal(config, &a); err != nil {
				return nil, err
			}
			return bluesky.New(bluesky.Config{
				PDS: a.PDS, Handle: a.Handle, AppPassword: syndicate.Secret(a.Password), Store: store,
				Pictures: &http.Client{Transport: offline{}},
			})
		},
		naive: func(ctx context.Context, config json.RawMessage, p syndicate.Post) error {
			if naive == nil {
				s, err := login(ctx, config)
				if err != nil {
					return err
				}
				naive = s
			}
			return naive.post(ctx, p)
		},
	}
}

// offline is the web for pages that do not exist.
type offline struct{}

func (offline) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("there is no such page")
}

// session is one of an account.
type session struct {
	account
	DID, AccessJWT string
}

func login(ctx context.Context, config json.RawMessage) (*session, error) {
	var s session
	if err := json.Unmarshal(config, &s.account); err != nil {
		return nil, err
	}
	return &s, s.call(ctx, "com.atproto.server.createSession", map[string]any{"identifier": s.Handle, "password": s.Password}, &s)
}

// post has the server choose a key, as most programs do.
func (s *session) post(ctx context.Context, p syndicate.Post) error {
	var made struct{ URI string }
	return s.call(ctx, "com.atproto.repo.createRecord", map[string]any{
		"repo": s.DID, "collection": "app.bsky.feed.post",
		"record": map[string]any{
			"$type": "app.bsky.feed.post", "text": p.Title, "createdAt": time.Now().UTC().Format(time.RFC3339),
			"embed": map[string]any{
				"$type":    "app.bsky.embed.external",
				"external": map[string]any{"uri": p.URL, "title": p.Title, "description": p.Summary},
			},
		},
	}, &made)
}

func (s *session) call(ctx context.Context, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.PDS+"/xrpc/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if s.AccessJWT != "" {
		req.Header.Set("Authorization", "Bearer "+s.AccessJWT)
	}
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", method, resp.StatusCode)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
