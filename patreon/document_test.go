// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// parse returns the resource of a document of one.
func parse[T any](t *testing.T, body string) T {
	t.Helper()
	d, err := patreon.ParseDocument([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	v, err := d.Data()
	if err != nil {
		t.Fatal(err)
	}
	typed, ok := v.(T)
	if !ok {
		t.Fatalf("the data is a %T", v)
	}
	return typed
}

// attributes makes a document of a resource.
func attributes(of, list string) string {
	return `{"data":{"type":"` + of + `","id":"1","attributes":{` + list + `}}}`
}

func TestAbsentNullAndZeroAreThreeThings(t *testing.T) {
	m := parse[patreon.Member](t, attributes("member", `"currently_entitled_amount_cents":0,"patron_status":null`))
	if cents, ok := m.CurrentlyEntitledAmountCents.Get(); !ok || cents != 0 {
		t.Errorf("zero is %v, %t", cents, ok)
	}
	if _, ok := m.PatronStatus.Get(); ok || !m.PatronStatus.IsNull() || m.PatronStatus.IsZero() {
		t.Errorf("null is %v", m.PatronStatus)
	}
	if !m.FullName.IsZero() || m.FullName.IsNull() || m.FullName.Or("nobody") != "nobody" {
		t.Errorf("absent is %v", m.FullName)
	}
	if got, want := fmt.Sprint(m.CurrentlyEntitledAmountCents, m.PatronStatus, m.FullName), "0 null absent"; got != want {
		t.Errorf("they print as %q, want %q", got, want)
	}
	if got, want := fmt.Sprintf("%05d %q", patreon.Some(42), patreon.Some("x")), `00042 "x"`; got != want {
		t.Errorf("verbs print %q, want %q", got, want)
	}
	encoded, err := json.Marshal(m)
	if want := `{"id":"1","currently_entitled_amount_cents":0,"patron_status":null}`; err != nil || string(encoded) != want {
		t.Errorf("as JSON: %s, want %s: %v", encoded, want, err)
	}
}

func TestTimesAreReadInAllFormsAndAreUTC(t *testing.T) {
	want := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for form, fraction := range map[string]time.Duration{
		"2026-03-04T05:06:07Z":             0,
		"2026-03-04T05:06:07+00:00":        0,
		"2026-03-04T05:06:07.000+00:00":    0,
		"2026-03-04T05:06:07.123Z":         123 * time.Millisecond,
		"2026-03-04T05:06:07.123456+00:00": 123456 * time.Microsecond,
		"2026-03-04T07:06:07+02:00":        0,
		"2026-03-04T05:06:07+0000":         0,
		"2026-03-04T05:06:07":              0,
	} {
		m := parse[patreon.Member](t, attributes("member", `"last_charge_date":"`+form+`"`))
		at, ok := m.LastChargeDate.Get()
		if !ok || !at.Equal(want.Add(fraction)) || at.Location() != time.UTC {
			t.Errorf("%s is %v", form, m.LastChargeDate)
		}
		if !m.LastChargeDate.Equal(patreon.Some(want.Add(fraction))) {
			t.Errorf("%s is not equal to itself", form)
		}
	}
}

func TestNumbersThatAreWholeAreReadInAllForms(t *testing.T) {
	for form, want := range map[string]int64{"500": 500, "500.0": 500, "5e2": 500, "-0": 0, "9007199254740993": 9007199254740993} {
		tier := parse[patreon.Tier](t, attributes("tier", `"amount_cents":`+form))
		if got, ok := tier.AmountCents.Get(); !ok || got != want {
			t.Errorf("%s is %v", form, tier.AmountCents)
		}
	}
}

func TestValuesOfTheWrongKindNameResourceAndField(t *testing.T) {
	for _, tt := range []struct{ of, attribute, problem string }{
		{"member", `"currently_entitled_amount_cents":"5"`, "a string in place of a number"},
		{"member", `"currently_entitled_amount_cents":0.5`, "a number that is not whole, or too large"},
		{"member", `"currently_entitled_amount_cents":1e300`, "a number that is not whole, or too large"},
		{"member", `"full_name":["x"]`, "a list in place of a string"},
		{"member", `"patron_status":1`, "a number in place of a string"},
		{"member", `"is_gifted":"true"`, "a string in place of a boolean"},
		{"member", `"last_charge_date":"yesterday"`, "a string in place of a time"},
		{"member", `"last_charge_date":1700000000`, "a number in place of a time"},
		{"post", `"tiers":{}`, "an object in place of a list"},
		{"post", `"tiers":[true]`, "in the list: a boolean in place of a string"},
		{"webhook", `"triggers":[1]`, "in the list: a number in place of a string"},
		{"webhook", `"secret":{}`, "an object in place of a string"},
	} {
		d, err := patreon.ParseDocument([]byte(attributes(tt.of, tt.attribute)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.Data()
		name, _, _ := strings.Cut(strings.Trim(tt.attribute, `"`), `"`)
		want := fmt.Sprintf(`patreon: %s "1": %s: %s`, tt.of, name, tt.problem)
		if err == nil || err.Error() != want || !errors.Is(err, patreon.ErrMalformed) {
			t.Errorf("%s: error %v, want %s", tt.attribute, err, want)
		}
	}
}

func TestSeveralFaultsStandInOneLine(t *testing.T) {
	d, err := patreon.ParseDocument([]byte(attributes("member", `"full_name":1,"note":2,"email":"made-up@patron.example"`)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := d.Data()
	if want := `patreon: member "1": full_name: a number in place of a string; patreon: member "1": note: a number in place of a string`; fmt.Sprint(err) != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if m, ok := v.(patreon.Member); !ok || m.Email.Or("") == "" {
		t.Errorf("the rest is %v", v)
	}
}

func TestWhatIsNotKnownIsKept(t *testing.T) {
	const body = `{"data":{"type":"member","id":"1","attributes":{"shoe_size":{"eu":43},"full_name":"Made Up"},
		"relationships":{"badge":{"data":{"type":"badge","id":"5"}},"media":{"data":[{"type":"media","id":"6"},{"type":"media","id":"7"}]},
			"nothing":{"data":null},"elsewhere":{"links":{"related":"x"}}},"meta":1},
		"included":[{"type":"badge","id":"5","attributes":{"colour":"blue"}},{"type":"media","id":"6","attributes":{"file_name":"a.png"}}],
		"jsonapi":{"version":"1.0"}}`
	m := parse[patreon.Member](t, body)
	if got := string(m.Extra["shoe_size"]); got != `{"eu":43}` {
		t.Errorf("the attribute is %s", got)
	}
	if got, want := slices.Sorted(maps.Keys(m.Relations)), []string{"badge", "media", "nothing"}; !slices.Equal(got, want) {
		t.Errorf("relationships %q, want %q", got, want)
	}
	if !m.Relations["nothing"].IsNull() {
		t.Error("null is not null")
	}
	badges, err := m.Relations["badge"].All()
	if err != nil || len(badges) != 1 {
		t.Fatalf("%v, %v", badges, err)
	}
	if b, ok := badges[0].(patreon.Unknown); !ok || b.Type != "badge" || b.ID != "5" || string(b.Extra["colour"]) != `"blue"` {
		t.Errorf("the badge is %v", badges[0])
	}
	media, err := m.Relations["media"].All()
	if !errors.Is(err, patreon.ErrNotIncluded) || len(media) != 1 || media[0].(patreon.Media).FileName.Or("") != "a.png" {
		t.Errorf("media %v, %v", media, err)
	}
}

func TestEnumsThatAreNotKnownAreKept(t *testing.T) {
	m := parse[patreon.Member](t, attributes("member", `"patron_status":"paused_patron","last_charge_status":"Paid"`))
	if s, ok := m.PatronStatus.Get(); !ok || s != "paused_patron" || s.Known() {
		t.Errorf("status %v", m.PatronStatus)
	}
	if s, ok := m.LastChargeStatus.Get(); !ok || s != patreon.ChargePaid || !s.Known() {
		t.Errorf("status %v", m.LastChargeStatus)
	}
}

func TestRelationshipsOfTheWrongFormAreFaults(t *testing.T) {
	for relationship, problem := range map[string]string{
		`"user":{"data":[{"type":"user","id":"1"}]}`:                    "user: a list in place of type and id",
		`"user":{"data":{"type":"user"}}`:                               "user: type or id is missing",
		`"user":{"data":{"type":"user","id":7}}`:                        "user: id: a number in place of a string",
		`"user":5`:                                                      "user: a number in place of type and id",
		`"currently_entitled_tiers":{"data":{"type":"tier","id":"1"}}`:  "currently_entitled_tiers: an object in place of a list",
		`"currently_entitled_tiers":{"data":[{"type":"tier","id":""}]}`: "currently_entitled_tiers: in the list: type or id is missing",
		`"badge":{"data":7}`:                                            "badge: a number in place of type and id",
	} {
		d, err := patreon.ParseDocument([]byte(`{"data":{"type":"member","id":"1","relationships":{` + relationship + `}}}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = d.Data(); !errors.Is(err, patreon.ErrMalformed) || !strings.HasSuffix(err.Error(), problem) {
			t.Errorf("%s: %v", relationship, err)
		}
	}
}

func TestARelationshipSaysWhyThereIsNothing(t *testing.T) {
	with := func(relationship string) patreon.Member {
		return parse[patreon.Member](t, `{"data":{"type":"member","id":"1","relationships":{`+relationship+`}},"included":[{"type":"campaign","id":"2"}]}`)
	}
	for relationship, want := range map[string]error{
		``:                                 patreon.ErrNotIncluded,
		`"user":{"data":null}`:             patreon.ErrNone,
		`"user":null`:                      patreon.ErrNone,
		`"user":{"links":{"related":"x"}}`: patreon.ErrNotIncluded,
		`"user":{"data":{"type":"user","id":"3"}}`:     patreon.ErrNotIncluded,
		`"user":{"data":{"type":"campaign","id":"2"}}`: patreon.ErrMalformed,
	} {
		if _, err := with(relationship).User.Get(); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", relationship, err, want)
		}
	}
	m := with(`"currently_entitled_tiers":{"data":null}`)
	if tiers, err := m.CurrentlyEntitledTiers.All(); err != nil || len(tiers) != 0 || !m.CurrentlyEntitledTiers.IsNull() {
		t.Errorf("%v, %v", tiers, err)
	}
	var zero patreon.Member
	if _, err := zero.User.Get(); !errors.Is(err, patreon.ErrNotIncluded) || !zero.User.IsZero() {
		t.Errorf("of a zero member: %v", err)
	}
}

func TestCallsOfWebhooksAreDocuments(t *testing.T) {
	w := newWorld(t, patreontest.Config{}, nil)
	id := w.FillMembers(string(w.campaign), 1)[0]
	m := parse[patreon.Member](t, string(w.Payload("members:update", id)))
	u, err := m.User.Get()
	if err != nil || string(m.ID) != id || u.FullName.Or("") == "" {
		t.Errorf("member %q, user %v: %v", m.ID, u.FullName, err)
	}
	if c, err := m.Campaign.Get(); err != nil || c.ID != w.campaign {
		t.Errorf("campaign %q: %v", c.ID, err)
	}
	d, err := patreon.ParseDocument(patreontest.PortalTest("members:create"))
	if err != nil || d.Ref() != (patreon.Ref{Type: patreon.TypeMember}) {
		t.Errorf("the portal's test: %v, %v", d.Ref(), err)
	}
	if _, err := patreon.ParseDocument(patreontest.V1Pledge("pledges:create")); err != nil {
		t.Errorf("an event of version 1: %v", err)
	}
}

func TestResourcesSurviveJSON(t *testing.T) {
	w := newWorld(t, patreontest.Config{}, nil)
	w.FillMembers(string(w.campaign), 3)
	s, err := w.CollectMembers(t.Context(), w.campaign, patreon.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range s.Members {
		first, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var again patreon.Member
		if err := json.Unmarshal(first, &again); err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		second, err := json.Marshal(again)
		if diff := cmp.Diff(string(first), string(second)); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
		if again.User.ID() != m.User.ID() || !slices.Equal(again.CurrentlyEntitledTiers.IDs(), m.CurrentlyEntitledTiers.IDs()) {
			t.Errorf("the relationships of %q are others", m.ID)
		}
	}
}

func TestRelatedResourcesOfAllTypesAreFound(t *testing.T) {
	w := newWorld(t, patreontest.Config{}, nil)
	w.AddTier(patreontest.Tier{Campaign: string(w.campaign), Title: "Nib"})
	c, err := w.Campaign(t.Context(), w.campaign, patreon.Query{Include: []string{"benefits", "creator", "goals", "tiers", "live_access_rules"}})
	if err != nil {
		t.Fatal(err)
	}
	tiers, err := c.Tiers.All()
	if err != nil || len(tiers) != 1 || tiers[0].Title.Or("") != "Nib" {
		t.Errorf("tiers %v: %v", tiers, err)
	}
	if u, err := c.Creator.Get(); err != nil || u.FullName.Or("") != "Wren Quillon" {
		t.Errorf("creator %v: %v", u.FullName, err)
	}
	d, err := patreon.ParseDocument([]byte(`{"data":{"type":"badge","id":"1"},"included":[
		{"type":"address","id":"1"},{"type":"benefit","id":"1"},{"type":"client","id":"1","attributes":{"client_secret":"s3cret"}},
		{"type":"deliverable","id":"1"},{"type":"goal","id":"1","attributes":{"title":"x"}},{"type":"media","id":"1"},
		{"type":"pledge-event","id":"1"},{"type":"post","id":"1"},{"type":"webhook","id":"1","attributes":{"secret":null}},
		{"type":"webhook","id":"1","attributes":{"uri":"second"}},{"type":"media"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for of, want := range map[patreon.Type]any{
		patreon.TypeAddress:     patreon.Address{ID: "1"},
		patreon.TypeBenefit:     patreon.Benefit{ID: "1"},
		patreon.TypeClient:      patreon.OAuthClient{ID: "1", ClientSecret: "s3cret"},
		patreon.TypeDeliverable: patreon.Deliverable{ID: "1"},
		patreon.TypeGoal:        patreon.Goal{ID: "1", Extras: patreon.Extras{Extra: map[string]json.RawMessage{"title": json.RawMessage(`"x"`)}}},
		patreon.TypeMedia:       patreon.Media{ID: "1"},
		patreon.TypePledgeEvent: patreon.PledgeEvent{ID: "1"},
		patreon.TypePost:        patreon.Post{ID: "1"},
		patreon.TypeWebhook:     patreon.Webhook{ID: "1"},
	} {
		got, err := d.Included(patreon.Ref{Type: of, ID: "1"})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v: %v", of, got, err)
		}
	}
	if _, err := d.Included(patreon.Ref{Type: patreon.TypeUser, ID: "1"}); !errors.Is(err, patreon.ErrNotIncluded) {
		t.Errorf("a user who is not there: %v", err)
	}
}

func TestAttributesAreComparedByValue(t *testing.T) {
	utc := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, tt := range []struct {
		got, want bool
		what      string
	}{
		{patreon.Some(utc).Equal(patreon.Some(utc.In(time.FixedZone("", 3600)))), true, "the same time elsewhere"},
		{patreon.Some([]string{"a"}).Equal(patreon.Some([]string{"a"})), true, "equal lists"},
		{patreon.Some(0).Equal(patreon.Some(1)), false, "other numbers"},
		{patreon.Some(0).Equal(patreon.Null[int]()), false, "zero and null"},
		{patreon.Null[int]().Equal(patreon.Opt[int]{}), false, "null and absent"},
		{patreon.Null[int]().Equal(patreon.Null[int]()), true, "nulls"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %t", tt.what, tt.got)
		}
	}
	if got := patreon.Some("x").String() + patreon.Null[string]().String(); got != "xnull" {
		t.Errorf("they are %q", got)
	}
}

func TestRelationshipsSurviveJSON(t *testing.T) {
	const body = `{"id":"1","user":{"type":"user","id":"2"},"address":null,"currently_entitled_tiers":[{"type":"tier","id":"3"}],
		"relations":{"badge":{"type":"badge","id":"4"},"badges":[{"type":"badge","id":"5"}],"none":null}}`
	var m patreon.Member
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatal(err)
	}
	if refs := m.Relations["badges"].Refs(); len(refs) != 1 || refs[0] != (patreon.Ref{Type: "badge", ID: "5"}) {
		t.Errorf("badges %v", refs)
	}
	if _, err := m.User.Get(); !errors.Is(err, patreon.ErrNotIncluded) || m.User.ID() != "2" {
		t.Errorf("user %q: %v", m.User.ID(), err)
	}
	if _, err := m.Relations["badges"].All(); !errors.Is(err, patreon.ErrNotIncluded) {
		t.Errorf("badges: %v", err)
	}
	encoded, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if json.Unmarshal(encoded, &got) != nil || json.Unmarshal([]byte(body), &want) != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s, want %s", encoded, body)
	}
}
