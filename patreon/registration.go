// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"
)

// RegistrationConfig configures a [Registration]. Client, Store and URI are
// required.
type RegistrationConfig struct {
	// Client makes the requests. Its token needs the scope w:campaigns.webhook.
	Client *Client

	// Store keeps the secret, so that deliveries can be checked as soon as the
	// program starts.
	Store Store

	// Key is the key of the record in the store. If empty, "patreon/webhook".
	Key string

	// Campaign is whose events are wanted. If empty, it is the one campaign of whom
	// the token belongs to.
	Campaign CampaignID

	// URI is where Patreon has to send them: the public address of a
	// [WebhookHandler].
	URI string

	// Triggers are the events that are wanted. If nil, [MemberTriggers].
	Triggers []Trigger

	// Every is how often the webhook is looked after. If 0, an hour.
	Every time.Duration

	// Logger is told what was done. If nil, nobody is.
	Logger *slog.Logger
}

// Registration looks after a webhook: it registers the webhook, registers it
// again when it is gone, and has Patreon go on when it has given up after
// failures. It is safe for concurrent use, by several processes too: they would
// register two at worst, and the next look removes one.
type Registration struct {
	cfg RegistrationConfig
	log *slog.Logger

	mu      sync.Mutex // guards what follows
	known   *hooked
	status  RegistrationStatus
	looking sync.Mutex // held while Patreon is asked
}

// RegistrationStatus tells how a webhook is.
type RegistrationStatus struct {
	// Webhook is its id; empty if there is none.
	Webhook WebhookID `json:"webhook,omitzero"`
	// LookedAt is when Patreon was asked last and has answered.
	LookedAt time.Time `json:"looked_at,omitzero"`
	// Failures is how many deliveries had failed one after the other then.
	Failures int64 `json:"failures"`
	// Created, Resumed and Removed count what had to be done since the start.
	Created int `json:"created"`
	Resumed int `json:"resumed"`
	Removed int `json:"removed"`
	// Problem is why the last look has failed; empty if it has not.
	Problem string `json:"problem,omitzero"`
}

// hooked is the record in the store.
type hooked struct {
	version
	Webhook WebhookID `json:"webhook"`
	URI     string    `json:"uri"`
	// Secrets are what deliveries may be signed with: the newest first, after it
	// those of webhooks that are gone, whose deliveries may still be under way.
	Secrets []string `json:"secrets"`
}

// maxSecrets is how many secrets of webhooks are kept.
const maxSecrets = 4

// NewRegistration checks a configuration. It makes no request.
func NewRegistration(cfg RegistrationConfig) (*Registration, error) {
	if cfg.Client == nil || cfg.Store == nil {
		return nil, errors.New("patreon: RegistrationConfig needs Client and Store")
	}
	u, err := url.Parse(cfg.URI)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("patreon: %q is no address that Patreon can send events to; it is of the form https://me.example/hook", strip(cfg.URI))
	}
	if cfg.Key == "" {
		cfg.Key = "patreon/webhook"
	}
	if !validKey.MatchString(cfg.Key) {
		return nil, fmt.Errorf("patreon: the key %q is not of lower case letters, digits, '.', '_' and '-', with '/' between", cfg.Key)
	}
	if cfg.Triggers == nil {
		cfg.Triggers = MemberTriggers()
	}
	setDefault(&cfg.Every, time.Hour)
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Registration{cfg: cfg, log: logger}, nil
}

// Format writes of what this is, whatever the verb.
func (g *Registration) Format(f fmt.State, _ rune) {
	io.WriteString(f, "patreon.Registration("+g.cfg.URI+")")
}

// Status returns what is known.
func (g *Registration) Status() RegistrationStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.status
}

// Secrets returns what deliveries may be signed with, for
// [WebhookConfig.Secrets]. There are none before the webhook is registered.
func (g *Registration) Secrets(ctx context.Context) ([]Secret, error) {
	known, _, err := g.load(ctx) // another process may have registered it
	if err != nil {
		g.mu.Lock()
		known = g.known
		g.mu.Unlock()
	}
	if known == nil {
		return nil, err
	}
	secrets := []Secret{}
	for _, s := range known.Secrets {
		secrets = append(secrets, Secret(s))
	}
	return secrets, nil
}

// Run looks after the webhook until ctx ends, and returns nil then.
func (g *Registration) Run(ctx context.Context) error {
	const soonest = 10 * time.Second
	for wait := soonest; ; {
		if err := g.Reconcile(ctx); err == nil {
			wait = g.cfg.Every
		} else if ctx.Err() == nil {
			g.log.WarnContext(ctx, "patreon: the webhook is not looked after", "err", err, "again_in", wait)
		}
		if !pause(ctx, wait) {
			return nil
		}
		if wait != g.cfg.Every {
			wait = min(2*wait, g.cfg.Every)
		}
	}
}

// Reconcile looks after the webhook once.
func (g *Registration) Reconcile(ctx context.Context) error {
	g.looking.Lock()
	defer g.looking.Unlock()
	w, err := g.reconcile(ctx)
	if errors.Is(err, ErrForbidden) {
		err = fmt.Errorf("%w; the token needs the scope w:campaigns.webhook", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.status.Problem = ""; err != nil {
		g.status.Problem = err.Error()
		return err
	}
	g.status.Webhook, g.status.LookedAt, g.status.Failures = w.ID, time.Now(), w.Failures.Or(0)
	return nil
}

func (g *Registration) reconcile(ctx context.Context) (Webhook, error) {
	known, _, err := g.load(ctx)
	if err != nil {
		return Webhook{}, err
	}
	campaign := g.cfg.Campaign
	if campaign == "" {
		if campaign, err = onlyCampaign(ctx, g.cfg.Client); err != nil {
			return Webhook{}, err
		}
	}
	ours, err := g.list(ctx, campaign)
	if err != nil {
		return Webhook{}, err
	}
	if len(ours) == 0 {
		return g.create(ctx, campaign)
	}
	w := ours[0]
	for _, other := range ours {
		if other.ID == known.Webhook {
			w = other
		}
	}
	// Known before anything is sent that was signed with it.
	if err := g.keep(ctx, w); err != nil {
		return Webhook{}, err
	}
	if err := g.mend(ctx, w); err != nil {
		return Webhook{}, err
	}
	return w, g.removeOthers(ctx, ours, w)
}

// list returns the webhooks with our address, the oldest first.
func (g *Registration) list(ctx context.Context, campaign CampaignID) ([]Webhook, error) {
	var ours []Webhook
	for w, err := range g.cfg.Client.Webhooks(ctx, Query{}) {
		if err != nil {
			return nil, err
		}
		of := w.Campaign.ID()
		if w.URI.Or("") == g.cfg.URI && (of == "" || of == campaign) {
			ours = append(ours, w)
		}
	}
	return ours, nil
}

// create registers the webhook. If the answer is lost, the next look finds it.
func (g *Registration) create(ctx context.Context, campaign CampaignID) (Webhook, error) {
	w, err := g.cfg.Client.CreateWebhook(ctx, NewWebhook{Campaign: campaign, URI: g.cfg.URI, Triggers: g.cfg.Triggers})
	if err != nil {
		return Webhook{}, err
	}
	g.log.InfoContext(ctx, "patreon: the webhook is registered", "webhook", w.ID, "uri", g.cfg.URI)
	g.count(func(s *RegistrationStatus) { s.Created++ })
	return w, g.keep(ctx, w)
}

func (g *Registration) count(change func(*RegistrationStatus)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.status)
}

// mend has the webhook be what is wanted.
func (g *Registration) mend(ctx context.Context, w Webhook) error {
	change := WebhookChange{}
	if w.Paused.Or(false) {
		change.Paused = Some(false)
	}
	if has := w.Triggers.Or(nil); !sameTriggers(has, g.cfg.Triggers) {
		change.Triggers = g.cfg.Triggers
	}
	if change.Paused.IsZero() && change.Triggers == nil {
		return nil
	}
	if _, err := g.cfg.Client.UpdateWebhook(ctx, w.ID, change); err != nil {
		return err
	}
	if !change.Paused.IsZero() {
		g.log.WarnContext(ctx, "patreon: the webhook was paused, and goes on", "webhook", w.ID, "failures", w.Failures.Or(0))
		g.count(func(s *RegistrationStatus) { s.Resumed++ })
	}
	return nil
}

func sameTriggers(a, b []Trigger) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// removeOthers removes webhooks with the same address: each event would come
// once for each.
func (g *Registration) removeOthers(ctx context.Context, ours []Webhook, w Webhook) error {
	for _, other := range ours {
		if other.ID == w.ID {
			continue
		}
		if err := g.cfg.Client.DeleteWebhook(ctx, other.ID); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		g.log.InfoContext(ctx, "patreon: a second webhook with the same address is removed", "webhook", other.ID)
		g.count(func(s *RegistrationStatus) { s.Removed++ })
	}
	return nil
}

// load returns the record; it is empty if there is none.
func (g *Registration) load(ctx context.Context) (*hooked, []byte, error) {
	raw, err := load(ctx, g.cfg.Store, g.cfg.Key)
	if err != nil {
		return nil, nil, err
	}
	r := &hooked{}
	if raw != nil {
		if json.Unmarshal(raw, r) != nil {
			// Patreon tells the secret again.
			g.log.ErrorContext(ctx, "patreon: the record of the webhook is damaged, and made anew", "key", g.cfg.Key)
			r = &hooked{}
		}
		g.mu.Lock()
		g.known = r
		g.mu.Unlock()
	}
	return r, raw, nil
}

// keep writes the webhook and its secret into the store.
func (g *Registration) keep(ctx context.Context, w Webhook) error {
	secret := w.Secret.Reveal()
	if secret == "" {
		return fmt.Errorf("patreon: the webhook %s comes without its secret; remove it on the page of the client, and it is registered anew", w.ID)
	}
	for {
		r, raw, err := g.load(ctx)
		if err != nil {
			return err
		}
		if r.Webhook == w.ID && r.URI == g.cfg.URI && len(r.Secrets) > 0 && r.Secrets[0] == secret {
			return nil
		}
		next := hooked{version: r.next(), Webhook: w.ID, URI: g.cfg.URI, Secrets: []string{secret}}
		for _, old := range r.Secrets {
			if old != secret && len(next.Secrets) < maxSecrets {
				next.Secrets = append(next.Secrets, old)
			}
		}
		_, won, err := swap(ctx, g.cfg.Store, g.cfg.Key, raw, next)
		if err != nil {
			return err
		}
		if won {
			g.mu.Lock()
			g.known = &next
			g.mu.Unlock()
			return nil
		}
	}
}
