// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package xesite

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// isolate puts the command into a process group of its own, all of which is
// killed when its context ends. Children that hold its output open are not
// waited for.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
}

// killGroup sends a signal to the command's process group.
func killGroup(cmd *exec.Cmd, signal syscall.Signal) error {
	if cmd.Process == nil {
		return nil
	}
	return syscall.Kill(-cmd.Process.Pid, signal)
}

// beNice gives the command's process group the lower priority that niceness
// stands for, so that a build does not slow down the answers to visitors.
func beNice(cmd *exec.Cmd, niceness int) {
	syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, niceness)
}

// directoryID names a directory in a way that is the same in every mount of it
// and differs from that of a directory which merely has the same path in
// another container.
func directoryID(path string) string {
	var info syscall.Stat_t
	if err := syscall.Stat(path, &info); err != nil {
		return hashName(path)
	}
	return hashName(fmt.Sprint(info.Dev, ":", info.Ino))
}

// tryLock takes an exclusive lock on the open file. Busy means that another
// process has it; err, that this file system has no locks.
func tryLock(f *os.File) (busy bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK || err == syscall.EINTR {
		return true, nil
	}
	return false, os.NewSyscallError("flock", err)
}
