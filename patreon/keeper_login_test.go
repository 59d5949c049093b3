// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

const redirectURI = "http://localhost:8377/callback"

// browse goes where an address leads, and returns where it is sent from there.
func (r *rig) browse(address string) *url.URL {
	r.t.Helper()
	req := httptest.NewRequest(http.MethodGet, address, nil)
	req.Header.Set("User-Agent", "test")
	w := httptest.NewRecorder()
	r.fake.ServeHTTP(w, req)
	target, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusFound {
		r.t.Errorf("the answer is %d %s, %v", w.Code, w.Body, err)
		return &url.URL{}
	}
	return target
}

// code has a user log in.
func (r *rig) code(user string) string {
	r.t.Helper()
	r.fake.Login(user)
	return r.browse(r.AuthorizeURL(redirectURI, "state", patreontest.AllScopes()...)).Query().Get("code")
}

func TestACodeIsGoodOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		first := r.good()
		code := r.code(r.creator)
		if err := r.Exchange(t.Context(), code, redirectURI); err != nil {
			t.Fatal(err)
		}
		now := r.good()
		if now.Generation != first.Generation+1 {
			t.Errorf("generation %d after %d", now.Generation, first.Generation)
		}
		late := r.code(r.creator)
		pass(time.Hour)
		for name, c := range map[string][2]string{
			"used":          {code, redirectURI},
			"too late":      {late, redirectURI},
			"made up":       {"made-up", redirectURI},
			"from nowhere":  {r.code(r.creator), "http://localhost:8377/other"},
			"an odd letter": {"\x00", redirectURI},
		} {
			if err := r.Exchange(t.Context(), c[0], c[1]); !errors.Is(err, patreon.ErrInvalidGrant) {
				t.Errorf("%s: the error is %v", name, err)
			} else {
				r.silent("the error", err.Error())
			}
			if again := r.good(); again != now || r.Status().State != "ok" {
				t.Errorf("%s: %+v", name, r.Status())
			}
		}
		pass(17 * day) // and they are refreshed as ever
		if again := r.good(); again.Generation != now.Generation+1 {
			t.Errorf("generation %d after %d", again.Generation, now.Generation)
		}
	})
}

func TestACodeIsEnoughToBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.Seed = patreon.Seed{} })
		if err := r.Exchange(t.Context(), "made-up", redirectURI); !errors.Is(err, patreon.ErrInvalidGrant) {
			t.Errorf("the error is %v", err)
		}
		if _, err := r.Token(t.Context()); !errors.Is(err, patreon.ErrNoTokens) {
			t.Errorf("the error is %v", err)
		}
		if err := r.Exchange(t.Context(), r.code(r.creator), redirectURI); err != nil {
			t.Fatal(err)
		}
		r.good()
		r.restart()
		r.good()
	})
}

func TestALoginEndsALostLineage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		r.good()
		r.seed()
		pass(40 * day)
		if _, err := r.Token(t.Context()); !errors.Is(err, patreon.ErrLineageLost) {
			t.Errorf("the error is %v", err)
		}
		if err := r.Exchange(t.Context(), r.code(r.creator), redirectURI); err != nil {
			t.Fatal(err)
		}
		r.good()
	})
}

func TestATokenEndpointThatFailsACodeSaysSo(t *testing.T) {
	for _, kind := range []patreontest.Kind{
		patreontest.CutBefore, patreontest.CutAfter, patreontest.CutAnswer, patreontest.HangAfter, patreontest.Truncated, patreontest.NullBody,
		patreontest.RefreshMissing, patreontest.AccessMissing, patreontest.EchoSecrets, patreontest.ServerErrorAfter,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, patreontest.Config{}, nil)
			token := r.good()
			code := r.code(r.creator)
			r.fake.Next(1, patreontest.Fault{Kind: kind, On: patreontest.OnToken})
			err := r.Exchange(t.Context(), code, redirectURI)
			if err == nil {
				t.Fatalf("%s: there is no error", kind)
			}
			r.silent("the error", err.Error())
			if strings.Contains(err.Error(), code) {
				t.Errorf("%s: the code is in the error", kind)
			}
			// What there was is given out as before.
			if again, err := r.Token(t.Context()); err != nil || again != token {
				t.Errorf("%s: %v", kind, err)
			}
			if err := r.Exchange(t.Context(), r.code(r.creator), redirectURI); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			r.good()
		})
	}
}

// A code that is no good must not make others think that nobody refreshes.
func TestACodeDuringARefreshLetsNobodyElseRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		first := r.good()
		other, err := patreon.NewKeeper(r.cfg)
		if err != nil {
			t.Fatal(err)
		}
		pass(17 * day)
		r.fake.Next(1, patreontest.Fault{Kind: patreontest.Slow, Wait: 10 * time.Second, On: patreontest.OnToken})
		var all sync.WaitGroup
		all.Go(func() { r.Token(t.Context()) })
		pass(2 * time.Second)
		if err := r.Exchange(t.Context(), "made-up", redirectURI); !errors.Is(err, patreon.ErrInvalidGrant) {
			t.Errorf("the error is %v", err)
		}
		for range 10 {
			if _, err := other.Token(t.Context()); err != nil {
				t.Error(err)
			}
			pass(time.Second / 2)
		}
		all.Wait()
		pass(time.Minute)
		if now := r.good(); now.Generation != first.Generation+1 {
			t.Errorf("generation %d after %d", now.Generation, first.Generation)
		}
		if s := r.fake.Stats(); s.SpentRefreshTokensUsed != 0 || s.Refreshes != 2 {
			t.Errorf("%d refreshes, %d with a spent token", s.Refreshes, s.SpentRefreshTokensUsed)
		}
	})
}

func TestEachUserWhoLogsInHasALineage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		creator := r.good()
		keepers := map[patreon.UserID]*patreon.Keeper{}
		for i := range 5 {
			user := r.fake.AddUser(patreontest.User{FullName: fmt.Sprint("Made Up ", i)})
			for range 2 { // the second time takes the place of the first
				k, id, err := patreon.Login(t.Context(), r.cfg, r.code(user), redirectURI)
				if err != nil || string(id) != user {
					t.Fatalf("%q logs in as %q: %v", user, id, err)
				}
				keepers[id] = k
			}
		}
		for range 3 {
			for id := range keepers {
				cfg := r.cfg
				cfg.Key, cfg.Seed = patreon.UserKey(id), patreon.Seed{}
				later, err := patreon.NewKeeper(cfg)
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range []*patreon.Keeper{keepers[id], later} {
					if owner := (&rig{t: t, Keeper: k, fake: r.fake}).owner(); owner != string(id) {
						t.Errorf("the token of %q is that of %q", id, owner)
					}
				}
			}
			pass(17 * day)
		}
		if s := r.fake.Stats(); s.Refreshes != 1+2*5 || s.SpentRefreshTokensUsed != 0 {
			t.Errorf("%d refreshes, %d with a spent token", s.Refreshes, s.SpentRefreshTokensUsed)
		}
		r.fake.Revoke(creator.Access.Reveal())
		r.good() // by itself
	})
}

// owner is whose token the keeper gives out.
func (r *rig) owner() string {
	r.t.Helper()
	token := r.good()
	c, err := patreon.NewClient(patreon.ClientConfig{Tokens: patreon.StaticToken(token.Access), HTTPClient: &http.Client{Transport: direct{r.fake}}})
	if err != nil {
		r.t.Fatal(err)
	}
	u, err := c.Identity(r.t.Context(), patreon.Query{})
	if err != nil {
		r.t.Fatal(err)
	}
	return string(u.ID)
}

func TestALoginThatFailsLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, patreontest.Config{}, nil)
		for name, c := range map[string]struct {
			code  string
			fault patreontest.Fault
			want  error
		}{
			"made up":    {code: "made-up", want: patreon.ErrInvalidGrant},
			"no refresh": {code: r.code(r.creator), fault: patreontest.Fault{Kind: patreontest.RefreshMissing, On: patreontest.OnToken}, want: patreon.ErrMalformed},
			"nobody":     {code: r.code(r.creator), fault: patreontest.Fault{Kind: patreontest.NullBody, On: patreontest.OnPath("/identity")}, want: patreon.ErrMalformed},
		} {
			if c.fault.Kind != patreontest.None {
				r.fake.Next(1, c.fault)
			}
			k, _, err := patreon.Login(t.Context(), r.cfg, c.code, redirectURI)
			if !errors.Is(err, c.want) || k != nil {
				t.Errorf("%s: the error is %v", name, err)
			} else {
				r.silent("the error", err.Error())
			}
			if keys, err := r.store.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
				t.Errorf("%s: there are %q, %v", name, keys, err)
			}
		}
	})
}

func TestALoginThatTheStoreDoesNotTakeOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "emergency")
	synctest.Test(t, func(t *testing.T) {
		r, store := newMoodyRig(t, patreontest.Config{}, func(c *patreon.KeeperConfig) { c.EmergencyPath = path })
		if _, _, err := patreon.Login(t.Context(), r.cfg, r.code(r.creator), redirectURI); err != nil {
			t.Fatal(err)
		}
		writes := 0
		store.mood(nil, limitWrites(&writes, 0))
		k, id, err := patreon.Login(t.Context(), r.cfg, r.code(r.creator), redirectURI)
		if err != nil {
			t.Fatal(err)
		}
		r.Keeper = k
		first := r.good().Access.Reveal()
		if s := k.Status(); s.State != "unsaved" || s.Generation != 2 {
			t.Errorf("%+v", s)
		}
		// Another process, for which the store is as it should be.
		r.cfg.Store, r.cfg.Key, r.cfg.Seed = store.Store, patreon.UserKey(id), patreon.Seed{}
		r.restart()
		if now := r.good(); now.Access.Reveal() != first {
			t.Errorf("the token is another: %+v", r.Status())
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the emergency file is still there: %v", err)
		}
		store.mood(nil, nil)
		pass(2 * time.Minute)
		if s := k.Status(); s.State != "ok" {
			t.Errorf("%+v", s)
		}
	})
}

// loopback has somebody log in with a browser. visit is what the browser does
// with the address that it was sent to; it may return before the login is over.
func (r *rig) loopback(ctx context.Context, visit func(target *url.URL)) error {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	l.Close() // the port is free, most likely
	redirect := "http://" + l.Addr().String() + "/callback"
	r.fake.AddClient(patreontest.Client{ID: "client", Secret: "client-secret", RedirectURIs: []string{redirect}})
	var browser sync.WaitGroup
	defer browser.Wait()
	return r.LoginOnLoopback(ctx, patreon.LoopbackConfig{
		RedirectURI: redirect, Scopes: patreontest.AllScopes(),
		Prompt: func(address string) { browser.Go(func() { visit(r.browse(address)) }) },
	})
}

// get has a browser go to a page, and returns the status.
func get(t *testing.T, target string) int {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestALoginOnLoopbackTakesTheTokens(t *testing.T) {
	r := newRig(t, patreontest.Config{}, nil)
	first := r.good()
	r.fake.Login(r.creator)
	stored := r.stored()
	err := r.loopback(t.Context(), func(target *url.URL) {
		for _, state := range []string{"", "made-up", strings.ToLower(target.Query().Get("state")), target.Query().Get("state") + "x"} {
			wrong := *target
			query := wrong.Query()
			query.Set("state", state)
			wrong.RawQuery = query.Encode()
			if code := get(t, wrong.String()); code != http.StatusBadRequest || r.stored() != stored {
				t.Errorf("with the state %q the answer is %d", state, code)
			}
		}
		// All come while the first is waited for.
		r.fake.Next(1, patreontest.Fault{Kind: patreontest.Slow, Wait: time.Second / 2, On: patreontest.OnToken})
		var clicks sync.WaitGroup
		for range 5 {
			clicks.Go(func() {
				if code := get(t, target.String()); code != http.StatusOK {
					t.Errorf("the answer is %d", code)
				}
			})
		}
		clicks.Wait()
	})
	if err != nil {
		t.Error(err)
	}
	if now := r.good(); now.Generation != first.Generation+1 || r.fake.Stats().Codes != 1 || r.fake.Stats().InvalidGrants != 0 {
		t.Errorf("generation %d after %d, %+v", now.Generation, first.Generation, r.fake.Stats())
	}
}

func TestALoginThatIsNotAllowedChangesNothing(t *testing.T) {
	r := newRig(t, patreontest.Config{}, nil)
	first := r.good()
	err := r.loopback(t.Context(), func(target *url.URL) {
		if code := get(t, target.String()); code != http.StatusBadGateway {
			t.Errorf("the answer is %d", code)
		}
	})
	if err == nil || !strings.Contains(err.Error(), "access_denied") {
		t.Errorf("the error is %v", err)
	}
	r.fake.Login(r.creator)
	err = r.loopback(t.Context(), func(target *url.URL) {
		query := target.Query()
		query.Set("code", "made-up")
		target.RawQuery = query.Encode()
		get(t, target.String())
	})
	if !errors.Is(err, patreon.ErrInvalidGrant) {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := r.loopback(ctx, func(*url.URL) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if again := r.good(); again != first {
		t.Errorf("%+v after %+v", again, first)
	}
}

func TestARedirectThatLeadsElsewhereIsRefused(t *testing.T) {
	r := newRig(t, patreontest.Config{}, nil)
	for _, address := range []string{
		"", "localhost:8377/callback", "https://localhost:8377/callback", "http://localhost/callback", "http://localhost:8377", "http://localhost:8377/{x}",
		"http://patreon.example:8377/callback", "http://0.0.0.0:8377/callback", "http://192.0.2.1:8377/callback", "http://localhost.example:8377/callback",
	} {
		err := r.LoginOnLoopback(t.Context(), patreon.LoopbackConfig{RedirectURI: address, Prompt: func(string) { t.Error("somebody was asked") }})
		if err == nil || !strings.Contains(err.Error(), "localhost") {
			t.Errorf("%q: the error is %v", address, err)
		}
	}
}
