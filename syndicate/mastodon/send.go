// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
	"xeiaso.net/site/syndicate/internal/picture"
)

// status is one as the server shows it.
type status struct {
	ID        string
	URL, URI  string
	CreatedAt time.Time `json:"created_at"`
	Content   string
	Warning   string `json:"spoiler_text"`
	Sensitive bool
	Media     []struct {
		ID          string
		Description string
	} `json:"media_attachments"`
	Card    *struct{ URL string }
	Reblog  json.RawMessage
	ReplyTo json.RawMessage `json:"in_reply_to_id"`
}

// receipt returns how the status is known.
func (s status) receipt() syndicate.Receipt {
	r := syndicate.Receipt{ID: s.ID}
	for _, address := range []string{s.URL, s.URI} {
		u, err := url.Parse(address)
		if r.URL == "" && err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
			r.URL = address
		}
	}
	return r
}

func missing(name string) error {
	return fmt.Errorf("mastodon: %s: the answer has no id", name)
}

// write is what a status is made or changed with. The server takes away what an
// edit does not name.
type write struct {
	Text       string        `json:"status"`
	Warning    string        `json:"spoiler_text"`
	Sensitive  bool          `json:"sensitive"`
	Visibility string        `json:"visibility,omitempty"`
	Language   string        `json:"language,omitempty"`
	Media      []string      `json:"media_ids,omitempty"`
	Attributes []description `json:"media_attributes,omitempty"`
}

// description is that of an attachment.
type description struct {
	ID          string `json:"id"`
	Description string `json:"description"`
}

// Send implements [syndicate.Target]. Everything but the last of its requests
// announces nothing.
func (t *Target) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	b, err := decode(a)
	if err != nil {
		return syndicate.Receipt{}, err
	}
	if _, err := t.ready(ctx); err != nil && !errors.Is(err, errNoLookup) {
		return syndicate.Receipt{}, err
	}
	w := write{Text: b.Text, Warning: b.Warning, Sensitive: b.Warning != "", Visibility: b.Visibility, Language: b.Language}
	if w.Media, err = t.upload(ctx, b.Picture); err != nil {
		return syndicate.Receipt{}, err
	}
	const name = "create status"
	var s status
	_, err = t.do(ctx, request{
		name: name, method: http.MethodPost, path: "/api/v1/statuses", body: w, header: http.Header{"Idempotency-Key": {a.Key}},
	}, &s)
	if err == nil && s.ID == "" {
		err = missing(name)
	}
	if err != nil {
		t.ended(a.Key, err)
		return syndicate.Receipt{}, err
	}
	t.clock.Forget(a.Key)
	return s.receipt(), nil
}

// ended remembers when an attempt ended of which nobody knows the outcome.
func (t *Target) ended(key string, err error) {
	if e, ok := errors.AsType[*syndicate.Error](err); !ok || !e.NotSent {
		t.clock.Ended(key)
	}
}

func decode(a syndicate.Attempt) (body, error) {
	var b body
	if err := json.Unmarshal(a.Body, &b); err != nil || b.Text == "" {
		return b, &syndicate.Error{Err: fmt.Errorf("mastodon: the body of the announcement was not made by this package: %v", err), NotSent: true, Refused: true}
	}
	return b, nil
}

// upload returns the ids of the media that are to be attached: one, or none if
// there is no picture any more that is the same and that the server takes.
func (t *Target) upload(ctx context.Context, a *attachment) ([]string, error) {
	if a == nil {
		return nil, nil
	}
	l, err := t.allowed(ctx)
	if err != nil {
		return nil, err
	}
	p, err := t.fetch(ctx, a.URL, l)
	if err != nil || p.Hash() != a.SHA256 {
		if err == nil || refused(err) {
			return nil, nil
		}
		return nil, err
	}
	id, err := t.store(ctx, p, a.Alt)
	if e, ok := errors.AsType[*syndicate.Error](err); ok && e.Refused && !e.Everything {
		return nil, nil
	}
	if err != nil {
		return nil, call.NotSent(err)
	}
	return []string{id}, nil
}

// media are some that were uploaded.
type media struct {
	ID  string
	URL string
}

// store uploads a picture, and returns its id when it can be attached.
func (t *Target) store(ctx context.Context, p picture.Picture, alt string) (string, error) {
	content, kind, err := form(p, alt)
	if err != nil {
		return "", err
	}
	r := request{name: "upload picture", method: http.MethodPost, path: "/api/v2/media", content: content, header: http.Header{"Content-Type": {kind}}}
	var m media
	resp, err := t.do(ctx, r, &m)
	if resp != nil && resp.Status == http.StatusNotFound {
		r.path = "/api/v1/media" // an older server, which processes while we wait
		resp, err = t.do(ctx, r, &m)
	}
	if err != nil {
		return "", err
	}
	if m.ID == "" {
		return "", missing(r.name)
	}
	if resp.Status != http.StatusAccepted {
		return m.ID, nil
	}
	return m.ID, t.processed(ctx, m.ID)
}

// form is an upload as browsers make it.
func form(p picture.Picture, alt string) (content []byte, kind string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if alt != "" {
		if err := w.WriteField("description", alt); err != nil {
			return nil, "", err
		}
	}
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="picture.` + strings.TrimPrefix(p.Type, "image/") + `"`},
		"Content-Type":        {p.Type},
	})
	if err != nil {
		return nil, "", err
	}
	_, err = part.Write(p.Content)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, "", err
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

// processed waits until the server has processed media, for some minutes at
// most. It says so by the status 200 in place of 206.
func (t *Target) processed(ctx context.Context, id string) error {
	for i := range 40 {
		if err := pause(ctx, min(time.Duration(i+1)*250*time.Millisecond, 5*time.Second)); err != nil {
			return err
		}
		resp, err := t.do(ctx, request{name: "ask for picture", method: http.MethodGet, path: "/api/v1/media/" + url.PathEscape(id)}, nil)
		if err != nil {
			return err
		}
		if resp.Status == http.StatusOK {
			return nil
		}
	}
	return errors.New("mastodon: ask for picture: the server does not come to an end with it")
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
