// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// AuthorizeURL is where a browser has to go so that somebody allows the client
// what the scopes say: https://docs.patreon.com/#step-2-making-the-log-in-button.
// Patreon sends the browser on to redirectURI, which must be one of those that
// are registered for the client, with a code and with state, a value that cannot
// be guessed and that has to be compared.
func (k *Keeper) AuthorizeURL(redirectURI, state string, scopes ...string) string {
	u := *k.endpoint.base
	u.Path += authorizePath
	u.RawQuery = url.Values{
		"response_type": {"code"},
		"client_id":     {k.cfg.ClientID},
		"redirect_uri":  {redirectURI},
		"scope":         {strings.Join(scopes, " ")},
		"state":         {state},
	}.Encode()
	return u.String()
}

// Exchange takes the tokens that a code stands for, in place of all that the
// keeper has. The code is from the query of the redirect, redirectURI the same
// as in [Keeper.AuthorizeURL]. An error that matches [ErrInvalidGrant] means
// that the code was used before, or is too old.
func (k *Keeper) Exchange(ctx context.Context, code, redirectURI string) error {
	if err := k.rescue(ctx); err != nil {
		return err
	}
	c, err := k.claim(ctx, true)
	if errors.Is(err, errGone) {
		return fmt.Errorf("patreon: wait for a refresh that is under way: %w", context.Cause(ctx))
	}
	if err != nil {
		return err
	}
	return k.call(ctx, c, codeForm(code, redirectURI))
}

func codeForm(code, redirectURI string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}}
}

// Login takes the tokens that a code stands for, finds out whose they are, and
// returns a keeper of them, with [UserKey] as its key: the second half of "log
// in with Patreon". [KeeperConfig.Key] is not used. The scopes of the code must
// have "identity" among them.
func Login(ctx context.Context, cfg KeeperConfig, code, redirectURI string) (*Keeper, UserID, error) {
	cfg.Key, cfg.Seed = "patreon/login", Seed{}
	k, err := NewKeeper(cfg)
	if err != nil {
		return nil, "", err
	}
	timed, cancel := context.WithTimeout(ctx, k.cfg.Timeout)
	defer cancel()
	g, err := k.requestGrant(timed, codeForm(code, redirectURI))
	if err != nil {
		return nil, "", err
	}
	id, err := k.owner(timed, g)
	if err != nil {
		return nil, "", err
	}
	cfg.Key = UserKey(id)
	if k, err = NewKeeper(cfg); err != nil {
		return nil, "", err
	}
	// What the tokens take the place of matters if the store does not take them. If
	// it cannot be read either, there is nothing to be known.
	over, _, err := k.load(context.WithoutCancel(ctx))
	if over == nil || err != nil {
		over = &record{}
	}
	return k, id, k.keep(context.WithoutCancel(ctx), &claim{r: over, replaces: true}, g)
}

// owner asks whose tokens these are.
func (k *Keeper) owner(ctx context.Context, g grant) (UserID, error) {
	const path = "/api/oauth2/v2/identity"
	answer, err := k.endpoint.do(ctx, request{
		method:  http.MethodGet,
		path:    path,
		header:  http.Header{"Authorization": {"Bearer " + g.access}},
		secrets: []string{g.access, g.refresh},
	})
	if err != nil {
		return "", err
	}
	var doc struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer.body, &doc); err != nil || doc.Data.ID == "" || len(doc.Data.ID) > 64 {
		return "", fmt.Errorf("patreon: GET %s: %w: there is no id of a user in it", path, ErrMalformed)
	}
	return UserID(doc.Data.ID), nil
}

// LoopbackConfig is for [Keeper.LoginOnLoopback].
type LoopbackConfig struct {
	// RedirectURI is registered for the client and leads to this machine, such as
	// "http://localhost:8377/callback". Its host must be localhost or a loopback
	// address, and it needs a port.
	RedirectURI string

	// Scopes are what the tokens are for.
	Scopes []string

	// Prompt shows somebody the address to open in a browser on this machine.
	Prompt func(address string)
}

// LoginOnLoopback has the creator log in with a browser, and takes the tokens in
// place of all that the keeper has. It serves [LoopbackConfig.RedirectURI] until
// the browser comes with a code, or ctx ends.
func (k *Keeper) LoginOnLoopback(ctx context.Context, cfg LoopbackConfig) error {
	redirect, err := loopback(cfg.RedirectURI)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", redirect.Host)
	if err != nil {
		return fmt.Errorf("patreon: wait for the browser: %w", err)
	}
	state := rand.Text()
	// What the browser does meanwhile has no say in it.
	a := &arrival{state: state, result: make(chan error, 1), exchange: func(code string) error {
		return k.Exchange(ctx, code, cfg.RedirectURI)
	}}
	mux := http.NewServeMux()
	mux.Handle("GET "+redirect.Path, a)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go srv.Serve(l)
	defer srv.Close()
	cfg.Prompt(k.AuthorizeURL(cfg.RedirectURI, state, cfg.Scopes...))
	select {
	case err := <-a.result:
		// The browser is to get its answer.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		srv.Shutdown(end)
		return err
	case <-ctx.Done():
		return fmt.Errorf("patreon: wait for the browser: %w", context.Cause(ctx))
	}
}

// loopback checks a redirect URI.
func loopback(redirectURI string) (*url.URL, error) {
	u, err := url.Parse(redirectURI)
	if err != nil || u.Scheme != "http" || u.Port() == "" || u.Path == "" || strings.ContainsAny(u.Path, "{} ") {
		return nil, fmt.Errorf("patreon: the redirect URI %q is not of the form http://localhost:8377/callback", redirectURI)
	}
	if addr, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback()) {
		return nil, fmt.Errorf("patreon: the redirect URI %q does not lead to this machine; take localhost as its host", redirectURI)
	}
	return u, nil
}

// arrival takes the code that a browser brings. Who comes without the state was
// not sent by us, and changes nothing.
type arrival struct {
	state    string
	exchange func(code string) error
	result   chan error // gets what became of the first who came

	mu   sync.Mutex // guards what follows, and has others wait for the first
	done bool
	err  error
}

func (a *arrival) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	query := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(a.state)) != 1 {
		http.Error(w, "This is not an answer to the question that was asked.", http.StatusBadRequest)
		return
	}
	if err := a.take(query); err != nil {
		http.Error(w, "This has not worked. The program that asked tells why.", http.StatusBadGateway)
		return
	}
	fmt.Fprintln(w, "Done. You can close this page.")
}

// take exchanges a code. Who clicks twice brings the same code twice, and it is
// good once: the second hears what became of the first.
func (a *arrival) take(query url.Values) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done {
		return a.err
	}
	if code := query.Get("code"); code != "" {
		a.err = a.exchange(code)
	} else {
		a.err = errors.New("patreon: the login was not allowed: " + scrub(query.Get("error"), nil))
	}
	a.done = true
	a.result <- a.err
	return a.err
}
