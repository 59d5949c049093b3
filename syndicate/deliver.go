// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// step does what is to be done next about an entry.
func (w *worker) step(ctx context.Context, e *entry) {
	var err error
	switch {
	case e.again:
		if _, err = w.s.ledger.refresh(ctx, e.ref); err != nil {
			w.failed(e.ref, err)
			return // it was told, and concerns nothing else
		}
	case e.State == Attempting:
		err = w.settle(ctx, e)
	default:
		err = w.try(ctx, e)
	}
	if errors.Is(err, errMoved) {
		// Somebody else has ended what kept an edit from being planned, and may
		// not know of it.
		w.planAgain(ctx)
		return
	}
	if err == nil {
		return
	}
	// It is the store that does not work. Nothing can be done without it.
	at := w.failed(e.ref, &Error{Err: err, Everything: true})
	w.s.cfg.Logger.ErrorContext(ctx, "keep the record of an announcement", "post", e.ID, "target", w.d.name, "err", err, "next", at)
}

// try makes an attempt at what is planned, if the time has come. Errors, here and
// below, are those of the store.
func (w *worker) try(ctx context.Context, e *entry) error {
	if e.op == OpEdit && w.s.ledger.get(ref{e.target, OpDelete, e.key}).is(Confirmed) {
		return w.drop(ctx, e, "the announcement was taken back")
	}
	if ok, err := w.gate(ctx, e); !ok {
		return err
	}
	if announced := w.s.ledger.get(ref{e.target, OpAnnounce, e.key}); e.op == OpDelete && !announced.is(Confirmed) {
		return w.withdraw(ctx, e, announced)
	}
	ready, err := w.compose(ctx, e)
	if err != nil {
		return w.notSent(ctx, e, err)
	}
	if e.op == OpEdit && ready.BodyHash == e.Shown {
		return w.confirm(ctx, e, e.Receipt) // the announcement shows what it should
	}
	if err := w.prepare(ctx); err != nil {
		return w.notSent(ctx, e, err)
	}
	return w.attempt(ctx, e, ready)
}

// prepare has the target get ready.
func (w *worker) prepare(ctx context.Context) error {
	p, ok := w.d.Target.(Preparer)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, w.s.cfg.Timeout)
	defer cancel()
	return w.d.exclusively(ctx, func() error { return p.Prepare(ctx) })
}

// is reports whether an entry is in a state. It may be nil.
func (e *entry) is(s State) bool { return e != nil && e.State == s }

// withdraw takes an announcement back that is not confirmed. It may be nil.
func (w *worker) withdraw(ctx context.Context, e, announced *entry) error {
	const why = "the page is gone"
	switch {
	case announced == nil || announced.State == Forgotten:
		return w.drop(ctx, e, "there is no announcement")
	case announced.unsent() && announced.fault == nil && announced.Unknown.IsZero():
		if err := w.drop(ctx, announced, why); err != nil {
			return err
		}
		return w.drop(ctx, e, why)
	case announced.State == Parked:
		return w.park(ctx, e, announced.Reason, errors.New("the announcement waits for a person: decide about that, and send this again"))
	}
	w.notUntil[e.ref] = time.Now().Add(w.s.cfg.MinBackoff)
	return nil
}

// drop forgets what makes no sense any more.
func (w *worker) drop(ctx context.Context, e *entry, why string) error {
	next := e.record
	next.State, next.Reason, next.Error, next.Ended = Forgotten, "", why, false
	after, err := w.write(ctx, e, next)
	if err == nil {
		w.s.tellOf(ctx, after)
	}
	return err
}

// gate reports whether the page of a post is as it has to be.
func (w *worker) gate(ctx context.Context, e *entry) (ok bool, err error) {
	var wrong error
	var again time.Time
	switch {
	case e.op == OpAnnounce && e.Body == nil && !w.s.cfg.Page.Off:
		again, wrong = w.s.live.check(ctx, w.post(e))
	case e.op == OpDelete && e.Fingerprint != sureDelete:
		again, wrong = w.s.live.gone(ctx, e.URL)
	}
	if wrong == nil || ctx.Err() != nil {
		return wrong == nil, nil
	}
	// From the first look on, and not from the planning: nobody may have looked
	// for hours.
	if w.waiting[e.ref].IsZero() {
		w.waiting[e.ref] = time.Now()
	}
	if time.Since(w.waiting[e.ref]) > w.s.cfg.Page.Patience || time.Since(e.Planned) > w.s.cfg.GiveUp {
		delete(w.waiting, e.ref)
		return false, w.park(ctx, e, ReasonPage, wrong)
	}
	if w.notUntil[e.ref].IsZero() {
		event := e.event(OutcomeRetried)
		event.Err, event.Next = wrong, again
		w.s.tell(ctx, event)
	}
	w.notUntil[e.ref] = again
	return false, nil
}

// post is the post of an entry: as observed last or, if it has left the feed, as
// it was kept.
func (w *worker) post(e *entry) Post {
	if p, ok := w.s.observed(e.key); ok && p.Fingerprint() == e.Fingerprint {
		return p
	}
	if e.Post != nil {
		return *e.Post
	}
	return Post{ID: e.ID, URL: e.URL, Title: e.Title}
}

// compose returns the record with the body of an attempt. One that may be on the
// network stays as it is.
func (w *worker) compose(ctx context.Context, e *entry) (record, error) {
	next := e.record
	if e.op == OpDelete || e.Body != nil {
		return next, nil
	}
	m, err := w.d.message(w.post(e))
	if err != nil {
		return record{}, &Error{Err: err, Refused: true}
	}
	ctx, cancel := context.WithTimeout(ctx, w.s.cfg.Timeout)
	defer cancel()
	err = w.d.exclusively(ctx, func() (err error) {
		next.Body, err = w.d.body(ctx, m)
		return err
	})
	if err != nil {
		return record{}, err
	}
	sum := sha256.Sum256(next.Body)
	next.BodyHash = hex.EncodeToString(sum[:16])
	next.Link = m.Link
	next.Created = time.Now().UTC().Truncate(time.Millisecond)
	return next, nil
}

// body makes the body of a message.
func (d *destination) body(ctx context.Context, m Message) ([]byte, error) {
	c, ok := d.Target.(Composer)
	if !ok {
		return json.Marshal(m.Text)
	}
	body, err := c.Compose(ctx, m)
	if err != nil {
		return nil, err
	}
	// Records are JSON, and encoding them would change blanks.
	var compact bytes.Buffer
	if err := json.Compact(&compact, body); err != nil {
		return nil, &Error{Err: fmt.Errorf("the body is not JSON: %w", err), Refused: true}
	}
	if compact.Len() > MaxBody {
		return nil, &Error{Err: fmt.Errorf("the body has %d bytes, more than %d", compact.Len(), MaxBody), Refused: true}
	}
	return compact.Bytes(), nil
}

// attempt claims an entry and sends it.
func (w *worker) attempt(ctx context.Context, e *entry, next record) error {
	// From before the claim, which may take long: who is held up must not send
	// when others think that it is dead.
	started := time.Now()
	send, cancel := attemptContext(ctx, started.Add(w.s.cfg.Timeout))
	defer cancel()
	next.State, next.Reason, next.Error, next.Ended = Attempting, "", "", false
	next.Holder, next.Timeout = rand.Text(), w.s.cfg.Timeout
	next.Attempts++
	claimed, err := w.s.ledger.put(ctx, e.ref, e, next)
	if errors.Is(err, errTooLarge) {
		return w.park(ctx, e, ReasonRefused, err)
	}
	if err != nil {
		return err
	}
	var receipt Receipt
	called := false
	err = w.d.exclusively(send, func() (err error) {
		// Clocks that stand still while the machine sleeps are not asked alone.
		if time.Now().Round(0).Sub(started.Round(0)) > w.s.cfg.Timeout {
			return &Error{Err: errors.New("the program was held up before it could send"), NotSent: true}
		}
		called = true
		receipt, err = w.call(send, claimed)
		return err
	})
	took := time.Since(started)
	switch {
	case err == nil:
		return w.confirmAfter(ctx, claimed, receipt, took)
	case !called || knownOf(err).NotSent:
		return w.notSent(ctx, claimed, err)
	}
	return w.unknown(ctx, claimed, err)
}

// attemptContext ends at a time, or ten seconds after ctx: what is under way when
// the program stops is worth waiting for.
func attemptContext(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	send, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(stopGrace):
			cancel()
		case <-send.Done():
		}
	})
	return send, func() { stop(); cancel() }
}

const stopGrace = 10 * time.Second

// call has the target do it.
func (w *worker) call(ctx context.Context, e *entry) (Receipt, error) {
	if err := ctx.Err(); err != nil {
		return Receipt{}, &Error{Err: err, NotSent: true}
	}
	switch e.op {
	case OpEdit:
		announced := w.s.ledger.get(ref{e.target, OpAnnounce, e.key})
		if announced == nil || announced.State != Confirmed {
			return Receipt{}, &Error{Err: errors.New("the announcement is not there any more"), NotSent: true, Refused: true}
		}
		return w.d.Target.(Editor).Edit(ctx, e.attempt(), announced.Receipt)
	case OpDelete:
		r := e.Receipt
		if announced := w.s.ledger.get(ref{e.target, OpAnnounce, e.key}); r.ID == "" && announced.is(Confirmed) {
			r = announced.Receipt
		}
		if r.ID == "" {
			return r, &Error{Err: errors.New("it is not known what the network calls the announcement"), NotSent: true, Refused: true}
		}
		return r, w.d.Target.(Deleter).Delete(ctx, r)
	}
	return w.d.Target.Send(ctx, e.attempt())
}

// attempt is the entry as targets see it.
func (e *entry) attempt() Attempt {
	a := Attempt{
		Target: e.target, ID: e.ID, URL: e.URL, Link: e.Link, Body: bytes.Clone(e.Body), Created: e.Created,
		Key: attemptKey(e.target, e.op, e.ID, e.Fingerprint), Number: e.Attempts, Last: e.Unknown,
	}
	if e.Post != nil {
		a.Aliases = e.Post.Aliases
	}
	return a
}

// settle finds out what became of an attempt of which nobody knows the outcome.
func (w *worker) settle(ctx context.Context, e *entry) error {
	if !e.Ended {
		return w.unknown(ctx, e, errors.New("the program that sent it did not come back"))
	}
	r, ok := w.d.Target.(Reconciler)
	if !ok {
		return w.park(ctx, e, ReasonUnknown, errors.New(e.Error))
	}
	look, cancel := context.WithTimeout(ctx, w.s.cfg.Timeout)
	defer cancel()
	var receipt Receipt
	err := w.d.exclusively(look, func() (err error) {
		receipt, err = r.Reconcile(look, e.attempt())
		return err
	})
	known := knownOf(err)
	switch {
	case err == nil:
		return w.confirm(ctx, e, receipt)
	case errors.Is(err, ErrAbsent):
		return w.absent(ctx, e)
	case ctx.Err() != nil:
		return nil
	case known.Refused && !known.Everything, time.Since(e.Planned) > w.s.cfg.GiveUp:
		return w.park(ctx, e, ReasonUnknown, fmt.Errorf("%s; then: %w", e.Error, err))
	}
	event := e.event(OutcomeUnknown)
	event.Err, event.Next = err, w.failed(e.ref, err)
	w.s.tell(ctx, event)
	return nil
}

// absent has an attempt made again that came to nothing. What is sent stays the
// same, in case that the network was wrong.
func (w *worker) absent(ctx context.Context, e *entry) error {
	if time.Since(e.Planned) > w.s.cfg.GiveUp {
		return w.park(ctx, e, ReasonGaveUp, errors.New(e.Error))
	}
	next := e.record
	next.State, next.Ended = Planned, false
	_, err := w.write(ctx, e, next)
	return err
}

// unknown records that an attempt has ended of which nobody knows the outcome.
func (w *worker) unknown(ctx context.Context, e *entry, cause error) error {
	next := e.record
	next.Ended, next.Unknown, next.Error, next.Shown = true, time.Now().UTC(), head(cause.Error(), maxError), ""
	next.Due = w.failed(e.ref, cause).UTC() // not sent again before
	_, reconciles := w.d.Target.(Reconciler)
	switch {
	case e.op != OpAnnounce && time.Since(e.Planned) > w.s.cfg.GiveUp:
		next.State, next.Reason, next.Ended = Parked, ReasonGaveUp, false
	case e.op != OpAnnounce: // can be repeated
		next.State, next.Ended = Planned, false
	case !reconciles:
		next.State, next.Reason = Parked, ReasonUnknown
	default:
		// Looking costs nothing, and mostly tells.
		w.notUntil[e.ref] = time.Time{}
	}
	after, err := w.write(ctx, e, next)
	if err != nil {
		return err
	}
	outcome := OutcomeUnknown
	if next.State == Parked {
		outcome = OutcomeParked
	}
	event := after.event(outcome)
	event.Err = cause
	w.s.tell(ctx, event)
	return nil
}

// notSent records why something is not on the network, and when it is tried
// again.
func (w *worker) notSent(ctx context.Context, e *entry, cause error) error {
	if ctx.Err() != nil && e.State == Planned {
		return nil
	}
	at := w.failed(e.ref, cause)
	known := knownOf(cause)
	switch {
	case known.Refused && !known.Everything:
		return w.park(ctx, e, ReasonRefused, cause)
	case time.Since(e.Planned) > w.s.cfg.GiveUp:
		return w.park(ctx, e, ReasonGaveUp, cause)
	}
	next := e.record
	next.State, next.Error, next.Due = Planned, head(cause.Error(), maxError), at.UTC()
	if e.Unknown.IsZero() && e.op != OpDelete {
		next.unfreeze()
	}
	after, err := w.write(ctx, e, next)
	if err != nil {
		return err
	}
	event := after.event(OutcomeRetried)
	event.Err, event.Next = cause, at
	w.s.tell(ctx, event)
	return nil
}

// unfreeze has the body made anew: none of it is on the network, and the post may
// change until it is.
func (r *record) unfreeze() {
	r.Body, r.BodyHash, r.Link, r.Created = nil, "", "", time.Time{}
}

// park leaves an entry to a person.
func (w *worker) park(ctx context.Context, e *entry, reason Reason, cause error) error {
	next := e.record
	next.State, next.Reason, next.Error, next.Ended = Parked, reason, head(cause.Error(), maxError), false
	if reason != ReasonUnknown && e.Unknown.IsZero() && e.op != OpDelete {
		next.unfreeze()
	}
	after, err := w.write(ctx, e, next)
	if err != nil {
		return err
	}
	event := after.event(OutcomeParked)
	event.Err = cause
	w.s.tell(ctx, event)
	return nil
}

// write puts a record in place of an entry. It is also done while the program
// stops, since an attempt has been made.
func (w *worker) write(ctx context.Context, e *entry, next record) (*entry, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeGrace)
	defer cancel()
	return w.s.ledger.put(ctx, e.ref, e, next)
}

// confirm records that it is on the network.
func (w *worker) confirm(ctx context.Context, e *entry, receipt Receipt) error {
	return w.confirmAfter(ctx, e, receipt, 0)
}

// confirmAfter records that it is on the network, whatever others have made of
// the record meanwhile: what is known is not dropped. A store that does not
// work is tried for as long as the program runs.
func (w *worker) confirmAfter(ctx context.Context, e *entry, receipt Receipt, took time.Duration) error {
	w.works(e.ref)
	for {
		err := w.merge(ctx, e, receipt, took)
		if err == nil {
			return nil
		}
		w.s.cfg.Logger.ErrorContext(ctx, "an announcement was made, and cannot be recorded",
			"post", e.ID, "target", e.target, "url", receipt.URL, "err", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(w.s.cfg.MinBackoff):
		}
	}
}

// merge writes a receipt into the record that is there now.
func (w *worker) merge(ctx context.Context, e *entry, receipt Receipt, took time.Duration) error {
	store, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeGrace)
	defer cancel()
	doubled := false
	after, err := w.s.ledger.change(store, e.ref, func(now *entry) (record, bool, error) {
		next := e.record
		if now != nil {
			next.version = now.version
			doubled = now.State == Confirmed && now.Receipt.ID != receipt.ID
			// Edits are made again by whoever has taken one over, and may have been
			// followed by others: an old one does not say what is there now.
			later := e.op == OpEdit && !bytes.Equal(now.raw, e.raw)
			if now.State == Confirmed || later {
				return record{}, false, nil
			}
		}
		next.confirmed(receipt)
		return next, true, nil
	})
	if err != nil {
		return err
	}
	event := after.event(OutcomeConfirmed)
	event.Receipt, event.Took = receipt, took
	if doubled {
		event.Outcome = OutcomeDoubled
	}
	if e.op != OpEdit || e.Attempts > 0 { // otherwise there was nothing to do
		w.s.tell(ctx, event)
	}
	w.planAgain(ctx) // the post may have changed since
	return nil
}

// confirmed makes a record one of something that is on the network. The texts
// are not needed any more.
func (r *record) confirmed(receipt Receipt) {
	r.State, r.Reason, r.Error, r.Ended = Confirmed, "", "", false
	r.Post, r.Body, r.Holder, r.Due, r.Unknown = nil, nil, "", time.Time{}, time.Time{}
	r.Done, r.Shown = time.Now().UTC(), r.BodyHash
	// One that is too long to be kept is worth less than the record.
	r.Receipt = Receipt{}
	if len(receipt.ID) <= maxReceipt {
		r.Receipt.ID = receipt.ID
	}
	if len(receipt.URL) <= maxReceipt {
		r.Receipt.URL = receipt.URL
	}
}
