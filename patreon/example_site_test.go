// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// Events of a webhook that was registered on the page of the client.
func ExampleWebhookHandler() {
	const secret = "the secret that Patreon shows beside the webhook"
	changed := make(chan patreon.Event)
	hook, err := patreon.NewWebhookHandler(patreon.WebhookConfig{
		Secrets:  patreon.Secrets(secret),
		OnChange: func(last patreon.Event) { changed <- last }, // one act, one call
		Quiet:    1,                                            // 5 seconds if left out
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/.within/hook/patreon", hook)

	// What Patreon sends.
	body := `{"data": {"type": "member", "id": "1c2a", "attributes": {}}}`
	r := httptest.NewRequest(http.MethodPost, "/.within/hook/patreon", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Patreon-Event", "members:create")
	r.Header.Set("X-Patreon-Signature", patreon.SignWebhook(secret, []byte(body)))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)

	fmt.Println(w.Code, (<-changed).Trigger)
	// Output: 202 members:create
}

// A list for a page of thanks. Nobody vanishes from it because Patreon was down,
// or said something else for a day.
func ExampleSupporters() {
	address, token, stop := someCampaign()
	defer stop()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	client, err := patreon.NewClient(patreon.ClientConfig{Tokens: patreon.StaticToken(token), BaseURL: address})
	if err != nil {
		log.Fatal(err)
	}
	supporters, err := patreon.NewSupporters(patreon.SupportersConfig{
		Client: client,
		Path:   filepath.Join(dir, "supporters.json"),
	})
	if err != nil {
		log.Fatal(err)
	}
	list, err := supporters.Update(context.Background())
	if err != nil {
		log.Println(err) // the list is the last known one all the same
	}
	for _, s := range list.Supporters {
		fmt.Printf("%s (%s)\n", s.Name, s.Tier)
	}
	// Output:
	// Ada Made Up (Nib)
	// Bo Made Up (Nib)
}

// A program's own tests of what it does when Patreon fails.
func ExampleSupporters_Update_patreonIsDown() {
	fake := patreontest.New(patreontest.Config{})
	fake.AddClient(patreontest.Client{ID: "app", Secret: "hush"})
	creator := fake.AddUser(patreontest.User{FullName: "Wren Quillon"})
	fake.FillMembers(fake.AddCampaign(patreontest.Campaign{Creator: creator}), 3)
	server := httptest.NewServer(fake)
	defer server.Close()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	client, err := patreon.NewClient(patreon.ClientConfig{
		Tokens: patreon.StaticToken(fake.Portal("app", creator).AccessToken), BaseURL: server.URL, Retries: -1,
	})
	if err != nil {
		log.Fatal(err)
	}
	supporters, err := patreon.NewSupporters(patreon.SupportersConfig{Client: client, Path: filepath.Join(dir, "supporters.json")})
	if err != nil {
		log.Fatal(err)
	}

	before, err := supporters.Update(context.Background())
	fmt.Println(err)
	fake.Random(1, 1, patreontest.Fault{Kind: patreontest.Maintenance})
	after, err := supporters.Update(context.Background())
	fmt.Println(err != nil, len(after.Supporters) == len(before.Supporters))
	// Output:
	// <nil>
	// true true
}
