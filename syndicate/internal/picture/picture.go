// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package picture fetches pictures of posts, from addresses that a feed names.
package picture

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
	"xeiaso.net/site/syndicate/internal/outside"
)

// Limits are what a picture has to be within.
type Limits struct {
	// Bytes is how long it may be.
	Bytes int64
	// Types are media types.
	Types []string
}

// Picture is one that was fetched.
type Picture struct {
	Content []byte
	// Type is its media type, by what the content begins with.
	Type string
}

// Hash returns the SHA-256 of the content.
func (p Picture) Hash() string {
	sum := sha256.Sum256(p.Content)
	return hex.EncodeToString(sum[:])
}

// Fetch fetches a picture. If client is nil, it is one that goes to public
// addresses only.
//
// An error is a *[syndicate.Error] with NotSent, and with Refused if there is no
// use in trying again.
func Fetch(ctx context.Context, client *http.Client, address string, limits Limits) (Picture, error) {
	if client == nil {
		client = outside.Client()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil || req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return Picture{}, failed(true, "%q is no address", address)
	}
	req.Header.Set("User-Agent", call.UserAgent)
	resp, err := client.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if err != nil {
		return Picture{}, failed(errors.Is(err, outside.ErrInside), "%q: %w", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		again := resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout
		return Picture{}, failed(!again, "%q: status %d", address, resp.StatusCode)
	}
	return read(resp.Body, address, limits)
}

func read(body io.Reader, address string, limits Limits) (Picture, error) {
	content, err := io.ReadAll(io.LimitReader(body, limits.Bytes+1))
	kind := http.DetectContentType(content)
	switch {
	case err != nil:
		return Picture{}, failed(false, "%q: %w", address, err)
	case int64(len(content)) > limits.Bytes:
		return Picture{}, failed(true, "%q has more than %d bytes", address, limits.Bytes)
	case !slices.Contains(limits.Types, kind):
		return Picture{}, failed(true, "%q is %s, want one of %q", address, kind, limits.Types)
	}
	return Picture{content, kind}, nil
}

func failed(refused bool, format string, a ...any) error {
	return &syndicate.Error{Err: fmt.Errorf("picture "+format, a...), NotSent: true, Refused: refused}
}
