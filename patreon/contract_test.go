// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/openapi"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// contract is the description of Patreon's API. The client is held against it
// without the fake, which may have the same mistakes.
type contract struct{ root map[string]any }

func readContract(t testing.TB) contract {
	t.Helper()
	content, err := os.ReadFile(need.Path(t, "../shared/specs/patreon-openapi.json", "contracts of services are not part of the repository"))
	if err != nil {
		t.Fatal(err)
	}
	var c contract
	if err := json.Unmarshal(content, &c.root); err != nil {
		t.Fatal(err)
	}
	return c
}

// at follows keys.
func (c contract) at(keys ...string) any {
	var v any = c.root
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// properties of a schema.
func (c contract) properties(schema string) map[string]any {
	m, _ := c.at("components", "schemas", schema, "properties").(map[string]any)
	return m
}

// parameter returns the schema of a parameter of a GET.
func (c contract) parameter(template, name string) map[string]any {
	list, _ := c.at("paths", template, "get", "parameters").([]any)
	for _, p := range list {
		if m, _ := p.(map[string]any); m["name"] == name {
			schema, _ := m["schema"].(map[string]any)
			return schema
		}
	}
	return nil
}

// fieldLists are those of this package.
func fieldLists() map[patreon.Type][]string {
	return map[patreon.Type][]string{
		patreon.TypeAddress:     patreon.AddressFields(),
		patreon.TypeBenefit:     patreon.BenefitFields(),
		patreon.TypeCampaign:    patreon.CampaignFields(),
		patreon.TypeClient:      append(patreon.OAuthClientFields(), "client_secret"),
		patreon.TypeDeliverable: patreon.DeliverableFields(),
		patreon.TypeMedia:       append(patreon.MediaFields(), "upload_expires_at", "upload_parameters", "upload_url"),
		patreon.TypeMember:      patreon.AllMemberFields(),
		patreon.TypePledgeEvent: patreon.PledgeEventFields(),
		patreon.TypePost:        patreon.PostFields(),
		patreon.TypeTier:        patreon.TierFields(),
		patreon.TypeUser:        patreon.AllUserFields(),
		patreon.TypeWebhook:     patreon.WebhookFields(),
	}
}

func TestTheFieldListsAreThoseOfTheContract(t *testing.T) {
	c := readContract(t)
	for of, fields := range fieldLists() {
		want := slices.Sorted(maps.Keys(c.properties(string(of))))
		slices.Sort(fields)
		if !slices.Equal(fields, want) {
			t.Errorf("%s has\n%q, want\n%q", of, fields, want)
		}
	}
	types, _ := c.at("components", "schemas", "JSONAPIResource", "properties", "type", "enum").([]any)
	for _, of := range types {
		// Streams are an early part of the API that this package leaves out.
		if of := patreon.Type(of.(string)); fieldLists()[of] == nil && of != patreon.TypeGoal && of != "live" && of != "live-access-rule" {
			t.Errorf("type %q is missing", of)
		}
	}
}

// example makes a value for a schema.
func example(schema any, null bool) any {
	m, _ := schema.(map[string]any)
	types, _ := m["type"].([]any)
	if s, ok := m["type"].(string); ok {
		types = []any{s}
	}
	if null && slices.Contains(types, any("null")) {
		return nil
	}
	if enum, ok := m["enum"].([]any); ok {
		return enum[0]
	}
	switch types[0] {
	case "string":
		if m["format"] == "date-time" {
			return "2026-03-04T05:06:07.000+00:00"
		}
		return "made up"
	case "number":
		return 7
	case "boolean":
		return true
	case "array":
		return []any{"made up"}
	}
	return map[string]any{"made": "up"}
}

func TestEveryAttributeOfTheContractHasAField(t *testing.T) {
	c := readContract(t)
	for of := range fieldLists() {
		for _, null := range []bool{false, true} {
			values := map[string]any{}
			for name, schema := range c.properties(string(of)) {
				values[name] = example(schema, null)
			}
			body, _ := json.Marshal(map[string]any{"data": map[string]any{"type": of, "id": "1", "attributes": values}})
			d, err := patreon.ParseDocument(body)
			if err != nil {
				t.Fatal(err)
			}
			v, err := d.Data()
			if err != nil {
				t.Errorf("%s", err)
			}
			encoded, _ := json.Marshal(v)
			var got map[string]any
			if err := json.Unmarshal(encoded, &got); err != nil {
				t.Fatal(err)
			}
			if got["extra"] != nil {
				t.Errorf("%s has no fields for %v", of, got["extra"])
			}
			for name, want := range values {
				if name == "secret" || name == "client_secret" { // which are left out of JSON
					continue
				}
				if want == "2026-03-04T05:06:07.000+00:00" {
					want = "2026-03-04T05:06:07Z"
				}
				if fmt.Sprint(got[name]) != fmt.Sprint(want) {
					t.Errorf("%s: %s is %v, want %v", of, name, got[name], want)
				}
			}
		}
	}
}

func TestEveryEnumOfTheContractIsKnown(t *testing.T) {
	c := readContract(t)
	known := map[string]func(string) bool{
		"member last_charge_status":          func(s string) bool { return patreon.ChargeStatus(s).Known() },
		"member patron_status":               func(s string) bool { return patreon.PatronStatus(s).Known() },
		"pledge-event payment_status":        func(s string) bool { return patreon.ChargeStatus(s).Known() },
		"pledge-event pledge_payment_status": func(s string) bool { return patreon.PledgeStatus(s).Known() },
		"pledge-event type":                  func(s string) bool { return patreon.PledgeEventType(s).Known() },
		"deliverable delivery_status":        func(s string) bool { return patreon.DeliveryStatus(s).Known() },
	}
	for of := range fieldLists() {
		for name, schema := range c.properties(string(of)) {
			m, _ := schema.(map[string]any)
			enum, ok := m["enum"].([]any)
			if !ok {
				continue
			}
			check := known[string(of)+" "+name]
			if check == nil {
				t.Errorf("%s of %s has values that are not known", name, of)
				continue
			}
			for _, value := range enum {
				if s, ok := value.(string); ok && !check(s) {
					t.Errorf("%s of %s: %q is not known", name, of, s)
				}
			}
			if check("made up") {
				t.Errorf("%s of %s: everything is known", name, of)
			}
		}
	}
	triggers, _ := c.at("components", "schemas", "webhookTrigger", "items", "enum").([]any)
	for _, trigger := range triggers {
		if !patreon.Trigger(trigger.(string)).Known() {
			t.Errorf("trigger %q is not known", trigger)
		}
	}
	if len(triggers) != len(patreon.Triggers()) {
		t.Errorf("%d triggers, want %d", len(patreon.Triggers()), len(triggers))
	}
}

func TestEveryRelationshipOfTheContractHasAField(t *testing.T) {
	c := readContract(t)
	for of, response := range map[string]string{
		"user": "userResponse", "campaign": "campaignResponse", "member": "memberResponse", "post": "postResponse", "webhook": "webhookResponse",
	} {
		schema, _ := c.at("components", "responses", response, "content", "application/json", "schema", "properties", "data", "properties", "relationships", "properties").(map[string]any)
		if len(schema) == 0 {
			t.Fatalf("%s has no relationships", response)
		}
		values, included := map[string]any{}, []any{}
		for name, relationship := range schema {
			data, _ := relationship.(map[string]any)["properties"].(map[string]any)["data"].(map[string]any)
			items, many := data["items"].(map[string]any)
			if !many {
				items = data
			}
			to := items["properties"].(map[string]any)["type"].(map[string]any)["enum"].([]any)[0]
			ref := map[string]any{"type": to, "id": "5"}
			included = append(included, ref)
			values[name] = map[string]any{"data": ref}
			if many {
				values[name] = map[string]any{"data": []any{ref}}
			}
		}
		body, _ := json.Marshal(map[string]any{"data": map[string]any{"type": of, "id": "1", "relationships": values}, "included": included})
		d, err := patreon.ParseDocument(body)
		if err != nil {
			t.Fatal(err)
		}
		v, err := d.Data()
		if err != nil {
			t.Errorf("%s: %v", of, err)
		}
		encoded, _ := json.Marshal(v)
		var got map[string]any
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatal(err)
		}
		unknown, _ := got["relations"].(map[string]any)
		for name, want := range values {
			if name == "live_access_rules" {
				continue // those of streams are left out
			}
			want, _ := json.Marshal(want.(map[string]any)["data"])
			if has, _ := json.Marshal(got[name]); string(has) != string(want) {
				t.Errorf("%s: %s is %s, want %s", of, name, has, want)
			}
			delete(unknown, name)
		}
		delete(unknown, "live_access_rules")
		if len(unknown) != 0 {
			t.Errorf("%s: no fields for %v", of, unknown)
		}
	}
}

// calls makes every call of the client that reads, with a query.
func calls(t *testing.T, c *patreon.Client, q patreon.Query) {
	ctx := t.Context()
	c.Identity(ctx, q)
	c.Campaign(ctx, "1", q)
	c.Member(ctx, "1", q)
	c.Post(ctx, "1", q)
	for range c.Campaigns(ctx, q) {
	}
	for range c.Members(ctx, "1", q) {
	}
	for range c.Posts(ctx, "1", q) {
	}
	for range c.Webhooks(ctx, q) {
	}
}

func TestEveryRequestIsOneOfTheContract(t *testing.T) {
	c := readContract(t)
	templates := map[string]bool{}
	client := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		template := r.URL.Path
		for part, name := range map[string]string{"campaigns": "{campaign_id}", "members": "{id}", "posts": "{id}", "webhooks": "{id}"} {
			template = strings.Replace(template, "/"+part+"/1", "/"+part+"/"+name, 1)
		}
		if c.at("paths", template, strings.ToLower(r.Method)) == nil {
			t.Errorf("%s %s is not in the contract", r.Method, template)
		}
		templates[r.Method+" "+template] = true
		c.checkQuery(t, template, r.URL.Query())
		w.WriteHeader(404)
	}), nil)
	calls(t, client, patreon.Query{})
	calls(t, client, patreon.Query{Include: []string{}, PageSize: 10, Sort: "x"})
	client.CreateWebhook(t.Context(), patreon.NewWebhook{Campaign: "1", URI: "https://x.example/", Triggers: patreon.Triggers()})
	client.UpdateWebhook(t.Context(), "1", patreon.WebhookChange{Paused: patreon.Some(false)})
	client.DeleteWebhook(t.Context(), "1")
	paths, _ := c.at("paths").(map[string]any)
	for template, item := range paths {
		for method := range item.(map[string]any) {
			name := strings.ToUpper(method) + " " + template
			if slices.Contains([]string{"get", "post", "patch", "delete"}, method) && !templates[name] && !strings.Contains(name, "/lives") {
				t.Errorf("the client has no %s", name)
			}
		}
	}
}

// checkQuery complains of parameters and values that the contract does not have.
func (c contract) checkQuery(t *testing.T, template string, query url.Values) {
	t.Helper()
	for name, values := range query {
		outer, inner, _ := strings.Cut(strings.TrimSuffix(name, "]"), "[")
		schema := c.parameter(template, outer)
		if schema == nil {
			t.Errorf("%s: no parameter %q", template, name)
			continue
		}
		if inner != "" && schema["properties"].(map[string]any)[inner] == nil {
			t.Errorf("%s: no parameter %q", template, name)
		}
		for value := range strings.SplitSeq(values[0], ",") {
			switch outer {
			case "include":
				if !slices.Contains(schema["items"].(map[string]any)["enum"].([]any), any(value)) {
					t.Errorf("%s: nothing to include with %q", template, value)
				}
			case "fields":
				if c.properties(inner)[value] == nil {
					t.Errorf("%s: %s has no %q", template, inner, value)
				}
			}
		}
	}
}

func TestRequestsAndAnswersOfTheFakeAreThoseOfTheContract(t *testing.T) {
	spec := openapi.LoadPatreon(t)
	w := newWorld(t, patreontest.Config{PageSize: 5}, nil)
	w.FillMembers(string(w.campaign), 12)
	post := w.AddPost(patreontest.Post{Campaign: string(w.campaign), Title: "Ink"})
	pair, _ := w.Current("app", w.creator)
	c := newClient(t, spec.Wrap(t, "", w.Server), func(cfg *patreon.ClientConfig) { cfg.Tokens = patreon.StaticToken(pair.AccessToken) })

	ctx := t.Context()
	_, identity := c.Identity(ctx, patreon.Query{})
	_, campaign := c.Campaign(ctx, w.campaign, patreon.Query{})
	_, single := c.Post(ctx, patreon.PostID(post), patreon.Query{})
	s, members := c.CollectMembers(ctx, w.campaign, patreon.Query{Include: []string{"campaign", "pledge_history", "user", "currently_entitled_tiers"}})
	_, member := c.Member(ctx, s.Members[0].ID, patreon.Query{})
	hook, creation := c.CreateWebhook(ctx, patreon.NewWebhook{Campaign: w.campaign, URI: "https://x.example/", Triggers: patreon.Triggers()})
	_, update := c.UpdateWebhook(ctx, hook.ID, patreon.WebhookChange{Triggers: patreon.Triggers()[:2], URI: patreon.Some("https://y.example/"), Paused: patreon.Some(false)})
	for _, err := range c.Campaigns(ctx, patreon.Query{}) {
		identity = cmp.Or(identity, err)
	}
	for _, err := range c.Posts(ctx, w.campaign, patreon.Query{}) {
		single = cmp.Or(single, err)
	}
	for _, err := range c.Webhooks(ctx, patreon.Query{}) {
		update = cmp.Or(update, err)
	}
	deletion := c.DeleteWebhook(ctx, hook.ID)
	if err := cmp.Or(identity, campaign, single, members, member, creation, update, deletion); err != nil {
		t.Error(err)
	}
}
