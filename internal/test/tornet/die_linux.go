// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package tornet

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the command when this process ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
