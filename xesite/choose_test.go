// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/release"
)

func TestAPinHoldsEverything(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	first, _ := r.Current()
	change(repo, "second")
	r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)

	pinned, err := r.Pin(t.Context(), first.Release)
	if err != nil || pinned.Release != first.Release || !r.Pinned() || !r.Status().Pinned {
		t.Fatalf("Pin: %+v, %v", pinned, err)
	}
	r.expectPage("/", 200, "first")
	change(repo, "third")
	for _, trigger := range []xesite.Trigger{{Source: "github"}, {Source: xesite.SourceAdmin, Rebuild: true, Force: true}, {Source: xesite.SourceSchedule, Rebuild: true}} {
		r.expect(r.trigger(trigger), xesite.ResultPinned)
		r.expectPage("/", 200, "first")
	}
	if _, err := r.Rollback(t.Context(), first.Release); !errors.Is(err, xesite.ErrPinned) {
		t.Errorf("Rollback: %v", err)
	}

	// The pin outlives the process.
	r.stop()
	r = openRig(t, r.cfg.DataDir, repo.Bare, nil).run()
	r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPinned)
	r.expectPage("/", 200, "first")

	if _, err := r.Unpin(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "what was pushed meanwhile is served", func() bool { _, body := r.page("/"); return body == "third" })
}

// The list of supporters has to stay up to date after a freeze.
func TestUnpinningTheCurrentReleaseLeavesNoTrace(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	if _, err := r.Pin(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Unpin(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.expect(r.trigger(xesite.Trigger{Source: xesite.SourceData, Rebuild: true}), xesite.ResultUnchanged)

	second := change(repo, "second")
	r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
	releases, _ := r.Releases()
	if _, err := r.Pin(t.Context(), releases[len(releases)-1].Release); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Unpin(t.Context()); err != nil {
		t.Fatal(err)
	}
	// An older one stays until there is a new commit.
	r.expect(r.trigger(xesite.Trigger{Source: "github", Hint: second}), xesite.ResultKnown)
	r.expectPage("/", 200, "first")
}

// What the site was before is not in the records for ever.
func TestAPinIsRememberedForWhatItWas(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	change(repo, "second")
	r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
	pin := func(id release.ID) {
		t.Helper()
		if _, err := r.Pin(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		age(t, filepath.Join(r.cfg.DataDir, "channels"))
		r.expect(r.rebuild(), xesite.ResultPinned)
		r.stop() // old records are removed by then
		r = openRig(t, r.cfg.DataDir, repo.Bare, nil).run()
		wait.Until(t, "it builds", func() bool { return r.Status().Builder == r.Status().Instance })
	}
	releases, _ := r.Releases()
	pin("")
	pin(releases[1].Release)
	pin(releases[0].Release)
	if _, err := r.Unpin(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.expect(r.trigger(xesite.Trigger{Source: xesite.SourceData, Rebuild: true}), xesite.ResultUnchanged)
	pin(releases[1].Release)
	pin("") // the same one
	if _, err := r.Unpin(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.expect(r.trigger(xesite.Trigger{Source: xesite.SourceData, Rebuild: true}), xesite.ResultKnown)
	r.expectPage("/", 200, "first")
}

// age makes all files below a directory an hour old.
func age(t *testing.T, dir string) {
	t.Helper()
	long := time.Now().Add(-time.Hour)
	walk(t, dir, func(path string) {
		if err := os.Chtimes(path, long, long); err != nil {
			t.Error(err)
		}
	})
}

// A pin that was promised stays, whoever was about to roll back.
func TestARollbackDoesNotEndAPin(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	first, _ := r.Current()
	for range 20 {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { r.Rollback(t.Context(), first.Release) })
		}
		if _, err := r.Pin(t.Context(), first.Release); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if !r.Pinned() {
			t.Fatal("the pin is gone")
		}
		if _, err := r.Unpin(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Somebody pins while a build is under way.
func TestABuildDoesNotPublishOverAPin(t *testing.T) {
	repo := newRepo(t)
	started, proceed := make(chan bool), make(chan bool)
	r := newRig(t, repo.Bare, func(cfg *xesite.Config) {
		cfg.Builder = xesite.BuilderFunc(func(ctx context.Context, in xesite.BuildInput) error {
			started <- true
			<-proceed
			return xesite.Command{Line: copyPages}.Build(ctx, in)
		})
	}).run()
	<-started
	proceed <- true
	wait.Until(t, "the first build is served", r.Ready)
	change(repo, "second")
	ticket, err := r.Trigger(t.Context(), xesite.Trigger{Source: "github"})
	if err != nil {
		t.Fatal(err)
	}
	<-started
	if _, err := r.Pin(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	proceed <- true
	b, err := ticket.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.expect(b, xesite.ResultRejected)
	r.expectPage("/", 200, "first")
}

const (
	oldStyle = "/css/site.0a1b2c3d.css"
	newStyle = "/css/site.ffee9988.css"
)

// styled is a repository with a page and its style sheet, then the next.
func styled(t *testing.T) (r *rig, next func()) {
	t.Helper()
	repo := newRepo(t)
	repo.WriteFiles(map[string]string{"site" + oldStyle: "old style", "site/page.0a1b2c3d.html": "old page", "site/_redirects": "/* /index.html 200\n"})
	repo.Commit("style")
	repo.Push()
	r = newRig(t, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	return r, func() {
		repo.Remove("site" + oldStyle)
		repo.Remove("site/page.0a1b2c3d.html")
		repo.Write("site"+newStyle, "new style")
		change(repo, "second")
		r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
	}
}

func TestAnOpenPageStillFindsItsStyleSheet(t *testing.T) {
	r, next := styled(t)
	next()
	r.expectPage("/", 200, "second")
	r.expectPage(newStyle, 200, "new style")
	r.expectPage(oldStyle, 200, "old style") // and not the catch-all rule's page
	r.expectPage("/page.0a1b2c3d.html", 200, "second")

	// Also after a restart, and after a build that changes nothing.
	r.stop()
	r = openRig(t, r.cfg.DataDir, r.cfg.Source.(*xesite.Git).Remote, nil).run()
	wait.Until(t, "the old style is there again", func() bool { _, body := r.page(oldStyle); return body == "old style" })
	r.expect(r.rebuild(), xesite.ResultUnchanged)
	r.expectPage(oldStyle, 200, "old style")
}

func TestPurgedAssetsAreGone(t *testing.T) {
	r, next := styled(t)
	next()
	r.expectPage(oldStyle, 200, "old style")
	if _, err := r.Purge(t.Context(), "no/slash"); !errors.Is(err, xesite.ErrBadPath) {
		t.Errorf("Purge of no path: %v", err)
	}
	if _, err := r.Purge(t.Context(), "/img/*"); err != nil {
		t.Fatal(err)
	}
	r.expectPage(oldStyle, 200, "old style")
	before, _ := r.Current()
	cur, err := r.Purge(t.Context(), oldStyle)
	if err != nil || cur.Release != before.Release || cur.Sequence != before.Sequence+1 {
		t.Fatalf("Purge: %+v, %v", cur, err)
	}
	r.expectPage(oldStyle, 200, "second")
	r.stop()
	r = openRig(t, r.cfg.DataDir, r.cfg.Source.(*xesite.Git).Remote, nil).run()
	r.expect(r.rebuild(), xesite.ResultUnchanged)
	r.expectPage(oldStyle, 200, "second")
	r.expectPage(newStyle, 200, "new style")

	// A rollback is a choice.
	releases, _ := r.Releases()
	if _, err := r.Rollback(t.Context(), releases[len(releases)-1].Release); err != nil {
		t.Fatal(err)
	}
	r.expectPage(oldStyle, 200, "old style")
	r.expectPage(newStyle, 200, "new style")
	if _, err := r.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.expectPage(newStyle, 200, "first")
	if !wasHeld(r, t) {
		t.Error("the purge has ended the rollback")
	}
}

// What is not understood must not be taken for "everything".
func TestAPurgeByTheAPIMeansWhatItSays(t *testing.T) {
	r, next := styled(t)
	next()
	admin := r.AdminHandler(xesite.Admin{Loopback: true})
	post := func(target, contentType, body string) int {
		req := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
		req.Host = "localhost"
		req.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, req)
		return w.Code
	}
	const form = "application/x-www-form-urlencoded"
	for _, tt := range []struct{ target, contentType, body string }{
		{"/api/purge", "application/json", `{"path":"/x"}`},
		{"/api/purge", form, `{"path":"/x"}`},
		{"/api/purge?paths=/x", form, ""},
		{"/api/purge?path=%zz", form, ""},
		{"/api/purge?path=", form, ""},
		{"/api/purge", form, "path=%zz"},
	} {
		if code := post(tt.target, tt.contentType, tt.body); code != 400 {
			t.Errorf("POST %s with %s %q: %d, want 400", tt.target, tt.contentType, tt.body, code)
		}
		r.expectPage(oldStyle, 200, "old style")
	}
	if code := post("/api/purge", form, "path=/x&path=/y"); code != 200 {
		t.Errorf("purge of two paths: %d", code)
	}
	r.expectPage(oldStyle, 200, "old style")
	if code := post("/api/purge?path=/z", form, "path="+oldStyle); code != 200 {
		t.Errorf("purge: %d", code)
	}
	r.expectPage(oldStyle, 200, "second")
	if code := post("/api/purge", form, ""); code != 200 {
		t.Errorf("purge of everything: %d", code)
	}
}

// wasHeld reports whether a known commit stays unpublished after a rollback.
func wasHeld(r *rig, t *testing.T) bool {
	t.Helper()
	return r.trigger(xesite.Trigger{Source: "github"}).Result == xesite.ResultKnown
}

func TestWithoutGraceOldAssetsGoAtOnce(t *testing.T) {
	repo := newRepo(t)
	repo.Write("site"+oldStyle, "old style")
	repo.Commit("style")
	repo.Push()
	r := newRig(t, repo.Bare, func(cfg *xesite.Config) { cfg.AssetGrace = -1 }).run()
	wait.Until(t, "the first build is served", r.Ready)
	r.expectPage(oldStyle, 200, "old style")
	repo.Remove("site" + oldStyle)
	change(repo, "second")
	r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
	r.expectPage(oldStyle, 404, "")
}

func TestGates(t *testing.T) {
	for name, tt := range map[string]struct {
		gates xesite.Gates
		files map[string]string // against index.html and old.html; empty: removed
		want  string            // in the error; empty: it passes
	}{
		"rules are lax":    {xesite.Gates{}, map[string]string{"a.html": "a", "_redirects": "nonsense here and there\n"}, ""},
		"strict rules":     {xesite.Gates{StrictRules: true}, map[string]string{"a.html": "a", "_redirects": "nonsense here and there\n"}, "1 lines of rule files are wrong"},
		"no index":         {xesite.Gates{}, map[string]string{"index.html": ""}, "no index.html"},
		"no index is fine": {xesite.Gates{NoIndex: true}, map[string]string{"index.html": ""}, ""},
		"files":            {xesite.Gates{MaxFiles: 2}, map[string]string{"a.html": "a"}, "3 files: at most 2"},
		"bytes":            {xesite.Gates{MaxBytes: 9}, map[string]string{"a.html": "abcde"}, "bytes: at most 9"},
		"one file's bytes": {xesite.Gates{MaxFileBytes: 9}, map[string]string{"a.html": "abcdefghij"}, `"a.html" has 10 bytes: at most 9`},
		"a person's own": {xesite.Gates{Func: func(_ context.Context, c xesite.Candidate) error {
			return fmt.Errorf("not on a Friday: %d files after %d", len(c.Next.Index.Files), len(c.Current.Index.Files))
		}}, map[string]string{"a.html": "a"}, "not on a Friday: 3 files after 2"},
		"one that panics": {xesite.Gates{Func: func(context.Context, xesite.Candidate) error { panic("oops") }}, map[string]string{"a.html": "a"}, "panicked: oops"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := newRepo(t)
			r := newRig(t, repo.Bare, nil).run()
			wait.Until(t, "the first build is served", r.Ready)
			r.stop()
			r = openRig(t, r.cfg.DataDir, repo.Bare, func(cfg *xesite.Config) { cfg.Gates = tt.gates }).run()
			r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultKnown) // the start's trigger is done with
			for file, content := range tt.files {
				repo.Remove("site/" + file)
				if content != "" {
					repo.Write("site/"+file, content)
				}
			}
			repo.Commit(name)
			repo.Push()
			b := r.trigger(xesite.Trigger{Source: "github"})
			if tt.want == "" {
				r.expect(b, xesite.ResultPublished)
				return
			}
			r.expect(b, xesite.ResultRejected)
			if !strings.Contains(b.Error, tt.want) {
				t.Errorf("error %q, want %q", b.Error, tt.want)
			}
			r.expectPage("/", 200, "first")
			r.expect(r.trigger(xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true, Force: true}), xesite.ResultPublished)
		})
	}
}

func TestOldAssetsGoWhenTheirTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{}
		source.set("c1", oldStyle[1:], "old style")
		r := fakeRig(t, t.TempDir(), source, func(cfg *xesite.Config) { cfg.AssetGrace = time.Minute })
		pass(5 * time.Minute) // how long it was served does not count
		source.set("c2", newStyle[1:], "new style")
		r.expect(r.trigger(pushed("c2")), xesite.ResultPublished)
		pass(30 * time.Second)
		source.set("c3")
		r.expect(r.trigger(pushed("c3")), xesite.ResultPublished)
		r.expectPage(oldStyle, 200, "old style")
		pass(35 * time.Second)
		r.expectPage(oldStyle, 404, "")
		r.expectPage(newStyle, 200, "new style")
		pass(30 * time.Second)
		r.expectPage(newStyle, 404, "")
		r.stop()
	})
}
