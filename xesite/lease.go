// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/xesite/state"
)

const (
	leaseKey = "lease/builder"
	// A holder that has not renewed for leaseTTL is taken for dead by those
	// who watched it for that long. It gives up by itself somewhat earlier, so
	// that two never believe that they hold it.
	leaseTTL     = 10 * time.Second
	leaseRenewal = 3 * time.Second
	leaseMargin  = 2 * time.Second
	// leasePoll is how often the others look.
	leasePoll = 500 * time.Millisecond
)

// leaseRecord is the value of leaseKey.
type leaseRecord struct {
	Holder string `json:"holder"` // an instance's name, for people
	Host   string `json:"host"`   // the machine, see machineID
	// Fence numbers the terms. What a holder publishes carries it, so that
	// one that was taken for dead cannot publish over its successor.
	Fence    uint64 `json:"fence"`
	Released bool   `json:"released"` // the holder has stopped in good order
	// Nonce makes each write differ, so that an unchanged value means that
	// nobody wrote.
	Nonce string `json:"nonce"`
}

func (r leaseRecord) encode() []byte {
	r.Nonce = rand.Text()
	b, _ := json.Marshal(r) // strings and numbers cannot fail
	return b
}

// lease makes one of the instances on a data directory the builder. It is
// held by two things: a lock on a file, which the kernel gives back at once
// when a process of this machine dies, and a record in the store, which also
// works between machines.
type lease struct {
	store    state.Store
	lockPath string
	name     string // of this instance
	host     string
	// floor is the highest fence that was ever published with. The record may
	// be lost, or be in another store than before.
	floor func() uint64
	log   *slog.Logger

	mu      sync.Mutex // guards what follows
	current leaseRecord
	mine    bool

	complaint string // the last one, see complain
}

// holder returns who builds, and whether that is this instance.
func (l *lease) holder() (name string, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current.Holder, l.mine
}

// fence returns the number of the term, if this instance is the holder.
func (l *lease) fence() (fence uint64, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current.Fence, l.mine
}

// note remembers who builds. Who released the lease does not.
func (l *lease) note(r leaseRecord, mine bool) {
	if r.Released {
		r = leaseRecord{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current, l.mine = r, mine
}

// run calls lead whenever this instance becomes the holder. The context of
// lead ends when the lease is lost; run returns when ctx ends and lead has
// returned.
func (l *lease) run(ctx context.Context, lead func(ctx context.Context)) error {
	for {
		unlock, locked, err := l.lock(ctx)
		if err != nil {
			return nil // ctx has ended
		}
		l.term(ctx, locked, lead)
		unlock()
		if !pause(ctx, leasePoll) {
			return nil
		}
	}
}

// term waits until the record can be taken, and leads until it is lost.
func (l *lease) term(ctx context.Context, locked bool, lead func(ctx context.Context)) {
	record, value, since, ok := l.take(ctx, locked)
	if !ok {
		return
	}
	l.note(record, true)
	l.log.InfoContext(ctx, "this instance is the builder now", "instance", l.name, "fence", record.Fence)
	term, end := context.WithCancelCause(ctx)
	lost := func(cause error) {
		l.note(leaseRecord{}, false) // what is about to publish must not
		end(cause)
	}
	var renewing sync.WaitGroup
	renewing.Go(func() { value = l.renew(term, lost, record, value, since) })
	lead(term)
	end(nil)
	renewing.Wait()
	record.Released = true
	l.note(record, false)
	// The process is about to end: this must not wait for long.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if ok, err := l.store.Swap(ctx, leaseKey, value, record.encode()); err != nil || !ok {
		l.log.WarnContext(ctx, "the builder's lease could not be released; the next one waits until it runs out", "err", err)
	}
}

// lock takes the file lock. Where the file system has none, locked is false and
// the record alone decides.
func (l *lease) lock(ctx context.Context) (unlock func(), locked bool, err error) {
	for {
		f, err := os.OpenFile(l.lockPath, os.O_CREATE|os.O_RDWR, 0o644)
		if err == nil {
			var busy bool
			if busy, err = tryLock(f); err != nil {
				l.complain(ctx, "the data directory cannot be locked; the lease's record alone decides who builds", err)
			}
			if !busy {
				return func() { f.Close() }, err == nil, nil
			}
			f.Close()
			l.observe(ctx)
		} else {
			l.complain(ctx, "the lock file cannot be opened", err)
		}
		if !pause(ctx, leasePoll) {
			return nil, false, context.Cause(ctx)
		}
	}
}

// complain logs what goes wrong again and again, once.
func (l *lease) complain(ctx context.Context, message string, err error) {
	l.mu.Lock()
	again := l.complaint == message+err.Error()
	l.complaint = message + err.Error()
	l.mu.Unlock()
	if !again && ctx.Err() == nil {
		l.log.ErrorContext(ctx, message, "err", err)
	}
}

// observe notes who holds the record.
func (l *lease) observe(ctx context.Context) {
	if r, _, err := l.load(ctx); err == nil {
		l.note(r, false)
	}
}

// load reads the record; a nil value means that there is none.
func (l *lease) load(ctx context.Context) (r leaseRecord, value []byte, err error) {
	value, err = l.store.Load(ctx, leaseKey)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil, nil
	}
	if err != nil {
		return r, nil, err
	}
	if err := json.Unmarshal(value, &r); err != nil {
		// Whatever this is, nobody renews it.
		l.log.WarnContext(ctx, "the builder's lease is unreadable", "err", err)
	}
	return r, value, nil
}

// take waits until the record is free and makes it ours. It may be taken when
// there is none, when it was released, when its holder was on this machine
// and we have the lock (so that process is dead), or when it stood unchanged for
// the TTL on our own clock. Asked is when the others may have begun to see it.
func (l *lease) take(ctx context.Context, locked bool) (mine leaseRecord, value []byte, asked time.Time, ok bool) {
	var seen []byte
	var since time.Time
	for {
		r, value, err := l.load(ctx)
		if err != nil {
			l.complain(ctx, "the builder's lease cannot be read", err)
		} else {
			l.note(r, false)
			if !bytes.Equal(value, seen) || since.IsZero() {
				seen, since = value, time.Now()
			}
			if value == nil || r.Released || locked && r.Host == l.host || time.Since(since) >= leaseTTL {
				mine := leaseRecord{Holder: l.name, Host: l.host, Fence: max(r.Fence, l.floor()) + 1}
				asked := time.Now()
				if encoded := mine.encode(); l.swap(ctx, value, encoded) {
					return mine, encoded, asked, true
				}
			}
		}
		if !pause(ctx, leasePoll) {
			return leaseRecord{}, nil, time.Time{}, false
		}
	}
}

// swap is the store's Swap with its unknown outcome looked up.
func (l *lease) swap(ctx context.Context, old, new []byte) bool {
	ok, err := l.store.Swap(ctx, leaseKey, old, new)
	if err == nil {
		return ok
	}
	got, errLoad := l.store.Load(ctx, leaseKey)
	return errLoad == nil && bytes.Equal(got, new)
}

// renew writes the record every few seconds until ctx ends, and calls lost when
// that fails for too long. It returns the last value.
func (l *lease) renew(ctx context.Context, lost context.CancelCauseFunc, r leaseRecord, value []byte, since time.Time) []byte {
	// A timer, since the store may hang. It counts from before the write: the
	// others count from when they see it.
	const valid = leaseTTL - leaseMargin
	expiry := time.AfterFunc(valid-time.Since(since), func() {
		lost(fmt.Errorf("the lease could not be renewed for %s", valid))
	})
	defer expiry.Stop()
	wait := leaseRenewal
	for pause(ctx, wait) {
		asked, next := time.Now(), r.encode()
		attempt, cancel := context.WithTimeout(ctx, leaseRenewal)
		ok := l.swap(attempt, value, next)
		var got leaseRecord
		var current []byte
		var err error
		if !ok {
			got, current, err = l.load(attempt)
		}
		cancel()
		wait = leasePoll
		switch {
		case ok:
			value, wait = next, leaseRenewal
			expiry.Reset(valid - time.Since(asked))
		case err == nil && got.Fence == r.Fence && !got.Released:
			value = current // an earlier write of ours, whose outcome was unknown
		case err == nil:
			lost(errors.New("another instance took the lease"))
		}
	}
	return value
}

// pause waits, and reports false if ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

// machineID names the running kernel, whose file locks can be trusted among
// its processes, whatever their containers are called.
func machineID() string {
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		return strings.TrimSpace(string(id))
	}
	name, _ := os.Hostname()
	return name
}

func instanceName() string {
	name, _ := os.Hostname()
	return fmt.Sprintf("%s/%d", cmp.Or(name, "localhost"), os.Getpid())
}
