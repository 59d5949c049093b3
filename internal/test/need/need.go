// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package need finds what a test needs on the machine. Without it the test is
// skipped, with a hint where to get it, or fails where XESITE_TEST_REQUIRE=1
// says that nothing may be missing.
package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Program returns the path of the named program, which install tells how to
// get.
func Program(t testing.TB, name, install string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	// Only root has these in PATH on some systems.
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	Missing(t, name+" is not installed", install)
	return ""
}

// Missing skips the test, or fails it where nothing may be missing.
func Missing(t testing.TB, what, remedy string) {
	t.Helper()
	if os.Getenv("XESITE_TEST_REQUIRE") == "1" {
		t.Fatalf("%s, and XESITE_TEST_REQUIRE is set: %s", what, remedy)
	}
	t.Skipf("%s: %s", what, remedy)
}

// Root asks for the rights of root, as namespaces and devices need them.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "this test is not run by root", "sudo -E go test")
	}
}

// Path returns the absolute path of a file or directory, given relative to the
// module's root. It always skips if there is none: it is for what cannot be
// had everywhere.
func Path(t testing.TB, fromRoot, hint string) string {
	t.Helper()
	path := filepath.Join(moduleRoot(t), filepath.FromSlash(fromRoot))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not there: %s", fromRoot, hint)
	}
	return path
}

// moduleRoot walks up from the package's directory, in which tests run.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = parent
	}
}

// CacheDir returns the folder outside of the checkout that .ci/install and the
// Makefile keep things in.
func CacheDir() (string, error) {
	if dir := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "xesite-test"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".cache", "xesite-test"), err
}

// Times is how often a test does something: short in an ordinary run, soak where
// XESITE_TEST_SOAK=1 asks for full proof.
func Times(short, soak int) int {
	if os.Getenv("XESITE_TEST_SOAK") == "1" {
		return soak
	}
	return short
}
