// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"net/http"
	"slices"
)

// identity shows the user whose token it is.
func (c *call) identity() *answer {
	q, refusal := c.query("user", false)
	if refusal != nil {
		return refusal
	}
	user, ok := c.s.resource(ref{"user", c.bearer.lineage.user})
	if !ok {
		return c.notFound("User", c.bearer.lineage.user)
	}
	return c.single(q, user)
}

func (c *call) listCampaigns() *answer {
	return c.list(listing{"campaign", 20, func() []string {
		return slices.DeleteFunc(slices.Clone(c.s.content.campaignOrder), func(id string) bool { return !c.owns(id) })
	}})
}

func (c *call) showCampaign() *answer { return c.show("campaign", "Campaign") }

func (c *call) listMembers() *answer {
	if refusal := c.checkCampaign(c.parameter); refusal != nil {
		return refusal
	}
	return c.list(listing{"member", 1000, func() []string { return c.s.content.memberOrder[c.parameter] }})
}

func (c *call) showMember() *answer { return c.show("member", "Member") }

func (c *call) listPosts() *answer {
	if refusal := c.checkCampaign(c.parameter); refusal != nil {
		return refusal
	}
	return c.list(listing{"post", 20, func() []string { return c.s.content.postOrder[c.parameter] }})
}

func (c *call) showPost() *answer { return c.show("post", "Post") }

// show answers with the resource whose id stands in the path.
func (c *call) show(kind, title string) *answer {
	r, ok := c.s.resource(ref{kind, c.parameter})
	if !ok {
		return c.notFound(title, c.parameter)
	}
	campaign := c.parameter
	if kind != "campaign" {
		campaign = r.one["campaign"].id
	}
	if refusal := c.checkCampaign(campaign); refusal != nil {
		return refusal
	}
	q, refusal := c.query(kind, false)
	if refusal != nil {
		return refusal
	}
	return c.single(q, r)
}

// owns reports whether the token is the creator's.
func (c *call) owns(campaign string) bool {
	found := c.s.content.campaigns[campaign]
	return found != nil && found.Creator == c.bearer.lineage.user
}

// checkCampaign refuses what belongs to another creator's campaign.
func (c *call) checkCampaign(id string) *answer {
	if c.s.content.campaigns[id] == nil {
		return c.notFound("Campaign", id)
	}
	if !c.owns(id) {
		return c.fail(http.StatusForbidden, "Forbidden", "You do not have permission to view this campaign.")
	}
	return nil
}
