// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// Maintainer is a [Source] that keeps something which has to be tidied.
type Maintainer interface {
	Source
	// Maintain is called between builds, never at the same time as one. It
	// ends early when ctx does, since a build waits then.
	Maintain(ctx context.Context) error
}

// Maintain implements [Maintainer]: it packs the mirrors when they have become
// untidy. Git's own housekeeping is switched off elsewhere, so that none runs
// behind a build's back. What no branch reaches any more, such as the commits
// before a force push, goes.
func (g *Git) Maintain(ctx context.Context) error {
	mirrors, err := filepath.Glob(filepath.Join(absolute(g.Dir), "modules", "*.git"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range append(mirrors, g.mirror().dir) {
		if !isDir(dir) {
			continue
		}
		_, err := g.run(ctx, dir, "", "-c", "gc.auto=1000", "-c", "gc.autoPackLimit=20", "-c", "gc.autoDetach=false",
			"gc", "--quiet", "--auto", "--prune=now")
		if err != nil && ctx.Err() == nil {
			errs = append(errs, fmt.Errorf("xesite: tidy %s: %w", filepath.Base(dir), err))
		}
	}
	return errors.Join(errs...)
}
