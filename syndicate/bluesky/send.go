// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
)

// Send implements [syndicate.Target]. It creates the post's record, and never
// changes one that exists: then the receipt is that one's.
func (t *Target) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	b, err := readBody(a)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	s, err := t.session(ctx)
	if err != nil {
		return syndicate.Receipt{}, notSent(err)
	}
	if b.Record, err = t.upload(ctx, b, a.Number); err != nil {
		return syndicate.Receipt{}, notSent(err)
	}
	rkey := recordKey(s.DID, a.ID)
	err = t.put(ctx, s.DID, rkey, b.Record, nil)
	if e, ok := errors.AsType[*syndicate.Error](err); ok && e.NotSent && e.Refused && !e.Everything && b.Record.thumb() != nil {
		// Whatever the server has against a picture must not stop the post.
		t.logger.WarnContext(ctx, "the server may not like the picture", "target", "bluesky", "post", a.ID, "err", err)
		err = t.put(ctx, s.DID, rkey, b.Record.withThumb(nil), nil)
	}
	if errors.Is(err, errSwap) {
		_, err = t.find(ctx, s.DID, rkey)
		err = unlessNil(unsure, err)
	}
	if err != nil {
		return syndicate.Receipt{}, err
	}
	return receipt(s.DID, rkey), nil
}

// unlessNil changes an error if there is one.
func unlessNil(change func(error) error, err error) error {
	if err == nil {
		return nil
	}
	return change(err)
}

// Reconcile implements [syndicate.Reconciler]. The key of the record is known,
// so one look tells. If it is absent, the request that nobody knows about can
// still be under way; but it creates a record only where none is, and so does
// the next attempt: there will be one, whichever is faster.
func (t *Target) Reconcile(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	s, err := t.session(ctx)
	if err != nil {
		return syndicate.Receipt{}, unsure(err)
	}
	rkey := recordKey(s.DID, a.ID)
	_, err = t.find(ctx, s.DID, rkey)
	if errors.Is(err, errNoRecord) {
		return syndicate.Receipt{}, syndicate.ErrAbsent
	}
	if err != nil {
		return syndicate.Receipt{}, unsure(err)
	}
	return receipt(s.DID, rkey), nil
}

// errSwap is returned if a record is not in the state that was asked for.
var errSwap = errors.New("bluesky: the record is not what it was expected to be")

// put writes a record: a new one if old is nil, or else in place of the one that
// has the address old.
func (t *Target) put(ctx context.Context, did, rkey string, record any, old *string) error {
	const method = "com.atproto.repo.putRecord"
	resp, err := t.authorized(ctx, procedure(method, map[string]any{
		"repo": did, "collection": collection, "rkey": rkey, "record": record, "swapRecord": old,
	}))
	if err != nil {
		return err
	}
	if resp.Status == http.StatusBadRequest && problem(resp) == "InvalidSwap" {
		return errSwap
	}
	if err := t.check(method, resp); err != nil {
		return err
	}
	var answer struct{ URI string }
	if err := t.decode(method, resp, &answer); err != nil {
		return err
	}
	return t.checkURI(method, answer.URI, did, rkey)
}

// checkURI makes sure that an answer is about the record that was asked for. A
// page of a captive network, say, has status 200 as well.
func (t *Target) checkURI(method, got, did, rkey string) error {
	if want := recordURI(did, rkey); got != want {
		return fmt.Errorf("%s: the answer is about %.100q and not about %q", t.name(method), got, want)
	}
	return nil
}

// found is a record as it is on the server.
type found struct {
	URI   string
	CID   string
	Value json.RawMessage
}

// errNoRecord is returned if the server says that there is no such record.
var errNoRecord = errors.New("bluesky: there is no such post")

// find looks for a record.
func (t *Target) find(ctx context.Context, did, rkey string) (found, error) {
	const method = "com.atproto.repo.getRecord"
	resp, err := t.authorized(ctx, request{method: method, query: url.Values{
		"repo": {did}, "collection": {collection}, "rkey": {rkey},
	}})
	if err != nil {
		return found{}, err
	}
	if problem(resp) == "RecordNotFound" {
		return found{}, errNoRecord
	}
	if err := t.check(method, resp); err != nil {
		return found{}, err
	}
	var f found
	if err := t.decode(method, resp, &f); err != nil {
		return found{}, err
	}
	return f, t.checkURI(method, f.URI, did, rkey)
}

// patience is how many attempts are made with a picture that cannot be uploaded.
const patience = 2

// upload puts the picture of a record onto the server, which forgets it after
// some time if no record refers to it. Where that is of no use the record that
// is returned has none: a picture must not stop a post.
func (t *Target) upload(ctx context.Context, b body, attempt int) (post, error) {
	thumb := b.Record.thumb()
	if thumb == nil {
		return b.Record, nil
	}
	pic, err := t.recall(ctx, b)
	if err == nil {
		thumb, err = t.uploadBlob(ctx, pic)
	}
	if err == nil {
		return b.Record.withThumb(thumb), nil
	}
	e, ok := errors.AsType[*syndicate.Error](err)
	if ok && (e.Everything || !e.Refused && attempt <= patience) || ctx.Err() != nil {
		return post{}, err
	}
	t.logger.WarnContext(ctx, "sent without the picture", "target", "bluesky", "err", err)
	return b.Record.withThumb(nil), nil
}

// uploadBlob uploads a picture, and returns how records refer to it.
func (t *Target) uploadBlob(ctx context.Context, pic picture) (*blob, error) {
	const method = "com.atproto.repo.uploadBlob"
	resp, err := t.authorized(ctx, request{method: method, content: pic.content, contentType: pic.mimeType})
	if err != nil {
		return nil, err
	}
	if err := t.check(method, resp); err != nil {
		return nil, err
	}
	return t.uploaded(method, resp, pic)
}

// uploaded reads what the server says of a picture. It may be of another opinion
// on its type, and then only takes a record that says the same.
func (t *Target) uploaded(method string, resp *call.Response, pic picture) (*blob, error) {
	var answer struct{ Blob blob }
	if err := t.decode(method, resp, &answer); err != nil {
		return nil, err
	}
	want := pic.blob()
	if answer.Blob.MimeType != "" && len(answer.Blob.MimeType) < 100 {
		want.MimeType = answer.Blob.MimeType
	}
	if answer.Blob.Ref != want.Ref {
		return nil, fmt.Errorf("%s: the server has another picture than was sent", t.name(method))
	}
	return want, nil
}
