// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"xeiaso.net/site/internal/test/wait"
)

// process is a child that the kernel kills when this process ends.
type process struct {
	cmd    *exec.Cmd
	output wait.Buffer
	exited chan struct{}
}

// start starts a command. What it prints is kept, unless the command says where it
// goes.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &p.output
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &p.output
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	started := make(chan error, 1)
	go func() {
		// The kernel takes the end of this thread for that of the process.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// stopped reports whether no thread runs: a signal takes a moment to reach them all.
func (p *process) stopped() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	return !slices.ContainsFunc(threads, func(file string) bool {
		stat, err := os.ReadFile(file)
		return err == nil && !bytes.Contains(stat, []byte(") T "))
	})
}

var errUndead = errors.New("a killed process does not end")

// kill ends it at once, stopped or not.
func (p *process) kill() error {
	p.signal(syscall.SIGKILL)
	select {
	case <-p.exited:
		return nil
	case <-time.After(30 * time.Second):
		return errUndead
	}
}

// log returns the last lines that it has printed.
func (p *process) log() string {
	const last = 60
	lines := strings.Split(strings.TrimRight(p.output.String(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-last):], "\n")
}
