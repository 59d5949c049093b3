// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build linux

package peers

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"xeiaso.net/site/internal/test/corpus"
	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/loopback"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
)

const (
	rounds = 3
	load   = 2 * time.Second // of one case on one server, in one round
)

// a peer is a running server.
type peer struct {
	name string
	url  string
	pid  int // of the first of its processes
}

// a kind of request. A peer that does not answer as wanted is left out.
type kind struct {
	name   string
	path   string
	header string // "Name: value"; {etag} and {date} stand for what the peer says
	status int
	coding string
}

var kinds = []kind{
	{name: "page", path: "page", status: 200},
	{name: "page, gzip", path: "page", header: "Accept-Encoding: gzip", status: 200, coding: "gzip"},
	{name: "page, zstd", path: "page", header: "Accept-Encoding: zstd", status: 200, coding: "zstd"},
	{name: "page, brotli", path: "page", header: "Accept-Encoding: br", status: 200, coding: "br"},
	{name: "304", path: "page", header: "If-None-Match: {etag}", status: 304},
	{name: "304 by date", path: "page", header: "If-Modified-Since: {date}", status: 304},
	{name: "404", path: "missing/page", status: 404},
	{name: "1 MiB of 50 MB", path: "large.bin", header: "Range: bytes=20971520-22020095", status: 206},
}

// figures are what was measured, the best round of each.
type figures struct {
	cpu  time.Duration // user and system, of one request
	rate float64       // requests in a second
	p99  time.Duration
}

func BenchmarkPeers(b *testing.B) {
	if os.Getenv("XESITE_PEERS") != "1" {
		b.Skip("run make bench-peers")
	}
	wrk := need.Program(b, "wrk", "apt install wrk")
	page, dir := makeSite(b)
	peers := []peer{
		startNginx(b, dir),
		startCaddy(b, dir),
		startPlain(b, "FileServerFS", "-dir", dir),
		startPlain(b, "constant body", "-file", filepath.Join(dir, page, "index.html")),
		startHost(b, dir, page),
	}
	results := map[string]map[string]figures{}
	for range rounds {
		for _, k := range kinds {
			k.path = strings.Replace(k.path, "page", page, 1)
			for _, p := range peers {
				measure(b, wrk, p, k, results)
			}
		}
	}
	for b.Loop() { // the figures are in the table
	}
	printTable(peers, results)
}

// makeSite builds a site of 5,000 real pages, with what peers want beside
// their files, and returns the path of one page.
func makeSite(b *testing.B) (page, dir string) {
	b.Helper()
	repo := gittest.New(b)
	site := corpus.Hugo(b, repo, 5)
	repo.Commit("what Hugo reads dates from")
	cmd := exec.Command("sh", "-c", site.Line)
	cmd.Dir = repo.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.TempDir(), "COMMIT=none"}
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	dir = filepath.Join(repo.Dir, site.OutputDir)
	random := rand.NewChaCha8([32]byte{})
	large := make([]byte, 50<<20)
	random.Read(large)
	write(b, filepath.Join(dir, "large.bin"), large)
	for i := range 40 {
		write(b, filepath.Join(dir, fmt.Sprintf("picture%d.jpg", i)), large[i<<16:(i+1)<<16])
	}
	write(b, filepath.Join(dir, "404.html"), []byte("<!doctype html><title>Not here</title>"+strings.Repeat("<p>There is no such page.</p>\n", 20)))
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		if ext := filepath.Ext(path); ext != ".html" && ext != ".css" && ext != ".json" {
			return nil
		}
		content, err := os.ReadFile(path)
		for ext, newWriter := range encoders {
			var out bytes.Buffer
			w := newWriter(&out)
			w.Write(content)
			w.Close()
			write(b, path+ext, out.Bytes())
		}
		return err
	})
	if err != nil || files < 5000 {
		b.Fatal(files, err)
	}
	return strings.Trim(site.Path, "/") + "/", dir
}

// encoders make the files that nginx and Caddy look for beside a file, at the
// levels of package release but for brotli, where that would take a minute.
var encoders = map[string]func(io.Writer) io.WriteCloser{
	".gz": func(w io.Writer) io.WriteCloser { z, _ := gzip.NewWriterLevel(w, 6); return z },
	".br": func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, 5) },
	".zst": func(w io.Writer) io.WriteCloser {
		z, _ := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
		return z
	},
}

func write(b *testing.B, path string, content []byte) {
	b.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		b.Fatal(err)
	}
}

// run starts a server and waits until it answers.
func run(b *testing.B, name, addr string, cmd *exec.Cmd) peer {
	b.Helper()
	cmd.Stdout, cmd.Stderr = b.Output(), b.Output()
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	p := peer{name, "http://" + addr + "/", cmd.Process.Pid}
	wait.Until(b, name+" answers", func() bool {
		resp, err := http.Get(p.url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// startNginx uses what Debian's configuration has, and files that are
// compressed already.
func startNginx(b *testing.B, dir string) peer {
	nginx := need.Program(b, "nginx", "apt install nginx-light")
	home, addr := b.TempDir(), loopback.FreeAddress(b)
	user := ""
	if os.Geteuid() == 0 { // its workers could not read the directory
		user = "user root;"
	}
	write(b, filepath.Join(home, "nginx.conf"), fmt.Appendf(nil, `
daemon off; %s pid %[2]s/pid; error_log stderr; worker_processes auto;
events { worker_connections 768; }
http {
	sendfile on; tcp_nopush on; types_hash_max_size 2048; access_log off;
	types { text/html html; text/css css; application/json json; image/jpeg jpg; }
	default_type application/octet-stream;
	keepalive_requests 1000000000; gzip_static on; gzip_vary on; error_page 404 /404.html;
	client_body_temp_path %[2]s/a; proxy_temp_path %[2]s/b; fastcgi_temp_path %[2]s/c; uwsgi_temp_path %[2]s/d; scgi_temp_path %[2]s/e;
	server { listen %[3]s; root %[4]s; }
}`, user, home, addr, dir))
	return run(b, "nginx", addr, exec.Command(nginx, "-e", "stderr", "-c", filepath.Join(home, "nginx.conf")))
}

func startCaddy(b *testing.B, dir string) peer {
	caddy := need.Program(b, "caddy", "apt install caddy")
	home, addr := b.TempDir(), loopback.FreeAddress(b)
	config := filepath.Join(home, "Caddyfile")
	write(b, config, fmt.Appendf(nil, `
{
	admin off
	auto_https off
}
http://%s {
	root * %s
	file_server {
		precompressed zstd br gzip
	}
	handle_errors {
		rewrite * /404.html
		file_server
	}
}`, addr, dir))
	cmd := exec.Command(caddy, "run", "--config", config, "--adapter", "caddyfile")
	cmd.Env = []string{"HOME=" + home}
	return run(b, "Caddy", addr, cmd)
}

func startPlain(b *testing.B, name string, args ...string) peer {
	addr := loopback.FreeAddress(b)
	return run(b, name, addr, exec.Command(build(b, "./plain"), append([]string{"-addr", addr}, args...)...))
}

func build(b *testing.B, pkg string) string {
	b.Helper()
	program := filepath.Join(b.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", program, pkg).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return program
}

// startHost runs the host program with a middleware, and waits until it has
// nothing left to do.
func startHost(b *testing.B, dir, page string) peer {
	repo := gittest.New(b)
	repo.Commit("the pages come from elsewhere")
	repo.Push()
	addr := loopback.FreeAddress(b)
	p := run(b, "this module", addr, exec.Command(build(b, "../../../example"),
		"-bind", addr, "-internal-api-bind", loopback.FreeAddress(b), "-data-dir", b.TempDir(), "-redirect-domain", addr,
		"-git-repo", repo.Bare, "-poll", "0", "-log-level", "error", "-output-dir", "_site",
		"-build", fmt.Sprintf(`mkdir _site && cp -R '%s'/. _site && find _site -name '*.gz' -o -name '*.zst' -o -name '*.br' | xargs rm`, dir)))
	idle := 0
	for last := cpuTime(b, p.pid); idle < 3; {
		<-time.After(time.Second)
		now := cpuTime(b, p.pid)
		idle++
		if now-last > 20*time.Millisecond {
			idle = 0
		}
		last = now
	}
	if resp := ask(b, p, kind{path: page, header: "Accept-Encoding: br"}); resp.Header.Get("Content-Encoding") != "br" {
		b.Fatalf("not all codings are there: %v", resp.Header)
	}
	return p
}

// ask makes one request of a kind.
func ask(b *testing.B, p peer, k kind) *http.Response {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), "GET", p.url+k.path, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if name, value, ok := strings.Cut(k.header, ": "); ok {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Fatal(err)
	}
	return resp
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkRate     = regexp.MustCompile(`Requests/sec: +([\d.]+)`)
	wrkP99      = regexp.MustCompile(`99% +([\d.]+[mu]?s)`)
)

// measure puts load on one peer, and keeps what is better than before.
func measure(b *testing.B, wrk string, p peer, k kind, results map[string]map[string]figures) {
	b.Helper()
	plain := ask(b, p, kind{path: k.path})
	k.header = strings.NewReplacer("{etag}", plain.Header.Get("ETag"), "{date}", plain.Header.Get("Last-Modified")).Replace(k.header)
	if resp := ask(b, p, k); resp.StatusCode != k.status || resp.Header.Get("Content-Encoding") != k.coding {
		return
	}
	before := cpuTime(b, p.pid)
	args := []string{"-t1", "-c16", "-d" + load.String(), "--latency"}
	if k.header != "" {
		args = append(args, "-H", k.header)
	}
	out, err := exec.Command(wrk, append(args, p.url+k.path)...).CombinedOutput()
	cpu := cpuTime(b, p.pid) - before
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	requests := number(b, wrkRequests, out)
	p99, err := time.ParseDuration(string(wrkP99.FindSubmatch(out)[1]))
	if err != nil || requests == 0 {
		b.Fatalf("%v\n%s", err, out)
	}
	got := figures{cpu / time.Duration(requests), number(b, wrkRate, out), p99}
	if results[k.name] == nil {
		results[k.name] = map[string]figures{}
	}
	if best, ok := results[k.name][p.name]; ok {
		got = figures{min(got.cpu, best.cpu), max(got.rate, best.rate), min(got.p99, best.p99)}
	}
	results[k.name][p.name] = got
}

func number(b *testing.B, pattern *regexp.Regexp, out []byte) float64 {
	b.Helper()
	match := pattern.FindSubmatch(out)
	if match == nil {
		b.Fatalf("%s is not in\n%s", pattern, out)
	}
	n, err := strconv.ParseFloat(string(match[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// cpuTime is what a process and its children have used.
func cpuTime(b *testing.B, pid int) (sum time.Duration) {
	b.Helper()
	const tick = time.Second / 100 // USER_HZ, fixed in Linux
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		// After the name in brackets: the state, the parent; 12th and 13th are the times.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if err != nil || len(fields) < 13 || path != fmt.Sprintf("/proc/%d/stat", pid) && fields[1] != strconv.Itoa(pid) {
			continue
		}
		for _, field := range fields[11:13] {
			ticks, err := strconv.Atoi(field)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(ticks) * tick
		}
	}
	return sum
}

// printTable prints Markdown: for each kind and peer the processor time of a
// request with its ratio to the first peer, the rate, and the 99th percentile.
func printTable(peers []peer, results map[string]map[string]figures) {
	fmt.Printf("\n| case |")
	for _, p := range peers {
		fmt.Printf(" %s |", p.name)
	}
	fmt.Printf("\n|---|%s\n", strings.Repeat("---|", len(peers)))
	for _, k := range kinds {
		fmt.Printf("| %s |", k.name)
		base := results[k.name][peers[0].name].cpu
		for _, p := range peers {
			f, ok := results[k.name][p.name]
			if !ok {
				fmt.Print(" - |")
				continue
			}
			ratio := "-"
			if base > 0 {
				ratio = fmt.Sprintf("%.1f", float64(f.cpu)/float64(base))
			}
			fmt.Printf(" %.1f µs (%s) %.0f/s %.1f ms |", float64(f.cpu.Nanoseconds())/1000, ratio, f.rate, float64(f.p99.Microseconds())/1000)
		}
		fmt.Println()
	}
	fmt.Printf("\nEach cell: processor time of a request (ratio to %s), requests in a second, 99th percentile; best of %d rounds of %s.\n",
		peers[0].name, rounds, load)
}
