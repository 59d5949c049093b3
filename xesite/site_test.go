// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

// patience is how long a test waits for what should take moments.
const patience = wait.Patience

// copyPages is the smallest generator: the site is the repository's site
// directory.
const copyPages = "mkdir -p _site && cp -R site/. _site/"

// rig is a site under test on a data directory that outlives it.
type rig struct {
	*xesite.Site
	t    *testing.T
	cfg  xesite.Config
	logs *wait.Buffer
	stop func()
}

// newRig makes a site of a repository, not yet running. Change the
// configuration by edit.
func newRig(t *testing.T, remote string, edit func(*xesite.Config)) *rig {
	t.Helper()
	return openRig(t, t.TempDir(), remote, edit)
}

func openRig(t *testing.T, dir, remote string, edit func(*xesite.Config)) *rig {
	t.Helper()
	logs := &wait.Buffer{}
	cfg := xesite.Config{
		DataDir: dir,
		Source:  &xesite.Git{Remote: remote, Dir: filepath.Join(dir, "git")},
		Builder: xesite.Command{Line: copyPages, Grace: 200 * time.Millisecond},
		Poll:    -1,
		Logger:  slog.New(slog.NewJSONHandler(io.MultiWriter(logs, t.Output()), nil)),
	}
	if edit != nil {
		edit(&cfg)
	}
	site, err := xesite.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Site: site, t: t, cfg: cfg, logs: logs}
}

// run runs the site until the test ends or stop is called.
func (r *rig) run() *rig {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					r.t.Errorf("Run: %v", err)
				}
			case <-time.After(patience):
				r.t.Error("Run does not return")
			}
		})
	}
	r.t.Cleanup(r.stop)
	return r
}

// rebuild asks for a build and waits for its record.
func (r *rig) rebuild() xesite.Build {
	r.t.Helper()
	return r.trigger(xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true})
}

func (r *rig) trigger(t xesite.Trigger) xesite.Build {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	ticket, err := r.Trigger(ctx, t)
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := ticket.Wait(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// expect checks how a build ended.
func (r *rig) expect(b xesite.Build, want xesite.Result) xesite.Build {
	r.t.Helper()
	if b.Result != want {
		r.t.Fatalf("build %d: result %s at %q, want %s: %s\n%s", b.Number, b.Result, b.Stage, want, b.Error, b.LogTail)
	}
	return b
}

// page gets a path and returns status and body.
func (r *rig) page(path string) (int, string) {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func (r *rig) expectPage(path string, status int, part string) {
	r.t.Helper()
	if code, body := r.page(path); code != status || !strings.Contains(body, part) {
		r.t.Errorf("GET %s: %d %.200q; want %d with %q", path, code, body, status, part)
	}
}

// newRepo makes a repository with a page.
func newRepo(t *testing.T) *gittest.Repo {
	t.Helper()
	repo := gittest.New(t)
	repo.WriteFiles(map[string]string{"site/index.html": "first", "site/old.html": "old"})
	repo.Commit("first")
	repo.Push()
	return repo
}

// change commits and pushes a new front page and returns the commit.
func change(repo *gittest.Repo, page string) string {
	repo.Write("site/index.html", page)
	commit := repo.Commit("make it " + page)
	repo.Push()
	return commit
}

func TestPushBecomesThePage(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.HTTPServer("").URL, nil)
	r.expectPage("/", 503, "Back in a moment")
	if r.Ready() {
		t.Error("ready without a release")
	}
	r.run()
	wait.Until(t, "the first build is served", func() bool { return r.Ready() })
	r.expectPage("/", 200, "first")

	repo.Remove("site/old.html")
	commit := change(repo, "second")
	b := r.expect(r.trigger(xesite.Trigger{Source: "github", Hint: commit}), xesite.ResultPublished)
	r.expectPage("/", 200, "second")
	r.expectPage("/old", 404, "")
	cur, err := r.Current()
	if err != nil || cur.Commit != commit || cur.Release != b.Release || b.Commit != commit || b.Subject != "make it second" {
		t.Errorf("current %+v, %v; build %+v; want commit %s", cur, err, b, commit)
	}
}

func TestOneCommitIsBuiltOnceUnlessAskedFor(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	for _, source := range []string{"github", xesite.SourcePoll, xesite.SourceStart} {
		r.expect(r.trigger(xesite.Trigger{Source: source}), xesite.ResultKnown)
	}
	r.expect(r.rebuild(), xesite.ResultUnchanged)
	builds, err := r.Builds(100)
	if err != nil || len(builds) != 2 {
		t.Errorf("%d builds, %v; want 2", len(builds), err)
	}
	if cur, _ := r.Current(); cur.Sequence != 1 {
		t.Errorf("an unchanged result was published: %+v", cur)
	}
}

func TestARebuildOfAPreviewWhereThereIsNoneIsNotOneOfTheSite(t *testing.T) {
	r := newRig(t, newRepo(t).Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	req := httptest.NewRequest(http.MethodPost, "/api/rebuild?wait=1&branch=draft", nil)
	req.Host = "localhost"
	w := httptest.NewRecorder()
	r.AdminHandler(xesite.Admin{Loopback: true}).ServeHTTP(w, req)
	if w.Code != http.StatusNotFound {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestFailedBuildChangesNothing(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.Bare, func(cfg *xesite.Config) {
		cfg.Builder = xesite.Command{Line: "mkdir _site && cp -R site/. _site/ && echo to stdout && echo to stderr >&2 && . ./end.sh"}
	})
	repo.Write("end.sh", "true")
	repo.Commit("good")
	repo.Push()
	r.run()
	wait.Until(t, "the first build is served", r.Ready)
	for name, tt := range map[string]struct{ script, want, log string }{
		"exit code":    {"rm _site/old.html; exit 3", "exited with code 3", "to stderr"},
		"signal":       {"kill -9 $$", "killed by signal 9", "to stdout"},
		"not found":    {"no-such-generator; exit 127", "a program was not found", "no-such-generator"},
		"no output":    {"rm -r _site", `no directory "_site"`, ""},
		"empty output": {"rm -r _site; mkdir _site", "wrote no files", ""},
		"no index":     {"rm _site/index.html", "no index.html", ""},
		"link out":     {"ln -s /etc/passwd _site/passwd.html", "passwd.html", ""},
		"odd name":     {`touch "_site/$(printf 'a\003b')"`, "control character", ""},
		"fifo":         {"mkfifo _site/pipe", "neither a file nor a directory", ""},
	} {
		t.Run(name, func(t *testing.T) {
			repo.WriteFiles(map[string]string{"end.sh": tt.script, "site/index.html": name})
			repo.Commit(name)
			repo.Push()
			b := r.trigger(xesite.Trigger{Source: "github"})
			if b.Result != xesite.ResultFailed && b.Result != xesite.ResultRejected {
				t.Errorf("result %s", b.Result)
			}
			if !strings.Contains(b.Error, tt.want) || !strings.Contains(b.LogTail, tt.log) || !strings.Contains(b.LogTail, tt.want) {
				t.Errorf("error %q, want %q; log tail:\n%s", b.Error, tt.want, b.LogTail)
			}
			r.expectPage("/", 200, "first")
			r.expectPage("/old", 200, "old")
			// A poll does not try again what cannot go well.
			r.expect(r.trigger(xesite.Trigger{Source: xesite.SourcePoll}), xesite.ResultKnown)
		})
	}
	repo.WriteFiles(map[string]string{"end.sh": "true", "site/index.html": "mended"})
	repo.Commit("mended")
	repo.Push()
	r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
	r.expectPage("/", 200, "mended")
	wait.Until(t, "nothing is left in the build directory", func() bool {
		return len(glob(t, filepath.Join(r.cfg.DataDir, "build", "*"))) == 0
	})
}

func TestLosingMostFilesNeedsForce(t *testing.T) {
	repo := newRepo(t)
	for i := range 60 {
		repo.Write(fmt.Sprintf("site/page%d.html", i), "x")
	}
	repo.Commit("many")
	repo.Push()
	r := newRig(t, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	for i := range 50 {
		repo.Remove(fmt.Sprintf("site/page%d.html", i))
	}
	repo.Commit("few")
	repo.Push()
	b := r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultRejected)
	if !strings.Contains(b.Error, "only 12 files are left of 62") {
		t.Errorf("error %q", b.Error)
	}
	r.expectPage("/page0", 200, "x")
	r.expect(r.trigger(xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true, Force: true}), xesite.ResultPublished)
	r.expectPage("/page0", 404, "")
}

// The original queued one whole build for each delivery.
func TestStormDuringABuildMakesOneMore(t *testing.T) {
	repo := newRepo(t)
	started, proceed := make(chan string), make(chan struct{})
	r := newRig(t, repo.Bare, func(cfg *xesite.Config) {
		cfg.Builder = xesite.BuilderFunc(func(ctx context.Context, in xesite.BuildInput) error {
			started <- in.Revision.ID
			<-proceed
			return xesite.Command{Line: copyPages}.Build(ctx, in)
		})
	}).run()
	<-started
	var last string
	var tickets []*xesite.Ticket
	for i := range 200 {
		if i%50 == 0 {
			last = change(repo, fmt.Sprintf("storm %d", i))
		}
		ticket, err := r.Trigger(t.Context(), xesite.Trigger{Source: "github", Hint: last})
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	proceed <- struct{}{}
	if commit := <-started; commit != last {
		t.Errorf("the second build is of %s, want the newest commit %s", commit, last)
	}
	proceed <- struct{}{}
	for _, ticket := range tickets {
		if b, err := ticket.Wait(t.Context()); err != nil || b.Commit != last {
			t.Fatalf("ticket: %+v, %v", b, err)
		}
	}
	if builds, _ := r.Builds(100); len(builds) != 2 {
		t.Errorf("%d builds, want 2", len(builds))
	}
}

// The original did not start without its forge.
func TestRestartServesBeforeAnyNetwork(t *testing.T) {
	repo := newRepo(t)
	server := repo.HTTPServer("")
	dir := t.TempDir()
	first := openRig(t, dir, server.URL, nil).run()
	wait.Until(t, "the first build is served", first.Ready)
	first.stop()

	server.SetFault(gittest.Hang)
	second := openRig(t, dir, server.URL, nil)
	second.expectPage("/", 200, "first") // before Run
	if !second.Ready() {
		t.Error("not ready")
	}
	second.run()
	wait.Until(t, "the fetch hangs", func() bool { return server.Requests() > 0 })
	second.expectPage("/", 200, "first")
	second.stop() // and a hanging fetch does not hold it up
}

func TestRemoteInTroubleIsAnErrorAndNothingElse(t *testing.T) {
	repo := newRepo(t)
	server := repo.HTTPServer("")
	r := newRig(t, server.URL, func(cfg *xesite.Config) {
		cfg.Source.(*xesite.Git).Timeout = 3 * time.Second
	}).run()
	wait.Until(t, "the first build is served", r.Ready)
	change(repo, "second")
	for name, fault := range map[string]gittest.Fault{
		"unavailable": gittest.Unavailable, "drop": gittest.Drop, "cut": gittest.Cut,
		"garbage": gittest.Garbage, "blank": gittest.Blank, "hang": gittest.Hang,
	} {
		server.SetFault(fault)
		b := r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultFailed)
		if b.Stage != "fetch" || !strings.Contains(b.Error, "fetch http://") {
			t.Errorf("%s: failed at %s: %s", name, b.Stage, b.Error)
		}
		r.expectPage("/", 200, "first")
		server.SetFault(gittest.None)
	}
	r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
	r.expectPage("/", 200, "second")
}

// A forge that is down for a day must not push out the records that matter.
func TestPollsOfAnAbsentRemoteShareARecord(t *testing.T) {
	repo := newRepo(t)
	server := repo.HTTPServer("")
	r := newRig(t, server.URL, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	server.SetFault(gittest.Unavailable)
	first := r.expect(r.trigger(xesite.Trigger{Source: xesite.SourcePoll}), xesite.ResultFailed)
	for range 3 {
		if b := r.expect(r.trigger(xesite.Trigger{Source: xesite.SourcePoll}), xesite.ResultFailed); b.Number != first.Number {
			t.Errorf("build %d, want %d again", b.Number, first.Number)
		}
	}
	if b := r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultFailed); b.Number == first.Number {
		t.Error("a hook's build has no number of its own")
	}
	if builds, err := r.Builds(100); err != nil || len(builds) != 3 {
		t.Errorf("%d records, %v; want 3", len(builds), err)
	}
}
