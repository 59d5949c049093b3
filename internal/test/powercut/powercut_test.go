// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package powercut_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"xeiaso.net/site/internal/atomicfile"
	"xeiaso.net/site/internal/test/powercut"
)

const childVariable = "POWERCUT_TEST_CHILD"

// TestMain writes a file, well or badly, if it is told to.
func TestMain(m *testing.M) {
	path := os.Getenv(childVariable)
	var err error
	switch filepath.Base(path) {
	case ".":
		os.Exit(m.Run())
	case "careful":
		err = atomicfile.Write(path, []byte("new"), 0o644)
	case "careless":
		err = os.WriteFile(path, []byte("new"), 0o644)
	case "hasty": // the name is durable before the content
		if err = os.WriteFile(path+".tmp", []byte("new"), 0o644); err == nil {
			err = os.Rename(path+".tmp", path)
		}
	}
	if err != nil {
		os.Exit(1)
	}
}

// found returns what may be found of a file with the content "old" that is
// replaced by "new".
func found(t *testing.T, name string) (contents []string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+path)
	powercut.Record(t, dir, cmd).Each(t, 1, func(t *testing.T, dir string) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, string(b))
	})
	slices.Sort(contents)
	return slices.Compact(contents)
}

func TestWhatIsNotSyncedIsLost(t *testing.T) {
	if got := found(t, "careful"); !slices.Equal(got, []string{"new", "old"}) {
		t.Errorf("careful: found %q", got)
	}
	for _, name := range []string{"careless", "hasty"} {
		if got := found(t, name); !slices.Contains(got, "") {
			t.Errorf("%s: found %q, and an empty file is not among them", name, got)
		}
	}
}
