// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"

	"xeiaso.net/site/syndicate"
)

// told returns a target that prints "send" when one begins. What the target can
// do besides, it can do as before.
func told(t syndicate.Target) syndicate.Target {
	composer, _ := t.(syndicate.Composer)
	reconciler, _ := t.(syndicate.Reconciler)
	preparer, _ := t.(syndicate.Preparer)
	runner, _ := t.(syndicate.Runner)
	plain := sends{t}
	switch {
	case composer != nil && reconciler != nil:
		return struct {
			sends
			syndicate.Composer
			syndicate.Reconciler
		}{plain, composer, reconciler}
	case composer != nil && preparer != nil && runner != nil:
		return struct {
			sends
			syndicate.Composer
			syndicate.Preparer
			syndicate.Runner
		}{plain, composer, preparer, runner}
	case composer != nil:
		return struct {
			sends
			syndicate.Composer
		}{plain, composer}
	case reconciler != nil:
		return struct {
			sends
			syndicate.Reconciler
		}{plain, reconciler}
	}
	return plain
}

type sends struct{ t syndicate.Target }

func (s sends) Send(ctx context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	fmt.Println("send")
	return s.t.Send(ctx, a)
}
