// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os/exec"
	"time"

	"xeiaso.net/site/xesite"
)

// notifier runs a command when builds begin to fail, fail again, or recover.
type notifier struct {
	command string
	env     []string
	log     *slog.Logger
	failing bool
	number  uint64 // of the last build
}

// notifyTimeout bounds the command: the next notification waits for it.
const notifyTimeout = 30 * time.Second

// built is told of every build, one at a time.
func (n *notifier) built(b xesite.Build) {
	failed := b.Result == xesite.ResultFailed || b.Result == xesite.ResultRejected
	ok := b.Result == xesite.ResultPublished || b.Result == xesite.ResultUnchanged
	// A poll that meets the same trouble again has the number of the first.
	tell := failed && b.Number != n.number || ok && n.failing
	n.number = b.Number
	if failed || ok { // a cancelled build says nothing
		n.failing = failed
	}
	if !tell || n.command == "" {
		return
	}
	record, err := json.Marshal(b)
	if err != nil {
		n.log.Error("notify command", "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), notifyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", n.command)
	cmd.Stdin = bytes.NewReader(append(record, '\n'))
	cmd.Env = n.env
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		n.log.Error("notify command", "build", b.Number, "err", err, "output", string(out[:min(len(out), 1000)]))
	}
}
