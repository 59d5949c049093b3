// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"os"
	"runtime"
	"syscall"
)

// syncfs has no name in package syscall, whose tables are frozen.
var syncfsNumber = map[string]uintptr{
	"amd64": 306, "386": 344, "arm": 373, "arm64": 267, "riscv64": 267, "loong64": 267,
	"ppc64le": 348, "s390x": 338,
}[runtime.GOARCH]

// syncFileSystem makes everything durable that was written to the file system
// of dir. It reports false where the kernel has no such call.
func syncFileSystem(dir *os.File) (bool, error) {
	if syncfsNumber == 0 {
		return false, nil
	}
	_, _, errno := syscall.Syscall(syncfsNumber, dir.Fd(), 0, 0)
	switch errno {
	case 0:
		return true, nil
	case syscall.ENOSYS, syscall.EPERM: // refused by a sandbox
		return false, nil
	}
	return true, os.NewSyscallError("syncfs", errno)
}
