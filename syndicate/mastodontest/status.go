// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodontest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"xeiaso.net/site/syndicate/internal/faulty"
)

type status struct {
	id            int64
	account       *account
	app           *app
	text, spoiler string
	visibility    string
	language      string
	sensitive     bool
	reply         *status
	media         []*media
	key           string
	made, visible time.Time
	edited        time.Time
	edits         int
	deleted       bool
}

// visibilities are those that a client may ask for.
var visibilities = []string{"public", "unlisted", "private", "direct"}

// there reports whether the status exists for those who ask now.
func (s *status) there() bool { return !s.deleted && !time.Now().Before(s.visible) }

// stored reports whether the server knows the key of the status now.
func (s *status) stored(a *account, key string) bool {
	return key != "" && s.key == key && s.account == a && !time.Now().Before(s.visible) && time.Since(s.visible) < time.Hour
}

func (q *request) createStatus() answer {
	key := q.Header.Get("Idempotency-Key")
	if s := q.byKey(key); s != nil {
		if q.server.config.Keys == KeysBroken || s.deleted {
			return refuse(http.StatusInternalServerError, "We're sorry, but something went wrong on our end.")
		}
		return ok(q.statusObject(s))
	}
	s := &status{account: q.token.account, app: q.token.app, key: key, visibility: q.params.Get("visibility")}
	if s.visibility == "" {
		s.visibility = "public"
	}
	if refusal := q.set(s, ""); refusal != nil {
		return refusal
	}
	s.id, s.made = q.server.nextID(), time.Now()
	s.visible = s.made.Add(faulty.Delay(q.Context()))
	q.server.statuses = append(q.server.statuses, s)
	q.attach(s)
	return ok(q.statusObject(s))
}

// byKey returns the status that was made with a key, or nil.
func (q *request) byKey(key string) *status {
	if q.server.config.Keys == KeysIgnored {
		return nil
	}
	for _, s := range q.server.statuses {
		if s.stored(q.token.account, key) {
			return s
		}
	}
	return nil
}

// set gives a status what the request says, or returns what is wrong with it. A
// status that is edited has its language unless another is given.
func (q *request) set(s *status, language string) *document {
	text, spoiler := strings.TrimSpace(q.params.Get("status")), strings.TrimSpace(q.params.Get("spoiler_text"))
	if text == "" {
		text, spoiler = spoiler, ""
	}
	files, refusal := q.attachable(s)
	switch {
	case refusal != nil:
		return refusal
	case q.given["poll"] || q.given["scheduled_at"] || q.given["quoted_status_id"]:
		return refuse(http.StatusUnprocessableEntity, "Record invalid")
	case !slices.Contains(visibilities, s.visibility):
		return refuse(http.StatusUnprocessableEntity, "Record invalid")
	case text == "" && len(files) == 0:
		return invalid("Text can't be blank")
	case q.server.count(spoiler, text) > q.server.config.MaxCharacters:
		return invalid("Text character limit of %d exceeded", q.server.config.MaxCharacters)
	}
	if id := q.params.Get("in_reply_to_id"); id != "" && s.id == 0 {
		if s.reply = q.server.status(id); s.reply == nil {
			return refuse(http.StatusNotFound, "The post you are trying to reply to does not appear to exist.")
		}
	}
	s.text, s.spoiler, s.media = text, spoiler, files
	s.sensitive = q.flag("sensitive") || spoiler != ""
	s.language = validLanguage(q.params.Get("language"), language)
	return nil
}

func (q *request) attach(s *status) {
	for _, m := range s.media {
		m.status = s
	}
}

// validLanguage returns the language of a tag as Mastodon knows it, or the other
// one: it takes two or three letters, and of longer tags only those of Chinese.
func validLanguage(tag, other string) string {
	if slices.Contains([]string{"zh-CN", "zh-HK", "zh-TW"}, tag) {
		return tag
	}
	base, _, _ := strings.Cut(strings.ReplaceAll(tag, "_", "-"), "-")
	if len(base) < 2 || len(base) > 3 || strings.Trim(base, "abcdefghijklmnopqrstuvwxyz") != "" {
		return other
	}
	return base
}

// status returns the status with an id if it is there, or nil.
func (s *Server) status(id string) *status {
	n, err := strconv.ParseInt(id, 10, 64)
	for _, one := range s.statuses {
		if err == nil && one.id == n && one.there() {
			return one
		}
	}
	return nil
}

// seen returns the status that the path names if the account may see it.
func (q *request) seen() *status {
	s := q.server.status(q.PathValue("id"))
	if s != nil && (s.account == q.token.account || slices.Contains([]string{"public", "unlisted"}, s.visibility)) {
		return s
	}
	return nil
}

// own returns the status that the path names if it is the account's own.
func (q *request) own() *status {
	if s := q.server.status(q.PathValue("id")); s != nil && s.account == q.token.account {
		return s
	}
	return nil
}

func (q *request) showStatus() answer {
	s := q.seen()
	if s == nil {
		return notFound
	}
	return ok(q.statusObject(s))
}

func (q *request) source() answer {
	s := q.own()
	if s == nil {
		return notFound
	}
	return ok(object{"id": format(s.id), "text": s.text, "spoiler_text": s.spoiler})
}

// editStatus replaces what a status says. What the request does not name is
// taken away, the media too; only the visibility stays, and the language.
func (q *request) editStatus() answer {
	s := q.own()
	if s == nil {
		return notFound
	}
	before := *s
	if refusal := q.set(s, s.language); refusal != nil {
		*s = before
		return refusal
	}
	changed := s.text != before.text || s.spoiler != before.spoiler || s.language != before.language ||
		s.sensitive != before.sensitive || !slices.Equal(s.media, before.media)
	for _, a := range q.attributes {
		for _, m := range s.media {
			if format(m.id) == a["id"] && m.description != a["description"] {
				m.description, changed = a["description"], true
			}
		}
	}
	if changed {
		s.edited, s.edits = time.Now(), s.edits+1
		q.attach(s)
	}
	return ok(q.statusObject(s))
}

func (q *request) deleteStatus() answer {
	s := q.own()
	if s == nil {
		return notFound
	}
	s.deleted = true
	gone := q.statusObject(s)
	gone["text"] = s.text // for "delete and redraft"
	return ok(gone)
}
