// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"context"
	"encoding/json"
)

// Preview is what would be sent to a target.
type Preview struct {
	Target string `json:"target"`
	Post   string `json:"post"` // the id
	// Body is what the target would send, in its own form.
	Body json.RawMessage `json:"body,omitempty"`
	// Skipped is why nothing would be sent, if it is the policy's doing.
	Skipped string `json:"skipped,omitempty"`
	// Error is why nothing could be sent.
	Error string `json:"error,omitempty"`
}

// Preview returns what would be sent about a post, for each target, now and
// whatever was announced before. It changes nothing, here or there, but targets
// may ask their networks how long a text may be.
func (s *Syndicator) Preview(ctx context.Context, p Post) ([]Preview, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	var previews []Preview
	for _, name := range s.names {
		previews = append(previews, s.preview(ctx, s.targets[name], p))
	}
	return previews, nil
}

func (s *Syndicator) preview(ctx context.Context, d *destination, p Post) Preview {
	out := Preview{Target: d.name, Post: p.ID}
	if !d.wants(p) {
		out.Skipped = "the post or the target's tags say so"
		return out
	}
	m, err := d.message(p)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
		defer cancel()
		err = d.exclusively(ctx, func() (err error) {
			out.Body, err = d.body(ctx, m)
			return err
		})
	}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

// previewAll tells what a dry run would announce.
func (s *Syndicator) previewAll(ctx context.Context, d *destination, posts []Post) {
	for _, p := range posts {
		preview := s.preview(ctx, d, p)
		s.cfg.Logger.InfoContext(ctx, "dry run: would announce", "target", d.name, "post", p.ID, "body", string(preview.Body), "err", preview.Error)
		if s.cfg.OnPreview != nil {
			s.cfg.OnPreview(preview)
		}
	}
}
