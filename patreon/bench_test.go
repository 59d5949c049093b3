// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// longPage is a page of a thousand made-up members as the zero Query asks for
// them, of about 1 MB.
func longPage() []byte {
	var data, included []string
	for i := range 1000 {
		data = append(data, fmt.Sprintf(`{"attributes":{"campaign_lifetime_support_cents":%[1]d,"currently_entitled_amount_cents":500,
"full_name":"Made Up %[1]d","is_free_trial":false,"is_gifted":false,"last_charge_date":"2026-03-04T05:06:07.000+00:00","last_charge_status":"Paid",
"next_charge_date":"2026-04-04T05:06:07.000+00:00","patron_status":"active_patron","pledge_cadence":1,
"pledge_relationship_start":"2024-03-04T05:06:07.000+00:00","will_pay_amount_cents":500},
"id":"00000000-0000-4000-8000-%012[1]d","relationships":{"currently_entitled_tiers":{"data":[{"id":"%[2]d","type":"tier"}]},
"user":{"data":{"id":"%[1]d","type":"user"},"links":{"related":"https://www.patreon.com/api/oauth2/v2/user/%[1]d"}}},"type":"member"}`, i, i%3))
		included = append(included, fmt.Sprintf(`{"attributes":{"about":null,"created":"2020-03-04T05:06:07.000+00:00","first_name":"Made","full_name":"Made Up %[1]d",
"hide_pledges":false,"image_url":"https://images.example/%[1]d.jpg","is_creator":false,"last_name":"Up %[1]d","like_count":3,
"thumb_url":"https://images.example/%[1]d-thumb.jpg","url":"https://www.patreon.com/user?u=%[1]d","vanity":null},"id":"%[1]d","type":"user"}`, i))
	}
	return []byte(`{"data":[` + strings.Join(data, ",") + `],"included":[` + strings.Join(included, ",") +
		`],"meta":{"pagination":{"cursors":{"next":null},"total":1000}}}`)
}

func decodeLongPage(b testing.TB, body []byte) int {
	p, err := readPage(body, nil)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	each[Member](p, map[string]struct{}{}, func(_ Member, err error) bool {
		if err != nil {
			b.Fatal(err)
		}
		n++
		return true
	})
	return n
}

// A page of a thousand members, and for comparison what encoding/json makes of it
// without any types.
func BenchmarkPage(b *testing.B) {
	body := longPage()
	b.Run("members", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			decodeLongPage(b, body)
		}
	})
	b.Run("map", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			var v map[string]any
			if err := json.Unmarshal(body, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestAPageTakesFewerAllocationsThanWithoutTypes(t *testing.T) {
	body := longPage()
	typed := testing.AllocsPerRun(1, func() { decodeLongPage(t, body) })
	untyped := testing.AllocsPerRun(1, func() {
		var v map[string]any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatal(err)
		}
	})
	if typed > untyped/2 {
		t.Errorf("%.0f allocations, and %.0f without types", typed, untyped)
	}
}
