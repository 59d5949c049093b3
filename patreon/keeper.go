// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cryptorand "crypto/rand"
)

// What a [Keeper] can answer in place of a token.
var (
	// ErrNoTokens: nobody has given the keeper any tokens yet.
	ErrNoTokens = errors.New("patreon: there are no tokens; seed them with the creator's access and refresh token from the page of the client")
	// ErrLineageLost: the refresh token was used elsewhere, or withdrawn, and the
	// access token has ended. Somebody has to seed again.
	ErrLineageLost = errors.New("patreon: the lineage of tokens is lost; seed again with a new pair from the page of the client")
)

// KeeperConfig configures a [Keeper]. Store, ClientID and ClientSecret are
// required.
type KeeperConfig struct {
	// Store keeps the tokens. All processes that use the same lineage share it.
	Store Store

	// Key is the key of the record in the store. If empty, "patreon/token".
	// Programs with several lineages, such as one for each user that logs in,
	// have a keeper with a key for each: see [UserKey].
	Key string

	// ClientID and ClientSecret are those of the client that the tokens were
	// given to.
	ClientID     string
	ClientSecret Secret

	// Seed is taken when the store has no tokens, or has lost them, and the seed
	// was not used before. It may be empty. See [Keeper.Seed].
	Seed Seed

	// EmergencyPath is a file that takes a pair of tokens that the store does
	// not take, so that it outlives the process. It is read when the keeper is
	// used for the first time, and removed once the store has what is in it. It
	// is readable by its owner alone. If empty, such a pair is in memory only.
	EmergencyPath string

	// BaseURL is where Patreon is. If empty, [DefaultURL].
	BaseURL string

	// HTTPClient makes the requests. If nil, one of the keeper's own.
	HTTPClient *http.Client

	// UserAgent goes with each request. If empty, [DefaultUserAgent].
	UserAgent string

	// Timeout bounds a call to the token endpoint. If 0, 30 seconds. A process
	// that has died in one is waited for twice as long.
	Timeout time.Duration

	// Backoff and MaxBackoff are the bounds of the pause after a call that
	// failed. If 0, 1 second and 15 minutes.
	Backoff, MaxBackoff time.Duration

	// Logger is told what happens. If nil, nobody is.
	Logger *slog.Logger
}

// Keeper keeps the tokens of one lineage fresh. It is the one owner of the
// refresh token, which never leaves it, and may run in any number of processes
// on one [Store]: exactly one of them refreshes. It is a [Reporter], and safe
// for concurrent use.
//
// Patreon's refresh tokens can be used once. What becomes of a token is
// therefore written before it happens: an intent before the token endpoint is
// called, so that a store that cannot be written costs nothing, and the new pair
// before anybody gets it. One case is beyond any client: if Patreon makes a new
// pair and the answer is lost, on the wire or with the process, then so is the
// lineage. The keeper notices, says so ([Status.Lost]), calls the endpoint no
// more, and gives out the access token for as long as it lasts, which is half of
// its life at least.
type Keeper struct {
	cfg      KeeperConfig
	endpoint endpoint
	log      *slog.Logger
	holder   string  // what this process is called in intents
	factor   float64 // see record.refreshAt
	running  atomic.Int32
	wake     chan struct{} // has Run look
	count    counters
	looks    atomic.Uint64 // at the store

	mu       sync.Mutex // guards what follows
	known    *record    // the newest that is known; nil: none
	knownAt  time.Time  // when it was; zero: never
	looked   uint64     // looks at that time
	look     *look      // that is under way; nil: none
	unasked  time.Time  // no look before, while there is a token
	later    time.Time  // no refresh before, while there is a token
	unsaved  bool       // known is not in the store yet
	saving   chan struct{}
	rescued  bool // the emergency file was looked for
	flight   *flight
	failures int
	next     time.Time // no call before
	failure  error     // how the last refresh went wrong; nil: it did not
	unread   error     // how the last look went wrong
	refused  refusal
	skew     time.Duration
	reminded time.Time // of a lost lineage
	alien    alien
	check    check

	// at is called at each step that a test may want to end the process in.
	at func(step string)
}

// A flight is a refresh that is under way. Callers share it.
type flight struct {
	done chan struct{}
	err  error // once done is closed
}

// A look is a reading of the store that is under way. Callers share it.
type look struct {
	done chan struct{}
	r    *record // once done is closed
	err  error
}

// alien is another process's intent, and since when it stands unchanged. Clocks
// of others are not relied on.
type alien struct {
	nonce string
	since time.Time
}

// UserKey is the key in a store for the tokens of one user, for
// [KeeperConfig.Key].
func UserKey(id UserID) string { return "patreon/user/" + string(id) }

var validKey = regexp.MustCompile(`^[a-z0-9._-]+(/[a-z0-9._-]+)*$`)

// NewKeeper checks a configuration. It neither reads the store nor calls
// Patreon.
func NewKeeper(cfg KeeperConfig) (*Keeper, error) {
	if cfg.Store == nil {
		return nil, errors.New("patreon: KeeperConfig.Store is not set")
	}
	if cfg.Key == "" {
		cfg.Key = "patreon/token"
	}
	if !validKey.MatchString(cfg.Key) || len(cfg.Key) > 200 {
		return nil, fmt.Errorf("patreon: the key %q is not of lower case letters, digits, '.', '_' and '-', with '/' between", cfg.Key)
	}
	if cfg.ClientID == "" || cfg.ClientSecret == "" {
		return nil, errors.New("patreon: client id and client secret are needed to refresh tokens; they are on https://www.patreon.com/portal/registration/register-clients")
	}
	if err := cfg.Seed.check(); cfg.Seed != (Seed{}) && err != nil {
		return nil, err
	}
	endpoint, err := newEndpoint(cfg.HTTPClient, cfg.BaseURL, cfg.UserAgent)
	if err != nil {
		return nil, err
	}
	if cfg.Timeout < 0 || cfg.Backoff < 0 || cfg.MaxBackoff < 0 {
		return nil, errors.New("patreon: a time in KeeperConfig is negative")
	}
	setDefault(&cfg.Timeout, 30*time.Second)
	setDefault(&cfg.Backoff, time.Second)
	setDefault(&cfg.MaxBackoff, max(15*time.Minute, cfg.Backoff))
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Keeper{
		cfg:      cfg,
		endpoint: endpoint,
		log:      logger,
		holder:   strings.ToLower(cryptorand.Text()),
		factor:   0.95 + 0.1*rand.Float64(),
		wake:     make(chan struct{}, 1),
		at:       func(string) {},
	}, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Format writes which lineage the keeper is of, whatever the verb: with %+v,
// package fmt would print what is in it.
func (k *Keeper) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "patreon.Keeper(%s)", k.cfg.Key) }

// Token implements [TokenSource]. While the tokens are fresh it reads memory,
// and now and then the store. When they are past half of their life it
// refreshes them, or leaves that to [Keeper.Run] if it runs; a refresh that
// fails does no harm as long as the old access token lasts.
//
// Errors match [ErrNoTokens] and [ErrLineageLost], or are those of the store and
// of the token endpoint.
func (k *Keeper) Token(ctx context.Context) (Token, error) {
	r, err := k.current(ctx)
	if err != nil {
		return Token{}, err
	}
	if !r.empty() && !r.due(time.Now(), k.factor) {
		return r.token(), nil
	}
	if r.usable(time.Now()) {
		if r.Lost != nil || !k.idle() {
			return r.token(), nil
		}
		if k.running.Load() > 0 {
			k.prod()
			return r.token(), nil
		}
	}
	err = k.renew(ctx)
	if r = k.newest(); r.usable(time.Now()) {
		return r.token(), nil
	}
	if err == nil {
		err = errors.New("patreon: the tokens that there are have ended")
	}
	return Token{}, err
}

// prod has Run look at the tokens.
func (k *Keeper) prod() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// lookEvery is how often [Keeper.Run] reads the store: another process may have
// refreshed, or seeded.
const lookEvery = time.Minute

// shutdownGrace is how long [Keeper.Run] stays for a pair that is not saved: as
// long as a store that is slow may take to read and write.
const shutdownGrace = 2 * storeGrace

// Run keeps the tokens fresh though nobody asks for them, until ctx ends. A
// program that runs for long should have it running; any number of processes
// may. It returns when no refresh is under way any more, and nil.
func (k *Keeper) Run(ctx context.Context) error {
	k.running.Add(1)
	defer k.running.Add(-1)
	for {
		k.tend(ctx)
		select {
		case <-ctx.Done():
			k.settle()
			return nil
		case <-k.wake:
		case <-time.After(k.pause()):
		}
	}
}

// tend looks at the tokens once.
func (k *Keeper) tend(ctx context.Context) {
	r, err := k.reload(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, ErrNoTokens): // nothing to do until there are
	case err != nil:
		k.lookLater(lookEvery)
		k.log.WarnContext(ctx, "patreon: the tokens cannot be read", "err", err)
	case r.Lost != nil:
		k.remind(ctx, r)
	case r.due(time.Now(), k.factor) && k.idle():
		err := k.renew(ctx)
		if err == nil || errors.Is(err, errBusy) || ctx.Err() != nil {
			return
		}
		k.lookLater(lookEvery)
		k.log.WarnContext(ctx, "patreon: the tokens are not refreshed yet", "err", err, "access_until", r.ExpiresAt)
	}
}

// lostReminder is how often a lost lineage is told of again.
const lostReminder = time.Hour

// remind tells that somebody has to seed again.
func (k *Keeper) remind(ctx context.Context, r *record) {
	k.mu.Lock()
	early := !k.reminded.IsZero() && time.Since(k.reminded) < lostReminder
	if !early {
		k.reminded = time.Now()
	}
	k.mu.Unlock()
	if !early {
		k.log.ErrorContext(ctx, "patreon: the lineage of tokens is lost; seed again",
			"since", r.Lost.At, "reason", r.Lost.Reason, "access_until", r.ExpiresAt)
	}
}

// pause is until when there is nothing to do.
func (k *Keeper) pause() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, d := time.Now(), lookEvery
	switch r := k.known; {
	case r.empty(), r.Lost != nil, k.unsaved: // somebody may seed, or the store recover
	case r.due(now, k.factor):
		d = min(d, k.next.Sub(now))
	default:
		d = min(d, r.refreshAt(k.factor).Sub(now))
	}
	return max(d, min(k.later.Sub(now), lookEvery), 10*time.Millisecond)
}

// settle waits for a refresh that is under way, and for a while for a pair that
// the store does not take.
func (k *Keeper) settle() {
	deadline := time.After(k.cfg.Timeout + shutdownGrace)
	k.mu.Lock()
	flight := k.flight
	k.mu.Unlock()
	if flight != nil {
		select {
		case <-flight.done:
		case <-deadline:
		}
	}
	k.mu.Lock()
	saving := k.saving
	k.mu.Unlock()
	if saving == nil {
		return
	}
	select {
	case <-saving:
	case <-time.After(shutdownGrace):
		k.log.Error("patreon: the process ends with tokens that the store has not taken", "emergency_file", k.cfg.EmergencyPath)
	}
}

const (
	// fresh is for how long what was read from the store is taken for what is
	// there, and how long a store that could not be read is left alone while
	// there is a token.
	fresh = 10 * time.Second
	// soon is how long somebody who could have a token waits for the store to tell
	// of a newer one.
	soon = time.Second
)

// current returns the newest record. A store that cannot be read, or hangs, does
// no harm while the access token that is known can be used.
func (k *Keeper) current(ctx context.Context) (*record, error) {
	k.mu.Lock()
	r, now := k.known, time.Now()
	known := k.unsaved || !k.knownAt.IsZero() && now.Sub(k.knownAt) < fresh || now.Before(k.unasked)
	k.mu.Unlock()
	if r.usable(now) {
		if known && !r.empty() {
			return r, nil
		}
		short, cancel := context.WithTimeout(ctx, soon)
		defer cancel()
		ctx = short
	}
	read, err := k.reload(ctx)
	if err == nil || errors.Is(err, ErrNoTokens) {
		return read, err
	}
	if now := k.newest(); now.usable(time.Now()) {
		return now, nil
	}
	return read, err
}

// reload reads the store, together with everybody else who does. It returns when
// ctx ends; the look goes on. The error matches [ErrNoTokens] if there are no
// tokens.
func (k *Keeper) reload(ctx context.Context) (*record, error) {
	k.mu.Lock()
	l := k.look
	if l == nil {
		l = &look{done: make(chan struct{})}
		k.look = l
		go k.lookInto(context.WithoutCancel(ctx), l)
	}
	k.mu.Unlock()
	select {
	case <-l.done:
		return l.r, l.err
	case <-ctx.Done():
		return k.slow(ctx)
	}
}

// slow is what there is without the store's answer.
func (k *Keeper) slow(ctx context.Context) (*record, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unasked = time.Now().Add(fresh)
	return nil, fmt.Errorf("patreon: wait for the store: %w", context.Cause(ctx))
}

// lookInto is one look.
func (k *Keeper) lookInto(ctx context.Context, l *look) {
	l.r, l.err = k.read(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unread = nil
	if l.err != nil && !errors.Is(l.err, ErrNoTokens) {
		k.unread, k.unasked = l.err, time.Now().Add(fresh)
		k.later = k.unasked
	}
	k.look = nil
	close(l.done)
}

// read reads the store, after it has got what is waiting to be put there: an
// emergency file, or a seed.
func (k *Keeper) read(ctx context.Context) (*record, error) {
	if err := k.rescue(ctx); err != nil {
		return nil, err
	}
	r, _, err := k.load(ctx)
	if err != nil {
		return nil, err
	}
	if r.empty() || r.Lost != nil {
		r, err = k.sowConfigured(ctx, r)
		if err != nil {
			return nil, err
		}
	}
	r = k.remember(r)
	if r.empty() {
		return nil, ErrNoTokens
	}
	return r, nil
}

// remember keeps what was read, unless there is something newer: tokens that are
// not saved yet, or what a look told that began later and ended sooner. It
// returns the newest.
func (k *Keeper) remember(r *record) *record {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.unsaved || r != nil && k.known != nil && r.read <= k.looked && r.Version < k.known.Version {
		return k.known
	}
	if r.empty() || k.known.empty() || r.Refresh != k.known.Refresh {
		k.failures, k.next, k.failure = 0, time.Time{}, nil
	}
	k.known, k.knownAt, k.looked, k.later = r, time.Now(), k.looks.Load(), time.Time{}
	k.unasked = time.Time{}
	return r
}

// newest returns what is known.
func (k *Keeper) newest() *record {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known
}

// idle reports whether this is a time to refresh: no pause is under way, and
// there is nothing else to be done first.
func (k *Keeper) idle() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	return !now.Before(k.next) && !now.Before(k.later) && !k.unsaved
}

// lookLater leaves the tokens alone for a while, as long as they can be used.
func (k *Keeper) lookLater(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.later = time.Now().Add(d)
}
