// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/release"
)

// childVariable makes the test binary a host, one that can be killed.
const childVariable = "XESITE_TEST_CHILD"

func TestMain(m *testing.M) {
	if config := os.Getenv(childVariable); config != "" {
		if err := runChild(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if config := os.Getenv(idleVariable); config != "" {
		if err := runIdle(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// childConfig is what a test tells the child.
type childConfig struct {
	DataDir, Remote, Instance, Line string
	Poll                            time.Duration
}

// runChild hosts a site until its standard input ends, which it does at the
// latest with the test.
func runChild(config string) error {
	var c childConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	site, err := xesite.New(ctx, xesite.Config{
		DataDir: c.DataDir, Source: &xesite.Git{Remote: c.Remote, Dir: filepath.Join(c.DataDir, "git")}, Instance: c.Instance,
		Builder: xesite.Command{Line: c.Line, Grace: 100 * time.Millisecond}, Poll: c.Poll,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", site.Handler(xesite.Listener{}))
	mux.HandleFunc("/-/status", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(site.Status()) })
	mux.HandleFunc("/-/rollback", func(w http.ResponseWriter, r *http.Request) {
		cur, err := site.Rollback(context.WithoutCancel(r.Context()), release.ID(r.FormValue("id")))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(cur)
	})
	mux.HandleFunc("/-/trigger", func(w http.ResponseWriter, r *http.Request) {
		if _, err := site.Trigger(r.Context(), xesite.Trigger{Source: "github"}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.Handle("/api/", site.AdminHandler(xesite.Admin{Loopback: true}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	go http.Serve(ln, mux)
	return site.Run(ctx)
}

// child is a host in a process of its own.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	url   string
}

func startChild(t *testing.T, c childConfig) *child {
	t.Helper()
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(config))
	cmd.Stderr = t.Output()
	cmd.WaitDelay = time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &child{t: t, cmd: cmd, stdin: stdin}
	t.Cleanup(p.kill)
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + strings.TrimSpace(address)
	return p
}

// kill is a kill -9.
func (p *child) kill() {
	if p.cmd.ProcessState == nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

// stop ends the child in good order.
func (p *child) stop() {
	p.t.Helper()
	p.stdin.Close()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("child: %v", err)
	}
}

func (p *child) get(path string) (int, string) {
	p.t.Helper()
	resp, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (p *child) status() (st xesite.Status) {
	p.t.Helper()
	_, body := p.get("/-/status")
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		p.t.Fatal(err)
	}
	return st
}

func (p *child) shows(page string) {
	p.t.Helper()
	wait.Until(p.t, "the child shows "+page, func() bool {
		_, body := p.get("/")
		return body == page
	})
}

// generators lists the processes of builds of a data directory.
func generators(t *testing.T, dataDir string) (commands []string) {
	t.Helper()
	for _, file := range glob(t, "/proc/[0-9]*/environ") {
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

// crashRepo has a site of some files in which each page names its version.
func crashRepo(t *testing.T) *gittest.Repo {
	repo := newRepo(t)
	for i := range 50 {
		repo.Write(fmt.Sprintf("site/%d.txt", i), strings.Repeat(fmt.Sprint(i, " "), 2000))
	}
	change(repo, "0")
	return repo
}

// The original did not recover from 17 of 20 kills in its first clone. Here
// each kill may come at any time of a fetch or clone, checkout, build or
// publication.
func TestSoakKillAtAnyMomentLosesAtMostTheBuild(t *testing.T) {
	need.Program(t, "setsid", "apt install util-linux")
	kills := need.Times(30, 200)
	if testing.Short() {
		kills = 8
	}
	repo := crashRepo(t)
	c := childConfig{
		DataDir: t.TempDir(), Remote: repo.HTTPServer("").URL, Poll: 20 * time.Millisecond, Instance: "child",
		// The page and its copy must always be of one release.
		Line: "setsid sleep 1000 & sleep 0.05; mkdir _site && cp -R site/. _site/ && cp _site/index.html _site/same.html",
	}
	start := time.Now()
	p := startChild(t, c)
	p.shows("0")
	whole := time.Since(start)
	good := "0"
	for i := range kills {
		page := fmt.Sprint(i + 1)
		fresh := i%3 == 2
		if fresh { // the kill comes while the repository is cloned
			p.stop()
			// What git had started was killed with it, and may take a moment to
			// be gone.
			wait.Until(t, "the mirror is removed", func() bool {
				return os.RemoveAll(filepath.Join(c.DataDir, "git")) == nil
			})
			change(repo, page)
			p = startChild(t, c)
		} else {
			change(repo, page)
		}
		timer := time.NewTimer(rand.N(whole + whole/4))
		<-timer.C
		p.kill()

		p = startChild(t, c)
		code, body := p.get("/")
		if _, same := p.get("/same"); code != 200 || body != good && body != page || same != body {
			t.Fatalf("after kill %d: %d %.100q and %.100q, want %s or %s", i, code, body, same, good, page)
		}
		p.shows(page)
		if i%5 == 0 { // and the next one as well
			page += " again"
			change(repo, page)
			p.shows(page)
		}
		good = page
	}
	wait.Until(t, "the last build has ended", func() bool { return p.status().Running == nil })
	p.stop()
	if left := generators(t, c.DataDir); len(left) > 0 {
		t.Errorf("still running: %q", left)
	}
	if left := glob(t, filepath.Join(c.DataDir, "build", "*")); len(left) > 0 {
		t.Errorf("left in the build directory: %v", left)
	}
}

// Rollbacks and slow compression are killed here, at any time too.
func TestSoakKillDuringRollbacks(t *testing.T) {
	repo := crashRepo(t)
	c := childConfig{DataDir: t.TempDir(), Remote: repo.Bare, Poll: -1, Instance: "child", Line: copyPages}
	p := startChild(t, c)
	p.shows("0")
	page := "0"
	for i := range need.Times(15, 200) {
		before := p.status().Current
		was := page
		page = fmt.Sprint(i + 1)
		for n := range 10 {
			repo.Write(fmt.Sprintf("site/%d.txt", n), strings.Repeat(fmt.Sprint(i, n, " "), 5000))
		}
		change(repo, page)
		p.get("/-/trigger")
		p.shows(page)
		next := p.status().Current
		var acknowledged atomic.Uint64
		var rollbacks sync.WaitGroup
		rollbacks.Go(func() { // back and forth, until the kill
			for {
				for _, id := range []release.ID{before.Release, next.Release} {
					resp, err := http.Get(p.url + "/-/rollback?id=" + string(id))
					if err != nil {
						return
					}
					var cur xesite.Current
					err = json.NewDecoder(resp.Body).Decode(&cur)
					resp.Body.Close()
					if err != nil {
						return
					}
					acknowledged.Store(cur.Sequence)
				}
			}
		})
		timer := time.NewTimer(rand.N(300 * time.Millisecond))
		<-timer.C
		p.kill()
		rollbacks.Wait()

		p = startChild(t, c)
		st := p.status()
		code, body := p.get("/")
		if code != 200 || body != page && body != was || st.Fault != "" {
			t.Fatalf("after kill %d: %d %.100q, %s; want %s or %s", i, code, body, st.Fault, was, page)
		}
		if cur := st.Current; cur.Sequence < acknowledged.Load() || cur.Release != before.Release && cur.Release != next.Release {
			t.Fatalf("after kill %d: publication %d of %s is served, and %d was acknowledged", i, cur.Sequence, cur.Release.Short(), acknowledged.Load())
		}
		if body != page { // the older one stays until it is rolled forward
			wait.Until(t, "it is rolled forward", func() bool {
				p.get("/-/rollback?id=" + string(next.Release))
				_, body := p.get("/")
				return body == page
			})
		}
	}
	p.stop()
}

// An upload that is killed is published or not, and can be sent again.
func TestSoakKillDuringUploads(t *testing.T) {
	repo := crashRepo(t)
	c := childConfig{DataDir: t.TempDir(), Remote: repo.Bare, Poll: -1, Instance: "child", Line: copyPages}
	p := startChild(t, c)
	p.shows("0")
	upload := func(page string) (int, error) {
		pairs := []string{"index.html", page, "same.html", page}
		for i := range 50 {
			pairs = append(pairs, fmt.Sprintf("%d.txt", i), strings.Repeat(page+" ", 2000))
		}
		req, err := http.NewRequest(http.MethodPut, p.url+"/api/releases", bytes.NewReader(zipOf(t, pairs...)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode >= 400 {
			err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
		}
		return resp.StatusCode, err
	}
	start := time.Now()
	if _, err := upload("1"); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(start)
	good := "1"
	for i := range need.Times(8, 200) {
		page := fmt.Sprint(i + 2)
		sent := make(chan struct{})
		go func() { defer close(sent); upload(page) }()
		<-time.After(rand.N(whole + whole/4))
		p.kill()
		<-sent

		c.Instance = fmt.Sprint("child ", i) // to be told from the dead one
		p = startChild(t, c)
		code, body := p.get("/")
		if _, same := p.get("/same"); code != 200 || body != good && body != page || same != body {
			t.Fatalf("after kill %d: %d %.100q and %.100q, want %s or %s", i, code, body, same, good, page)
		}
		wait.Until(t, "the child builds", func() bool { return p.status().Builder == c.Instance })
		if status, err := upload(page); err != nil || status != 201 && body != page {
			t.Fatalf("after kill %d: status %d, %v", i, status, err)
		}
		p.shows(page)
		good = page
	}
	p.stop()
	if left := glob(t, filepath.Join(c.DataDir, "build", "*")); len(left) > 0 {
		t.Errorf("left in the build directory: %v", left)
	}
}

func TestOrphanedGeneratorDoesNotSurviveARestart(t *testing.T) {
	need.Program(t, "setsid", "apt install util-linux")
	repo := crashRepo(t)
	c := childConfig{DataDir: t.TempDir(), Remote: repo.Bare, Poll: -1, Line: "setsid sleep 1000 & sleep 1000 & echo it hangs; sleep 1000"}
	p := startChild(t, c)
	wait.Until(t, "the generator hangs", func() bool { return len(generators(t, c.DataDir)) >= 3 })
	p.kill()
	if len(generators(t, c.DataDir)) == 0 {
		t.Error("nothing was orphaned")
	}
	c.Line = copyPages
	p = startChild(t, c)
	p.shows("0")
	if left := generators(t, c.DataDir); len(left) > 0 {
		t.Errorf("still running: %q", left)
	}
}

func TestProcessesShareADataDirectory(t *testing.T) {
	repo := crashRepo(t)
	config := func(name string) childConfig {
		return childConfig{DataDir: filepath.Dir(repo.Bare) + "/data", Remote: repo.Bare, Poll: -1, Instance: name, Line: copyPages}
	}
	a := startChild(t, config("a"))
	a.shows("0")
	b := startChild(t, config("b"))
	b.shows("0") // before anything else
	wait.Until(t, "b knows who builds", func() bool { return b.status().Builder == "a" })

	change(repo, "1")
	b.get("/-/trigger")
	a.shows("1")
	b.shows("1")
	if last := a.status().Last; last == nil || last.Number != 2 || last.Triggers[0] != "github" {
		t.Errorf("last build %+v", last)
	}

	change(repo, "2")
	killed := time.Now()
	a.kill()
	b.shows("2")
	t.Logf("b published %s after a was killed", time.Since(killed))
	if st := b.status(); st.Builder != "b" {
		t.Errorf("builder %q", st.Builder)
	}
	a = startChild(t, config("a"))
	a.shows("2")
	b.stop() // in good order
	change(repo, "3")
	a.get("/-/trigger")
	a.shows("3")
}
