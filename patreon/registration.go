// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"cmp"
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

	looking sync.Mutex // held while Patreon is asked
	reading sync.Mutex // held while Secrets reads the store

	mu      sync.Mutex // guards what follows
	known   *hooked
	readAt  time.Time // when Secrets has read the store
	readErr error     // what came of it
	status  RegistrationStatus
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
	if cfg.Every < 0 {
		return nil, errors.New("patreon: RegistrationConfig.Every is negative")
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

// secretsFresh is for how long Secrets does not read the store again. Anybody
// can send deliveries that are none, and each would cost a reading.
const secretsFresh = time.Second

// secretsTimeout is how long that may take. Patreon does not wait for long.
const secretsTimeout = 3 * time.Second

// Secrets returns what deliveries may be signed with, for
// [WebhookConfig.Secrets]. There are none before the webhook is registered. While
// the store cannot be read, they are those that were known last.
func (g *Registration) Secrets(ctx context.Context) ([]Secret, error) {
	known, err := g.look(ctx)
	if known == nil {
		return nil, err
	}
	secrets := []Secret{}
	for _, s := range known.Secrets {
		secrets = append(secrets, Secret(s))
	}
	return secrets, nil
}

// look returns the record as it is, or was a moment ago: another process may
// have registered the webhook. The error is about the store, if nothing is known.
func (g *Registration) look(ctx context.Context) (*hooked, error) {
	g.reading.Lock()
	defer g.reading.Unlock()
	g.mu.Lock()
	known, readErr, fresh := g.known, g.readErr, !g.readAt.IsZero() && time.Since(g.readAt) < secretsFresh
	g.mu.Unlock()
	if !fresh {
		// The next one must not wait for a store that hangs, nor be told that this
		// one has left.
		timed, cancel := context.WithTimeout(context.WithoutCancel(ctx), secretsTimeout)
		defer cancel()
		_, _, readErr = g.load(timed)
		g.mu.Lock()
		known, g.readErr, g.readAt = g.known, readErr, time.Now()
		g.mu.Unlock()
	}
	if known != nil {
		return known, nil
	}
	return nil, readErr
}

// Run looks after the webhook until ctx ends, and returns nil then.
func (g *Registration) Run(ctx context.Context) error {
	const soonest, rarest = 10 * time.Second, 10 * time.Minute
	for retry := soonest; ; {
		wait := g.cfg.Every
		if err := g.Reconcile(ctx); err == nil {
			retry = soonest
		} else if ctx.Err() == nil {
			wait = min(retry, g.cfg.Every)
			retry = min(2*retry, g.cfg.Every, rarest)
			g.log.WarnContext(ctx, "patreon: the webhook is not looked after", "err", err, "again_in", wait.String())
		}
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// Reconcile looks after the webhook once.
func (g *Registration) Reconcile(ctx context.Context) error {
	g.looking.Lock()
	defer g.looking.Unlock()
	w, err := g.reconcile(ctx)
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
	// A store that does not answer is noticed before anything is registered.
	if _, _, err := g.load(ctx); err != nil {
		return Webhook{}, err
	}
	campaign := g.cfg.Campaign
	if campaign == "" {
		var err error
		if campaign, err = onlyCampaign(ctx, g.cfg.Client); err != nil {
			return Webhook{}, needsScope(err, "campaigns")
		}
	}
	w, err := g.tend(ctx, campaign)
	return w, needsScope(err, "w:campaigns.webhook")
}

// needsScope names the scope that a token most likely lacks.
func needsScope(err error, scope string) error {
	if errors.Is(err, ErrForbidden) {
		return fmt.Errorf("%w; the token needs the scope %s", err, scope)
	}
	return err
}

// tend has there be one webhook, as it is wanted.
func (g *Registration) tend(ctx context.Context, campaign CampaignID) (Webhook, error) {
	ours, err := g.list(ctx, campaign)
	if err != nil {
		return Webhook{}, err
	}
	if len(ours) == 0 {
		return g.create(ctx, campaign)
	}
	// Every process takes the same one, whatever the store has: two that remove
	// each other's would leave none.
	w := ours[0]
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
	slices.SortFunc(ours, func(a, b Webhook) int {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID)) // as numbers
	})
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

// load returns the record. If there is none, or it is damaged, it is what was
// known before, or else empty: secrets of deliveries that are under way are not
// forgotten because of a store.
func (g *Registration) load(ctx context.Context) (*hooked, []byte, error) {
	raw, err := load(ctx, g.cfg.Store, g.cfg.Key)
	if err != nil {
		return nil, nil, err
	}
	r := &hooked{}
	damaged := raw != nil && (json.Unmarshal(raw, r) != nil || len(r.Secrets) == 0)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case raw != nil && !damaged:
		g.known = r
		return r, raw, nil
	case damaged: // Patreon tells the secret again
		g.log.ErrorContext(ctx, "patreon: the record of the webhook is damaged, and made anew", "key", g.cfg.Key)
	}
	if g.known != nil {
		return g.known, raw, nil
	}
	return &hooked{}, raw, nil
}

// keep writes the webhook and its secret into the store.
func (g *Registration) keep(ctx context.Context, w Webhook) error {
	secret := w.Secret.Reveal()
	if secret == "" {
		return fmt.Errorf("patreon: the webhook %s comes without its secret; remove it on the page of the client, and it is registered anew", w.ID)
	}
	contest := contest{key: g.cfg.Key}
	for {
		r, raw, err := g.load(ctx)
		if err != nil {
			return err
		}
		if r.is(raw) && r.Webhook == w.ID && r.URI == g.cfg.URI && len(r.Secrets) > 0 && r.Secrets[0] == secret {
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
		if err := contest.again(ctx); err != nil {
			return err
		}
	}
}

// is reports whether raw is the record, and not what is known in place of one
// that is missing or damaged.
func (r *hooked) is(raw []byte) bool {
	var stored hooked
	return raw != nil && json.Unmarshal(raw, &stored) == nil && stored.version == r.version
}
