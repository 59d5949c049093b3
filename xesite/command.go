// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Builder runs a site generator. [Command], [BuilderFunc] and [Copy] are the
// ones this package has; package markdown has one more.
type Builder interface {
	// Build turns the files in in.Dir into a site in in.Output, or in
	// [Config.OutputDir] of the checkout if it does not make in.Output. When
	// it returns, nothing of it may be running any more.
	Build(ctx context.Context, in BuildInput) error
}

// BuildInput is what a [Builder] works on.
type BuildInput struct {
	Dir      string    // the build directory of a fresh checkout
	Output   string    // a directory for the site, which does not exist yet
	Revision Revision  // of the checkout
	SiteURL  string    // canonical URL of the site or of the preview, ends in a slash
	Preview  bool      // the build is not for the site itself
	Cache    string    // directory that is kept between builds
	Number   uint64    // of the build
	Log      io.Writer // the build's log
	mark     string    // of every process of this build
}

// BuilderFunc is a function as a [Builder].
type BuilderFunc func(ctx context.Context, in BuildInput) error

// Build calls f.
func (f BuilderFunc) Build(ctx context.Context, in BuildInput) error { return f(ctx, in) }

// Copy is the [Builder] for repositories that hold a finished site: what is
// in the build directory is the site, without files whose name begins with a
// dot, ".well-known" excepted.
func Copy() Builder { return BuilderFunc(copyTree) }

// Command is a [Builder] that runs any program.
//
// It runs in a process group of its own with a lower priority, and sees
// nothing of the host's environment but PATH and the variables named in Env.
// It gets HOME and the usual cache variables, all in the cache directory,
// SITE_URL, COMMIT (the full hash), SOURCE_DATE_EPOCH (the commit's time) and
// CI=true. When ctx ends it gets SIGTERM, and SIGKILL after Grace. When it
// exits, whatever it started and left is killed.
type Command struct {
	// Line is run by "sh -c". Required.
	Line string

	// Env has "NAME=value" pairs to add.
	Env []string

	// Nice is the niceness, 0 to 19. If zero, 10; if negative, none.
	Nice int

	// Grace is the time between SIGTERM and SIGKILL. If zero, 5 seconds.
	Grace time.Duration
}

// markVariable is in the environment of every process of a build, so that
// those which outlive it can be found.
const markVariable = "XESITE_BUILD"

// Build implements [Builder].
func (c Command) Build(ctx context.Context, in BuildInput) error {
	if in.mark == "" { // not called by a Site
		in.mark = rand.Text()
	}
	if err := os.MkdirAll(filepath.Join(in.Cache, "home"), 0o700); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", c.Line)
	cmd.Dir = in.Dir
	cmd.Env = c.environment(in)
	isolate(cmd)
	cmd.Cancel = func() error { return killGroup(cmd, syscall.SIGTERM) }
	cmd.WaitDelay = c.grace()
	output, err := pipeTo(cmd, in.Log)
	if err != nil {
		return fmt.Errorf("start generator: %w", err)
	}
	if nice := c.nice(); nice > 0 {
		beNice(cmd, nice)
	}
	err = cmd.Wait()
	killGroup(cmd, syscall.SIGKILL)
	left := killMarked(markVariable, in.mark+"\x00", "")
	output.drain()
	if left > 0 {
		fmt.Fprintf(in.Log, "killed %d processes that the generator left running\n", left)
	}
	return c.explain(ctx, err)
}

// childOutput copies what a process and its children print.
type childOutput struct {
	r    *os.File
	done chan struct{}
}

// pipeTo starts cmd with both its outputs on one pipe, so that lines stay in
// order. The pipe is ours and not package exec's: a child that keeps it open
// must not keep Wait from returning.
func pipeTo(cmd *exec.Cmd, dst io.Writer) (*childOutput, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = errors.Join(cmd.Start(), w.Close())
	if err != nil {
		r.Close()
		return nil, err
	}
	o := &childOutput{r, make(chan struct{})}
	go func() {
		defer close(o.done)
		io.Copy(dst, r)
	}()
	return o, nil
}

// drain reads what is left. All writers should be dead; one that is not, such
// as a process in the kernel's hands, is not waited for.
func (o *childOutput) drain() {
	o.r.SetReadDeadline(time.Now().Add(time.Second))
	<-o.done
	o.r.Close()
}

// explain turns the end of the process into an error that says who ended it.
func (c Command) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		return &ExitError{Code: -1, reason: fmt.Sprintf("generator was killed by signal %d (%s)", status.Signal(), status.Signal())}
	case exit.ExitCode() == 127:
		return &ExitError{Code: 127, reason: "generator exited with code 127: a program was not found, install it or check the command line"}
	}
	reason := fmt.Sprintf("generator exited with code %d", exit.ExitCode())
	if signal := syscall.Signal(exit.ExitCode() - 128); signal > 0 && signal < 32 {
		// So a shell tells of its child; out of memory is the usual reason for 9.
		reason += fmt.Sprintf(", which stands for signal %d (%s)", signal, signal)
	}
	return &ExitError{Code: exit.ExitCode(), reason: reason}
}

// ExitError is a generator that did not succeed.
type ExitError struct {
	Code   int // exit code, -1 if it was killed
	reason string
}

// Error says how the generator ended.
func (e *ExitError) Error() string { return e.reason }

func (c Command) environment(in BuildInput) []string {
	cache := func(name string) string { return filepath.Join(in.Cache, name) }
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TZ=UTC", "CI=true",
		"HOME=" + cache("home"), "XDG_CACHE_HOME=" + cache("xdg"), "npm_config_cache=" + cache("npm"),
		"DENO_DIR=" + cache("deno"), "HUGO_CACHEDIR=" + cache("hugo"), "GOCACHE=" + cache("go-build"),
		"GOMODCACHE=" + cache("go-mod"), "PIP_CACHE_DIR=" + cache("pip"), "CARGO_HOME=" + cache("cargo"),
		"SITE_URL=" + in.SiteURL, "COMMIT=" + in.Revision.ID, markVariable + "=" + in.mark,
	}
	if !in.Revision.Time.IsZero() {
		env = append(env, "SOURCE_DATE_EPOCH="+strconv.FormatInt(in.Revision.Time.Unix(), 10))
	}
	return append(env, c.Env...)
}

func (c Command) nice() int {
	if c.Nice == 0 {
		return 10
	}
	return min(c.Nice, 19)
}

func (c Command) grace() time.Duration {
	if c.Grace == 0 {
		return 5 * time.Second
	}
	return c.Grace
}
