// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
)

// Opt is an attribute with three states: absent, null, or a value. Absent means
// that it was not asked for, which says nothing about the resource; null is
// Patreon's answer that there is none. The zero value is absent.
//
// With the option omitzero, encoding/json leaves absent ones out.
type Opt[T any] struct {
	value T
	state state
}

// state is what is known of an attribute or a relationship.
type state uint8

const (
	stateAbsent state = iota
	stateNull
	stateGiven
)

// Some returns an attribute that has a value.
func Some[T any](v T) Opt[T] { return Opt[T]{value: v, state: stateGiven} }

// Null returns an attribute that is null.
func Null[T any]() Opt[T] { return Opt[T]{state: stateNull} }

// Get returns the value, and whether there is one.
func (o Opt[T]) Get() (T, bool) { return o.value, o.state == stateGiven }

// Or returns the value, or else another one.
func (o Opt[T]) Or(other T) T {
	if o.state == stateGiven {
		return o.value
	}
	return other
}

// IsNull reports whether the attribute was asked for, and is null.
func (o Opt[T]) IsNull() bool { return o.state == stateNull }

// IsZero reports whether the attribute is absent.
func (o Opt[T]) IsZero() bool { return o.state == stateAbsent }

// Equal reports whether both have the same state and value.
func (o Opt[T]) Equal(p Opt[T]) bool {
	if o.state != p.state {
		return false
	}
	if v, ok := any(o.value).(interface{ Equal(T) bool }); ok { // such as a time
		return v.Equal(p.value)
	}
	return reflect.DeepEqual(o.value, p.value)
}

// String returns the value as fmt prints it, or "null", or "absent".
func (o Opt[T]) String() string { return fmt.Sprint(o) }

// Format prints the value, whatever the verb, or "null", or "absent". Without it
// fmt would look into the struct, and pass by the methods of the value.
func (o Opt[T]) Format(f fmt.State, verb rune) {
	switch o.state {
	case stateGiven:
		fmt.Fprintf(f, fmt.FormatString(f, verb), o.value)
	case stateNull:
		io.WriteString(f, "null")
	default:
		io.WriteString(f, "absent")
	}
}

// MarshalJSON returns the value or null. An absent attribute is null, too: the
// option omitzero tells them apart.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if o.state != stateGiven {
		return []byte("null"), nil
	}
	return json.Marshal(o.value)
}

// UnmarshalJSON takes a value or null.
func (o *Opt[T]) UnmarshalJSON(raw []byte) error { return o.decode(raw) }

// decode takes a value that is valid JSON. It keeps no part of raw.
func (o *Opt[T]) decode(raw []byte) error {
	*o = Opt[T]{}
	if bytes.Equal(raw, []byte("null")) {
		o.state = stateNull
		return nil
	}
	if err := decodeValue(raw, &o.value); err != nil {
		*o = Opt[T]{}
		return err
	}
	o.state = stateGiven
	return nil
}
