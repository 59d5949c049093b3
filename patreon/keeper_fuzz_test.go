// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	stores "xeiaso.net/site/xesite/state"
)

// FuzzGrant feeds an answer to what reads that of the token endpoint. What is
// taken can be sent and kept and comes to an end; what is not taken is not
// quoted.
func FuzzGrant(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `null`, `"x"`, `{"access_token":"a","refresh_token":"b","expires_in":2678400,"scope":"identity","token_type":"Bearer"}`,
		`{"access_token":"a"}`, `{"refresh_token":"b"}`, `{"access_token":"a","refresh_token":7,"expires_in":"3600"}`,
		`{"access_token":"a","refresh_token":null,"expires_in":-1,"scope":["identity"]}`, `{"access_token":"a b","refresh_token":"c"}`,
		`{"access_token":"a","expires_in":1e308}`, `{"access_token":"a","expires_in":"NaN"}`, `{"access_token":"a","expires_in":"Inf"}`,
		`{"access_token":"a","expires_in":0.5}`, `{"access_token":"a","expires_in":"0x10p3"}`, `{"access_token":"a","access_token":"\u0000"}`,
		`{"ACCESS_TOKEN":"a","refresh_token":"\ud800","expires_in":{}}`,
	} {
		f.Add([]byte(seed), "Thu, 01 Jan 2026 00:00:00 GMT", int64(0))
	}
	f.Fuzz(func(t *testing.T, body []byte, date string, after int64) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		g, err := readGrant(&response{status: 200, header: http.Header{"Date": {date}}, body: body}, now)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || len(err.Error()) > 200 {
				t.Errorf("error %v", err)
			}
			return
		}
		if !isToken(g.access) || g.refresh != "" && !isToken(g.refresh) || g.lifetime < time.Second || g.lifetime > maxLifetime {
			t.Errorf("%q is taken for %+v", body, g)
		}
		r := record{Refresh: "before", Generation: 7}
		r.grow("client", g)
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, ok := decodeRecord(raw)
		if !ok || again.Access != g.access || again.empty() {
			t.Errorf("%q is kept as %s", body, raw)
		}
		if !again.usable(now) || again.due(now, 1) || !again.due(again.ExpiresAt, 1) || again.usable(again.ExpiresAt) {
			t.Errorf("tokens of %s are not fresh now, or do not end: %s", g.lifetime, raw)
		}
		end := now.Add(maxLifetime + time.Duration(max(0, after%int64(maxLifetime))))
		if again.usable(end) || !again.due(end, 1) {
			t.Errorf("tokens of %s are for ever: %s", g.lifetime, raw)
		}
	})
}

// FuzzRecord feeds a record to what reads those in the store, and to a keeper.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, ` {} `, `[]`, `null`, `{"version":1,"nonce":"n","client":"client","generation":1,"access_token":"access-secret","refresh_token":"refresh-secret",
			"issued_at":"2026-01-01T00:00:00Z","expires_at":"2026-02-01T00:00:00Z"}`,
		`{"refresh_token":"refresh-secret","foreign":true,"seeds":["",""]}`, `{"refresh_token":"refresh-secret","rejected":true,"intent":{"holder":"x","at":"2026-01-01T00:00:00Z","attempt":-1,"wait":-9223372036854775808}}`,
		`{"refresh_token":"refresh-secret","lost":{"at":"0001-01-01T00:00:00Z","reason":"why"}}`, `{"refresh_token":"refresh-secret","lost":{},"intent":{"wait":9223372036854775807}}`,
		`{"access_token":"access-secret","refresh_token":"refresh-secret","issued_at":"9999-12-31T23:59:59Z","expires_at":"0001-01-01T00:00:00Z"}`,
		`{"version":18446744073709551615,"generation":18446744073709551615,"client":"other","refresh_token":"refresh-secret"}`, `{"refresh_token":7}`,
	} {
		f.Add([]byte(seed), 0.95)
	}
	f.Fuzz(func(t *testing.T, raw []byte, factor float64) {
		now := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
		if r, ok := decodeRecord(raw); ok {
			// What is written back is the same, but for what is empty.
			written, err := json.Marshal(r)
			if err != nil {
				t.Fatalf("%q cannot be written: %v", raw, err)
			}
			again, ok := decodeRecord(written)
			if !ok || !cmp.Equal(r, again, cmp.AllowUnexported(record{}), cmpopts.EquateEmpty()) {
				t.Errorf("%q is read back as %+v", written, again)
			}
			if factor >= 0.95 && factor <= 1.05 && r.usable(now) && !r.due(now, factor) && !r.due(now.Add(maxLifetime), factor) {
				t.Errorf("%q is not refreshed within a year", raw)
			}
		}
		keepsQuiet(t, raw)
	})
}

// keepsQuiet has a keeper find a record. Patreon does not answer.
func keepsQuiet(t *testing.T, raw []byte) {
	t.Helper()
	calls := 0
	store := &stores.Mem{}
	if won, err := store.Swap(t.Context(), "patreon/token", nil, raw); !won || err != nil {
		return // it cannot be in a store
	}
	k, err := NewKeeper(KeeperConfig{
		Store: store, ClientID: "client", ClientSecret: "client-secret",
		HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			calls++
			return nil, errors.New("made up")
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := k.Look(t.Context())
	texts := []string{s.State, s.Problem}
	// The intent of another process would be waited for.
	if r, ok := decodeRecord(raw); ok && r.Intent == nil {
		_, err = k.Token(t.Context())
	}
	if err != nil {
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		for _, secret := range []string{"access-secret", "refresh-secret", "client-secret"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q has the secret %s in it", text, secret)
			}
		}
	}
	if calls > 1 {
		t.Errorf("%d calls", calls)
	}
}
