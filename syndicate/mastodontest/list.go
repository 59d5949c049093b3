// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodontest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Status is one that the server took.
type Status struct {
	// ID is what clients know it by.
	ID string
	// Account is the name of the user whose it is.
	Account string
	// Application is the name of the one that posted it.
	Application string
	// Text, SpoilerText, Visibility, Language and Sensitive are as of the last
	// edit.
	Text, SpoilerText, Visibility, Language string
	Sensitive                               bool
	// Key is the idempotency key that it came with.
	Key string
	// Media are its attachments.
	Media []Media
	// Edits counts how often it was changed.
	Edits int
	// Deleted tells that it was taken back.
	Deleted bool
}

// Media is an attachment.
type Media struct {
	Description string
	Content     []byte
}

// Statuses returns everything that was ever posted, the oldest first: also what
// was deleted, and what is not visible yet.
func (s *Server) Statuses() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []Status{}
	for _, one := range s.statuses {
		shown := Status{
			ID: format(one.id), Account: one.account.name, Application: one.app.name,
			Text: one.text, SpoilerText: one.spoiler, Visibility: one.visibility, Language: one.language, Sensitive: one.sensitive,
			Key: one.key, Edits: one.edits, Deleted: one.deleted,
		}
		for _, m := range one.media {
			shown.Media = append(shown.Media, Media{m.description, slices.Clone(m.content)})
		}
		all = append(all, shown)
	}
	return all
}

func (q *request) statusObject(s *status) object {
	account := q.accountObject(s.account)
	o := object{
		"id": format(s.id), "created_at": timestamp(s.made), "in_reply_to_id": nil, "in_reply_to_account_id": nil,
		"sensitive": s.sensitive, "spoiler_text": s.spoiler, "visibility": s.visibility, "language": nullable(s.language),
		"uri": fmt.Sprintf("%s/users/%s/statuses/%d", q.base(), s.account.name, s.id), "url": fmt.Sprintf("%s/@%s/%d", q.base(), s.account.name, s.id),
		"replies_count": 0, "reblogs_count": 0, "favourites_count": 0, "quotes_count": 0, "edited_at": nil, "favourited": false,
		"reblogged": false, "muted": false, "bookmarked": false, "pinned": false, "content": content(q.base(), s.text),
		"filtered": []any{}, "reblog": nil, "application": object{"name": s.app.name, "website": nullable(s.app.website)}, "account": account,
		"media_attachments": q.mediaObjects(s.media), "mentions": []any{}, "tags": q.tags(s.text), "emojis": []any{}, "card": s.card(), "poll": nil,
	}
	if !s.edited.IsZero() {
		o["edited_at"] = timestamp(s.edited)
	}
	if s.reply != nil {
		o["in_reply_to_id"], o["in_reply_to_account_id"] = format(s.reply.id), format(s.reply.account.id)
	}
	return o
}

func (q *request) mediaObjects(all []*media) []object {
	objects := []object{}
	for _, m := range all {
		objects = append(objects, q.mediaObject(m))
	}
	return objects
}

func (q *request) tags(text string) []object {
	tags := []object{}
	for _, e := range entities(text) {
		if e.kind == "hashtag" {
			name := strings.ToLower(text[e.start+1 : e.end])
			tags = append(tags, object{"name": name, "url": q.base() + "/tags/" + name})
		}
	}
	return tags
}

// card is what the server found at the link of a status. It has none where
// something else is shown; it comes a moment after the status.
func (s *status) card() any {
	if len(s.media) > 0 || s.spoiler != "" || !time.Now().After(s.made) {
		return nil
	}
	for _, e := range entities(s.text) {
		if e.kind == "link" {
			link := s.text[e.start:e.end]
			return object{
				"url": link, "title": "A page", "description": "", "language": nil, "type": "link", "author_name": "", "author_url": "", "provider_name": "",
				"provider_url": "", "html": "", "width": 0, "height": 0, "image": nil, "image_description": "", "embed_url": "", "blurhash": nil, "published_at": nil, "authors": []any{},
			}
		}
	}
	return nil
}

func (q *request) listStatuses() answer {
	a := q.namedAccount()
	if a == nil {
		return notFound
	}
	return q.page(func(s *status) bool {
		open := slices.Contains([]string{"public", "unlisted"}, s.visibility)
		return s.account == a && (open || a == q.token.account) && (s.reply == nil || !q.flag("exclude_replies")) &&
			(len(s.media) > 0 || !q.flag("only_media")) && !q.flag("pinned")
	})
}

func (q *request) home() answer {
	return q.page(func(s *status) bool { return s.account == q.token.account })
}

func (q *request) context() answer {
	s := q.seen()
	if s == nil {
		return notFound
	}
	ancestors, descendants := []object{}, []object{}
	for up := s.reply; up != nil; up = up.reply {
		ancestors = append([]object{q.statusObject(up)}, ancestors...)
	}
	for _, one := range q.server.statuses {
		if one.reply == s && one.there() {
			descendants = append(descendants, q.statusObject(one))
		}
	}
	return ok(object{"ancestors": ancestors, "descendants": descendants})
}

// page answers with those of the visible statuses that a page of the list has:
// the newest first, or with min_id the next that are newer.
func (q *request) page(belongs func(*status) bool) answer {
	limit := int(q.number("limit", 40))
	if limit == 0 {
		limit = 20
	}
	above, below, from := q.number("since_id", 1<<62), q.number("max_id", 1<<62), q.number("min_id", 1<<62)
	var found []*status
	for _, s := range q.server.statuses {
		if s.there() && belongs(s) && s.id > max(above, from) && (below == 0 || s.id < below) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *status) int { return int(a.id - b.id) })
	if len(found) > limit && from > 0 {
		found = found[:limit]
	}
	slices.Reverse(found)
	found = found[:min(limit, len(found))]
	list := []object{}
	for _, s := range found {
		list = append(list, q.statusObject(s))
	}
	return &document{status: http.StatusOK, header: q.links(found, limit), value: list}
}

// links is the header field by which clients find the next pages.
func (q *request) links(found []*status, limit int) http.Header {
	if len(found) == 0 {
		return nil
	}
	at := func(param string, id int64) string {
		query := url.Values{"limit": {strconv.Itoa(limit)}}
		for _, name := range []string{"exclude_reblogs", "exclude_replies", "only_media"} {
			if q.given[name] {
				query.Set(name, q.params.Get(name))
			}
		}
		query.Set(param, format(id))
		return "<" + q.base() + q.URL.Path + "?" + query.Encode() + ">"
	}
	var links []string
	if len(found) == limit {
		links = append(links, at("max_id", found[len(found)-1].id)+`; rel="next"`)
	}
	links = append(links, at("min_id", found[0].id)+`; rel="prev"`)
	return http.Header{"Link": {strings.Join(links, ", ")}}
}
