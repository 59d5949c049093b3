// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package ircd

import "syscall"

// childAttributes have a server end with us, whatever ends us.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
