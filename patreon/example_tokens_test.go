// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
	"xeiaso.net/site/xesite/state"
)

// somePatreon is a Patreon to try examples with, and the two tokens that the page
// of its client "app" shows.
func somePatreon() (fake *patreontest.Server, address string, seed patreon.Seed, stop func()) {
	fake = patreontest.New(patreontest.Config{})
	fake.AddClient(patreontest.Client{ID: "app", Secret: "hush", RedirectURIs: []string{"https://me.example/login/done"}})
	creator := fake.AddUser(patreontest.User{FullName: "Wren Quillon"})
	fake.AddCampaign(patreontest.Campaign{Creator: creator, Name: "Quills and Ink"})
	pair := fake.Portal("app", creator)
	server := httptest.NewServer(fake)
	seed = patreon.Seed{Access: patreon.Secret(pair.AccessToken), Refresh: patreon.Secret(pair.RefreshToken)}
	return fake, server.URL, seed, server.Close
}

// A program that keeps its tokens fresh for years. The two tokens of the client's
// page are needed once; what becomes of them is in the store, which several
// processes may share.
func ExampleKeeper() {
	_, address, seed, stop := somePatreon()
	defer stop()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	store, err := state.OpenDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	keeper, err := patreon.NewKeeper(patreon.KeeperConfig{
		Store:    store,
		ClientID: "app", ClientSecret: "hush",
		Seed:    seed,
		BaseURL: address, // not needed for Patreon itself
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		keeper.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done // a refresh that is under way is finished first
	}()

	client, err := patreon.NewClient(patreon.ClientConfig{Tokens: keeper, BaseURL: address})
	if err != nil {
		log.Fatal(err)
	}
	user, err := client.Identity(ctx, patreon.Query{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.FullName)
	// Output: Wren Quillon
}

// "Log in with Patreon": each user has tokens of their own.
func ExampleKeeper_Exchange() {
	fake, address, _, stop := somePatreon()
	defer stop()
	store := &state.Mem{} // a state.Dir outlives the program
	const redirect = "https://me.example/login/done"
	keeperOf := func(key string) *patreon.Keeper {
		keeper, err := patreon.NewKeeper(patreon.KeeperConfig{
			Store: store, Key: key, ClientID: "app", ClientSecret: "hush", BaseURL: address,
		})
		if err != nil {
			log.Fatal(err)
		}
		return keeper
	}

	// A visitor is sent away with a state that only this visitor's cookie has …
	login := keeperOf("patreon/login/1f0a")
	away := login.AuthorizeURL(redirect, "state-in-a-cookie", "identity")

	// … and comes back with the state, to be compared, and a code.
	visitor := fake.AddUser(patreontest.User{FullName: "Ada Made Up"})
	back := agree(fake, away, visitor)
	if back.Get("state") != "state-in-a-cookie" {
		log.Fatal("somebody else's login")
	}
	ctx := context.Background()
	if err := login.Exchange(ctx, back.Get("code"), redirect); err != nil {
		log.Fatal(err)
	}
	client, err := patreon.NewClient(patreon.ClientConfig{Tokens: login, BaseURL: address})
	if err != nil {
		log.Fatal(err)
	}
	user, err := client.Identity(ctx, patreon.Query{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("hello,", user.FullName)
	// Output: hello, Ada Made Up
}

// agree is the part of the browser: a user who agrees is sent back.
func agree(fake *patreontest.Server, address, user string) url.Values {
	fake.Login(user)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, address, nil)
	r.Header.Set("User-Agent", "a browser")
	fake.ServeHTTP(w, r)
	back, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		log.Fatal(err)
	}
	return back.Query()
}

// One program has the refresh token. Others ask it for access tokens, or have it
// make their requests, and have no token of Patreon at all.
func ExampleTokenServer() {
	_, address, seed, stop := somePatreon()
	defer stop()
	keeper, err := patreon.NewKeeper(patreon.KeeperConfig{
		Store: &state.Mem{}, ClientID: "app", ClientSecret: "hush", Seed: seed, BaseURL: address,
	})
	if err != nil {
		log.Fatal(err)
	}
	const bearer = "a-long-and-random-string"
	tokens, err := patreon.NewTokenServer(patreon.TokenServerConfig{
		Keeper:  keeper,
		Clients: []patreon.TokenClient{{Name: "blog", SHA256: []string{patreon.HashToken(bearer)}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(tokens) // or tokens.Serve, which checks who can reach the listener
	defer server.Close()

	// In the other program, a client that asks Patreon itself …
	source, err := patreon.NewRemoteTokenSource(patreon.RemoteConfig{URL: server.URL, Token: bearer})
	if err != nil {
		log.Fatal(err)
	}
	itself, err := patreon.NewClient(patreon.ClientConfig{Tokens: source, BaseURL: address})
	if err != nil {
		log.Fatal(err)
	}
	// … or one that asks the server, which counts and caches.
	through, err := patreon.NewRemoteClient(patreon.RemoteConfig{URL: server.URL, Token: bearer})
	if err != nil {
		log.Fatal(err)
	}
	for _, client := range []*patreon.Client{itself, through} {
		for campaign, err := range client.Campaigns(context.Background(), patreon.Query{}) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(campaign.Name)
		}
	}
	// Output:
	// Quills and Ink
	// Quills and Ink
}
