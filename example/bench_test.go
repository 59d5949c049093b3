// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/corpus"
	"xeiaso.net/site/internal/test/gittest"
)

// BenchmarkProcessStart is the time from exec to the first byte of a page: the
// data directory has a release of 5,000 files, and the remote is gone.
func BenchmarkProcessStart(b *testing.B) {
	gittest.Require(b)
	program := filepath.Join(b.TempDir(), "site")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	repo := gittest.New(b)
	for i := range 5000 {
		repo.Write(fmt.Sprintf("site/s%d/p%d.html", i%50, i), strings.Repeat("<p>words</p>\n", 400)+fmt.Sprint(i))
	}
	repo.Write("site/index.html", "home")
	repo.Commit("many")
	repo.Push()

	address := freeAddress(b)
	args := []string{
		"-bind", address, "-internal-api-bind", freeAddress(b), "-data-dir", b.TempDir(),
		"-git-repo", repo.Bare, "-build", "true", "-output-dir", "site",
	}
	startAndStop(b, address, program, args)
	if err := os.RemoveAll(repo.Bare); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	var total time.Duration
	n := 0
	for b.Loop() {
		total += startAndStop(b, address, program, args)
		n++
	}
	b.ReportMetric(float64(total.Milliseconds())/float64(n), "ms/first-byte")
}

// startAndStop runs the program until it has answered once with a page, and
// returns how long that took.
func startAndStop(b *testing.B, address, program string, args []string) time.Duration {
	b.Helper()
	cmd := exec.Command(program, args...)
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	deadline := begin.Add(patience)
	for {
		resp, err := http.Get("http://" + address + "/")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			b.Fatalf("no page: %v", err)
		}
	}
	took := time.Since(begin)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return took
}

func freeAddress(b *testing.B) string {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// BenchmarkDeliveryToServed is the time from a signed delivery to the new page,
// for 5,000 real pages by Hugo over HTTP, and how much of it Hugo takes.
func BenchmarkDeliveryToServed(b *testing.B) {
	repo := gittest.New(b)
	site := corpus.Hugo(b, repo, 5)
	first := repo.Commit("documentation")
	repo.Push()
	p := start(b, map[string]string{"PATH": os.Getenv("PATH")}, "-git-repo", repo.HTTPServer("").URL, "-git-branch", "main",
		"-build", site.Line, "-output-dir", site.OutputDir, "-github-secret", secret, "-log-level", "error")
	p.last(first)
	document, err := os.ReadFile(filepath.Join(repo.Dir, site.Document))
	if err != nil {
		b.Fatal(err)
	}
	var hugo, whole float64
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		repo.Write(site.Document, fmt.Sprintf("%s\n\nChange %d.\n", document, n))
		b.StartTimer()
		build := p.last(p.push(repo, "change"))
		p.shows(strings.TrimPrefix(site.Path, "/"), fmt.Sprintf("Change %d.", n))
		hugo, whole = hugo+build.Generator, whole+build.Seconds
	}
	b.ReportMetric(hugo/float64(n), "generator-s/op")
	b.ReportMetric((whole-hugo)/float64(n), "rest-s/op")
}
