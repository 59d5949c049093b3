// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"xeiaso.net/site/syndicate"
)

// Edit implements [syndicate.Editor]. What the record has besides, such as its
// time, stays; so does an embed that is no card. Readers are not told, and some
// programs go on to show what they saw first.
func (t *Target) Edit(ctx context.Context, a syndicate.Attempt, r syndicate.Receipt) (syndicate.Receipt, error) {
	b, err := readBody(a)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	s, rkey, err := t.own(ctx, r)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	old, err := t.find(ctx, s.DID, rkey)
	if errors.Is(err, errNoRecord) {
		return syndicate.Receipt{}, refused(fmt.Errorf("%w at %s: it was deleted there", err, r.URL))
	}
	if err != nil {
		return syndicate.Receipt{}, err
	}
	changed, err := t.replace(ctx, old, b, a.Number)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	if !bytes.Equal(canonical(changed), canonical(old.Value)) {
		err = t.put(ctx, s.DID, rkey, json.RawMessage(changed), &old.CID)
	}
	if errors.Is(err, errSwap) {
		// Somebody was faster: next time it is their record that is changed.
		err = notSent(err)
	}
	if err != nil {
		return syndicate.Receipt{}, err
	}
	return receipt(s.DID, rkey), nil
}

// replace returns a record with what is new in the place of what was there.
func (t *Target) replace(ctx context.Context, old found, b body, attempt int) ([]byte, error) {
	var fields map[string]json.RawMessage
	var was post
	if json.Unmarshal(old.Value, &fields) != nil || json.Unmarshal(old.Value, &was) != nil || was.Type != collection {
		return nil, refused(errors.New("bluesky: what is to be edited is no post"))
	}
	thumb := was.thumb()
	if now := b.Record.thumb(); now == nil || thumb == nil || thumb.Ref != now.Ref {
		record, err := t.upload(ctx, b, attempt)
		if err != nil {
			return nil, notSent(err)
		}
		thumb = record.thumb()
	}
	raw, err := json.Marshal(b.Record.withThumb(thumb))
	if err != nil {
		return nil, err
	}
	var now map[string]json.RawMessage
	if err := json.Unmarshal(raw, &now); err != nil {
		return nil, err
	}
	for _, name := range []string{"text", "facets", "langs", "labels", "tags", "embed"} {
		if name == "embed" && was.Embed != nil && was.Embed.Type != cardType {
			continue
		}
		delete(fields, name)
		if value, ok := now[name]; ok {
			fields[name] = value
		}
	}
	return json.Marshal(fields)
}

// canonical returns a JSON value as package json writes it, so that equal ones
// are equal bytes.
func canonical(raw json.RawMessage) []byte {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	out, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return out
}

// Delete implements [syndicate.Deleter].
func (t *Target) Delete(ctx context.Context, r syndicate.Receipt) error {
	const method = "com.atproto.repo.deleteRecord"
	s, rkey, err := t.own(ctx, r)
	if err != nil {
		return err
	}
	resp, err := t.authorized(ctx, procedure(method, map[string]string{"repo": s.DID, "collection": collection, "rkey": rkey}))
	if err != nil {
		return err
	}
	return t.check(method, resp)
}

// keyForm is what keys of records look like.
var keyForm = regexp.MustCompile(`^[A-Za-z0-9._:~-]{1,512}$`)

// own returns the key of the record that has a receipt, and the session for the
// account. A receipt that a person made may have an address only.
func (t *Target) own(ctx context.Context, r syndicate.Receipt) (session, string, error) {
	s, err := t.session(ctx)
	if err != nil {
		return session{}, "", err
	}
	account, rkey := parts(r)
	if account != s.DID && account != s.Handle || !keyForm.MatchString(rkey) {
		return session{}, "", refused(fmt.Errorf("bluesky: %q at %q is no post of %s", r.ID, r.URL, t.handle))
	}
	return s, rkey, nil
}

// parts takes account and key of a record out of a receipt.
func parts(r syndicate.Receipt) (account, rkey string) {
	if rest, ok := strings.CutPrefix(r.ID, "at://"); ok {
		account, rkey, _ = strings.Cut(rest, "/"+collection+"/")
		return account, rkey
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return "", ""
	}
	rest, ok := strings.CutPrefix(u.Path, "/profile/")
	if !ok {
		return "", ""
	}
	account, rkey, _ = strings.Cut(rest, "/post/")
	return account, strings.TrimSuffix(rkey, "/")
}
