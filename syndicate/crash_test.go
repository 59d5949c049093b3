// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/xesite/state"
)

// mortal is what one life of a program sees of the world, a store and a network,
// until it dies at its n-th step: from then on nothing that it does has an effect.
// The last step has had its effect, or has not.
type mortal struct {
	mu    sync.Mutex
	left  int // steps to go; negative: for ever
	after bool
	dead  bool

	onDeath func()
}

var errDead = errors.New("this program is dead")

// step does something, unless the program is dead by then.
func (m *mortal) step(do func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	m.left--
	if m.left != 0 {
		do()
		return nil
	}
	m.dead = true
	defer m.onDeath()
	if m.after {
		do()
	}
	return errDead
}

func (m *mortal) died() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

type mortalStore struct {
	*mortal
	store syndicate.Store
}

func (m mortalStore) Load(ctx context.Context, key string) (value []byte, err error) {
	if dead := m.step(func() { value, err = m.store.Load(ctx, key) }); dead != nil {
		return nil, dead
	}
	return value, err
}

func (m mortalStore) Swap(ctx context.Context, key string, old, new []byte) (won bool, err error) {
	if dead := m.step(func() { won, err = m.store.Swap(ctx, key, old, new) }); dead != nil {
		return false, dead
	}
	return won, err
}

func (m mortalStore) Keys(ctx context.Context, prefix string) (keys []string, err error) {
	if dead := m.step(func() { keys, err = m.store.Keys(ctx, prefix) }); dead != nil {
		return nil, dead
	}
	return keys, err
}

// wall is a network as it is: what was announced, with the text that it has now.
type wall struct {
	mu    sync.Mutex
	texts map[string]string // by id of the announcement
	sends map[string]int    // by id of the post
}

func newWall() *wall { return &wall{texts: map[string]string{}, sends: map[string]int{}} }

func (w *wall) set(id, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts[id] = text
}

// poor is how a program sees a wall that cannot be looked at.
type poor struct {
	*mortal
	*wall
}

func (p poor) Send(_ context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	err := p.step(func() {
		p.set("on "+a.ID, string(a.Body))
		p.mu2(func() { p.sends[a.ID]++ })
	})
	return receiptOf(a.ID), err
}

func (p poor) mu2(do func()) {
	p.wall.mu.Lock()
	defer p.wall.mu.Unlock()
	do()
}

func (p poor) Edit(_ context.Context, a syndicate.Attempt, r syndicate.Receipt) (syndicate.Receipt, error) {
	return r, p.step(func() { p.set(r.ID, string(a.Body)) })
}

func (p poor) Delete(_ context.Context, r syndicate.Receipt) error {
	return p.step(func() { p.mu2(func() { delete(p.texts, r.ID) }) })
}

// rich is one that can be looked at.
type rich struct{ poor }

func (r rich) Reconcile(_ context.Context, a syndicate.Attempt) (found syndicate.Receipt, err error) {
	dead := r.step(func() {
		err = syndicate.ErrAbsent
		r.mu2(func() {
			if _, ok := r.texts["on "+a.ID]; ok {
				found, err = receiptOf(a.ID), nil
			}
		})
	})
	return found, errors.Join(dead, err)
}

// life is one life of a program: it tells of the posts as they are at that time,
// takes one back at last, and does what is to be done. The time goes on when it
// was told, as a host keeps in mind which release it has told of.
func life(t *testing.T, m *mortal, store syndicate.Store, target syndicate.Target, stage *int) {
	s, err := syndicate.New(syndicate.Config{
		Store: mortalStore{m, store}, Targets: one(target), Page: syndicate.Page{Off: true}, Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.onDeath = cancel // the dead do not wait either
	for ; *stage < 4; *stage++ {
		posts := []syndicate.Post{fresh("old"), fresh("a"), fresh("b"), fresh("c")}
		for i := range posts {
			posts[i].Published = epoch.Add(-time.Hour)
		}
		if *stage == 0 {
			posts = posts[:1]
		}
		if *stage >= 2 {
			posts[1].Title = "Better"
		}
		err := s.Observe(ctx, posts)
		if *stage == 3 {
			// What is not announced cannot be taken back.
			if err = s.Delete(ctx, "net", posts[3].Key()); errors.Is(err, syndicate.ErrState) {
				err = nil
			}
		}
		if m.died() {
			return
		}
		if err = errors.Join(err, s.Drain(ctx)); m.died() {
			return
		}
		if err != nil {
			t.Errorf("stage %d: %v", *stage, err)
		}
	}
	if s.Drain(ctx) != nil && !m.died() {
		t.Error("it does not come to an end")
	}
}

// epoch is when time begins in a synctest bubble.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func TestACrashAtAnyStepLosesAndDoublesNothing(t *testing.T) {
	for _, can := range []string{"rich", "poor"} {
		t.Run(can, func(t *testing.T) {
			deaths := 0
			for _, after := range []bool{false, true} {
				for n := 1; ; n++ {
					died := false
					synctest.Test(t, func(t *testing.T) { died = dieAndGoOn(t, can, func() (int, bool) { return n, after }, 1) })
					if !died {
						break
					}
					deaths++
				}
			}
			// Once more, with many deaths in a row.
			rng := rand.New(rand.NewPCG(1, 2))
			for range need.Times(100, 2000) {
				synctest.Test(t, func(t *testing.T) {
					dieAndGoOn(t, can, func() (int, bool) { return 1 + rng.IntN(40), rng.IntN(2) == 0 }, 8)
				})
			}
			t.Logf("%d steps to die at", deaths)
		})
	}
}

// dieAndGoOn has programs die, the first ones early, and then one that lives.
// After that all must be as it should.
func dieAndGoOn(t *testing.T, can string, when func() (int, bool), lives int) (died bool) {
	w, store := newWall(), new(state.Mem)
	stage := 0
	run := func(m *mortal) {
		var target syndicate.Target = poor{m, w}
		if can == "rich" {
			target = rich{poor{m, w}}
		}
		life(t, m, store, target, &stage)
	}
	var last *mortal
	for range lives {
		last = new(mortal)
		last.left, last.after = when()
		run(last)
		died = died || last.died()
	}
	alive := &mortal{left: -1}
	run(alive)
	checkWall(t, w, store, can == "rich", fmt.Sprintf("died at %d, after=%t", last.left, last.after))
	return died
}

func checkWall(t *testing.T, w *wall, store syndicate.Store, exactly bool, how string) {
	t.Helper()
	s, err := syndicate.New(syndicate.Config{Store: store, Targets: one(&full{}), Page: syndicate.Page{Off: true}})
	if err != nil {
		t.Fatal(err)
	}
	all := states(t, s)
	if strings.Contains(all, "planned") || strings.Contains(all, "attempting") {
		t.Errorf("%s: something is left to do: %s", how, all)
	}
	if w.sends["old"] != 0 {
		t.Errorf("%s: the post from before was announced: %s", how, all)
	}
	for _, id := range []string{"a", "b", "c"} {
		parked := strings.Contains(all, "announce "+id+" parked unknown")
		switch n := w.sends[id]; {
		case n > 1, n == 0 && (exactly || !parked), parked && exactly:
			t.Errorf("%s: %s was announced %d times: %s", how, id, n, all)
		}
	}
	if !exactly {
		return
	}
	texts := fmt.Sprint(slices.Sorted(maps.Values(w.texts)))
	if !strings.Contains(texts, "Better") || strings.Contains(texts, "Post a") || len(w.texts) != 2 {
		t.Errorf("%s: at the end there is %q: %s", how, texts, all)
	}
}
