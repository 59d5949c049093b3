// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// live is a stream. That part of the API is early access; there is as much of
// it here as the OpenAPI document says.
type live struct {
	id, campaign, state       string
	title, description, start *string
	key                       string
}

func (s *Server) live(id string) *live {
	for _, l := range s.lives {
		if l.id == id {
			return l
		}
	}
	return nil
}

func (l *live) resource() resource {
	r := resource{ref: ref{"live", l.id}, attributes: object{
		"description": l.description, "rtmp_url": "rtmps://live.example/" + l.id, "scheduled_for": l.start, "state": l.state,
		"stream_key": l.key, "title": l.title,
	}}
	r.one = map[string]ref{"campaign": {"campaign", l.campaign}}
	r.many = map[string][]ref{"live_access_rules": nil}
	return r
}

// liveBody is what is sent to create or edit a live.
type liveBody struct {
	Data *struct {
		Type       string `json:"type"`
		ID         string `json:"id"`
		Attributes *struct {
			State       string   `json:"state"`
			Title       *string  `json:"title"`
			Description *string  `json:"description"`
			Scheduled   *string  `json:"scheduled_for"`
			AccessRules []string `json:"live_access_rule_ids"`
		} `json:"attributes"`
	} `json:"data"`
}

func (c *call) readLive() (liveBody, *answer) {
	var b liveBody
	if refusal := c.decode(&b); refusal != nil {
		return b, refusal
	}
	switch {
	case b.Data == nil || b.Data.Type != "live":
		return b, c.invalidBody("/data/type", "It is not live.")
	case b.Data.Attributes == nil || b.Data.Attributes.State == "":
		return b, c.invalidBody("/data/attributes/state", "It is missing.")
	}
	if at := b.Data.Attributes.Scheduled; at != nil {
		if _, err := time.Parse(time.RFC3339, *at); err != nil {
			return b, c.invalidBody("/data/attributes/scheduled_for", "%q is no time.", *at)
		}
	}
	return b, nil
}

// ownLive finds one of this user's campaigns.
func (c *call) ownLive() *live {
	if l := c.s.live(c.parameter); l != nil && c.owns(l.campaign) {
		return l
	}
	return nil
}

func (c *call) createLive() *answer {
	b, refusal := c.readLive()
	if refusal != nil {
		return refusal
	}
	i := slices.IndexFunc(c.s.content.campaignOrder, c.owns)
	if i < 0 {
		return c.fail(http.StatusForbidden, "Forbidden", "You have no campaign.")
	}
	a := b.Data.Attributes
	l := &live{c.s.id(), c.s.content.campaignOrder[i], a.State, a.Title, a.Description, a.Scheduled, randomHex(8)}
	c.s.lives = append(c.s.lives, l)
	return c.showsLive(l)
}

func (c *call) showLive() *answer {
	l := c.ownLive()
	if l == nil {
		return c.notFound("Live", c.parameter)
	}
	q, refusal := c.query("live", false)
	if refusal != nil {
		return refusal
	}
	return c.single(q, l.resource())
}

// showsLive answers with all of a live that was changed.
func (c *call) showsLive(l *live) *answer {
	return c.single(query{fields: map[string][]string{"live": kinds()["live"].attributes}}, l.resource())
}

func (c *call) editLive() *answer {
	l := c.ownLive()
	if l == nil {
		return c.notFound("Live", c.parameter)
	}
	b, refusal := c.readLive()
	if refusal != nil {
		return refusal
	}
	if b.Data.ID != c.parameter {
		return c.invalidBody("/data/id", "%q is not that of the address.", b.Data.ID)
	}
	a := b.Data.Attributes
	l.state = a.State
	l.title, l.description, l.start = cmp.Or(a.Title, l.title), cmp.Or(a.Description, l.description), cmp.Or(a.Scheduled, l.start)
	return c.showsLive(l)
}

func (c *call) deleteLive() *answer {
	l := c.ownLive()
	if l == nil {
		return c.notFound("Live", c.parameter)
	}
	c.s.lives = slices.DeleteFunc(c.s.lives, func(other *live) bool { return other == l })
	return noContent()
}
