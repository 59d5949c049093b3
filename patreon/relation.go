// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// What can stand in the way from a resource to another one that it is related
// to.
var (
	// ErrNotIncluded: the answer does not have it, since it was not asked for. The
	// remedy is a name in [Query.Include].
	ErrNotIncluded = errors.New("patreon: the related resource was not asked for")
	// ErrNone: the relationship is null, so that there is none.
	ErrNone = errors.New("patreon: there is no related resource")
	// ErrDangling: it was asked for, and the relationship names it, yet the answer
	// does not have it. So it is with users whose account is deleted.
	ErrDangling = errors.New("patreon: the related resource no longer exists")
)

// Ref is the name of a resource: type and id.
type Ref struct {
	// Type is what kind of resource it is.
	Type Type `json:"type"`
	// ID is the id among those of the type.
	ID string `json:"id"`
}

// One is a relationship to one resource. The zero value is one that was not
// asked for.
type One[T any, ID ~string] struct {
	link
	ref Ref
}

// ID returns the id of the related resource, or "" if there is none, or if it is
// not known. It is often known of resources that are not included.
func (o One[T, ID]) ID() ID { return ID(o.ref.ID) }

// Get returns the related resource. Errors match [ErrNotIncluded], [ErrNone],
// [ErrDangling], or, if the resource is not what the API promises,
// [ErrMalformed].
func (o One[T, ID]) Get() (T, error) {
	if o.state == stateNull {
		var none T
		return none, ErrNone
	}
	return lookup[T](o.link, o.ref)
}

// MarshalJSON returns type and id, or null.
func (o One[T, ID]) MarshalJSON() ([]byte, error) {
	if o.state != stateGiven {
		return []byte("null"), nil
	}
	return json.Marshal(o.ref)
}

// UnmarshalJSON takes type and id, or null. The resource itself is not included
// then.
func (o *One[T, ID]) UnmarshalJSON(raw []byte) error {
	*o = One[T, ID]{}
	return o.decode(raw)
}

func (o *One[T, ID]) decode(data []byte) (err error) {
	if o.state = stateNull; jsonKind(data) == "null" {
		return nil
	}
	o.state = stateGiven
	if o.ref, err = decodeRef(data); err != nil {
		*o = One[T, ID]{}
	}
	return err
}

// Many is a relationship to any number of resources. The zero value is one that
// was not asked for.
type Many[T any, ID ~string] struct {
	link
	refs []Ref
}

// IDs returns the ids of the related resources.
func (m Many[T, ID]) IDs() []ID {
	ids := make([]ID, len(m.refs))
	for i, ref := range m.refs {
		ids[i] = ID(ref.ID)
	}
	return ids
}

// All returns the related resources. If some of them cannot be had, it returns
// the others and an error, which matches [ErrNotIncluded], [ErrDangling] or
// [ErrMalformed]. A relationship that is null has none, without an error.
func (m Many[T, ID]) All() ([]T, error) {
	if m.state == stateAbsent {
		return nil, ErrNotIncluded
	}
	all := make([]T, 0, len(m.refs))
	var errs []error
	for _, ref := range m.refs {
		one, err := lookup[T](m.link, ref)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, one)
	}
	return all, inOneLine(errs)
}

// MarshalJSON returns a list of types and ids, or null.
func (m Many[T, ID]) MarshalJSON() ([]byte, error) {
	if m.state != stateGiven {
		return []byte("null"), nil
	}
	return json.Marshal(m.refs)
}

// UnmarshalJSON takes a list of types and ids, or null. The resources themselves
// are not included then.
func (m *Many[T, ID]) UnmarshalJSON(raw []byte) error {
	*m = Many[T, ID]{}
	return m.decode(raw)
}

func (m *Many[T, ID]) decode(data []byte) (err error) {
	if m.state = stateNull; jsonKind(data) == "null" {
		return nil
	}
	m.state = stateGiven
	if m.refs, err = decodeList(data, decodeRef); err != nil {
		*m = Many[T, ID]{}
	}
	return err
}

// Relation is a relationship that this package has no field for.
type Relation struct {
	link
	refs []Ref
	many bool
}

// Refs returns the names of the related resources.
func (r Relation) Refs() []Ref { return r.refs }

// All returns the related resources, with the types that this package has:
// [Media], [Deliverable] and so on, or [Unknown]. Errors are as of [Many.All].
func (r Relation) All() ([]any, error) {
	return Many[any, string]{link: r.link, refs: r.refs}.All()
}

// MarshalJSON returns what the answer had: type and id, or a list of them, or
// null.
func (r Relation) MarshalJSON() ([]byte, error) {
	switch {
	case r.many:
		return json.Marshal(r.refs)
	case len(r.refs) == 1:
		return json.Marshal(r.refs[0])
	}
	return []byte("null"), nil
}

// UnmarshalJSON takes what MarshalJSON returns.
func (r *Relation) UnmarshalJSON(raw []byte) error {
	*r = Relation{}
	return r.decode(raw)
}

func (r *Relation) decode(data []byte) (err error) {
	r.state = stateGiven
	switch jsonKind(data) {
	case "null":
		r.state = stateNull
	case "a list":
		r.many = true
		r.refs, err = decodeList(data, decodeRef)
	default:
		var ref Ref
		ref, err = decodeRef(data)
		r.refs = []Ref{ref}
	}
	if err != nil {
		*r = Relation{}
	}
	return err
}

// link is what relationships have in common.
type link struct {
	state state
	// asked tells that the related resources were to be included.
	asked bool
	// in is what the answer included. It may be nil.
	in *index
}

// IsZero reports whether the relationship was not asked for.
func (l link) IsZero() bool { return l.state == stateAbsent }

// IsNull reports whether the relationship is null.
func (l link) IsNull() bool { return l.state == stateNull }

func (l *link) connect(in *index, asked bool) { l.in, l.asked = in, asked }

// relation is a pointer to a relationship.
type relation interface {
	decode(data []byte) error
	connect(in *index, asked bool)
}

// lookup finds what a relationship names.
func lookup[T any](l link, ref Ref) (T, error) {
	var none T
	if l.state == stateAbsent {
		return none, ErrNotIncluded
	}
	found, ok := l.in.get(ref)
	switch {
	case ok && found.err != nil:
		return none, found.err
	case ok:
		v, ok := found.value.(T)
		if !ok {
			return none, &detailed{ErrMalformed, fmt.Sprintf("patreon: %s %q is related where that type cannot be", ref.Type, scrub(ref.ID, nil))}
		}
		return v, nil
	case l.asked:
		return none, &detailed{ErrDangling, fmt.Sprintf("patreon: the %s %q no longer exists", ref.Type, scrub(ref.ID, nil))}
	}
	return none, &detailed{ErrNotIncluded, fmt.Sprintf("patreon: the %s %q was not asked for; name the relationship in Query.Include", ref.Type, scrub(ref.ID, nil))}
}

// decodeRef decodes the name of a resource.
func decodeRef(raw []byte) (ref Ref, err error) {
	if jsonKind(raw) != "an object" {
		return Ref{}, mismatch(raw, "type and id")
	}
	for name, value := range jsonMembers(raw) {
		switch string(name) {
		case "id":
			ref.ID, err = decodeString(value)
		case "type":
			ref.Type, err = decodeType(value)
		}
		if err != nil {
			return Ref{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if ref.ID == "" || ref.Type == "" {
		return Ref{}, errors.New("type or id is missing")
	}
	return ref, nil
}

// decodeType decodes the name of a type. Those that are known are not allocated
// again and again.
func decodeType(raw []byte) (Type, error) {
	if len(raw) > 2 && raw[0] == '"' {
		for _, known := range []Type{TypeMember, TypeUser, TypeTier, TypePledgeEvent, TypeCampaign, TypePost} {
			if string(raw[1:len(raw)-1]) == string(known) {
				return known, nil
			}
		}
	}
	s, err := decodeString(bytes.TrimSpace(raw))
	return Type(s), err
}

// detailed is an error that matches a sentinel and has words of its own.
type detailed struct {
	kind error
	text string
}

func (d *detailed) Error() string { return d.text }

func (d *detailed) Unwrap() error { return d.kind }
