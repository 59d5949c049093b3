// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package discord_test

import (
	"testing"
	"time"

	"xeiaso.net/site/syndicate/discord"
)

func TestErrorsAreRead(t *testing.T) {
	for body, want := range map[string]struct {
		code   int
		detail string
		retry  time.Duration
	}{
		`{"code":50035,"message":"Invalid Form Body","errors":{"b":{"0":{"c":{"_errors":[{"code":"X","message":"too long"},{"message":"odd"}]}}},"a":{"_errors":[{"message":"empty"}]}}}`: {50035, "Invalid Form Body; a: empty; b.0.c: too long; b.0.c: odd", 0},
		`{"message":"You are being rate limited.","retry_after":0.3,"global":true}`:                                                                                                       {0, "You are being rate limited.", 300 * time.Millisecond},
		`{"retry_after":-1}`:           {0, "", 0},
		`{"retry_after":1e300}`:        {0, "", 24 * time.Hour},
		`{"errors":{"a":[1,{}]}}`:      {0, "", 0},
		`<html>`:                       {0, "", 0},
		`error code: 1015`:             {0, "error code: 1015", 0},
		``:                             {0, "", 0},
		`{"code":"x","message":["y"]}`: {0, "", 0},
	} {
		if got := discord.Code([]byte(body)); got != want.code {
			t.Errorf("%s: code %d, want %d", body, got, want.code)
		}
		if got := discord.Detail([]byte(body)); got != want.detail {
			t.Errorf("%s: detail %q, want %q", body, got, want.detail)
		}
		if got := discord.RetryAfter([]byte(body)); got != want.retry {
			t.Errorf("%s: retry after %s, want %s", body, got, want.retry)
		}
	}
}

func FuzzErrors(f *testing.F) {
	f.Add([]byte(`{"code":50035,"message":"Invalid Form Body","errors":{"a":{"0":{"_errors":[{"code":"X","message":"too long"}]}}},"retry_after":0.3}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		discord.Code(body)
		if got := discord.Detail(body); len(got) > 20*len(body)+100 {
			t.Errorf("%d bytes became %d", len(body), len(got))
		}
		if d := discord.RetryAfter(body); d < 0 || d > 24*time.Hour {
			t.Errorf("retry after %s", d)
		}
	})
}
