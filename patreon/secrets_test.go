// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// canaries are secrets of which no trace may be seen.
type canaries []string

// lookFor reports canaries in a text, as they are and in the forms that fmt and
// encodings have for them.
func (c canaries) lookFor(t *testing.T, where, text string) {
	t.Helper()
	for _, secret := range c {
		for _, form := range []string{
			secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
			base64.StdEncoding.EncodeToString([]byte(secret)), strings.Trim(fmt.Sprint([]byte(secret)), "[]"),
		} {
			if strings.Contains(text, form) {
				t.Errorf("%s: a secret is in %.300s", where, text)
			}
		}
	}
}

// printed is a value in all forms in which it may get into a log.
func printed(v any) string {
	var out wait.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", v)
		fmt.Fprintf(&out, verb+"\n", []any{v})
		fmt.Fprintf(&out, verb+"\n", struct{ Field any }{v})
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("it is", "value", v, "group", slog.GroupValue(slog.Any("in", v)))
	}
	if raw, err := json.Marshal(v); err == nil {
		out.Write(raw)
	}
	return out.String()
}

func TestSecretsNeverShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, nil)
		token := o.good()
		pair, _ := o.fake.Current("client", o.creator)
		campaign := o.fake.AddCampaign(patreontest.Campaign{Creator: o.creator})
		o.fake.FillMembers(campaign, 1)
		hook := o.fake.AddWebhook(patreontest.Hook{Client: "client", Campaign: campaign, URI: hookURI, Triggers: []string{"members:update"}})
		secret := canaries{
			"client-secret", o.cfg.Seed.Refresh.Reveal(), o.cfg.Seed.Access.Reveal(), token.Access.Reveal(), pair.RefreshToken,
			bearerToken.Reveal(), hookSecret.Reveal(), hook.Secret,
		}

		clientConfig := patreon.ClientConfig{Tokens: patreon.StaticToken(token.Access), HTTPClient: &http.Client{Transport: line{o.fake}}, Retries: -1}
		client, err := patreon.NewClient(clientConfig)
		if err != nil {
			t.Fatal(err)
		}
		kept := clientConfig
		kept.Tokens = o.Keeper
		keptClient, err := patreon.NewClient(kept)
		if err != nil {
			t.Fatal(err)
		}
		registrationConfig := patreon.RegistrationConfig{Client: client, Store: o.store, URI: hookURI}
		registration, err := patreon.NewRegistration(registrationConfig)
		if err != nil {
			t.Fatal(err)
		}
		if err := registration.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		known, err := registration.Secrets(t.Context())
		if err != nil || len(known) == 0 {
			t.Fatal(known, err)
		}
		var webhook patreon.Webhook
		for w, err := range client.Webhooks(t.Context(), patreon.Query{}) {
			if webhook = w; err != nil || w.Secret == "" {
				t.Fatal(w, err)
			}
		}
		webhookConfig := patreon.WebhookConfig{Secrets: patreon.Secrets(hookSecret)}
		handler, err := patreon.NewWebhookHandler(webhookConfig)
		if err != nil {
			t.Fatal(err)
		}
		supportersConfig := patreon.SupportersConfig{Client: client, Path: filepath.Join(t.TempDir(), "supporters.json")}
		supporters, err := patreon.NewSupporters(supportersConfig)
		if err != nil {
			t.Fatal(err)
		}
		list, err := supporters.Update(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		remoteConfig := patreon.RemoteConfig{URL: "http://tokens.internal", Token: bearerToken, HTTPClient: &http.Client{Transport: line{o.server}}}
		remote, err := patreon.NewRemoteTokenSource(remoteConfig)
		if err != nil {
			t.Fatal(err)
		}
		remoteToken, err := remote.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		remoteClient, err := patreon.NewRemoteClient(remoteConfig)
		if err != nil {
			t.Fatal(err)
		}
		for where, v := range map[string]any{
			"KeeperConfig": o.cfg, "*KeeperConfig": &o.cfg, "Keeper": o.Keeper, "Seed": o.cfg.Seed, "*Seed": &o.cfg.Seed, "Status": o.Status(),
			"Token": token, "*Token": &token, "remote Token": remoteToken, "StaticToken": patreon.StaticToken(token.Access), "Secret": hookSecret,
			"ClientConfig": clientConfig, "*ClientConfig": &clientConfig, "Client": *client, "*Client": client, "kept ClientConfig": kept, "kept Client": keptClient,
			"TokenServerConfig": patreon.TokenServerConfig{Keeper: o.Keeper, Clients: []patreon.TokenClient{{Name: "site", SHA256: []string{patreon.HashToken(bearerToken)}}}},
			"TokenServer":       o.server, "Requests": o.server.Requests(),
			"RemoteConfig": remoteConfig, "*RemoteConfig": &remoteConfig, "RemoteTokenSource": remote, "remote Client": remoteClient,
			"WebhookConfig": webhookConfig, "*WebhookConfig": &webhookConfig, "WebhookHandler": handler, "Deliveries": handler.Deliveries(), "Webhook": webhook, "*Webhook": &webhook,
			"RegistrationConfig": registrationConfig, "*RegistrationConfig": &registrationConfig, "Registration": registration, "RegistrationStatus": registration.Status(), "Secrets": known,
			"SupportersConfig": supportersConfig, "Supporters": supporters, "SupporterList": list,
			"LoopbackConfig": patreon.LoopbackConfig{RedirectURI: "http://localhost:8377/callback"},
		} {
			secret.lookFor(t, where, printed(v))
		}

		// Errors of everything, from a server that says again what it was told.
		for _, fault := range []patreontest.Kind{patreontest.EchoSecrets, patreontest.Unauthorized, patreontest.InvalidGrant, patreontest.Truncated, patreontest.CutAfter} {
			o.fake.Random(1, 1, patreontest.Fault{Kind: fault})
			pass(20 * 24 * time.Hour)
			_, identityErr := keptClient.Identity(t.Context(), patreon.Query{})
			_, remoteErr := remoteClient.Identity(t.Context(), patreon.Query{})
			_, webhookErr := client.UpdateWebhook(t.Context(), webhook.ID, patreon.WebhookChange{Paused: patreon.Some(false)})
			_, updateErr := supporters.Update(t.Context())
			_, tokenErr := o.Token(t.Context())
			seedErr := o.Seed(t.Context(), patreon.Seed{Access: "canary-access-token", Refresh: "canary-refresh-token"}, true)
			exchangeErr := o.Exchange(t.Context(), "canary-of-a-code", "http://localhost:8377/callback")
			secret := append(secret, "canary-access-token", "canary-refresh-token", "canary-of-a-code")
			for where, err := range map[string]error{
				"Identity": identityErr, "remote Identity": remoteErr, "UpdateWebhook": webhookErr, "Update": updateErr, "Token": tokenErr,
				"Seed": seedErr, "Exchange": exchangeErr, "Reconcile": registration.Reconcile(t.Context()),
				"ReportUnauthorized": o.ReportUnauthorized(t.Context(), token), "remote report": remote.ReportUnauthorized(t.Context(), remoteToken),
			} {
				secret.lookFor(t, string(fault)+": "+where, printed(err)+fmt.Sprint(errors.Unwrap(err)))
			}
			secret.lookFor(t, string(fault)+": Status", printed(o.Status())+printed(registration.Status()))
			o.fake.Random(1, 0)
		}
		secret.lookFor(t, "the log", o.log.String())
	})
}
