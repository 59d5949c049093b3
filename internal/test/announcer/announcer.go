// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package announcer kills programs that announce posts, and counts what came of
// it.
//
// The program in the folder program announces posts at one network with package
// syndicate, or naively: it sends, and writes down afterwards that it has. [Run]
// starts it, kills it at a random moment, starts it again, and so on until all
// posts are settled and it was killed often enough. What the network has then is
// for the test to count, by means of its own.
package announcer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/syndicate"
)

// Options say what is to be run.
type Options struct {
	// Network is the name of one that the program knows.
	Network string
	// Config is what the program needs to know about the network, encoded as
	// JSON. It goes to the program's standard input.
	Config any
	// Kills is how many are wanted.
	Kills int
	// PerRound is how many posts are new at a time. If zero, it is 5.
	PerRound int
	// Window is the time after the beginning of a Send within which most kills
	// happen: about as long as the network takes for an answer.
	Window time.Duration
	// Delay is how long a Send takes until the network can have anything. Kills
	// before that show nothing, so some of them wait for it.
	Delay time.Duration
	// Timeout is that of one attempt. If zero, it is two seconds.
	Timeout time.Duration
	// Naive announces without package syndicate.
	Naive bool
}

// Result is what came of it.
type Result struct {
	Kills   int
	Posts   []syndicate.Post
	Entries []syndicate.Entry // none of a naive program
}

// Input is what the program reads.
type Input struct {
	Network string          `json:"network"`
	Config  json.RawMessage `json:"config"`
	Dir     string          `json:"dir"`
	Posts   int             `json:"posts"`
	Timeout time.Duration   `json:"timeout"`
	Naive   bool            `json:"naive"`
}

// Post returns the n-th of the posts that are announced. They differ from run to
// run by a word, so that one network can be used for several runs.
func Post(run string, n int) syndicate.Post {
	address := fmt.Sprintf("https://me.example/%s/%d/", run, n)
	return syndicate.Post{
		ID: address, URL: address, Title: fmt.Sprintf("Post %d of %s", n, run),
		Summary: "What became of it.", Language: "en", Published: time.Now().Add(-time.Minute).Truncate(time.Second),
	}
}

// build compiles the program, without the race detector: it is killed too often
// to start slowly.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "announcer")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "announcer")
	out, err := exec.Command("go", "build", "-o", path, "xeiaso.net/site/internal/test/announcer/program").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the announcer: %w\n%s", err, out)
	}
	return path, nil
})

// Run announces and kills, until all posts are settled and there were as many
// kills as wanted.
func Run(t *testing.T, o Options) Result {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(o.Config)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Network: o.Network, Config: config, Dir: t.TempDir(), Timeout: o.Timeout, Naive: o.Naive}
	if in.Timeout == 0 {
		in.Timeout = 2 * time.Second
	}
	perRound := o.PerRound
	if perRound == 0 {
		perRound = 5
	}
	if _, killed := start(t, path, in, never); killed { // the first look, at no posts
		t.Fatal("the first run was killed")
	}
	var result Result
	for result.Kills < o.Kills {
		in.Posts += perRound
		for {
			when := o.moment(o.Kills - result.Kills)
			entries, killed := start(t, path, in, when)
			if !killed {
				result.Entries = entries
				break
			}
			result.Kills++
		}
	}
	for n := range in.Posts {
		result.Posts = append(result.Posts, Post(filepath.Base(filepath.Dir(in.Dir)), n))
	}
	return result
}

// moment is when a program is killed: after it has begun so many attempts, and
// some time.
type moment struct {
	sends int
	after time.Duration
}

// never kills nothing.
var never = moment{sends: -1}

// moment chooses one. Most kills fall into an attempt, some anywhere.
func (o Options) moment(left int) moment {
	if left <= 0 {
		return never
	}
	within := func(d time.Duration) time.Duration { return rand.N(max(d, time.Millisecond)) }
	switch rand.N(6) {
	case 0:
		return moment{after: within(3 * o.Window)}
	case 1:
		return moment{sends: 1, after: within(3 * o.Window)}
	}
	return moment{sends: 1 + rand.N(3), after: o.Delay + within(o.Window)}
}

// start runs the program until it ends or the moment has come.
func start(t *testing.T, path string, in Input, when moment) (entries []syndicate.Entry, killed bool) {
	t.Helper()
	stdin, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { time.AfterFunc(when.after, func() { cmd.Process.Kill() }) }
	// A program that hangs is a fault, too.
	hung := time.AfterFunc(2*time.Minute, func() { syscall.Kill(cmd.Process.Pid, syscall.SIGQUIT) })
	defer hung.Stop()
	if when.sends == 0 {
		kill()
	}
	sends, last := 0, ""
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		switch word, rest, _ := strings.Cut(lines.Text(), " "); word {
		case "send":
			if sends++; sends == when.sends {
				kill()
			}
		case "entries":
			last = rest // half of it, if the kill comes now
		}
	}
	err = cmd.Wait()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return nil, true
	}
	if err != nil {
		t.Fatalf("the announcer ended with %v:\n%s", err, stderr.String())
	}
	if last != "" {
		if err := json.Unmarshal([]byte(last), &entries); err != nil {
			t.Fatalf("the announcer printed %.200q: %v", last, err)
		}
	}
	return entries, false
}

// Check compares what a network has with what was announced: counts are how
// often it has each post, by id. It ends the test's hopes for a post that is
// there twice, and for one that is missing without being parked.
func (r Result) Check(t *testing.T, counts map[string]int) {
	t.Helper()
	lost, doubled, parked := r.Compare(counts)
	t.Logf("%d posts, %d kills: %d lost, %d doubled, %d parked", len(r.Posts), r.Kills, lost, doubled, parked)
	if lost > 0 || doubled > 0 {
		t.Errorf("%d posts were lost and %d doubled", lost, doubled)
	}
}

// Compare counts the posts that a network has not got and that are not parked
// either, those that it has more than once, and those that are parked.
func (r Result) Compare(counts map[string]int) (lost, doubled, parked int) {
	waits := map[string]bool{}
	for _, e := range r.Entries {
		if e.State == syndicate.Parked {
			waits[e.Post] = true
			parked++
		}
	}
	for _, p := range r.Posts {
		switch n := counts[p.ID]; {
		case n > 1:
			doubled++
		case n == 0 && !waits[p.ID]:
			lost++
		}
	}
	return lost, doubled, parked
}
