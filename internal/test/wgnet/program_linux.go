// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"xeiaso.net/site/internal/test/need"
)

const wireguardGo = "golang.zx2c4.com/wireguard"

// build makes wireguard-go of the version in go.mod, once, and keeps it in the
// cache.
var build = sync.OnceValues(func() (path string, err error) {
	version, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", wireguardGo).Output()
	if err != nil {
		return "", fmt.Errorf("which version of %s: %w", wireguardGo, err)
	}
	dir, err := need.CacheDir()
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "wireguard-go-"+strings.TrimSpace(string(version))+"-"+runtime.Version())
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(tmp)
	cmd := exec.Command("go", "build", "-trimpath", "-o", tmp, wireguardGo)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", wireguardGo, err, out)
	}
	return path, os.Rename(tmp, path)
})

// program returns the one with that name, or the one of go.mod.
func program(t testing.TB, name string) string {
	t.Helper()
	if name != "" {
		return need.Program(t, name, "apt-get install "+name)
	}
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
