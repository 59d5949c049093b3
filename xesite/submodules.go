// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxSubmodules bounds how deep submodules may nest.
const maxSubmodules = 8

// submodules checks out the submodules of a working tree, and theirs.
func (g *Git) submodules(ctx context.Context, parent *mirror, tree, remote string, depth int) error {
	if info, err := os.Lstat(filepath.Join(tree, ".gitmodules")); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if depth == maxSubmodules {
		return fmt.Errorf("submodules nest more than %d deep", maxSubmodules)
	}
	out, err := g.run(ctx, tree, remote, "config", "--file", ".gitmodules", "--null", "--get-regexp", `^submodule\..*\.path$`)
	if err != nil {
		return fmt.Errorf(".gitmodules: %w", err)
	}
	for entry := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		key, path, _ := strings.Cut(entry, "\n")
		name := strings.TrimSuffix(strings.TrimPrefix(key, "submodule."), ".path")
		if err := g.submodule(ctx, tree, remote, name, path, depth); err != nil {
			return fmt.Errorf("submodule %q: %w", path, err)
		}
	}
	return nil
}

func (g *Git) submodule(ctx context.Context, tree, remote, name, path string, depth int) error {
	commit, err := g.gitlink(ctx, tree, remote, path)
	if err != nil || commit == "" {
		return err
	}
	address, err := g.run(ctx, tree, remote, "config", "--file", ".gitmodules", "--get", "submodule."+name+".url")
	if err != nil {
		return fmt.Errorf("it has no URL: %w", err)
	}
	address, err = resolveSubmodule(remote, strings.TrimSpace(address))
	if err != nil {
		return err
	}
	m := &mirror{git: g, dir: filepath.Join(absolute(g.Dir), "modules", hashName(address)+".git"), remote: address, depth: g.depth()}
	if err := m.fetchCommit(ctx, commit); err != nil {
		return fmt.Errorf("fetch %s: %w", redactURL(address), err)
	}
	target := filepath.Join(tree, filepath.FromSlash(path))
	err = m.checkoutHealing(ctx, commit, target, func(fresh *mirror) error { return fresh.fetchCommit(ctx, commit) })
	if err != nil {
		return err
	}
	return g.submodules(ctx, m, target, address, depth+1)
}

// gitlink returns the commit of the submodule at path, empty if there is none.
func (g *Git) gitlink(ctx context.Context, tree, remote, path string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return "", errors.New("its path is not inside the repository")
	}
	out, err := g.run(ctx, tree, remote, "ls-files", "--stage", "-z", "--", ":(literal)"+path)
	fields := strings.Fields(out)
	if err != nil || len(fields) < 2 || fields[0] != "160000" {
		return "", err
	}
	return fields[1], nil
}

// fetchCommit fetches one commit, which may be no branch's tip.
func (m *mirror) fetchCommit(ctx context.Context, commit string) error {
	if _, err := m.run(ctx, "cat-file", "-e", commit+"^{tree}"); err == nil {
		return nil
	}
	if err := m.fetch(ctx, "+"+commit+":"+m.git.tip()); err == nil || ctx.Err() != nil {
		return err
	}
	// Some servers give out only what has a name.
	all := *m
	all.depth = 0
	return all.fetch(ctx, "+refs/heads/*:refs/xesite/heads/*", "+refs/tags/*:refs/xesite/tags/*")
}

// resolveSubmodule returns the URL of a submodule, which may be relative to
// that of its parent. The repository's author chooses it, so local paths are
// never followed.
func resolveSubmodule(parent, address string) (string, error) {
	if strings.HasPrefix(address, "./") || strings.HasPrefix(address, "../") {
		address = joinRemote(parent, address)
	}
	if err := checkRemote(address); err != nil {
		return "", err
	}
	if filepath.IsAbs(address) || strings.HasPrefix(address, "file:") {
		return "", fmt.Errorf("%q is a local path: submodules must be reached over https or ssh", address)
	}
	return address, nil
}

// joinRemote applies a relative address as git does: each "../" takes a
// segment off the parent.
func joinRemote(parent, relative string) string {
	parent = strings.TrimRight(parent, "/")
	for {
		if rest, ok := strings.CutPrefix(relative, "./"); ok {
			relative = rest
			continue
		}
		rest, ok := strings.CutPrefix(relative, "../")
		i := strings.LastIndexAny(parent, "/:")
		if !ok || i < 0 {
			return parent + "/" + relative
		}
		if parent[i] == ':' {
			return parent[:i+1] + rest
		}
		parent, relative = parent[:i], rest
	}
}
