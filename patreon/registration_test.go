// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
	"xeiaso.net/site/xesite/state"
)

const hookURI = "https://me.example/hook"

// ailing is a store that can be down, and counts how often it is read.
type ailing struct {
	patreon.Store
	down  atomic.Bool
	loads atomic.Int64
}

var errDown = errors.New("the store is down")

func (a *ailing) Load(ctx context.Context, key string) ([]byte, error) {
	a.loads.Add(1)
	if a.down.Load() {
		return nil, errDown
	}
	return a.Store.Load(ctx, key)
}

func (a *ailing) Swap(ctx context.Context, key string, old, next []byte) (bool, error) {
	if a.down.Load() {
		return false, errDown
	}
	return a.Store.Swap(ctx, key, old, next)
}

// desk is a registration, and the Patreon where it registers.
type desk struct {
	*patreon.Registration
	t        *testing.T
	fake     *patreontest.Server
	store    *ailing
	creator  string
	campaign string
	log      wait.Buffer
	cfg      patreon.RegistrationConfig
}

func newDesk(t *testing.T, scopes ...string) *desk {
	t.Helper()
	d := &desk{t: t, fake: patreontest.New(patreontest.Config{}), store: &ailing{Store: &state.Mem{}}}
	d.fake.AddClient(patreontest.Client{ID: "client", Secret: "client-secret"})
	d.creator = d.fake.AddUser(patreontest.User{FullName: "Wren Quillon"})
	d.campaign = d.fake.AddCampaign(patreontest.Campaign{Creator: d.creator})
	d.cfg = patreon.RegistrationConfig{
		Client: d.client(scopes...), Store: d.store, URI: hookURI, Logger: slog.New(slog.NewTextHandler(&d.log, nil)),
	}
	d.restart()
	return d
}

func (d *desk) client(scopes ...string) *patreon.Client {
	d.t.Helper()
	if len(scopes) == 0 {
		scopes = patreontest.AllScopes()
	}
	c, err := patreon.NewClient(patreon.ClientConfig{
		Tokens:     patreon.StaticToken(d.fake.Portal("client", d.creator, scopes...).AccessToken),
		HTTPClient: &http.Client{Transport: line{d.fake}}, Retries: -1,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// restart makes another registration of the same configuration, as another
// process has it.
func (d *desk) restart() *patreon.Registration {
	d.t.Helper()
	g, err := patreon.NewRegistration(d.cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	d.Registration = g
	return g
}

func (d *desk) look() {
	d.t.Helper()
	if err := d.Reconcile(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// hook returns the one webhook that there is with our address.
func (d *desk) hook() patreontest.Hook {
	d.t.Helper()
	var ours []patreontest.Hook
	for _, h := range d.fake.Hooks() {
		if h.URI == hookURI {
			ours = append(ours, h)
		}
	}
	if len(ours) != 1 {
		d.t.Fatalf("there are %d webhooks: %v", len(ours), ours)
	}
	return ours[0]
}

// knows reports whether a delivery may be signed with the secret.
func (d *desk) knows(secret string) bool {
	d.t.Helper()
	all, err := d.Secrets(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return slices.Contains(all, patreon.Secret(secret))
}

func TestAWebhookIsRegisteredOnceAndFoundAgain(t *testing.T) {
	d := newDesk(t)
	d.look()
	h := d.hook()
	if h.Campaign != d.campaign || len(h.Triggers) != len(patreon.MemberTriggers()) || !d.knows(h.Secret) {
		t.Errorf("%v", h)
	}
	d.look()
	d.restart()
	if !d.knows(h.Secret) {
		t.Error("after a restart the secret is not known before Patreon was asked")
	}
	d.look()
	if again := d.hook(); again.ID != h.ID {
		t.Errorf("%v is another one than %v", again, h)
	}
	if s := d.Status(); s.Webhook != patreon.WebhookID(h.ID) || s.Created != 0 || s.LookedAt.IsZero() || s.Problem != "" {
		t.Errorf("%+v", s)
	}
}

func TestARemovedWebhookIsRegisteredAgainAndTheOldSecretCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.look()
		first := d.hook()
		secrets := []string{first.Secret}
		for range 6 {
			d.fake.RemoveWebhook(d.hook().ID)
			d.look()
			secrets = append(secrets, d.hook().Secret)
		}
		if d.hook().ID == first.ID {
			t.Error("it is the old one")
		}
		pass(2 * time.Second)
		for i, s := range secrets {
			if got, want := d.knows(s), i >= len(secrets)-4; got != want {
				t.Errorf("secret %d of %d is known: %t, want %t", i, len(secrets), got, want)
			}
		}
	})
}

func TestAPausedWebhookGoesOn(t *testing.T) {
	d := newDesk(t)
	d.look()
	d.fake.PauseWebhook(d.hook().ID)
	d.look()
	if h := d.hook(); h.Paused || d.Status().Resumed != 1 {
		t.Errorf("%v, %+v", h, d.Status())
	}
}

func TestTriggersAreMended(t *testing.T) {
	d := newDesk(t)
	old := d.fake.AddWebhook(patreontest.Hook{Client: "client", Campaign: d.campaign, URI: hookURI, Triggers: []string{"posts:publish"}})
	d.look()
	h := d.hook()
	if h.ID != old.ID || len(h.Triggers) != 6 || !d.knows(old.Secret) {
		t.Errorf("%v", h)
	}
	before := len(d.fake.Requests())
	d.cfg.Triggers = patreon.MemberTriggers()
	slices.Reverse(d.cfg.Triggers)
	d.restart()
	d.look()
	for _, r := range d.fake.Requests()[before:] {
		if r.Method != http.MethodGet {
			t.Errorf("another order of triggers makes %s %s", r.Method, r.Path)
		}
	}
}

func TestSecondWebhooksAreRemovedAndOthersLeftAlone(t *testing.T) {
	d := newDesk(t)
	other := d.fake.AddCampaign(patreontest.Campaign{Creator: d.creator})
	d.cfg.Campaign = patreon.CampaignID(d.campaign)
	d.restart()
	add := func(client, campaign, uri string) string {
		return d.fake.AddWebhook(patreontest.Hook{Client: client, Campaign: campaign, URI: uri, Triggers: []string{"members:update"}}).ID
	}
	d.fake.AddClient(patreontest.Client{ID: "stranger", Secret: "s"})
	keep := []string{
		add("client", d.campaign, hookURI),
		add("client", d.campaign, hookURI+"/other"),
		add("client", d.campaign, "https://me.example/HOOK"),
		add("client", other, hookURI),
		add("stranger", d.campaign, hookURI),
	}
	for range 25 { // more than a page
		add("client", d.campaign, hookURI)
	}
	d.look()
	var left []string
	for _, h := range d.fake.Hooks() {
		left = append(left, h.ID)
	}
	if !slices.Equal(left, keep) {
		t.Errorf("%q are left, want %q", left, keep)
	}
	if got := d.Status().Removed; got != 25 {
		t.Errorf("%d were removed", got)
	}
}

func TestALostAnswerLeavesOneWebhookInTheEnd(t *testing.T) {
	for _, fault := range []patreontest.Kind{patreontest.CutAfter, patreontest.CutAnswer, patreontest.ServerErrorAfter, patreontest.Truncated, patreontest.NullBody} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t)
			d.fake.Next(1, patreontest.Fault{Kind: fault, On: func(r *http.Request) bool { return r.Method == http.MethodPost }})
			ctx, cancel := context.WithCancel(t.Context())
			var run sync.WaitGroup
			run.Go(func() { d.Run(ctx) })
			pass(time.Minute)
			if h := d.hook(); !d.knows(h.Secret) || d.Status().Problem != "" {
				t.Errorf("%s: %+v", fault, d.Status())
			}
			cancel()
			run.Wait()
		})
	}
}

func TestAFailedLookIsRepeatedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { d.Run(ctx) })
		pass(30 * time.Minute)
		d.fake.RemoveWebhook(d.hook().ID)
		d.fake.Next(1, patreontest.Fault{Kind: patreontest.Maintenance})
		pass(30*time.Minute + 15*time.Second)
		d.hook()
		// And not too often while nothing helps.
		d.fake.RemoveWebhook(d.hook().ID)
		d.fake.Random(1, 1, patreontest.Fault{Kind: patreontest.ServerError})
		before := len(d.fake.Requests())
		pass(24 * time.Hour)
		if n := len(d.fake.Requests()) - before; n < 100 || n > 160 {
			t.Errorf("%d requests in a day", n)
		}
		cancel()
		run.Wait()
	})
}

func TestAMissingScopeIsNamed(t *testing.T) {
	d := newDesk(t, "identity", "campaigns")
	if err := d.Reconcile(t.Context()); !errors.Is(err, patreon.ErrForbidden) || !strings.Contains(err.Error(), "w:campaigns.webhook") {
		t.Errorf("the error is %v", err)
	}
	if s := d.Status(); !strings.Contains(s.Problem, "w:campaigns.webhook") {
		t.Errorf("%+v", s)
	}
	d.cfg.Client = d.client("identity", "w:campaigns.webhook")
	d.restart()
	if err := d.Reconcile(t.Context()); !errors.Is(err, patreon.ErrForbidden) || !strings.HasSuffix(err.Error(), "the scope campaigns") {
		t.Errorf("the error is %v", err)
	}
	d.cfg.Campaign = patreon.CampaignID(d.campaign)
	d.restart()
	d.look() // nothing else is needed
	if d.hook().Campaign != d.campaign {
		t.Error("it is for another campaign")
	}
}

func TestADamagedRecordForgetsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.look()
		old := d.hook().Secret
		d.fake.RemoveWebhook(d.hook().ID)
		d.look()
		for _, damaged := range []string{"{", "null", `{"secrets":5}`, ""} {
			raw, err := d.store.Load(t.Context(), "patreon/webhook")
			if err != nil {
				t.Fatal(err)
			}
			next := []byte(damaged)
			if damaged == "" {
				next = nil // removed
			}
			if ok, err := d.store.Swap(t.Context(), "patreon/webhook", raw, next); !ok || err != nil {
				t.Fatal(ok, err)
			}
			pass(2 * time.Second)
			if !d.knows(d.hook().Secret) || !d.knows(old) {
				t.Errorf("%q: the secrets are forgotten", damaged)
			}
			d.look()
			pass(2 * time.Second)
			if !d.knows(d.hook().Secret) {
				t.Errorf("%q: the secret is not known again", damaged)
			}
			var record struct{ Secrets []string }
			if raw, err = d.store.Load(t.Context(), "patreon/webhook"); err != nil || json.Unmarshal(raw, &record) != nil || record.Secrets[0] != d.hook().Secret {
				t.Errorf("%q: the record is %s, %v", damaged, raw, err)
			}
		}
	})
}

func TestSecretsAreKnownWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.store.down.Store(true)
		if _, err := d.Secrets(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("before anything is known the error is %v", err)
		}
		if err := d.Reconcile(t.Context()); !errors.Is(err, errDown) || len(d.fake.Hooks()) != 0 {
			t.Errorf("%v; a webhook whose secret cannot be kept was registered: %v", err, d.fake.Hooks())
		}
		d.store.down.Store(false)
		d.look()
		d.store.down.Store(true)
		pass(time.Hour)
		if !d.knows(d.hook().Secret) {
			t.Error("the secret is forgotten")
		}
	})
}

func TestDeliveriesThatAreNoneDoNotWearOutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		h := newHandler(t, func(cfg *patreon.WebhookConfig) { cfg.Secrets, cfg.Logger = d.Secrets, nil })
		d.look()
		before := d.store.loads.Load()
		for i := range 1000 {
			expect(t, h, 401, "not signed", delivery("members:update", fmt.Sprint(i), "a guess"))
		}
		if n := d.store.loads.Load() - before; n > 1 {
			t.Errorf("the store was read %d times", n)
		}
		expect(t, h, 202, "signed", delivery("members:update", "{}", patreon.Secret(d.hook().Secret)))
		// Another process registers another one.
		d.fake.RemoveWebhook(d.hook().ID)
		mine := d.Registration
		d.restart()
		d.look()
		d.Registration = mine
		pass(time.Second)
		expect(t, h, 202, "signed with that of another process", delivery("members:update", "[]", patreon.Secret(d.hook().Secret)))
	})
}

func TestTwoProcessesAtOnceAgreeOnOneWebhook(t *testing.T) {
	for range 20 {
		d := newDesk(t)
		all := []*patreon.Registration{d.Registration, d.restart(), d.restart(), d.restart()}
		for range 3 {
			var looks sync.WaitGroup
			for _, g := range all {
				looks.Go(func() { g.Reconcile(t.Context()) }) // one may find that another was faster
			}
			looks.Wait()
		}
		for _, g := range all {
			if err := g.Reconcile(t.Context()); err != nil {
				t.Error(err)
			}
		}
		h := d.hook()
		for _, g := range all {
			g.Reconcile(t.Context())
			if g.Status().Webhook != patreon.WebhookID(h.ID) {
				t.Errorf("one has %s, and there is %s", g.Status().Webhook, h.ID)
			}
		}
	}
}

func TestSecretsOfWebhooksAreNotShown(t *testing.T) {
	d := newDesk(t)
	d.look()
	first := d.hook()
	d.fake.RemoveWebhook(first.ID)
	d.fake.Next(1, patreontest.Fault{Kind: patreontest.EchoSecrets, On: func(r *http.Request) bool { return r.Method == http.MethodPost }})
	err := d.Reconcile(t.Context())
	if err == nil {
		t.Error("there is no error")
	}
	d.look()
	text := d.log.String() + fmt.Sprintf("%v %v %+v %#v %+v", err, d.Registration, d.Registration, d.Registration, d.Status())
	status, _ := json.Marshal(d.Status())
	secrets, _ := d.Secrets(t.Context())
	text += string(status) + fmt.Sprintf("%v %+v %#v %q", secrets, secrets, secrets, secrets)
	for _, leak := range []string{first.Secret, d.hook().Secret} {
		if strings.Contains(text, leak) {
			t.Errorf("%s is in %s", leak, text)
		}
	}
}

func TestARegistrationThatCannotWorkIsRefused(t *testing.T) {
	d := newDesk(t)
	for _, edit := range []func(*patreon.RegistrationConfig){
		func(cfg *patreon.RegistrationConfig) { cfg.Client = nil },
		func(cfg *patreon.RegistrationConfig) { cfg.Store = nil },
		func(cfg *patreon.RegistrationConfig) { cfg.URI = "" },
		func(cfg *patreon.RegistrationConfig) { cfg.URI = "me.example/hook" },
		func(cfg *patreon.RegistrationConfig) { cfg.URI = "https://user:canary@me.example/" },
		func(cfg *patreon.RegistrationConfig) { cfg.Key = "no key" },
		func(cfg *patreon.RegistrationConfig) { cfg.Every = -1 },
	} {
		cfg := d.cfg
		edit(&cfg)
		if _, err := patreon.NewRegistration(cfg); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
