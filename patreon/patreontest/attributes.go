// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"cmp"
	"strings"
)

// resource returns what a name stands for, if it is there.
func (s *Server) resource(name ref) (resource, bool) {
	switch name.kind {
	case "user":
		return build(s.content.users[name.id], s.userResource)
	case "campaign":
		return build(s.content.campaigns[name.id], s.campaignResource)
	case "tier":
		return build(s.content.tiers[name.id], s.tierResource)
	case "member":
		return build(s.content.members[name.id], s.memberResource)
	case "post":
		return build(s.content.posts[name.id], s.postResource)
	case "address":
		return build(s.content.members[strings.TrimPrefix(name.id, "address-")], s.addressResource)
	case "pledge-event":
		return s.pledgeResource(name)
	case "client":
		if c, ok := s.clients[name.id]; ok {
			return clientResource(c), true
		}
	case "webhook":
		if h := s.hook(name.id); h != nil {
			return h.resource(), true
		}
	case "live":
		if l := s.live(name.id); l != nil {
			return l.resource(), true
		}
	}
	return resource{}, false
}

func build[T any](v *T, make func(T) resource) (resource, bool) {
	if v == nil {
		return resource{}, false
	}
	r := make(*v)
	return r, r.kind != ""
}

func (s *Server) userResource(u User) resource {
	name := cmp.Or(u.FullName, "User "+u.ID)
	first, last := splitName(name)
	r := resource{ref: ref{"user", u.ID}, attributes: object{
		"about": nil, "can_see_nsfw": nil, "created": timestamp(began()), "email": cmp.Or(u.Email, "user"+u.ID+"@example.com"),
		"first_name": first, "full_name": name, "hide_pledges": false, "image_url": "https://images.example/" + u.ID + ".png",
		"is_creator": false, "is_email_verified": true, "last_name": last, "like_count": 0, "social_connections": object{"discord": nil, "reddit": nil, "twitch": nil, "youtube": nil},
		"thumb_url": "https://images.example/" + u.ID + "-small.png", "url": "https://www.patreon.com/user?u=" + u.ID, "vanity": nil,
	}}
	r.one = map[string]ref{"campaign": {}}
	for _, id := range s.content.campaignOrder {
		if s.content.campaigns[id].Creator == u.ID {
			r.attributes["is_creator"] = true
			r.one["campaign"] = ref{"campaign", id}
		}
	}
	r.many = map[string][]ref{"memberships": nil}
	for _, id := range s.content.memberships[u.ID] {
		r.many["memberships"] = append(r.many["memberships"], ref{"member", id})
	}
	r.give(u.Attributes)
	return r
}

func (s *Server) campaignResource(c Campaign) resource {
	r := resource{ref: ref{"campaign", c.ID}, attributes: object{
		"created_at": timestamp(began()), "creation_name": "a site", "currency": "USD", "discord_server_id": nil,
		"google_analytics_id": nil, "image_url": "https://images.example/c" + c.ID + ".png",
		"image_small_url": "https://images.example/c" + c.ID + "-small.png", "is_charged_immediately": true, "is_monthly": true,
		"is_nsfw": false, "has_rss": false, "has_sent_rss_notify": false, "main_video_embed": nil, "main_video_url": nil,
		"name": cmp.Or(c.Name, "Campaign "+c.ID), "one_liner": nil, "pay_per_name": "month",
		"patron_count": s.patrons(c.ID), "pledge_url": "/checkout/" + c.ID, "published_at": timestamp(began()),
		"rss_artwork_url": nil, "rss_feed_title": nil, "show_earnings": false, "summary": nil, "thanks_embed": nil,
		"thanks_msg": nil, "thanks_video_url": nil, "url": "https://www.patreon.com/c" + c.ID, "vanity": nil,
	}}
	r.one = map[string]ref{"creator": {}}
	if c.Creator != "" {
		r.one["creator"] = ref{"user", c.Creator}
	}
	r.many = map[string][]ref{"benefits": nil, "goals": nil, "live_access_rules": nil, "tiers": nil}
	for _, id := range s.tiersOf(c.ID) {
		r.many["tiers"] = append(r.many["tiers"], ref{"tier", id})
	}
	r.give(c.Attributes)
	return r
}

// patrons counts the active ones.
func (s *Server) patrons(campaign string) int {
	n := 0
	for _, id := range s.content.memberOrder[campaign] {
		if s.content.members[id].Status == "active_patron" {
			n++
		}
	}
	return n
}

func (s *Server) tierResource(t Tier) resource {
	r := resource{ref: ref{"tier", t.ID}, attributes: object{
		"amount_cents": t.AmountCents, "created_at": timestamp(began()), "description": "", "discord_role_ids": nil,
		"edited_at": timestamp(began()), "image_url": nil, "patron_count": 0, "post_count": 0, "published": true,
		"published_at": timestamp(began()), "remaining": nil, "requires_shipping": false, "title": cmp.Or(t.Title, "Tier "+t.ID),
		"unpublished_at": nil, "url": "/checkout/" + t.Campaign + "?rid=" + t.ID, "user_limit": nil,
	}}
	r.one = map[string]ref{"campaign": {"campaign", t.Campaign}}
	r.many = map[string][]ref{"benefits": nil}
	r.give(t.Attributes)
	return r
}

func (s *Server) memberResource(m Member) resource {
	r := resource{ref: ref{"member", m.ID}, attributes: object{
		"campaign_lifetime_support_cents": m.LifetimeCents, "currently_entitled_amount_cents": m.AmountCents,
		"email": cmp.Or(m.Email, "user"+m.User+"@example.com"), "full_name": cmp.Or(m.FullName, "User "+m.User),
		"is_follower": false, "is_free_trial": false, "is_gifted": false, "last_charge_date": nil,
		"last_charge_status": orNull(m.LastChargeStatus), "lifetime_support_cents": m.LifetimeCents, "next_charge_date": nil,
		"note": m.Note, "patron_status": orNull(m.Status), "pledge_cadence": nil, "pledge_relationship_start": nil,
		"will_pay_amount_cents": m.AmountCents,
	}}
	if m.LastChargeStatus != "" {
		r.attributes["last_charge_date"] = timestamp(began().AddDate(0, 1, 0))
	}
	if m.Status != "" {
		r.attributes["pledge_cadence"] = 1
		r.attributes["pledge_relationship_start"] = timestamp(began())
	}
	if m.Status == "active_patron" {
		r.attributes["next_charge_date"] = timestamp(began().AddDate(0, 2, 0))
	}
	r.one = map[string]ref{"address": {}, "campaign": {"campaign", m.Campaign}, "user": {"user", m.User}}
	if m.Address != nil {
		r.one["address"] = ref{"address", "address-" + m.ID}
	}
	r.many = map[string][]ref{"currently_entitled_tiers": nil, "pledge_history": nil}
	for _, id := range m.Tiers {
		r.many["currently_entitled_tiers"] = append(r.many["currently_entitled_tiers"], ref{"tier", id})
	}
	for _, p := range m.Pledges {
		r.many["pledge_history"] = append(r.many["pledge_history"], ref{"pledge-event", pledgeID(p, m)})
	}
	r.give(m.Attributes)
	return r
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (s *Server) addressResource(m Member) resource {
	if m.Address == nil {
		return resource{}
	}
	r := resource{ref: ref{"address", "address-" + m.ID}, attributes: object{
		"addressee": m.FullName, "city": "Nowhere", "country": "XX", "created_at": timestamp(began()), "line_1": "1 Example Street",
		"line_2": nil, "phone_number": nil, "postal_code": "00000", "state": nil,
	}}
	r.one = map[string]ref{"user": {"user", m.User}}
	r.give(m.Address)
	return r
}

// pledgeID is under which an event is found again: that of the member is a part
// of it.
func pledgeID(p Pledge, m Member) string { return "pledge_start:" + p.ID + ":" + m.ID }

func (s *Server) pledgeResource(name ref) (resource, bool) {
	m := s.content.members[name.id[strings.LastIndexByte(name.id, ':')+1:]]
	if m == nil {
		return resource{}, false
	}
	for _, p := range m.Pledges {
		if pledgeID(p, *m) == name.id {
			return s.pledgeEvent(p, *m), true
		}
	}
	return resource{}, false
}

func (s *Server) pledgeEvent(p Pledge, m Member) resource {
	r := resource{ref: ref{"pledge-event", pledgeID(p, m)}, attributes: object{
		"amount_cents": p.AmountCents, "currency_code": "USD", "date": timestamp(began()), "pledge_payment_status": "valid",
		"payment_status": "Paid", "tier_id": orNull(p.Tier), "tier_title": nil, "type": "pledge_start",
	}}
	if t := s.content.tiers[p.Tier]; t != nil {
		r.attributes["tier_title"] = t.Title
	}
	r.one = map[string]ref{"campaign": {"campaign", m.Campaign}, "patron": {"user", m.User}, "tier": {}}
	if p.Tier != "" {
		r.one["tier"] = ref{"tier", p.Tier}
	}
	r.give(p.Attributes)
	return r
}

func (s *Server) postResource(p Post) resource {
	r := resource{ref: ref{"post", p.ID}, attributes: object{
		"app_id": nil, "app_status": nil, "content": p.Content, "embed_data": nil, "embed_url": nil, "is_paid": false,
		"is_public": true, "published_at": timestamp(began()), "tiers": []string{}, "title": cmp.Or(p.Title, "Post "+p.ID),
		"url": "/posts/" + p.ID,
	}}
	r.one = map[string]ref{"campaign": {"campaign", p.Campaign}, "user": {}}
	if p.User != "" {
		r.one["user"] = ref{"user", p.User}
	}
	r.give(p.Attributes)
	return r
}

// clientResource leaves the secret out, which nobody needs from there.
func clientResource(c Client) resource {
	return resource{ref: ref{"client", c.ID}, attributes: object{
		"author_name": nil, "category": "other", "default_scopes": "identity", "description": "", "domain": nil, "icon_url": nil,
		"name": "Client " + c.ID, "privacy_policy_url": nil, "redirect_uris": strings.Join(c.RedirectURIs, " "),
		"tos_url": "https://client.example/terms", "version": 2,
	}}
}
