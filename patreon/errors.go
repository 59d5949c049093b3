// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// What an error from Patreon means for the caller. They are matched with
// [errors.Is]; the error itself is an [*Error].
var (
	// ErrUnauthorized: Patreon does not take the access token.
	ErrUnauthorized = errors.New("patreon: the access token is not accepted")
	// ErrForbidden: the token is valid, and lacks a scope or a right.
	ErrForbidden = errors.New("patreon: not allowed with this token")
	// ErrChallenge: something in front of Patreon answered with a page made for
	// people, as it does to addresses and user agents that it does not trust.
	ErrChallenge = errors.New("patreon: a page for browsers came in place of an answer")
	// ErrNotFound: there is no such resource, or the token cannot see it.
	ErrNotFound = errors.New("patreon: not found")
	// ErrGone: the resource, or this part of the API, was removed.
	ErrGone = errors.New("patreon: gone")
	// ErrRateLimited: too many requests; [Error.RetryAfter] may say how long to
	// wait.
	ErrRateLimited = errors.New("patreon: too many requests")
	// ErrUnavailable: a status of 5xx; the same request may succeed later.
	ErrUnavailable = errors.New("patreon: not available at present")
	// ErrInvalidGrant: the token endpoint does not take a refresh token or a
	// code; trying again does not help.
	ErrInvalidGrant = errors.New("patreon: the refresh token or code is not accepted")
	// ErrInvalidClient: the token endpoint does not take client id and secret.
	ErrInvalidClient = errors.New("patreon: client id and secret are not accepted")
	// ErrMalformed: an answer with a good status is not what the API promises.
	ErrMalformed = errors.New("patreon: the answer cannot be understood")
)

// Error is an answer of Patreon that is not a success. It has no secrets: what
// was sent with the request is cut out of the server's own words.
type Error struct {
	// Request is the method and the path, without the query: "GET
	// /api/oauth2/v2/identity".
	Request string

	// Status is the HTTP status.
	Status int

	// Code, Name, Title, Detail, ID and Parameter are those of the first error
	// of a JSON:API answer, code_name being Name. Code is 0 where it is null.
	// Of an error of the token endpoint (RFC 6749 5.2), Name is "error" and
	// Detail is "error_description".
	Code                               int
	Name, Title, Detail, ID, Parameter string

	// RequestID is what Patreon's support can find the request by: x-patreon-uuid,
	// or cf-ray.
	RequestID string

	// RetryAfter is how long to wait, as the answer says. 0 means that it does not.
	RetryAfter time.Duration

	// HTML tells that the answer was a page for browsers.
	HTML bool
}

// What a [TokenServer] calls its errors that mean something to a program.
const (
	nameLineageLost = "lineage_lost"
	nameNoTokens    = "no_tokens"
)

// Error returns one line.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "patreon: %s: status %d", e.Request, e.Status)
	if e.HTML {
		b.WriteString(" with a page for browsers")
	}
	for _, part := range []string{e.Name, e.Title, e.Detail} {
		if part != "" && !strings.Contains(b.String(), part) {
			b.WriteString(": " + part)
		}
	}
	if e.Parameter != "" {
		fmt.Fprintf(&b, " (parameter %q)", e.Parameter)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; to be tried again in %s", e.RetryAfter)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " [request %s]", e.RequestID)
	}
	return b.String()
}

// Is reports whether target is the sentinel for this answer.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrInvalidGrant:
		return e.Name == "invalid_grant"
	case ErrInvalidClient:
		return e.Name == "invalid_client"
	case ErrChallenge:
		return e.HTML && (e.Status == http.StatusForbidden || e.Status < 300)
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized && e.Name != "invalid_grant" && e.Name != "invalid_client"
	case ErrForbidden:
		return e.Status == http.StatusForbidden && !e.HTML
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrGone:
		return e.Status == http.StatusGone
	case ErrRateLimited:
		return e.Status == http.StatusTooManyRequests
	case ErrUnavailable:
		return e.Status >= 500
	case ErrLineageLost: // as a [TokenServer] says it, and likewise the next
		return e.Name == nameLineageLost
	case ErrNoTokens:
		return e.Name == nameNoTokens
	}
	return false
}
