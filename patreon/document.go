// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
)

// Document is a JSON:API document with one resource and what is included: the
// body of an answer, or of a call to a webhook. It is read only, and safe for
// concurrent use.
type Document struct {
	ref  Ref
	data any
	err  error
	in   *index
}

// ParseDocument reads a document with one resource. The id of that resource may
// be null, as it is in the calls that Patreon's portal makes for a test. Errors
// match [ErrMalformed].
func ParseDocument(body []byte) (*Document, error) {
	e, err := open(body)
	if err != nil {
		return nil, &detailed{ErrMalformed, "patreon: document: " + err.Error()}
	}
	if jsonKind(e.data) != "an object" {
		return nil, &detailed{ErrMalformed, "patreon: document: data: " + mismatch(e.data, "a resource").Error()}
	}
	d := &Document{in: newIndex(e.included, nil)}
	p := partsOf(e.data)
	if d.ref, err = p.ref("resource", true); err != nil {
		return nil, err
	}
	d.data, d.err = decodeAny(d.ref, p, d.in)
	return d, nil
}

// Ref returns type and id of the resource.
func (d *Document) Ref() Ref { return d.ref }

// Data returns the resource with the type that this package has for it:
// [Member], [Post] and so on, or [Unknown]. If an attribute is not what the API
// promises, the resource comes without it, and with an error that matches
// [ErrMalformed].
func (d *Document) Data() (any, error) { return d.data, d.err }

// Included returns an included resource with the type that this package has for
// it, or an error that matches [ErrNotIncluded] or [ErrMalformed].
func (d *Document) Included(ref Ref) (any, error) {
	return lookup[any](link{state: stateGiven, in: d.in}, ref)
}

// envelope is the top of a document, as it stands.
type envelope struct {
	data, included, meta, links []byte
}

// open checks a body and takes it apart.
func open(body []byte) (e envelope, err error) {
	if !json.Valid(body) {
		var v json.RawMessage
		return e, fmt.Errorf("it is not JSON, or not all of it: %w", json.Unmarshal(body, &v))
	}
	start := skipBlank(body, 0)
	if body[start] != '{' {
		return e, mismatch(body[start:], "an object")
	}
	for name, value := range jsonMembers(body) {
		switch string(name) {
		case "data":
			e.data = value
		case "included":
			e.included = value
		case "meta":
			e.meta = value
		case "links":
			e.links = value
		}
	}
	if e.data == nil {
		return e, errors.New("it has no data")
	}
	if e.included != nil && jsonKind(e.included) != "a list" && jsonKind(e.included) != "null" {
		return e, fmt.Errorf("included: %w", mismatch(e.included, "a list"))
	}
	return e, nil
}

// index is what an answer includes, by type and id. It does not change once it
// is made.
type index struct {
	entries map[Ref]entry
	asked   []askedFor
	// faults are what is wrong in it.
	faults []error
}

// entry is an included resource.
type entry struct {
	value any
	err   error
}

// askedFor is a relationship whose resources were to be included.
type askedFor struct {
	owner Type
	name  string
}

func newIndex(included []byte, asked []askedFor) *index {
	in := &index{entries: map[Ref]entry{}, asked: asked}
	for raw := range jsonElements(included) {
		p := partsOf(raw)
		ref, err := p.ref("included resource", false)
		if err == nil {
			if _, twice := in.entries[ref]; twice {
				continue
			}
			var value any
			value, err = decodeAny(ref, p, in)
			in.entries[ref] = entry{value, err}
		}
		if err != nil {
			in.faults = append(in.faults, err)
		}
	}
	return in
}

func (in *index) get(ref Ref) (entry, bool) {
	if in == nil {
		return entry{}, false
	}
	found, ok := in.entries[ref]
	return found, ok
}

func (in *index) wasAsked(owner Type, name []byte) bool {
	for _, a := range in.asked {
		if a.owner == owner && a.name == string(name) {
			return true
		}
	}
	return false
}

// decodeAny decodes a resource of whatever type it says it has.
func decodeAny(ref Ref, p parts, in *index) (any, error) {
	switch ref.Type {
	case TypeAddress:
		return decodeAs[Address](ref.ID, p, in)
	case TypeBenefit:
		return decodeAs[Benefit](ref.ID, p, in)
	case TypeCampaign:
		return decodeAs[Campaign](ref.ID, p, in)
	case TypeClient:
		return decodeAs[OAuthClient](ref.ID, p, in)
	case TypeDeliverable:
		return decodeAs[Deliverable](ref.ID, p, in)
	case TypeGoal:
		return decodeAs[Goal](ref.ID, p, in)
	case TypeMedia:
		return decodeAs[Media](ref.ID, p, in)
	case TypeMember:
		return decodeAs[Member](ref.ID, p, in)
	case TypePledgeEvent:
		return decodeAs[PledgeEvent](ref.ID, p, in)
	case TypePost:
		return decodeAs[Post](ref.ID, p, in)
	case TypeTier:
		return decodeAs[Tier](ref.ID, p, in)
	case TypeUser:
		return decodeAs[User](ref.ID, p, in)
	case TypeWebhook:
		return decodeAs[Webhook](ref.ID, p, in)
	}
	unknown := Unknown{Type: ref.Type}
	err := fill(&unknown, ref.ID, p, in)
	return unknown, err
}

func decodeAs[T any, R resourceOf[T]](id string, p parts, in *index) (T, error) {
	var v T
	err := fill(R(&v), id, p, in)
	return v, err
}

// decodeOne decodes the resource of an answer or of a list, which must have the
// type that was asked for.
func decodeOne[T any, R resourceOf[T]](raw []byte, in *index) (T, string, error) {
	var v T
	want := R(&v).name()
	if jsonKind(raw) != "an object" {
		return v, "", &FieldError{Type: want, Field: "data", Problem: mismatch(raw, "a resource").Error()}
	}
	p := partsOf(raw)
	ref, err := p.ref(want, false)
	if err != nil {
		return v, "", err
	}
	if ref.Type != want {
		return v, "", &FieldError{
			Type: want, ID: scrub(ref.ID, nil), Field: "type",
			Problem: fmt.Sprintf("%q in place of %q", scrub(string(ref.Type), nil), want),
		}
	}
	v, err = decodeAs[T, R](ref.ID, p, in)
	return v, ref.ID, err
}

// paging is what an answer says about the rest of a list.
type paging struct {
	// next is the cursor of the next page. It is "" if there is none.
	next string
	// total is how long the list is. It is -1 if the answer does not say.
	total int64
}

// pagingOf takes the next cursor from where it is: in meta.pagination.cursors, or
// in the address of links.next. Of that address only the cursor is used: a
// request to it would take the token to whoever is named there.
func pagingOf(e envelope) (p paging, err error) {
	p.total = -1
	meta := fieldsOf(e.meta, "total", "pagination")
	pagination := fieldsOf(meta[1], "total", "cursors")
	// Patreon has the total in pagination, and some descriptions have it above.
	for _, raw := range [][]byte{meta[0], pagination[0]} {
		if len(raw) == 0 || jsonKind(raw) == "null" {
			continue
		}
		n, err := decodeInt(raw)
		if err != nil {
			return p, fmt.Errorf("the total is %w", err)
		}
		p.total = max(p.total, n)
	}
	p.next, err = cursorOf(fieldsOf(pagination[1], "next")[0], fieldsOf(e.links, "next")[0])
	return p, err
}

// fieldsOf returns the values of some members of an object, as they stand.
func fieldsOf(raw []byte, names ...string) [][]byte {
	values := make([][]byte, len(names))
	for name, value := range jsonMembers(raw) {
		for i := range names {
			if string(name) == names[i] {
				values[i] = value
			}
		}
	}
	return values
}

func cursorOf(cursor, link []byte) (string, error) {
	if len(cursor) > 0 && jsonKind(cursor) != "null" {
		next, err := decodeString(cursor)
		if next != "" || err != nil {
			return next, err
		}
	}
	if jsonKind(link) == "an object" { // JSON:API allows both forms of a link
		link = fieldsOf(link, "href")[0]
	}
	if len(link) == 0 || jsonKind(link) == "null" {
		return "", nil
	}
	address, err := decodeString(link)
	if err != nil || address == "" {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil || u.Query().Get("page[cursor]") == "" {
		return "", errors.New("the link to the next page has no cursor in it")
	}
	return u.Query().Get("page[cursor]"), nil
}
