// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"xeiaso.net/site/internal/secret"
)

// Secret is a string that does not print itself: a token, a client's secret, a
// webhook's secret. Its Reveal method returns the value.
type Secret = secret.String

// Token is an access token.
type Token struct {
	// Access is what is sent as the bearer token.
	Access Secret `json:"-"`

	// Expires is when it ends by the local clock. The zero value means that this
	// is not known.
	Expires time.Time

	// Generation numbers the tokens of one lineage: it rises with each refresh.
	Generation uint64

	// Scope is what the token may be used for, separated by blanks, as the token
	// endpoint told. It may be empty.
	Scope string
}

// A TokenSource gives out access tokens. It is safe for concurrent use.
// [StaticToken], [Keeper] and [RemoteTokenSource] are some.
type TokenSource interface {
	// Token returns a token that is usable at present, as far as is known.
	Token(ctx context.Context) (Token, error)
}

// A Reporter is a [TokenSource] that wants to hear when Patreon does not take a
// token of its own. A [Client] reports, asks for a token again, and if it is
// another one, tries once more.
type Reporter interface {
	TokenSource
	// ReportUnauthorized tells that a request with the token was answered with
	// status 401. It returns when it is known what to do about it; nil does not
	// mean that there is another token now.
	ReportUnauthorized(ctx context.Context, token Token) error
}

// StaticToken is a [TokenSource] of one token that never changes, such as the
// creator's access token from the page of the client, for programs that run now
// and then by hand.
type StaticToken Secret

// Format writes a placeholder, whatever the verb.
func (t StaticToken) Format(f fmt.State, verb rune) { Secret(t).Format(f, verb) }

// LogValue returns a placeholder.
func (t StaticToken) LogValue() slog.Value { return Secret(t).LogValue() }

// MarshalText returns a placeholder.
func (t StaticToken) MarshalText() ([]byte, error) { return Secret(t).MarshalText() }

// Token returns the token, or an error if it is empty.
func (t StaticToken) Token(context.Context) (Token, error) {
	if t == "" {
		return Token{}, errors.New("patreon: the access token is empty")
	}
	return Token{Access: Secret(t)}, nil
}
