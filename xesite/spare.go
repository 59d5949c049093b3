// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"xeiaso.net/site/internal/atomicfile"
)

// spare is a checkout made ahead of time, while nothing is built. The next
// build gets it, brought to its own commit: then only the files that changed
// are written. Most of the time between a push and its page went into that.
//
// What a build gets must be what a fresh checkout would have given, so a spare
// is used only if it is known to be untouched, and thrown away otherwise. All
// that is known about it is in memory: after a crash there is none, and what
// lies around is rubbish. No build runs while there is one, for the next build
// takes it along.
type spare struct {
	commit string
	dir    string // the checkout; empty if none can be made of this commit
	admin  string // what the mirror keeps about it: HEAD, index
	print  fingerprint
}

// sparePrefix begins the names of spares in [Git.Dir]. A random part follows,
// so that a leftover is never taken for a new one.
const sparePrefix = "spare-"

// settle is how long a spare rests before its fingerprint is taken. Time
// stamps of files move in steps of up to 10 ms, and a change within the step
// of the last one would not show.
const settle = 30 * time.Millisecond

// makeSpare prepares a checkout of the last commit that was fetched, unless
// there is one. It may be one of an earlier commit: it serves as well.
func (g *Git) makeSpare(ctx context.Context) error {
	if ctx.Err() != nil || g.newest == "" || g.spare != nil && (g.spare.dir != "" || g.spare.commit == g.newest) {
		return nil
	}
	if err := removeSpares(g.Dir); err != nil {
		return err
	}
	m := g.mirror()
	name := sparePrefix + strings.ToLower(rand.Text())
	s := &spare{commit: g.newest, dir: filepath.Join(absolute(g.Dir), name), admin: filepath.Join(m.dir, "worktrees", name)}
	err := m.checkout(ctx, s.commit, s.dir)
	if err == nil && pause(ctx, settle) {
		err = s.seal()
	}
	if ctx.Err() != nil {
		return nil // a build waits; the next call removes what there is
	}
	if err != nil {
		// It will not be tried again with this commit.
		s = &spare{commit: s.commit}
		err = errors.Join(err, removeSpares(g.Dir))
	}
	g.spare = s
	return err
}

func removeSpares(dir string) error {
	left, err := filepath.Glob(filepath.Join(absolute(dir), sparePrefix+"*"))
	for _, path := range left {
		err = errors.Join(err, removeAll(path))
	}
	return err
}

// seal remembers what the spare looks like.
func (s *spare) seal() (err error) {
	begin := time.Now()
	if s.print, err = s.look(); err != nil {
		return err
	}
	if !s.print.newest.Before(begin.Add(-settle / 2)) {
		return errors.New("somebody writes to it, or the file system's clock is not ours")
	}
	return nil
}

// takeSpare makes dir a checkout of commit out of the spare. It reports false
// if there is none that can be used; dir is then not there.
func (g *Git) takeSpare(ctx context.Context, m *mirror, commit, dir string) bool {
	s := g.spare
	g.spare = nil
	if s == nil || s.dir == "" {
		return false
	}
	if err := s.take(ctx, m, commit, dir); err != nil {
		// Whatever is wrong, a fresh checkout will do, and tell of what is
		// wrong with the mirror or the commit.
		removeAll(s.dir)
		removeAll(dir)
		return false
	}
	return true
}

func (s *spare) take(ctx context.Context, m *mirror, commit, dir string) error {
	if got, err := s.look(); err != nil || got != s.print {
		return errors.New("it was touched")
	}
	if err := m.prepare(ctx); err != nil {
		return err
	}
	if err := s.suits(ctx, m, commit); err != nil {
		return err
	}
	if err := os.Rename(s.dir, dir); err != nil {
		return err
	}
	// The mirror has to know where its checkout went, or it would forget it.
	if err := atomicfile.Write(filepath.Join(s.admin, "gitdir"), []byte(filepath.Join(dir, ".git")+"\n"), 0o600); err != nil {
		return err
	}
	if _, err := m.git.runIn(ctx, s.admin, dir, m.remote, "reset", "--quiet", "--hard", "--no-recurse-submodules", commit); err != nil {
		return err
	}
	return m.checkLFS(ctx, dir)
}

// suits reports as an error why moving the spare to commit could end in other
// files than a fresh checkout of it.
func (s *spare) suits(ctx context.Context, m *mirror, commit string) error {
	out, err := m.git.runIn(ctx, s.admin, s.dir, m.remote, "diff-index", "--cached", "--raw", "--no-renames", "-z", commit, "--")
	if err != nil {
		return err
	}
	// ":<mode> <mode> <object> <object> <status>", then the path. The first of
	// each is the commit's, the second the spare's.
	fields := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	for ; len(fields) >= 2; fields = fields[2:] {
		info, name := strings.Fields(fields[0]), fields[1]
		switch {
		case len(info) != 5:
			return fmt.Errorf("git diff-index says %q", fields[0])
		case strings.EqualFold(path.Base(name), ".gitattributes"):
			return errors.New("attributes change files that did not change")
		case info[0] == ":160000" || info[1] == "160000":
			return errors.New("git leaves what is in the place of a submodule")
		case info[4] == "D":
			// Not in the spare, and yet it is there: this file system takes it
			// for another name, or a folder gives way to a file.
			if _, err := os.Lstat(filepath.Join(s.dir, filepath.FromSlash(name))); err == nil {
				return fmt.Errorf("%q is there already", name)
			}
		}
	}
	return nil
}

// fingerprint is the state of a directory tree: what it holds, and when that
// was last changed by the kernel's clock, which no program can choose.
type fingerprint struct {
	sum    [sha256.Size]byte
	newest time.Time // change
}

// look takes the fingerprint of the spare and of what the mirror keeps about
// it: an index can be made to hide changes from git.
func (s *spare) look() (fingerprint, error) {
	sum := sha256.New()
	var newest time.Time
	precise := false
	for _, root := range []string{s.dir, s.admin} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			inode, changed, ok := identity(info)
			if !ok {
				return errors.New("this system does not tell when files changed")
			}
			if changed.After(newest) {
				newest = changed
			}
			precise = precise || changed.Nanosecond() != 0
			_, err = fmt.Fprintf(sum, "%q %d %d %o %d %d\n", path, inode, info.Size(), info.Mode(),
				info.ModTime().UnixNano(), changed.UnixNano())
			return err
		})
		if err != nil {
			return fingerprint{}, err
		}
	}
	if !precise {
		return fingerprint{}, errors.New("this file system knows only whole seconds")
	}
	return fingerprint{[sha256.Size]byte(sum.Sum(nil)), newest}, nil
}
