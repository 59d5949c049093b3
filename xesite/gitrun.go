// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// gitFlags go before every command. Nothing that a repository or the machine
// configures may run a program or choose a transport.
var gitFlags = []string{
	"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.askPass=",
	"-c", "core.attributesFile=/dev/null", "-c", "core.excludesFile=/dev/null",
	"-c", "gc.auto=0", "-c", "maintenance.auto=false",
	// The data directory may be a volume that belongs to another user.
	"-c", "safe.directory=*",
	"-c", "protocol.allow=never", "-c", "protocol.https.allow=always", "-c", "protocol.http.allow=always", "-c", "protocol.ssh.allow=always",
	// Thousands of small files are written faster by several processes, also on
	// two processors: 5,000 took 0.65 s with four, 1.15 s with one.
	"-c", "checkout.workers=4",
	// A connection that trickles is as good as dead.
	"-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=30",
	"-c", "advice.detachedHead=false", "-c", "submodule.recurse=false", "-c", "fetch.recurseSubmodules=false",
}

const (
	defaultGitTimeout = 5 * time.Minute
	gitNice           = 5 // visitors come first
)

// run runs one git command in dir and returns what it prints. Remote is the
// repository that the command may talk to.
func (g *Git) run(ctx context.Context, dir, remote string, args ...string) (string, error) {
	return g.runIn(ctx, "", dir, remote, args...)
}

// runIn is run with the repository named. Without a name git searches for it,
// first in a ".git" that a build may have put there, at last in the
// directories above.
func (g *Git) runIn(ctx context.Context, gitDir, dir, remote string, args ...string) (string, error) {
	timeout := g.Timeout
	if timeout == 0 {
		timeout = defaultGitTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("git %s took longer than %s", args[0], timeout))
	defer cancel()

	flags := gitFlags
	if isLocal(remote) && remote == g.Remote {
		// The operator named this path. A repository cannot: see submodules.
		flags = append(flags[:len(flags):len(flags)], "-c", "protocol.file.allow=always")
	}
	cmd := exec.CommandContext(ctx, "git", append(flags[:len(flags):len(flags)], args...)...)
	cmd.Dir = dir
	cmd.Env = g.environment(remote)
	if gitDir != "" {
		cmd.Env = append(cmd.Env, "GIT_DIR="+gitDir)
	}
	var stdout bytes.Buffer
	stderr := &tail{max: 4 << 10}
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	isolate(cmd)
	err := cmd.Start()
	if err == nil {
		beNice(cmd, gitNice)
		err = cmd.Wait()
	}
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("the git program is not installed: install git")
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return "", fmt.Errorf("git %s: %w%s", args[0], err, g.complaint(stderr))
	}
	return stdout.String(), nil
}

// complaint returns what git printed, on one line and without the token.
func (g *Git) complaint(stderr *tail) string {
	lines := strings.FieldsFunc(stderr.String(), func(r rune) bool { return r == '\n' || r == '\r' })
	text := strings.Join(lines, "; ")
	if text == "" {
		return ""
	}
	if g.Token != "" {
		text = strings.ReplaceAll(text, g.Token.Reveal(), "[redacted]")
	}
	return ": " + text
}

func isLocal(remote string) bool {
	return filepath.IsAbs(remote) || strings.HasPrefix(remote, "file://")
}

// environment is all that git sees of ours. The token goes by environment:
// command lines can be read by every user of the machine.
func (g *Git) environment(remote string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + absolute(g.Dir), "LC_ALL=C",
		"GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_ATTR_NOSYSTEM=1", "GIT_NO_REPLACE_OBJECTS=1", "GIT_ALLOW_PROTOCOL=" + g.protocols(remote),
		"GIT_SSH_COMMAND=" + g.sshCommand(), "SSH_AUTH_SOCK=" + os.Getenv("SSH_AUTH_SOCK"),
	}
	for _, name := range []string{
		"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
		"HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy",
	} {
		env = append(env, name+"="+os.Getenv(name))
	}
	env = append(nonEmpty(env), gitMark+"="+g.mark())
	return append(env, g.credentials()...)
}

// gitMark is in the environment of every git process, so that those which
// outlived a killed host can be found.
const gitMark = "XESITE_GIT"

func (g *Git) mark() string { return fmt.Sprint(directoryID(absolute(g.Dir)), "-", os.Getpid()) }

// killOrphans ends what a killed host left running: it would write to the
// mirror when nobody expects it.
func (g *Git) killOrphans() { killMarked(gitMark, directoryID(absolute(g.Dir))+"-", g.mark()) }

// tokenVariable hands the token to the credential helper.
const tokenVariable = "XESITE_GIT_TOKEN"

// credentials configures a credential helper that knows the token, for the
// remote's origin alone. Git asks it anew wherever a redirect leads; a header
// that is configured for the origin goes along to other hosts.
func (g *Git) credentials() []string {
	env := []string{"GIT_CONFIG_KEY_0=credential.helper", "GIT_CONFIG_VALUE_0="} // forgets all others
	scope := tokenScope(g.Remote)
	if g.Token == "" || scope == "" {
		return append(env, "GIT_CONFIG_COUNT=1")
	}
	return append(env, "GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_1=credential."+scope+".helper",
		`GIT_CONFIG_VALUE_1=!f() { test "$1" != get || printf 'username=x-access-token\npassword=%s\n' "$`+tokenVariable+`"; }; f`,
		tokenVariable+"="+g.Token.Reveal())
}

// nonEmpty leaves out variables without a value: an empty SSL_CERT_FILE is
// not the same as none.
func nonEmpty(env []string) []string {
	kept := env[:0]
	for _, e := range env {
		if !strings.HasSuffix(e, "=") {
			kept = append(kept, e)
		}
	}
	return kept
}

func (g *Git) protocols(remote string) string {
	if isLocal(remote) && remote == g.Remote {
		return "https:http:ssh:file"
	}
	return "https:http:ssh"
}

// tokenScope is the origin that the token may be sent to.
func tokenScope(remote string) string {
	u, err := url.Parse(remote)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Scheme + "://" + u.Host + "/"
}

// sshCommand never asks and never forwards.
func (g *Git) sshCommand() string {
	args := []string{"ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15"}
	if g.SSHKeyFile != "" {
		args = append(args, "-o", "IdentitiesOnly=yes", "-o", "IdentityFile="+quoteSSH(g.SSHKeyFile))
	}
	if g.KnownHostsFile != "" {
		args = append(args, "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile="+quoteSSH(g.KnownHostsFile))
	} else {
		args = append(args, "-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile="+quoteSSH(filepath.Join(g.Dir, "known_hosts")))
	}
	for i, a := range args {
		args[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return strings.Join(args, " ")
}

// quoteSSH makes one argument of a path in an ssh option, which is otherwise
// split at blanks and has its percent signs expanded.
func quoteSSH(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(absolute(path)) + `"`
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func hasLFS() bool {
	_, err := exec.LookPath("git-lfs")
	return err == nil
}

// hashName makes a file name of any string.
func hashName(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// tail keeps the last max bytes that are written to it.
type tail struct {
	max int
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if extra := len(t.buf) - t.max; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(string(t.buf), "�") }
