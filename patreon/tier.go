// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"encoding/json"
	"time"
)

// Tier is a level of membership.
type Tier struct {
	// ID is the id.
	ID TierID `json:"id"`

	// AmountCents is the price, in cents.
	AmountCents Opt[int64]     `json:"amount_cents,omitzero"`
	CreatedAt   Opt[time.Time] `json:"created_at,omitzero"`
	// Description is HTML.
	Description    Opt[string]    `json:"description,omitzero"`
	DiscordRoleIDs Opt[[]string]  `json:"discord_role_ids,omitzero"`
	EditedAt       Opt[time.Time] `json:"edited_at,omitzero"`
	ImageURL       Opt[string]    `json:"image_url,omitzero"`
	PatronCount    Opt[int64]     `json:"patron_count,omitzero"`
	PostCount      Opt[int64]     `json:"post_count,omitzero"`
	Published      Opt[bool]      `json:"published,omitzero"`
	PublishedAt    Opt[time.Time] `json:"published_at,omitzero"`
	// Remaining is how many can still join; null if there is no limit.
	Remaining        Opt[int64]     `json:"remaining,omitzero"`
	RequiresShipping Opt[bool]      `json:"requires_shipping,omitzero"`
	Title            Opt[string]    `json:"title,omitzero"`
	UnpublishedAt    Opt[time.Time] `json:"unpublished_at,omitzero"`
	// URL may be relative to the address of Patreon.
	URL       Opt[string] `json:"url,omitzero"`
	UserLimit Opt[int64]  `json:"user_limit,omitzero"`

	Extras
}

func (t *Tier) name() Type { return TypeTier }

func (t *Tier) setID(id string) { t.ID = TierID(id) }

func (t *Tier) extras() *Extras { return &t.Extras }

func (t *Tier) attribute(name []byte) attribute {
	switch string(name) {
	case "amount_cents":
		return &t.AmountCents
	case "created_at":
		return &t.CreatedAt
	case "description":
		return &t.Description
	case "discord_role_ids":
		return &t.DiscordRoleIDs
	case "edited_at":
		return &t.EditedAt
	case "image_url":
		return &t.ImageURL
	case "patron_count":
		return &t.PatronCount
	case "post_count":
		return &t.PostCount
	case "published":
		return &t.Published
	case "published_at":
		return &t.PublishedAt
	case "remaining":
		return &t.Remaining
	case "requires_shipping":
		return &t.RequiresShipping
	case "title":
		return &t.Title
	case "unpublished_at":
		return &t.UnpublishedAt
	case "url":
		return &t.URL
	case "user_limit":
		return &t.UserLimit
	}
	return nil
}

func (*Tier) relation([]byte) relation { return nil }

// TierFields returns the names of all attributes of a [Tier].
func TierFields() []string {
	return []string{
		"amount_cents", "created_at", "description", "discord_role_ids", "edited_at", "image_url",
		"patron_count", "post_count", "published", "published_at", "remaining", "requires_shipping",
		"title", "unpublished_at", "url", "user_limit",
	}
}

// Benefit is a thing that members of a tier get.
type Benefit struct {
	// ID is the id.
	ID BenefitID `json:"id"`

	AppExternalID Opt[string] `json:"app_external_id,omitzero"`
	// AppMeta is an object that an app has put there.
	AppMeta                    Opt[json.RawMessage] `json:"app_meta,omitzero"`
	BenefitType                Opt[string]          `json:"benefit_type,omitzero"`
	CreatedAt                  Opt[time.Time]       `json:"created_at,omitzero"`
	DeliverablesDueTodayCount  Opt[int64]           `json:"deliverables_due_today_count,omitzero"`
	DeliveredDeliverablesCount Opt[int64]           `json:"delivered_deliverables_count,omitzero"`
	Description                Opt[string]          `json:"description,omitzero"`
	IsDeleted                  Opt[bool]            `json:"is_deleted,omitzero"`
	// IsEnded tells whether new members no longer get it.
	IsEnded                       Opt[bool]      `json:"is_ended,omitzero"`
	IsPublished                   Opt[bool]      `json:"is_published,omitzero"`
	NextDeliverableDueDate        Opt[time.Time] `json:"next_deliverable_due_date,omitzero"`
	NotDeliveredDeliverablesCount Opt[int64]     `json:"not_delivered_deliverables_count,omitzero"`
	// RuleType is when it is due: "eom_monthly".
	RuleType   Opt[string] `json:"rule_type,omitzero"`
	TiersCount Opt[int64]  `json:"tiers_count,omitzero"`
	Title      Opt[string] `json:"title,omitzero"`

	Extras
}

func (b *Benefit) name() Type { return TypeBenefit }

func (b *Benefit) setID(id string) { b.ID = BenefitID(id) }

func (b *Benefit) extras() *Extras { return &b.Extras }

func (b *Benefit) attribute(name []byte) attribute {
	switch string(name) {
	case "app_external_id":
		return &b.AppExternalID
	case "app_meta":
		return &b.AppMeta
	case "benefit_type":
		return &b.BenefitType
	case "created_at":
		return &b.CreatedAt
	case "deliverables_due_today_count":
		return &b.DeliverablesDueTodayCount
	case "delivered_deliverables_count":
		return &b.DeliveredDeliverablesCount
	case "description":
		return &b.Description
	case "is_deleted":
		return &b.IsDeleted
	case "is_ended":
		return &b.IsEnded
	case "is_published":
		return &b.IsPublished
	case "next_deliverable_due_date":
		return &b.NextDeliverableDueDate
	case "not_delivered_deliverables_count":
		return &b.NotDeliveredDeliverablesCount
	case "rule_type":
		return &b.RuleType
	case "tiers_count":
		return &b.TiersCount
	case "title":
		return &b.Title
	}
	return nil
}

func (*Benefit) relation([]byte) relation { return nil }

// BenefitFields returns the names of all attributes of a [Benefit].
func BenefitFields() []string {
	return []string{
		"app_external_id", "app_meta", "benefit_type", "created_at", "deliverables_due_today_count",
		"delivered_deliverables_count", "description", "is_deleted", "is_ended", "is_published",
		"next_deliverable_due_date", "not_delivered_deliverables_count", "rule_type", "tiers_count",
		"title",
	}
}

// Deliverable tells whether a member got a benefit.
type Deliverable struct {
	// ID is the id.
	ID DeliverableID `json:"id"`

	CompletedAt    Opt[time.Time]      `json:"completed_at,omitzero"`
	DeliveryStatus Opt[DeliveryStatus] `json:"delivery_status,omitzero"`
	DueAt          Opt[time.Time]      `json:"due_at,omitzero"`

	Extras
}

func (d *Deliverable) name() Type { return TypeDeliverable }

func (d *Deliverable) setID(id string) { d.ID = DeliverableID(id) }

func (d *Deliverable) extras() *Extras { return &d.Extras }

func (d *Deliverable) attribute(name []byte) attribute {
	switch string(name) {
	case "completed_at":
		return &d.CompletedAt
	case "delivery_status":
		return &d.DeliveryStatus
	case "due_at":
		return &d.DueAt
	}
	return nil
}

func (*Deliverable) relation([]byte) relation { return nil }

// DeliverableFields returns the names of all attributes of a [Deliverable].
func DeliverableFields() []string {
	return []string{
		"completed_at", "delivery_status", "due_at",
	}
}
