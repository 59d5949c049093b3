// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/powercut"
	"xeiaso.net/site/xesite/release"
)

// housekeeperVariable makes the test binary a builder: two publications with
// everything that goes with them.
const housekeeperVariable = "RELEASE_TEST_HOUSEKEEPER"

func TestMain(m *testing.M) {
	config := os.Getenv(housekeeperVariable)
	if config == "" {
		os.Exit(m.Run())
	}
	dir, files, _ := strings.Cut(config, ":")
	n, err := strconv.Atoi(files)
	for version := 2; version <= 3 && err == nil; version++ {
		_, err = keepHouse(context.Background(), dir, version, n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// versioned is one version of a site with n files that change with it.
func versioned(version, n int) map[string]string {
	files := map[string]string{"index.html": fmt.Sprint("version ", version), "same.txt": strings.Repeat("the same ", 1000)}
	for i := range n {
		files[fmt.Sprintf("%d.txt", i)] = strings.Repeat(fmt.Sprintf("%d of version %d. ", i, version), 100)
	}
	return files
}

// keepHouse publishes a version, compresses it, and removes those before.
func keepHouse(ctx context.Context, dir string, version, n int) (release.ID, error) {
	s, err := release.Open(dir)
	if err != nil {
		return "", err
	}
	rel, _, err := s.Write(ctx, tree(versioned(version, n)))
	if err != nil {
		return "", err
	}
	if _, err = s.Publish(ctx, "production", release.PublishOptions{Release: rel.ID}); err != nil {
		return "", err
	}
	if _, err = s.Compress(ctx, rel); err != nil {
		return "", err
	}
	keep, err := s.Prune("production", 1, 0)
	if err != nil {
		return "", err
	}
	return rel.ID, s.Collect(ctx, keep, 0)
}

// The power fails after each system call of two publications, of which each
// removes what was there before.
func TestSoakAPowerCutLosesAtMostTheLastPublication(t *testing.T) {
	for name, n := range map[string]int{"few files": 3, "many files": 12} { // these are synced in another way
		t.Run(name, func(t *testing.T) {
			var ids []release.ID
			for version := 1; version <= 3; version++ {
				id, err := keepHouse(t.Context(), t.TempDir(), version, n)
				must(t, err)
				ids = append(ids, id)
			}
			dir := t.TempDir()
			_, err := keepHouse(t.Context(), dir, 1, n)
			must(t, err)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d", housekeeperVariable, dir, n), "GOMAXPROCS=2")
			seen, states := map[release.ID]int{}, 0
			powercut.Record(t, dir, cmd).Each(t, need.Times(4, 1), func(t *testing.T, dir string) {
				s, err := release.Open(dir)
				must(t, err)
				rel, _, err := s.Load(t.Context(), "production")
				if err != nil {
					t.Fatalf("nothing can be served: %v", err)
				}
				must(t, s.Verify(t.Context(), rel))
				if !slices.Contains(ids, rel.ID) {
					t.Errorf("release %s is none of %s", rel.ID, ids)
				}
				seen[rel.ID]++
				if states++; states%need.Times(5, 1) != 0 {
					return
				}
				// And what is left does not keep the next build from publishing.
				id, err := keepHouse(t.Context(), dir, 3, n)
				must(t, err)
				rel, _, err = s.Load(t.Context(), "production")
				if err != nil || rel.ID != id {
					t.Fatalf("after the next build: %v", err)
				}
				must(t, s.Verify(t.Context(), rel))
				if left, err := filepath.Glob(filepath.Join(dir, "blobs", "tmp", "*")); err != nil || len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
			if len(seen) != 3 {
				t.Errorf("the cuts left the releases %v, want some of each version", seen)
			}
			t.Logf("found after %d cuts: %v", states, seen)
		})
	}
}
