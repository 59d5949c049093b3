// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// Pages of a thousand members are long, and most of what is in them is needed
// as it stands. So an answer is checked once with json.Valid and then cut up in
// place: decoding each level with encoding/json would read the page eight times.
// All functions of this file are for valid JSON only.

// jsonMembers yields the members of an object: names, and values as they stand. Of
// anything but an object there are none.
func jsonMembers(raw []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		i := skipBlank(raw, 0)
		if i >= len(raw) || raw[i] != '{' {
			return
		}
		for i = skipBlank(raw, i+1); i < len(raw) && raw[i] == '"'; i = skipBlank(raw, i+1) {
			end := afterValue(raw, i)
			name := raw[i+1 : end-1]
			if bytes.IndexByte(name, '\\') >= 0 {
				name = []byte(unquote(raw[i:end]))
			}
			i = skipBlank(raw, end)
			start := skipBlank(raw, i+1) // past the colon
			if i = afterValue(raw, start); !yield(name, raw[start:i]) {
				return
			}
			if i = skipBlank(raw, i); i >= len(raw) || raw[i] != ',' {
				return
			}
		}
	}
}

// jsonElements yields the elements of an array as they stand. Of anything but an
// array there are none.
func jsonElements(raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := skipBlank(raw, 0)
		if i >= len(raw) || raw[i] != '[' {
			return
		}
		for i = skipBlank(raw, i+1); i < len(raw) && raw[i] != ']'; i = skipBlank(raw, i+1) {
			start := i
			if i = afterValue(raw, start); !yield(raw[start:i]) {
				return
			}
			if i = skipBlank(raw, i); i >= len(raw) || raw[i] != ',' {
				return
			}
		}
	}
}

// skipBlank returns the index of the first byte from i on that is not white space.
func skipBlank(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// afterValue returns the index behind the value that begins at i.
func afterValue(raw []byte, i int) int {
	depth := 0
	for i < len(raw) {
		switch raw[i] {
		case '"':
			i = afterString(raw, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		default:
			i++
			if depth > 0 {
				continue // punctuation, blanks and scalars inside
			}
			for i < len(raw) && isScalar(raw[i]) {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
	return len(raw)
}

// isScalar reports whether a byte can be a part of a number, true, false or null.
func isScalar(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-' || b == '+' || b == '.' || b == 'E'
}

// afterString returns the index behind the string that begins at i.
func afterString(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		next := bytes.IndexByte(raw[i:], '"')
		if next < 0 {
			return len(raw)
		}
		escape := bytes.IndexByte(raw[i:i+next], '\\')
		if escape < 0 {
			return i + next + 1
		}
		i += escape + 1 // what follows a backslash does not end the string
	}
	return len(raw)
}

// unquote returns the string that a JSON string stands for.
func unquote(raw []byte) string {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	_ = json.Unmarshal(raw, &s) // it is a valid string
	return s
}

// jsonKind names what a value is, for errors.
func jsonKind(raw []byte) string {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// mismatch is the error of a value that is of another kind than it should be.
// The value is not in it: it may be what a person wants to keep private.
func mismatch(raw []byte, want string) error {
	return fmt.Errorf("%s in place of %s", jsonKind(raw), want)
}

// decodeValue decodes a value that is not null.
func decodeValue(raw []byte, v any) (err error) {
	switch v := v.(type) {
	case *string:
		*v, err = decodeString(raw)
	case *bool:
		*v, err = decodeBool(raw)
	case *int64:
		*v, err = decodeInt(raw)
	case *time.Time:
		*v, err = decodeTime(raw)
	case *json.RawMessage:
		*v = bytes.Clone(raw)
	case *TierID:
		*v, err = decodeTierID(raw)
	case *[]TierID:
		*v, err = decodeList(raw, decodeTierID)
	case *[]string:
		*v, err = decodeList(raw, decodeString)
	case *[]Trigger:
		*v, err = decodeList(raw, func(raw []byte) (Trigger, error) {
			s, err := decodeString(raw)
			return Trigger(s), err
		})
	default:
		err = decodeOther(raw, v)
	}
	return err
}

// decodeOther decodes strings with types of their own, and whatever a caller has
// made an [Opt] of.
func decodeOther(raw []byte, v any) error {
	if to := reflect.ValueOf(v).Elem(); to.Kind() == reflect.String {
		s, err := decodeString(raw)
		to.SetString(s)
		return err
	}
	return json.Unmarshal(raw, v)
}

func decodeString(raw []byte) (string, error) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", mismatch(raw, "a string")
	}
	return unquote(raw), nil
}

func decodeBool(raw []byte) (bool, error) {
	switch string(raw) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, mismatch(raw, "a boolean")
}

// decodeInt also takes 500.0 and 5e2: JSON knows no integers, and the API's
// description calls all of them numbers.
func decodeInt(raw []byte) (int64, error) {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	switch {
	case jsonKind(raw) != "a number":
		return 0, mismatch(raw, "a number")
	case err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53:
		return 0, errors.New("a number that is not whole, or too large")
	}
	return int64(f), nil
}

// decodeTime takes the forms in which Patreon has been seen to write times: with
// Z and with an offset, with and without a fraction; and the same without an
// offset or without its colon. The result is in UTC.
func decodeTime(raw []byte) (time.Time, error) {
	s, err := decodeString(raw)
	if err != nil {
		return time.Time{}, mismatch(raw, "a time")
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("a string in place of a time")
}

// decodeTierID also takes numbers, which ids of tiers in attributes have been.
func decodeTierID(raw []byte) (TierID, error) {
	if jsonKind(raw) == "a number" {
		n, err := decodeInt(raw)
		return TierID(strconv.FormatInt(n, 10)), err
	}
	s, err := decodeString(raw)
	return TierID(s), err
}

func decodeList[T any](raw []byte, one func([]byte) (T, error)) ([]T, error) {
	if jsonKind(raw) != "a list" {
		return nil, mismatch(raw, "a list")
	}
	list := []T{}
	for element := range jsonElements(raw) {
		v, err := one(element)
		if err != nil {
			return nil, fmt.Errorf("in the list: %w", err)
		}
		list = append(list, v)
	}
	return list, nil
}
