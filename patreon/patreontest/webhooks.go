// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreontest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Hook is a webhook as a test sees it.
type Hook struct {
	// ID is the webhook's. [Server.AddWebhook] makes one up.
	ID string
	// Client and Campaign are the ids of whom it belongs to and what it tells of.
	Client, Campaign string
	// URI is where events go.
	URI string
	// Secret is what they are signed with. If empty, [Server.AddWebhook] makes
	// one up.
	Secret string
	// Triggers are the events it is for.
	Triggers []string
	// Paused tells that nothing is sent.
	Paused bool
	// Failures counts the attempts that failed since the last one that did not.
	Failures int
	// LastAttempted is when something was sent last. It is zero if nothing was.
	LastAttempted time.Time
	// Queued is how many events wait.
	Queued int
	// Due is when the first of them is to be sent. It is zero if none waits.
	Due time.Time
}

// hook is a webhook.
type hook struct {
	id, client, campaign, uri, secret string
	// email tells that the client may see addresses of patrons.
	email         bool
	triggers      []string
	paused        bool
	failures      int
	lastAttempted time.Time
	due           time.Time
	queue         []event
	// sending is locked while something is sent, so that one event goes at a
	// time. It is locked before the server's lock.
	sending sync.Mutex
}

// event is one that waits to be sent.
type event struct {
	name string
	body []byte
}

// Triggers returns the events that webhooks of version 2 can be for.
func Triggers() []string {
	return []string{
		"members:create", "members:update", "members:delete",
		"members:pledge:create", "members:pledge:update", "members:pledge:delete",
		"posts:publish", "posts:update", "posts:delete",
	}
}

// AddWebhook registers one as a creator does on the page of the portal, and
// returns it with what was made up. It may have triggers of version 1:
// pledges:create, pledges:update and pledges:delete.
func (s *Server) AddWebhook(h Hook) Hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := s.addHook(h.Client, h.Campaign, h.URI, h.Triggers)
	added.email = true
	if h.Secret != "" {
		added.secret = h.Secret
	}
	return added.view()
}

func (s *Server) addHook(client, campaign, uri string, triggers []string) *hook {
	h := &hook{id: s.id(), client: client, campaign: campaign, uri: uri, secret: rand.Text() + rand.Text(), triggers: slices.Clone(triggers)}
	s.hooks = append(s.hooks, h)
	return h
}

// Hooks returns all webhooks.
func (s *Server) Hooks() []Hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hooks []Hook
	for _, h := range s.hooks {
		hooks = append(hooks, h.view())
	}
	return hooks
}

// RemoveWebhook removes one, as a creator can without asking the client.
func (s *Server) RemoveWebhook(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeHook(id)
}

func (s *Server) removeHook(id string) {
	s.hooks = slices.DeleteFunc(slices.Clone(s.hooks), func(h *hook) bool { return h.id == id })
}

// PauseWebhook pauses one, as happens after the last attempt.
func (s *Server) PauseWebhook(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.hook(id); h != nil {
		h.paused = true
	}
}

func (h *hook) view() Hook {
	v := Hook{
		ID: h.id, Client: h.client, Campaign: h.campaign, URI: h.uri, Secret: h.secret, Triggers: slices.Clone(h.triggers),
		Paused: h.paused, Failures: h.failures, LastAttempted: h.lastAttempted, Queued: len(h.queue),
	}
	if len(h.queue) > 0 && !h.paused {
		v.Due = h.due
	}
	return v
}

// hook finds one.
func (s *Server) hook(id string) *hook {
	for _, h := range s.hooks {
		if h.id == id {
			return h
		}
	}
	return nil
}

func (h *hook) resource() resource {
	r := resource{ref: ref{"webhook", h.id}, attributes: object{
		"last_attempted_at": nil, "num_consecutive_times_failed": h.failures, "paused": h.paused,
		"secret": h.secret, "triggers": slices.Clone(h.triggers), "uri": h.uri,
	}}
	if !h.lastAttempted.IsZero() {
		r.attributes["last_attempted_at"] = timestamp(h.lastAttempted)
	}
	r.one = map[string]ref{"campaign": {"campaign", h.campaign}, "client": {"client", h.client}}
	return r
}

// own finds one that this client made for this user's campaign. Those of others
// are not there.
func (c *call) ownHook(id string) *hook {
	h := c.s.hook(id)
	if h == nil || h.client != c.bearer.lineage.client || !c.owns(h.campaign) {
		return nil
	}
	return h
}

func (c *call) listWebhooks() *answer {
	return c.list(listing{"webhook", 20, func() []string {
		var ids []string
		for _, h := range c.s.hooks {
			if c.ownHook(h.id) != nil {
				ids = append(ids, h.id)
			}
		}
		return ids
	}})
}

// webhookBody is what is sent to create or edit a webhook.
type webhookBody struct {
	Data *struct {
		Type       string `json:"type"`
		ID         string `json:"id"`
		Attributes *struct {
			Triggers *[]string `json:"triggers"`
			URI      *string   `json:"uri"`
			Paused   *bool     `json:"paused"`
		} `json:"attributes"`
		Relationships *struct {
			Campaign *struct {
				Data *struct {
					Type string `json:"type"`
					ID   string `json:"id"`
				} `json:"data"`
			} `json:"campaign"`
		} `json:"relationships"`
	} `json:"data"`
}

// decode reads a body, in which nothing may stand that has no meaning.
func (c *call) decode(v any) *answer {
	switch media, _, _ := mime.ParseMediaType(c.Header.Get("Content-Type")); media {
	case "application/json", "application/vnd.api+json":
	default:
		return c.invalidBody("", "The content type is %q.", media)
	}
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return c.invalidBody("", "The document cannot be read: %s.", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return c.invalidBody("", "There is more than one document.")
	}
	return nil
}

// readWebhook reads what create and edit have in common.
func (c *call) readWebhook() (webhookBody, *answer) {
	var b webhookBody
	if refusal := c.decode(&b); refusal != nil {
		return b, refusal
	}
	switch {
	case b.Data == nil:
		return b, c.invalidBody("/data", "It is missing.")
	case b.Data.Type != "webhook":
		return b, c.invalidBody("/data/type", "%q is not webhook.", b.Data.Type)
	case b.Data.Attributes == nil:
		return b, c.invalidBody("/data/attributes", "It is missing.")
	}
	a := b.Data.Attributes
	if a.Triggers != nil {
		if len(*a.Triggers) == 0 {
			return b, c.invalidBody("/data/attributes/triggers", "There are none.")
		}
		for _, trigger := range *a.Triggers {
			if !slices.Contains(Triggers(), trigger) {
				return b, c.invalidBody("/data/attributes/triggers", "%q is no trigger.", trigger)
			}
		}
	}
	if a.URI != nil {
		if u, err := url.Parse(*a.URI); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return b, c.invalidBody("/data/attributes/uri", "%q is not a fully qualified uri.", *a.URI)
		}
	}
	return b, nil
}

func (c *call) createWebhook() *answer {
	q, refusal := c.query("webhook", false)
	if refusal != nil {
		return refusal
	}
	b, refusal := c.readWebhook()
	if refusal != nil {
		return refusal
	}
	a, related := b.Data.Attributes, b.Data.Relationships
	switch {
	case b.Data.ID != "":
		return c.invalidBody("/data/id", "It is not for the client to choose.")
	case a.Triggers == nil:
		return c.invalidBody("/data/attributes/triggers", "It is missing.")
	case a.URI == nil:
		return c.invalidBody("/data/attributes/uri", "It is missing.")
	case a.Paused != nil:
		return c.invalidBody("/data/attributes/paused", "It cannot be set here.")
	case related == nil || related.Campaign == nil || related.Campaign.Data == nil || related.Campaign.Data.Type != "campaign":
		return c.invalidBody("/data/relationships/campaign", "It is missing, or no campaign.")
	}
	campaign := related.Campaign.Data.ID
	if refusal := c.checkCampaign(campaign); refusal != nil {
		return refusal
	}
	h := c.s.addHook(c.bearer.lineage.client, campaign, *a.URI, *a.Triggers)
	h.email = c.may("campaigns.members[email]")
	return c.single(allFields(q), h.resource())
}

// allFields asks for everything of a webhook, as the answers to changes show it
// without being asked to.
func allFields(q query) query {
	if q.fields["webhook"] == nil {
		q.fields["webhook"] = kinds()["webhook"].attributes
	}
	return q
}

func (c *call) editWebhook() *answer {
	q, refusal := c.query("webhook", false)
	if refusal != nil {
		return refusal
	}
	h := c.ownHook(c.parameter)
	if h == nil {
		return c.notFound("Webhook", c.parameter)
	}
	b, refusal := c.readWebhook()
	if refusal != nil {
		return refusal
	}
	if b.Data.ID != c.parameter {
		return c.invalidBody("/data/id", "%q is not that of the address.", b.Data.ID)
	}
	if b.Data.Relationships != nil {
		return c.invalidBody("/data/relationships", "They cannot be changed.")
	}
	a := b.Data.Attributes
	if a.Triggers != nil {
		h.triggers = slices.Clone(*a.Triggers)
	}
	if a.URI != nil {
		h.uri = *a.URI
	}
	if a.Paused != nil {
		h.paused = *a.Paused
		if !h.paused {
			h.due = c.s.config.Now()
		}
	}
	return c.single(allFields(q), h.resource())
}

func (c *call) deleteWebhook() *answer {
	if c.ownHook(c.parameter) == nil {
		return c.notFound("Webhook", c.parameter)
	}
	if len(c.body) > 0 {
		return c.invalidBody("", "A deletion has no body.")
	}
	c.s.removeHook(c.parameter)
	return noContent()
}

// String keeps the secret out of logs of tests.
func (h Hook) String() string {
	return fmt.Sprintf("webhook %s to %s for %v, paused %t, %d failures, %d queued", h.ID, h.URI, h.Triggers, h.Paused, h.Failures, h.Queued)
}
