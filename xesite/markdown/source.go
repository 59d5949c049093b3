// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// settingsFile is the name of the settings at the top of the source.
const settingsFile = "site.yaml"

// source is the tree that a site is made of.
type source struct {
	root  *os.Root
	files []string // all regular files, sorted, with slashes
}

// openSource lists dir. skip is the output directory, which may be inside dir.
func openSource(ctx context.Context, dir string, skip fs.FileInfo) (*source, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &source{root: root}
	top, err := root.Stat(".")
	if err == nil {
		err = s.walk(ctx, ".", []fs.FileInfo{top}, skip)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	slices.Sort(s.files)
	return s, nil
}

// walk adds the files below dir. above holds the directories on the way down,
// to tell a symbolic link that leads back to one of them.
func (s *source) walk(ctx context.Context, dir string, above []fs.FileInfo, skip fs.FileInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := fs.ReadDir(s.root.FS(), dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		if skipName(entry.Name()) {
			continue
		}
		info, err := s.stat(name)
		if err != nil {
			return err
		}
		switch {
		case info.Mode().IsRegular():
			s.files = append(s.files, name)
		case !info.IsDir():
			return &Error{File: name, Problem: "not a regular file", Remedy: "remove it, or exclude it in " + settingsFile}
		case skip != nil && os.SameFile(info, skip):
		case slices.ContainsFunc(above, func(up fs.FileInfo) bool { return os.SameFile(up, info) }):
			return &Error{File: name, Problem: "symbolic link to a directory above it", Remedy: "remove it"}
		default:
			if err := s.walk(ctx, name, append(above[:len(above):len(above)], info), skip); err != nil {
				return err
			}
		}
	}
	return nil
}

// stat follows symbolic links as far as they stay inside the source.
func (s *source) stat(name string) (fs.FileInfo, error) {
	info, err := s.root.Stat(filepath.FromSlash(name))
	if err == nil {
		return info, nil
	}
	target, linkErr := s.root.Readlink(filepath.FromSlash(name))
	if linkErr != nil {
		return nil, err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{File: name, Problem: fmt.Sprintf("symbolic link to %q, which does not exist", target), Remedy: "mend or remove it"}
	}
	return nil, &Error{File: name, Problem: fmt.Sprintf("symbolic link to %q leaves the directory of the site", target), Remedy: "copy the file into the repository"}
}

func (s *source) read(name string) ([]byte, error) {
	return s.root.ReadFile(filepath.FromSlash(name))
}

// skipName reports whether a file or directory is never part of a site.
func skipName(name string) bool {
	return strings.HasPrefix(name, ".") && name != ".well-known" || name == "node_modules" || name == "_site"
}

// excluded reports whether name or a directory above it matches a pattern.
// A pattern without a slash matches at any depth.
func excluded(name string, patterns []string) bool {
	for p := name; p != "."; p = path.Dir(p) {
		for _, pattern := range patterns {
			candidate := p
			if !strings.Contains(pattern, "/") {
				candidate = path.Base(p)
			}
			if ok, _ := path.Match(pattern, candidate); ok {
				return true
			}
		}
	}
	return false
}

// isDocument reports whether name is Markdown.
func isDocument(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return ext == ".md" || ext == ".markdown"
}

// stem is the base name without extension.
func stem(name string) string {
	base := path.Base(name)
	return strings.TrimSuffix(base, path.Ext(base))
}
