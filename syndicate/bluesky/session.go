// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
)

// session is what the server gave for the password. The access token is good
// for two hours, and the other for a new pair within three months. No two
// sessions have the same tokens, so the store can tell them apart by content.
type session struct {
	DID     string `json:"did"`
	Handle  string `json:"handle"`
	Access  string `json:"access"`
	Refresh string `json:"refresh"`
}

// maxToken is how long a token may be, so that a session fits into a store.
const maxToken = 16 << 10

func (s session) valid() bool {
	return isDID(s.DID) && s.Access != "" && s.Refresh != "" && len(s.Access) <= maxToken && len(s.Refresh) <= maxToken &&
		!strings.ContainsAny(s.Access+s.Refresh, " \t\r\n\x00")
}

// authorized makes a request with the session's token. A request that was
// refused because of the token did nothing, and is made again with another one.
// Errors about the session promise that nothing was sent.
func (t *Target) authorized(ctx context.Context, r request) (*call.Response, error) {
	s, err := t.session(ctx)
	if err != nil {
		return nil, err
	}
	// The third token is for when another process has put one in place that is
	// no good either.
	for range 3 {
		r.token = s.Access
		resp, err := t.do(ctx, r)
		if err != nil || !tokenRefused(resp) {
			return resp, err
		}
		if s, err = t.renew(ctx, s); err != nil {
			return nil, err
		}
	}
	return nil, &syndicate.Error{Err: fmt.Errorf("%s: the server refuses the token that it has just given", t.name(r.method)), NotSent: true, Everything: true}
}

// tokenRefused reports whether a request was refused for its token. The official
// server says so with status 400.
func tokenRefused(resp *call.Response) bool {
	name := problem(resp)
	return resp.Status == http.StatusUnauthorized || resp.Status == http.StatusBadRequest && (name == "ExpiredToken" || name == "InvalidToken")
}

// session returns the present session: the one in memory, the stored one, or
// else a new one.
func (t *Target) session(ctx context.Context) (session, error) {
	t.login.Lock()
	defer t.login.Unlock()
	if t.now.valid() {
		return t.now, nil
	}
	kept, raw, err := t.load(ctx)
	if err != nil {
		return session{}, err
	}
	if kept.valid() {
		t.now = kept
		return kept, nil
	}
	made, err := t.create(ctx)
	if err != nil {
		return session{}, notSent(err)
	}
	t.now = t.save(ctx, raw, made)
	return t.now, nil
}

// renew returns a session in place of one whose access token was refused. Where
// another goroutine or process has renewed it already, it is theirs.
func (t *Target) renew(ctx context.Context, stale session) (session, error) {
	t.login.Lock()
	defer t.login.Unlock()
	if t.now.valid() && t.now != stale {
		return t.now, nil
	}
	kept, raw, err := t.load(ctx)
	if err != nil {
		return session{}, err
	}
	if kept.valid() && kept.Access != stale.Access {
		t.now = kept
		return kept, nil
	}
	fresh, err := t.refresh(ctx, stale)
	if e, ok := errors.AsType[*syndicate.Error](err); ok && e.Refused {
		fresh, err = t.create(ctx)
	}
	if err != nil {
		return session{}, notSent(err)
	}
	// The account may be called otherwise by now, and is the same.
	if fresh.DID != stale.DID {
		return session{}, t.refuse(fmt.Errorf("bluesky: %s was %s and is %s now: if that is intended, remove %q from the store", t.handle, stale.DID, fresh.DID, t.key))
	}
	t.now = t.save(ctx, raw, fresh)
	return t.now, nil
}

// create makes a session with the password.
func (t *Target) create(ctx context.Context) (session, error) {
	const method = "com.atproto.server.createSession"
	resp, err := t.do(ctx, procedure(method, map[string]string{"identifier": t.handle, "password": t.password.Reveal()}))
	if err != nil {
		return session{}, everything(err)
	}
	err = t.check(method, resp)
	switch name := problem(resp); {
	case name == "AuthFactorTokenRequired":
		return session{}, t.refuse(fmt.Errorf("%w: the password is the account's own; %s", err, makeOne))
	case resp.Status == http.StatusUnauthorized:
		return session{}, t.refuse(fmt.Errorf("%w: the app password or the handle %q is wrong; %s", err, t.handle, makeOne))
	case err != nil:
		return session{}, everything(err)
	}
	s, err := t.accept(method, resp)
	if err == nil && s.Handle != t.handle && s.DID != t.handle {
		return session{}, t.refuse(fmt.Errorf("bluesky: the server says that %q is the account %q: set the handle that it has now", t.handle, s.Handle))
	}
	return s, err
}

// refresh makes a session out of the one before, which the server then forgets.
// For some time it answers to the old token as it did before, so nothing is lost
// if this process ends before the new one is stored.
func (t *Target) refresh(ctx context.Context, old session) (session, error) {
	const method = "com.atproto.server.refreshSession"
	resp, err := t.do(ctx, request{method: method, token: old.Refresh})
	if err != nil {
		return session{}, everything(err)
	}
	if err := t.check(method, resp); err != nil {
		return session{}, everything(err)
	}
	return t.accept(method, resp)
}

// accept reads a session that the server gave.
func (t *Target) accept(method string, resp *call.Response) (session, error) {
	var given struct {
		DID, Handle           string
		AccessJWT, RefreshJWT string
	}
	if err := t.decode(method, resp, &given); err != nil {
		return session{}, everything(err)
	}
	s := session{given.DID, strings.ToLower(given.Handle), given.AccessJWT, given.RefreshJWT}
	if !s.valid() {
		return session{}, everything(fmt.Errorf("%s: the answer is not a session", t.name(method)))
	}
	return s, nil
}

// refuse makes an error for which a person is needed.
func (*Target) refuse(err error) error {
	return &syndicate.Error{Err: err, NotSent: true, Refused: true, Everything: true}
}

// everything says of an error that it is not about one post.
func everything(err error) error {
	e := asError(err)
	e.Everything = true
	return e
}

// load returns the stored session, and as what it is stored. Both are empty if
// there is none, and the session is if it is damaged.
func (t *Target) load(ctx context.Context) (s session, raw []byte, err error) {
	if t.store == nil {
		return session{}, nil, nil
	}
	raw, err = t.store.Load(ctx, t.key)
	if errors.Is(err, fs.ErrNotExist) {
		return session{}, nil, nil
	}
	if err != nil {
		// Without the stored one every start would make a session, until the
		// server allows no more.
		return session{}, nil, &syndicate.Error{Err: fmt.Errorf("bluesky: load the session: %w", err), NotSent: true, Everything: true}
	}
	if json.Unmarshal(raw, &s) != nil || !s.valid() {
		return session{}, raw, nil
	}
	return s, raw, nil
}

// save stores a session in place of the one that was loaded, and returns the one
// to use: another process may have been faster. A session that cannot be stored
// is good as long as the process.
func (t *Target) save(ctx context.Context, old []byte, s session) session {
	if t.store == nil {
		return s
	}
	raw, err := json.Marshal(s)
	won := false
	if err == nil {
		won, err = t.store.Swap(ctx, t.key, old, raw)
	}
	if err != nil {
		t.logger.WarnContext(ctx, "could not keep the session", "target", "bluesky", "err", err)
		return s
	}
	if !won {
		if theirs, _, err := t.load(ctx); err == nil && theirs.valid() && theirs.DID == s.DID {
			return theirs
		}
	}
	return s
}
