// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

// scriptRig runs the repository's build.sh, which the test changes.
func scriptRig(t *testing.T, edit func(*xesite.Config)) (*rig, func(script string) xesite.Build) {
	t.Helper()
	repo := newRepo(t)
	repo.Write("build.sh", copyPages)
	repo.Commit("a generator")
	repo.Push()
	r := newRig(t, repo.HTTPServer("").URL, func(cfg *xesite.Config) {
		cfg.Builder = xesite.Command{Line: ". ./build.sh", Grace: 200 * time.Millisecond}
		if edit != nil {
			edit(cfg)
		}
	}).run()
	wait.Until(t, "the first build is served", r.Ready)
	return r, func(script string) xesite.Build {
		t.Helper()
		repo.Write("build.sh", script)
		repo.Commit("change the generator")
		repo.Push()
		return r.trigger(xesite.Trigger{Source: "github"})
	}
}

// alive reports whether the process whose id is in the file runs.
func alive(t *testing.T, pidFile string) bool {
	t.Helper()
	content, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil {
		_, state, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(state, "Z")
	}
	return syscall.Kill(pid, 0) == nil && !errors.Is(err, os.ErrNotExist)
}

func TestHangingGeneratorIsStoppedWithAllThatItStarted(t *testing.T) {
	need.Program(t, "setsid", "apt install util-linux")
	traces := t.TempDir()
	r, build := scriptRig(t, func(cfg *xesite.Config) { cfg.BuildTimeout = 2 * time.Second })
	start := time.Now()
	b := r.expect(build(`trap '' TERM
(trap '' TERM; sh -c 'echo $PPID' > `+traces+`/group; while :; do sleep 1; done) &
setsid sh -c 'trap "" TERM; echo $$ > `+traces+`/session; while :; do sleep 1; done' &
echo it hangs now
while :; do sleep 1; done`), xesite.ResultFailed)
	if passed := time.Since(start); passed > 20*time.Second {
		t.Errorf("it took %s to stop it", passed)
	}
	if b.Stage != "generate" || b.Error != "generator took longer than 2s and was stopped" || !strings.Contains(b.LogTail, "it hangs now") {
		t.Errorf("%+v", b)
	}
	for _, name := range []string{"group", "session"} {
		if alive(t, filepath.Join(traces, name)) {
			t.Errorf("the child in its own %s still runs", name)
		}
	}
	r.expectPage("/", 200, "first")
}

func TestGeneratorThatListensMayCleanUp(t *testing.T) {
	traces := t.TempDir()
	_, build := scriptRig(t, func(cfg *xesite.Config) {
		cfg.BuildTimeout = time.Second
		cfg.Builder = xesite.Command{Line: ". ./build.sh", Grace: patience}
	})
	b := build("trap 'echo cleaned > " + traces + "/it; exit 0' TERM; while :; do sleep 0.05; done")
	if b.Result != xesite.ResultFailed || !strings.Contains(b.Error, "took longer") {
		t.Errorf("%+v", b)
	}
	wantFile(t, filepath.Join(traces, "it"), "cleaned\n")
}

// The original waited for whoever held the generator's output.
func TestChildThatIsLeftDoesNotHoldABuild(t *testing.T) {
	need.Program(t, "setsid", "apt install util-linux")
	traces := t.TempDir()
	r, build := scriptRig(t, nil)
	start := time.Now()
	r.expect(build(copyPages+`
echo new > _site/new.html
setsid sh -c 'echo $$ > `+traces+`/pid; sleep 1000' & while ! test -s `+traces+`/pid; do sleep 0.01; done
echo the last line`), xesite.ResultPublished)
	if passed := time.Since(start); passed > 20*time.Second {
		t.Errorf("it took %s", passed)
	}
	if alive(t, filepath.Join(traces, "pid")) {
		t.Error("the child still runs")
	}
	log := r.buildLog(2)
	if !strings.Contains(log, "the last line") || !strings.Contains(log, "killed 1 processes that the generator left running") &&
		!strings.Contains(log, "killed 2 processes that the generator left running") {
		t.Errorf("log:\n%s", log)
	}
}

func (r *rig) buildLog(number uint64) string {
	r.t.Helper()
	f, err := r.BuildLog(r.t.Context(), number)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	log, err := io.ReadAll(f)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(log)
}

func TestFloodOfOutputIsBoundedAndItsEndIsKept(t *testing.T) {
	r, build := scriptRig(t, nil)
	b := r.expect(build(`echo the first line
head -c 100000000 /dev/zero | tr '\0' 'x'
echo
yes 'a line like many' | head -n 300000
echo the last line
exit 1`), xesite.ResultFailed)
	log := r.buildLog(b.Number)
	if len(log) > 5<<20 || !strings.Contains(log, "the first line") || !strings.Contains(log, "the log is cut here") || !strings.Contains(log, "the last line") {
		t.Errorf("log has %d bytes, from %.100q to %q", len(log), log, log[len(log)-300:])
	}
	if len(b.LogTail) > 5<<10 || !strings.Contains(b.LogTail, "the last line") {
		t.Errorf("tail has %d bytes: %q", len(b.LogTail), b.LogTail)
	}
	if lines := strings.Count(r.logs.String(), "a line like many"); lines > 300 {
		t.Errorf("%d lines went to the logger", lines)
	}
}

func TestOutputThatIsNotTextIsKeptReadable(t *testing.T) {
	r, build := scriptRig(t, nil)
	b := r.expect(build(`printf 'a\377b\r\nnul \000 end without a newline'; exit 1`), xesite.ResultFailed)
	if !strings.Contains(b.LogTail, "a�b\n") || !strings.Contains(b.LogTail, "end without a newline\n") {
		t.Errorf("tail %q", b.LogTail)
	}
}

func TestGeneratorsEnvironmentIsExactlyThis(t *testing.T) {
	t.Setenv("GITHUB_SECRET", "hunter2")
	t.Setenv("PASSED_ON", "not by itself")
	repo := newRepo(t)
	r := newRig(t, repo.Bare, func(cfg *xesite.Config) {
		cfg.SiteURL = "https://me.example/blog"
		cfg.Builder = xesite.Command{Line: "mkdir _site; env > _site/env.txt; pwd > _site/index.html; nice > _site/nice.txt; cd ~ && touch x", Env: []string{"OWN=value"}}
	}).run()
	wait.Until(t, "the first build is served", r.Ready)
	_, env := r.page("/env.txt")
	_, pwd := r.page("/")
	cache := filepath.Join(r.cfg.DataDir, "cache")
	want := []string{
		"CARGO_HOME=" + cache + "/cargo", "CI=true", "COMMIT=" + repo.Git("rev-parse", "HEAD"), "DENO_DIR=" + cache + "/deno",
		"GOCACHE=" + cache + "/go-build", "GOMODCACHE=" + cache + "/go-mod", "HOME=" + cache + "/home", "HUGO_CACHEDIR=" + cache + "/hugo",
		"LANG=C.UTF-8", "OWN=value", "PATH=" + os.Getenv("PATH"), "PIP_CACHE_DIR=" + cache + "/pip", "PWD=" + strings.TrimSpace(pwd),
		"SITE_URL=https://me.example/blog/", "SOURCE_DATE_EPOCH=" + repo.Git("log", "-1", "--format=%ct"), "TZ=UTC",
		"XDG_CACHE_HOME=" + cache + "/xdg", "XESITE_BUILD", "npm_config_cache=" + cache + "/npm",
	}
	var got []string
	for line := range strings.Lines(env) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "XESITE_BUILD=") {
			line = "XESITE_BUILD" // whatever it is
		}
		if !strings.HasPrefix(line, "_=") && !strings.HasPrefix(line, "OLDPWD=") && !strings.HasPrefix(line, "SHLVL=") { // the shell's own
			got = append(got, line)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, nice := r.page("/nice.txt"); strings.TrimSpace(nice) != "10" {
		t.Errorf("niceness %q", nice)
	}
}

func TestCachePathsAreKeptWhateverBecomesOfABuild(t *testing.T) {
	r, build := scriptRig(t, func(cfg *xesite.Config) {
		cfg.CachePaths = []string{"node_modules", "deep/cache", "a/b", "a_b"}
		cfg.BuildTimeout = 3 * time.Second
	})
	count := `
for dir in node_modules deep/cache a/b a_b; do mkdir -p $dir; echo $dir >> $dir/runs; done
ln -sfn ../runs node_modules/.bin-link; mkdir -p node_modules/ro; touch node_modules/ro/file; chmod 500 node_modules/ro
mkdir -p _site; cp -R site/. _site/; for dir in node_modules deep/cache a/b a_b; do sort $dir/runs | uniq -c > _site/$(echo $dir | tr / -).txt; done
test -L node_modules/.bin-link
`
	for _, end := range []string{"true", "exit 1", "kill -9 $$", "sleep 1000", "true"} {
		build(count + end)
	}
	for path, name := range map[string]string{"/node_modules.txt": "node_modules", "/deep-cache.txt": "deep/cache", "/a-b.txt": "a/b", "/a_b.txt": "a_b"} {
		if _, body := r.page(path); strings.TrimSpace(body) != "5 "+name {
			t.Errorf("%s: %q, want 5 runs of its own", path, body)
		}
	}
	// What the repository has itself comes from there.
	b := build("mkdir -p _site; cp -R site/. _site/; ls -R > _site/list.txt")
	r.expect(b, xesite.ResultPublished)
	if _, list := r.page("/list.txt"); !strings.Contains(list, "node_modules") {
		t.Errorf("the cache is not there: %s", list)
	}
}

func TestScratchThatCannotBeWrittenToIsRemoved(t *testing.T) {
	r, build := scriptRig(t, nil)
	r.expect(build(copyPages+`; echo x > _site/x.html; mkdir -p ro/deep; touch ro/deep/file; chmod -R a-w ro; chmod 000 ro/deep`), xesite.ResultPublished)
	wait.Until(t, "nothing is left in the build directory", func() bool {
		return len(glob(t, filepath.Join(r.cfg.DataDir, "build", "*"))) == 0
	})
}

// Whoever runs a Command without a Site must not have others' builds killed.
func TestCommandOutsideOfASiteKillsOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	other := make(chan error, 1)
	go func() {
		in := xesite.BuildInput{Dir: dir, Cache: t.TempDir(), Log: io.Discard}
		other <- xesite.Command{Line: "touch started; sleep 1000"}.Build(ctx, in)
	}()
	wait.Until(t, "the other one runs", func() bool { _, err := os.Stat(filepath.Join(dir, "started")); return err == nil })
	in := xesite.BuildInput{Dir: t.TempDir(), Cache: t.TempDir(), Log: io.Discard}
	if err := (xesite.Command{Line: "true"}).Build(t.Context(), in); err != nil {
		t.Error(err)
	}
	select {
	case err := <-other:
		t.Errorf("the other one ended: %v", err)
	default:
	}
	cancel()
	if err := <-other; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	var exit *xesite.ExitError
	if err := (xesite.Command{Line: "exit 7"}).Build(t.Context(), in); !errors.As(err, &exit) || exit.Code != 7 {
		t.Errorf("error %v", err)
	}
}

// The original left it to the kernel to end a build at SIGTERM.
func TestEndOfTheSiteEndsTheGenerator(t *testing.T) {
	need.Program(t, "setsid", "apt install util-linux")
	repo := newRepo(t)
	r := newRig(t, repo.Bare, func(cfg *xesite.Config) {
		cfg.Builder = xesite.Command{Line: "setsid sleep 1000 & trap '' TERM; sleep 1000 & sleep 1000; sleep 1000", Grace: 100 * time.Millisecond}
	}).run()
	wait.Until(t, "the generator runs", func() bool { return len(generators(t, r.cfg.DataDir)) >= 3 })
	r.stop()
	if left := generators(t, r.cfg.DataDir); len(left) > 0 {
		t.Errorf("still running: %q", left)
	}
	builds, err := r.Builds(1)
	if err != nil || builds[0].Result != xesite.ResultSuperseded {
		t.Errorf("%+v, %v", builds, err)
	}
}
