// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	// Builds leave some of the scheduler's processors to visitors. This is one
	// of them.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	// The garbage of requests is small, and so is what is alive: with nothing
	// else the collector would run hundreds of times a second under load, and
	// take a fifth of a request's time. It counts this, which is never touched
	// and so takes no memory, and comes round when some 40 MB are in use.
	idle := make([]byte, 20<<20)
	defer runtime.KeepAlive(idle)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}
