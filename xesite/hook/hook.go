// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"xeiaso.net/site/internal/secret"
)

const (
	// MaxBody is the default for Config.MaxBody: GitHub sends no more.
	MaxBody = 25 << 20

	// defaultRetry is when to come back where nothing is known.
	defaultRetry = 10 * time.Second

	// receiveTimeout bounds Receive. GitHub and GitLab hang up after 10 s,
	// Forgejo after 5 s.
	receiveTimeout = 10 * time.Second
)

// Secret is a webhook's secret. It does not print itself.
type Secret = secret.String

// Config says what to accept. It must not change after [New].
type Config struct {
	// Forge is who sends. Required.
	Forge Forge

	// Secrets are those that the forge may sign with; one is the rule, two
	// rotate one. Required, and none may be empty: anyone could sign with it.
	Secrets []Secret

	// Branch is the short name of the branch whose pushes are received. If
	// empty, those to every branch are.
	Branch string

	// Receive notes that there was a push, and returns a name for what it set
	// off, for the answer. It should return at once, as the forge waits. It is
	// called from several goroutines, never for a push that is ignored, with a
	// context that ends after ten seconds, but not when the forge hangs up:
	// most do not send again. Required.
	//
	// If it returns an error the forge is asked to send again later, and the
	// error's text stays here, unless it is a [*Refusal] or an [*Ignored].
	Receive func(ctx context.Context, p Push) (trigger string, err error)

	// MaxBody is the greatest size of a body, in bytes. If zero, [MaxBody].
	MaxBody int64

	// BodyTimeout is how long a body may take to arrive. If zero, ten seconds.
	BodyTimeout time.Duration

	// LargeBodies bounds how many bodies of more than a megabyte are in memory
	// at a time: its capacity is their number, and handlers that share the
	// channel share the bound. If nil, four for this handler. Small bodies
	// never wait for large ones.
	LargeBodies chan struct{}

	// Deliveries is how many delivery ids are remembered. If zero, 1024.
	Deliveries int

	// Logger is told of every delivery. If nil, nothing is.
	Logger *slog.Logger
}

// Push is one branch that was pushed.
type Push struct {
	Forge      Forge
	Delivery   string // the delivery's id, which stays when it is sent again; "" if none
	Event      string // in the forge's words: "push", "Push Hook", "repo:push"
	Ref        string // "refs/heads/main"
	Branch     string // "main", "" if Ref is no branch
	After      string // hint: the commit that the branch is at, in hex; "" if not known
	Deleted    bool   // whether Ref is gone; never so in Receive
	Repository string // "owner/name" as the forge says
}

// Refusal is an error for Config.Receive to return when the sender, or the
// person who reads the forge's list of deliveries, is to know why: for
// instance, that another instance holds the lease.
type Refusal struct {
	Message    string        // is sent
	RetryAfter time.Duration // when to try again; if zero, ten seconds
	Err        error         // is logged, not sent; may be nil
}

// Error returns message and cause.
func (r *Refusal) Error() string {
	if r.Err == nil {
		return r.Message
	}
	return r.Message + ": " + r.Err.Error()
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Ignored is an error for Config.Receive to return when all is well and there
// is nothing to do. The sender is told the reason, with success.
type Ignored struct {
	Reason string
}

// Error returns the reason.
func (i *Ignored) Error() string { return "ignored: " + i.Reason }

// Handler is an [http.Handler] that receives one forge's webhooks.
type Handler struct {
	cfg  Config
	auth authenticator
	seen deliveries
}

// New returns a handler, or an error that names the wrong field.
func New(cfg Config) (*Handler, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = MaxBody
	}
	if cfg.BodyTimeout == 0 {
		cfg.BodyTimeout = 10 * time.Second
	}
	if cfg.LargeBodies == nil {
		cfg.LargeBodies = make(chan struct{}, 4)
	}
	if cfg.Deliveries == 0 {
		cfg.Deliveries = 1024
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	auth, err := cfg.Forge.authenticator(slices.Clone(cfg.Secrets))
	if err != nil {
		return nil, err
	}
	// Only auth has them from here on: fmt cannot call the methods of what is
	// in unexported fields, and would print the secrets of a Handler.
	cfg.Secrets = nil
	return &Handler{cfg: cfg, auth: auth, seen: deliveries{max: cfg.Deliveries}}, nil
}

func (c *Config) check() error {
	if c.Receive == nil {
		return errors.New("hook: Receive is nil")
	}
	if len(c.Secrets) == 0 {
		return errors.New("hook: Secrets is empty: without a secret anyone could send")
	}
	if i := slices.Index(c.Secrets, ""); i >= 0 {
		return fmt.Errorf("hook: Secrets[%d] is empty: anyone could sign with it", i)
	}
	if strings.HasPrefix(c.Branch, "refs/") {
		return fmt.Errorf("hook: Branch is %q: use the short name, like %q", c.Branch, "main")
	}
	if c.MaxBody < 0 || c.BodyTimeout < 0 || c.Deliveries < 0 {
		return errors.New("hook: MaxBody, BodyTimeout and Deliveries must not be negative")
	}
	if c.LargeBodies != nil && cap(c.LargeBodies) == 0 {
		return errors.New("hook: LargeBodies has no capacity: no large body would ever be read")
	}
	return nil
}

// ServeHTTP receives a delivery.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pushes, a := h.open(w, r)
	if a.status == 0 {
		// A forge that hung up would still like its push to be seen.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), receiveTimeout)
		defer cancel()
		a = h.receive(ctx, pushes)
	}
	h.log(r, pushes, a)
	a.write(w)
}

// open reads, verifies and parses a delivery. It returns the pushes to
// receive, or an answer with a status that ends the matter.
func (h *Handler) open(w http.ResponseWriter, r *http.Request) ([]Push, answer) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, failed(http.StatusMethodNotAllowed, errors.New("only POST"))
	}
	if r.ContentLength > h.cfg.MaxBody {
		return nil, failed(http.StatusRequestEntityTooLarge, errTooLarge)
	}
	// Whoever offers no signature gets none of our memory.
	verify, err := h.auth(r.Header)
	if err != nil {
		return nil, failed(http.StatusUnauthorized, err)
	}
	body, release, err := h.readBody(w, r)
	if err != nil {
		return nil, bodyAnswer(err)
	}
	defer release()
	payload, err := payloadOf(r.Header, body)
	// A form that cannot be parsed has no payload for verify to accept.
	if !verify(body, payload) {
		return nil, failed(http.StatusUnauthorized, errSignature)
	}
	if err != nil {
		return nil, failed(http.StatusBadRequest, err)
	}
	return h.parse(r.Header, payload)
}

// parse returns the pushes of a verified payload that are to be received.
func (h *Handler) parse(header http.Header, payload []byte) ([]Push, answer) {
	event, isPush := h.cfg.Forge.event(header)
	if !isPush {
		return nil, ignored(event)
	}
	pushes, err := h.cfg.Forge.parse(payload)
	if err != nil {
		return nil, failed(http.StatusBadRequest, err)
	}
	reason := "no branch was pushed"
	wanted := pushes[:0]
	for _, p := range pushes {
		if p.Deleted || p.Branch == "" || h.cfg.Branch != "" && p.Branch != h.cfg.Branch {
			reason = p.whyIgnored()
			continue
		}
		p.Forge, p.Event = h.cfg.Forge, event
		p.Delivery = p.deliveryID(header)
		wanted = append(wanted, p)
	}
	if len(wanted) == 0 {
		return nil, ignored(reason)
	}
	return wanted, answer{}
}

func (p Push) whyIgnored() string {
	switch {
	case p.Deleted:
		return fmt.Sprintf("deletion of %.80q", p.Ref)
	case strings.HasPrefix(p.Ref, "refs/tags/"):
		return fmt.Sprintf("tag %.80q", strings.TrimPrefix(p.Ref, "refs/tags/"))
	case p.Branch == "":
		return fmt.Sprintf("%.80q is no branch that can be built", p.Ref)
	}
	return fmt.Sprintf("foreign branch %.80q", p.Branch)
}

// receive hands over the pushes of one delivery, which has several only where
// a forge tells of several branches at once.
func (h *Handler) receive(ctx context.Context, pushes []Push) answer {
	finish, fresh, err := h.seen.claim(ctx, pushes[0].Delivery)
	if err != nil {
		return unavailable(err)
	}
	if !fresh {
		return answer{status: http.StatusAccepted, Reason: "duplicate delivery"}
	}
	// Also if Receive panics: what failed may be sent again.
	done := false
	defer func() { finish(done) }()

	a := ignored("")
	for _, p := range pushes {
		trigger, err := h.cfg.Receive(ctx, p)
		if ign, ok := errors.AsType[*Ignored](err); ok {
			if a.status == http.StatusOK {
				a = ignored(ign.Reason)
			}
			continue
		}
		if err != nil {
			return unavailable(err)
		}
		a = answer{status: http.StatusAccepted, Trigger: &trigger}
	}
	done = true
	return a
}

func (h *Handler) log(r *http.Request, pushes []Push, a answer) {
	attrs := []slog.Attr{
		slog.String("forge", string(h.cfg.Forge)),
		slog.String("remote_addr", r.RemoteAddr),
		slog.Int("status", a.status),
	}
	for _, p := range pushes {
		attrs = append(attrs, slog.String("delivery", p.Delivery), slog.String("branch", p.Branch), slog.String("after", p.After))
	}
	if a.Trigger != nil {
		attrs = append(attrs, slog.String("trigger", *a.Trigger))
	}
	if a.Reason != "" {
		attrs = append(attrs, slog.String("reason", a.Reason))
	}
	level, msg := slog.LevelInfo, "received webhook"
	if a.err != nil {
		level, msg = slog.LevelWarn, "refused webhook"
		attrs = append(attrs, slog.Any("err", a.err))
	}
	h.cfg.Logger.LogAttrs(r.Context(), level, msg, attrs...)
}

// answer is what the forge is told; its exported fields are the body.
type answer struct {
	Trigger *string `json:"trigger,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	Error   string  `json:"error,omitempty"`

	status int           // zero: there is no answer yet
	retry  time.Duration // sent as Retry-After
	err    error         // for the log
}

func ignored(reason string) answer {
	return answer{status: http.StatusOK, Reason: reason}
}

// failed blames the sender, and so tells err.
func failed(status int, err error) answer {
	return answer{status: status, Error: err.Error(), err: err}
}

// unavailable asks to send again, and tells only what is meant to be told.
func unavailable(err error) answer {
	a := answer{status: http.StatusServiceUnavailable, Error: "cannot take this now; deliver it again", retry: defaultRetry, err: err}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		a.Error = refusal.Message
		if refusal.RetryAfter > 0 {
			a.retry = refusal.RetryAfter
		}
	}
	return a
}

func (a answer) write(w http.ResponseWriter) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	// Strings always encode.
	_ = enc.Encode(a)
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	if a.retry > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(a.retry.Seconds()))))
	}
	w.WriteHeader(a.status)
	// The forge may have hung up; there is nobody else to tell.
	_, _ = body.WriteTo(w)
}
