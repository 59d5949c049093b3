// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"xeiaso.net/site/patreon"
	patreonmetrics "xeiaso.net/site/patreon/metrics"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/state"
)

// supporters brings the names of those who pay onto the site. It reads Patreon
// by itself, and builds get what it has read, so that no build waits for
// Patreon.
type supporters struct {
	store    state.Store
	log      *slog.Logger
	keeper   *patreon.Keeper // nil: another program has the tokens
	hook     *patreon.WebhookHandler
	register *patreon.Registration // nil: somebody has registered the webhook by hand
	open     func() (*patreon.Supporters, error)
	format   string
	wanted   bool // there is a file of them
	trigger  func(ctx context.Context)
	changed  chan struct{} // holds a token when Patreon has told of a change
	leading  atomic.Bool

	mu      sync.Mutex // guards what follows
	list    *patreon.Supporters
	fetched bool          // a build has asked for the list
	handed  []byte        // what it got; nil: nothing
	tried   chan struct{} // closed once Patreon was asked
	problem string        // why Patreon was not read
}

// startPatreon makes it, if anything is set. What is set wrongly is no reason for
// the site not to run.
func (h *host) startPatreon(store state.Store, dataDir string) {
	f := &h.patreon
	if !f.anySet() {
		return
	}
	s, err := h.newSupporters(store, dataDir)
	if err != nil {
		h.off["patreon"] = err.Error()
		h.log.Error("there is no Patreon", "err", err)
		return
	}
	h.supporters = s
}

func (h *host) newSupporters(store state.Store, dataDir string) (*supporters, error) {
	f := &h.patreon
	if err := f.check(); err != nil {
		return nil, err
	}
	read, write, keeper, err := f.clients(store, dataDir, h.private, h.log)
	if err != nil {
		return nil, err
	}
	s := &supporters{
		store: store, log: h.log, keeper: keeper, format: f.dataFormat, wanted: f.dataFile != "",
		changed: make(chan struct{}, 1), tried: make(chan struct{}),
		open: func() (*patreon.Supporters, error) {
			return patreon.NewSupporters(patreon.SupportersConfig{
				Client: read, Campaign: patreon.CampaignID(f.campaign),
				Path: filepath.Join(dataDir, "patreon", "supporters.json"),
				// The old form has pictures.
				Images: f.dataFormat == "v1",
				Logger: h.log,
			})
		},
		trigger: func(ctx context.Context) {
			if _, err := h.site.Trigger(ctx, xesite.Trigger{Source: xesite.SourcePatreon, Rebuild: true}); err != nil {
				h.log.Error("build with the new list of supporters", "err", err)
			}
		},
	}
	if s.list, err = s.open(); err != nil {
		return nil, err
	}
	if err := h.receivePatreon(s, write); err != nil {
		return nil, err
	}
	return s, nil
}

// receivePatreon makes what receives webhooks, if there is a secret or one can be
// had.
func (h *host) receivePatreon(s *supporters, write *patreon.Client) (err error) {
	f := &h.patreon
	if len(f.webhookSecrets) == 0 && !f.webhookRegister {
		return nil
	}
	if f.webhookRegister {
		uri, err := url.JoinPath(h.siteURL, "/.within/hook/patreon")
		if err != nil {
			return err
		}
		s.register, err = patreon.NewRegistration(patreon.RegistrationConfig{
			Client: write, Store: s.store, Campaign: patreon.CampaignID(f.campaign), URI: uri, Logger: h.log,
		})
		if err != nil {
			return err
		}
	}
	s.hook, err = patreon.NewWebhookHandler(patreon.WebhookConfig{
		Secrets: func(ctx context.Context) ([]patreon.Secret, error) {
			secrets := f.webhookSecrets
			if s.register == nil {
				return secrets, nil
			}
			registered, err := s.register.Secrets(ctx)
			if err != nil && len(secrets) > 0 {
				err = nil
			}
			return append(registered, secrets...), err
		},
		Only:     append(patreon.MemberTriggers(), patreon.PledgesCreate, patreon.PledgesUpdate, patreon.PledgesDelete),
		OnChange: func(patreon.Event) { s.tell() },
		Logger:   h.log,
	})
	return err
}

// changedKey is a record that changes when Patreon has told of a change to an
// instance that does not build.
const changedKey = "patreon/changed"

// tell has the instance that builds read Patreon.
func (s *supporters) tell() {
	if s.leading.Load() {
		select {
		case s.changed <- struct{}{}:
		default: // it is about to
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		old, err := s.store.Load(ctx, changedKey)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Error("hand on that Patreon has told of a change", "err", err)
			return
		}
		if won, err := s.store.Swap(ctx, changedKey, old, []byte(rand.Text())); won || err != nil {
			return
		}
	}
}

// How often Patreon is read: it tells of changes only if a webhook is registered.
const (
	readEvery  = time.Hour
	retryFirst = time.Minute     // after a look that has failed
	otherEvery = 5 * time.Second // looks at what other instances were told
)

// run keeps the tokens, in every instance.
func (s *supporters) run(ctx context.Context) error {
	if s.keeper == nil {
		return nil
	}
	return s.keeper.Run(ctx)
}

// lead reads Patreon while this instance is the one that builds.
func (s *supporters) lead(ctx context.Context) {
	s.leading.Store(true)
	defer s.leading.Store(false)
	s.reopen()
	var all sync.WaitGroup
	if s.register != nil {
		all.Go(func() { s.register.Run(ctx) })
	}
	all.Go(func() { s.listen(ctx) })
	for wait := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			all.Wait()
			return
		case <-s.changed:
		case <-time.After(wait):
		}
		if s.read(ctx) {
			wait = readEvery
		} else {
			wait = min(max(2*wait, retryFirst), readEvery)
		}
	}
}

// reopen reads the file again, which another instance may have written since.
func (s *supporters) reopen() {
	list, err := s.open()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.list = list
	}
}

// listen looks for what other instances were told, and whether there are tokens
// again: then nobody is to wait for the next hour.
func (s *supporters) listen(ctx context.Context) {
	seen, _ := s.store.Load(ctx, changedKey)
	generation := s.generation()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(otherEvery):
		}
		if g := s.generation(); g != generation {
			generation = g
			if s.failing() {
				s.tell()
			}
		}
		now, err := s.store.Load(ctx, changedKey)
		if err != nil || bytes.Equal(now, seen) {
			continue
		}
		seen = now
		s.tell()
	}
}

// generation is that of the tokens; 0 if they are not here.
func (s *supporters) generation() uint64 {
	if s.keeper == nil {
		return 0
	}
	return s.keeper.Status().Generation
}

// failing reports whether Patreon could not be read.
func (s *supporters) failing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem != ""
}

// readTimeout bounds one look at Patreon: ten thousand members are ten pages.
const readTimeout = 5 * time.Minute

// read reads Patreon once. If the list is another one then the site is built
// with it.
func (s *supporters) read(ctx context.Context) (ok bool) {
	timed, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s.mu.Lock()
	list := s.list
	s.mu.Unlock()
	_, err := list.Update(timed)
	if ctx.Err() != nil {
		return false
	}
	s.mu.Lock()
	if s.problem = ""; err != nil {
		s.problem = err.Error()
		s.log.Warn("Patreon cannot be read; the last known list of supporters stays", "err", err)
	}
	select {
	case <-s.tried:
	default:
		close(s.tried)
	}
	s.mu.Unlock()
	if s.isNews() {
		s.trigger(ctx)
	}
	return err == nil
}

// isNews reports whether the list is another one than that of the last build.
func (s *supporters) isNews() bool {
	now, err := s.current()
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && s.wanted && s.fetched && (s.handed == nil || !bytes.Equal(now, s.handed))
}

// current returns the file's content. It is nil if there is no list yet.
func (s *supporters) current() ([]byte, error) {
	s.mu.Lock()
	list := s.list
	s.mu.Unlock()
	l, err := list.List()
	if err != nil {
		return nil, err
	}
	return s.encode(l)
}

func (s *supporters) encode(l patreon.SupporterList) ([]byte, error) {
	if s.format == "v1" {
		return l.V1()
	}
	return l.JSON()
}

// fetch returns the list for a build: the last known one, at once. Only if there
// never was one, it waits for Patreon.
func (s *supporters) fetch(ctx context.Context) ([]byte, error) {
	content, err := s.current()
	if errors.Is(err, fs.ErrNotExist) {
		select {
		case <-s.tried:
		case <-ctx.Done():
		}
		content, err = s.current()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched, s.handed = true, content
	if err != nil && s.problem != "" {
		err = errors.New(s.problem)
	}
	return content, err
}

// at is when Patreon was last read as a whole.
func (s *supporters) at() time.Time {
	s.mu.Lock()
	list := s.list
	s.mu.Unlock()
	l, err := list.List()
	if err != nil {
		return time.Time{}
	}
	return l.At
}

// dataFile is the file for the generator.
func (s *supporters) dataFile(path string) xesite.DataFile {
	empty, _ := s.encode(patreon.SupporterList{})
	return xesite.DataFile{Path: path, Fetch: s.fetch, At: s.at, Default: empty}
}

// metrics are what the parts of package patreon have to say.
func (s *supporters) metrics() patreonmetrics.Sources {
	sources := patreonmetrics.Sources{Supporters: func() (patreon.SupporterList, error) {
		s.mu.Lock()
		list := s.list
		s.mu.Unlock()
		return list.List()
	}}
	if s.keeper != nil {
		sources.Keeper = s.keeper.Status
	}
	if s.hook != nil {
		sources.Webhooks = s.hook.Deliveries
	}
	return sources
}

// status is for the admin page and API.
func (s *supporters) status() map[string]any {
	out := map[string]any{}
	if s.keeper != nil {
		out["token"] = s.keeper.Status()
	}
	if s.register != nil {
		out["webhook"] = s.register.Status()
	}
	s.mu.Lock()
	list, problem := s.list, s.problem
	s.mu.Unlock()
	if l, err := list.List(); err == nil {
		out["supporters"] = len(l.Supporters)
		if !l.At.IsZero() {
			out["supporters_at"] = l.At
			out["supporters_age"] = time.Since(l.At).Round(time.Second).String()
		}
	}
	if problem != "" {
		out["problem"] = problem
	}
	return out
}

// handler receives webhooks; nil if there are none.
func (s *supporters) handler() http.Handler {
	if s == nil || s.hook == nil {
		return nil
	}
	return s.hook
}
