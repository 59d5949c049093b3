// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package gittest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
)

// Require returns the path of git, or ends the test.
func Require(t testing.TB) string {
	t.Helper()
	return need.Program(t, "git", "apt install git")
}

// Repo is a bare repository and a clone of it to work in, on branch main.
type Repo struct {
	Bare string // what is fetched from; "file://" + Bare is a URL
	Dir  string // the clone's work tree

	t       testing.TB
	git     string
	home    string
	commits int // makes the times of commits rise
}

// New returns an empty repository.
func New(t testing.TB) *Repo {
	t.Helper()
	root := t.TempDir()
	r := &Repo{
		Bare: filepath.Join(root, "site.git"),
		Dir:  filepath.Join(root, "work"),
		t:    t,
		git:  Require(t),
		home: filepath.Join(root, "home"),
	}
	if err := os.Mkdir(r.home, 0o700); err != nil {
		t.Fatal(err)
	}
	r.run(root, "init", "--quiet", "--bare", "--initial-branch=main", r.Bare)
	// As forges have it: a commit can be fetched by its name, and without blobs.
	r.run(r.Bare, "config", "uploadpack.allowAnySHA1InWant", "true")
	r.run(r.Bare, "config", "uploadpack.allowFilter", "true")
	// Housekeeping that outlives its command would disturb the clean-up.
	r.run(r.Bare, "config", "gc.auto", "0")
	r.run(r.Bare, "config", "receive.autogc", "false")
	r.run(root, "clone", "--quiet", r.Bare, r.Dir)
	r.run(r.Dir, "config", "gc.auto", "0")
	r.run(r.Dir, "checkout", "--quiet", "-B", "main")
	return r
}

// Env is an environment for git in which neither the machine's configuration
// nor the user's counts, nothing is asked for, and commits come out equal.
func (r *Repo) Env() []string {
	date := time.Date(2026, 1, 1, 0, 0, r.commits, 0, time.UTC).Format(time.RFC3339)
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + r.home,
		"TZ=UTC",
		"LC_ALL=C",
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada Author", "GIT_AUTHOR_EMAIL=ada@site.example", "GIT_AUTHOR_DATE=" + date,
		"GIT_COMMITTER_NAME=Ada Author", "GIT_COMMITTER_EMAIL=ada@site.example", "GIT_COMMITTER_DATE=" + date,
	}
}

// Git runs git in the clone and returns what it printed, without the last
// newline.
func (r *Repo) Git(args ...string) string {
	r.t.Helper()
	return r.run(r.Dir, args...)
}

func (r *Repo) run(dir string, args ...string) string {
	r.t.Helper()
	out, err := r.TryGit(dir, nil, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// TryGit runs git in dir with more environment, for commands that may fail.
// They are killed when the test ends.
func (r *Repo) TryGit(dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(r.t.Context(), r.git, args...)
	cmd.Dir = dir
	cmd.Env = append(r.Env(), env...)
	// A killed git's helpers keep its output open.
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// path returns where name, with slashes, is in the clone, and makes the
// directory for it.
func (r *Repo) path(name string) string {
	r.t.Helper()
	path := filepath.Join(r.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// Write writes a file, to be committed.
func (r *Repo) Write(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// WriteFiles writes several files.
func (r *Repo) WriteFiles(files map[string]string) {
	r.t.Helper()
	for name, content := range files {
		r.Write(name, content)
	}
}

// WriteScript writes an executable file.
func (r *Repo) WriteScript(name, content string) {
	r.t.Helper()
	r.Write(name, content)
	if err := os.Chmod(r.path(name), 0o755); err != nil {
		r.t.Fatal(err)
	}
}

// Symlink makes name a link to target.
func (r *Repo) Symlink(target, name string) {
	r.t.Helper()
	if err := os.Symlink(target, r.path(name)); err != nil {
		r.t.Fatal(err)
	}
}

// Remove removes a file or a directory with all that is in it.
func (r *Repo) Remove(name string) {
	r.t.Helper()
	if err := os.RemoveAll(r.path(name)); err != nil {
		r.t.Fatal(err)
	}
}

// Import copies the content of a directory from elsewhere to name, "." being
// the top. Files must not be there yet.
func (r *Repo) Import(dir, name string) {
	r.t.Helper()
	if err := os.CopyFS(filepath.Join(r.Dir, filepath.FromSlash(name)), os.DirFS(dir)); err != nil {
		r.t.Fatal(err)
	}
}

// Commit commits all changes, or none, and returns the commit's hash.
func (r *Repo) Commit(message string) string {
	r.t.Helper()
	r.commits++
	r.Git("add", "--all")
	r.Git("commit", "--quiet", "--allow-empty", "--message", message)
	return r.Git("rev-parse", "HEAD")
}

// Branch starts a branch where the current one is, and changes to it.
func (r *Repo) Branch(name string) {
	r.t.Helper()
	r.Git("checkout", "--quiet", "-b", name)
}

// Checkout changes to a branch that there is.
func (r *Repo) Checkout(name string) {
	r.t.Helper()
	r.Git("checkout", "--quiet", name)
}

// Tag puts an annotated tag on the last commit; [Repo.Push] pushes it.
func (r *Repo) Tag(name string) {
	r.t.Helper()
	r.Git("tag", "--annotate", "--message", name, name)
}

// Push pushes the current branch and all tags to the bare repository.
func (r *Repo) Push() {
	r.t.Helper()
	r.Git("push", "--quiet", "--tags", "origin", "HEAD")
}

// ForcePush pushes the current branch even where that loses commits.
func (r *Repo) ForcePush() {
	r.t.Helper()
	r.Git("push", "--quiet", "--force", "origin", "HEAD")
}
