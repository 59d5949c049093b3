// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// Forge is the kind of service that sends webhooks.
type Forge string

const (
	// GitHub is github.com and GitHub Enterprise Server.
	GitHub Forge = "github"
	// GitLab is gitlab.com and GitLab's own server.
	GitLab Forge = "gitlab"
	// Forgejo is Forgejo, such as codeberg.org, and Gitea.
	Forgejo Forge = "forgejo"
	// Bitbucket is Bitbucket Cloud.
	Bitbucket Forge = "bitbucket"
)

// maxDelivery is the greatest length of a delivery id; those in use are UUIDs.
// A longer one is taken for none, so that ids fill neither memory nor logs.
const maxDelivery = 128

// event returns the event of a delivery and true, or why it is ignored.
func (f Forge) event(h http.Header) (event string, isPush bool) {
	push := "push"
	switch f {
	case GitHub:
		event = h.Get("X-GitHub-Event")
	case Forgejo:
		event = first(h, "X-Forgejo-Event", "X-Gitea-Event", "X-GitHub-Event")
	case GitLab:
		event, push = h.Get("X-Gitlab-Event"), "Push Hook"
	case Bitbucket:
		event, push = h.Get("X-Event-Key"), "repo:push"
	}
	switch event {
	case push:
		return event, true
	case "":
		return "no event", false
	case "ping", "diagnostics:ping":
		return "ping", false
	case "Tag Push Hook":
		return "tag", false
	}
	return fmt.Sprintf("event %.80q", event), false
}

// deliveryID returns what tells that a delivery of p is sent again.
func (p Push) deliveryID(h http.Header) string {
	var id string
	switch p.Forge {
	case GitHub:
		id = h.Get("X-GitHub-Delivery")
	case Forgejo:
		id = first(h, "X-Forgejo-Delivery", "X-Gitea-Delivery", "X-GitHub-Delivery")
	case GitLab:
		id = first(h, "Idempotency-Key", "Webhook-Id")
		// Versions before 17.4 have only an id that a push shares with those
		// that its own hooks set off.
		if uuid := h.Get("X-Gitlab-Event-Uuid"); id == "" && uuid != "" {
			id = uuid + " " + p.After
		}
	case Bitbucket:
		id = h.Get("X-Request-Uuid")
	}
	if len(id) > maxDelivery {
		return ""
	}
	return id
}

// first returns the value of the first header that there is.
func first(h http.Header, names ...string) string {
	for _, name := range names {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// payloadOf returns the JSON of a body, which forges can be told to send as
// the field "payload" of a form.
func payloadOf(h http.Header, body []byte) ([]byte, error) {
	mediaType, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if mediaType != "application/x-www-form-urlencoded" {
		return body, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("body is no form")
	}
	if !form.Has("payload") {
		return nil, errors.New("form has no payload")
	}
	return []byte(form.Get("payload")), nil
}

// payload has what is read of all forges' payloads. No clone URL is.
type payload struct {
	Ref        string
	After      string
	Deleted    bool
	Repository struct {
		FullName string `json:"full_name"`
	}
	Project struct { // GitLab
		Path string `json:"path_with_namespace"`
	}
	Push struct { // Bitbucket
		Changes []struct{ New, Old *bitbucketRef }
	}
}

type bitbucketRef struct {
	Type, Name string
	Target     struct{ Hash string }
}

// parse returns the refs that a payload tells of.
func (f Forge) parse(body []byte) ([]Push, error) {
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, errors.New("payload is no JSON object of a push")
	}
	var pushes []Push
	switch {
	case f == Bitbucket:
		pushes = p.bitbucket()
	case p.Ref == "":
		return nil, errors.New("payload has no ref")
	default:
		pushes = []Push{{Ref: p.Ref, After: p.After, Deleted: p.Deleted || isZero(p.After), Repository: p.Repository.FullName}}
	}
	if f == GitLab {
		pushes[0].Repository = p.Project.Path
	}
	for i := range pushes {
		pushes[i].clean()
	}
	return pushes, nil
}

// bitbucket returns one push for each changed ref.
func (p *payload) bitbucket() []Push {
	pushes := make([]Push, 0, len(p.Push.Changes))
	for _, change := range p.Push.Changes {
		push := Push{Repository: p.Repository.FullName}
		ref := change.New
		if ref == nil {
			ref, push.Deleted = change.Old, true
		}
		if ref == nil {
			continue
		}
		push.Ref, push.After = "refs/heads/"+ref.Name, ref.Target.Hash
		if ref.Type != "branch" {
			push.Ref = "refs/tags/" + ref.Name
		}
		pushes = append(pushes, push)
	}
	return pushes
}

// clean sets Branch, and empties what is not fit to go to git and to logs.
func (p *Push) clean() {
	p.Branch = ""
	if branch, ok := strings.CutPrefix(p.Ref, "refs/heads/"); ok && validRef(p.Ref) {
		p.Branch = branch
	}
	if p.Deleted || !isHash(p.After) {
		p.After = ""
	}
	if !validRef("refs/" + p.Repository) {
		p.Repository = ""
	}
}

// validRef has the rules of git check-ref-format, and none of the parts may
// look like an option.
func validRef(ref string) bool {
	rest, ok := strings.CutPrefix(ref, "refs/")
	if !ok || len(ref) > 255 || strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.HasSuffix(ref, ".") {
		return false
	}
	for part := range strings.SplitSeq(rest, "/") {
		if part == "" || part[0] == '.' || part[0] == '-' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return strings.IndexFunc(ref, notInRef) < 0
}

func notInRef(r rune) bool {
	return r <= ' ' || r == 0x7f || r == '\ufffd' || strings.ContainsRune("~^:?*[\\", r)
}

// isHash reports whether s is an object name, SHA-1 or SHA-256.
func isHash(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == "" && !isZero(s)
}

// isZero reports whether s is the object name that stands for none.
func isZero(s string) bool {
	return s != "" && strings.Trim(s, "0") == ""
}
