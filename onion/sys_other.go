// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build !unix

package onion

import "syscall"

func ownGroup() *syscall.SysProcAttr { return nil }
