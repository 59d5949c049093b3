// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed all:demo
var demoFiles embed.FS

// makeDemo makes the demo site's repository in dir, unless it is there. It
// becomes visible at once and whole, so a kill half way leaves none, and of
// two programs that make it one wins.
func makeDemo(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if _, err := exec.LookPath("git"); err != nil {
		return errors.New("the git program is not installed: install git")
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	files, err := fs.Sub(demoFiles, "demo")
	if err != nil {
		return err
	}
	if err := os.CopyFS(tmp, files); err != nil {
		return err
	}
	if err := makeWritable(tmp); err != nil {
		return err
	}
	author := []string{
		"-c", "user.name=Demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false",
		"-c", "core.hooksPath=/dev/null",
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all"},
		append(author, "commit", "--quiet", "--message=A demo site"),
	} {
		if _, err := demoGit(ctx, tmp, args...); err != nil {
			return err
		}
	}
	if err := introduce(ctx, tmp); err != nil {
		return err
	}
	err = os.Rename(tmp, dir)
	if _, there := os.Stat(filepath.Join(dir, ".git")); err != nil && there == nil {
		return nil // another program was faster
	}
	return err
}

// makeWritable undoes the read-only mode that embedded files have.
func makeWritable(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o644)
	})
}

// introduce gives the repository an author if git does not know one: the
// first commit of a newcomer must not fail for that.
func introduce(ctx context.Context, dir string) error {
	if email, err := demoGit(ctx, dir, "config", "user.email"); err == nil && email != "" {
		return nil
	}
	if _, err := demoGit(ctx, dir, "config", "user.name", "Demo"); err != nil {
		return err
	}
	_, err := demoGit(ctx, dir, "config", "user.email", "demo@localhost")
	return err
}

func demoGit(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	// Started by a hook of git, GIT_DIR means another repository.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GIT_") && !strings.HasPrefix(v, "GIT_CONFIG_")
	})
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("demo site: git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
