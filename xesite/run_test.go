// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A builder inside this process cannot be killed, but it can be left behind.
func TestBuilderThatDoesNotStopIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		deaf := BuilderFunc(func(context.Context, BuildInput) error { <-release; return nil })
		late := errors.New("too late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, late)
		defer cancel()
		start := time.Now()
		err := safely(ctx, deaf, BuildInput{})
		if !errors.Is(err, late) || !strings.Contains(err.Error(), "left behind") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took != time.Minute+abandonAfter {
			t.Errorf("left after %s", took)
		}
	})
}

func TestBuilderThatPanicsFails(t *testing.T) {
	err := safely(t.Context(), BuilderFunc(func(context.Context, BuildInput) error { panic("oops") }), BuildInput{})
	if err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("error %v", err)
	}
}
