// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/xesite/state"
)

// candidate is an instance that wants to build. Those with different
// directories do not see each other's file lock, as on different machines.
type candidate struct {
	*lease
	leads  atomic.Int32
	fence  atomic.Uint64
	linger time.Duration // between the loss of the lease and the end of its work
	cancel context.CancelFunc
	ended  chan struct{}
}

func newCandidate(t *testing.T, store state.Store, dir, name, host string) *candidate {
	t.Helper()
	return &candidate{
		lease: &lease{
			store: store, lockPath: filepath.Join(dir, "lock"), name: name, host: host,
			floor: func() uint64 { return 0 }, log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		},
		ended: make(chan struct{}),
	}
}

func (c *candidate) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	go func() {
		defer close(c.ended)
		c.run(ctx, func(ctx context.Context) {
			fence, _ := c.lease.fence()
			c.fence.Store(fence)
			c.leads.Add(1)
			<-ctx.Done()
			pass(c.linger)
			c.leads.Add(-1)
		})
	}()
}

func (c *candidate) stop() {
	c.cancel()
	<-c.ended
}

func wantLeaders(t *testing.T, when string, want ...bool) func(cs ...*candidate) {
	return func(cs ...*candidate) {
		t.Helper()
		synctest.Wait()
		for i, c := range cs {
			if got := c.leads.Load() == 1; got != want[i] {
				t.Errorf("%s: %s leads: %t, want %t", when, c.name, got, want[i])
			}
			if _, mine := c.holder(); mine != want[i] {
				t.Errorf("%s: %s believes that it leads: %t, want %t", when, c.name, mine, want[i])
			}
		}
	}
}

// faulty is a store in trouble.
type faulty struct {
	state.Store
	mu   sync.Mutex
	swap func(ctx context.Context, old, new []byte) (bool, error) // nil: works
	load func(ctx context.Context) ([]byte, error)
}

func (f *faulty) set(swap func(ctx context.Context, old, new []byte) (bool, error), load func(ctx context.Context) ([]byte, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.swap, f.load = swap, load
}

func (f *faulty) Swap(ctx context.Context, key string, old, new []byte) (bool, error) {
	f.mu.Lock()
	swap := f.swap
	f.mu.Unlock()
	if swap != nil {
		return swap(ctx, old, new)
	}
	return f.Store.Swap(ctx, key, old, new)
}

func (f *faulty) Load(ctx context.Context, key string) ([]byte, error) {
	f.mu.Lock()
	load := f.load
	f.mu.Unlock()
	if load != nil {
		return load(ctx)
	}
	return f.Store.Load(ctx, key)
}

func TestLeaseHasOneHolderAndPassesOnWhenReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &state.Mem{}
		a, b := newCandidate(t, store, t.TempDir(), "a", "host-a"), newCandidate(t, store, t.TempDir(), "b", "host-b")
		a.start()
		pass(time.Second)
		b.start()
		pass(time.Hour)
		wantLeaders(t, "after an hour", true, false)(a, b)
		if name, _ := b.holder(); name != "a" {
			t.Errorf("b says that %q builds", name)
		}
		a.stop()
		pass(leasePoll)
		wantLeaders(t, "after the release", false, true)(a, b)
		if b.fence.Load() != a.fence.Load()+1 {
			t.Errorf("fences %d and %d", a.fence.Load(), b.fence.Load())
		}
		b.stop()
	})
}

func TestLeaseOfADeadHolderIsTakenAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: &state.Mem{}}
		a, b := newCandidate(t, store, t.TempDir(), "a", "host-a"), newCandidate(t, store.Store, t.TempDir(), "b", "host-b")
		a.start()
		pass(time.Second)
		b.start()
		pass(time.Minute)
		// All of a's writes fail from now on, as if it were cut off.
		broken := errors.New("cut off")
		store.set(func(context.Context, []byte, []byte) (bool, error) { return false, broken },
			func(context.Context) ([]byte, error) { return nil, broken })
		pass(leaseTTL - leaseMargin)
		wantLeaders(t, "a gives up in time", false, false)(a, b)
		pass(leaseMargin + leaseRenewal + leasePoll)
		wantLeaders(t, "b takes over", false, true)(a, b)
		store.set(nil, nil)
		pass(time.Minute)
		wantLeaders(t, "a is back", false, true)(a, b)
		a.stop()
		b.stop()
	})
}

// A store that hangs must not keep the holder in its belief.
func TestLeaseEndsInTimeWhenTheStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: &state.Mem{}}
		a := newCandidate(t, store, t.TempDir(), "a", "host-a")
		a.start()
		pass(time.Minute)
		// It does not even listen to the context.
		release := make(chan struct{})
		store.set(func(context.Context, []byte, []byte) (bool, error) { <-release; return false, errors.New("late") },
			func(context.Context) ([]byte, error) { <-release; return nil, errors.New("late") })
		pass(leaseTTL - leaseMargin + time.Millisecond)
		synctest.Wait()
		if _, mine := a.holder(); mine {
			t.Error("it still believes that it leads")
		}
		if a.leads.Load() != 0 {
			t.Error("it still leads")
		}
		store.set(nil, nil)
		close(release)
		a.stop()
	})
}

// A write that failed for the writer may have been done, or be done later.
func TestLeaseSurvivesWritesOfUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := &state.Mem{}
		store := &faulty{Store: mem}
		a := newCandidate(t, store, t.TempDir(), "a", "host-a")
		a.start()
		pass(time.Minute)
		fence := a.fence.Load()
		n := 0
		store.set(func(ctx context.Context, old, new []byte) (bool, error) {
			n++
			switch n % 3 {
			case 0:
				return mem.Swap(ctx, leaseKey, old, new)
			case 1: // done, but the answer is lost, and so is the next one
				mem.Swap(ctx, leaseKey, old, new)
				return false, errors.New("connection reset")
			}
			pass(time.Second)
			return mem.Swap(ctx, leaseKey, old, new)
		}, func(ctx context.Context) ([]byte, error) {
			if n%3 == 1 {
				return nil, errors.New("connection reset")
			}
			return mem.Load(ctx, leaseKey)
		})
		pass(time.Hour)
		wantLeaders(t, "after an hour of that", true)(a)
		if a.fence.Load() != fence {
			t.Errorf("fence %d, want %d: the lease was lost meanwhile", a.fence.Load(), fence)
		}
		store.set(nil, nil)
		a.stop()
	})
}

func TestLeaseThatWasTakenEndsTheTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &state.Mem{}
		a := newCandidate(t, store, t.TempDir(), "a", "host-a")
		a.linger = 5 * time.Second
		a.start()
		pass(time.Second)
		value, err := store.Load(t.Context(), leaseKey)
		if err != nil {
			t.Fatal(err)
		}
		theirs := leaseRecord{Holder: "b", Host: "host-b", Fence: 7}.encode()
		if ok, err := store.Swap(t.Context(), leaseKey, value, theirs); !ok || err != nil {
			t.Fatal(ok, err)
		}
		pass(leaseRenewal)
		synctest.Wait()
		if _, mine := a.fenceNow(); mine {
			t.Error("what is about to publish may still do so")
		}
		pass(a.linger + 2*leasePoll)
		wantLeaders(t, "taken", false)(a)
		if name, _ := a.holder(); name != "b" {
			t.Errorf("holder %q, want b", name)
		}
		pass(leaseTTL)
		wantLeaders(t, "b does not renew", true)(a)
		if a.fence.Load() != 8 {
			t.Errorf("fence %d, want 8", a.fence.Load())
		}
		a.stop()
	})
}

func (c *candidate) fenceNow() (uint64, bool) { return c.lease.fence() }

// On one machine the lock tells at once that the holder is dead.
func TestLeaseOfADeadProcessOnThisMachineIsTakenAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		host string
		want time.Duration
	}{"same machine": {"host-a", 0}, "another": {"host-b", leaseTTL}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &state.Mem{}
				left := leaseRecord{Holder: "dead", Host: "host-a", Fence: 3}.encode()
				if ok, err := store.Swap(t.Context(), leaseKey, nil, left); !ok || err != nil {
					t.Fatal(ok, err)
				}
				a := newCandidate(t, store, t.TempDir(), "a", tt.host)
				start := time.Now()
				a.start()
				for synctest.Wait(); a.leads.Load() == 0; synctest.Wait() {
					pass(leasePoll)
				}
				if got := time.Since(start); got != tt.want {
					t.Errorf("taken after %s, want %s", got, tt.want)
				}
				if a.fence.Load() != 4 {
					t.Errorf("fence %d, want 4", a.fence.Load())
				}
				a.stop()
			})
		})
	}
}

// Where files cannot be locked, a record of this machine may be a living
// process's.
func TestLeaseIsNotRobbedWhereFilesCannotBeLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &state.Mem{}
		a, b := newCandidate(t, store, t.TempDir(), "a", "host"), newCandidate(t, store, t.TempDir(), "b", "host")
		a.start()
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if record, _, _, ok := b.take(ctx, false); ok {
			t.Errorf("b took %+v", record)
		}
		wantLeaders(t, "after a minute", true)(a)
		a.stop()
	})
}

// The fence rises even if the record is lost or damaged; else nothing could be
// published any more.
func TestFenceRisesThoughTheRecordIsLost(t *testing.T) {
	for name, value := range map[string]string{"no record": "", "garbage": "garbage", "another form": `{"holder":7}`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &state.Mem{}
				if value != "" {
					store.Swap(t.Context(), leaseKey, nil, []byte(value))
				}
				a := newCandidate(t, store, t.TempDir(), "a", "host")
				a.floor = func() uint64 { return 41 }
				a.start()
				pass(leaseTTL + leasePoll)
				wantLeaders(t, "after its time", true)(a)
				if a.fence.Load() != 42 {
					t.Errorf("fence %d, want 42", a.fence.Load())
				}
				a.stop()
			})
		})
	}
}

// pass lets time pass in a synctest bubble, where it costs none.
func pass(d time.Duration) { <-time.After(d) }
