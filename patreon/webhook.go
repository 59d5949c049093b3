// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Triggers of version 1 of the API, whose webhooks still exist. They cannot be
// registered with version 2.
const (
	PledgesCreate Trigger = "pledges:create"
	PledgesUpdate Trigger = "pledges:update"
	PledgesDelete Trigger = "pledges:delete"
)

// MemberTriggers returns those that can change who supports a campaign, as a
// webhook can be registered for them.
func MemberTriggers() []Trigger {
	return []Trigger{
		MembersCreate, MembersUpdate, MembersDelete,
		MembersPledgeCreate, MembersPledgeUpdate, MembersPledgeDelete,
	}
}

// understood reports whether events of a trigger are taken.
func understood(t Trigger) bool {
	return t.Known() || t == PledgesCreate || t == PledgesUpdate || t == PledgesDelete
}

// An Event is what a webhook has told.
type Event struct {
	Trigger Trigger

	// ID and Type are those of the resource that the event is about. ID is empty
	// in what the "Send Test" button of the portal sends.
	ID, Type string

	// Body is the JSON:API document as it came. It has personal data in it.
	Body json.RawMessage `json:"-"`

	// Received is when it came.
	Received time.Time
}

// Format writes trigger, type and id, whatever the verb: the body has names and
// addresses of people in it.
func (e Event) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s %s %q", e.Trigger, e.Type, e.ID) }

// WebhookConfig configures a [WebhookHandler]. Secrets is required.
type WebhookConfig struct {
	// Secrets returns the secrets that deliveries may be signed with: several
	// while one is changed for another. [Secrets] makes one of fixed values,
	// [Registration.Secrets] is one.
	Secrets func(ctx context.Context) ([]Secret, error)

	// OnEvent is told of each event, before its delivery is answered: it must
	// return soon. An error makes the answer 503, and Patreon sends the event
	// again in an hour. It may be nil.
	OnEvent func(ctx context.Context, e Event) error

	// OnChange is told once of events that come one after the other, by the last
	// of them: Patreon tells of one act in several events. It is called on a
	// goroutine of its own, never twice at the same time. It may be nil.
	OnChange func(last Event)

	// Only are the triggers that count. If nil, all that are known. Others are
	// answered like them, for a webhook whose deliveries fail is paused.
	Only []Trigger

	// Quiet is for how long there must be no event before OnChange is called. If
	// 0, 5 seconds. It is called at the latest after six times as long.
	Quiet time.Duration

	// MaxBody is how long a delivery may be, in bytes. If 0, 1 MiB.
	MaxBody int64

	// Dedupe is for how long a delivery is not taken again. There is neither a
	// time nor a number in one, so it is known by its content. If 0, 24 hours; if
	// negative, each is taken.
	Dedupe time.Duration

	// Logger is told of what comes. If nil, nobody is.
	Logger *slog.Logger
}

// WebhookHandler receives the deliveries of webhooks:
// https://docs.patreon.com/#webhooks. It is an [http.Handler], safe for
// concurrent use.
//
// An event is answered with 202 and {"trigger": …}, one that does not count, or
// that was here before, with 200 and {"ignored": …}. 401 is for a signature that
// is wrong or missing, 405, 413 and 415 for what is no delivery, 503 when it
// cannot be told whether the signature is right.
type WebhookHandler struct {
	cfg WebhookConfig
	log *slog.Logger

	mu      sync.Mutex // guards what follows
	seen    map[digest]time.Time
	taking  map[digest]bool // of those that are being taken
	counted map[Delivery]uint64
	last    Event     // of those that OnChange was not told of
	waiting bool      // somebody will tell
	first   time.Time // when the first of them came
	newest  time.Time
}

// digest is what a delivery is known by.
type digest [sha256.Size]byte

// Delivery is a kind of delivery, of which a [WebhookHandler] counts how many
// there were.
type Delivery struct {
	// Trigger is empty if it is not known, or the signature was wrong.
	Trigger Trigger
	// Result is "accepted", "duplicate", "ignored", "unknown" (a trigger that
	// is not known), "unsigned" (a signature that is wrong or missing), "refused"
	// (no delivery) or "failed".
	Result string
}

// Secrets returns a function that always returns the same secrets, for
// [WebhookConfig.Secrets].
func Secrets(secrets ...Secret) func(context.Context) ([]Secret, error) {
	return func(context.Context) ([]Secret, error) { return secrets, nil }
}

// maxSeen is how many deliveries are remembered.
const maxSeen = 10_000

// NewWebhookHandler checks a configuration.
func NewWebhookHandler(cfg WebhookConfig) (*WebhookHandler, error) {
	if cfg.Secrets == nil {
		return nil, errors.New("patreon: WebhookConfig.Secrets is not set; without a secret anybody could send events")
	}
	for _, t := range cfg.Only {
		if !understood(t) {
			return nil, fmt.Errorf("patreon: %q is no trigger of a webhook", t)
		}
	}
	if cfg.Quiet < 0 || cfg.MaxBody < 0 {
		return nil, errors.New("patreon: WebhookConfig has a negative value")
	}
	setDefault(&cfg.Quiet, 5*time.Second)
	setDefault(&cfg.Dedupe, 24*time.Hour)
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 1 << 20
	}
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &WebhookHandler{cfg: cfg, log: logger, seen: map[digest]time.Time{}, taking: map[digest]bool{}, counted: map[Delivery]uint64{}}, nil
}

// Format writes what this is, whatever the verb.
func (h *WebhookHandler) Format(f fmt.State, _ rune) { io.WriteString(f, "patreon.WebhookHandler") }

// SignWebhook returns what the header field X-Patreon-Signature of a delivery
// has to be: the HMAC-MD5 of the body, RFC 2104, in lower case hex.
func SignWebhook(secret Secret, body []byte) string {
	mac := hmac.New(md5.New, []byte(secret.Reveal()))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// VerifyWebhook reports whether a signature is that of the body by one of the
// secrets. Empty secrets do not count. The time that it takes tells nothing about
// the right one.
func VerifyWebhook(body []byte, signature string, secrets ...Secret) bool {
	valid := false
	for _, secret := range secrets {
		if secret != "" && hmac.Equal([]byte(SignWebhook(secret, body)), []byte(signature)) {
			valid = true
		}
	}
	return valid
}

// Deliveries returns how many deliveries of each kind there were.
func (h *WebhookHandler) Deliveries() map[Delivery]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.counted)
}

// ServeHTTP implements [http.Handler].
func (h *WebhookHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	kind := h.receive(w, r)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counted[kind]++
}

// receive answers one delivery.
func (h *WebhookHandler) receive(w http.ResponseWriter, r *http.Request) Delivery {
	body, refused := h.read(w, r)
	if refused {
		return Delivery{Result: "refused"}
	}
	secrets, err := h.cfg.Secrets(r.Context())
	if err != nil {
		h.log.ErrorContext(r.Context(), "patreon: the secrets of the webhook cannot be read", "err", err)
		answerError(w, http.StatusServiceUnavailable, "unavailable", "the signature cannot be checked at present")
		return Delivery{Result: "failed"}
	}
	if !VerifyWebhook(body, r.Header.Get("X-Patreon-Signature"), secrets...) {
		h.log.WarnContext(r.Context(), "patreon: a delivery with a signature that is wrong or missing")
		answerError(w, http.StatusUnauthorized, "unauthenticated", "X-Patreon-Signature is not that of the body by the secret of the webhook")
		return Delivery{Result: "unsigned"}
	}
	t := Trigger(r.Header.Get("X-Patreon-Event"))
	switch {
	case !understood(t):
		h.log.InfoContext(r.Context(), "patreon: an event that is not known", "trigger", scrub(string(t), nil))
		return h.ignore(w, Delivery{Result: "unknown"}, "the event is not known")
	case h.cfg.Only != nil && !slices.Contains(h.cfg.Only, t):
		return h.ignore(w, Delivery{t, "ignored"}, "the event does not matter here")
	}
	sum := digest(sha256.Sum256(append([]byte(t+"\n"), body...)))
	switch known, busy := h.begin(sum); {
	case known:
		return h.ignore(w, Delivery{t, "duplicate"}, "the delivery was here before")
	case busy:
		// It may fail yet, and then this one is the one that counts.
		answerError(w, http.StatusServiceUnavailable, "unavailable", "the same delivery is being taken")
		return Delivery{t, "failed"}
	}
	taken := false
	defer func() { h.end(sum, taken) }() // after a panic, too
	if err := h.take(r.Context(), event(t, body)); err != nil {
		h.log.ErrorContext(r.Context(), "patreon: an event is not taken", "trigger", t, "err", err)
		answerError(w, http.StatusServiceUnavailable, "unavailable", "the event cannot be taken at present")
		return Delivery{t, "failed"}
	}
	taken = true
	answerJSON(w, http.StatusAccepted, map[string]Trigger{"trigger": t})
	return Delivery{t, "accepted"}
}

func (h *WebhookHandler) ignore(w http.ResponseWriter, kind Delivery, why string) Delivery {
	answerJSON(w, http.StatusOK, map[string]string{"ignored": why})
	return kind
}

// read reads a delivery, or answers that it is none. Who has no signature is not
// listened to.
func (h *WebhookHandler) read(w http.ResponseWriter, r *http.Request) (body []byte, refused bool) {
	code, kind, detail := 0, "", ""
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		code, kind, detail = http.StatusMethodNotAllowed, "method_not_allowed", "deliveries of webhooks are sent with POST"
	case len(r.Header.Values("X-Patreon-Signature")) != 1:
		code, kind, detail = http.StatusUnauthorized, "unauthenticated", "there must be one X-Patreon-Signature"
	case r.Header.Get("Content-Encoding") != "":
		code, kind, detail = http.StatusUnsupportedMediaType, "encoded", "deliveries of webhooks are sent as they are"
	default:
		var err error
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, h.cfg.MaxBody))
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			code, kind, detail = http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("a delivery has at most %d bytes", h.cfg.MaxBody)
		} else if err != nil {
			code, kind, detail = http.StatusBadRequest, "cut_off", "the delivery has broken off"
		}
	}
	if code == 0 {
		return body, false
	}
	answerError(w, code, kind, detail)
	return nil, true
}

// event reads what a delivery is about. What cannot be read is no reason not to
// take it: it is signed, and the list of members tells the rest.
func event(t Trigger, body []byte) Event {
	var doc struct {
		Data struct {
			ID   any    `json:"id"`
			Type string `json:"type"`
		} `json:"data"`
	}
	e := Event{Trigger: t, Body: body, Received: time.Now()}
	if json.Unmarshal(body, &doc) == nil {
		e.ID, e.Type = text(doc.Data.ID), doc.Data.Type
	}
	return e
}

// begin reports whether a delivery was taken before, or is being taken. If
// neither, it is from now on, until end.
func (h *WebhookHandler) begin(sum digest) (known, busy bool) {
	if h.cfg.Dedupe < 0 {
		return false, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, ok := h.seen[sum]; ok && time.Since(at) < h.cfg.Dedupe {
		return true, false
	}
	if h.taking[sum] {
		return false, true
	}
	h.taking[sum] = true
	return false, false
}

// end remembers a delivery if it was taken.
func (h *WebhookHandler) end(sum digest, taken bool) {
	if h.cfg.Dedupe < 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.taking, sum)
	if !taken {
		return
	}
	now := time.Now()
	if len(h.seen) >= maxSeen {
		h.makeRoom(now)
	}
	h.seen[sum] = now
}

// makeRoom forgets the deliveries whose time is over, or else the older half.
func (h *WebhookHandler) makeRoom(now time.Time) {
	maps.DeleteFunc(h.seen, func(_ digest, at time.Time) bool { return now.Sub(at) >= h.cfg.Dedupe })
	if len(h.seen) < maxSeen {
		return
	}
	times := slices.SortedFunc(maps.Values(h.seen), time.Time.Compare)
	middle := times[len(times)/2]
	maps.DeleteFunc(h.seen, func(_ digest, at time.Time) bool { return !at.After(middle) })
}

// take hands an event on.
func (h *WebhookHandler) take(ctx context.Context, e Event) error {
	h.log.InfoContext(ctx, "patreon: an event", "trigger", e.Trigger, "type", scrub(e.Type, nil), "test", e.ID == "")
	if h.cfg.OnEvent != nil {
		if err := h.cfg.OnEvent(ctx, e); err != nil {
			return err
		}
	}
	if h.cfg.OnChange == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.last, h.newest = e, now
	if h.first.IsZero() {
		h.first = now
	}
	if !h.waiting {
		h.waiting = true
		time.AfterFunc(h.cfg.Quiet, h.tell)
	}
	return nil
}

// maxQuiet is how many times the quiet time OnChange is put off at most.
const maxQuiet = 6

// tell calls OnChange when it has been quiet for long enough, and again for what
// came meanwhile.
func (h *WebhookHandler) tell() {
	for {
		e, ok := h.quiet()
		if !ok {
			return
		}
		h.cfg.OnChange(e)
	}
}

// quiet returns the event to tell of. If it is too early, tell is called again;
// if there is none, the next one has it called.
func (h *WebhookHandler) quiet() (last Event, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.first.IsZero() {
		h.waiting = false
		return Event{}, false
	}
	now := time.Now()
	left := min(h.cfg.Quiet-now.Sub(h.newest), maxQuiet*h.cfg.Quiet-now.Sub(h.first))
	if left > 0 {
		time.AfterFunc(left, h.tell)
		return Event{}, false
	}
	last = h.last
	h.first, h.last = time.Time{}, Event{}
	return last, true
}
