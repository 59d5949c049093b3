// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

// exposed is a site of two pages behind a real server that logs what it serves.
// Next to what is served there is a file that must not be.
func exposed(t *testing.T) (r *rig, url string, logs *wait.Buffer) {
	t.Helper()
	repo := newRepo(t)
	repo.WriteFiles(map[string]string{"site/.git-secret": "SECRET", "secret.txt": "SECRET", "site/a b/ü.txt": "fine"})
	repo.Commit("secrets")
	repo.Push()
	r = newRig(t, repo.Bare, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	if err := os.WriteFile(filepath.Join(r.cfg.DataDir, "secret.txt"), []byte("SECRET"), 0o644); err != nil {
		t.Fatal(err)
	}
	logs = &wait.Buffer{}
	url, _ = serveOn(t, xesite.Server{}, r.Handler(xesite.Listener{AccessLog: slog.New(slog.NewTextHandler(logs, nil))}))
	return r, url, logs
}

// raw sends bytes on a connection of their own and returns all that comes back.
func raw(t *testing.T, url, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	conn.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(conn) // a reset is an answer too
	return string(answer)
}

func TestPathsNeverLeaveTheRelease(t *testing.T) {
	_, url, _ := exposed(t)
	var paths []string
	for _, up := range []string{"..", "%2e%2e", "%2E.", ".%2e", "..%00", "..;", "%c0%ae%c0%ae", "%252e%252e", `..\..`, "..%5c.."} {
		for _, slash := range []string{"/", "%2f", "%5c", `\`, "//"} {
			for _, target := range []string{"secret.txt", "git/site.git/config", "channels/production", "etc/passwd"} {
				for depth := 1; depth < 4; depth++ {
					paths = append(paths, "/"+strings.Repeat(up+slash, depth)+target, "/a%20b/"+strings.Repeat(up+slash, depth)+target)
				}
			}
		}
	}
	paths = append(paths, "/.git-secret", "/%2egit-secret", "/.git/config", "/_redirects", "/_headers", "/index.html%00.txt", "/index.html/", "/secret.txt",
		"//etc/passwd", "/%00", "/\x01", "/a%20b", "http://other.example/../secret.txt", "*", "", "?", "/"+strings.Repeat("a/", 4000))
	for _, path := range paths {
		answer := raw(t, url, "GET "+path+" HTTP/1.1\nHost: x\nConnection: close\n\n")
		for _, bad := range []string{"SECRET", "root:", "[core]", `"sequence"`} {
			if strings.Contains(answer, bad) {
				t.Errorf("GET %q: %.300q", path, answer)
			}
		}
		if strings.HasPrefix(answer, "HTTP/1.1 5") {
			t.Errorf("GET %q: %.100q", path, answer)
		}
		if _, location, ok := strings.Cut(answer, "\r\nLocation: "); ok && (strings.HasPrefix(location, "//") || strings.HasPrefix(location, `/\`)) {
			t.Errorf("GET %q leads to %.100q", path, location)
		}
	}
	if answer := raw(t, url, "GET /a%20b/%C3%BC.txt HTTP/1.1\nHost: x\nConnection: close\n\n"); !strings.HasSuffix(answer, "fine") {
		t.Errorf("a path that is right: %q", answer)
	}
}

// Whatever two parsers may disagree about, the smuggled request is never
// answered.
func TestSmuggledRequestsAreNotAnswered(t *testing.T) {
	_, url, logs := exposed(t)
	const inner = "GET /smuggled HTTP/1.1\nHost: x\n\n"
	for name, request := range map[string]string{
		"length and chunked":    "POST / HTTP/1.1\nHost: x\nContent-Length: 6\nTransfer-Encoding: chunked\n\n0\n\n" + inner,
		"chunked and length":    "GET / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\nContent-Length: 64\n\n5\nhello\n0\n\n",
		"two lengths":           "GET / HTTP/1.1\nHost: x\nContent-Length: 0\nContent-Length: 40\n\n" + inner,
		"list of lengths":       "GET / HTTP/1.1\nHost: x\nContent-Length: 0, 40\n\n" + inner,
		"signed length":         "GET / HTTP/1.1\nHost: x\nContent-Length: +0\n\n" + inner,
		"negative length":       "GET / HTTP/1.1\nHost: x\nContent-Length: -1\n\n" + inner,
		"length of a get":       fmt.Sprintf("GET / HTTP/1.1\nHost: x\nContent-Length: %d\n\n", len(inner)+3) + inner,
		"obscure chunked":       "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: xchunked\n\n" + inner,
		"chunked with tab":      "POST / HTTP/1.1\nHost: x\nTransfer-Encoding:\tchunked\nContent-Length: 4\n\n0\n\n" + inner,
		"chunked twice":         "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked, identity\n\n0\n\n" + inner,
		"space before colon":    "GET / HTTP/1.1\nHost: x\nContent-Length : 40\n\n" + inner,
		"chunk size overflow":   "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\nfffffffffffffffff\n" + inner,
		"chunk size in decimal": "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n0x0\n\n" + inner,
		"bare LF in a value":    "GET / HTTP/1.1\nHost: x\nX: a\x0bGET /smuggled HTTP/1.1\n\n",
		"two hosts":             "GET / HTTP/1.1\nHost: x\nHost: y\n\n",
		"no host":               "GET / HTTP/1.1\n\n",
		"NUL in a header":       "GET / HTTP/1.1\nHost: x\nX: a\x00b\n\n",
		"version":               "GET / HTTP/9.9\nHost: x\n\n",
		"absolute and host":     "GET http://a.example/ HTTP/1.1\nHost: b.example\n\n",
		"connect":               "CONNECT secret.example:443 HTTP/1.1\nHost: secret.example:443\n\n",
		"h2 preface":            "PRI * HTTP/2.0\n\nSM\n\n",
		"upgrade":               "GET / HTTP/1.1\nHost: x\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\n\n",
		"not HTTP at all":       "\x16\x03\x01\x02\x00\x01\x00",
	} {
		answer := raw(t, url, request)
		if strings.HasPrefix(answer, "HTTP/1.1 500") || strings.Contains(answer, "HTTP/1.1 101") {
			t.Errorf("%s: %.200q", name, answer)
		}
		if n := strings.Count(answer, "HTTP/1.1 "); n > 1 {
			t.Errorf("%s: %d answers: %.500q", name, n, answer)
		}
	}
	if strings.Contains(logs.String(), "/smuggled") {
		t.Errorf("a smuggled request was served:\n%s", logs.String())
	}
}

func TestHeadersAreBounded(t *testing.T) {
	_, url, _ := exposed(t)
	for name, request := range map[string]string{
		"one":  "GET / HTTP/1.1\nHost: x\nX: " + strings.Repeat("a", 1<<20) + "\n\n",
		"many": "GET / HTTP/1.1\nHost: x\n" + strings.Repeat("X: a\n", 1<<17) + "\n",
		"line": "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\nHost: x\n\n",
		"ever": "GET / HTTP/1.1\nHost: x\nX: " + strings.Repeat("a", 1<<20),
	} {
		if answer := raw(t, url, request); answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 431") {
			t.Errorf("%s: %.200q", name, answer)
		}
	}
}

// idleVariable makes the test binary open connections: they are many, and each
// process may have only so many open files.
const idleVariable = "XESITE_TEST_IDLE"

// runIdle opens connections that send what is given, and no more, and holds
// them until standard input ends.
func runIdle(config string) error {
	var c struct {
		Address, Sent string
		Count         int
	}
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	conns := make([]net.Conn, c.Count)
	for i := range conns {
		var err error
		if conns[i], err = net.Dial("tcp", c.Address); err == nil {
			_, err = io.WriteString(conns[i], c.Sent)
		}
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	fmt.Println("open")
	io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(conns)
	return nil
}

// idle opens connections from another process, until the test ends.
func idle(t *testing.T, url string, count int, sent string) {
	t.Helper()
	config, err := json.Marshal(map[string]any{"Address": strings.TrimPrefix(url, "http://"), "Count": count, "Sent": sent})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), idleVariable+"="+string(config))
	cmd.Stderr = t.Output()
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
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "open\n" {
		t.Fatalf("open %d connections: %q, %v", count, line, err)
	}
}

// heap returns the bytes in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // finalizers have run
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestSoakIdleAndSlowConnectionsHarmNobody(t *testing.T) {
	const each = 64 << 10 // bytes that a connection may cost
	n := need.Times(500, 10_000)
	_, url, _ := exposed(t)
	get := func() {
		t.Helper()
		resp := request(t, http.MethodGet, url+"/")
		if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || string(body) != "first" {
			t.Fatalf("%s %q, %v", resp.Status, body, err)
		}
	}
	get()
	goroutines, before := runtime.NumGoroutine(), heap()
	for name, sent := range map[string]string{
		"silent":       "",
		"half a line":  "GET /",
		"half a head":  "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n",
		"half a body":  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc",
		"after a page": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		idle(t, url, n/5, sent)
		get()
		t.Logf("%s: %d connections", name, n/5)
	}
	get()
	if during := heap(); during > before && (during-before)/uint64(n) > each {
		t.Errorf("%d connections took %d bytes", n, during-before)
	} else {
		t.Logf("%d bytes a connection", (max(during, before)-before)/uint64(n))
	}
	if need.Times(0, 1) == 1 { // it takes the header's timeout
		wait.Until(t, "the slow ones are cut off", func() bool { return runtime.NumGoroutine() < goroutines+n/2 })
		get()
	}
}

// discard is a client that reads nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// Each of them was a label value in the original.
func TestSoakAnyNumberOfStrangersLeavesNoTrace(t *testing.T) {
	r, _, _ := exposed(t)
	h := r.Handler(xesite.Listener{})
	registry := prometheus.NewRegistry()
	registry.MustRegister(r.Collector())
	series := func() (n int) {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			n += len(f.Metric)
		}
		return n
	}
	visit := func(i int) {
		req := httptest.NewRequest([]string{"GET", "HEAD", "POST", fmt.Sprintf("M%d", i)}[i%4], fmt.Sprintf("/%d/%d.html?q=%d", i%7, i, i), nil)
		req.Header.Set("Referer", fmt.Sprintf("https://r%d.example/", i))
		req.Header.Set("User-Agent", fmt.Sprintf("agent/%d", i))
		req.Header.Set("Accept-Encoding", fmt.Sprintf("gzip;q=0.%d, x%d", i%10, i))
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", i, i+1))
		req.Host = fmt.Sprintf("h%d.example", i)
		h.ServeHTTP(discard{http.Header{}}, req)
	}
	for i := range 1000 {
		visit(i)
	}
	before, labels := heap(), series()
	n := need.Times(100_000, 1_000_000)
	for i := range n {
		visit(1000 + i)
	}
	after := heap()
	if got := series(); got != labels {
		t.Errorf("%d series, and %d before", got, labels)
	}
	if after > before+2<<20 {
		t.Errorf("the heap grew by %d bytes", after-before)
	}
	t.Logf("%d requests: heap %d bytes before, %d after; %d series", n, before, after, labels)
}

// A client that reads an answer slowly, or not at all, holds nothing up.
func TestClientThatReadsNothingDoesNotHoldUpOthers(t *testing.T) {
	_, url, _ := exposed(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sent := make(chan error, 1)
	go func() { // pipelined, until nobody takes it any more
		w := bufio.NewWriter(conn)
		var err error
		for err == nil && ctx.Err() == nil {
			conn.SetWriteDeadline(time.Now().Add(time.Second))
			_, err = w.WriteString("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		sent <- nil
	}()
	<-sent
	if resp := request(t, http.MethodGet, url+"/"); resp.StatusCode != 200 {
		t.Errorf("others get %s", resp.Status)
	}
}
