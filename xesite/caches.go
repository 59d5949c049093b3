// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// caches are directories that move into the checkout and back.
type caches struct {
	log   *buildLog
	pairs []cachePair
}

type cachePair struct{ name, kept, used string }

// caches returns the directories to keep. A source that is built in place
// keeps them by itself.
func (r *run) caches(dir string) caches {
	c := caches{log: r.log}
	if !strings.HasPrefix(r.tree, r.dir) {
		return c
	}
	for _, path := range r.site.cfg.CachePaths {
		c.pairs = append(c.pairs, cachePair{path, r.site.path("cache", "paths", hashName(path)), filepath.Join(dir, path)})
	}
	return c
}

// in moves the kept directories into the checkout.
func (c caches) in() {
	for _, p := range c.pairs {
		if _, err := os.Lstat(p.kept); err != nil {
			continue
		}
		if _, err := os.Lstat(p.used); err == nil {
			c.log.warnf("cache path %s: the repository has it, so the kept one is not used", p.name)
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(p.used), 0o755), os.Rename(p.kept, p.used)); err != nil {
			c.log.warnf("cache path %s: %v", p.name, err)
		}
	}
}

// out moves them back, whatever became of the build.
func (c caches) out() {
	for _, p := range c.pairs {
		if _, err := os.Lstat(p.used); err != nil {
			continue
		}
		err := errors.Join(removeAll(p.kept), os.MkdirAll(filepath.Dir(p.kept), 0o700), os.Rename(p.used, p.kept))
		if err != nil {
			c.log.warnf("cache path %s: %v", p.name, err)
		}
	}
}
