// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/xesite"
)

// Each fetch of a large commit leaves a pack; a mirror must not grow for ever.
func TestMirrorStaysTidy(t *testing.T) {
	gittest.Require(t)
	repo := gittest.New(t)
	dir := t.TempDir()
	source := &xesite.Git{Remote: repo.Bare, Dir: dir}
	packs := func() int {
		names, err := filepath.Glob(filepath.Join(dir, "site.git", "objects", "pack", "*.pack"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	var rev xesite.Revision
	for i := range 22 {
		for j := range 101 { // from 100 objects on, git keeps what it fetched as a pack
			repo.Write(fmt.Sprintf("f%d", j), fmt.Sprint(i, j))
		}
		repo.Commit(fmt.Sprint(i))
		repo.Push()
		var err error
		if rev, err = source.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := packs()
	if err := source.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := packs(); after >= before || after > 2 {
		t.Errorf("%d packs before, %d after", before, after)
	}
	if _, err := source.Checkout(t.Context(), rev, filepath.Join(t.TempDir(), "tree")); err != nil {
		t.Errorf("after tidying: %v", err)
	}
	if again, err := source.Fetch(t.Context()); err != nil || again.ID != rev.ID {
		t.Errorf("after tidying: %v, %v", again, err)
	}
}
