// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
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

	"xeiaso.net/site/internal/test/corpus"
	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/loopback"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite/hook"
)

// manyPages is a repository with a site of n pages and a home page.
func manyPages(b *testing.B, n int) *gittest.Repo {
	b.Helper()
	repo := gittest.New(b)
	for i := range n {
		repo.Write(fmt.Sprintf("site/s%d/p%d.html", i%50, i), strings.Repeat("<p>words</p>\n", 400)+fmt.Sprint(i))
	}
	repo.Write("site/index.html", "home")
	repo.Commit("many")
	repo.Push()
	return repo
}

// BenchmarkProcessStart is the time from exec to the first byte of a page: the
// data directory has a release of 10,000 files, and the remote is gone.
func BenchmarkProcessStart(b *testing.B) {
	gittest.Require(b)
	program := buildProgram(b)
	repo := manyPages(b, 10_000)

	address := loopback.FreeAddress(b)
	args := []string{
		"-bind", address, "-internal-api-bind", loopback.FreeAddress(b), "-data-dir", b.TempDir(),
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

// BenchmarkDeliveryWithoutGenerator is the same for 5,000 files and a
// generator that takes no time, from the delivery until the new page comes
// over HTTP. The push is over by then, and the pushes are seconds apart.
func BenchmarkDeliveryWithoutGenerator(b *testing.B) {
	repo := gittest.New(b)
	for i := range 5000 {
		repo.Write(fmt.Sprintf("site/s%d/p%d.html", i%50, i), strings.Repeat("<p>words</p>\n", 400)+fmt.Sprint(i))
	}
	repo.Write("site/index.html", "home")
	first := repo.Commit("many")
	repo.Push()
	p := start(b, map[string]string{"PATH": os.Getenv("PATH")}, "-git-repo", repo.HTTPServer("").URL, "-git-branch", "main",
		"-build", "true", "-output-dir", "site", "-github-secret", secret, "-log-level", "error")
	p.last(first)
	var took []time.Duration
	for b.Loop() {
		repo.Write("site/index.html", fmt.Sprintf("home %d", len(took)))
		commit := repo.Commit("change")
		repo.Push()
		<-time.After(4 * time.Second) // nobody pushes twice in a breath
		begin := time.Now()
		if status, body := p.deliver(hook.GitHub, secret, hook.Push{Branch: "main", After: commit, Repository: "me/site"}); status != http.StatusAccepted {
			b.Fatal(status, body)
		}
		p.shows("", fmt.Sprintf("home %d", len(took)))
		took = append(took, time.Since(begin))
	}
	b.ReportMetric(float64(percentile(took, 50).Milliseconds()), "ms-median")
	b.ReportMetric(float64(took[0].Milliseconds()), "ms-best")
}

// BenchmarkAnswersDuringBuilds compares how long visitors wait while nothing
// is built with how long while a site of 5,000 files is built and published
// again and again, a hundred pages of it new each time. Visitors come at a
// steady rate, whether or not the last one was answered.
func BenchmarkAnswersDuringBuilds(b *testing.B) {
	program := buildProgram(b)
	repo := manyPages(b, 5000)
	address, admin := loopback.FreeAddress(b), loopback.FreeAddress(b)
	cmd := exec.Command(program, "-bind", address, "-internal-api-bind", admin, "-data-dir", b.TempDir(), "-git-repo", repo.Bare,
		"-build", `for f in site/s7/*; do date +%N >>$f; done`, "-output-dir", "site", "-log-level", "error", "-poll", "0")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	wait.Until(b, "the first build is served", func() bool {
		resp, err := http.Get("http://" + admin + "/readyz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
	wait.Until(b, "the slow codings are made", func() bool {
		req, err := http.NewRequestWithContext(b.Context(), "GET", "http://"+address+"/s1/p1", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "br")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.Header.Get("Content-Encoding") == "br"
	})
	<-time.After(2 * time.Second) // and everything was read once, to be verified

	var idle, busy []time.Duration
	builds := 0
	for b.Loop() {
		// In turns, since what else the machine does changes by the minute.
		for range 5 {
			idle = append(idle, visit(b, address, 3*time.Second)...)
			stop := make(chan struct{})
			var building sync.WaitGroup
			building.Go(func() {
				for ; !closed(stop); builds++ {
					rebuild(b, admin)
				}
			})
			busy = append(busy, visit(b, address, 3*time.Second)...)
			close(stop)
			building.Wait()
			<-time.After(2 * time.Second) // for what follows a build
		}
	}
	b.ReportMetric(float64(percentile(idle, 50).Microseconds()), "idle-p50-µs")
	b.ReportMetric(float64(percentile(busy, 50).Microseconds()), "busy-p50-µs")
	b.ReportMetric(float64(percentile(idle, 99).Microseconds()), "idle-p99-µs")
	b.ReportMetric(float64(percentile(busy, 99).Microseconds()), "busy-p99-µs")
	b.ReportMetric(float64(percentile(busy, 99))/float64(percentile(idle, 99)), "p99-ratio")
	b.ReportMetric(float64(builds)/float64(b.N), "builds/op")
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// rebuild has everything built again, and waits for it.
func rebuild(b *testing.B, admin string) {
	resp, err := http.Post("http://"+admin+"/api/rebuild?wait=1", "", nil)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), `"published"`) {
		b.Errorf("rebuild: %v, %s", err, body)
	}
}

// visit asks for pages at a steady rate and returns how long each answer took,
// counted from when it was due.
func visit(b *testing.B, address string, d time.Duration) (took []time.Duration) {
	const interval, visitors = 10 * time.Millisecond, 4
	var mu sync.Mutex // guards took
	var all sync.WaitGroup
	end := time.Now().Add(d)
	for v := range visitors {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for due := time.Now().Add(interval * time.Duration(v) / visitors); due.Before(end); due = due.Add(interval) {
				<-time.After(time.Until(due))
				resp, err := client.Get(fmt.Sprintf("http://%s/s%d/p%d", address, v, v+50*rand.IntN(100)))
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				mu.Lock()
				took = append(took, time.Since(due))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return took
}

func percentile(took []time.Duration, p int) time.Duration {
	slices.Sort(took)
	return took[len(took)*p/100]
}
