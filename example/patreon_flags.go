// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"xeiaso.net/site/patreon"
	"xeiaso.net/site/xesite"
)

// keeperFlags say whose tokens are kept.
type keeperFlags struct {
	url, clientID             string
	clientSecret              xesite.Secret
	accessToken, refreshToken xesite.Secret
}

func (f *keeperFlags) flags(fs *flag.FlagSet) {
	fs.StringVar(&f.url, "patreon-url", patreon.DefaultURL, "`URL` of Patreon")
	fs.StringVar(&f.clientID, "patreon-client-id", "", "`id` of the client on Patreon whose tokens are kept fresh")
	secretVar(fs, "patreon-client-secret", "secret of the client on Patreon", oneSecret(&f.clientSecret))
	secretVar(fs, "patreon-access-token", "creator's access token, to begin with", oneSecret(&f.accessToken))
	secretVar(fs, "patreon-refresh-token", "creator's refresh token, to begin with", oneSecret(&f.refreshToken))
}

// anySet reports whether tokens are to be kept here.
func (f *keeperFlags) anySet() bool {
	return f.clientID != "" || f.clientSecret != "" || f.accessToken != "" || f.refreshToken != ""
}

// keeper makes the keeper. Its errors name flags, where they can.
func (f *keeperFlags) keeper(store patreon.Store, dataDir string, log *slog.Logger) (*patreon.Keeper, error) {
	if f.clientID == "" || f.clientSecret == "" {
		return nil, errors.New("to keep tokens, -patreon-client-id and -patreon-client-secret are both needed; they are on https://www.patreon.com/portal/registration/register-clients")
	}
	if u, err := url.Parse(f.url); err != nil || u.Host == "" {
		return nil, fmt.Errorf("-patreon-url %q: want an address such as %s", f.url, patreon.DefaultURL)
	}
	dir := filepath.Join(dataDir, "patreon")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return patreon.NewKeeper(patreon.KeeperConfig{
		Store:         store,
		ClientID:      f.clientID,
		ClientSecret:  f.clientSecret,
		Seed:          patreon.Seed{Access: f.accessToken, Refresh: f.refreshToken},
		EmergencyPath: filepath.Join(dir, "tokens.emergency"),
		BaseURL:       f.url,
		Logger:        log,
	})
}

// patreonFlags say how supporters get onto the site.
type patreonFlags struct {
	keeperFlags

	proxyURL   string
	proxyToken xesite.Secret

	campaign, dataFile, dataFormat string

	webhookSecrets  []xesite.Secret
	webhookRegister bool
}

func (f *patreonFlags) flags(fs *flag.FlagSet) {
	f.keeperFlags.flags(fs)
	fs.StringVar(&f.proxyURL, "patreon-saasproxy-url", "", "`URL` of a token server that has the tokens, in place of keeping them here")
	secretVar(fs, "patreon-saasproxy-token", "bearer token for the token server", oneSecret(&f.proxyToken))
	fs.StringVar(&f.campaign, "patreon-campaign", "", "`id` of the campaign (default: the only one)")
	fs.StringVar(&f.dataFile, "patreon-data-file", "", "`path` in the checkout of the file with the supporters, for the generator (default: none)")
	fs.StringVar(&f.dataFormat, "patreon-data-format", "supporters", "`form` of that file: supporters, or v1 for pages made for version 1 of the API")
	secretVar(fs, "patreon-webhook-secret", "what the Patreon webhook is signed with", func(secrets []xesite.Secret) {
		f.webhookSecrets = append(f.webhookSecrets, secrets...)
	})
	fs.BoolVar(&f.webhookRegister, "patreon-webhook-register", false, "register the webhook with Patreon, and keep it registered")
}

// anySet reports whether Patreon matters at all.
func (f *patreonFlags) anySet() bool {
	return f.keeperFlags.anySet() || f.proxyURL != "" || f.proxyToken != "" || f.dataFile != "" || len(f.webhookSecrets) > 0 || f.webhookRegister
}

// check finds what does not fit together.
func (f *patreonFlags) check() error {
	switch {
	case f.keeperFlags.anySet() && f.proxyURL != "":
		return errors.New("-patreon-saasproxy-url is for tokens that another program keeps, -patreon-client-id and the tokens are for keeping them here: leave out one or the other")
	case f.proxyToken != "" && f.proxyURL == "":
		return errors.New("-patreon-saasproxy-token: which token server it is for is not said, see -patreon-saasproxy-url")
	case !f.keeperFlags.anySet() && f.proxyURL == "":
		return errors.New("there are no tokens: set -patreon-client-id, -patreon-client-secret and, once, -patreon-refresh-token, or -patreon-saasproxy-url")
	case f.dataFormat != "supporters" && f.dataFormat != "v1":
		return fmt.Errorf("-patreon-data-format %q: want supporters or v1", f.dataFormat)
	case f.dataFile != "" && !filepath.IsLocal(f.dataFile):
		return fmt.Errorf("-patreon-data-file %q: want a path inside the repository, without .. and not absolute", f.dataFile)
	case strings.ContainsAny(f.campaign, "/ "):
		return fmt.Errorf("-patreon-campaign %q: want the number of the campaign", f.campaign)
	}
	return nil
}

// clients returns what reads Patreon, and what may write to it. keeper is nil if
// another program has the tokens. That one can be in a private network; nil is none.
func (f *patreonFlags) clients(store patreon.Store, dataDir string, private *privateNetwork, log *slog.Logger) (read, write *patreon.Client, keeper *patreon.Keeper, err error) {
	var tokens patreon.TokenSource
	if f.proxyURL == "" {
		if keeper, err = f.keeper(store, dataDir, log); err != nil {
			return nil, nil, nil, err
		}
		tokens = keeper
	} else {
		remote := patreon.RemoteConfig{URL: f.proxyURL, Token: f.proxyToken, Logger: log}
		if private != nil {
			remote.HTTPClient = private.client()
		}
		if tokens, err = patreon.NewRemoteTokenSource(remote); err != nil {
			return nil, nil, nil, fmt.Errorf("-patreon-saasproxy-url: %w", err)
		}
		if read, err = patreon.NewRemoteClient(remote); err != nil {
			return nil, nil, nil, fmt.Errorf("-patreon-saasproxy-url: %w", err)
		}
	}
	write, err = patreon.NewClient(patreon.ClientConfig{Tokens: tokens, BaseURL: f.url, Logger: log})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("-patreon-url: %w", err)
	}
	if read == nil {
		read = write
	}
	return read, write, keeper, nil
}
