// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package gittest_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/need"
)

// newRepo returns a repository with one pushed commit of some size.
func newRepo(t *testing.T) (repo *gittest.Repo, head string) {
	t.Helper()
	repo = gittest.New(t)
	repo.Write("index.md", "# Hello\n")
	for i := range 50 {
		// Text that does not compress away, so that half a pack is some data.
		var content strings.Builder
		for j := range 200 {
			content.WriteString(strconv.FormatUint(uint64(i*200+j+1)*0x9e3779b97f4a7c15, 36))
		}
		repo.Write("posts/"+strconv.Itoa(i)+".md", content.String())
	}
	head = repo.Commit("first")
	repo.Push()
	return repo, head
}

// clone returns the head of a fresh clone of url.
func clone(t *testing.T, repo *gittest.Repo, env []string, url string, options ...string) (head string, err error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	args := append(append([]string{}, options...), "clone", "--quiet", url, dir)
	if _, err := repo.TryGit(t.TempDir(), env, args...); err != nil {
		return "", err
	}
	return repo.TryGit(dir, env, "rev-parse", "HEAD")
}

func wantClone(t *testing.T, repo *gittest.Repo, env []string, url, want string, options ...string) {
	t.Helper()
	if got, err := clone(t, repo, env, url, options...); err != nil || got != want {
		t.Errorf("clone of %s: %q, %v; want %q", url, got, err, want)
	}
}

func wantNoClone(t *testing.T, repo *gittest.Repo, env []string, url, message string) {
	t.Helper()
	if got, err := clone(t, repo, env, url); err == nil || !strings.Contains(err.Error(), message) {
		t.Errorf("clone of %s: %q, %v; want an error with %q", url, got, err, message)
	}
}

func TestEqualCallsGiveEqualCommits(t *testing.T) {
	// What git finds here must not count.
	t.Setenv("GIT_AUTHOR_NAME", "somebody")
	t.Setenv("GIT_DIR", "/nonexistent")
	build := func() string {
		repo := gittest.New(t)
		repo.WriteFiles(map[string]string{"a": "1", "b/c": "2"})
		repo.WriteScript("build.sh", "#!/bin/sh\n")
		repo.Symlink("a", "link")
		repo.Commit("first")
		repo.Remove("b")
		head := repo.Commit("second")
		if got, want := repo.Git("ls-tree", "-r", "--format=%(objectmode) %(path)", "HEAD"), "100644 a\n100755 build.sh\n120000 link"; got != want {
			t.Errorf("tree %q, want %q", got, want)
		}
		return head
	}
	if a, b := build(), build(); a != b {
		t.Errorf("commits %s and %s differ", a, b)
	}
}

func TestPushes(t *testing.T) {
	repo, first := newRepo(t)
	url := "file://" + repo.Bare
	wantClone(t, repo, nil, url, first)

	repo.Write("more", "x")
	second := repo.Commit("second")
	repo.Tag("v1")
	repo.Push()
	wantClone(t, repo, nil, url, second)

	repo.Git("reset", "--quiet", "--hard", first)
	repo.Write("other", "x")
	third := repo.Commit("third")
	repo.ForcePush()
	wantClone(t, repo, nil, url, third)

	repo.Branch("dev")
	repo.Commit("on a branch")
	repo.Push()
	repo.Checkout("main")
	wantClone(t, repo, nil, url, third)
	refs := repo.Git("ls-remote", "origin")
	for _, want := range []string{"refs/heads/dev", "refs/heads/main", "refs/tags/v1"} {
		if !strings.Contains(refs, want) {
			t.Errorf("%s is not among\n%s", want, refs)
		}
	}
}

func TestImport(t *testing.T) {
	source := t.TempDir()
	if err := os.MkdirAll(filepath.Join(source, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "a/b/c"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	repo := gittest.New(t)
	repo.Import(source, ".")
	repo.Import(source, "below")
	repo.Commit("import")
	if got, want := repo.Git("ls-files"), "a/b/c\nbelow/a/b/c"; got != want {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestImportCorpus(t *testing.T) {
	corpus := need.Path(t, "../shared/corpus/hugo-docs", "the corpus of real pages is not part of the repository")
	repo := gittest.New(t)
	repo.Import(corpus, "content")
	repo.Commit("import")
	repo.Push()
	t.Logf("%d files", len(strings.Split(repo.Git("ls-files"), "\n")))
}

func TestHTTP(t *testing.T) {
	repo, head := newRepo(t)
	server := repo.HTTPServer("")
	wantClone(t, repo, nil, server.URL, head)
	if server.Requests() < 2 {
		t.Errorf("%d requests, want some", server.Requests())
	}
	// Protocol 0 as well, and one commit by its name.
	wantClone(t, repo, nil, server.URL, head, "-c", "protocol.version=0")
	dir := t.TempDir()
	for _, args := range [][]string{{"init", "--quiet"}, {"fetch", "--quiet", "--depth=1", server.URL, head}} {
		if _, err := repo.TryGit(dir, nil, args...); err != nil {
			t.Error(err)
		}
	}
	if _, err := repo.TryGit(repo.Dir, nil, "push", server.URL, "HEAD:refs/heads/x"); err == nil {
		t.Error("a push without a token succeeded")
	}
}

func TestHTTPToken(t *testing.T) {
	repo, head := newRepo(t)
	server := repo.HTTPServer("let-me-in")
	wantNoClone(t, repo, nil, server.URL, "could not read Username")
	wantClone(t, repo, nil, server.URL, head, "-c", "http.extraHeader=Authorization: Bearer let-me-in")
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("x-access-token", "let-me-in")
	wantClone(t, repo, nil, u.String(), head)

	// More than git sends in one piece.
	repo.Write("large", strings.Repeat("x", 3<<20))
	repo.Commit("large")
	repo.Git("-c", "core.compression=0", "push", "--quiet", u.String(), "HEAD:refs/heads/large")
	u.User = url.UserPassword("x-access-token", "guess")
	wantNoClone(t, repo, nil, u.String(), "Authentication failed")
}

func TestHTTPFaults(t *testing.T) {
	repo, head := newRepo(t)
	server := repo.HTTPServer("")
	for fault, message := range map[gittest.Fault]string{
		gittest.Unavailable: "503",
		gittest.Drop:        "Empty reply",
		gittest.Cut:         "early EOF",
		gittest.Garbage:     "not valid: is this a git repository?",
	} {
		server.SetFault(fault)
		wantNoClone(t, repo, nil, server.URL, message)
	}
	server.SetFault(gittest.Blank)
	if out, err := repo.TryGit(repo.Dir, nil, "ls-remote", server.URL); err != nil || out != "" {
		t.Errorf("ls-remote of a blank page: %q, %v; want no refs and no error", out, err)
	}
	server.SetFault(gittest.None)
	wantClone(t, repo, nil, server.URL, head)
}

func TestHTTPHangs(t *testing.T) {
	repo, _ := newRepo(t)
	server := repo.HTTPServer("")
	server.SetFault(gittest.Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	cmd := exec.CommandContext(ctx, gittest.Require(t), "ls-remote", server.URL)
	cmd.Env = repo.Env()
	cmd.WaitDelay = 100 * time.Millisecond
	if err := cmd.Run(); ctx.Err() == nil {
		t.Errorf("git ended by itself: %v", err)
	}
	if server.Requests() != 1 {
		t.Errorf("%d requests, want 1", server.Requests())
	}
}

func TestSSH(t *testing.T) {
	repo, head := newRepo(t)
	server := repo.SSHServer()
	wantClone(t, repo, server.Env(), server.URL, head)
	repo.Commit("second")
	if _, err := repo.TryGit(repo.Dir, server.Env(), "push", "--quiet", server.URL, "HEAD"); err != nil {
		t.Error(err)
	}

	other := repo.SSHServer()
	stranger := *server
	stranger.KeyFile = other.KeyFile
	wantNoClone(t, repo, stranger.Env(), server.URL, "Permission denied")
	impostor := *other
	impostor.KnownHosts = server.KnownHosts
	wantNoClone(t, repo, impostor.Env(), other.URL, "Host key verification failed")
}
