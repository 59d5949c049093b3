// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package hook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Sign sets in h what shows that body comes from a forge that knows secret.
// For a GitLab signing token it also sets the time, and an id if there is none.
// For an unknown forge it does nothing.
func (f Forge) Sign(h http.Header, secret Secret, body []byte) {
	if f == GitLab {
		signGitLab(h, secret, body)
		return
	}
	own := "X-Hub-Signature-256"
	switch f {
	case Forgejo:
		own = "X-Forgejo-Signature"
	case Bitbucket:
		own = "X-Hub-Signature"
	}
	for _, header := range f.signatureHeaders() {
		if header.name == own {
			h.Set(own, header.prefix+hex.EncodeToString(sum([]byte(secret.Reveal()), body)))
		}
	}
}

func signGitLab(h http.Header, secret Secret, body []byte) {
	encoded, ok := strings.CutPrefix(secret.Reveal(), signingTokenPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		h.Set("X-Gitlab-Token", secret.Reveal())
		return
	}
	if h.Get("Webhook-Id") == "" {
		h.Set("Webhook-Id", rand.Text())
	}
	h.Set("Webhook-Timestamp", strconv.FormatInt(time.Now().Unix(), 10))
	signed := sum(key, []byte(h.Get("Webhook-Id")+"."+h.Get("Webhook-Timestamp")+"."), body)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(signed))
}

// NewRequest returns the request by which p.Forge would tell url of the push
// p, signed with secret. If p has no Delivery, it gets a random one; if it has
// no Event, that of a push; if it has no Ref, that of its Branch.
func NewRequest(ctx context.Context, url string, secret Secret, p Push) (*http.Request, error) {
	eventHeader, idHeader, pushEvent := "X-GitHub-Event", "X-GitHub-Delivery", "push"
	switch p.Forge {
	case GitHub:
	case Forgejo:
		eventHeader, idHeader = "X-Forgejo-Event", "X-Forgejo-Delivery"
	case GitLab:
		eventHeader, idHeader, pushEvent = "X-Gitlab-Event", "Idempotency-Key", "Push Hook"
	case Bitbucket:
		eventHeader, idHeader, pushEvent = "X-Event-Key", "X-Request-Uuid", "repo:push"
	default:
		return nil, fmt.Errorf("hook: unknown forge %q", string(p.Forge))
	}
	if p.Ref == "" {
		p.Ref = "refs/heads/" + p.Branch
	}
	if p.Event == "" {
		p.Event = pushEvent
	}
	if p.Delivery == "" {
		p.Delivery = rand.Text()
	}
	body, err := json.Marshal(p.document())
	if err != nil {
		return nil, fmt.Errorf("hook: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("hook: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(eventHeader, p.Event)
	r.Header.Set(idHeader, p.Delivery)
	p.Forge.Sign(r.Header, secret, body)
	return r, nil
}

// document returns the part of the forge's payload that tells of p.
func (p Push) document() any {
	type object = map[string]any
	if p.Forge == Bitbucket {
		kind, name := "branch", strings.TrimPrefix(p.Ref, "refs/heads/")
		if tag, ok := strings.CutPrefix(p.Ref, "refs/tags/"); ok {
			kind, name = "tag", tag
		}
		ref := object{"type": kind, "name": name, "target": object{"hash": p.After}}
		change := object{"new": ref, "old": nil}
		if p.Deleted {
			change = object{"new": nil, "old": ref}
		}
		return object{"push": object{"changes": []any{change}}, "repository": object{"full_name": p.Repository}}
	}
	if p.Deleted {
		p.After = strings.Repeat("0", 40)
	}
	doc := object{"ref": p.Ref, "after": p.After}
	switch p.Forge {
	case GitLab:
		doc["project"] = object{"path_with_namespace": p.Repository}
	default:
		doc["repository"] = object{"full_name": p.Repository}
	}
	if p.Forge == GitHub {
		doc["deleted"] = p.Deleted
	}
	return doc
}
