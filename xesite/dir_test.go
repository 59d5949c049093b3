// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

// watched counts what a source's Watch reports.
type watched struct {
	t *testing.T
	n atomic.Int64
}

func startWatch(t *testing.T, source xesite.Watcher) *watched {
	t.Helper()
	w := &watched{t: t}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- source.Watch(ctx, func() { w.n.Add(1) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	return w
}

// begins waits until changes are seen at all, by making some.
func (w *watched) begins(change func(i int)) {
	w.t.Helper()
	i := 0
	wait.Until(w.t, "changes are seen", func() bool {
		if i%50 == 0 { // they are reported after a pause
			change(i)
		}
		i++
		return w.n.Load() > 0
	})
	w.settles()
}

// settles waits until nothing is reported for longer than a report is held
// back, and returns how many there were.
func (w *watched) settles() int64 {
	w.t.Helper()
	quiet, last := time.Now(), w.n.Load()
	wait.Until(w.t, "it is quiet", func() bool {
		if n := w.n.Load(); n != last {
			quiet, last = time.Now(), n
		}
		return time.Since(quiet) > 400*time.Millisecond
	})
	return w.n.Swap(0)
}

// sees checks that there is a report.
func (w *watched) sees(what string) {
	w.t.Helper()
	wait.Until(w.t, what+" is seen", func() bool { return w.n.Load() > 0 })
	w.settles()
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// The original never watched new directories.
func TestDirWatchSeesEveryKindOfChange(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "posts", "old"))
	path := func(elem ...string) string { return filepath.Join(append([]string{dir}, elem...)...) }
	w := startWatch(t, &xesite.Dir{Path: dir})
	w.begins(func(i int) { writeFile(t, path("first"), fmt.Sprint(i)) })
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"a write below", func() { writeFile(t, path("posts", "old", "a.md"), "a") }},
		{"a new directory", func() { mkdir(t, path("new", "very", "deep")) }},
		{"a file in it", func() { writeFile(t, path("new", "very", "deep", "a.md"), "a") }},
		{"a rename of a file", func() { rename(t, path("new", "very", "deep", "a.md"), path("b.md")) }},
		{"a rename of a directory", func() { rename(t, path("new"), path("newer")) }},
		{"a file in the renamed one", func() { writeFile(t, path("newer", "very", "deep", "c.md"), "c") }},
		{"a removal", func() { remove(t, path("newer")) }},
		{"a directory from elsewhere", func() {
			other := t.TempDir()
			mkdir(t, filepath.Join(other, "x", "y"))
			rename(t, filepath.Join(other, "x"), path("x"))
		}},
		{"a file in that one", func() { writeFile(t, path("x", "y", "z"), "z") }},
		{"a replaced file", func() { writeFile(t, path(".b.tmp"), "new"); rename(t, path(".b.tmp"), path("b.md")) }},
	} {
		step.do()
		w.sees(step.what)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func TestDirWatchIgnores(t *testing.T) {
	repo := newRepo(t)
	repo.Write(".gitignore", "node_modules/\n*.log\n!keep.log\n")
	repo.Commit("ignore")
	path := func(elem ...string) string { return filepath.Join(append([]string{repo.Dir}, elem...)...) }
	mkdir(t, path("node_modules", "a", "b"))
	mkdir(t, path("var"))
	w := startWatch(t, &xesite.Dir{Path: repo.Dir, Ignore: []string{"_site", path("var"), "/", ".", repo.Dir}})
	w.begins(func(i int) { writeFile(t, path("site", "a.md"), fmt.Sprint(i)) })
	for what, do := range map[string]func(){
		"git":               func() { repo.Git("tag", "x"); repo.Git("gc", "--quiet") },
		"output":            func() { writeFile(t, path("_site", "deep", "x.html"), "x") },
		"data":              func() { writeFile(t, path("var", "blobs", "x"), "x") },
		"git-ignored":       func() { writeFile(t, path("a.log"), "x"); writeFile(t, path("site", "b.log"), "x") },
		"ignored directory": func() { writeFile(t, path("node_modules", "a", "b", "c"), "x") },
		"new ignored one":   func() { writeFile(t, path("site", "node_modules", "c", "d"), "x") },
		"mode":              func() { os.Chmod(path("site", "index.html"), 0o600) },
	} {
		do()
		// The file system's own order: were it seen, it would be by now.
		if n := w.settles(); n != 0 && what != "new ignored one" { // its directory is new before it is ignored
			t.Errorf("%s: %d reports", what, n)
		}
	}
	writeFile(t, path("keep.log"), "x")
	w.sees("what is excepted from ignoring")
	writeFile(t, path("site_var"), "x")
	w.sees("a name that begins alike")
}

func TestBurstOfChangesIsReportedOnce(t *testing.T) {
	repo := newRepo(t)
	w := startWatch(t, &xesite.Dir{Path: repo.Dir})
	w.begins(func(i int) { writeFile(t, filepath.Join(repo.Dir, "a"), fmt.Sprint(i)) })
	start := time.Now()
	for i := range 5000 {
		writeFile(t, filepath.Join(repo.Dir, "posts", fmt.Sprint(i%50), fmt.Sprint(i)), "x")
	}
	wrote := time.Since(start)
	wait.Until(t, "it is seen", func() bool { return w.n.Load() > 0 })
	seen := time.Since(start)
	if n := w.settles(); n > 2+int64(wrote/time.Second) {
		t.Errorf("%d reports of one burst of %s", n, wrote)
	}
	t.Logf("written in %s, seen after %s", wrote, seen)
	if seen > wrote+10*time.Second {
		t.Errorf("written in %s, seen after %s", wrote, seen)
	}
}

func TestChangesThatNeverStopAreReported(t *testing.T) {
	dir := t.TempDir()
	w := startWatch(t, &xesite.Dir{Path: dir})
	i := 0
	wait.Until(t, "a change is reported while there are more", func() bool {
		i++
		writeFile(t, filepath.Join(dir, "log"), fmt.Sprint(i))
		return w.n.Load() > 1
	})
}

// A build in place writes its output and data files there: they must not bring
// about the next build.
func TestBuildInPlaceDoesNotBringAboutTheNext(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "site", "index.html"), "first")
	n := 0
	r := openRig(t, filepath.Join(dir, "var"), "unused", func(cfg *xesite.Config) {
		cfg.Source = &xesite.Dir{Path: dir}
		cfg.Builder = xesite.Command{Line: "rm -rf _site node_modules; mkdir -p node_modules && date > node_modules/x; " + copyPages + "; cp data.txt _site/"}
		cfg.CachePaths = []string{"node_modules"}
		cfg.DataFiles = []xesite.DataFile{{Path: "data.txt", Fetch: func(context.Context) ([]byte, error) {
			n++
			return fmt.Append(nil, n), nil
		}}}
	}).run()
	wait.Until(t, "the first build is served", r.Ready)
	r.expectPage("/", 200, "first")
	i := 0
	wait.Until(t, "a change is built", func() bool {
		if i%100 == 0 {
			writeFile(t, filepath.Join(dir, "site", "index.html"), fmt.Sprint("change ", i))
		}
		i++
		last := r.Status().Last
		return last != nil && last.Triggers[0] == xesite.SourceWatch
	})
	ended := func() (last uint64) {
		since := time.Now()
		wait.Until(t, "builds end", func() bool {
			if b := r.Status().Last; b.Number != last {
				last, since = b.Number, time.Now()
			}
			return time.Since(since) > time.Second
		})
		return last
	}
	before := ended()
	writeFile(t, filepath.Join(dir, "site", "index.html"), "the last change")
	wait.Until(t, "it is built", func() bool { _, body := r.page("/"); return body == "the last change" })
	if after := ended(); after > before+2 {
		t.Errorf("%d builds of one change", after-before)
	}
}

func TestWatchOfALocalRepository(t *testing.T) {
	bare, linked := newRepo(t), newRepo(t)
	worktree := filepath.Join(t.TempDir(), "linked")
	linked.Git("worktree", "add", "--quiet", "-b", "other", worktree)
	work := newRepo(t)
	for name, tt := range map[string]struct {
		remote string
		commit func(i int)
	}{
		"work tree":        {work.Dir, func(i int) { work.Write("x", fmt.Sprint(i)); work.Commit("x") }},
		"bare":             {"file://" + bare.Bare, func(i int) { change(bare, fmt.Sprint(i)) }},
		"linked work tree": {worktree, func(i int) { git(t, linked, worktree, "commit", "--quiet", "--allow-empty", "-m", fmt.Sprint(i)) }},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGit(t, tt.remote)
			g.WatchLocal = true
			w := startWatch(t, g)
			w.begins(tt.commit)
			tt.commit(-1)
			w.sees("a commit")
			repo := map[string]string{"work tree": work.Dir, "bare": bare.Bare, "linked work tree": worktree}[name]
			git(t, work, repo, "update-ref", "refs/heads/new/branch", "HEAD")
			w.sees("a new branch")
			git(t, work, repo, "gc", "--quiet", "--prune=now")
			w.settles() // packing refs may be reported
			git(t, work, repo, "symbolic-ref", "HEAD", "refs/heads/new/branch")
			w.sees("a switch of the branch")
			git(t, work, repo, "update-ref", "refs/heads/new/branch", "HEAD~1")
			w.sees("a branch that moves after packing")
			if name == "work tree" {
				w.settles() // late reports of the above
				writeFile(t, filepath.Join(work.Dir, "site", "draft.html"), "not committed")
				git(t, work, repo, "add", ".")
				if n := w.settles(); n != 0 {
					t.Errorf("%d reports of what is not committed", n)
				}
			}
		})
	}
}

// A commit that comes between the first look and the watch is not missed.
func TestWatchOfALocalRepositoryBeginsWithALook(t *testing.T) {
	g := newGit(t, newRepo(t).Dir)
	g.WatchLocal = true
	startWatch(t, g).sees("what was there before")
}

func TestCommitInAWatchedRepositoryGoesLive(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.Dir, func(cfg *xesite.Config) { cfg.Source.(*xesite.Git).WatchLocal = true }).run()
	wait.Until(t, "the first build is served", r.Ready)
	i := 0
	wait.Until(t, "a commit is served", func() bool {
		if i%200 == 0 { // the watch may begin after the first build
			repo.Write("site/index.html", fmt.Sprint("live ", i))
			repo.Commit("live")
		}
		i++
		_, body := r.page("/")
		return body != "first"
	})
	if last := r.Status().Last; last.Triggers[0] != xesite.SourceWatch {
		t.Errorf("triggers %v", last.Triggers)
	}
}
