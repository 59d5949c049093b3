// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"encoding/json"
	"maps"
	"strings"
)

// host is what links in payloads begin with.
const host = "https://www.patreon.com"

// Payload returns the document that an event of version 2 brings, about a member
// or a post: with all attributes; campaign, user and tiers are included. What was
// deleted still has one. It is nil if there never was anything with that id.
func (s *Server) Payload(event, id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.subject(event, id)
	if !ok {
		return nil
	}
	return s.payload(event, r, true)
}

// subject finds what an event is about.
func (s *Server) subject(event, id string) (resource, bool) {
	name := ref{"member", id}
	if strings.HasPrefix(event, "posts:") {
		name.kind = "post"
	}
	if r, ok := s.resource(name); ok {
		return r, true
	}
	r, ok := s.content.deleted[name]
	return r, ok
}

// payload writes a document. Without email, there are no addresses in it.
func (s *Server) payload(event string, r resource, email bool) []byte {
	if strings.HasPrefix(event, "pledges:") {
		return s.pledgePayload(r)
	}
	relationships := object{}
	included := []object{}
	for name, target := range r.one {
		relationships[name] = object{"data": nil}
		if target.id == "" {
			continue
		}
		relationships[name] = object{"data": target.json(), "links": object{"related": host + target.path()}}
		if full, ok := s.resource(target); ok && (name == "campaign" || name == "user") {
			included = append(included, full.whole(email))
		}
	}
	for name, targets := range r.many {
		if name == "pledge_history" {
			continue
		}
		data := []object{}
		for _, target := range targets {
			data = append(data, target.json())
			if full, ok := s.resource(target); ok {
				included = append(included, full.whole(email))
			}
		}
		relationships[name] = object{"data": data}
	}
	data := r.whole(email)
	data["relationships"] = relationships
	return encode(object{"data": data, "included": included, "links": object{"self": host + r.path()}})
}

// whole is a resource with the attributes that captured payloads have. Those of
// the patron are fewer than the patron sees, and those of the campaign fewer
// than the API has by now.
func (r resource) whole(email bool) object {
	attributes := maps.Clone(r.attributes)
	if !email || r.kind == "user" {
		delete(attributes, "email")
	}
	switch r.kind {
	case "user":
		delete(attributes, "can_see_nsfw")
		delete(attributes, "is_email_verified")
	case "campaign":
		delete(attributes, "currency")
		delete(attributes, "name")
		delete(attributes, "show_earnings")
	}
	return object{"type": r.kind, "id": r.id, "attributes": attributes}
}

func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		return []byte("patreontest: an attribute has no form in JSON: " + err.Error())
	}
	return body
}

// PortalTest returns the document that the button "Send Test" of the portal
// brings. It has another form than real ones: the id is null, and attributes are
// missing.
func PortalTest(event string) []byte {
	kind, attributes := "member", object{
		"full_name": "Test Patron", "is_follower": false, "last_charge_date": timestamp(began()), "last_charge_status": "Paid",
		"lifetime_support_cents": 0, "patron_status": "active_patron", "pledge_amount_cents": 100,
	}
	if strings.HasPrefix(event, "posts:") {
		kind, attributes = "post", object{"title": "Test Post", "content": "<p>Test</p>", "is_public": true}
	}
	return encode(object{
		"data": object{
			"type": kind, "id": nil, "attributes": attributes,
			"relationships": object{
				"campaign": object{"data": object{"type": "campaign", "id": "1"}},
				"user":     object{"data": object{"type": "user", "id": "1"}},
			},
		},
		"included": []object{
			{"type": "campaign", "id": "1", "attributes": object{"creation_name": "tests"}},
			{"type": "user", "id": "1", "attributes": object{"full_name": "Test Patron"}},
		},
		"links": object{"self": "https://www.patreon.com/api/" + kind + "/None"},
	})
}

// V1Pledge returns the document that an event of version 1 brings, such as
// pledges:create: a pledge, which version 2 does not have.
func V1Pledge(string) []byte {
	one := func(kind, id string) object {
		return object{"data": object{"type": kind, "id": id}, "links": object{"related": "https://www.patreon.com/api/" + kind + "/" + id}}
	}
	return encode(pledgeDocument("1", object{
		"amount_cents": 500, "created_at": timestamp(began()), "declined_since": nil, "patron_pays_fees": false, "pledge_cap_cents": nil,
	}, object{"address": object{"data": nil}, "creator": one("user", "1"), "patron": one("user", "2"), "reward": one("reward", "3")}, []object{
		{"type": "user", "id": "1", "attributes": object{"full_name": "Test Creator"}},
		{"type": "user", "id": "2", "attributes": object{"full_name": "Test Patron"}},
		{"type": "reward", "id": "3", "attributes": object{"amount_cents": 500, "title": "Test Reward"}},
	}))
}

func pledgeDocument(id string, attributes, relationships object, included []object) object {
	return object{
		"data":     object{"type": "pledge", "id": id, "attributes": attributes, "relationships": relationships},
		"included": included,
		"links":    object{"self": "https://www.patreon.com/api/pledges/" + id},
	}
}

// pledgePayload is the document of version 1 about a member.
func (s *Server) pledgePayload(r resource) []byte {
	patron := r.one["user"]
	attributes := object{
		"amount_cents": r.attributes["currently_entitled_amount_cents"], "created_at": timestamp(began()),
		"declined_since": nil, "patron_pays_fees": false, "pledge_cap_cents": nil,
	}
	included := []object{}
	if full, ok := s.resource(patron); ok {
		included = append(included, full.whole(false))
	}
	return encode(pledgeDocument(r.id, attributes, object{"patron": object{"data": patron.json()}}, included))
}
