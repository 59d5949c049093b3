// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/state"
)

// onlyOne is a builder that notices another one at work.
type onlyOne struct {
	t       *testing.T
	running atomic.Int32
	proceed chan struct{} // nil: at once
	started chan string
}

func (o *onlyOne) Build(ctx context.Context, in xesite.BuildInput) error {
	if o.running.Add(1) > 1 {
		o.t.Error("two instances build")
	}
	defer o.running.Add(-1)
	if o.started != nil {
		o.started <- in.Revision.ID
		select {
		case <-o.proceed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return xesite.Copy().Build(ctx, in)
}

func TestOneOfSeveralInstancesBuilds(t *testing.T) {
	dir, source, builder := t.TempDir(), &fakeSource{}, &onlyOne{t: t}
	source.set("c0")
	open := func(name string) *rig {
		return openRig(t, dir, "unused", func(cfg *xesite.Config) {
			cfg.Source, cfg.Builder, cfg.Instance = source, builder, name
		}).run()
	}
	sites := []*rig{open("a"), open("b"), open("c")}
	show := func(page string) {
		t.Helper()
		for _, r := range sites {
			wait.Until(t, r.cfg.Instance+" shows "+page, func() bool { _, body := r.page("/"); return body == page })
		}
	}
	show("c0")
	for i := 1; i <= 4; i++ {
		page := fmt.Sprint("c", i)
		source.set(page)
		// Wherever the hook lands.
		if _, err := sites[i%len(sites)].Trigger(t.Context(), pushed(page)); err != nil {
			t.Fatal(err)
		}
		show(page)
		if i == 3 { // the builder leaves
			leaver := sites[0].Status().Builder
			for j, r := range sites {
				if r.cfg.Instance == leaver {
					r.stop()
					sites = append(sites[:j:j], sites[j+1:]...)
					break
				}
			}
			wait.Until(t, "somebody else builds", func() bool {
				st := sites[0].Status()
				return st.Builder != leaver && st.Builder != ""
			})
		}
	}
}

// The others cannot do what only the builder may, and say whom to ask.
func TestFollowerNamesTheBuilder(t *testing.T) {
	dir, source := t.TempDir(), &fakeSource{}
	source.set("c1")
	a := fakeRig(t, dir, source, func(cfg *xesite.Config) { cfg.Instance = "a" })
	b := openRig(t, dir, "unused", func(cfg *xesite.Config) { cfg.Source, cfg.Instance = source, "b" }).run()
	wait.Until(t, "b knows who builds", func() bool { return b.Status().Builder == "a" })
	cur, _ := a.Current()
	var elsewhere *xesite.NotBuilderError
	if _, err := b.Rollback(t.Context(), cur.Release); !errors.As(err, &elsewhere) || elsewhere.Holder != "a" {
		t.Errorf("rollback: %v", err)
	}
	ticket, err := b.Trigger(t.Context(), rebuildNow())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ticket.Wait(t.Context()); !errors.As(err, &elsewhere) || !strings.Contains(err.Error(), "ask a") {
		t.Errorf("wait: %v", err)
	}
	wait.Until(t, "a builds for b", func() bool { last := a.Status().Last; return last != nil && last.Number == 2 })
}

func TestRollingUpdateDuringABuild(t *testing.T) {
	dir, source := t.TempDir(), &fakeSource{}
	source.set("c1")
	builder := &onlyOne{t: t, started: make(chan string), proceed: make(chan struct{})}
	open := func(name string) *rig {
		return openRig(t, dir, "unused", func(cfg *xesite.Config) {
			cfg.Source, cfg.Builder, cfg.Instance = source, builder, name
		})
	}
	old := open("old").run()
	<-builder.started
	builder.proceed <- struct{}{}
	wait.Until(t, "old serves", old.Ready)

	source.set("c2")
	cut, err := old.Trigger(t.Context(), pushed("c2"))
	if err != nil {
		t.Fatal(err)
	}
	<-builder.started
	next := open("next") // while old builds
	next.expectPage("/", 200, "c1")
	next.run()
	waiting, err := next.Trigger(t.Context(), pushed("c2"))
	if err != nil {
		t.Fatal(err)
	}
	old.stop()
	if b, err := cut.Wait(t.Context()); err != nil || b.Result != xesite.ResultSuperseded {
		t.Errorf("the build that was cut: %+v, %v", b, err)
	}
	if commit := <-builder.started; commit != "c2" {
		t.Errorf("next builds %s", commit)
	}
	builder.proceed <- struct{}{}
	wait.Until(t, "next shows c2", func() bool { _, body := next.page("/"); return body == "c2" })
	old.expectPage("/", 200, "c1") // whoever is still connected
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	waiting.Wait(ctx) // ends, either way
	if ctx.Err() != nil {
		t.Error("the ticket of the update did not end")
	}
}

// A builder that was taken for dead must neither go on nor publish.
func TestBuilderThatLostItsLeaseCannotPublish(t *testing.T) {
	store := &state.Mem{}
	source := &fakeSource{}
	source.set("c1")
	deaf := make(chan struct{})
	var building atomic.Bool
	r := fakeRig(t, t.TempDir(), source, func(cfg *xesite.Config) {
		cfg.State = store
		cfg.Builder = xesite.BuilderFunc(func(ctx context.Context, in xesite.BuildInput) error {
			if in.Revision.ID == "c2" {
				building.Store(true)
				<-deaf // it does not listen to its context
			}
			return xesite.Copy().Build(context.WithoutCancel(ctx), in)
		})
	})
	source.set("c2")
	ticket, err := r.Trigger(t.Context(), pushed("c2"))
	if err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "it builds", building.Load)
	// Another machine takes the lease, as if this one had stood still.
	wait.Until(t, "the lease is taken", func() bool {
		value, err := store.Load(t.Context(), "lease/builder")
		if err != nil {
			t.Fatal(err)
		}
		ok, err := store.Swap(t.Context(), "lease/builder", value, []byte(`{"holder":"other","host":"elsewhere","fence":99,"nonce":"x"}`))
		return ok && err == nil
	})
	first, _ := r.Current()
	wait.Until(t, "it notices", func() bool {
		_, err := r.Rollback(t.Context(), first.Release)
		return err != nil
	})
	before, _ := r.Current()
	close(deaf)
	if b, err := ticket.Wait(t.Context()); err != nil || b.Result != xesite.ResultSuperseded {
		t.Errorf("%+v, %v", b, err)
	}
	if cur, _ := r.Current(); cur.Sequence != before.Sequence || cur.Commit != "c1" {
		t.Errorf("published %+v", cur)
	}
}

func TestLostRecordOfTheLeaseDoesNotStopPublishing(t *testing.T) {
	dir, source := t.TempDir(), &fakeSource{}
	source.set("c1")
	for i := range 3 { // three terms
		r := fakeRig(t, dir, source, nil)
		source.set(fmt.Sprint("c", i+2))
		r.expect(r.trigger(pushed("")), xesite.ResultPublished)
		r.stop()
	}
	if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
	r := fakeRig(t, dir, source, nil)
	source.set("c9")
	r.expect(r.trigger(pushed("c9")), xesite.ResultPublished)
	r.expectPage("/", 200, "c9")
}

// brokenStore fails as long as it is told to.
type brokenStore struct {
	state.Store
	broken atomic.Bool
}

func (s *brokenStore) Load(ctx context.Context, key string) ([]byte, error) {
	if s.broken.Load() {
		return nil, errors.New("no route to the store")
	}
	return s.Store.Load(ctx, key)
}

func (s *brokenStore) Swap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if s.broken.Load() {
		return false, errors.New("no route to the store")
	}
	return s.Store.Swap(ctx, key, old, new)
}

func TestStoreThatIsAwayAtStartIsWaitedFor(t *testing.T) {
	dir, source := t.TempDir(), &fakeSource{}
	source.set("c1")
	fakeRig(t, dir, source, nil).stop()
	store := &brokenStore{Store: &state.Mem{}}
	store.broken.Store(true)
	source.set("c2")
	r := openRig(t, dir, "unused", func(cfg *xesite.Config) { cfg.Source, cfg.Builder, cfg.State = source, nil, store }).run()
	r.expectPage("/", 200, "c1")
	wait.Until(t, "it complains", func() bool { return strings.Contains(r.logs.String(), "no route to the store") })
	ticket, err := r.Trigger(t.Context(), pushed("c2"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := ticket.Wait(ctx); err == nil {
		t.Error("built without a lease")
	}
	if n := strings.Count(r.logs.String(), "no route to the store"); n > 3 {
		t.Errorf("it complained %d times", n)
	}
	store.broken.Store(false)
	if b, err := ticket.Wait(t.Context()); err != nil || b.Commit != "c2" {
		t.Errorf("%+v, %v", b, err)
	}
}
