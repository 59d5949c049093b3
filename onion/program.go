// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is a tor that can be run.
type program struct {
	path    string
	version string
	pow     bool // it has the defence by proof of work
}

// Versions, as of 2026. Before the first, any visitor can crash a service whose
// MetricsPort is on (TROVE-2023-006); before the second, there are holes that
// matter less to one.
var (
	minVersion  = []int{0, 4, 8, 9}
	goodVersion = []int{0, 4, 9, 11}
)

// findProgram looks for tor and asks it what it is.
func findProgram(ctx context.Context, path string) (program, error) {
	found, err := exec.LookPath(cmp.Or(path, "tor"))
	if err != nil && path == "" {
		// Only root has this in PATH on some systems.
		found, err = exec.LookPath("/usr/sbin/tor")
	}
	if err != nil {
		return program{}, fmt.Errorf("%w: %q cannot be run: %s", ErrTorNotFound, cmp.Or(path, "tor"), installHint())
	}
	if found, err = filepath.Abs(found); err != nil { // it runs in another folder
		return program{}, fmt.Errorf("onion: find tor: %w", err)
	}
	p := program{path: found}
	text, err := output(ctx, found, "--version")
	if err != nil {
		kind := errors.New("onion: tor cannot be run now")
		if notTor(err) {
			kind = ErrTorNotFound
		}
		return p, fmt.Errorf("%w: %s does not tell its version: %w", kind, found, err)
	}
	if p.version = versionLine.FindString(text); p.version == "" {
		return p, fmt.Errorf("%w: %s is not tor: of its version it says %q", ErrTorNotFound, found, firstLine(text))
	}
	if slices.Compare(numbers(p.version), minVersion) < 0 {
		return p, fmt.Errorf("%w: %s is version %s, want %s: %s", ErrTorTooOld, found, p.version, dotted(minVersion), installHint())
	}
	modules, err := output(ctx, found, "--list-modules")
	p.pow = err == nil && strings.Contains(modules, "pow: yes")
	return p, nil
}

// notTor reports whether a program can never tell its version. One that was killed,
// or could not be started by a machine that has no memory left, can, later.
func notTor(err error) bool {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.Exited()
	}
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOEXEC)
}

var versionLine = regexp.MustCompile(`\b0\.\d+\.\d+\.\d+\b`)

func numbers(version string) []int {
	var n []int
	for part := range strings.SplitSeq(version, ".") {
		i, _ := strconv.Atoi(part)
		n = append(n, i)
	}
	return n
}

func dotted(version []int) string {
	var parts []string
	for _, n := range version {
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(parts, ".")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line[:min(len(line), 100)]
}

// answerTimeout is how long tor may take to say what it is.
const answerTimeout = 30 * time.Second

// output runs a program that has to end soon.
func output(ctx context.Context, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, fmt.Errorf("%w: no answer within %s", ErrUnresponsive, answerTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{} // nothing that may be secret
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return string(out), err
}

// installHint tells how to get tor on this system.
func installHint() string {
	hint := func(command string) string { return "install it, here with: " + command }
	switch runtime.GOOS {
	case "darwin":
		return hint("brew install tor")
	case "freebsd":
		return hint("pkg install tor")
	case "openbsd":
		return hint("pkg_add tor")
	case "linux":
		for _, id := range distribution() {
			switch id {
			case "debian", "ubuntu":
				return hint("apt-get install tor; the newest is at https://deb.torproject.org")
			case "alpine":
				return hint("apk add tor")
			case "fedora", "rhel", "centos":
				return hint("dnf install tor")
			case "arch":
				return hint("pacman -S tor")
			case "opensuse", "suse":
				return hint("zypper install tor")
			case "nixos":
				return hint("nix profile install nixpkgs#tor")
			}
		}
	}
	return "install it from https://www.torproject.org/download/tor/"
}

// distribution returns what a Linux calls itself, and what it is like: os-release(5).
func distribution() []string {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return nil
	}
	defer f.Close()
	var own, like []string
	for s := bufio.NewScanner(f); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), "=")
		words := strings.Fields(strings.Trim(value, `"'`))
		switch name {
		case "ID":
			own = words
		case "ID_LIKE":
			like = words
		}
	}
	return append(own, like...)
}

// exitedError tells why tor has ended, by the last it has said.
func exitedError(log *torLog, waited error) error {
	said := log.troubles()
	kind := ErrTorExited
	switch all := strings.Join(said, "\n"); {
	case strings.Contains(all, "it's still there"):
		kind = ErrLocked
	case strings.Contains(all, "Failed to bind"), strings.Contains(all, "private data directory"):
		// Somebody else has the port, or the disk is full: that passes.
	case strings.Contains(all, "Reading config failed"), strings.Contains(all, "Failed to parse/validate config"):
		kind = ErrTorConfig
	}
	var exit *exec.ExitError
	if waited == nil {
		waited = errors.New("exit status 0")
	} else if errors.As(waited, &exit) {
		waited = errors.New(exit.String())
	}
	if len(said) == 0 {
		return fmt.Errorf("%w: %w", kind, waited)
	}
	return fmt.Errorf("%w: %w; it said: %s", kind, waited, strings.Join(said, " / "))
}
