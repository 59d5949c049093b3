// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Dir is a [Source] that is a plain directory, built where it is: the one for
// working on a site. It can be watched.
type Dir struct {
	// Path of the directory. Required.
	Path string

	// Ignore has paths below Path whose changes do not count, such as the
	// output and the data directory, relative to Path or absolute. ".git" and
	// what git ignores never count.
	Ignore []string

	// Logger tells of trouble with watching. If nil, nobody is told.
	Logger *slog.Logger
}

// Fetch implements [Source]. The revision has no name.
func (d *Dir) Fetch(context.Context) (Revision, error) {
	if info, err := os.Stat(d.Path); err != nil || !info.IsDir() {
		return Revision{}, fmt.Errorf("xesite: %q is not a directory: %w", d.Path, errors.Join(err, fs.ErrInvalid))
	}
	return Revision{}, nil
}

// Checkout implements [Source]. It returns the directory itself.
func (d *Dir) Checkout(context.Context, Revision, string) (string, error) {
	return filepath.Abs(d.Path)
}

// quiet is how long nothing must change before a change is reported: editors
// and git write many files at once. A stream of changes is reported every
// maxUnrest all the same.
const (
	quiet     = 100 * time.Millisecond
	maxUnrest = 2 * time.Second
)

// Watch implements [Watcher]. Directories that are made later are watched too.
func (d *Dir) Watch(ctx context.Context, changed func()) error {
	root, err := filepath.Abs(d.Path)
	if err != nil {
		return fmt.Errorf("xesite: watch %s: %w", d.Path, err)
	}
	w := treeWatcher{
		root:    root,
		ignored: func(path string) bool { return d.ignored(root, path) },
		counts:  func(paths []string) []string { return withoutGitIgnored(ctx, root, paths) },
		logger:  logOr(d.Logger),
	}
	return w.watch(ctx, changed)
}

// ignored reports whether a change of path does not count, whatever git says.
func (d *Dir) ignored(root, path string) bool {
	rel, err := filepath.Rel(root, path)
	if err != nil || rel == "." {
		return false
	}
	if first, _, _ := strings.Cut(filepath.ToSlash(rel), "/"); first == ".git" {
		return true
	}
	return slices.ContainsFunc(d.Ignore, func(ignore string) bool {
		if !filepath.IsAbs(ignore) {
			ignore = filepath.Join(root, ignore)
		}
		return isBelow(path, ignore) && !isBelow(root, ignore) // or nothing would be left
	})
}

// isBelow reports whether path is dir or in it.
func isBelow(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// withoutGitIgnored asks git, once for all: a process for each file of a large
// change would take longer than the build. No git, or no repository: nothing
// is ignored.
func withoutGitIgnored(ctx context.Context, root string, paths []string) []string {
	var names strings.Builder
	for _, path := range paths {
		rel, _ := filepath.Rel(root, path) // both are absolute
		names.WriteString(filepath.ToSlash(rel) + "\x00")
	}
	cmd := exec.CommandContext(ctx, "git", "-c", "core.fsmonitor=false", "check-ignore", "--stdin", "-z")
	cmd.Dir = root
	cmd.Stdin = strings.NewReader(names.String())
	// Started by a hook of git, GIT_DIR means another repository.
	cmd.Env = slices.DeleteFunc(cmd.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") })
	out, _ := cmd.Output() // it fails if nothing is ignored
	ignored := map[string]bool{}
	for name := range strings.SplitSeq(string(out), "\x00") {
		ignored[filepath.Join(root, filepath.FromSlash(name))] = true
	}
	return slices.DeleteFunc(paths, func(path string) bool { return ignored[path] && path != root })
}

// treeWatcher watches a directory and all that are below it.
type treeWatcher struct {
	root    string
	ignored func(path string) bool        // must be quick
	counts  func(paths []string) []string // takes out what does not count; nil: nothing
	logger  *slog.Logger
	// look reports a change when watching begins: there may have been one since
	// somebody else looked.
	look bool
	fs   *fsnotify.Watcher
}

// watch calls changed once things are quiet after a change that counts, until
// ctx ends.
func (w *treeWatcher) watch(ctx context.Context, changed func()) (err error) {
	if w.fs, err = fsnotify.NewWatcher(); err != nil {
		return fmt.Errorf("xesite: watch %s: %w", w.root, err)
	}
	defer w.fs.Close()
	if w.counts == nil {
		w.counts = func(paths []string) []string { return paths }
	}
	if err := w.add(w.root); err != nil {
		return fmt.Errorf("xesite: watch %s: %w (on Linux, raise fs.inotify.max_user_watches)", w.root, err)
	}
	var settle <-chan time.Time
	var first time.Time // of the changes that were not reported
	paths := map[string]bool{}
	note := func(path string) {
		if len(paths) == 0 {
			first = time.Now()
		}
		paths[path] = true
		settle = time.After(min(quiet, maxUnrest-time.Since(first)))
	}
	if w.look {
		note(w.root)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-w.fs.Events:
			if event.Op == fsnotify.Chmod || w.ignored(event.Name) {
				continue
			}
			if event.Op.Has(fsnotify.Create) && isDir(event.Name) {
				if err := w.add(event.Name); err != nil {
					w.logger.WarnContext(ctx, "a new directory is not watched", "path", event.Name, "err", err)
				}
			}
			note(event.Name)
		case err := <-w.fs.Errors:
			// An overflow means that events were lost: look at everything.
			w.logger.WarnContext(ctx, "watching had a problem", "path", w.root, "err", err)
			if err := w.add(w.root); err != nil {
				return fmt.Errorf("xesite: watch %s: %w", w.root, err)
			}
			note(w.root)
		case <-settle:
			count := w.counts(slices.Collect(maps.Keys(paths)))
			settle, paths = nil, map[string]bool{}
			if len(count) > 0 {
				changed()
			}
		}
	}
}

// add watches dir and, level by level, the directories below it that count.
func (w *treeWatcher) add(dir string) error {
	for level := w.counts([]string{dir}); len(level) > 0; {
		var below []string
		for _, dir := range level {
			// Before reading it: what comes later makes an event.
			if err := w.fs.Add(dir); errors.Is(err, fs.ErrNotExist) && dir != w.root {
				continue // gone already
			} else if err != nil {
				return err
			}
			entries, err := os.ReadDir(dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			for _, e := range entries {
				if path := filepath.Join(dir, e.Name()); e.IsDir() && !w.ignored(path) {
					below = append(below, path)
				}
			}
		}
		if len(below) == 0 {
			return nil
		}
		level = w.counts(below)
	}
	return nil
}

// Watch implements [Watcher]. Without WatchLocal, and for a Remote that is not
// on this machine, it only waits for ctx.
func (g *Git) Watch(ctx context.Context, changed func()) error {
	path := strings.TrimPrefix(g.Remote, "file://")
	if !g.WatchLocal || !filepath.IsAbs(path) {
		<-ctx.Done()
		return nil
	}
	// A work tree has its repository below it, or elsewhere.
	dir, err := g.run(ctx, path, g.Remote, "rev-parse", "--path-format=absolute", "--git-common-dir")
	if err != nil {
		return fmt.Errorf("xesite: watch %s: %w", path, err)
	}
	root := strings.TrimSuffix(dir, "\n")
	// A look at a branch that has not moved costs little.
	w := treeWatcher{root: root, logger: logOr(nil), look: true, ignored: func(name string) bool {
		rel, err := filepath.Rel(root, name)
		rel = filepath.ToSlash(rel)
		top, _, _ := strings.Cut(rel, "/")
		moves := rel == "." || rel == "packed-refs" || top == "refs" || filepath.Base(rel) == "HEAD" && top != "logs" ||
			top == "worktrees" && strings.Count(rel, "/") < 2
		return err != nil || !moves || strings.HasSuffix(rel, ".lock")
	}}
	return w.watch(ctx, changed)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// logOr returns a logger that is never nil.
func logOr(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}

// copyTree is [Copy].
func copyTree(ctx context.Context, in BuildInput) error {
	root, err := os.OpenRoot(in.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if path != "." && hiddenName(d.Name()) || filepath.Join(in.Dir, path) == filepath.Clean(in.Output) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(in.Output, filepath.FromSlash(path)), 0o755)
		}
		return copyFile(root, path, filepath.Join(in.Output, filepath.FromSlash(path)))
	})
}

func hiddenName(name string) bool {
	return strings.HasPrefix(name, ".") && name != ".well-known"
}

func copyFile(root *os.Root, path, target string) error {
	info, err := root.Stat(path)
	if err != nil {
		return fmt.Errorf("copy %q: %w", path, err)
	}
	if !info.Mode().IsRegular() { // a link to a directory
		return nil
	}
	src, err := root.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(target)
	if err != nil {
		return err
	}
	_, err = dst.ReadFrom(src)
	return errors.Join(err, dst.Close())
}
