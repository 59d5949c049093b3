// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"fmt"
	"strings"
)

// Type is a type of resources, as JSON:API names it.
type Type string

// The types of Patreon's API that this package has a Go type for.
const (
	TypeAddress     Type = "address"
	TypeBenefit     Type = "benefit"
	TypeCampaign    Type = "campaign"
	TypeClient      Type = "client"
	TypeDeliverable Type = "deliverable"
	TypeGoal        Type = "goal"
	TypeMedia       Type = "media"
	TypeMember      Type = "member"
	TypePledgeEvent Type = "pledge-event"
	TypePost        Type = "post"
	TypeTier        Type = "tier"
	TypeUser        Type = "user"
	TypeWebhook     Type = "webhook"
)

// Ids of resources. Those of members are UUIDs, and the others are decimal
// numbers that may be negative; but nothing relies on that.
type (
	// AddressID names an [Address].
	AddressID string
	// BenefitID names a [Benefit].
	BenefitID string
	// CampaignID names a [Campaign].
	CampaignID string
	// ClientID names an [OAuthClient]. It is not the client id of OAuth.
	ClientID string
	// DeliverableID names a [Deliverable].
	DeliverableID string
	// GoalID names a [Goal].
	GoalID string
	// MediaID names a [Media].
	MediaID string
	// MemberID names a [Member].
	MemberID string
	// PledgeEventID names a [PledgeEvent].
	PledgeEventID string
	// PostID names a [Post].
	PostID string
	// TierID names a [Tier].
	TierID string
	// UserID names a [User].
	UserID string
	// WebhookID names a [Webhook].
	WebhookID string
)

// apiPath is where the API begins.
const apiPath = "/api/oauth2/v2"

// pathOf puts an id into a path. An id that is empty or has other characters
// than ids have would be a request for something else.
func pathOf(t Type, before, id, behind string) (string, error) {
	strange := strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	})
	if id == "" || len(id) > 128 || strange {
		return "", fmt.Errorf("patreon: %q is not the id of a %s: it must have letters, digits, - and _ only", scrub(id, nil), t)
	}
	return apiPath + before + id + behind, nil
}
