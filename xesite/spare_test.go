// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build linux

package xesite_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

// tree describes what a generator can see of a checkout.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || filepath.Base(name) == ".git" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		switch info.Mode().Type() {
		case 0:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = string(b)
		case fs.ModeSymlink:
			if content, err = os.Readlink(path); err != nil {
				return err
			}
		}
		files[name] = info.Mode().String() + " " + content
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// fromSpare reports whether a checkout was a spare before.
func fromSpare(t *testing.T, dir string) bool {
	t.Helper()
	link, err := os.ReadFile(filepath.Join(dir, ".git"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(link), "/worktrees/spare-")
}

// maintain makes a spare, or says that there is none.
func maintain(t *testing.T, g *xesite.Git) (spare string) {
	t.Helper()
	if err := g.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	spares := glob(t, filepath.Join(g.Dir, "spare-*"))
	if len(spares) != 1 {
		t.Fatalf("spares: %v, want one", spares)
	}
	return spares[0]
}

// checkFresh compares a checkout with one that never was a spare.
func checkFresh(t *testing.T, g *xesite.Git, repo *gittest.Repo, dir string) {
	t.Helper()
	_, fresh := checkout(t, newGit(t, g.Remote))
	if diff := cmp.Diff(tree(t, fresh), tree(t, dir)); diff != "" {
		t.Errorf("not what a fresh checkout has:\n%s", diff)
	}
	if got := git(t, repo, dir, "status", "--porcelain", "--ignored"); got != git(t, repo, fresh, "status", "--porcelain", "--ignored") {
		t.Errorf("git status says %q", got)
	}
	if got, want := git(t, repo, dir, "rev-parse", "HEAD"), git(t, repo, fresh, "rev-parse", "HEAD"); got != want {
		t.Errorf("HEAD is %s, want %s", got, want)
	}
}

func TestSpareBecomesWhatAFreshCheckoutIs(t *testing.T) {
	need.Program(t, "git-lfs", "apt install git-lfs")
	repo, lib := gittest.New(t), gittest.New(t)
	lib.Write("lib.txt", "lib, old")
	oldLib := lib.Commit("old")
	lib.Write("lib.txt", "lib, new")
	newLib := lib.Commit("new")
	lib.Push()
	url, name := serveAll(t, repo, lib)

	repo.Git("lfs", "install", "--local")
	repo.WriteFiles(map[string]string{
		".gitattributes": "*.bin filter=lfs\nid.txt ident\n", ".gitignore": "ignored\n",
		"index.html": "first", "text": "a\nb\n", "dir/deep/file": "x", "dir/other": "y", "id.txt": "$Id$", "a.bin": "large, first",
	})
	repo.WriteScript("run.sh", "#!/bin/sh\n")
	repo.Symlink("text", "link")
	first := repo.Commit("first")
	repo.Push()

	// LFS objects are taken from a local path.
	g := newGit(t, repo.Bare)
	checkout(t, g)
	for _, step := range []struct {
		name string
		edit func()
		used bool
	}{
		{"nothing", func() {}, true},
		{"a change", func() { repo.Write("index.html", "second") }, true},
		{"files come and go", func() { repo.Remove("dir/deep"); repo.Write("new/file", "new") }, true},
		{"a rename", func() { repo.Git("mv", "dir/other", "moved"); repo.Git("mv", "text", "TEXT") }, true},
		{"modes", func() {
			repo.WriteScript("index.html", "second")
			repo.Git("add", "-A")
			repo.Git("update-index", "--chmod=-x", "run.sh")
		}, true},
		{"a link becomes a file", func() { repo.Remove("link"); repo.Write("link", "no link") }, true},
		{"a file becomes a link", func() { repo.Remove("link"); repo.Symlink("/etc/passwd", "link") }, true},
		{"a link out becomes a folder", func() { repo.Remove("link"); repo.Write("link/passwd", "ours") }, true},
		{"a file becomes a folder", func() { repo.Remove("moved"); repo.Write("moved/file", "y") }, true},
		{"a folder becomes a file", func() { repo.Remove("moved"); repo.Write("moved", "z") }, false},
		{"an expanded keyword", func() { repo.Write("id.txt", "$Id$ again") }, true},
		{"a large file", func() { repo.Write("a.bin", "large, second"); repo.Write("b.bin", "large too") }, true},
		{"line ends of files that do not change", func() {
			repo.Write(".gitattributes", "*.bin filter=lfs\nid.txt ident\nTEXT text eol=crlf\n")
		}, false},
		{"attributes in a folder", func() { repo.Write("new/.gitattributes", "* text eol=crlf\n") }, false},
		{"attributes go", func() { repo.Remove("new/.gitattributes") }, false},
		{"a new file with line ends", func() { repo.Write("more/TEXT", "a\nb\n") }, true},
		{"everything goes but one", func() { repo.Git("rm", "-rfq", "."); repo.Write("index.html", "alone") }, false},
	} {
		maintain(t, g)
		step.edit()
		repo.Commit(step.name)
		repo.Push()
		_, dir := checkout(t, g)
		if got := fromSpare(t, dir); got != step.used {
			t.Errorf("%s: the spare was used: %t, want %t", step.name, got, step.used)
		}
		checkFresh(t, g, repo, dir)
	}

	maintain(t, g)
	repo.Git("reset", "--quiet", "--hard", first)
	repo.Write("forced", "pushed")
	repo.Commit("another history")
	repo.ForcePush()
	_, dir := checkout(t, g)
	checkFresh(t, g, repo, dir)

	g.Remote = url + "/" + name(repo)
	repo.Git("rm", "-rfq", ".gitattributes", "a.bin")
	for _, step := range []struct {
		name string
		edit func()
		used bool
	}{
		{"no large files", func() {}, false},
		{"a submodule comes", func() { addSubmodule(repo, "themes/lib", url+"/"+name(lib), oldLib) }, false},
		{"a change beside it", func() { repo.Write("index.html", "third"); repo.Git("add", "index.html") }, true},
		{"the submodule moves on", func() { repo.Git("update-index", "--cacheinfo", "160000,"+newLib+",themes/lib") }, false},
		{"it goes", func() {
			repo.Git("rm", "-fq", "--cached", "themes/lib")
			repo.Write("themes/lib", "a file")
			repo.Git("add", "themes/lib")
		}, false},
	} {
		maintain(t, g)
		step.edit()
		repo.Git("commit", "--quiet", "--allow-empty", "--message", step.name)
		repo.Push()
		_, dir := checkout(t, g)
		if got := fromSpare(t, dir); got != step.used {
			t.Errorf("%s: the spare was used: %t, want %t", step.name, got, step.used)
		}
		checkFresh(t, g, repo, dir)
	}
}

// What builds leave running could have written to it, or to the mirror.
func TestSpareThatWasTouchedIsNotUsed(t *testing.T) {
	repo := gittest.New(t)
	repo.WriteFiles(map[string]string{".gitignore": "ignored\n", "site/index.html": "first", "site/other.html": "other"})
	repo.Commit("first")
	repo.Push()
	for name, touch := range map[string]func(t *testing.T, spare, admin string){
		"content of equal size and time": func(t *testing.T, spare, _ string) {
			path := filepath.Join(spare, "site/other.html")
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, "OTHER")
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		},
		"a new file":      func(t *testing.T, spare, _ string) { writeFile(t, filepath.Join(spare, "site/planted.html"), "x") },
		"an ignored file": func(t *testing.T, spare, _ string) { writeFile(t, filepath.Join(spare, "ignored"), "x") },
		"an empty folder": func(t *testing.T, spare, _ string) { os.Mkdir(filepath.Join(spare, "site/empty"), 0o755) },
		"a file gone":     func(t *testing.T, spare, _ string) { os.Remove(filepath.Join(spare, "site/other.html")) },
		"a mode":          func(t *testing.T, spare, _ string) { os.Chmod(filepath.Join(spare, "site/other.html"), 0o755) },
		"another repository": func(t *testing.T, spare, _ string) {
			writeFile(t, filepath.Join(spare, ".git"), "gitdir: /nonexistent\n")
		},
		"a sparse checkout": func(t *testing.T, _, admin string) {
			writeFile(t, filepath.Join(admin, "info/sparse-checkout"), "/site\n")
		},
		"a configuration":    func(t *testing.T, _, admin string) { writeFile(t, filepath.Join(admin, "config.worktree"), "[core]\n") },
		"another HEAD":       func(t *testing.T, _, admin string) { writeFile(t, filepath.Join(admin, "HEAD"), "ref: refs/heads/x\n") },
		"half an index":      func(t *testing.T, _, admin string) { os.Truncate(filepath.Join(admin, "index"), 40) },
		"all of it gone":     func(t *testing.T, spare, _ string) { os.RemoveAll(spare) },
		"the mirror forgets": func(t *testing.T, _, admin string) { os.RemoveAll(admin) },
		"another in its place": func(t *testing.T, spare, _ string) {
			os.Rename(spare, spare+"-old")
			os.CopyFS(spare, os.DirFS(spare+"-old"))
		},
		"git looks away": func(t *testing.T, spare, _ string) {
			git(t, repo, spare, "update-index", "--assume-unchanged", "site/other.html")
			git(t, repo, spare, "update-index", "--skip-worktree", "site/index.html")
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGit(t, repo.Bare)
			checkout(t, g)
			spare := maintain(t, g)
			touch(t, spare, filepath.Join(g.Dir, "site.git/worktrees", filepath.Base(spare)))
			_, dir := checkout(t, g)
			if fromSpare(t, dir) {
				t.Error("it was used")
			}
			checkFresh(t, g, repo, dir)
			if _, err := os.Lstat(spare); err == nil {
				t.Error("it is still there")
			}
			maintain(t, g)
			if _, dir := checkout(t, g); !fromSpare(t, dir) {
				t.Error("the next one was not used")
			}
		})
	}
}

// All that is known of a spare is in memory, so a kill leaves only rubbish.
func TestSparesOfAnotherProcessAreRemoved(t *testing.T) {
	repo := newRepo(t)
	g := newGit(t, repo.Bare)
	checkout(t, g)
	old := maintain(t, g)
	writeFile(t, filepath.Join(g.Dir, "spare-half/site/index.html"), "ha")

	again := &xesite.Git{Remote: g.Remote, Dir: g.Dir}
	_, dir := checkout(t, again)
	if fromSpare(t, dir) {
		t.Error("a spare of another process was used")
	}
	if spare := maintain(t, again); spare == old {
		t.Error("a spare of another process was kept")
	}
	// The first process, should it still be there, has none any more.
	if _, dir := checkout(t, g); fromSpare(t, dir) {
		t.Error("a spare that others have removed was used")
	}
}

func TestSpareThatIsNotFinishedIsNotUsed(t *testing.T) {
	repo := newRepo(t)
	for i := range 300 {
		repo.Write(fmt.Sprintf("site/%d.html", i), fmt.Sprint(i))
	}
	repo.Commit("more")
	repo.Push()
	g := newGit(t, repo.Bare)
	checkout(t, g)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Maintain(ctx) }()
	wait.Until(t, "a spare is begun", func() bool { return len(glob(t, filepath.Join(g.Dir, "spare-*/site"))) > 0 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, dir := checkout(t, g); fromSpare(t, dir) {
		t.Error("half a spare was used")
	}
	maintain(t, g)
	if _, dir := checkout(t, g); !fromSpare(t, dir) {
		t.Error("a whole one was not")
	}
}

// toldOf tells when a call of Maintain was not cut short by a build.
type toldOf struct {
	*xesite.Git
	done chan struct{}
}

func (m toldOf) Maintain(ctx context.Context) error {
	err := m.Git.Maintain(ctx)
	if ctx.Err() == nil {
		m.done <- struct{}{}
	}
	return err
}

func TestBuildTakesTheSpareAlong(t *testing.T) {
	repo := newRepo(t)
	done := make(chan struct{}, 1000)
	r := newRig(t, repo.Bare, func(cfg *xesite.Config) {
		cfg.Source = toldOf{cfg.Source.(*xesite.Git), done}
		cfg.Builder = xesite.Command{Line: copyPages + `; cat .git; (cat .git; ls -d "$(git rev-parse --git-common-dir)"/../spare-* 2>/dev/null) >_site/seen.txt; true`}
	}).run()
	for i, taken := 0, 0; taken < 3; i++ {
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("no spare is made after a build")
		}
		if !r.Ready() {
			continue
		}
		change(repo, fmt.Sprint("page ", i))
		r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
		r.expectPage("/", 200, fmt.Sprint("page ", i))
		_, seen := r.page("/seen.txt")
		if !strings.Contains(seen, "/worktrees/spare-") {
			if i > 10 {
				t.Fatal("the spares are not used")
			}
			continue // the call that ended was not the last one before the build
		}
		taken++
		if strings.Count(seen, "spare-") > 1 {
			t.Errorf("the build has seen another spare: %q", seen)
		}
	}
}
