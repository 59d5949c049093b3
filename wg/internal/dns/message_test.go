// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package dns

import (
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

var (
	asked  = dnsmessage.MustNewName("a.example.")
	server = netip.MustParseAddrPort("10.0.0.53:53")
)

// packed is the answer of a server with these records.
func packed(t testing.TB, answers ...dnsmessage.Resource) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 1, Response: true},
		Questions: []dnsmessage.Question{{Name: asked, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
		Answers:   answers,
	}
	raw, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func alias(from, to string) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(from), Class: dnsmessage.ClassINET, TTL: 60},
		Body:   &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)},
	}
}

// FuzzParse reads what servers could send. [FuzzAnswer] does so with all around it, and
// slowly.
func FuzzParse(f *testing.F) {
	f.Add(packed(f))
	f.Add(packed(f, alias("a.example.", "b.example."), dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("b.example."), Class: dnsmessage.ClassINET, TTL: 60},
		Body:   &dnsmessage.AResource{A: [4]byte{10, 0, 0, 1}},
	}))
	f.Add(packed(f, alias("a.example.", "b.example."), alias("b.example.", "a.example.")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parse(raw, 1, asked, dnsmessage.TypeA)
		if err != nil {
			return
		}
		a, err := m.answer(server, asked, dnsmessage.TypeA)
		if err == nil && len(a.records) > 0 && a.err != nil || a.ttl < 0 || a.ttl > maxTTL {
			t.Errorf("%+v, %v", a, err)
		}
		for _, r := range a.records {
			if _, ok := r.(*dnsmessage.AResource); !ok {
				t.Errorf("asked for an A record, got %T", r)
			}
		}
	})
}
