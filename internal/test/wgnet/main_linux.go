// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// inside marks the process that Main has started.
const inside = "XESITE_WGNET_HOME"

// Main runs the tests of a package in a network namespace of their own, which has
// nothing but loopback, and returns the exit code. Where that is not possible, as
// without root, it just runs them.
func Main(m *testing.M) int {
	worker := slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.fuzzworker") })
	if os.Getenv(inside) != "" || os.Geteuid() != 0 || worker {
		return m.Run()
	}
	code, err := again()
	if err != nil {
		return m.Run()
	}
	return code
}

// again runs this program once more, in another namespace. There is an error if
// it cannot be started.
func again() (code int, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	// Without a program called ip there is no loopback, and the tests that need more say
	// so themselves.
	script := `ip link set lo up; exec "$0" "$@"`
	cmd := exec.Command("sh", append([]string{"-c", script, program}, os.Args[1:]...)...)
	cmd.Env = append(environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	// The kernel takes the end of this thread for that of the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	// The go command sends SIGQUIT to tests that take too long.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err = cmd.Wait()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		fmt.Fprintln(os.Stderr, "wgnet:", err)
		return 2, nil
	}
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code, nil
	}
	fmt.Fprintln(os.Stderr, "wgnet: the tests have ended with", cmd.ProcessState)
	return 2, nil
}
