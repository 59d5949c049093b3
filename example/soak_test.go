// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/fakegen"
	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/hook"
)

// stampedRepo has a site of some pages; fakegen stamps each with its commit.
func stampedRepo(t *testing.T) *gittest.Repo {
	t.Helper()
	repo := gittest.New(t)
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("p%d.md", i)] = strings.Repeat(fmt.Sprintf("Page %d has words. ", i), 200)
	}
	repo.WriteFiles(files)
	return repo
}

// In the original every publication showed half of itself, or nothing.
func TestSoakPublicationsUnderLoadAreNotNoticed(t *testing.T) {
	publications, requests := need.Times(8, 60), int64(need.Times(2_000, 100_000))
	repo := stampedRepo(t)
	commit := repo.Commit("0")
	repo.Push()
	p := start(t, map[string]string{"PATH": os.Getenv("PATH")}, "-git-repo", repo.HTTPServer("").URL, "-git-branch", "main",
		"-build", fakegen.Line(t), "-github-secret", secret, "-keep", "3", "-log-level", "warn")
	wait.Until(t, "the first build is served", func() bool { return p.commit() == commit })
	l := startLoad(t, p.public, "/p0/", "/p1/", "/p39/")
	var first string
	for i := range publications {
		repo.Write("p0.md", fmt.Sprintf("Now it is %d. %s", i, strings.Repeat("Words. ", i*100)))
		commit = p.push(repo, fmt.Sprint(i+1))
		b := p.last(commit)
		if b.Result != xesite.ResultPublished {
			t.Fatalf("build: %+v", b)
		}
		if i%10 == 3 && first != "" { // and back, and forth
			if status, body := p.do(http.MethodPost, p.admin+"api/releases/"+first+"/rollback", nil); status != 200 {
				t.Fatalf("rollback: %d %s", status, body)
			}
		}
		first = string(b.Release)
	}
	wait.Until(t, "there were enough requests", func() bool { return l.requests.Load() >= requests })
	l.Stop()
	l.check(t)
	if len(l.commits) < publications/2 {
		t.Errorf("the load saw %d commits of %d", len(l.commits), publications)
	}
}

// buildProgram builds the program as it is shipped.
func buildProgram(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "site")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// launch runs the program in a process of its own, which ends with the test.
func launch(t *testing.T, path string, args ...string) (p *program, cmd *exec.Cmd) {
	t.Helper()
	return launchBy(t, exec.Command, path, args...)
}

// launchBy is launch with another way to make a command.
func launchBy(t *testing.T, command func(name string, args ...string) *exec.Cmd, path string, args ...string) (p *program, cmd *exec.Cmd) {
	t.Helper()
	p = &program{t: t, dataDir: filepath.Join(t.TempDir(), "var"), stdout: &wait.Buffer{}, stderr: &wait.Buffer{}}
	cmd = command(path, append([]string{"-bind", "127.0.0.1:0", "-internal-api-bind", "127.0.0.1:0", "-data-dir", p.dataDir}, args...)...)
	cmd.Stdout, cmd.Stderr = p.stdout, io.MultiWriter(p.stderr, t.Output())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	wait.Until(t, "the banner shows", func() bool {
		for _, m := range urls.FindAllStringSubmatch(p.stdout.String(), -1) {
			if m[1] == "Site" {
				p.public = m[2]
			} else {
				p.admin = m[2]
			}
		}
		return p.admin != ""
	})
	return p, cmd
}

// A request that is under way is finished, a connection that is idle is closed
// between two requests, and whoever comes later finds nobody: no answer is ever
// cut off. The generator and its children die.
func TestSoakSIGTERMDuringABuildUnderLoadLosesNothing(t *testing.T) {
	path := buildProgram(t)
	for range need.Times(1, 20) {
		gate := fakegen.NewGate(t)
		repo := stampedRepo(t)
		repo.Write("big.bin", strings.Repeat("\x00", bigSize))
		commit := repo.Commit("0")
		repo.Push()
		p, cmd := launch(t, path, "-git-repo", repo.Bare, "-git-branch", "main", "-poll", "0", "-github-secret", secret,
			"-build", fakegen.Line(t, "-gate", gate.Addr()))
		gate.Next(fakegen.Generator).WaitGone()
		wait.Until(t, "the first build is served", func() bool { return p.commit() == commit })
		repo.Write("fault.txt", "children\nhold\n")
		p.push(repo, "hold")
		generator := gate.Next(fakegen.Generator)
		generator.WaitHeld()

		half := begin(t, p.public, "GET /p2/ HTTP/1.1\r\nHost: x\r\n")
		download := begin(t, p.public, "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n")
		ends := make(chan error, 8)
		var ready sync.WaitGroup
		for range cap(ends) {
			ready.Add(1)
			go func() { ends <- untilRefused(t.Context(), p.public+"p1/", &ready) }()
		}
		ready.Wait()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if n, err := half("\r\n"); err != nil || n == 0 {
			t.Errorf("a request of which half was sent: %d bytes, %v", n, err)
		}
		for range cap(ends) {
			if err := <-ends; err != nil {
				t.Errorf("a request was lost: %v", err)
			}
		}
		if n, err := download(""); err != nil || n != bigSize {
			t.Errorf("a download under way: %d bytes, %v", n, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program: %v", err)
		}
		generator.WaitGone()
		if left := childrenOf(t, p.dataDir); len(left) > 0 {
			t.Errorf("still running: %q", left)
		}
	}
}

// untilRefused sends requests until nobody listens any more. Each one that the
// server has begun to read must be answered.
func untilRefused(ctx context.Context, url string, ready *sync.WaitGroup) error {
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	once := sync.OnceFunc(ready.Done)
	defer once()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) && isDial(err) {
			return nil
		}
		if err != nil {
			// The server may close a new connection before it reads from it:
			// nobody has begun to answer then.
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
				return refused(url)
			}
			return err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || len(body) == 0 {
			return fmt.Errorf("%s: %d bytes, %v", resp.Status, len(body), err)
		}
		once()
	}
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// refused reports an error if somebody still listens.
func refused(url string) error {
	resp, err := http.Get(url)
	if err == nil {
		resp.Body.Close()
		return fmt.Errorf("cut off, while the server still answers others with %s", resp.Status)
	}
	return nil
}

// bigSize is more than the buffers of a connection hold.
const bigSize = 32 << 20

// begin sends the beginning of a request and returns a function that sends the
// rest and reads the answer.
func begin(t *testing.T, root, request string) (rest func(string) (int64, error)) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(root, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return func(rest string) (int64, error) {
		if _, err := io.WriteString(conn, rest); err != nil {
			return 0, err
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		return io.Copy(io.Discard, resp.Body)
	}
}

// childrenOf lists the processes of builds in a data directory.
func childrenOf(t *testing.T, dataDir string) (commands []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		env, _ := os.ReadFile(file)
		if strings.Contains(string(env), "HOME="+dataDir+"/cache/home\x00") {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			if len(line) > 0 { // not a zombie
				commands = append(commands, string(line))
			}
		}
	}
	return commands
}

// The original ran a build for each of them, one after the other.
func TestSoakAStormOfDeliveriesDuringABuildMakesOneMore(t *testing.T) {
	gate := fakegen.NewGate(t)
	repo := stampedRepo(t)
	repo.Write("fault.txt", "hold\n")
	repo.Commit("0")
	repo.Push()
	p := start(t, map[string]string{"PATH": os.Getenv("PATH")}, "-git-repo", repo.Bare, "-git-branch", "main", "-poll", "0",
		"-build", fakegen.Line(t, "-gate", gate.Addr()), "-github-secret", secret, "-log-level", "error")
	held := gate.Next(fakegen.Generator)
	held.WaitHeld()
	repo.Write("fault.txt", "ok\n")
	commit := repo.Commit("1")
	repo.Push()

	deliveries := need.Times(200, 1000)
	took := make([]time.Duration, deliveries)
	var all sync.WaitGroup
	next := make(chan int)
	for range 8 {
		all.Go(func() {
			for i := range next {
				start := time.Now()
				status, body := p.deliver(hook.GitHub, secret, hook.Push{Branch: "main", After: commit, Repository: "me/site"})
				took[i] = time.Since(start)
				if status != 202 {
					t.Errorf("delivery %d: %d %s", i, status, body)
				}
			}
		})
	}
	for i := range deliveries {
		next <- i
	}
	close(next)
	all.Wait()
	held.Release()
	p.last(commit)
	wait.Until(t, "nothing waits", func() bool {
		var st xesite.Status
		_, body := p.get(p.admin + "api/status")
		return json.Unmarshal([]byte(body), &st) == nil && st.Waiting == 0 && st.Running == nil
	})
	var builds []xesite.Build
	if _, body := p.get(p.admin + "api/builds"); json.Unmarshal([]byte(body), &builds) != nil || len(builds) != 2 {
		t.Errorf("%d builds, want 2: %s", len(builds), body)
	}
	slices.Sort(took)
	t.Logf("%d deliveries during a build: median %s, p99 %s, slowest %s", deliveries,
		took[deliveries/2], took[deliveries*99/100], took[deliveries-1])
}
