// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
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
// and git write many files at once.
const quiet = 100 * time.Millisecond

// Watch implements [Watcher]. Directories that are made later are watched too.
func (d *Dir) Watch(ctx context.Context, changed func()) error {
	root, err := filepath.Abs(d.Path)
	if err != nil {
		return fmt.Errorf("xesite: watch %s: %w", d.Path, err)
	}
	return watchTree(ctx, root, func(path string) bool { return d.ignored(ctx, root, path) }, d.Logger, changed)
}

// ignored reports whether a change of path does not count.
func (d *Dir) ignored(ctx context.Context, root, path string) bool {
	rel, err := filepath.Rel(root, path)
	if err != nil || rel == "." {
		return false
	}
	if first, _, _ := strings.Cut(filepath.ToSlash(rel), "/"); first == ".git" {
		return true
	}
	for _, ignore := range d.Ignore {
		if !filepath.IsAbs(ignore) {
			ignore = filepath.Join(root, ignore)
		}
		if inside, err := filepath.Rel(ignore, path); err == nil && filepath.IsLocal(inside) {
			return true
		}
	}
	return gitIgnores(ctx, root, rel)
}

// gitIgnores asks git. No git, or no repository: nothing is ignored.
func gitIgnores(ctx context.Context, root, rel string) bool {
	cmd := exec.CommandContext(ctx, "git", "-c", "core.fsmonitor=false", "check-ignore", "--quiet", "--", rel)
	cmd.Dir = root
	return cmd.Run() == nil
}

// watchTree calls changed once things are quiet after changes below root that
// ignored does not take out.
func watchTree(ctx context.Context, root string, ignored func(string) bool, logger *slog.Logger, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("xesite: watch %s: %w", root, err)
	}
	defer w.Close()
	if err := addTree(w, root, ignored); err != nil {
		return fmt.Errorf("xesite: watch %s: %w (on Linux, raise fs.inotify.max_user_watches)", root, err)
	}
	var settle <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-w.Events:
			if event.Op == fsnotify.Chmod || ignored(event.Name) {
				continue
			}
			if event.Op.Has(fsnotify.Create) {
				addTree(w, event.Name, ignored) // a file: nothing to add
			}
			settle = time.After(quiet)
		case err := <-w.Errors:
			// An overflow means that events were lost: look at everything.
			logOr(logger).WarnContext(ctx, "watching had a problem", "path", root, "err", err)
			settle = time.After(quiet)
		case <-settle:
			settle = nil
			changed()
		}
	}
}

// addTree watches dir and the directories below it.
func addTree(w *fsnotify.Watcher, dir string, ignored func(string) bool) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone already
			return nil
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case path != dir && ignored(path):
			return fs.SkipDir
		}
		return w.Add(path)
	})
}

// Watch implements [Watcher]. Without WatchLocal, and for a Remote that is not
// on this machine, it only waits for ctx.
func (g *Git) Watch(ctx context.Context, changed func()) error {
	path := strings.TrimPrefix(g.Remote, "file://")
	if !g.WatchLocal || !filepath.IsAbs(path) {
		<-ctx.Done()
		return nil
	}
	if dotGit := filepath.Join(path, ".git"); isDir(dotGit) {
		path = dotGit
	}
	ignored := func(name string) bool {
		rel, err := filepath.Rel(path, name)
		rel = filepath.ToSlash(rel)
		moves := rel == "." || rel == "HEAD" || rel == "packed-refs" || rel == "refs" || strings.HasPrefix(rel, "refs/")
		return err != nil || !moves || strings.HasSuffix(rel, ".lock")
	}
	return watchTree(ctx, path, ignored, nil, changed)
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
