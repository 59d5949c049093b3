// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// roundTripper answers requests without a network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// FuzzDocument feeds a document to everything that reads answers: nothing may
// panic or go on for ever, every error has its sentinel, and no listing yields
// anybody twice.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `{"data":null}`, `{"data":[]}`, `{"data":[],"meta":{"pagination":{"total":0,"cursors":{"next":null}}}}`,
		`{"data":{"type":"member","id":"1","attributes":{"full_name":"A \"B\" \\ \u00e9\ud800","patron_status":null,"x":[{"y":"]}"}]},
			"relationships":{"user":{"data":{"type":"user","id":"2"}},"address":{"data":null},"currently_entitled_tiers":{"data":[{"type":"tier","id":"3"}]}}},
			"included":[{"type":"user","id":"2","attributes":{"full_name":"A"}},{"type":"tier","id":"3","attributes":{"amount_cents":5e2}}]}`,
		`{"data":[{"type":"member","id":"1"},{"type":"member","id":"1"},{"type":"post","id":"2"},{"id":null,"type":"member"},5],
			"meta":{"total":2,"pagination":{"cursors":{"next":"x"}}},"links":{"next":"https://x.example/?page%5Bcursor%5D=y"}}`,
		`{"data":[{"type":"member","id":"1"}],"links":{"next":{"href":"?page[cursor]=z"}}}`,
		`{"data":{"type":"member","id":null},"data":{"type":"post","id":"1","attributes":{"tiers":[1,"2"],"published_at":"2026-01-01T00:00:00Z"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if d, err := ParseDocument(body); err != nil {
			mustMatch(t, err)
		} else {
			follow(t, d)
		}
		list(t, body)
	})
}

func mustMatch(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrMalformed) {
		t.Errorf("error %v", err)
	}
}

// follow goes along relationships, and compares what was read with the standard
// library's reading.
func follow(t *testing.T, d *Document) {
	v, err := d.Data()
	mustMatch(t, err)
	if m, ok := v.(Member); ok {
		m.User.Get()
		m.Address.Get()
		m.CurrentlyEntitledTiers.All()
		for _, r := range m.Relations {
			r.All()
		}
	}
	if encoded, err := json.Marshal(v); err != nil || !json.Valid(encoded) {
		t.Errorf("as JSON: %q, %v", encoded, err)
	}
	_ = fmt.Sprint(v)
}

// list reads a listing all of whose pages are the same.
func list(t *testing.T, body []byte) {
	requests := 0
	c, err := NewClient(ClientConfig{
		Tokens: StaticToken("x"), MaxPages: 5, Retries: -1,
		HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			requests++
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.CollectMembers(t.Context(), "1", Query{})
	if s.Complete != (err == nil) {
		t.Errorf("complete %t, error %v", s.Complete, err)
	}
	if _, ok := errors.AsType[*Error](err); err != nil && !ok && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrIncomplete) {
		t.Errorf("error %v", err)
	}
	if requests > 2 {
		t.Errorf("%d requests for one page", requests)
	}
	seen := map[MemberID]bool{}
	for _, m := range s.Members {
		if seen[m.ID] || m.ID == "" {
			t.Errorf("member %q again", m.ID)
		}
		seen[m.ID] = true
	}
}

// FuzzScan compares the reading in place with that of encoding/json.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`null`, `{}`, ` [ ] `, `{"a":1,"b":[1,2,{"c":"}"}],"c":"\"","\u0064":{"e":[]}}`, `[1,-2.5e+3,"x",true,false,null,[],{}]`,
		"{ \"a\" :\t1 ,\n\"b\" : \"\\\\\" , \"c\":[ 1 , 2 ] }", `["\\\"]","[{\"]`, `["` + "\xff" + `"]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) == nil && object != nil {
			got := map[string]string{}
			for name, value := range jsonMembers(raw) {
				got[strings.ToValidUTF8(string(name), "\ufffd")] = string(value)
			}
			// Names that are not UTF-8 are the standard library's to repair.
			if len(got) != len(object) && bytes.Equal(bytes.ToValidUTF8(raw, nil), raw) {
				t.Errorf("%d members, want %d", len(got), len(object))
			}
			for name, value := range object {
				if bytes.Equal(bytes.ToValidUTF8(raw, nil), raw) && got[name] != string(value) {
					t.Errorf("%q is %q, want %q", name, got[name], value)
				}
			}
		}
		var array []json.RawMessage
		if json.Unmarshal(raw, &array) == nil && array != nil {
			i := 0
			for value := range jsonElements(raw) {
				if i >= len(array) || string(value) != string(array[i]) {
					t.Fatalf("element %d is %q of %q", i, value, array)
				}
				i++
			}
			if i != len(array) {
				t.Errorf("%d elements, want %d", i, len(array))
			}
		}
		var text string
		if json.Unmarshal(raw, &text) == nil && jsonKind(bytes.TrimSpace(raw)) == "a string" {
			if got, err := decodeString(bytes.TrimSpace(raw)); got != text || err != nil {
				t.Errorf("%q is %q, want %q: %v", raw, got, text, err)
			}
		}
	})
}
