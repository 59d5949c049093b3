// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"time"
)

// Campaign is the page of a creator.
type Campaign struct {
	// ID is the id.
	ID CampaignID `json:"id"`

	CreatedAt Opt[time.Time] `json:"created_at,omitzero"`
	// CreationName is what is made: "videos".
	CreationName Opt[string] `json:"creation_name,omitzero"`
	// Currency is the ISO 4217 code that amounts of members are in.
	Currency          Opt[string] `json:"currency,omitzero"`
	DiscordServerID   Opt[string] `json:"discord_server_id,omitzero"`
	GoogleAnalyticsID Opt[string] `json:"google_analytics_id,omitzero"`
	// ImageURL is the banner.
	ImageURL Opt[string] `json:"image_url,omitzero"`
	// ImageSmallURL is the picture of the profile.
	ImageSmallURL Opt[string] `json:"image_small_url,omitzero"`
	// IsChargedImmediately tells whether members pay when they join.
	IsChargedImmediately Opt[bool] `json:"is_charged_immediately,omitzero"`
	// IsMonthly tells whether members pay by the month, not by the post.
	IsMonthly        Opt[bool]   `json:"is_monthly,omitzero"`
	IsNSFW           Opt[bool]   `json:"is_nsfw,omitzero"`
	HasRSS           Opt[bool]   `json:"has_rss,omitzero"`
	HasSentRSSNotify Opt[bool]   `json:"has_sent_rss_notify,omitzero"`
	MainVideoEmbed   Opt[string] `json:"main_video_embed,omitzero"`
	MainVideoURL     Opt[string] `json:"main_video_url,omitzero"`
	Name             Opt[string] `json:"name,omitzero"`
	OneLiner         Opt[string] `json:"one_liner,omitzero"`
	// PayPerName is what is paid for: "month".
	PayPerName  Opt[string] `json:"pay_per_name,omitzero"`
	PatronCount Opt[int64]  `json:"patron_count,omitzero"`
	// PledgeURL is relative to the address of Patreon.
	PledgeURL Opt[string] `json:"pledge_url,omitzero"`
	// PublishedAt is null if the page is not public.
	PublishedAt   Opt[time.Time] `json:"published_at,omitzero"`
	RSSArtworkURL Opt[string]    `json:"rss_artwork_url,omitzero"`
	RSSFeedTitle  Opt[string]    `json:"rss_feed_title,omitzero"`
	ShowEarnings  Opt[bool]      `json:"show_earnings,omitzero"`
	// Summary is the text of the page, as HTML.
	Summary     Opt[string] `json:"summary,omitzero"`
	ThanksEmbed Opt[string] `json:"thanks_embed,omitzero"`
	// ThanksMessage is shown to new members.
	ThanksMessage  Opt[string] `json:"thanks_msg,omitzero"`
	ThanksVideoURL Opt[string] `json:"thanks_video_url,omitzero"`
	URL            Opt[string] `json:"url,omitzero"`
	// Vanity is the name in the address of the page.
	Vanity Opt[string] `json:"vanity,omitzero"`

	Benefits Many[Benefit, BenefitID] `json:"benefits,omitzero"`
	Creator  One[User, UserID]        `json:"creator,omitzero"`
	Goals    Many[Goal, GoalID]       `json:"goals,omitzero"`
	Tiers    Many[Tier, TierID]       `json:"tiers,omitzero"`

	Extras
}

func (c *Campaign) name() Type { return TypeCampaign }

func (c *Campaign) setID(id string) { c.ID = CampaignID(id) }

func (c *Campaign) extras() *Extras { return &c.Extras }

func (c *Campaign) attribute(name []byte) attribute {
	switch string(name) {
	case "created_at":
		return &c.CreatedAt
	case "creation_name":
		return &c.CreationName
	case "currency":
		return &c.Currency
	case "discord_server_id":
		return &c.DiscordServerID
	case "google_analytics_id":
		return &c.GoogleAnalyticsID
	case "image_url":
		return &c.ImageURL
	case "image_small_url":
		return &c.ImageSmallURL
	case "is_charged_immediately":
		return &c.IsChargedImmediately
	case "is_monthly":
		return &c.IsMonthly
	case "is_nsfw":
		return &c.IsNSFW
	case "has_rss":
		return &c.HasRSS
	case "has_sent_rss_notify":
		return &c.HasSentRSSNotify
	case "main_video_embed":
		return &c.MainVideoEmbed
	case "main_video_url":
		return &c.MainVideoURL
	case "name":
		return &c.Name
	case "one_liner":
		return &c.OneLiner
	case "pay_per_name":
		return &c.PayPerName
	case "patron_count":
		return &c.PatronCount
	case "pledge_url":
		return &c.PledgeURL
	case "published_at":
		return &c.PublishedAt
	case "rss_artwork_url":
		return &c.RSSArtworkURL
	case "rss_feed_title":
		return &c.RSSFeedTitle
	case "show_earnings":
		return &c.ShowEarnings
	case "summary":
		return &c.Summary
	case "thanks_embed":
		return &c.ThanksEmbed
	case "thanks_msg":
		return &c.ThanksMessage
	case "thanks_video_url":
		return &c.ThanksVideoURL
	case "url":
		return &c.URL
	case "vanity":
		return &c.Vanity
	}
	return nil
}

func (c *Campaign) relation(name []byte) relation {
	switch string(name) {
	case "benefits":
		return &c.Benefits
	case "creator":
		return &c.Creator
	case "goals":
		return &c.Goals
	case "tiers":
		return &c.Tiers
	}
	return nil
}

// CampaignFields returns the names of all attributes of a [Campaign].
func CampaignFields() []string {
	return []string{
		"created_at", "creation_name", "currency", "discord_server_id", "google_analytics_id",
		"image_url", "image_small_url", "is_charged_immediately", "is_monthly", "is_nsfw", "has_rss",
		"has_sent_rss_notify", "main_video_embed", "main_video_url", "name", "one_liner", "pay_per_name",
		"patron_count", "pledge_url", "published_at", "rss_artwork_url", "rss_feed_title",
		"show_earnings", "summary", "thanks_embed", "thanks_msg", "thanks_video_url", "url", "vanity",
	}
}

// Goal is what a campaign wants to reach. Patreon no longer says what attributes
// goals have; they are in Extra if they are asked for.
type Goal struct {
	// ID is the id.
	ID GoalID `json:"id"`

	Extras
}

func (g *Goal) name() Type { return TypeGoal }

func (g *Goal) setID(id string) { g.ID = GoalID(id) }

func (g *Goal) extras() *Extras { return &g.Extras }

func (*Goal) attribute([]byte) attribute { return nil }

func (*Goal) relation([]byte) relation { return nil }
