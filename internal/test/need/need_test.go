// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package need_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"xeiaso.net/site/internal/test/need"
)

// recorder is a testing.TB that notes how a test would have ended.
type recorder struct {
	testing.TB
	end string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.end = "fatal: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.end = "skip: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func ending(t *testing.T, test func(testing.TB)) string {
	t.Helper()
	r := recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(&r)
	}()
	<-done
	return r.end
}

func TestProgram(t *testing.T) {
	missing := func(tb testing.TB) { need.Program(tb, "no-such-program", "apt install it") }
	t.Setenv("XESITE_TEST_REQUIRE", "")
	if got, want := ending(t, missing), "skip: no-such-program is not installed: apt install it"; got != want {
		t.Errorf("ended with %q, want %q", got, want)
	}
	t.Setenv("XESITE_TEST_REQUIRE", "1")
	if got, want := ending(t, missing), "fatal: no-such-program is not installed, and XESITE_TEST_REQUIRE is set: apt install it"; got != want {
		t.Errorf("ended with %q, want %q", got, want)
	}
	if path := need.Program(t, "go", "https://go.dev/dl/"); !filepath.IsAbs(path) {
		t.Errorf("go is at %q", path)
	}
}

func TestPath(t *testing.T) {
	t.Setenv("XESITE_TEST_REQUIRE", "1")
	if got, want := filepath.Base(need.Path(t, "internal/test/need", "")), "need"; got != want {
		t.Errorf("base %q, want %q", got, want)
	}
	missing := func(tb testing.TB) { need.Path(tb, "no/such", "only on some machines") }
	if got, want := ending(t, missing), "skip: no/such is not there: only on some machines"; got != want {
		t.Errorf("ended with %q, want %q", got, want)
	}
}
