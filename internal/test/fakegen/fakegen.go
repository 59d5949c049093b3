// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package fakegen has a site generator for tests that goes wrong in the ways
// that real ones do, when told.
//
// # Overview
//
//	gate := fakegen.NewGate(t)
//	repo.Write("fault.txt", "hold\n")
//	cfg.Builder = xesite.Command{Line: fakegen.Line(t, "-gate", gate.Addr())}
//	// … trigger a build
//	p := gate.Next(fakegen.Generator)
//	p.WaitHeld()
//	// … half of the site is written, and stays so until
//	p.Release()
//
// Without faults every .md and .txt file becomes a page: index.md becomes
// index.html, posts/a.md becomes posts/a/index.html. There are an index.html
// with links to all of them if the repository has none, a 404.html and
// a blog.json with what is below posts. Everything else is copied, but for hidden
// files. Every page begins and ends with "<!-- commit <hash> -->".
//
// # Faults
//
// The file fault.txt at the top of the checkout switches faults on, one a line;
// so does the flag -fault, separated by semicolons:
//
//	ok                 none
//	plain              pages do not tell the commit: equal sources, equal site
//	pages N            N more pages below extra/
//	hold               waits half way, for Process.Release; needs -gate
//	slow MS            takes that many milliseconds to write the files
//	crash [CODE]       exits half way, with code 3 if there is none
//	kill               kills itself half way, with SIGKILL
//	hang               stops half way and ignores SIGTERM, SIGINT and SIGHUP
//	children           leaves two processes that ignore those signals and keep
//	                   its output open, one of them in a session of its own
//	partial            writes every tenth file only, and exits with 0
//	empty              makes an empty output directory, and exits with 0
//	missing            makes none, and exits with 0
//	flood [BYTES] [x]  prints 100 MiB; with a second word, in one line
//	env                writes its environment to env.txt
//	git [MARKER]       makes git, if it believes the repository's configuration
//	                   and hooks, run "touch MARKER"
//	symlink [TARGET]   link.html is a link to /etc/passwd
//	badname            one file's name is not UTF-8
//
// The flag -out names the output directory if it is not _site. The commit and
// the site's address are taken from COMMIT and SITE_URL.
package fakegen

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
)

//go:embed generator/main.go
var source []byte

// build compiles the generator, once for each version of it. It is kept in the
// cache of what tests need, so the next test process finds it.
var build = sync.OnceValues(func() (path string, err error) {
	cache, err := need.CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(source, runtime.Version()+runtime.GOARCH...))
	path = filepath.Join(cache, "fakegen-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	// Another test process may be at it too: the last one to finish wins.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".fakegen")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	tmp := filepath.Join(dir, "fakegen")
	cmd := exec.Command("go", "build", "-trimpath", "-o", tmp, "xeiaso.net/site/internal/test/fakegen/generator")
	// Not for the race detector: many of these processes get killed, and each
	// would take time to start.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, os.Rename(tmp, path)
})

// Build returns the path of the generator's program.
func Build(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatalf("build the fake generator: %v", err)
	}
	return path
}

// Line returns the command line, for sh -c, that runs the generator with
// arguments.
func Line(t testing.TB, args ...string) string {
	t.Helper()
	words := []string{quote(Build(t))}
	for _, arg := range args {
		words = append(words, quote(arg))
	}
	return strings.Join(words, " ")
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// The roles of processes: the generator itself, what it starts in its process
// group, and what it starts in a session of its own.
const (
	Generator = "generator"
	Child     = "child"
	Session   = "session"
)

// Gate hears from every process of a generator that runs with its address in
// -gate, and holds those that are told to. Processes that are left when the
// test ends end by themselves.
type Gate struct {
	t     testing.TB
	ln    net.Listener
	calls map[string]chan *Process // by role
}

// NewGate returns a gate that is open until the test ends.
func NewGate(t testing.TB) *Gate {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{t: t, ln: ln, calls: map[string]chan *Process{}}
	for _, role := range []string{Generator, Child, Session} {
		g.calls[role] = make(chan *Process, 1000)
	}
	var all sync.WaitGroup
	all.Go(g.accept)
	t.Cleanup(func() {
		ln.Close()
		all.Wait()
	})
	return g
}

// Addr is what the generator's flag -gate takes.
func (g *Gate) Addr() string { return g.ln.Addr().String() }

// accept takes calls until the listener is closed, then hangs up on everybody.
func (g *Gate) accept() {
	var listeners sync.WaitGroup
	var conns []net.Conn
	for {
		conn, err := g.ln.Accept()
		if err != nil {
			break
		}
		conns = append(conns, conn)
		listeners.Go(func() { g.listen(conn) })
	}
	for _, conn := range conns {
		conn.Close()
	}
	listeners.Wait()
}

// listen follows one process until it is gone.
func (g *Gate) listen(conn net.Conn) {
	p := &Process{t: g.t, conn: conn, held: make(chan struct{}), gone: make(chan struct{})}
	defer close(p.gone)
	lines := bufio.NewReader(conn)
	hello, err := lines.ReadBytes('\n')
	if err != nil || json.Unmarshal(hello, p) != nil || g.calls[p.Role] == nil {
		return // killed before it could speak, or a stranger
	}
	g.calls[p.Role] <- p
	if line, _ := lines.ReadString('\n'); line == "holding\n" {
		close(p.held)
	}
	io.Copy(io.Discard, lines)
}

// patience is how long something may take that happens at once on a machine
// with nothing else to do.
const patience = time.Minute

// Next waits for the next process of a role, in the order in which they
// started.
func (g *Gate) Next(role string) *Process {
	g.t.Helper()
	select {
	case p := <-g.calls[role]:
		return p
	case <-time.After(patience):
		g.t.Fatalf("no %s has started for %s", role, patience)
		return nil
	}
}

// Waiting returns how many processes of a role have started and were not
// returned by Next.
func (g *Gate) Waiting(role string) int { return len(g.calls[role]) }

// Process is a process of a generator.
type Process struct {
	Role   string `json:"role"`
	PID    int    `json:"pid"`
	Commit string `json:"commit"`

	t    testing.TB
	conn net.Conn
	held chan struct{} // closed when it holds
	gone chan struct{} // closed when it is no more
}

// WaitHeld waits until the process stands still, with half of its files
// written.
func (p *Process) WaitHeld() { p.t.Helper(); p.wait(p.held, "does not hold") }

// Release lets a process go on that holds, or will.
func (p *Process) Release() {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, "go\n"); err != nil {
		p.t.Errorf("release the %s: %v", p.Role, err)
	}
}

// WaitGone waits until the process has ended, by itself or not.
func (p *Process) WaitGone() { p.t.Helper(); p.wait(p.gone, "is alive") }

// Gone reports whether the process has ended.
func (p *Process) Gone() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

func (p *Process) wait(news <-chan struct{}, what string) {
	p.t.Helper()
	select {
	case <-news:
	case <-time.After(patience):
		p.t.Fatalf("the %s, process %d, still %s after %s", p.Role, p.PID, what, patience)
	}
}
