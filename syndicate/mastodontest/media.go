// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodontest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

var imageTypes = []string{"image/jpeg", "image/png", "image/gif", "image/webp"}

type media struct {
	id          int64
	account     *account
	status      *status // nil until it is attached
	kind        string
	content     []byte
	description string
	ready       time.Time
}

func (m *media) processed() bool { return !time.Now().Before(m.ready) }

// uploadNow is the old way, which answers when all is done.
func (q *request) uploadNow() answer {
	m, refusal := q.newMedia()
	if refusal != nil {
		return refusal
	}
	m.ready = time.Time{}
	return ok(q.mediaObject(m))
}

func (q *request) upload() answer {
	m, refusal := q.newMedia()
	if refusal != nil {
		return refusal
	}
	status := http.StatusOK
	if !m.processed() {
		status = http.StatusAccepted
	}
	return &document{status: status, value: q.mediaObject(m)}
}

func (q *request) newMedia() (*media, *document) {
	description := strings.TrimSpace(q.params.Get("description"))
	switch {
	case q.file == nil:
		return nil, invalid("File can't be blank")
	case !slices.Contains(imageTypes, q.fileType):
		return nil, invalid("File content type is invalid, File is invalid")
	case len(q.file) > q.server.config.MaxImage:
		return nil, invalid("File file size must be less than %d MB", q.server.config.MaxImage>>20)
	case utf8.RuneCountInString(description) > q.server.config.MaxDescription:
		return nil, invalid("Description is too long (maximum is %d characters)", q.server.config.MaxDescription)
	}
	m := &media{
		id: q.server.nextID(), account: q.token.account, kind: q.fileType, content: q.file,
		description: description, ready: time.Now().Add(q.server.config.MediaDelay),
	}
	q.server.media = append(q.server.media, m)
	return m, nil
}

// ownMedia returns the media that the path names, if nothing has them yet.
func (q *request) ownMedia() *media {
	for _, m := range q.server.media {
		if format(m.id) == q.PathValue("id") && m.account == q.token.account && m.status == nil {
			return m
		}
	}
	return nil
}

func (q *request) showMedia() answer {
	m := q.ownMedia()
	if m == nil {
		return notFound
	}
	status := http.StatusOK
	if !m.processed() {
		status = http.StatusPartialContent
	}
	return &document{status: status, value: q.mediaObject(m)}
}

func (q *request) describeMedia() answer {
	m := q.ownMedia()
	if m == nil {
		return notFound
	}
	if q.given["description"] {
		m.description = strings.TrimSpace(q.params.Get("description"))
	}
	return ok(q.mediaObject(m))
}

func (q *request) mediaObject(m *media) object {
	o := object{
		"id": format(m.id), "type": "image", "url": nil, "preview_url": nil, "remote_url": nil, "preview_remote_url": nil,
		"text_url": nil, "meta": object{}, "description": nullable(m.description), "blurhash": nil,
	}
	if m.processed() {
		o["url"] = fmt.Sprintf("%s/media/%d", q.base(), m.id)
		o["preview_url"] = o["url"]
	}
	return o
}

// picture is an answer with an image.
type picture struct{ *media }

func (p picture) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", p.kind)
	w.Write(p.content)
}

func (q *request) mediaFile() answer {
	for _, m := range q.server.media {
		if format(m.id) == q.PathValue("id") && m.processed() {
			return picture{m}
		}
	}
	return notFound
}

// attachable returns the media that a status, which may be a new one, asks for.
func (q *request) attachable(s *status) ([]*media, *document) {
	ids := q.list("media_ids")
	if len(ids) > q.server.config.MaxMedia {
		return nil, refuse(http.StatusUnprocessableEntity, "Cannot attach more than %d files", q.server.config.MaxMedia)
	}
	var found []*media
	var missing []string
	for _, id := range ids {
		i := slices.IndexFunc(q.server.media, func(m *media) bool {
			return format(m.id) == id && m.account == q.token.account && (m.status == nil || m.status == s)
		})
		if i < 0 {
			missing = append(missing, id)
			continue
		}
		found = append(found, q.server.media[i])
	}
	switch {
	case len(missing) > 0:
		return nil, refuse(http.StatusUnprocessableEntity, "Media %s not found or already attached to another post", strings.Join(missing, ", "))
	case slices.ContainsFunc(found, func(m *media) bool { return !m.processed() }):
		return nil, refuse(http.StatusUnprocessableEntity, "Cannot attach files that have not finished processing. Try again in a moment!")
	}
	return found, nil
}
