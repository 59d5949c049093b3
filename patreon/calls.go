// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
)

// Identity returns the user whose token it is.
func (c *Client) Identity(ctx context.Context, q Query) (User, error) {
	return fetch[User](ctx, c, apiPath+"/identity", selection{root: TypeUser}, q)
}

// Campaigns lists the campaigns of the user whose token it is. How errors come
// is told at [Client.Members].
func (c *Client) Campaigns(ctx context.Context, q Query) iter.Seq2[Campaign, error] {
	l := lister[Campaign, *Campaign]{
		client: c, path: apiPath + "/campaigns", query: q,
		selection: selection{root: TypeCampaign, include: []string{"tiers"}, list: true},
	}
	return l.all(ctx)
}

// Campaign returns one campaign.
func (c *Client) Campaign(ctx context.Context, id CampaignID, q Query) (Campaign, error) {
	path, err := pathOf(TypeCampaign, "/campaigns/", string(id), "")
	if err != nil {
		return Campaign{}, err
	}
	return fetch[Campaign](ctx, c, path, selection{root: TypeCampaign, include: []string{"tiers"}}, q)
}

// Members lists the members of a campaign, one page at a time. No member comes
// twice. Patreon also counts as members those who follow the campaign for
// nothing, and those who have left.
//
// An error that is a [*FieldError] is about the one member that comes with it,
// as far as it was understood; a loop that goes on gets the others. Any other
// error is the last. Of these, one that matches [ErrIncomplete] says that the
// listing came to an end, and that some are missing. A loop that breaks stops the
// listing. What is wrong with a resource that a member is related to is told by
// [One.Get] and [Many.All].
func (c *Client) Members(ctx context.Context, campaign CampaignID, q Query) iter.Seq2[Member, error] {
	l, err := c.members(campaign, q)
	if err != nil {
		return failing[Member](err)
	}
	return l.all(ctx)
}

func (c *Client) members(campaign CampaignID, q Query) (lister[Member, *Member], error) {
	path, err := pathOf(TypeCampaign, "/campaigns/", string(campaign), "/members")
	s := memberSelection()
	s.list = true
	return lister[Member, *Member]{client: c, path: path, query: q, selection: s}, err
}

func memberSelection() selection {
	return selection{root: TypeMember, include: []string{"currently_entitled_tiers", "user"}}
}

// Member returns one member.
func (c *Client) Member(ctx context.Context, id MemberID, q Query) (Member, error) {
	path, err := pathOf(TypeMember, "/members/", string(id), "")
	if err != nil {
		return Member{}, err
	}
	return fetch[Member](ctx, c, path, memberSelection(), q)
}

// Posts lists the posts of a campaign. How errors come is told at
// [Client.Members].
func (c *Client) Posts(ctx context.Context, campaign CampaignID, q Query) iter.Seq2[Post, error] {
	path, err := pathOf(TypeCampaign, "/campaigns/", string(campaign), "/posts")
	if err != nil {
		return failing[Post](err)
	}
	l := lister[Post, *Post]{client: c, path: path, query: q, selection: selection{root: TypePost, list: true}}
	return l.all(ctx)
}

// Post returns one post.
func (c *Client) Post(ctx context.Context, id PostID, q Query) (Post, error) {
	path, err := pathOf(TypePost, "/posts/", string(id), "")
	if err != nil {
		return Post{}, err
	}
	return fetch[Post](ctx, c, path, selection{root: TypePost}, q)
}

// Webhooks lists the webhooks that the client of the token has registered, with
// their secrets. How errors come is told at [Client.Members].
func (c *Client) Webhooks(ctx context.Context, q Query) iter.Seq2[Webhook, error] {
	l := lister[Webhook, *Webhook]{
		client: c, path: apiPath + "/webhooks", query: q,
		selection: selection{
			root: TypeWebhook, include: []string{"campaign"}, list: true,
			// The token may have no other scope than that of webhooks.
			fields: Fields{TypeCampaign: nil},
		},
	}
	return l.all(ctx)
}

// NewWebhook is a webhook to register. All of it is required.
type NewWebhook struct {
	// Campaign is whose events are called for.
	Campaign CampaignID
	// URI is the address to be called.
	URI string
	// Triggers are the events to be called for.
	Triggers []Trigger
}

// CreateWebhook registers a webhook. The answer has the secret that its calls
// will be signed with. If there is no answer, it may be registered or not, which
// [Client.Webhooks] tells; the request is not made again.
func (c *Client) CreateWebhook(ctx context.Context, w NewWebhook) (Webhook, error) {
	if _, err := pathOf(TypeCampaign, "/campaigns/", string(w.Campaign), ""); err != nil {
		return Webhook{}, err
	}
	if w.URI == "" || len(w.Triggers) == 0 {
		return Webhook{}, errors.New("patreon: a webhook needs a URI and triggers")
	}
	return c.write(ctx, http.MethodPost, apiPath+"/webhooks", map[string]any{
		"type":          TypeWebhook,
		"attributes":    map[string]any{"uri": w.URI, "triggers": w.Triggers},
		"relationships": map[string]any{"campaign": map[string]any{"data": Ref{TypeCampaign, string(w.Campaign)}}},
	})
}

// WebhookChange is what to change of a webhook. What is absent or nil stays.
type WebhookChange struct {
	// URI is the address to be called.
	URI Opt[string]
	// Triggers are the events to be called for.
	Triggers []Trigger
	// Paused set to false makes Patreon send what it has not been able to.
	Paused Opt[bool]
}

// UpdateWebhook changes a webhook. The request is made once.
func (c *Client) UpdateWebhook(ctx context.Context, id WebhookID, change WebhookChange) (Webhook, error) {
	path, err := pathOf(TypeWebhook, "/webhooks/", string(id), "")
	if err != nil {
		return Webhook{}, err
	}
	attributes := map[string]any{}
	if uri, ok := change.URI.Get(); ok {
		attributes["uri"] = uri
	}
	if paused, ok := change.Paused.Get(); ok {
		attributes["paused"] = paused
	}
	if len(change.Triggers) > 0 {
		attributes["triggers"] = change.Triggers
	}
	if len(attributes) == 0 {
		return Webhook{}, errors.New("patreon: there is nothing to change in the webhook")
	}
	return c.write(ctx, http.MethodPatch, path, map[string]any{"type": TypeWebhook, "id": id, "attributes": attributes})
}

// DeleteWebhook removes a webhook. The request is made once.
func (c *Client) DeleteWebhook(ctx context.Context, id WebhookID) error {
	path, err := pathOf(TypeWebhook, "/webhooks/", string(id), "")
	if err != nil {
		return err
	}
	_, _, err = c.send(ctx, request{method: http.MethodDelete, path: path})
	return err
}

// write makes a request that changes a webhook.
func (c *Client) write(ctx context.Context, method, path string, data map[string]any) (Webhook, error) {
	body, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return Webhook{}, err
	}
	r, resp, err := c.send(ctx, request{
		method: method, path: path, body: body,
		header: http.Header{"Content-Type": {"application/json"}},
	})
	if err != nil {
		return Webhook{}, err
	}
	return decodeAnswer[Webhook](r, resp, nil)
}

// fetch reads one resource.
func fetch[T any, R resourceOf[T]](ctx context.Context, c *Client, path string, s selection, q Query) (T, error) {
	var none T
	values, asked, err := s.values(q)
	if err != nil {
		return none, err
	}
	r, resp, err := c.read(ctx, path, values)
	if err != nil {
		return none, err
	}
	return decodeAnswer[T, R](r, resp, asked)
}

func decodeAnswer[T any, R resourceOf[T]](r request, resp *response, asked []askedFor) (T, error) {
	var none T
	e, err := open(resp.body)
	if err != nil {
		return none, malformed(r, resp, err)
	}
	v, _, err := decodeOne[T, R](e.data, newIndex(e.included, asked))
	if err != nil {
		return v, malformed(r, resp, err) // v as far as it was understood
	}
	return v, nil
}

// failing is a listing that cannot begin.
func failing[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}
