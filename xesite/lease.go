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
	log      *slog.Logger

	mu      sync.Mutex // guards current
	current leaseRecord
	mine    bool
}

// holder returns who builds, and whether that is this instance.
func (l *lease) holder() (name string, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current.Holder, l.mine
}

func (l *lease) note(r leaseRecord, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current, l.mine = r, mine
}

// run calls lead whenever this instance becomes the holder. The context of
// lead ends when the lease is lost; run returns when ctx ends and lead has
// returned.
func (l *lease) run(ctx context.Context, lead func(ctx context.Context, fence uint64)) error {
	for {
		unlock, err := l.lock(ctx)
		if err != nil {
			return nil // ctx has ended
		}
		l.term(ctx, lead)
		unlock()
		if !pause(ctx, leasePoll) {
			return nil
		}
	}
}

// term waits until the record can be taken, and leads until it is lost.
func (l *lease) term(ctx context.Context, lead func(ctx context.Context, fence uint64)) {
	record, value, ok := l.take(ctx)
	if !ok {
		return
	}
	l.note(record, true)
	l.log.InfoContext(ctx, "this instance is the builder now", "instance", l.name, "fence", record.Fence)
	term, lost := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { value = l.renew(term, lost, record, value) })
	lead(term, record.Fence)
	lost(nil)
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

// lock takes the file lock. Where the file system has none, the record alone
// decides.
func (l *lease) lock(ctx context.Context) (unlock func(), err error) {
	for {
		f, err := os.OpenFile(l.lockPath, os.O_CREATE|os.O_RDWR, 0o644)
		if err == nil {
			var busy bool
			if busy, err = tryLock(f); err != nil {
				l.log.WarnContext(ctx, "the data directory cannot be locked; the lease's record alone decides who builds", "err", err)
			}
			if !busy {
				return func() { f.Close() }, nil
			}
			f.Close()
			l.observe(ctx)
		} else {
			l.log.ErrorContext(ctx, "lock file", "err", err)
		}
		if !pause(ctx, leasePoll) {
			return nil, context.Cause(ctx)
		}
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
// (we have the lock, so that process is dead), or when it stood unchanged for
// the TTL on our own clock.
func (l *lease) take(ctx context.Context) (leaseRecord, []byte, bool) {
	var seen []byte
	var since time.Time
	for {
		r, value, err := l.load(ctx)
		if err != nil {
			l.log.ErrorContext(ctx, "read the builder's lease", "err", err)
		} else {
			l.note(r, false)
			if !bytes.Equal(value, seen) || since.IsZero() {
				seen, since = value, time.Now()
			}
			if value == nil || r.Released || r.Host == l.host || time.Since(since) >= leaseTTL {
				mine := leaseRecord{Holder: l.name, Host: l.host, Fence: r.Fence + 1}
				if encoded := mine.encode(); l.swap(ctx, value, encoded) {
					return mine, encoded, true
				}
			}
		}
		if !pause(ctx, leasePoll) {
			return leaseRecord{}, nil, false
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

// renew writes the record every few seconds until ctx ends, and calls lost
// when that fails for too long. It returns the last value.
func (l *lease) renew(ctx context.Context, lost context.CancelCauseFunc, r leaseRecord, value []byte) []byte {
	renewed := time.Now()
	for pause(ctx, leaseRenewal) {
		next := r.encode()
		attempt, cancel := context.WithTimeout(ctx, leaseRenewal)
		ok := l.swap(attempt, value, next)
		cancel()
		switch {
		case ok:
			value, renewed = next, time.Now()
		case ctx.Err() == nil && l.taken(ctx, value):
			lost(errors.New("another instance took the lease"))
		case time.Since(renewed) > leaseTTL-leaseRenewal-leaseMargin:
			lost(fmt.Errorf("the lease could not be renewed for %s", time.Since(renewed).Round(time.Second)))
		}
	}
	return value
}

func (l *lease) taken(ctx context.Context, value []byte) bool {
	got, err := l.store.Load(ctx, leaseKey)
	return err == nil && !bytes.Equal(got, value)
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
