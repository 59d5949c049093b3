// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build !linux

package tornet

import "os/exec"

func dieWithParent(*exec.Cmd) {}
