// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/call"
)

// Edit implements [syndicate.Editor].
func (t *Target) Edit(ctx context.Context, a syndicate.Attempt, r syndicate.Receipt) (syndicate.Receipt, error) {
	b, err := decode(a)
	if err != nil {
		return r, err
	}
	path, err := statusPath(r)
	if err != nil {
		return r, err
	}
	var s status
	if _, err := t.do(ctx, request{name: "look at status", method: http.MethodGet, path: path}, &s); err != nil {
		return r, call.NotSent(err)
	}
	w := write{Text: b.Text, Warning: b.Warning, Sensitive: b.Warning != "", Language: b.Language}
	if err := t.keepMedia(ctx, &w, s, b.Picture); err != nil {
		return r, err
	}
	const name = "edit status"
	var after status
	if _, err = t.do(ctx, request{name: name, method: http.MethodPut, path: path, body: w}, &after); err != nil {
		return r, err
	}
	if after.ID == "" {
		return r, missing(name)
	}
	return after.receipt(), nil
}

// statusPath returns where a status is. A receipt that a person made has no id,
// and that there is nothing at such an address does not say that it was deleted.
func statusPath(r syndicate.Receipt) (string, error) {
	if strings.Trim(r.ID, ".") == "" || strings.ContainsAny(r.ID, "/?#%\\") {
		return "", &syndicate.Error{Err: fmt.Errorf("mastodon: %q at %q is not known as a status", r.ID, r.URL), NotSent: true, Refused: true}
	}
	return "/api/v1/statuses/" + url.PathEscape(r.ID), nil
}

// keepMedia names the attachments that the status has, or else uploads one.
func (t *Target) keepMedia(ctx context.Context, w *write, s status, p *attachment) error {
	for i, m := range s.Media {
		w.Media = append(w.Media, m.ID)
		if i == 0 && p != nil && p.Alt != "" && p.Alt != m.Description {
			w.Attributes = []description{{m.ID, p.Alt}}
		}
	}
	// With a warning a status is sensitive anyway. Without one, somebody meant
	// the attachments.
	w.Sensitive = w.Sensitive || s.Sensitive && s.Warning == "" && len(s.Media) > 0
	if len(w.Media) > 0 {
		return nil
	}
	var err error
	w.Media, err = t.upload(ctx, p)
	return err
}

// Delete implements [syndicate.Deleter].
func (t *Target) Delete(ctx context.Context, r syndicate.Receipt) error {
	path, err := statusPath(r)
	if err != nil {
		return err
	}
	resp, err := t.do(ctx, request{name: "delete status", method: http.MethodDelete, path: path}, nil)
	if e, ok := errors.AsType[*syndicate.Error](err); ok && e.Refused && resp != nil && (resp.Status == http.StatusNotFound || resp.Status == http.StatusGone) {
		return nil
	}
	return err
}
