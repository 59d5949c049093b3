// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package pds

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the command when this process ends. The
// server watches its standard input besides, since the kernel forgets the wish
// where the command gets another user.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
