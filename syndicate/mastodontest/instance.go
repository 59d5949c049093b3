// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodontest

import (
	"net/url"
	"strings"
)

func (q *request) limits() object {
	c := q.server.config
	return object{
		"accounts": object{"max_featured_tags": 10, "max_pinned_statuses": 5},
		"statuses": object{
			"max_characters":              c.MaxCharacters,
			"max_media_attachments":       c.MaxMedia,
			"characters_reserved_per_url": c.CharactersPerURL,
		},
		"media_attachments": object{
			"description_limit":    c.MaxDescription,
			"supported_mime_types": imageTypes,
			"image_size_limit":     c.MaxImage,
			"image_matrix_limit":   33177600,
			"video_size_limit":     99 << 20, "video_frame_rate_limit": 120, "video_matrix_limit": 8294400,
		},
		"polls": object{"max_options": 4, "max_characters_per_option": 50, "min_expiration": 300, "max_expiration": 2629746},
	}
}

func (q *request) domain() string {
	u, _ := url.Parse(q.base())
	return u.Host
}

func (q *request) instanceV1() answer {
	return ok(object{
		"uri": q.domain(), "title": "Mastodon for tests", "short_description": "", "description": "", "email": "",
		"version": q.server.config.Version, "urls": object{"streaming_api": "wss://" + q.domain()},
		"stats":     object{"user_count": len(q.server.accounts), "status_count": len(q.server.statuses), "domain_count": 0},
		"thumbnail": nil, "languages": []string{"en"}, "registrations": false, "approval_required": false,
		"invites_enabled": false, "configuration": q.limits(), "contact_account": nil, "rules": []any{},
	})
}

func (q *request) instanceV2() answer {
	if q.server.config.OldInstance {
		return notFound
	}
	limits := q.limits()
	limits["urls"] = object{"streaming": "wss://" + q.domain(), "status": nil}
	limits["vapid"] = object{"public_key": ""}
	limits["translation"] = object{"enabled": false}
	return ok(object{
		"domain": q.domain(), "title": "Mastodon for tests", "version": q.server.config.Version,
		"source_url": "https://github.com/mastodon/mastodon", "description": "",
		"usage": object{"users": object{"active_month": len(q.server.accounts)}}, "thumbnail": object{"url": q.base() + "/preview.png"},
		"icon": []any{}, "languages": []string{"en"}, "configuration": limits,
		"registrations": object{"enabled": false, "approval_required": false, "message": nil, "url": nil},
		"api_versions":  object{"mastodon": 7}, "contact": object{"email": "", "account": nil}, "rules": []any{},
	})
}

func (q *request) accountObject(a *account) object {
	n := 0
	for _, s := range q.server.statuses {
		if s.account == a && !s.deleted {
			n++
		}
	}
	address := q.base() + "/@" + a.name
	return object{
		"id": format(a.id), "username": a.name, "acct": a.name, "display_name": a.name, "locked": false, "bot": true,
		"discoverable": true, "indexable": false, "group": false, "created_at": timestamp(a.made.Truncate(24 * 60 * 60 * 1e9)), "note": "",
		"url": address, "uri": strings.Replace(address, "/@", "/users/", 1), "avatar": q.base() + "/avatars/original/missing.png",
		"avatar_static": q.base() + "/avatars/original/missing.png", "header": q.base() + "/headers/original/missing.png",
		"header_static": q.base() + "/headers/original/missing.png", "followers_count": 0, "following_count": 0,
		"statuses_count": n, "last_status_at": nil, "hide_collections": nil, "noindex": false, "emojis": []any{}, "roles": []any{}, "fields": []any{},
	}
}

func (q *request) ownAccount() answer {
	own := q.accountObject(q.token.account)
	own["source"] = object{
		"privacy": "public", "sensitive": false, "language": nil, "note": "", "fields": []any{},
		"follow_requests_count": 0, "hide_collections": nil, "discoverable": true, "indexable": false,
	}
	own["role"] = object{"id": "-99", "name": "", "permissions": "65536", "color": "", "highlighted": false}
	return ok(own)
}

func (q *request) showAccount() answer {
	if a := q.namedAccount(); a != nil {
		return ok(q.accountObject(a))
	}
	return notFound
}

// namedAccount returns the account that the path names, or nil.
func (q *request) namedAccount() *account {
	for _, a := range q.server.accounts {
		if format(a.id) == q.PathValue("id") {
			return a
		}
	}
	return nil
}
