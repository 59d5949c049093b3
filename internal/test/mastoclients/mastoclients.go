// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package mastoclients finds clients of Mastodon's API that others wrote: toot,
// Mastodon.py and masto.js.
package mastoclients

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
)

// Toot returns the path of toot.
func Toot(t testing.TB) string {
	t.Helper()
	return need.Program(t, "toot", "apt install toot")
}

// Python returns the path of a Python that has Mastodon.py: the system's, which
// need not be the first in PATH.
func Python(t testing.TB) string {
	t.Helper()
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import mastodon").Run(); err != nil {
		need.Missing(t, "Mastodon.py is not installed", "apt install python3-mastodon")
	}
	return python
}

//go:embed masto/package-lock.json
var lock []byte

// Node returns the path of Node.js and that of masto.js.
func Node(t testing.TB) (node, masto string) {
	t.Helper()
	node = need.Program(t, "node", "apt install nodejs")
	cache, err := need.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	masto = filepath.Join(cache, "masto-"+hex.EncodeToString(sum[:8]), "node_modules", "masto", "dist", "index.js")
	if _, err := os.Stat(masto); err != nil {
		need.Missing(t, "masto.js is not installed", "run make install")
	}
	return node, masto
}

// Command is a program with an environment of its own, in a folder of its own,
// that the end of the test kills.
func Command(t testing.TB, env []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "LANG=C.UTF-8", "PYTHONWARNINGS=ignore", "PYTHONDONTWRITEBYTECODE=1",
	}, env...)
	cmd.WaitDelay = time.Second
	return cmd
}

// Run runs a program that has to succeed, and returns what it prints. The log of
// the test shows it.
func Run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	t.Logf("$ %s\n%s", filepath.Base(cmd.Args[0]), out.Bytes())
	if err != nil {
		t.Fatalf("%q: %v", cmd.Args, err)
	}
	return out.String()
}
