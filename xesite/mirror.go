// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"xeiaso.net/site/internal/atomicfile"
)

// mirror is one bare repository.
type mirror struct {
	git    *Git
	dir    string
	remote string
	depth  int // 0: all
}

// run runs git on the mirror, after putting its configuration right: a build
// can write to it through its checkout.
func (m *mirror) run(ctx context.Context, args ...string) (string, error) {
	if err := m.prepare(ctx); err != nil {
		return "", err
	}
	return m.git.runIn(ctx, m.dir, m.dir, m.remote, args...)
}

// prepare makes the repository if it is not there, and writes its config.
func (m *mirror) prepare(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(m.dir, "HEAD")); errors.Is(err, fs.ErrNotExist) {
		if err := m.init(ctx); err != nil {
			return err
		}
	}
	for _, planted := range []string{"commondir", "info", "objects/info/alternates", "objects/info/http-alternates"} {
		// Git would read another configuration, attributes, or objects there.
		if err := os.RemoveAll(filepath.Join(m.dir, filepath.FromSlash(planted))); err != nil {
			return err
		}
	}
	want := m.config()
	path := filepath.Join(m.dir, "config")
	if got, err := os.ReadFile(path); err == nil && string(got) == want {
		return nil
	}
	return atomicfile.Write(path, []byte(want), 0o600)
}

// formatFile remembers, in a mirror, that its object names are the long ones:
// its config is written anew from here.
const formatFile = "xesite-format"

func (m *mirror) init(ctx context.Context) error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	format := "sha1"
	if m.sha256(ctx) {
		format = "sha256"
		if err := atomicfile.Write(filepath.Join(m.dir, formatFile), []byte(format), 0o600); err != nil {
			return err
		}
	}
	_, err := m.git.runIn(ctx, m.dir, m.dir, m.remote, "init", "--quiet", "--bare", "--template=", "--object-format="+format, m.dir)
	return err
}

// sha256 reports whether the remote's object names are the long ones. A
// remote that does not answer will fail the fetch that follows.
func (m *mirror) sha256(ctx context.Context) bool {
	out, err := m.lsRemote(ctx, "HEAD")
	name, _, _ := strings.Cut(out, "\t")
	return err == nil && len(name) == 64
}

// config is the mirror's whole configuration. It has no credential.
func (m *mirror) config() string {
	format, extensions := 0, ""
	if head, err := os.ReadFile(filepath.Join(m.dir, formatFile)); err == nil && string(head) == "sha256" {
		format, extensions = 1, "[extensions]\n\tobjectformat = sha256\n"
	}
	c := fmt.Sprintf("[core]\n\trepositoryformatversion = %d\n\tfilemode = true\n\tbare = true\n%s", format, extensions) +
		fmt.Sprintf("[remote \"origin\"]\n\turl = %s\n", quoteConfig(m.remote))
	if hasLFS() {
		c += "[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n" +
			"\tprocess = git-lfs filter-process\n\trequired = true\n"
	}
	return c
}

// quoteConfig quotes a value of a git config file.
func quoteConfig(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// fetch brings refspec up to date.
func (m *mirror) fetch(ctx context.Context, refspecs ...string) error {
	if err := m.unlock(); err != nil {
		return err
	}
	args := []string{"fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"}
	_, err := os.Stat(filepath.Join(m.dir, "shallow"))
	switch {
	case m.depth > 0:
		args = append(args, "--depth="+strconv.Itoa(m.depth))
	case err == nil: // shallow, and all is wanted
		args = append(args, "--unshallow")
	}
	_, err = m.run(ctx, append(append(append(args, m.uploadPack()...), "origin"), refspecs...)...)
	return err
}

// uploadPack lets the other side of a fetch from a local path read a
// repository of another user, which the operator has named.
func (m *mirror) uploadPack() []string {
	if !isLocal(m.remote) || m.remote != m.git.Remote {
		return nil
	}
	return []string{"--upload-pack=git -c safe.directory='*' upload-pack"}
}

// update fetches and reads the commit that came.
func (m *mirror) update(ctx context.Context, refspec string) (Revision, error) {
	if err := m.fetch(ctx, refspec); err != nil {
		return Revision{}, err
	}
	return m.revision(ctx, m.git.tip())
}

// renew replaces the mirror by one that fill has filled. Until then the old
// one stays: what is wrong may be somewhere else.
func (m *mirror) renew(ctx context.Context, fill func(fresh *mirror) error) error {
	fresh := *m
	fresh.dir = m.dir + ".new"
	if err := os.RemoveAll(fresh.dir); err != nil {
		return err
	}
	if err := fill(&fresh); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(m.dir), os.Rename(fresh.dir, m.dir))
}

// unlock removes the locks and unfinished packs of git processes that were
// killed. The builder's lease makes sure that there is nobody else.
func (m *mirror) unlock() error {
	err := filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "objects" || d.Name() == "lfs") {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, ".lock") {
			return os.Remove(path)
		}
		return nil
	})
	unfinished, _ := filepath.Glob(filepath.Join(m.dir, "objects", "pack", "tmp_*"))
	for _, path := range unfinished {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// reachable asks the remote for what Fetch wants, without the mirror. No line
// in the answer is a failure too: a proxy's blank page looks like that.
func (m *mirror) reachable(ctx context.Context) error {
	name := "HEAD"
	if m.git.Branch != "" {
		name = "refs/heads/" + m.git.Branch
	}
	out, err := m.lsRemote(ctx, name)
	if err == nil && out == "" {
		err = fmt.Errorf("the remote has no %s", name)
	}
	return err
}

// lsRemote asks the remote for references. Flags may go before their patterns.
func (m *mirror) lsRemote(ctx context.Context, patterns ...string) (string, error) {
	args := append([]string{"ls-remote", "--quiet"}, m.uploadPack()...)
	for len(patterns) > 0 && strings.HasPrefix(patterns[0], "--") {
		args, patterns = append(args, patterns[0]), patterns[1:]
	}
	// No repository: its configuration must not count here.
	return m.git.runIn(ctx, os.DevNull, m.git.Dir, m.remote, append(append(args, m.remote), patterns...)...)
}

// revision reads a commit.
func (m *mirror) revision(ctx context.Context, name string) (Revision, error) {
	out, err := m.run(ctx, "log", "-1", "--format=%H%n%ct%n%s", name, "--")
	if err != nil {
		return Revision{}, fmt.Errorf("read commit: %w", err)
	}
	lines := strings.SplitN(out, "\n", 3)
	if len(lines) < 3 {
		return Revision{}, fmt.Errorf("git log says %q", out)
	}
	seconds, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return Revision{}, fmt.Errorf("git log says %q", out)
	}
	return Revision{ID: lines[0], Time: time.Unix(seconds, 0).UTC(), Subject: strings.TrimSpace(lines[2])}, nil
}

// checkout makes a working tree of a commit.
func (m *mirror) checkout(ctx context.Context, commit, dir string) error {
	if err := m.unlock(); err != nil {
		return err
	}
	// Trees of earlier builds are gone; so must be git's memory of them.
	if _, err := m.run(ctx, "worktree", "prune", "--expire=now"); err != nil {
		return err
	}
	if _, err := m.run(ctx, "worktree", "add", "--quiet", "--detach", "--force", "--force", dir, commit); err != nil {
		if strings.Contains(err.Error(), "filter lfs failed") {
			return &lfsError{err}
		}
		return err
	}
	return m.checkLFS(ctx, dir)
}

// checkLFS refuses a checkout with pointers in the place of files.
func (m *mirror) checkLFS(ctx context.Context, dir string) error {
	if hasLFS() {
		return nil
	}
	out, err := m.git.run(ctx, dir, m.remote, "ls-files", "--", ":(attr:filter=lfs)")
	if first, _, _ := strings.Cut(out, "\n"); err == nil && first != "" {
		return &lfsError{fmt.Errorf("%q is in Git LFS, and the git-lfs program is not installed: install it", first)}
	}
	return err
}

// lfsError is one that a new mirror would not mend.
type lfsError struct{ error }

// checkoutHealing is checkout, with a second attempt on a mirror filled anew:
// objects may be missing or spoiled.
func (m *mirror) checkoutHealing(ctx context.Context, commit, dir string, fill func(fresh *mirror) error) error {
	err := m.checkout(ctx, commit, dir)
	var lfs *lfsError
	if err == nil || ctx.Err() != nil || errors.As(err, &lfs) {
		return err
	}
	if err2 := errors.Join(removeAll(dir), m.renew(ctx, fill)); err2 != nil {
		return errors.Join(err, err2)
	}
	return m.checkout(ctx, commit, dir)
}
