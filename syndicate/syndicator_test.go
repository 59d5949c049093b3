// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/xesite/state"
)

// network is a place to announce at that keeps what it gets and fails as told.
type network struct {
	mu       sync.Mutex
	accepted []string // texts, each time one is accepted
	edited   []string
	deleted  []string
	sends    int
	// fail is asked before each Send with its number, from 1. It says whether
	// the network accepts it all the same.
	fail func(n int, a syndicate.Attempt) (accept bool, err error)
	// took is how long a Send takes.
	took time.Duration
}

func (n *network) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	n.mu.Lock()
	n.sends++
	accept, err := true, error(nil)
	if n.fail != nil {
		accept, err = n.fail(n.sends, a)
	}
	if accept {
		n.accepted = append(n.accepted, a.ID)
	}
	n.mu.Unlock()
	if n.took > 0 {
		select {
		case <-time.After(n.took):
		case <-ctx.Done():
			return syndicate.Receipt{}, ctx.Err()
		}
	}
	if err != nil {
		return syndicate.Receipt{}, err
	}
	return receiptOf(a.ID), nil
}

func receiptOf(id string) syndicate.Receipt {
	return syndicate.Receipt{ID: "on " + id, URL: "https://network.example/" + id}
}

func (n *network) got() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.accepted)
}

func (n *network) tries() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sends
}

// full is a network that can do everything.
type full struct{ network }

func (n *full) Reconcile(_ context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	if slices.Contains(n.got(), a.ID) {
		return receiptOf(a.ID), nil
	}
	return syndicate.Receipt{}, syndicate.ErrAbsent
}

func (n *full) Edit(_ context.Context, a syndicate.Attempt, r syndicate.Receipt) (syndicate.Receipt, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var text string
	if err := json.Unmarshal(a.Body, &text); err != nil {
		return r, err
	}
	n.edited = append(n.edited, r.ID+": "+text)
	return r, nil
}

func (n *full) Delete(_ context.Context, r syndicate.Receipt) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deleted = append(n.deleted, r.ID)
	return nil
}

func (n *full) Recover(_ context.Context, posts []syndicate.Post) (map[string]syndicate.Receipt, error) {
	found := map[string]syndicate.Receipt{}
	for _, p := range posts {
		if slices.Contains(n.got(), p.ID) {
			found[p.ID] = receiptOf(p.ID)
		}
	}
	return found, nil
}

// fresh is a post that came out an hour ago.
func fresh(id string) syndicate.Post {
	return syndicate.Post{ID: id, URL: "https://me.example/" + id, Title: "Post " + id, Published: time.Now().Add(-time.Hour)}
}

// begun returns a syndicator whose targets have begun with an empty site.
func begun(t *testing.T, cfg syndicate.Config) *syndicate.Syndicator {
	t.Helper()
	cfg.Page.Off = true
	if cfg.Store == nil {
		cfg.Store = new(state.Mem)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := syndicate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	observe(t, s)
	return s
}

func observe(t *testing.T, s *syndicate.Syndicator, posts ...syndicate.Post) {
	t.Helper()
	if err := s.Observe(t.Context(), posts); err != nil {
		t.Fatal(err)
	}
}

func drain(t *testing.T, s *syndicate.Syndicator) {
	t.Helper()
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func one(target syndicate.Target) map[string]syndicate.Destination {
	return map[string]syndicate.Destination{"net": {Target: target}}
}

// states lists entries as "op id state reason".
func states(t *testing.T, s *syndicate.Syndicator) string {
	t.Helper()
	entries, err := s.Entries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range entries {
		lines = append(lines, strings.TrimSpace(fmt.Sprint(e.Op, " ", e.Post, " ", e.State, " ", e.Reason)))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

func wantStates(t *testing.T, s *syndicate.Syndicator, want string) {
	t.Helper()
	if got := states(t, s); got != want {
		t.Errorf("entries: %s\nwant:    %s", got, want)
	}
}

func wantGot(t *testing.T, n interface{ got() []string }, want ...string) {
	t.Helper()
	if got := n.got(); !slices.Equal(got, want) {
		t.Errorf("the network accepted %q, want %q", got, want)
	}
}

func TestNewPostsAreAnnouncedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		store := new(state.Mem)
		s := begun(t, syndicate.Config{Store: store, Targets: one(n)})
		a, b := fresh("a"), fresh("b")
		b.Published = a.Published.Add(-time.Minute)
		observe(t, s, a, b)
		drain(t, s)
		wantGot(t, n, "b", "a") // oldest first
		observe(t, s, a, b)
		drain(t, s)
		again := begun(t, syndicate.Config{Store: store, Targets: one(n)})
		observe(t, again, a, b)
		drain(t, again)
		wantGot(t, n, "b", "a")
		wantStates(t, s, "announce a confirmed, announce b confirmed")
	})
}

func TestFirstLookAnnouncesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, n, second := new(state.Mem), &full{}, &full{}
		s, err := syndicate.New(syndicate.Config{Store: store, Targets: one(n), MaxPerRun: -1, Page: syndicate.Page{Off: true}})
		if err != nil {
			t.Fatal(err)
		}
		var posts []syndicate.Post
		for i := range 5000 {
			posts = append(posts, fresh(fmt.Sprint("p", i)))
		}
		observe(t, s, posts...)
		drain(t, s)
		wantGot(t, n)
		keys, err := store.Keys(t.Context(), "syndicate/")
		if err != nil || len(keys) > 2 {
			t.Errorf("%d posts that were seen took records %q, %v", len(posts), keys, err)
		}
		// A target that is added later begins in the same way, the other goes on.
		s, err = syndicate.New(syndicate.Config{
			Store: store, MaxPerRun: -1, Page: syndicate.Page{Off: true},
			Targets: map[string]syndicate.Destination{"net": {Target: n}, "second": {Target: second}},
		})
		if err != nil {
			t.Fatal(err)
		}
		observe(t, s, append(posts, fresh("new"))...)
		drain(t, s)
		wantGot(t, n, "new")
		wantGot(t, second)
		observe(t, s, append(posts, fresh("new"), fresh("newer"))...)
		drain(t, s)
		wantGot(t, n, "new", "newer")
		wantGot(t, second, "newer")
	})
}

func TestLostRecordsSendNothingAndAreRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		a, b := fresh("a"), fresh("b")
		s := begun(t, syndicate.Config{Targets: one(n)})
		observe(t, s, a)
		drain(t, s)
		lost, err := syndicate.New(syndicate.Config{Store: new(state.Mem), Targets: one(n), Page: syndicate.Page{Off: true}})
		if err != nil {
			t.Fatal(err)
		}
		observe(t, lost, a, b)
		drain(t, lost)
		wantGot(t, n, "a")
		found, err := lost.Recover(t.Context(), []syndicate.Post{a, b})
		if err != nil || found["net"] != 1 {
			t.Errorf("Recover = %v, %v; want one post", found, err)
		}
		wantStates(t, lost, "announce a confirmed")
		links, err := lost.Links(t.Context())
		if err != nil || len(links) != 1 || links[0].Links[0].URL != "https://network.example/a" {
			t.Errorf("Links = %v, %v", links, err)
		}
		a.Title = "Better"
		observe(t, lost, a, b)
		drain(t, lost)
		wantGot(t, n, "a")
		if len(n.edited) != 1 {
			t.Errorf("edits: %q, want one", n.edited)
		}
	})
}

func TestUnknownOutcomesAreReconciledBeforeAnythingIsSent(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		t.Run(fmt.Sprint("accepted=", accepted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var bodies []string
				n := &full{}
				n.fail = func(i int, a syndicate.Attempt) (bool, error) {
					bodies = append(bodies, string(a.Body)+a.Key+a.Created.String())
					if i <= 2 && (i == 1 || !accepted) {
						return accepted, errors.New("the line was cut")
					}
					return true, nil
				}
				s := begun(t, syndicate.Config{Targets: one(n)})
				observe(t, s, fresh("a"))
				drain(t, s)
				wantGot(t, n, "a")
				wantStates(t, s, "announce a confirmed")
				if len(slices.Compact(bodies)) != 1 {
					t.Errorf("attempts differ: %q", bodies)
				}
			})
		})
	}
}

func TestWhereNothingCanBeReconciledUnknownsAreParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{fail: func(int, syndicate.Attempt) (bool, error) { return true, errors.New("the line was cut") }}
		s := begun(t, syndicate.Config{Targets: one(n)})
		observe(t, s, fresh("a"), fresh("b"))
		drain(t, s)
		wantGot(t, n, "a", "b")
		wantStates(t, s, "announce a parked unknown, announce b parked unknown")
		observe(t, s, fresh("a"), fresh("b"))
		drain(t, s)
		wantGot(t, n, "a", "b")

		// A person looks, and decides.
		n.fail = nil
		if err := s.Confirm(t.Context(), "net", fresh("a").Key(), "https://network.example/found"); err != nil {
			t.Error(err)
		}
		if err := s.Retry(t.Context(), "net", fresh("b").Key()); err != nil {
			t.Error(err)
		}
		drain(t, s)
		wantStates(t, s, "announce a confirmed, announce b confirmed")
		links, err := s.Links(t.Context())
		if err != nil || len(links) != 2 || links[0].Links[0].URL != "https://network.example/found" {
			t.Errorf("Links = %v, %v", links, err)
		}
	})
}

func TestTooManyNewPostsAreAllParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		s := begun(t, syndicate.Config{Targets: one(n), MaxPerRun: 2})
		observe(t, s, fresh("a"), fresh("b"), fresh("c"))
		drain(t, s)
		wantGot(t, n)
		wantStates(t, s, "announce a parked cap, announce b parked cap, announce c parked cap")
		if err := s.Retry(t.Context(), "net", fresh("b").Key()); err != nil {
			t.Error(err)
		}
		if err := s.Forget(t.Context(), "net", fresh("c").Key()); err != nil {
			t.Error(err)
		}
		drain(t, s)
		observe(t, s, fresh("a"), fresh("b"), fresh("c"))
		drain(t, s)
		wantGot(t, n, "b")
		wantStates(t, s, "announce a parked cap, announce b confirmed, announce c forgotten")
	})
}

func TestAgeIsJudgedAtFirstSight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		n.fail = func(i int, _ syndicate.Attempt) (bool, error) {
			if i < 20 {
				return false, &syndicate.Error{Err: errors.New("down"), NotSent: true, Everything: true}
			}
			return true, nil
		}
		s := begun(t, syndicate.Config{Targets: one(n), MaxAge: 2 * time.Hour, MaxBackoff: 3 * time.Hour})
		old, young, future := fresh("old"), fresh("fresh"), fresh("future")
		old.Published = time.Now().Add(-3 * time.Hour)
		future.Published = time.Now().Add(100 * time.Hour)
		observe(t, s, old, young, future)
		drain(t, s)
		wantGot(t, n, "fresh") // though by now it is old
		old.Published = time.Now()
		observe(t, s, old, young, future)
		drain(t, s)
		wantGot(t, n, "fresh")

		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Run(ctx)
		pass(101 * time.Hour)
		wantGot(t, n, "fresh", "future")
	})
}

// pass lets time pass, inside of a synctest bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestADeadNetworkDelaysOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, alive := &full{}, &full{}
		begin := time.Now()
		dead.fail = func(int, syndicate.Attempt) (bool, error) {
			if time.Since(begin) < 24*time.Hour {
				return false, &syndicate.Error{Err: errors.New("refused"), NotSent: true, Everything: true}
			}
			return true, nil
		}
		s := begun(t, syndicate.Config{Targets: map[string]syndicate.Destination{"dead": {Target: dead}, "alive": {Target: alive}}})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Run(ctx)
		synctest.Wait()
		begin = time.Now()
		observe(t, s, fresh("a"))
		synctest.Wait()
		wantGot(t, alive, "a")
		pass(12 * time.Hour)
		observe(t, s, fresh("a"), fresh("b"))
		synctest.Wait()
		wantGot(t, alive, "a", "b")
		wantGot(t, dead)
		if st := s.Status().Targets[1]; st.Fault == "" || st.Halted || st.Outbox[syndicate.Planned] != 2 {
			t.Errorf("status of the dead network: %+v", st)
		}
		if n := dead.tries(); n > 80 {
			t.Errorf("a dead network was tried %d times in half a day", n)
		}
		pass(13 * time.Hour)
		wantGot(t, dead, "a", "b")
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		n.fail = func(i int, _ syndicate.Attempt) (bool, error) {
			if i == 1 {
				return false, &syndicate.Error{Err: errors.New("too many"), NotSent: true, Everything: true, RetryAfter: 3 * time.Hour}
			}
			return true, nil
		}
		s := begun(t, syndicate.Config{Targets: one(n)})
		observe(t, s, fresh("a"))
		start := time.Now()
		drain(t, s)
		if took := time.Since(start); took < 3*time.Hour || n.sends != 2 {
			t.Errorf("tried %d times within %s, want twice in 3 h", n.sends, took)
		}
	})
}

func TestWhatIsRefusedIsParkedAndAWrongPasswordHaltsTheTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		everything := false
		n.fail = func(int, syndicate.Attempt) (bool, error) {
			return false, &syndicate.Error{Err: errors.New("no"), NotSent: true, Refused: true, Everything: everything}
		}
		s := begun(t, syndicate.Config{Targets: one(n)})
		observe(t, s, fresh("a"))
		drain(t, s)
		wantStates(t, s, "announce a parked refused")

		everything = true
		observe(t, s, fresh("b"), fresh("c"))
		if err := s.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "b at net (no)") {
			t.Errorf("Drain = %v, want an error that says what is left", err)
		}
		if st := s.Status().Targets[0]; !st.Halted || n.sends != 2 {
			t.Errorf("after a wrong password: %+v, %d sent", st, n.sends)
		}
		wantStates(t, s, "announce a parked refused, announce b planned, announce c planned")
		n.fail = nil
		if err := s.Retry(t.Context(), "net", fresh("b").Key()); err != nil {
			t.Error(err)
		}
		drain(t, s)
		wantGot(t, n, "b", "c")
	})
}

func TestEditsFollowTheAnnouncement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		never := &full{}
		s := begun(t, syndicate.Config{Targets: map[string]syndicate.Destination{
			"net":   {Target: n},
			"never": {Target: never, Edits: syndicate.EditsNever},
		}})
		a := fresh("a")
		observe(t, s, a)
		a.Title = "Before it was sent"
		observe(t, s, a)
		drain(t, s)
		if len(n.edited) != 0 {
			t.Errorf("edited %q though nothing was sent yet", n.edited)
		}
		a.Title = "Better"
		observe(t, s, a)
		drain(t, s)
		a.Summary = "The announcement does not show this."
		a.Updated = time.Now()
		observe(t, s, a)
		drain(t, s)
		a.URL, a.Aliases = "https://me.example/moved", []string{a.URL}
		observe(t, s, a)
		observe(t, s, a)
		drain(t, s)
		want := []string{
			"on a: Better\n\nhttps://me.example/a",
			"on a: Better\n\nhttps://me.example/moved",
		}
		if !slices.Equal(n.edited, want) {
			t.Errorf("edits %q\nwant %q", n.edited, want)
		}
		if len(never.edited) != 0 {
			t.Errorf("edits where there shall be none: %q", never.edited)
		}
		wantGot(t, n, "a")
		wantGot(t, never, "a")
	})
}

func TestAbsenceDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		s := begun(t, syndicate.Config{Targets: one(n)})
		observe(t, s, fresh("a"))
		drain(t, s)
		observe(t, s)
		if err := s.Removed(t.Context(), fresh("a").URL); err != nil {
			t.Error(err)
		}
		drain(t, s)
		if len(n.deleted) != 0 {
			t.Errorf("deleted %q", n.deleted)
		}
		if err := s.Delete(t.Context(), "net", fresh("a").Key()); err != nil {
			t.Fatal(err)
		}
		drain(t, s)
		if !slices.Equal(n.deleted, []string{"on a"}) {
			t.Errorf("deleted %q, want it once", n.deleted)
		}
		if links, err := s.Links(t.Context()); err != nil || len(links) != 0 {
			t.Errorf("Links = %v, %v; want none of what was deleted", links, err)
		}
		observe(t, s, fresh("a"))
		drain(t, s)
		wantGot(t, n, "a")
	})
}

func TestTwoInstancesSendOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{network{took: 3 * time.Second}}
		store := new(state.Mem)
		cfg := syndicate.Config{Store: store, Targets: one(n), MaxPerRun: -1}
		s1, s2 := begun(t, cfg), begun(t, cfg)
		var want []string
		for i := range 20 {
			p := fresh(fmt.Sprintf("%02d", i))
			p.Published = p.Published.Add(time.Duration(i) * time.Second)
			want = append(want, p.ID)
			observe(t, s1, p)
			observe(t, s2, p)
		}
		var both sync.WaitGroup
		for _, s := range []*syndicate.Syndicator{s1, s2} {
			both.Go(func() { drain(t, s) })
		}
		both.Wait()
		got := n.got()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("the network accepted %q, want each once", got)
		}
	})
}

// A program that was held up, as a laptop that was closed, comes back with an
// answer to what another one has taken for dead meanwhile.
func TestALateAnswerIsMergedAndNothingSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		late := make(chan struct{})
		store := new(state.Mem)
		held := &blocked{network: n, release: late}
		first := begun(t, syndicate.Config{Store: store, Targets: one(held), Timeout: 10 * time.Second})
		observe(t, first, fresh("a"))
		done := make(chan error)
		go func() { done <- first.Drain(t.Context()) }()
		synctest.Wait()
		second := begun(t, syndicate.Config{Store: store, Targets: one(n), Timeout: 10 * time.Second})
		observe(t, second, fresh("a"))
		drain(t, second)
		wantStates(t, second, "announce a parked unknown")
		close(late)
		if err := <-done; err != nil {
			t.Error(err)
		}
		wantStates(t, second, "announce a confirmed")
		wantGot(t, n, "a")
	})
}

// blocked is a target that answers when it is released, whatever its context
// says.
type blocked struct {
	*network
	release chan struct{}
}

func (b *blocked) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	r, err := b.network.Send(context.WithoutCancel(ctx), a)
	<-b.release
	return r, err
}

func TestClockJumpsSendNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, n := new(state.Mem), &network{}
		for _, jump := range []time.Duration{-1000 * time.Hour, 1000 * time.Hour} {
			id := jump.String()
			s := begun(t, syndicate.Config{Store: store, Targets: one(n)})
			p := fresh(id)
			observe(t, s, p)
			setTimes(t, store, time.Now().Add(jump))
			s = begun(t, syndicate.Config{Store: store, Targets: one(n), MaxAge: time.Hour})
			p.Published = time.Now().Add(-2 * time.Hour)
			observe(t, s, p)
			drain(t, s)
			observe(t, s, p)
			drain(t, s)
		}
		wantGot(t, n, "-1000h0m0s", "1000h0m0s")
	})
}

// setTimes makes all records say that they were planned at a time, and are due
// then.
func setTimes(t *testing.T, store *state.Mem, at time.Time) {
	t.Helper()
	keys, err := store.Keys(t.Context(), "syndicate/outbox/")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		old, err := store.Load(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(old, &fields); err != nil {
			t.Fatal(err)
		}
		fields["planned"], fields["due"] = at, at
		next, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := store.Swap(t.Context(), key, old, next); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
}

func TestPolicyDecidesWhatIsAnnouncedWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		yes := true
		tagged, skipped, plain := fresh("tagged"), fresh("skipped"), fresh("plain")
		tagged.Tags = []string{"Go", "draft"}
		skipped.Overrides = map[string]syndicate.Override{"irc": {Skip: &yes}}
		all, goOnly, noDrafts, filtered, irc := &full{}, &full{}, &full{}, &full{}, &full{}
		s := begun(t, syndicate.Config{Targets: map[string]syndicate.Destination{
			"all":       {Target: all},
			"go":        {Target: goOnly, Include: []string{"go"}},
			"no-drafts": {Target: noDrafts, Exclude: []string{"DRAFT"}},
			"filtered":  {Target: filtered, Filter: func(p syndicate.Post) bool { return p.ID == "plain" }},
			"irc-two":   {Target: irc, Network: "irc"},
		}})
		observe(t, s, tagged, skipped, plain)
		drain(t, s)
		for _, tt := range []struct {
			n    *full
			want string
		}{{all, "plain skipped tagged"}, {goOnly, "tagged"}, {noDrafts, "plain skipped"}, {filtered, "plain"}, {irc, "plain tagged"}} {
			got := tt.n.got()
			slices.Sort(got)
			if strings.Join(got, " ") != tt.want {
				t.Errorf("accepted %q, want %q", got, tt.want)
			}
		}
	})
}

func TestPreviewIsWhatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent string
		n := &full{}
		n.fail = func(_ int, a syndicate.Attempt) (bool, error) { sent = string(a.Body); return true, nil }
		var dry []syndicate.Preview
		cfg := syndicate.Config{Store: new(state.Mem), Targets: map[string]syndicate.Destination{"net": {
			Target:   n,
			Template: "New: {{.Title}} {{.Link}} {{join .Hashtags \" \"}}",
			UTM:      syndicate.UTM{Source: "net"},
		}}}
		p := fresh("a?b=1#c")
		p.Tags = []string{"home lab"}
		begun(t, cfg)
		cfg.DryRun, cfg.OnPreview = true, func(p syndicate.Preview) { dry = append(dry, p) }
		s := begun(t, cfg)
		observe(t, s, p)
		drain(t, s)
		wantGot(t, n)
		wantStates(t, s, "")
		preview, err := s.Preview(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		cfg.DryRun = false
		s = begun(t, cfg)
		observe(t, s, p)
		drain(t, s)
		want := `"New: Post a?b=1#c https://me.example/a?b=1\u0026utm_source=net#c #HomeLab"`
		if sent != want || string(preview[0].Body) != want || len(dry) != 1 || string(dry[0].Body) != want {
			t.Errorf("sent      %s\npreview   %s\nin a dry run %v\nwant      %s", sent, preview[0].Body, dry, want)
		}
	})
}

func TestStoppingWaitsForWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{took: 5 * time.Second}
		s := begun(t, syndicate.Config{Targets: one(n)})
		observe(t, s, fresh("a"), fresh("b"))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		pass(time.Second)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		wantGot(t, n, "a")
		wantStates(t, s, "announce a confirmed, announce b planned")
	})
}

func TestAStoreThatFailsLosesAndDoublesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		store := &flaky{Store: new(state.Mem)}
		s := begun(t, syndicate.Config{Store: store, Targets: one(n), MaxPerRun: -1})
		store.fail = func(i int) bool { return i%3 == 0 }
		var want []string
		for i := range 30 {
			p := fresh(fmt.Sprintf("%02d", i))
			p.Published = p.Published.Add(time.Duration(i) * time.Second)
			want = append(want, p.ID)
			for s.Observe(t.Context(), []syndicate.Post{p}) != nil {
				pass(time.Second)
			}
		}
		for i := 0; s.Drain(t.Context()) != nil; i++ {
			if i > 100 {
				t.Fatal("it does not come to an end")
			}
		}
		got := n.got() // what could not be written at first comes later
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("accepted %q, want each once", got)
		}
	})
}

// flaky is a store whose Swap fails, before or after the deed.
type flaky struct {
	syndicate.Store
	mu    sync.Mutex
	swaps int
	fail  func(int) bool
}

func (f *flaky) Swap(ctx context.Context, key string, old, new []byte) (bool, error) {
	f.mu.Lock()
	f.swaps++
	n := f.swaps
	f.mu.Unlock()
	if f.fail == nil || !f.fail(n) {
		return f.Store.Swap(ctx, key, old, new)
	}
	if n%2 == 0 {
		f.Store.Swap(ctx, key, old, new)
	}
	return false, errors.New("the disk is full")
}

// keeper is a target with a secret of its own.
type keeper struct {
	network
	token syndicate.Secret
}

func TestNoVerbPrintsWhatTargetsKeep(t *testing.T) {
	s := begun(t, syndicate.Config{Targets: one(&keeper{token: "hunter2"})})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(verb, s); strings.Contains(got, "hunter2") || !strings.Contains(got, "net") {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestConfigurationThatCannotBeRight(t *testing.T) {
	for want, cfg := range map[string]syndicate.Config{
		"set Store":          {},
		"target \"A b\"":     {Targets: map[string]syndicate.Destination{"A b": {Target: &network{}}}},
		"set Target":         {Targets: map[string]syndicate.Destination{"a": {}}},
		"Template":           {Targets: map[string]syndicate.Destination{"a": {Target: &network{}, Template: "{{.Titel}}"}}},
		"unknown Visibility": {Targets: map[string]syndicate.Destination{"a": {Target: &network{}, Visibility: "secret"}}},
		"Timeout is -1s":     {Timeout: -time.Second},
		"MinBackoff is 1h":   {MinBackoff: time.Hour, MaxBackoff: time.Minute},
	} {
		if want != "set Store" {
			cfg.Store = new(state.Mem)
		}
		if _, err := syndicate.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want an error with %q", err, want)
		}
	}
}

func TestBadPostsDoNotKeepOthersFromBeingAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		s := begun(t, syndicate.Config{Targets: one(n)})
		huge := fresh("huge")
		huge.ContentHTML = strings.Repeat("<p>\x01 & so on</p>", 20000)
		err := s.Observe(t.Context(), []syndicate.Post{{ID: "bad", URL: "not an address"}, fresh("good"), huge})
		if err == nil || !strings.Contains(err.Error(), "not an address") {
			t.Errorf("Observe = %v, want an error that names the address", err)
		}
		drain(t, s)
		got := n.got()
		slices.Sort(got)
		if !slices.Equal(got, []string{"good", "huge"}) {
			t.Errorf("accepted %q", got)
		}
	})
}

func TestDamagedRecordsAreErrorsAndNoAbsence(t *testing.T) {
	store := new(state.Mem)
	n := &full{}
	s := begun(t, syndicate.Config{Store: store, Targets: one(n)})
	key := "syndicate/outbox/net/announce/" + fresh("a").Key()
	if _, err := store.Swap(t.Context(), key, nil, []byte("{half")); err != nil {
		t.Fatal(err)
	}
	if err := s.Observe(t.Context(), []syndicate.Post{fresh("a")}); err == nil || !strings.Contains(err.Error(), key) {
		t.Errorf("Observe = %v, want an error that names %s", err, key)
	}
	wantGot(t, n)
}

func TestCommandsSayWhatIsWrong(t *testing.T) {
	s := begun(t, syndicate.Config{Targets: one(&network{})})
	for name, err := range map[string]error{
		"Retry":   s.Retry(t.Context(), "net", "0123456789abcdef"),
		"Forget":  s.Forget(t.Context(), "nowhere", "0123456789abcdef"),
		"Confirm": s.Confirm(t.Context(), "net", "../../x", ""),
		"Delete":  s.Delete(t.Context(), "net", "0123456789abcdef"),
	} {
		if !errors.Is(err, syndicate.ErrNoEntry) {
			t.Errorf("%s = %v, want ErrNoEntry", name, err)
		}
	}
	if err := s.Confirm(t.Context(), "net", "0123456789abcdef", "javascript:alert(1)"); err == nil || errors.Is(err, syndicate.ErrNoEntry) {
		t.Errorf("Confirm with a bad address = %v", err)
	}
}
