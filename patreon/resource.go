// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Extras is what an answer says of a resource that this package has no field
// for, since Patreon has added it.
type Extras struct {
	// Extra are attributes by name.
	Extra map[string]json.RawMessage `json:"extra,omitempty"`
	// Relations are relationships by name.
	Relations map[string]Relation `json:"relations,omitempty"`
}

// Unknown is an included resource of a type that this package does not have.
type Unknown struct {
	// Type and ID name it.
	Type Type   `json:"type"`
	ID   string `json:"id"`

	Extras
}

func (u *Unknown) name() Type                 { return u.Type }
func (u *Unknown) setID(id string)            { u.ID = id }
func (u *Unknown) extras() *Extras            { return &u.Extras }
func (u *Unknown) attribute([]byte) attribute { return nil }
func (u *Unknown) relation([]byte) relation   { return nil }

// FieldError is a part of a resource that is not what the API promises. It
// matches [ErrMalformed]. The value is not in it, since it may be personal.
type FieldError struct {
	// Type and ID name the resource. ID is "" if that is what is wrong.
	Type Type
	ID   string
	// Field is the name of an attribute or a relationship, "id" or "type".
	Field string
	// Problem says what is wrong: "a string in place of a number".
	Problem string
}

// Error returns one line.
func (e *FieldError) Error() string {
	return fmt.Sprintf("patreon: %s %q: %s: %s", e.Type, e.ID, e.Field, e.Problem)
}

// Unwrap returns [ErrMalformed].
func (*FieldError) Unwrap() error { return ErrMalformed }

// attribute is a pointer to an attribute's value.
type attribute interface {
	decode(raw []byte) error
}

// resource is what the types of resources have in common.
type resource interface {
	name() Type
	setID(id string)
	// attribute and relation return where a part of that name goes, or nil if the
	// type has no such part.
	attribute(name []byte) attribute
	relation(name []byte) relation
	extras() *Extras
}

// resourceOf is a pointer to a T that is a resource.
type resourceOf[T any] interface {
	*T
	resource
}

// secretAttribute decodes a secret.
type secretAttribute Secret

func (s *secretAttribute) decode(raw []byte) error {
	if jsonKind(raw) == "null" {
		*s = ""
		return nil
	}
	text, err := decodeString(raw)
	*s = secretAttribute(text)
	return err
}

// parts are those of a resource, as they stand in an answer.
type parts struct {
	kind, id, attributes, relationships []byte
}

func partsOf(raw []byte) (p parts) {
	for name, value := range jsonMembers(raw) {
		switch string(name) {
		case "type":
			p.kind = value
		case "id":
			p.id = value
		case "attributes":
			p.attributes = value
		case "relationships":
			p.relationships = value
		}
	}
	return p
}

// ref returns type and id. An id may be null where nullID says so: the events
// that Patreon's portal sends for a test have no id.
func (p parts) ref(want Type, nullID bool) (ref Ref, err error) {
	fault := func(field, problem string) error {
		return &FieldError{Type: want, ID: scrub(ref.ID, nil), Field: field, Problem: problem}
	}
	if ref.Type, err = decodeType(p.kind); err != nil {
		return ref, fault("type", err.Error())
	}
	if nullID && jsonKind(p.id) == "null" {
		return ref, nil
	}
	if ref.ID, err = decodeString(p.id); err != nil {
		return ref, fault("id", err.Error())
	}
	if ref.ID == "" {
		return ref, fault("id", "it is empty")
	}
	return ref, nil
}

// fill decodes a resource into a zero one. Whatever is wrong is left out, and
// told with a [*FieldError] for each part.
func fill(r resource, id string, p parts, in *index) error {
	r.setID(id)
	f := filler{resource: r, id: id, in: in}
	f.attributes(p.attributes)
	f.relationships(p.relationships)
	return inOneLine(f.faults)
}

// inOneLine joins errors, of which there may be none.
func inOneLine(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return severalErrors(errs)
}

// severalErrors are told in one line, which does not grow with what a server
// sends.
type severalErrors []error

func (e severalErrors) Error() string {
	const most = 3
	var texts []string
	for _, err := range e[:min(len(e), most)] {
		texts = append(texts, err.Error())
	}
	if len(e) > most {
		texts = append(texts, fmt.Sprintf("and %d more", len(e)-most))
	}
	return strings.Join(texts, "; ")
}

func (e severalErrors) Unwrap() []error { return e }

// filler is a resource that is being decoded.
type filler struct {
	resource
	id     string
	in     *index
	faults []error
}

func (f *filler) fault(field []byte, problem string) {
	f.faults = append(f.faults, &FieldError{
		Type: f.name(), ID: scrub(f.id, nil), Field: scrub(string(field), nil), Problem: problem,
	})
}

func (f *filler) attributes(raw []byte) {
	if !objectOrNothing(raw) {
		f.fault([]byte("attributes"), mismatch(raw, "an object").Error())
	}
	for name, value := range jsonMembers(raw) {
		to := f.attribute(name)
		if to == nil {
			f.extra(name, value)
			continue
		}
		if err := to.decode(value); err != nil {
			f.fault(name, err.Error())
		}
	}
}

func (f *filler) extra(name, value []byte) {
	e := f.extras()
	if e.Extra == nil {
		e.Extra = map[string]json.RawMessage{}
	}
	e.Extra[string(name)] = bytes.Clone(value) // the page is not kept alive
}

func (f *filler) relationships(raw []byte) {
	if !objectOrNothing(raw) {
		f.fault([]byte("relationships"), mismatch(raw, "an object").Error())
	}
	for name, value := range jsonMembers(raw) {
		data, ok := dataOf(value)
		if !ok {
			continue // links alone say nothing about what is related
		}
		to := f.relation(name)
		var unknown *Relation
		if to == nil {
			unknown = new(Relation)
			to = unknown
		}
		to.connect(f.in, f.in.wasAsked(f.name(), name))
		if err := to.decode(data); err != nil {
			f.fault(name, err.Error())
			continue
		}
		if unknown != nil {
			e := f.extras()
			if e.Relations == nil {
				e.Relations = map[string]Relation{}
			}
			e.Relations[string(name)] = *unknown
		}
	}
}

// dataOf returns what a relationship names. A relationship that is null itself
// is taken for one to nothing.
func dataOf(relationship []byte) (data []byte, ok bool) {
	if jsonKind(relationship) != "an object" {
		return relationship, true // null, or a mistake to be told
	}
	for name, value := range jsonMembers(relationship) {
		if string(name) == "data" {
			data, ok = value, true
		}
	}
	return data, ok
}

func objectOrNothing(raw []byte) bool {
	return len(raw) == 0 || raw[0] == '{' || jsonKind(raw) == "null"
}
