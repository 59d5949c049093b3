// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import "slices"

// relation is how one type of resource refers to another.
type relation struct {
	kind string
	many bool
}

// kind is a type of resources.
type kind struct {
	attributes []string
	relations  map[string]relation
}

// kinds are all types, as the OpenAPI document names them and their fields.
// Relations that the document does not have on a type, and that an include path
// of more than one step needs, are from Patreon's documentation.
func kinds() map[string]kind {
	one := func(k string) relation { return relation{k, false} }
	many := func(k string) relation { return relation{k, true} }
	return map[string]kind{
		"user": {
			[]string{
				"about", "can_see_nsfw", "created", "email", "first_name", "full_name", "hide_pledges", "image_url", "is_creator",
				"is_email_verified", "last_name", "like_count", "social_connections", "thumb_url", "url", "vanity",
			},
			map[string]relation{"campaign": one("campaign"), "memberships": many("member")},
		},
		"campaign": {
			[]string{
				"created_at", "creation_name", "currency", "discord_server_id", "google_analytics_id", "image_url", "image_small_url",
				"is_charged_immediately", "is_monthly", "is_nsfw", "has_rss", "has_sent_rss_notify", "main_video_embed", "main_video_url",
				"name", "one_liner", "pay_per_name", "patron_count", "pledge_url", "published_at", "rss_artwork_url", "rss_feed_title",
				"show_earnings", "summary", "thanks_embed", "thanks_msg", "thanks_video_url", "url", "vanity",
			},
			map[string]relation{
				"benefits": many("benefit"), "creator": one("user"), "goals": many("goal"),
				"live_access_rules": many("live-access-rule"), "tiers": many("tier"),
			},
		},
		"member": {
			[]string{
				"campaign_lifetime_support_cents", "currently_entitled_amount_cents", "email", "full_name", "is_follower", "is_free_trial",
				"is_gifted", "last_charge_date", "last_charge_status", "lifetime_support_cents", "next_charge_date", "note", "patron_status",
				"pledge_cadence", "pledge_relationship_start", "will_pay_amount_cents",
			},
			map[string]relation{
				"address": one("address"), "campaign": one("campaign"), "currently_entitled_tiers": many("tier"),
				"pledge_history": many("pledge-event"), "user": one("user"),
			},
		},
		"tier": {
			[]string{
				"amount_cents", "created_at", "description", "discord_role_ids", "edited_at", "image_url", "patron_count", "post_count",
				"published", "published_at", "remaining", "requires_shipping", "title", "unpublished_at", "url", "user_limit",
			},
			map[string]relation{"benefits": many("benefit"), "campaign": one("campaign")},
		},
		"post": {
			[]string{
				"app_id", "app_status", "content", "embed_data", "embed_url", "is_paid", "is_public", "published_at", "tiers", "title", "url",
			},
			map[string]relation{"campaign": one("campaign"), "user": one("user")},
		},
		"pledge-event": {
			[]string{
				"amount_cents", "currency_code", "date", "pledge_payment_status", "payment_status", "tier_id", "tier_title", "type",
			},
			map[string]relation{"campaign": one("campaign"), "patron": one("user"), "tier": one("tier")},
		},
		"address": {
			[]string{
				"addressee", "city", "country", "created_at", "line_1", "line_2", "phone_number", "postal_code", "state",
			},
			map[string]relation{"user": one("user")},
		},
		"webhook": {
			[]string{"last_attempted_at", "num_consecutive_times_failed", "paused", "secret", "triggers", "uri"},
			map[string]relation{"campaign": one("campaign"), "client": one("client")},
		},
		"client": {
			[]string{
				"author_name", "category", "client_secret", "default_scopes", "description", "domain", "icon_url", "name",
				"privacy_policy_url", "redirect_uris", "tos_url", "version",
			},
			nil,
		},
		"benefit": {
			[]string{
				"app_external_id", "app_meta", "benefit_type", "created_at", "deliverables_due_today_count", "delivered_deliverables_count",
				"description", "is_deleted", "is_ended", "is_published", "next_deliverable_due_date", "not_delivered_deliverables_count",
				"rule_type", "tiers_count", "title",
			},
			nil,
		},
		"live": {
			[]string{"description", "rtmp_url", "scheduled_for", "state", "stream_key", "title"},
			map[string]relation{"campaign": one("campaign"), "live_access_rules": many("live-access-rule")},
		},
		"live-access-rule": {[]string{"access_rule_type"}, nil},
		"deliverable":      {[]string{"completed_at", "delivery_status", "due_at"}, nil},
		"media": {
			[]string{
				"created_at", "download_url", "file_name", "image_urls", "metadata", "mimetype", "owner_id", "owner_relationship",
				"owner_type", "size_bytes", "state", "upload_expires_at", "upload_parameters", "upload_url",
			},
			nil,
		},
		"goal": {[]string{"amount_cents", "completed_at", "completed_percentage", "created_at", "description", "reached_at", "title"}, nil},
	}
}

func (k kind) has(attribute string) bool { return slices.Contains(k.attributes, attribute) }
