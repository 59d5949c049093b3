// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/syndicate"
)

// DefaultPDS is the server of accounts that were made at bsky.app.
const DefaultPDS = "https://bsky.social"

// Config says which account to use.
type Config struct {
	// PDS is the address of the account's server, with https, or with http on
	// this machine. If empty, it is [DefaultPDS].
	PDS string
	// Handle is the name of the account, "me.example.com", or its DID. Required.
	Handle string
	// AppPassword is a password that was made for programs, at
	// https://bsky.app/settings/app-passwords. Required.
	AppPassword syndicate.Secret
	// Store keeps the session, which has tokens in it. If nil, it is lost when
	// the process ends; a server allows 300 new ones a day.
	Store syndicate.Store
	// Client makes requests to the server. If nil, it is one that waits 30
	// seconds for an answer.
	Client *http.Client
	// Pictures fetches pages and pictures for cards. If nil, it is a client that
	// connects to public addresses only, and to the host of a post that is one
	// of the site itself wherever that is.
	Pictures *http.Client
	// Languages are those of posts that do not say theirs, as BCP 47 tags, three
	// at most. They may be empty.
	Languages []string
	// Logger is told why a card has no picture, and that a session could not be
	// kept. If nil, it is silent.
	Logger *slog.Logger
}

// Target announces posts as an account of Bluesky, or of another server that
// speaks the AT Protocol. Its methods may be called by several goroutines.
type Target struct {
	pds, handle string
	password    syndicate.Secret
	store       syndicate.Store
	key         string // of the session in the store
	client      *http.Client
	fetches     *http.Client // nil: guarded ones
	languages   []string
	logger      *slog.Logger

	login    sync.Mutex // held while a session is loaded, made or renewed
	now      session    // guarded by login
	pictures pictures
}

// New returns a target for the account. It makes no requests.
func New(c Config) (*Target, error) {
	pds := strings.TrimSuffix(cmp.Or(c.PDS, DefaultPDS), "/")
	handle := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(c.Handle), "@"))
	if isDID(c.Handle) {
		handle = c.Handle
	}
	err := errors.Join(checkPDS(pds), checkHandle(handle), checkLanguages(c.Languages))
	if c.AppPassword == "" {
		err = errors.Join(err, errors.New("bluesky: AppPassword is missing: "+makeOne))
	}
	if err != nil {
		return nil, err
	}
	t := &Target{
		pds: pds, handle: handle, password: c.AppPassword,
		store: c.Store, client: c.Client, fetches: c.Pictures,
		languages: c.Languages, logger: c.Logger,
	}
	sum := sha256.Sum256([]byte(pds + "\n" + handle))
	t.key = "syndicate/bluesky/" + hex.EncodeToString(sum[:16])
	if t.client == nil {
		t.client = &http.Client{Timeout: 30 * time.Second}
	}
	if t.logger == nil {
		t.logger = slog.New(slog.DiscardHandler)
	}
	return t, nil
}

// Format writes which account it is, whatever the verb: %+v would show the
// password and tokens.
func (t *Target) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%s at %s", t.handle, t.pds)
}

// makeOne is what helps against a password that is none.
const makeOne = "make one for this program at https://bsky.app/settings/app-passwords, or in the settings of your server"

// checkPDS lets the app password go out encrypted only.
func checkPDS(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("bluesky: PDS %q is no address of a server: write it like %q", address, DefaultPDS)
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("bluesky: PDS %q is more than scheme and host: write it like %q", u.Redacted(), DefaultPDS)
	case u.Scheme == "http" && !thisMachine(u.Hostname()):
		return fmt.Errorf("bluesky: PDS %q would get the password unencrypted: use https", address)
	}
	return nil
}

func thisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

var (
	// Language, script, region and variants of RFC 5646, 2.1.
	languageForm = regexp.MustCompile(`^[a-zA-Z]{2,3}(-[a-zA-Z]{4})?(-([a-zA-Z]{2}|[0-9]{3}))?(-([a-zA-Z0-9]{5,8}|[0-9][a-zA-Z0-9]{3}))*$`)
	handleForm   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	didForm      = regexp.MustCompile(`^did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]$`)
)

func isDID(s string) bool { return len(s) <= 2048 && didForm.MatchString(s) }

func checkHandle(handle string) error {
	switch {
	case handle == "":
		return errors.New("bluesky: Handle is missing: it is the account's name, like \"me.bsky.social\"")
	case isDID(handle) || len(handle) <= 253 && handleForm.MatchString(handle):
		return nil
	}
	return fmt.Errorf("bluesky: Handle %q is no name of an account: write it like \"me.bsky.social\", not as an email address", handle)
}

func checkLanguages(tags []string) error {
	if len(tags) > maxLanguages {
		return fmt.Errorf("bluesky: Languages has %d tags: a post has %d at most", len(tags), maxLanguages)
	}
	for _, tag := range tags {
		if !languageForm.MatchString(tag) {
			return fmt.Errorf("bluesky: Languages has %q: write it like \"en\" or \"pt-BR\"", tag)
		}
	}
	return nil
}

// Defaults implements [syndicate.Defaulter]. Readers keep what they saw first:
// likes and quotes would stay with a text that they were not meant for.
func (*Target) Defaults() syndicate.Defaults {
	return syndicate.Defaults{KeepFirst: true}
}
