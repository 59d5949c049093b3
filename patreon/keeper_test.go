// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
	"xeiaso.net/site/xesite/state"
)

// direct is a transport that calls a handler without a network, so that a test
// can run on a clock of its own.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	w := httptest.NewRecorder()
	cut := d.serve(w, r)
	if cut && w.Body.Len() == 0 {
		return nil, io.EOF
	}
	resp = w.Result()
	resp.Request = r
	resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if cut {
		resp.Body = io.NopCloser(io.MultiReader(w.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	return resp, r.Context().Err()
}

// serve reports whether the handler has closed the connection.
func (d direct) serve(w http.ResponseWriter, r *http.Request) (cut bool) {
	defer func() {
		if v := recover(); v == http.ErrAbortHandler {
			cut = true
		} else if v != nil {
			panic(v)
		}
	}()
	d.ServeHTTP(w, r)
	return false
}

// rig is a keeper and the Patreon that it talks to.
type rig struct {
	*patreon.Keeper
	t       testing.TB
	fake    *patreontest.Server
	store   patreon.Store
	creator string
	cfg     patreon.KeeperConfig
	logs    *wait.Buffer
}

// newRig makes a fake, and the configuration of a keeper that is seeded from its
// portal. Change that by edit.
func newRig(t testing.TB, fake patreontest.Config, edit func(*patreon.KeeperConfig)) *rig {
	t.Helper()
	r := &rig{t: t, fake: patreontest.New(fake), store: &state.Mem{}, logs: &wait.Buffer{}}
	r.fake.AddClient(patreontest.Client{ID: "client", Secret: "client-secret", RedirectURIs: []string{"http://localhost:8377/callback"}})
	r.creator = r.fake.AddUser(patreontest.User{FullName: "Wren Quillon"})
	r.cfg = patreon.KeeperConfig{
		Store: r.store, ClientID: "client", ClientSecret: "client-secret",
		HTTPClient: &http.Client{Transport: direct{r.fake}},
		Seed:       r.seed(),
		Logger:     slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), r.logs), nil)),
	}
	if edit != nil {
		edit(&r.cfg)
	}
	r.restart()
	return r
}

// seed gets a new pair from the portal.
func (r *rig) seed() patreon.Seed {
	pair := r.fake.Portal("client", r.creator, patreontest.AllScopes()...)
	return patreon.Seed{Access: patreon.Secret(pair.AccessToken), Refresh: patreon.Secret(pair.RefreshToken)}
}

// restart makes another keeper of the same configuration.
func (r *rig) restart() {
	r.t.Helper()
	k, err := patreon.NewKeeper(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Keeper = k
}

// good gets a token, and asks the fake whether it takes it.
func (r *rig) good() patreon.Token {
	r.t.Helper()
	token, err := r.Token(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodGet, "/api/oauth2/v2/identity", nil)
	req.Header.Set("Authorization", "Bearer "+token.Access.Reveal())
	req.Header.Set("User-Agent", "test")
	w := httptest.NewRecorder()
	r.fake.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		r.t.Fatalf("the token of generation %d is not taken: %d %s", token.Generation, w.Code, w.Body)
	}
	return token
}

// calls is how often the token endpoint was called.
func (r *rig) calls() int { return r.fake.Stats().Requests["POST /api/oauth2/token"] }

// edit changes the record in the store.
func (r *rig) edit(change func(fields map[string]any)) {
	r.t.Helper()
	raw, err := r.store.Load(r.t.Context(), "patreon/token")
	if err != nil {
		r.t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		r.t.Fatal(err)
	}
	change(fields)
	edited, err := json.Marshal(fields)
	if err != nil {
		r.t.Fatal(err)
	}
	if won, err := r.store.Swap(r.t.Context(), "patreon/token", raw, edited); !won || err != nil {
		r.t.Fatal(won, err)
	}
}

// run has the keeper run until the returned function is called, which waits.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			r.t.Error(err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// tokens have the form that the fake gives them.
var tokens = regexp.MustCompile(`(access|refresh)-[A-Z2-7]{20,}`)

// silent fails the test if a text has a secret in it.
func (r *rig) silent(where, text string) {
	r.t.Helper()
	if found := tokens.FindString(text); found != "" {
		r.t.Errorf("%s has the token %s in it", where, found)
	}
	for _, secret := range []string{string(r.cfg.ClientSecret), url.QueryEscape(string(r.cfg.ClientSecret))} {
		if strings.Contains(text, secret) {
			r.t.Errorf("%s has the client's secret in it: %s", where, text)
		}
	}
}

// pass lets time go by in a bubble of testing/synctest.
func pass(d time.Duration) { <-time.After(d) }

func TestASeedIsRefreshedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		token := r.good()
		if got := r.fake.Stats().Refreshes; got != 1 {
			t.Errorf("%d refreshes, want 1", got)
		}
		if token.Access == r.cfg.Seed.Access {
			t.Error("the token is that of the seed")
		}
		if left := time.Until(token.Expires); left != 31*24*time.Hour {
			t.Errorf("the token lasts %s", left)
		}
	})
}

func TestTokensAreRefreshedAtHalfOfTheirLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		first := r.good()
		for _, c := range []struct {
			wait      time.Duration
			refreshes int
		}{
			{14 * 24 * time.Hour, 1},
			{3 * 24 * time.Hour, 2},
			{14 * 24 * time.Hour, 2},
			{40 * 24 * time.Hour, 3},
			{400 * 24 * time.Hour, 4},
		} {
			pass(c.wait)
			r.good()
			if got := r.fake.Stats().Refreshes; got != c.refreshes {
				t.Errorf("%d refreshes after another %s, want %d", got, c.wait, c.refreshes)
			}
		}
		if now := r.good(); now.Generation != first.Generation+3 {
			t.Errorf("generation %d after %d", now.Generation, first.Generation)
		}
	})
}

func TestALostLineageIsToldAndCostsNoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		token := r.good()
		r.seed() // somebody presses the button of the portal
		pass(17 * 24 * time.Hour)
		if again, err := r.Token(t.Context()); err != nil || again != token {
			t.Errorf("the access token is not given out for as long as it lasts: %v", err)
		}
		if s := r.Status(); s.State != "lost" || s.LostReason == "" {
			t.Errorf("the status is %+v", s)
		}
		before := r.fake.Stats()
		for range 100 {
			pass(24 * time.Hour)
			r.Token(t.Context())
		}
		if _, err := r.Token(t.Context()); !errors.Is(err, patreon.ErrLineageLost) {
			t.Errorf("the error is %v", err)
		}
		if after := r.fake.Stats(); after.InvalidGrants != before.InvalidGrants {
			t.Errorf("the endpoint was asked %d times more", after.InvalidGrants-before.InvalidGrants)
		}
		r.restart()
		if _, err := r.Token(t.Context()); !errors.Is(err, patreon.ErrLineageLost) {
			t.Errorf("after a restart the error is %v", err)
		}
		if err := r.Seed(t.Context(), r.cfg.Seed, true); !errors.Is(err, patreon.ErrSeedUsed) {
			t.Errorf("the old seed: %v", err)
		}
		if err := r.Seed(t.Context(), r.seed(), false); err != nil {
			t.Fatal(err)
		}
		r.good()
		if s := r.Status(); s.State != "ok" {
			t.Errorf("the status is %+v", s)
		}
	})
}

func TestOneOfManyRefreshes(t *testing.T) {
	for _, n := range []int{2, 5, 20} {
		mem := &state.Mem{}
		synctest.Test(t, func(t *testing.T) { oneOfMany(t, n, func() patreon.Store { return mem }) })
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			oneOfMany(t, n, func() patreon.Store {
				store, err := state.OpenDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				return store
			})
		})
	}
}

// oneOfMany has n keepers meet at the end of their tokens. Each opens its store.
func oneOfMany(t *testing.T, n int, open func() patreon.Store) {
	r := newRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.Store = open() })
	r.good()
	keepers := []*patreon.Keeper{r.Keeper}
	for range n - 1 {
		r.cfg.Store = open()
		r.restart()
		r.good()
		keepers = append(keepers, r.Keeper)
	}
	for generation := range 5 {
		pass(32 * 24 * time.Hour)
		var all sync.WaitGroup
		for _, k := range keepers {
			for range 3 {
				all.Go(func() {
					if _, err := k.Token(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		if s := r.fake.Stats(); s.Refreshes != generation+2 || s.SpentRefreshTokensUsed != 0 {
			t.Fatalf("%d keepers: %d refreshes in generation %d, %d with a spent token", n, s.Refreshes, generation+2, s.SpentRefreshTokensUsed)
		}
	}
}
