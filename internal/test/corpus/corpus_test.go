// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package corpus_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/corpus"
	"xeiaso.net/site/internal/test/gittest"
)

// build runs the generator in a linked worktree without any configuration of
// the machine, and returns its output.
func build(t *testing.T, repo *gittest.Repo, site corpus.Site, commit string) fs.FS {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "checkout")
	repo.Git("worktree", "add", "--quiet", "--detach", dir, commit)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", site.Line)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "COMMIT=" + commit, "SITE_URL=https://docs.example/"}
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", site.Line, err, out)
	}
	t.Logf("%d pages in %s, %s of processor time", site.Pages, time.Since(start), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	return os.DirFS(filepath.Join(dir, site.OutputDir))
}

// htmlFiles counts them.
func htmlFiles(t *testing.T, site fs.FS) (n int) {
	t.Helper()
	err := fs.WalkDir(site, ".", func(name string, _ fs.DirEntry, err error) error {
		if path.Ext(name) == ".html" {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func read(t *testing.T, site fs.FS, name string) string {
	t.Helper()
	content, err := fs.ReadFile(site, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// testSite builds the site, changes a document, and builds it again.
func testSite(t *testing.T, repo *gittest.Repo, site corpus.Site) {
	t.Helper()
	first := repo.Commit("first")
	out := build(t, repo, site, first)
	if got := htmlFiles(t, out); got != site.Pages {
		t.Errorf("%d pages, want %d", got, site.Pages)
	}
	if home := read(t, out, "index.html"); !strings.Contains(home, `<meta name="commit" content="`+first+`">`) {
		t.Errorf("the home page does not tell commit %s:\n%.500s", first, home)
	}
	var feed struct {
		Items []struct{ URL, Title string }
	}
	if err := json.Unmarshal([]byte(read(t, out, "blog.json")), &feed); err != nil || len(feed.Items) != 20 {
		t.Fatalf("feed: %v, %d items, want 20", err, len(feed.Items))
	}
	for _, item := range feed.Items {
		if !strings.HasPrefix(item.URL, "https://docs.example/docs") || item.Title == "" {
			t.Errorf("item %+v", item)
		}
	}

	file := path.Join(site.Path[1:], "index.html")
	before := read(t, out, file)
	if !strings.Contains(before, "<title>") || strings.Contains(before, first) {
		t.Errorf("the page of %s has no title, or a commit:\n%.500s", site.Document, before)
	}
	repo.Write(site.Document, "---\ntitle: \"Changed & new\"\n---\nThis is new.\n")
	changed := build(t, repo, site, repo.Commit("second"))
	after := read(t, changed, file)
	for _, want := range []string{"<title>Changed &amp; new</title>", "<p>This is new.</p>"} {
		if !strings.Contains(after, want) {
			t.Errorf("%q is not in\n%s", want, after)
		}
	}
}

func TestHugo(t *testing.T) {
	repo := gittest.New(t)
	testSite(t, repo, corpus.Hugo(t, repo, 1))
}

func TestHugoCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	repo := gittest.New(t)
	site := corpus.Hugo(t, repo, 3)
	commit := repo.Commit("first")
	out := build(t, repo, site, commit)
	if got := htmlFiles(t, out); got != site.Pages || got < 2500 {
		t.Errorf("%d pages, want %d", got, site.Pages)
	}
	// Git works in a linked worktree, as in every checkout of a site.
	if home := read(t, out, "index.html"); !strings.Contains(home, `<meta name="git-commit" content="`+commit+`">`) {
		t.Errorf("Hugo has no commit %s from git:\n%.500s", commit, home)
	}
}

func TestEleventy(t *testing.T) {
	repo := gittest.New(t)
	testSite(t, repo, corpus.Eleventy(t, repo))
}
