// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Client is an application that a creator has registered.
type Client struct {
	// ID and Secret are what it shows to the token endpoint.
	ID, Secret string
	// RedirectURIs are where codes may be sent.
	RedirectURIs []string
	// Creator is the id of the user who registered it. Without the scope
	// identity.memberships, only memberships of that user's campaign are shown.
	Creator string
}

// Pair is what the portal or the token endpoint gives.
type Pair struct {
	AccessToken, RefreshToken string
	// ExpiresIn is how long the access token lives.
	ExpiresIn time.Duration
}

// Rotation is what becomes of a refresh token that is used again.
type Rotation string

// What becomes of a refresh token that is used again. The grace is
// [Config.ReuseGrace], counted from the first use.
const (
	// Strict refuses it with invalid_grant. The pair that came of it keeps
	// working.
	Strict Rotation = ""
	// KillOnReuse refuses it and ends the lineage, as RFC 9700 4.14.2 advises.
	KillOnReuse Rotation = "kill on reuse"
	// ReuseGrace gives the same pair again while the grace lasts and that pair
	// was not used itself.
	ReuseGrace Rotation = "same pair"
	// ReuseGraceNew gives another pair while the grace lasts. It replaces the one
	// that came before.
	ReuseGraceNew Rotation = "new pair"
)

// SetRotation changes what becomes of refresh tokens. [Strict] is how a server
// begins.
func (s *Server) SetRotation(r Rotation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rotation = r
}

// lineage is a chain of pairs.
type lineage struct {
	number               int
	client, user         string
	scopes               []string
	ended                string
	refreshes, spentUsed int
	current              Pair
}

func (l *lineage) has(scope string) bool { return slices.Contains(l.scopes, scope) }

func (l *lineage) name() string { return fmt.Sprint(l.number) }

// access is an access token.
type access struct {
	lineage *lineage
	expires time.Time
	revoked bool
}

func (a *access) alive(now time.Time) bool {
	return !a.revoked && a.lineage.ended == "" && now.Before(a.expires)
}

// refresh is a refresh token.
type refresh struct {
	lineage *lineage
	spent   bool
	spentAt time.Time
	// successor is the pair that was given for it.
	successor Pair
}

// code is what a login brings.
type code struct {
	client, user, redirect string
	scopes                 []string
	expires                time.Time
	used                   bool
}

// codeLifetime is how long a code may be exchanged. The true number is not
// known.
const codeLifetime = 5 * time.Minute

// scopes are all that there are.
var scopes = []string{
	"identity", "identity[email]", "identity.memberships", "campaigns", "campaigns.members", "campaigns.members[email]",
	"campaigns.members.address", "campaigns.posts", "w:campaigns.webhook", "campaigns.lives", "w:campaigns.lives",
}

// AllScopes returns every scope of the API.
func AllScopes() []string { return slices.Clone(scopes) }

// AddClient registers a client, or replaces the one with that id.
func (s *Server) AddClient(c Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.RedirectURIs = slices.Clone(c.RedirectURIs)
	s.clients[c.ID] = c
}

// Portal returns the pair that the page of the client shows to the creator.
// Scopes may be left out; then the pair has all. As on the real page, the pair
// that the client had before for this user does not work any more.
func (s *Server) Portal(clientID, userID string, scopes ...string) Pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(scopes) == 0 {
		scopes = AllScopes()
	}
	return s.begins(clientID, userID, scopes).current
}

// begins starts a lineage and ends the one that the client has for the user.
func (s *Server) begins(client, user string, scopes []string) *lineage {
	for _, l := range s.lineages {
		if l.client == client && l.user == user && l.ended == "" {
			l.ended = "replaced"
		}
	}
	l := &lineage{number: len(s.lineages), client: client, user: user, scopes: slices.Clone(scopes)}
	s.lineages = append(s.lineages, l)
	s.next(l)
	return l
}

// next gives a lineage another pair.
func (s *Server) next(l *lineage) Pair {
	if old := s.access[l.current.AccessToken]; old != nil && s.config.KillAccess {
		old.revoked = true
	}
	l.current = Pair{"access-" + rand.Text(), "refresh-" + rand.Text(), s.config.TokenLifetime}
	s.access[l.current.AccessToken] = &access{lineage: l, expires: s.config.Now().Add(s.config.TokenLifetime)}
	s.refresh[l.current.RefreshToken] = &refresh{lineage: l}
	return l.current
}

// Current returns the pair that works at present for a client and a user: the
// last one that was given out, whether or not the answer arrived.
func (s *Server) Current(clientID, userID string) (Pair, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lineages {
		if l.client == clientID && l.user == userID && l.ended == "" {
			return l.current, true
		}
	}
	return Pair{}, false
}

// Revoke makes the server refuse an access token from now on. Its refresh token
// keeps working.
func (s *Server) Revoke(accessToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.access[accessToken]; a != nil {
		a.revoked = true
	}
}

// Disconnect ends what a user has allowed a client: neither token of the pair
// works any more.
func (s *Server) Disconnect(clientID, userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lineages {
		if l.client == clientID && l.user == userID && l.ended == "" {
			l.ended = "disconnected"
		}
	}
}

// Login makes a user the one who agrees when a browser comes to
// /oauth2/authorize. If userID is empty, who comes does not agree.
func (s *Server) Login(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login = userID
}

// authorize sends the browser back with a code. A mistake in the address that
// it would be sent to is told to the person in front of it (RFC 6749 4.1.2.1).
func (c *call) authorize() *answer {
	q := c.URL.Query()
	client, ok := c.s.clients[q.Get("client_id")]
	redirect := q.Get("redirect_uri")
	target, err := url.Parse(redirect)
	if !ok || err != nil || !slices.Contains(client.RedirectURIs, redirect) {
		return page(http.StatusBadRequest, "Invalid client_id or redirect_uri")
	}
	result := url.Values{}
	if q.Has("state") {
		result.Set("state", q.Get("state"))
	}
	wanted := strings.Fields(q.Get("scope"))
	if len(wanted) == 0 {
		wanted = []string{"identity"}
	}
	switch {
	case q.Get("response_type") != "code":
		result.Set("error", "unsupported_response_type")
	case slices.ContainsFunc(wanted, func(scope string) bool { return !slices.Contains(scopes, scope) }):
		result.Set("error", "invalid_scope")
	case c.s.login == "":
		result.Set("error", "access_denied")
	default:
		value := rand.Text()
		c.s.codes[value] = &code{client.ID, c.s.login, redirect, wanted, c.s.config.Now().Add(codeLifetime), false}
		result.Set("code", value)
	}
	given := target.Query()
	maps.Copy(given, result)
	target.RawQuery = given.Encode()
	a := page(http.StatusFound, "Redirecting")
	a.header.Set("Location", target.String())
	return a
}

// refuse is an error of the token endpoint.
func refuse(status int, name, description string) *answer {
	body := object{"error": name}
	if description != "" {
		body["error_description"] = description
	}
	return jsonAnswer(status, "application/json", body)
}

// token gives out pairs.
func (c *call) token() *answer {
	form, refusal := c.form()
	if refusal != nil {
		return refusal
	}
	client, ok := c.s.clients[form.Get("client_id")]
	if !ok || subtle.ConstantTimeCompare([]byte(client.Secret), []byte(form.Get("client_secret"))) == 0 {
		c.s.stats.InvalidClients++
		return refuse(http.StatusUnauthorized, "invalid_client", "")
	}
	if refusal := c.limitToken(client.ID); refusal != nil {
		return refusal
	}
	var pair Pair
	var l *lineage
	switch form.Get("grant_type") {
	case "authorization_code":
		pair, l = c.exchange(client, form)
	case "refresh_token":
		pair, l = c.s.refreshes(client, form.Get("refresh_token"))
	default:
		return refuse(http.StatusBadRequest, "unsupported_grant_type", "")
	}
	if l == nil {
		c.s.stats.InvalidGrants++
		return refuse(http.StatusUnauthorized, "invalid_grant", "")
	}
	return jsonAnswer(http.StatusOK, "application/json", object{
		"access_token":  pair.AccessToken,
		"refresh_token": pair.RefreshToken,
		"expires_in":    int(pair.ExpiresIn / time.Second),
		"scope":         strings.Join(l.scopes, " "),
		"token_type":    "Bearer",
	})
}

// form reads the body. Nothing may stand in the query, where it would be
// logged, and nothing in the Authorization field, which is not looked at.
func (c *call) form() (url.Values, *answer) {
	invalid := func(why string) (url.Values, *answer) {
		return nil, refuse(http.StatusBadRequest, "invalid_request", why)
	}
	if media, _, _ := mime.ParseMediaType(c.Header.Get("Content-Type")); media != "application/x-www-form-urlencoded" {
		return invalid("The body must be application/x-www-form-urlencoded.")
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil || c.URL.RawQuery != "" || c.Header.Get("Authorization") != "" {
		return invalid("Parameters must be sent in the body.")
	}
	for name, values := range form {
		if len(values) > 1 {
			return invalid("A parameter is there more than once.")
		}
		if !slices.Contains([]string{"grant_type", "client_id", "client_secret", "code", "redirect_uri", "refresh_token"}, name) {
			return invalid("There is a parameter that nobody knows.")
		}
	}
	for _, name := range []string{"grant_type", "client_id", "client_secret"} {
		if form.Get(name) == "" {
			return invalid("Missing " + name + " parameter.")
		}
	}
	return form, nil
}

// exchange gives a pair for a code: once, to the client it was made for, and
// with the same address.
func (c *call) exchange(client Client, form url.Values) (Pair, *lineage) {
	got := c.s.codes[form.Get("code")]
	if got == nil || got.client != client.ID || got.redirect != form.Get("redirect_uri") || got.used || !c.s.config.Now().Before(got.expires) {
		return Pair{}, nil
	}
	got.used = true
	c.s.stats.Codes++
	l := c.s.begins(client.ID, got.user, got.scopes)
	return l.current, l
}

// refreshes gives a pair for a refresh token.
func (s *Server) refreshes(client Client, token string) (Pair, *lineage) {
	r := s.refresh[token]
	if r == nil || r.lineage.client != client.ID {
		return Pair{}, nil
	}
	if r.spent {
		return s.reuse(r)
	}
	if r.lineage.ended != "" {
		return Pair{}, nil
	}
	return s.rotate(r), r.lineage
}

// rotate spends a refresh token.
func (s *Server) rotate(r *refresh) Pair {
	s.stats.Refreshes++
	r.lineage.refreshes++
	if !r.spent {
		r.spent, r.spentAt = true, s.config.Now()
	}
	r.successor = s.next(r.lineage)
	return r.successor
}

// reuse is what a refresh token gets that was spent.
func (s *Server) reuse(r *refresh) (Pair, *lineage) {
	s.stats.SpentRefreshTokensUsed++
	r.lineage.spentUsed++
	if s.rotation == KillOnReuse && r.lineage.ended == "" {
		r.lineage.ended = "a refresh token was used twice"
	}
	inGrace := s.config.Now().Sub(r.spentAt) < s.config.ReuseGrace
	after := s.refresh[r.successor.RefreshToken]
	if r.lineage.ended != "" || !inGrace || after == nil || after.spent {
		return Pair{}, nil
	}
	switch s.rotation {
	case ReuseGrace:
		pair := r.successor
		pair.ExpiresIn = s.access[pair.AccessToken].expires.Sub(s.config.Now())
		return pair, r.lineage
	case ReuseGraceNew:
		after.spent, after.spentAt = true, time.Time{} // long ago: it has no grace
		return s.rotate(r), r.lineage
	}
	return Pair{}, nil
}
