// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

// fakeSource has what a test puts in, so that time can be fake too.
type fakeSource struct {
	mu      sync.Mutex
	tip     string
	files   map[string]string // of the tip; index.html is the commit by default
	fetches []time.Time
	err     error
}

// set makes a commit the newest one. Files come in pairs.
func (s *fakeSource) set(commit string, files ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tip, s.files = commit, map[string]string{"index.html": commit}
	for pair := range slices.Chunk(files, 2) {
		s.files[pair[0]] = pair[1]
	}
}

func (s *fakeSource) Fetch(context.Context) (xesite.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetches = append(s.fetches, time.Now())
	return xesite.Revision{ID: s.tip, Time: time.Unix(1, 0)}, s.err
}

func (s *fakeSource) Checkout(_ context.Context, _ xesite.Revision, dir string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, content := range s.files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// asked returns when Fetch was called since the last call, in seconds from
// start.
func (s *fakeSource) asked(start time.Time) (seconds []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.fetches {
		seconds = append(seconds, int(at.Sub(start).Seconds()))
	}
	s.fetches = nil
	return seconds
}

// fakeRig is a site that copies what a fake source has, built once.
func fakeRig(t *testing.T, dir string, source *fakeSource, edit func(*xesite.Config)) *rig {
	t.Helper()
	source.asked(time.Time{})
	r := openRig(t, dir, "unused", func(cfg *xesite.Config) {
		cfg.Source, cfg.Builder = source, nil
		if edit != nil {
			edit(cfg)
		}
	}).run()
	wait.Until(t, "a release is served", r.Ready)
	wait.Until(t, "the first trigger is done with", func() bool {
		source.mu.Lock()
		asked := len(source.fetches) > 0
		source.mu.Unlock()
		return asked && r.Status().Running == nil
	})
	source.asked(time.Time{})
	return r
}

func pushed(hint string) xesite.Trigger { return xesite.Trigger{Source: "github", Hint: hint} }

func poll() xesite.Trigger { return xesite.Trigger{Source: xesite.SourcePoll} }

func TestHintThatIsNotVisibleYetIsAskedForAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		visible time.Duration // after the hook
		asked   []int
		result  xesite.Result
	}{
		"at once":   {0, []int{0}, xesite.ResultPublished},
		"after 2 s": {2 * time.Second, []int{0, 1, 3}, xesite.ResultPublished},
		"never":     {time.Hour, []int{0, 1, 3, 7, 15}, xesite.ResultKnown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &fakeSource{}
				source.set("c1")
				r := fakeRig(t, t.TempDir(), source, nil)
				start := time.Now()
				if tt.visible == 0 {
					source.set("c2")
				} else {
					timer := time.AfterFunc(tt.visible, func() { source.set("c2") })
					defer timer.Stop()
				}
				b := r.expect(r.trigger(pushed("c2")), tt.result)
				if want := map[bool]string{true: "c2", false: "c1"}[tt.result == xesite.ResultPublished]; b.Commit != want {
					t.Errorf("commit %s, want %s", b.Commit, want)
				}
				if diff := cmp.Diff(tt.asked, source.asked(start)); diff != "" {
					t.Errorf("asked at seconds (-want +got):\n%s", diff)
				}
				r.stop()
			})
		})
	}
}

func TestWaitingForAHintDoesNotHoldTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{}
		source.set("c1")
		r := fakeRig(t, t.TempDir(), source, nil)
		start := time.Now()
		if _, err := r.Trigger(t.Context(), pushed("c9")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		source.set("c2")
		r.expect(r.trigger(pushed("c2")), xesite.ResultPublished)
		if passed := time.Since(start); passed > time.Second {
			t.Errorf("it took %s", passed)
		}
		r.stop()
	})
}

// Two pushes at once: the first one is built, the second one is not visible.
func TestHintIsNotForgottenWhenSomethingElseIsBuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{}
		source.set("c1")
		r := fakeRig(t, t.TempDir(), source, nil)
		source.set("c2")
		r.expect(r.trigger(pushed("c3")), xesite.ResultPublished)
		r.expectPage("/", 200, "c2")
		source.set("c3")
		pass(5 * time.Second)
		synctest.Wait()
		r.expectPage("/", 200, "c3")
		r.stop()
	})
}

func TestHintOfACommitThatWasBuiltIsNothingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{}
		source.set("c1")
		r := fakeRig(t, t.TempDir(), source, nil)
		source.set("c2")
		r.expect(r.trigger(pushed("c2")), xesite.ResultPublished)
		source.asked(time.Time{})
		start := time.Now()
		r.expect(r.trigger(pushed("c1")), xesite.ResultKnown)
		if asked := source.asked(start); len(asked) != 1 {
			t.Errorf("asked %v times", asked)
		}
		r.stop()
	})
}

func TestRollbackStaysUntilThereIsANewCommitOrARebuild(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(source *fakeSource) xesite.Trigger
		want string
	}{
		"new commit": {func(s *fakeSource) xesite.Trigger { s.set("c3"); return poll() }, "c3"},
		"rebuild": {func(*fakeSource) xesite.Trigger {
			return xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true}
		}, "c2"},
		"signal": {func(*fakeSource) xesite.Trigger {
			return xesite.Trigger{Source: xesite.SourceSignal, Rebuild: true}
		}, "c2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, source := t.TempDir(), &fakeSource{}
				source.set("c1")
				data := "supporters"
				open := func() *rig {
					return fakeRig(t, dir, source, func(cfg *xesite.Config) {
						cfg.RebuildEvery = time.Minute
						cfg.DataFiles = []xesite.DataFile{{Path: "data.json", Fetch: func(context.Context) ([]byte, error) { return []byte(data), nil }}}
					})
				}
				r := open()
				first, err := r.Current()
				if err != nil {
					t.Fatal(err)
				}
				source.set("c2")
				r.expect(r.trigger(pushed("c2")), xesite.ResultPublished)
				cur, err := r.Rollback(t.Context(), first.Release)
				if err != nil || cur.Commit != "c1" || cur.Sequence != 3 || cur.Release != first.Release {
					t.Fatalf("%+v, %v", cur, err)
				}
				stays := func(when string) {
					t.Helper()
					if cur, _ := r.Current(); cur.Commit != "c1" {
						t.Errorf("%s: %+v is served", when, cur)
					}
				}
				stays("at once")
				r.expect(r.trigger(poll()), xesite.ResultKnown)
				r.expect(r.trigger(pushed("c2")), xesite.ResultKnown)
				data = "more supporters"
				r.expect(r.trigger(poll()), xesite.ResultKnown)
				r.expect(r.trigger(xesite.Trigger{Source: xesite.SourcePatreon, Rebuild: true}), xesite.ResultKnown)
				stays("after triggers")
				pass(3 * time.Minute)
				synctest.Wait()
				stays("after scheduled builds")
				r.stop()
				r = open()
				stays("after a restart")
				r.expect(r.trigger(pushed("c2")), xesite.ResultKnown)
				stays("after a restart and a hook")

				r.expect(r.trigger(end.do(source)), xesite.ResultPublished)
				r.expectPage("/", 200, end.want)
				r.stop()
			})
		})
	}
}

func TestRollbackToWhatThereIsNot(t *testing.T) {
	source := &fakeSource{}
	source.set("c1")
	r := fakeRig(t, t.TempDir(), source, nil)
	if _, err := r.Rollback(t.Context(), "0000"); err == nil || !strings.Contains(err.Error(), "see the list of releases") {
		t.Errorf("error %v", err)
	}
	r.stop()
	var elsewhere *xesite.NotBuilderError
	if _, err := r.Rollback(t.Context(), "0000"); !errors.As(err, &elsewhere) {
		t.Errorf("after Run: %v", err)
	}
}

func TestWhatWasBuiltIsKnownAfterARestart(t *testing.T) {
	dir, source := t.TempDir(), &fakeSource{}
	source.set("c1")
	key := "one"
	open := func() *rig { return fakeRig(t, dir, source, func(cfg *xesite.Config) { cfg.BuildKey = key }) }
	builds := func(r *rig, want int) {
		t.Helper()
		if got, err := r.Builds(100); err != nil || len(got) != want {
			t.Errorf("%d builds, %v; want %d", len(got), err, want)
		}
		r.stop()
	}
	builds(open(), 1)
	builds(open(), 1)
	key = "two" // another command line
	builds(open(), 2)
	builds(open(), 2)
	open2 := func(line string) *rig {
		return fakeRig(t, dir, source, func(cfg *xesite.Config) {
			cfg.BuildKey, cfg.Builder = key, xesite.Command{Line: "mkdir _site; cp index.html _site; " + line}
		})
	}
	builds(open2("true"), 3)
	builds(open2("true"), 3)
	builds(open2("echo x > _site/x"), 4)
	// A keyring that cannot be read costs a build and nothing else.
	writeFile(t, filepath.Join(dir, "builds", "keys.json"), "garbage")
	builds(open2("true"), 5)
}

func TestFailedCommitIsTriedAgainByAllButPolls(t *testing.T) {
	dir, source := t.TempDir(), &fakeSource{}
	source.set("c1")
	open := func() *rig {
		return fakeRig(t, dir, source, func(cfg *xesite.Config) {
			cfg.Builder = xesite.BuilderFunc(func(ctx context.Context, in xesite.BuildInput) error {
				if in.Revision.ID == "c2" {
					panic("no typst on PATH")
				}
				return xesite.Copy().Build(ctx, in)
			})
		})
	}
	r := open()
	source.set("c2")
	if b := r.expect(r.trigger(pushed("c2")), xesite.ResultFailed); !strings.Contains(b.Error, "no typst on PATH") || b.Stage != "generate" {
		t.Errorf("%+v", b)
	}
	r.expect(r.trigger(poll()), xesite.ResultKnown)
	r.expect(r.trigger(pushed("c2")), xesite.ResultFailed)
	r.stop()
	r = open()
	builds, err := r.Builds(1)
	if err != nil || builds[0].Number != 4 || builds[0].Result != xesite.ResultFailed || !slices.Equal(builds[0].Triggers, []string{"start"}) {
		t.Errorf("%+v, %v", builds, err)
	}
	r.expect(r.trigger(poll()), xesite.ResultKnown)
	r.expectPage("/", 200, "c1")
}

func TestPublicationsAreToldInOrderWithWhatChanged(t *testing.T) {
	dir, source := t.TempDir(), &fakeSource{}
	source.set("c1", "a.html", "1", "b.html", "1")
	var mu sync.Mutex
	var told []xesite.Published
	var built []xesite.Build
	r := fakeRig(t, dir, source, func(cfg *xesite.Config) {
		cfg.OnPublish = func(p xesite.Published) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, p)
			if p.Sequence == 2 {
				panic("a hook's bug")
			}
		}
		cfg.OnBuild = func(b xesite.Build) {
			mu.Lock()
			defer mu.Unlock()
			built = append(built, b)
		}
	})
	first, _ := r.Current()
	source.set("c2", "a.html", "2", "c.html", "1")
	second := r.expect(r.trigger(pushed("c2")), xesite.ResultPublished)
	if _, err := r.Rollback(t.Context(), first.Release); err != nil {
		t.Fatal(err)
	}
	r.expect(r.rebuild(), xesite.ResultPublished)
	r.expect(r.rebuild(), xesite.ResultUnchanged)
	r.stop() // waits for the hooks

	type summary struct {
		Sequence                uint64
		Commit                  string
		Previous                string
		Rollback                bool
		Added, Changed, Removed []string
	}
	names := map[string]string{string(first.Release): "first", string(second.Release): "second", "": ""}
	var got []summary
	for _, p := range told {
		got = append(got, summary{p.Sequence, p.Commit, names[string(p.Previous)], p.Rollback, p.Changes.Added, p.Changes.Changed, p.Changes.Removed})
	}
	want := []summary{
		{1, "c1", "", false, []string{"a.html", "b.html", "index.html"}, nil, nil},
		{2, "c2", "first", false, []string{"c.html"}, []string{"a.html", "index.html"}, []string{"b.html"}},
		{3, "c1", "second", true, []string{"b.html"}, []string{"a.html", "index.html"}, []string{"c.html"}},
		{4, "c2", "first", false, []string{"c.html"}, []string{"a.html", "index.html"}, []string{"b.html"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(built) != 4 || built[3].Result != xesite.ResultUnchanged {
		t.Errorf("builds told: %+v", built)
	}
	if !strings.Contains(r.logs.String(), "a hook's bug") {
		t.Error("the panic is not in the log")
	}
}

// Builds and rollbacks at the same time are told one after the other, each
// against what was served before it.
func TestRollbacksDuringBuildsAreToldInOrder(t *testing.T) {
	source := &fakeSource{}
	source.set("c0")
	var told []xesite.Published
	r := fakeRig(t, t.TempDir(), source, func(cfg *xesite.Config) {
		cfg.OnPublish = func(p xesite.Published) { told = append(told, p) }
		cfg.Keep = 100
	})
	first, _ := r.Current()
	var all sync.WaitGroup
	all.Go(func() {
		for range 20 {
			if _, err := r.Rollback(t.Context(), first.Release); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 20 {
		source.set(fmt.Sprint("c", i+1))
		r.expect(r.trigger(xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true}), xesite.ResultPublished)
	}
	all.Wait()
	r.stop()
	for i, p := range told {
		if p.Sequence != uint64(i+1) || i > 0 && p.Previous != told[i-1].Release {
			t.Errorf("publication %d has sequence %d after %s", i, p.Sequence, p.Previous.Short())
		}
	}
	if len(told) != 41 {
		t.Errorf("told of %d publications, want 41", len(told))
	}
}

func TestRecordsAndLogsArePruned(t *testing.T) {
	source := &fakeSource{}
	source.set("c1")
	r := fakeRig(t, t.TempDir(), source, nil)
	for range 109 {
		r.rebuild()
	}
	builds, err := r.Builds(1000)
	if err != nil || len(builds) != 100 || builds[0].Number != 110 || builds[99].Number != 11 {
		t.Errorf("%d builds, %v", len(builds), err)
	}
	for _, kind := range []string{"json", "log"} {
		if files := glob(t, filepath.Join(r.cfg.DataDir, "builds", "[0-9]*."+kind)); len(files) != 100 {
			t.Errorf("%d files *.%s", len(files), kind)
		}
	}
	if _, err := r.BuildLog(t.Context(), 10); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("log of a build that was pruned: %v", err)
	}
}

func TestWaitEndsWithItsContextOrTheSite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{}
		source.set("c1")
		block := false
		r := fakeRig(t, t.TempDir(), source, func(cfg *xesite.Config) {
			cfg.Builder = xesite.BuilderFunc(func(ctx context.Context, in xesite.BuildInput) error {
				if block {
					<-ctx.Done()
					return ctx.Err()
				}
				return xesite.Copy().Build(ctx, in)
			})
		})
		block = true
		trigger := func(t2 xesite.Trigger) *xesite.Ticket {
			ticket, err := r.Trigger(t.Context(), t2)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return ticket
		}
		running := trigger(xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true})
		queued := trigger(pushed("c2"))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the client left"))
		defer cancel()
		if _, err := running.Wait(ctx); err == nil || !strings.Contains(err.Error(), "the client left") {
			t.Errorf("error %v", err)
		}
		r.stop()
		if b, err := running.Wait(t.Context()); err != nil || b.Result != xesite.ResultSuperseded {
			t.Errorf("the build that ran: %+v, %v", b, err)
		}
		if _, err := queued.Wait(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the one that waited: %v", err)
		}
		late, err := r.Trigger(t.Context(), pushed("c3"))
		if err == nil {
			_, err = late.Wait(t.Context())
		}
		if err == nil {
			t.Error("a trigger after the end was taken")
		}
	})
}

func TestStormKeepsWhatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{}
		source.set("c1")
		proceed := make(chan struct{})
		r := fakeRig(t, t.TempDir(), source, func(cfg *xesite.Config) {
			builds := 0
			cfg.Builder = xesite.BuilderFunc(func(ctx context.Context, in xesite.BuildInput) error {
				if builds++; builds == 2 {
					<-proceed
				}
				return xesite.Copy().Build(ctx, in)
			})
		})
		send := func(tr xesite.Trigger) *xesite.Ticket {
			ticket, err := r.Trigger(t.Context(), tr)
			if err != nil {
				t.Fatal(err)
			}
			return ticket
		}
		send(xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true})
		synctest.Wait() // it builds
		asked := send(xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true})
		for range 1000 {
			send(pushed("c1"))
		}
		if waiting := r.Status().Waiting; waiting > 64 {
			t.Errorf("%d triggers are remembered", waiting)
		}
		close(proceed)
		if b, err := asked.Wait(t.Context()); err != nil || b.Result != xesite.ResultUnchanged {
			t.Errorf("the rebuild was forgotten: %+v, %v", b, err)
		}
		r.stop()
	})
}
