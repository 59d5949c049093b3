// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/xesite/state"
)

// composer is a network whose bodies and whose answers are as told.
type composer struct {
	full
	compose func(syndicate.Message) ([]byte, error)
	receipt func(syndicate.Attempt) syndicate.Receipt
}

func (c *composer) Compose(_ context.Context, m syndicate.Message) ([]byte, error) {
	if c.compose == nil {
		return json.Marshal(m.Text[:100])
	}
	return c.compose(m)
}

func (c *composer) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	r, err := c.full.Send(ctx, a)
	if c.receipt != nil {
		r = c.receipt(a)
	}
	return r, err
}

func TestWhatIsTooLongForARecordHoldsNothingUp(t *testing.T) {
	long := strings.Repeat("x<&\"", 40000)
	for name, n := range map[string]*composer{
		"body": {compose: func(m syndicate.Message) ([]byte, error) {
			return []byte(`"` + strings.Repeat("<", syndicate.MaxBody-2) + `"`), nil
		}},
		"body that is not taken": {compose: func(m syndicate.Message) ([]byte, error) {
			return []byte(`"` + strings.Repeat("<", syndicate.MaxBody) + `"`), nil
		}},
		"no body": {compose: func(m syndicate.Message) ([]byte, error) { return []byte("<html>"), nil }},
		"error": {full: full{network{fail: func(i int, _ syndicate.Attempt) (bool, error) {
			switch i {
			case 1:
				return false, &syndicate.Error{Err: errors.New(long), NotSent: true}
			case 2:
				return true, errors.New(long)
			}
			return true, nil
		}}}},
		"receipt": {receipt: func(syndicate.Attempt) syndicate.Receipt { return syndicate.Receipt{ID: long, URL: long} }},
		"nothing": {receipt: func(syndicate.Attempt) syndicate.Receipt { return syndicate.Receipt{} }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := begun(t, syndicate.Config{Targets: one(n)})
				p := fresh("a")
				p.ID = strings.Repeat(`"`, 2048)
				p.URL += "?" + strings.Repeat("&", 2000)
				p.Title, p.Summary, p.ContentHTML = long, long, long
				observe(t, s, p)
				drain(t, s)
				entries, err := s.Entries(t.Context())
				if err != nil || len(entries) != 1 {
					t.Fatalf("%d entries, %v", len(entries), err)
				}
				want := syndicate.Confirmed
				if strings.Contains(name, "no") && name != "nothing" {
					want = syndicate.Parked
				}
				if e := entries[0]; e.State != want || len(e.Error)+len(e.Receipt.ID) > 4096 {
					t.Errorf("%s %s: %.300s", e.State, e.Reason, e.Error)
				}
			})
		})
	}
}

func TestADamagedRecordStopsOnlyItsPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, n, other := new(state.Mem), &full{}, &full{}
		cfg := syndicate.Config{Store: store, Targets: map[string]syndicate.Destination{"net": {Target: n}, "other": {Target: other}}}
		begun(t, cfg)
		key := "syndicate/outbox/net/announce/" + fresh("a").Key()
		put(t, store, key, "{half")
		s := begun2(t, cfg)
		err := s.Observe(t.Context(), []syndicate.Post{fresh("a"), fresh("b")})
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("Observe = %v, want an error that names %s", err, key)
		}
		drain(t, s)
		wantGot(t, n, "b")
		wantGot(t, other, "a", "b")
		if got := states(t, s); !strings.Contains(got, "announce  parked damaged") {
			t.Errorf("entries: %s", got)
		}
		if raw, err := store.Load(t.Context(), key); err != nil || string(raw) != "{half" {
			t.Errorf("the damaged record became %s, %v", raw, err)
		}
		// A person has looked.
		if err := s.Retry(t.Context(), "net", fresh("a").Key()); err != nil {
			t.Fatal(err)
		}
		drain(t, s)
		observe(t, s, fresh("a"), fresh("b"))
		wantGot(t, n, "b", "a")

		// Without the list of those that were seen nothing can be new.
		put(t, store, "syndicate/seen/net/0", "{half")
		if err := s.Observe(t.Context(), []syndicate.Post{fresh("c")}); err == nil || !strings.Contains(err.Error(), "seen/net/0") {
			t.Errorf("Observe = %v", err)
		}
		drain(t, s)
		wantGot(t, n, "b", "a")
		wantGot(t, other, "a", "b", "c")
	})
}

// begun2 is begun for records that are not as they should be.
func begun2(t *testing.T, cfg syndicate.Config) *syndicate.Syndicator {
	t.Helper()
	cfg.Page.Off = true
	s, err := syndicate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put writes a record, whatever was there.
func put(t *testing.T, store *state.Mem, key, value string) {
	t.Helper()
	old, _ := store.Load(t.Context(), key)
	if ok, err := store.Swap(t.Context(), key, old, []byte(value)); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

// unreadable is a store that does not give away one record.
type unreadable struct {
	syndicate.Store
	key atomic.Value
}

func (u *unreadable) Load(ctx context.Context, key string) ([]byte, error) {
	if u.key.Load() == key {
		return nil, errors.New("input/output error")
	}
	return u.Store.Load(ctx, key)
}

func TestARecordThatCannotBeLoadedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		store := &unreadable{Store: new(state.Mem)}
		cfg := syndicate.Config{Store: store, Targets: one(n)}
		observe(t, begun(t, cfg), fresh("a"))
		store.key.Store("syndicate/outbox/net/announce/" + fresh("a").Key())
		s := begun2(t, cfg)
		if err := s.Observe(t.Context(), []syndicate.Post{fresh("a"), fresh("b")}); err == nil {
			t.Error("Observe does not tell")
		}
		if err := s.Retry(t.Context(), "net", fresh("a").Key()); err == nil {
			t.Error("Retry of what cannot be read")
		}
		drain(t, s)
		wantGot(t, n, "b")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Run(ctx)
		pass(time.Hour)
		wantGot(t, n, "b")
		store.key.Store("")
		pass(time.Hour)
		wantGot(t, n, "b", "a")
	})
}

// site answers for pages, without a socket.
type site func(path string) (status int, location, body string)

func (s site) RoundTrip(r *http.Request) (*http.Response, error) {
	status, location, body := s(r.URL.Path)
	if status == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	if location != "" {
		w.Header().Set("Location", location)
	}
	w.WriteHeader(status)
	w.WriteString(body)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func TestPagesAreWaitedForFromTheFirstLookOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store := &full{}, new(state.Mem)
		var up atomic.Bool
		cfg := syndicate.Config{Store: store, Targets: one(n), Page: syndicate.Page{Client: &http.Client{Transport: site(func(string) (int, string, string) {
			if up.Load() {
				return 200, "", ""
			}
			return 404, "", ""
		})}}}
		planned, err := syndicate.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		observe(t, planned)
		observe(t, planned, fresh("a"))
		pass(5 * time.Hour) // nobody runs
		s, err := syndicate.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Run(ctx)
		pass(30 * time.Minute)
		wantStates(t, s, "announce a planned")
		pass(40 * time.Minute)
		wantStates(t, s, "announce a parked page")
		if err := s.Retry(t.Context(), "net", fresh("a").Key()); err != nil {
			t.Fatal(err)
		}
		pass(30 * time.Minute)
		wantStates(t, s, "announce a planned")
		up.Store(true)
		pass(2 * time.Minute)
		wantGot(t, n, "a")
	})
}

func TestOnlyThePostsOwnPageIsItsPage(t *testing.T) {
	for name, tt := range map[string]struct {
		site     site
		external bool
		up       bool
	}{
		"plain":     {site: func(string) (int, string, string) { return 200, "", "hello" }, up: true},
		"canonical": {site: func(string) (int, string, string) { return 200, "", `<link rel=canonical href="https://me.example/a">` }, up: true},
		"relative":  {site: func(string) (int, string, string) { return 200, "", `<link href=/a rel="x CANONICAL">` }, up: true},
		"http and utm": {site: func(string) (int, string, string) {
			return 200, "", `<link rel=canonical href="http://me.example/a/?utm_source=x">`
		}, up: true},
		"another page": {site: func(string) (int, string, string) { return 200, "", `<link rel=canonical href="https://me.example/b">` }},
		"in a comment": {site: func(string) (int, string, string) {
			return 200, "", `<!--><link rel=canonical href="https://me.example/b"><!-- -->`
		}},
		"404":                   {site: func(string) (int, string, string) { return 404, "", "" }},
		"hangs":                 {site: func(string) (int, string, string) { return 0, "", "" }},
		"huge":                  {site: func(string) (int, string, string) { return 200, "", strings.Repeat("<p ", 2<<20) }, up: true},
		"external, forbidden":   {site: func(string) (int, string, string) { return 403, "", "" }, external: true, up: true},
		"external, not there":   {site: func(string) (int, string, string) { return 404, "", "" }, external: true},
		"external, of its own":  {site: func(string) (int, string, string) { return 200, "", `<link rel=canonical href="https://b.example/b">` }, external: true, up: true},
		"moved, with a slash":   {site: redirect("/a/", `<link rel=canonical href="/a/">`), up: true},
		"moved to the www host": {site: redirect("https://www.me.example/a/x", `<link rel=canonical href="/a/x">`), up: true},
		"sent to the front":     {site: redirect("/", `<link rel=canonical href="https://me.example/">`)},
		"sent in circles":       {site: func(p string) (int, string, string) { return 302, p, "" }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &full{}
				s, err := syndicate.New(syndicate.Config{Store: new(state.Mem), Targets: one(n), Page: syndicate.Page{Client: &http.Client{Transport: tt.site}}})
				if err != nil {
					t.Fatal(err)
				}
				observe(t, s)
				p := fresh("a")
				p.External = tt.external
				noPage := syndicate.Post{ID: "note", Title: "Note", Published: p.Published.Add(time.Second)}
				observe(t, s, p, noPage)
				start := time.Now()
				drain(t, s)
				want := "announce a parked page, announce note confirmed"
				if tt.up {
					want = "announce a confirmed, announce note confirmed"
				}
				wantStates(t, s, want)
				if took := time.Since(start); took > 65*time.Minute {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func redirect(to, body string) site {
	return func(path string) (int, string, string) {
		if path == "/a" {
			return 302, to, ""
		}
		return 200, "", body
	}
}

func TestAPersonNeedNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		down := true
		n.fail = func(int, syndicate.Attempt) (bool, error) {
			if down {
				return false, &syndicate.Error{Err: errors.New("not now"), NotSent: true, RetryAfter: 5000 * time.Hour}
			}
			return true, nil
		}
		s := begun(t, syndicate.Config{Targets: one(n)})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Run(ctx)
		observe(t, s, fresh("a"), fresh("b"))
		synctest.Wait()
		down = false
		if err := s.Retry(t.Context(), "net", fresh("a").Key()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantGot(t, n, "a")
		pass(50 * time.Hour) // and no network holds something for a year
		wantGot(t, n, "a", "b")
	})
}

func TestAPostThatComesOutWhileTheTargetIsBusyIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{network{took: 40 * time.Second}}
		n.fail = func(i int, _ syndicate.Attempt) (bool, error) {
			return i > 1, map[bool]error{true: &syndicate.Error{Err: errors.New("no"), NotSent: true, Refused: true}}[i == 1]
		}
		s := begun(t, syndicate.Config{Targets: one(n)})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		future := fresh("future")
		future.Published = time.Now().Add(20 * time.Second)
		observe(t, s, fresh("a"), future)
		go s.Run(ctx)
		pass(10 * time.Minute)
		wantGot(t, n, "future")

		// Nor does it matter that nobody worked at that time.
		stop()
		future2 := fresh("future2")
		future2.Published = time.Now().Add(20 * time.Second)
		observe(t, s, fresh("a"), future, future2)
		pass(10 * time.Minute)
		drain(t, s)
		wantGot(t, n, "future", "future2")
	})
}

// hopeless is a network about which nobody ever knows anything.
type hopeless struct {
	full
	sure bool // it says that it has not got it
}

func (h *hopeless) Reconcile(context.Context, syndicate.Attempt) (syndicate.Receipt, error) {
	if h.sure {
		return syndicate.Receipt{}, syndicate.ErrAbsent
	}
	return syndicate.Receipt{}, errors.New("who knows")
}

func (h *hopeless) Edit(context.Context, syndicate.Attempt, syndicate.Receipt) (syndicate.Receipt, error) {
	return syndicate.Receipt{}, errors.New("status 500")
}

func (h *hopeless) Delete(context.Context, syndicate.Receipt) error { return errors.New("status 500") }

func TestNothingIsTriedForEver(t *testing.T) {
	for _, sure := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := &hopeless{sure: sure}
			n.fail = func(int, syndicate.Attempt) (bool, error) { return false, errors.New("status 500") }
			s := begun(t, syndicate.Config{Targets: one(n)})
			observe(t, s, fresh("a"))
			drain(t, s)
			wantStates(t, s, "announce a parked "+map[bool]string{true: "gave up", false: "unknown"}[sure])
			if err := s.Confirm(t.Context(), "net", fresh("a").Key(), ""); err != nil {
				t.Fatal(err)
			}
			n.fail = nil
			b := fresh("b")
			observe(t, s, b)
			drain(t, s)
			b.Title = "Better"
			observe(t, s, b)
			if err := s.Delete(t.Context(), "net", b.Key()); err != nil {
				t.Fatal(err)
			}
			drain(t, s)
			wantStates(t, s, "announce a confirmed, announce b confirmed, delete b parked gave up, edit b parked gave up")
		})
	}
}

func TestATargetThatPanicsStopsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, alive := &composer{}, &full{}
		n.fail = func(int, syndicate.Attempt) (bool, error) { panic("send") }
		n.compose = func(m syndicate.Message) ([]byte, error) {
			if m.Post.ID == "b" {
				panic("compose")
			}
			return []byte("1"), nil
		}
		s := begun(t, syndicate.Config{
			Targets: map[string]syndicate.Destination{"net": {Target: panicky{n}}, "alive": {Target: alive}},
			OnEvent: func(syndicate.Event) { panic("event") },
		})
		observe(t, s, fresh("a"), fresh("b"))
		drain(t, s)
		got := states(t, s)
		for _, want := range []string{"announce a parked unknown", "announce b parked gave up"} {
			if !strings.Contains(got, want) {
				t.Errorf("entries: %s, want %s", got, want)
			}
		}
		wantGot(t, alive, "a", "b")
		if p, err := s.Preview(t.Context(), fresh("b")); err != nil || len(p) != 2 || !strings.Contains(p[1].Error, "panicked") {
			t.Errorf("Preview = %+v, %v", p, err)
		}
	})
}

// panicky is a composer that can do nothing else.
type panicky struct{ c *composer }

func (p panicky) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	p.c.fail(0, a)
	return syndicate.Receipt{}, nil
}

func (p panicky) Compose(ctx context.Context, m syndicate.Message) ([]byte, error) {
	return p.c.Compose(ctx, m)
}

func TestErrorsThatSayNothingAreErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var none *syndicate.Error
		for _, err := range []error{&syndicate.Error{}, none, fmt.Errorf("wrapped: %w", &syndicate.Error{Err: errors.New("x")}), syndicate.ErrAbsent} {
			n := &network{fail: func(int, syndicate.Attempt) (bool, error) { return true, err }}
			s := begun(t, syndicate.Config{Targets: one(n)})
			observe(t, s, fresh("a"))
			drain(t, s)
			wantStates(t, s, "announce a parked unknown")
		}
		n := &full{}
		n.fail = func(i int, _ syndicate.Attempt) (bool, error) {
			return i > 1, map[bool]error{true: fmt.Errorf("wrapped: %w", &syndicate.Error{Err: errors.New("x"), NotSent: true})}[i == 1]
		}
		s := begun(t, syndicate.Config{Targets: one(n)})
		observe(t, s, fresh("a"))
		drain(t, s)
		wantGot(t, n, "a")
	})
}

func TestRetryDoesNotReviveAForgottenRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &editRefuser{}
		store := new(state.Mem)
		cfg := syndicate.Config{Store: store, Targets: one(n)}
		s := begun(t, cfg)
		a := fresh("a")
		observe(t, s, a)
		drain(t, s)
		if err := errors.Join(s.Delete(t.Context(), "net", a.Key()), s.Forget(t.Context(), "net", a.Key())); err != nil {
			t.Fatal(err)
		}
		other := begun(t, cfg) // has seen that it is forgotten
		n.refuse = true
		a.Title = "Better"
		observe(t, s, a)
		drain(t, s)
		wantStates(t, s, "announce a confirmed, delete a forgotten, edit a parked refused")
		n.refuse = false
		if err := other.Retry(t.Context(), "net", a.Key()); err != nil {
			t.Fatal(err)
		}
		// What one instance has revived another one finds.
		drain(t, s)
		wantStates(t, s, "announce a confirmed, delete a forgotten, edit a confirmed")
		if len(n.deleted) != 0 {
			t.Errorf("deleted %q", n.deleted)
		}
		// Refused, and changed again.
		n.refuse = true
		a.Title = "Bad"
		observe(t, s, a)
		drain(t, s)
		n.refuse = false
		a.Title = "Best"
		observe(t, s, a)
		drain(t, s)
		if last := n.edited[len(n.edited)-1]; !strings.Contains(last, "Best") {
			t.Errorf("edits %q", n.edited)
		}
		// An address that was wrong can be set right; and that is all.
		if err := errors.Join(s.Confirm(t.Context(), "net", a.Key(), ""), s.Confirm(t.Context(), "net", a.Key(), "https://network.example/right")); err != nil {
			t.Fatal(err)
		}
		links, err := s.Links(t.Context())
		if err != nil || len(links) != 1 || links[0].Links[0].URL != "https://network.example/right" {
			t.Errorf("Links = %v, %v", links, err)
		}
	})
}

type editRefuser struct {
	full
	refuse bool
}

func (n *editRefuser) Edit(ctx context.Context, a syndicate.Attempt, r syndicate.Receipt) (syndicate.Receipt, error) {
	if n.refuse {
		return r, &syndicate.Error{Err: errors.New("no"), NotSent: true, Refused: true}
	}
	return n.full.Edit(ctx, a, r)
}

func TestAPostThatItsAuthorKeepsBackInTimeIsNotAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		s := begun(t, syndicate.Config{Targets: one(n)})
		a, skip := fresh("a"), true
		observe(t, s, a)
		a.Overrides = map[string]syndicate.Override{"net": {Skip: &skip}}
		observe(t, s, a)
		drain(t, s)
		wantGot(t, n)
		wantStates(t, s, "announce a forgotten skipped")
		a.Overrides = nil
		observe(t, s, a)
		drain(t, s)
		wantGot(t, n, "a")
	})
}

// exclusive notes whether it is called while it is called.
type exclusive struct {
	full
	busy, doubled atomic.Int32
}

func (e *exclusive) enter() func() {
	if e.busy.Add(1) > 1 {
		e.doubled.Add(1)
	}
	<-time.After(time.Second)
	return func() { e.busy.Add(-1) }
}

func (e *exclusive) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	defer e.enter()()
	return e.full.Send(ctx, a)
}

func (e *exclusive) Compose(_ context.Context, m syndicate.Message) ([]byte, error) {
	defer e.enter()()
	return json.Marshal(m.Text)
}

func (e *exclusive) Recover(ctx context.Context, posts []syndicate.Post) (map[string]syndicate.Receipt, error) {
	defer e.enter()()
	return e.full.Recover(ctx, posts)
}

func TestATargetIsCalledByOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &exclusive{}
		s := begun(t, syndicate.Config{Targets: one(n)})
		observe(t, s, fresh("a"), fresh("b"))
		var all sync.WaitGroup
		all.Go(func() { drain(t, s) })
		all.Go(func() { s.Preview(t.Context(), fresh("c")) })
		all.Go(func() { s.Recover(t.Context(), []syndicate.Post{fresh("a"), fresh("b")}) })
		all.Wait()
		if n.doubled.Load() > 0 {
			t.Errorf("%d calls at the same time as others", n.doubled.Load())
		}
		wantGot(t, n, "a", "b")
	})
}

func TestSeedingThatIsCutOffBeginsAnew(t *testing.T) {
	var posts []syndicate.Post
	for i := range 6500 {
		posts = append(posts, syndicate.Post{ID: fmt.Sprint("p", i), Title: "x", Published: epoch.Add(-time.Hour)})
	}
	for n := 1; ; n++ {
		died := false
		synctest.Test(t, func(t *testing.T) {
			w, store := newWall(), new(state.Mem)
			m := &mortal{left: n, onDeath: func() {}}
			for i, m := range []*mortal{m, {left: -1}} {
				s, err := syndicate.New(syndicate.Config{Store: mortalStore{m, store}, Targets: one(rich{poor{m, w}}), Page: syndicate.Page{Off: true}, MaxPerRun: -1})
				if err != nil {
					t.Fatal(err)
				}
				err = s.Observe(t.Context(), posts[i:])
				if !m.died() {
					err = errors.Join(err, s.Drain(t.Context()))
				}
				died = died || m.died()
				if err != nil && !m.died() {
					t.Error(err)
				}
			}
			if len(w.sends) > 0 {
				t.Errorf("death at %d: %d posts were announced", n, len(w.sends))
			}
		})
		if !died {
			break
		}
	}
}

// slow is a store and a network that take their time, each time another one.
type slow struct {
	syndicate.Store
	rng *rand.Rand
	mu  sync.Mutex
}

func (s *slow) nap() {
	s.mu.Lock()
	d := time.Duration(s.rng.Int64N(int64(3 * time.Second)))
	if s.rng.IntN(12) == 0 {
		d += 40 * time.Second // the lid was closed
	}
	s.mu.Unlock()
	<-time.After(d)
}

func (s *slow) Load(ctx context.Context, key string) ([]byte, error) {
	s.nap()
	return s.Store.Load(ctx, key)
}

func (s *slow) Swap(ctx context.Context, key string, old, new []byte) (bool, error) {
	s.nap()
	defer s.nap()
	return s.Store.Swap(context.WithoutCancel(ctx), key, old, new)
}

type slowNet struct {
	rich
	s *slow
}

func (n slowNet) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	r, err := n.rich.Send(ctx, a)
	n.s.nap()
	return r, err
}

func TestInstancesThatAreHeldUpDoubleNothing(t *testing.T) {
	for seed := range uint64(need.Times(60, 2000)) {
		synctest.Test(t, func(t *testing.T) {
			w, store := newWall(), new(state.Mem)
			begun(t, syndicate.Config{Store: store, Targets: one(&full{}), Logger: slog.New(slog.DiscardHandler)})
			var all sync.WaitGroup
			for i := range uint64(3) {
				all.Go(func() {
					sl := &slow{Store: store, rng: rand.New(rand.NewPCG(seed, i))}
					target := slowNet{rich{poor{&mortal{left: -1}, w}}, sl}
					s, err := syndicate.New(syndicate.Config{Store: sl, Targets: one(target), Page: syndicate.Page{Off: true}, Timeout: 20 * time.Second})
					if err != nil {
						t.Error(err)
						return
					}
					a, b := fresh("a"), fresh("b")
					if err := s.Observe(t.Context(), []syndicate.Post{a, b}); err != nil {
						t.Error(err)
					}
					if err := s.Drain(t.Context()); err != nil {
						t.Error(err)
					}
					a.Title = "Better"
					if err := errors.Join(s.Observe(t.Context(), []syndicate.Post{a, b}), s.Drain(t.Context())); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			s := begun2(t, syndicate.Config{Store: store, Targets: one(&full{})})
			got := states(t, s)
			if w.sends["a"] != 1 || w.sends["b"] != 1 || !strings.Contains(w.texts["on a"], "Better") {
				t.Errorf("seed %d: %v %q: %s", seed, w.sends, w.texts, got)
			}
		})
		if t.Failed() {
			return
		}
	}
}

func TestKeysOfCommandsNameNoOtherRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		store := new(state.Mem)
		s := begun(t, syndicate.Config{Store: store, Targets: one(n)})
		a := fresh("a")
		observe(t, s, a)
		drain(t, s)
		a.Title = "Better"
		observe(t, s, a) // an edit is planned
		h := s.AdminHandler()
		for _, id := range []string{"..%2Fedit%2F" + a.Key(), strings.ToUpper(a.Key()), "%00", "..", a.Key() + "%2F"} {
			for _, do := range []string{"retry", "forget", "confirm", "delete"} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("POST", "/api/syndication/net/"+id+"/"+do, nil))
				if w.Code != http.StatusNotFound && w.Code/100 != 3 {
					t.Errorf("%s of %s: status %d: %s", do, id, w.Code, w.Body)
				}
			}
		}
		// What lies about in the store is nobody's order.
		raw, _ := store.Load(t.Context(), "syndicate/outbox/net/edit/"+a.Key())
		put(t, store, "syndicate/outbox/net/boost/"+a.Key(), string(raw))
		put(t, store, "syndicate/outbox/net/announce/x", string(raw))
		drain(t, s)
		wantGot(t, n, "a")
		wantStates(t, s, "announce a confirmed, edit a confirmed")
	})
}

func TestOperatorsAreServedWhateverIsInThePosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{fail: func(int, syndicate.Attempt) (bool, error) { return true, errors.New("<script>alert(2)</script>") }}
		s := begun(t, syndicate.Config{Targets: one(n)})
		p := fresh("a")
		p.Title = `<img src=x onerror=alert(1)>"'`
		observe(t, s, p)
		drain(t, s)
		h := s.AdminHandler()
		ask := func(method, path, kind, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, path, strings.NewReader(body))
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		const form = "application/x-www-form-urlencoded"
		page := ask("GET", "/syndication", "", "").Body.String()
		if strings.Contains(page, "<img") || strings.Contains(page, "<script>") || !strings.Contains(page, "&lt;img") {
			t.Errorf("the page has markup of others in it:\n%s", page)
		}
		if w := ask("DELETE", "/api/syndication", "", ""); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("DELETE: %d", w.Code)
		}
		confirm := "/api/syndication/net/" + p.Key() + "/confirm"
		for _, body := range []string{`{"url": 5}`, `{"adress": "https://x.example/"}`, `{"url": "javascript:alert(1)"}`, `{"url": "https://a.example/"} x`, "nonsense", `{"url": "` + strings.Repeat("x", 20<<10) + `"}`} {
			for _, kind := range []string{"application/json", form, "multipart/form-data; boundary=x"} {
				if w := ask("POST", confirm, kind, body); w.Code != http.StatusBadRequest {
					t.Errorf("%.40s as %s: status %d: %s", body, kind, w.Code, w.Body)
				}
			}
		}
		wantStates(t, s, "announce a parked unknown")
		for i, tt := range [][2]string{
			{"application/json", `{"url": "https://network.example/0"}`},
			{form, `{"url": "https://network.example/1"}`}, // as curl calls it
			{form + "; charset=utf-8", "url=https%3A%2F%2Fnetwork.example%2F2"},
		} {
			w := ask("POST", confirm, tt[0], tt[1])
			links, err := s.Links(t.Context())
			if want := fmt.Sprint("https://network.example/", i); w.Code != 200 || err != nil || len(links) != 1 || links[0].Links[0].URL != want {
				t.Errorf("%v: status %d, %s, links %v, %v", tt, w.Code, w.Body, links, err)
			}
		}
		if w := ask("POST", confirm+"?page=1", form, "url="); w.Code != http.StatusSeeOther {
			t.Errorf("the button: status %d: %s", w.Code, w.Body)
		}
	})
}

func TestOneBackoffAloneIsEnough(t *testing.T) {
	for _, cfg := range []syndicate.Config{{MinBackoff: time.Millisecond}, {MinBackoff: time.Hour}, {MaxBackoff: time.Millisecond}} {
		cfg.Store = new(state.Mem)
		if _, err := syndicate.New(cfg); err != nil {
			t.Errorf("New = %v", err)
		}
	}
}

func TestAFullDiskForAnHourLosesAndDoublesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		store := &flaky{Store: new(state.Mem)}
		s := begun(t, syndicate.Config{Store: store, Targets: one(n)})
		var full atomic.Bool
		store.fail = func(int) bool { return full.Load() }
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Run(ctx)
		synctest.Wait() // or it sends one while the other is being planned
		n.fail = func(i int, _ syndicate.Attempt) (bool, error) {
			full.Store(true) // between the claim and the answer
			return true, nil
		}
		observe(t, s, fresh("a"), fresh("b"))
		pass(time.Hour)
		n.mu.Lock()
		n.fail = nil
		n.mu.Unlock()
		full.Store(false)
		pass(time.Hour)
		got := n.got()
		slices.Sort(got)
		if !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("accepted %q", got)
		}
		wantStates(t, s, "announce a confirmed, announce b confirmed")
	})
}

func TestRemovedPagesTakeAnnouncementsAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		n.fail = func(_ int, a syndicate.Attempt) (bool, error) {
			switch a.ID {
			case "refused":
				return false, &syndicate.Error{Err: errors.New("no"), NotSent: true, Refused: true}
			case "late":
				if a.Number == 1 {
					return true, errors.New("the line was cut")
				}
			}
			return true, nil
		}
		web := site(func(string) (int, string, string) { return 410, "", "" })
		s, err := syndicate.New(syndicate.Config{
			Store: new(state.Mem), MaxPerRun: -1, Page: syndicate.Page{Off: true, Client: &http.Client{Transport: web}},
			Targets: map[string]syndicate.Destination{"net": {Target: n, FollowDeletes: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		observe(t, s)
		moved, stays := fresh("moved"), fresh("stays")
		observe(t, s, moved, fresh("refused"), stays)
		drain(t, s)
		moved.URL, moved.Aliases = "https://me.example/elsewhere", []string{moved.URL}
		observe(t, s, moved, fresh("refused"), stays)
		drain(t, s)
		observe(t, s, stays, fresh("late"))
		n.took = 5 * time.Second
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		pass(time.Second) // it is under way
		observe(t, s, stays)
		if err := s.Removed(t.Context(), moved.URL, fresh("refused").URL, fresh("late").URL, stays.URL); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Minute)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		slices.Sort(n.deleted)
		if got := strings.Join(n.deleted, " "); got != "on late on moved" {
			t.Errorf("deleted: %s", got)
		}
		wantStates(t, s, "announce late confirmed, announce moved confirmed, announce refused forgotten, announce stays confirmed, "+
			"delete late confirmed, delete moved confirmed, delete refused forgotten, edit moved confirmed")
	})
}
