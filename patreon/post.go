// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"encoding/json"
	"time"
)

// Post is a text on the page of a campaign.
type Post struct {
	// ID is the id.
	ID PostID `json:"id"`

	AppID     Opt[int64]  `json:"app_id,omitzero"`
	AppStatus Opt[string] `json:"app_status,omitzero"`
	// Content is HTML.
	Content Opt[string] `json:"content,omitzero"`
	// EmbedData is an object about what is embedded.
	EmbedData Opt[json.RawMessage] `json:"embed_data,omitzero"`
	EmbedURL  Opt[string]          `json:"embed_url,omitzero"`
	// IsPaid tells whether members pay for this post.
	IsPaid   Opt[bool] `json:"is_paid,omitzero"`
	IsPublic Opt[bool] `json:"is_public,omitzero"`
	// PublishedAt is null for drafts.
	PublishedAt Opt[time.Time] `json:"published_at,omitzero"`
	// Tiers are those that the post is for, if it is not for everybody.
	Tiers Opt[[]TierID] `json:"tiers,omitzero"`
	Title Opt[string]   `json:"title,omitzero"`
	// URL may be relative to the address of Patreon.
	URL Opt[string] `json:"url,omitzero"`

	Campaign One[Campaign, CampaignID] `json:"campaign,omitzero"`
	// User is the author.
	User One[User, UserID] `json:"user,omitzero"`

	Extras
}

func (p *Post) name() Type { return TypePost }

func (p *Post) setID(id string) { p.ID = PostID(id) }

func (p *Post) extras() *Extras { return &p.Extras }

func (p *Post) attribute(name []byte) attribute {
	switch string(name) {
	case "app_id":
		return &p.AppID
	case "app_status":
		return &p.AppStatus
	case "content":
		return &p.Content
	case "embed_data":
		return &p.EmbedData
	case "embed_url":
		return &p.EmbedURL
	case "is_paid":
		return &p.IsPaid
	case "is_public":
		return &p.IsPublic
	case "published_at":
		return &p.PublishedAt
	case "tiers":
		return &p.Tiers
	case "title":
		return &p.Title
	case "url":
		return &p.URL
	}
	return nil
}

func (p *Post) relation(name []byte) relation {
	switch string(name) {
	case "campaign":
		return &p.Campaign
	case "user":
		return &p.User
	}
	return nil
}

// PostFields returns the names of all attributes of a [Post].
func PostFields() []string {
	return []string{
		"app_id", "app_status", "content", "embed_data", "embed_url", "is_paid", "is_public",
		"published_at", "tiers", "title", "url",
	}
}
