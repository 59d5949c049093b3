// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodontest

import (
	"crypto/rand"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

type app struct {
	id             int64
	name, website  string
	redirects      []string
	scopes         []string
	client, secret string
}

type account struct {
	id   int64
	name string
	made time.Time
}

// grant is what a user agreed to.
type grant struct {
	app      *app
	account  *account
	redirect string
	scopes   []string
}

type token struct {
	value    string
	app      *app
	account  *account // nil is the application itself
	scopes   []string
	made     time.Time
	period   time.Time // the five minutes that requests are counted in
	requests int
}

// anyScope is for what every token may do.
const anyScope = "*"

// oob is the redirect address of programs that have none: the code is shown.
const oob = "urn:ietf:wg:oauth:2.0:oob"

// Token returns a token as a user makes it in the settings, under Development,
// with the name of an application. The user need not have been there before.
func (s *Server) Token(user, application string, scopes ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &app{id: s.nextID(), name: application, redirects: []string{oob}, scopes: scopes, client: rand.Text(), secret: rand.Text()}
	s.apps = append(s.apps, a)
	return s.newToken(&grant{app: a, account: s.account(user), scopes: scopes}).value
}

// Revoke makes a token worth nothing.
func (s *Server) Revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

func (s *Server) newToken(g *grant) *token {
	t := &token{value: rand.Text(), app: g.app, account: g.account, scopes: g.scopes, made: time.Now()}
	s.tokens[t.value] = t
	return t
}

// account returns the account of a name.
func (s *Server) account(name string) *account {
	for _, a := range s.accounts {
		if a.name == name {
			return a
		}
	}
	a := &account{id: s.nextID(), name: name, made: time.Now()}
	s.accounts = append(s.accounts, a)
	return a
}

// refuses returns what is wrong with the request's token, or nil.
func (q *request) refuses(scope string) answer {
	switch {
	case scope == "":
		return nil
	case q.token == nil:
		return refuse(http.StatusUnauthorized, "The access token is invalid")
	case scope == anyScope:
		return nil
	case !covers(q.token.scopes, scope):
		return refuse(http.StatusForbidden, "This action is outside the authorized scopes")
	case q.token.account == nil:
		return refuse(http.StatusUnprocessableEntity, "This method requires an authenticated user")
	}
	return nil
}

// covers reports whether one of the scopes is the wanted one, or a wider one.
func covers(scopes []string, wanted string) bool {
	wide, _, _ := strings.Cut(wanted, ":")
	return slices.Contains(scopes, wanted) || slices.Contains(scopes, wide) ||
		wanted == "read:accounts" && slices.Contains(scopes, "profile")
}

func known(scope string) bool {
	wide, narrow, _ := strings.Cut(scope, ":")
	parts := []string{"", "accounts", "blocks", "bookmarks", "conversations", "favourites", "filters", "follows", "lists", "media", "mutes", "notifications", "reports", "search", "statuses"}
	switch wide {
	case "read", "write":
		return slices.Contains(parts, narrow)
	}
	return slices.Contains([]string{"follow", "push", "profile"}, scope)
}

func (q *request) createApp() answer {
	name, redirects := q.params.Get("client_name"), strings.Fields(q.params.Get("redirect_uris"))
	redirects = append(redirects, q.list("redirect_uris")...)
	scopes := strings.Fields(q.params.Get("scopes"))
	if len(scopes) == 0 {
		scopes = []string{"read"}
	}
	switch {
	case name == "":
		return invalid("Application name can't be blank")
	case len(redirects) == 0:
		return invalid("Redirect URI can't be blank")
	case slices.ContainsFunc(redirects, func(r string) bool { u, err := url.Parse(r); return err != nil || u.Scheme == "" }):
		return invalid("Redirect URI must be an absolute URI.")
	case slices.ContainsFunc(scopes, func(s string) bool { return !known(s) }):
		return invalid("Scopes doesn't match configured on the server.")
	}
	a := &app{id: q.server.nextID(), name: name, website: q.params.Get("website"), redirects: redirects, scopes: scopes, client: rand.Text(), secret: rand.Text()}
	q.server.apps = append(q.server.apps, a)
	made := a.object()
	made["client_id"], made["client_secret"], made["client_secret_expires_at"] = a.client, a.secret, 0
	return ok(made)
}

func (a *app) object() object {
	return object{
		"id": format(a.id), "name": a.name, "website": nullable(a.website), "scopes": a.scopes,
		"redirect_uris": a.redirects, "redirect_uri": strings.Join(a.redirects, "\n"), "vapid_key": "",
	}
}

func (q *request) showApp() answer { return ok(q.token.app.object()) }

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// app returns the application that asks, by its id.
func (q *request) app() *app {
	for _, a := range q.server.apps {
		if a.client == q.params.Get("client_id") {
			return a
		}
	}
	return nil
}

// asks returns what an application asks a user for, or what is wrong with it.
func (q *request) asks() (*grant, *document) {
	a := q.app()
	if a == nil {
		return nil, refuse(http.StatusUnauthorized, "Client authentication failed due to unknown client, no client authentication included, or unsupported authentication method.")
	}
	g := &grant{app: a, redirect: q.params.Get("redirect_uri"), scopes: strings.Fields(q.params.Get("scope"))}
	if len(g.scopes) == 0 {
		g.scopes = []string{"read"}
	}
	switch {
	case q.params.Get("response_type") != "code":
		return nil, refuse(http.StatusBadRequest, "The authorization server does not support this response type.")
	case !slices.Contains(a.redirects, g.redirect):
		return nil, refuse(http.StatusBadRequest, "The redirect uri included is not valid.")
	case !a.may(g.scopes):
		return nil, refuse(http.StatusBadRequest, "The requested scope is invalid, unknown, or malformed.")
	}
	return g, nil
}

// may reports whether the application was registered for all the scopes.
func (a *app) may(scopes []string) bool {
	return !slices.ContainsFunc(scopes, func(s string) bool { return !covers(a.scopes, s) })
}

// page is an answer for people.
type page struct{ title, body string }

func (p page) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!DOCTYPE html><title>%s</title>%s", html.EscapeString(p.title), p.body)
}

// redirect is an answer that leads elsewhere.
type redirect string

func (r redirect) write(w http.ResponseWriter) {
	w.Header().Set("Location", string(r))
	w.WriteHeader(http.StatusFound)
}

func (q *request) askUser() answer {
	g, refusal := q.asks()
	if refusal != nil {
		return refusal
	}
	var form strings.Builder
	form.WriteString(`<form method="post" action="/oauth/authorize">`)
	for name := range q.params {
		fmt.Fprintf(&form, `<input type="hidden" name="%s" value="%s">`, html.EscapeString(name), html.EscapeString(q.params.Get(name)))
	}
	form.WriteString(`<input name="username"><input name="password" type="password"><button>Authorize</button></form>`)
	return page{"Authorize " + g.app.name, form.String()}
}

func (q *request) userAgrees() answer {
	g, refusal := q.asks()
	if refusal != nil {
		return refusal
	}
	if q.params.Get("password") != q.server.config.Password || q.params.Get("username") == "" {
		return redirect("/auth/sign_in")
	}
	g.account = q.server.account(q.params.Get("username"))
	code := rand.Text()
	q.server.codes[code] = g
	if g.redirect == oob {
		return page{"Authorization code", "<code>" + code + "</code>"}
	}
	to, _ := url.Parse(g.redirect)
	query := to.Query()
	query.Set("code", code)
	if state := q.params.Get("state"); state != "" {
		query.Set("state", state)
	}
	to.RawQuery = query.Encode()
	return redirect(to.String())
}

func oauthError(status int, code, text string) answer {
	return &document{status: status, value: object{"error": code, "error_description": text}}
}

func (q *request) createToken() answer {
	a := q.app()
	if id, secret, ok := q.BasicAuth(); ok {
		q.params.Set("client_id", id)
		q.params.Set("client_secret", secret)
		a = q.app()
	}
	if a == nil || q.params.Get("client_secret") != a.secret {
		return oauthError(http.StatusUnauthorized, "invalid_client", "Client authentication failed due to unknown client, no client authentication included, or unsupported authentication method.")
	}
	switch q.params.Get("grant_type") {
	case "client_credentials":
		scopes := strings.Fields(q.params.Get("scope"))
		if len(scopes) == 0 {
			scopes = []string{"read"}
		}
		if !a.may(scopes) {
			return oauthError(http.StatusBadRequest, "invalid_scope", "The requested scope is invalid, unknown, or malformed.")
		}
		return q.server.newToken(&grant{app: a, scopes: scopes}).answer()
	case "authorization_code":
		g := q.server.codes[q.params.Get("code")]
		if g == nil || g.app != a || g.redirect != q.params.Get("redirect_uri") {
			return oauthError(http.StatusBadRequest, "invalid_grant", "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client.")
		}
		delete(q.server.codes, q.params.Get("code"))
		return q.server.newToken(g).answer()
	}
	return oauthError(http.StatusBadRequest, "unsupported_grant_type", "The authorization grant type is not supported by the authorization server.")
}

func (t *token) answer() answer {
	return ok(object{"access_token": t.value, "token_type": "Bearer", "scope": strings.Join(t.scopes, " "), "created_at": t.made.Unix()})
}

func (q *request) revokeToken() answer {
	a, t := q.app(), q.server.tokens[q.params.Get("token")]
	if a == nil || q.params.Get("client_secret") != a.secret || t != nil && t.app != a {
		return oauthError(http.StatusForbidden, "unauthorized_client", "You are not authorized to revoke this token")
	}
	delete(q.server.tokens, q.params.Get("token"))
	return ok(object{})
}
