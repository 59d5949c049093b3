// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"time"
)

// Webhook is an address that Patreon calls when something happens in a campaign.
type Webhook struct {
	// ID is the id.
	ID WebhookID `json:"id"`

	LastAttemptedAt Opt[time.Time] `json:"last_attempted_at,omitzero"`
	// Failures counts the calls that have failed since the last one that did not.
	Failures Opt[int64] `json:"num_consecutive_times_failed,omitzero"`
	// Paused tells whether Patreon has given up on the address.
	Paused Opt[bool] `json:"paused,omitzero"`
	// Secret is what the calls are signed with; "" if it is not known. It is left out
	// of JSON.
	Secret Secret `json:"-"`
	// Triggers are the events that it is called for.
	Triggers Opt[[]Trigger] `json:"triggers,omitzero"`
	// URI is the address.
	URI Opt[string] `json:"uri,omitzero"`

	Campaign One[Campaign, CampaignID]  `json:"campaign,omitzero"`
	Client   One[OAuthClient, ClientID] `json:"client,omitzero"`

	Extras
}

func (w *Webhook) name() Type { return TypeWebhook }

func (w *Webhook) setID(id string) { w.ID = WebhookID(id) }

func (w *Webhook) extras() *Extras { return &w.Extras }

func (w *Webhook) attribute(name []byte) attribute {
	switch string(name) {
	case "last_attempted_at":
		return &w.LastAttemptedAt
	case "num_consecutive_times_failed":
		return &w.Failures
	case "paused":
		return &w.Paused
	case "secret":
		return (*secretAttribute)(&w.Secret)
	case "triggers":
		return &w.Triggers
	case "uri":
		return &w.URI
	}
	return nil
}

func (w *Webhook) relation(name []byte) relation {
	switch string(name) {
	case "campaign":
		return &w.Campaign
	case "client":
		return &w.Client
	}
	return nil
}

// WebhookFields returns the names of all attributes of a [Webhook].
func WebhookFields() []string {
	return []string{
		"last_attempted_at", "num_consecutive_times_failed", "paused", "secret", "triggers", "uri",
	}
}
