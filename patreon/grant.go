// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// tokenPath is where tokens are given out, and authorizePath where people are
// asked: https://docs.patreon.com/#oauth.
const (
	tokenPath     = "/api/oauth2/token"
	authorizePath = "/oauth2/authorize"
)

// unknownLifetime is how long a token is taken to last of which that was not
// told. For ever would mean that it is never refreshed, and rots.
const unknownLifetime = time.Hour

// maxLifetime keeps what a server says within what can be reckoned with.
const maxLifetime = 366 * 24 * time.Hour

// grant is an answer of the token endpoint.
type grant struct {
	access, refresh, scope string
	at                     time.Time // when it came, by the local clock
	lifetime               time.Duration
	skew                   time.Duration // the server's clock less the local one
}

// requestGrant calls the token endpoint once. Client id and secret go into the
// form, as Patreon wants them.
func (k *Keeper) requestGrant(ctx context.Context, form url.Values) (grant, error) {
	form.Set("client_id", k.cfg.ClientID)
	form.Set("client_secret", k.cfg.ClientSecret.Reveal())
	r := request{
		method: http.MethodPost,
		path:   tokenPath,
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		body:   []byte(form.Encode()),
	}
	for _, secret := range []string{k.cfg.ClientSecret.Reveal(), form.Get("refresh_token"), form.Get("code")} {
		r.secrets = append(r.secrets, secret, url.QueryEscape(secret)) // as it is sent, too
	}
	answer, err := k.endpoint.do(ctx, r)
	if err != nil {
		return grant{}, err
	}
	g, err := readGrant(answer, time.Now())
	if err == nil && g.refresh == "" && form.Get("refresh_token") == "" {
		return grant{}, fmt.Errorf("patreon: POST %s: %w: there is no refresh_token in it, and none before it that could stay", tokenPath, ErrMalformed)
	}
	return g, err
}

// readGrant takes the tokens out of an answer, RFC 6749 5.1.
func readGrant(a *response, now time.Time) (grant, error) {
	// What is of another type than it should be must not cost the rest: the
	// refresh token is spent by now.
	var doc struct {
		Access  any             `json:"access_token"`
		Refresh any             `json:"refresh_token"`
		Scope   any             `json:"scope"`
		Expires json.RawMessage `json:"expires_in"`
	}
	if err := json.Unmarshal(a.body, &doc); err != nil {
		// The decoder's error can quote what it has read.
		return grant{}, fmt.Errorf("patreon: POST %s: %w: %d bytes of type %q that are not the JSON of a token",
			tokenPath, ErrMalformed, len(a.body), a.header.Get("Content-Type"))
	}
	access, refresh := text(doc.Access), text(doc.Refresh)
	if !isToken(access) || refresh != "" && !isToken(refresh) {
		return grant{}, fmt.Errorf("patreon: POST %s: %w: there is no usable access_token in it", tokenPath, ErrMalformed)
	}
	g := grant{access: access, refresh: refresh, scope: text(doc.Scope), at: now, lifetime: lifetime(doc.Expires)}
	if date, err := http.ParseTime(a.header.Get("Date")); err == nil {
		g.skew = date.Sub(now)
	}
	return g, nil
}

// isToken reports whether s can be sent as a token: RFC 6749 A.12 allows what
// can be seen, and a bearer token goes into a header field.
func isToken(s string) bool {
	return s != "" && len(s) <= 4096 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// lifetime reads expires_in, seconds, which some servers write as a string.
func lifetime(raw json.RawMessage) time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || math.IsNaN(seconds) || math.IsInf(seconds, 0) || seconds < 1 {
		return unknownLifetime
	}
	return time.Duration(min(seconds, maxLifetime.Seconds()) * float64(time.Second))
}
