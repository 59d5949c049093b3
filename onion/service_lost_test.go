// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

package onion_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/onion"
)

// gone reports whether a process has ended.
func gone(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }

// replaced waits until another tor than that of a process has the service.
func (h *house) replaced(pid int) {
	h.t.Helper()
	wait.Until(h.t, "another tor has taken over", func() bool {
		s := h.State()
		return s.Phase == onion.Ready && s.PID != pid
	})
	if !gone(pid) {
		h.t.Errorf("process %d is still there", pid)
	}
}

// restarts checks how often tor was started again for a reason.
func (h *house) restarts(cause string, want uint64) {
	h.t.Helper()
	if got := h.Stats().Restarts; got[cause] != want {
		h.t.Errorf("restarts: %v, want %d of %s", got, want, cause)
	}
}

// load fetches without end, until the returned function is called, which tells how
// many fetches were good.
func (h *house) load() (stop func() int64) {
	ctx, cancel := context.WithCancel(context.Background())
	var good atomic.Int64
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := h.fetch(ctx, rand.Text(), "/"); err == nil {
					good.Add(1)
				}
			}
		})
	}
	return func() int64 {
		cancel()
		all.Wait()
		return good.Load()
	}
}

func TestAServiceLivesOnWhenTorIsKilled(t *testing.T) {
	h := open(t, http.HandlerFunc(tells), func(c *onion.Config) { c.Mode = onion.SingleHop })
	listener := h.Listener()
	h.get("/")
	stop := h.load()
	kills := need.Times(3, 20)
	for i := range kills {
		pid := h.State().PID
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		h.replaced(pid)
		h.restarts("exit", uint64(i)+1)
		if s := h.State(); s.Attempt != 1 || s.Err != nil {
			t.Errorf("after a kill the state is %+v", s)
		}
	}
	good := stop()
	if _, body := h.get("/"); !strings.HasPrefix(body, "true") {
		t.Errorf("after all the service answers %q", body)
	}
	if h.Listener() != listener || !h.serves() {
		t.Error("the listener was replaced, or the server has ended")
	}
	t.Logf("%d kills, %d fetches good meanwhile", kills, good)
}

func TestATorThatIsOfNoUseIsReplaced(t *testing.T) {
	h := open(t, http.HandlerFunc(tells), func(c *onion.Config) { c.Mode, c.Heartbeat = onion.SingleHop, time.Second })

	// It has stopped.
	pid := h.State().PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.replaced(pid)
	h.restarts("heartbeat", 1)

	// The connection to it has ended.
	pid = h.State().PID
	h.CutControl()
	h.replaced(pid)
	h.restarts("control", 1)

	// Somebody has ended it in peace.
	pid = h.State().PID
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	h.replaced(pid)
	h.restarts("exit", 1)

	// One that reads its configuration again is of use.
	pid = h.State().PID
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "tor has heard of it", func() bool { return strings.Contains(h.logs.String(), "Received reload signal") })
	h.get("/")
	if s := h.State(); s.PID != pid || s.Phase != onion.Ready {
		t.Errorf("after SIGHUP the state is %+v", s)
	}
}

func TestATorIsNotLostWhenSomebodyStopsAsking(t *testing.T) {
	h := open(t, http.HandlerFunc(tells), nil)
	pid := h.State().PID
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		h.Probe(ctx)
		h.CloseCircuit(ctx, 1)
	}
	if err := h.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if err := h.CloseCircuit(t.Context(), 123456); err == nil {
		t.Error("a circuit that is not there was closed")
	}
	if s := h.State(); s.PID != pid || s.Phase != onion.Ready {
		t.Errorf("the state is %+v", s)
	}
}

// Where the child has its folder, and what makes its tor part of the network.
const (
	childDir   = "ONION_TEST_DIR"
	childTorrc = "ONION_TEST_TORRC"
)

// TestChild is what the test below runs in another process.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("this is for a process that another test starts")
	}
	s, err := onion.New(onion.Config{
		Dir: dir, Torrc: strings.Split(os.Getenv(childTorrc), "\n"),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	go s.Run(t.Context())
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("pid %d\n", s.State().PID)
	select {}
}

// child runs a service in another process, and returns that and tor's.
func (h *house) child(dir string) (cmd *exec.Cmd, tor int) {
	h.t.Helper()
	tmp, err := os.MkdirTemp("", "killed")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { os.RemoveAll(tmp) })
	cmd = exec.CommandContext(h.t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childTorrc+"="+strings.Join(h.net.Torrc(), "\n"), "TMPDIR="+tmp)
	cmd.Stderr = h.t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	for lines := bufio.NewScanner(stdout); tor == 0 && lines.Scan(); {
		if pid, ok := strings.CutPrefix(lines.Text(), "pid "); ok {
			tor, _ = strconv.Atoi(pid)
		}
	}
	if tor == 0 {
		h.t.Fatal("the child has not come to have a tor")
	}
	return cmd, tor
}

func TestNothingIsLeftOfAProcessThatIsKilled(t *testing.T) {
	h := build(t, nil)
	cmd, tor := h.child(h.Dir())
	if gone(tor) {
		t.Fatal("the child's tor is not there")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	killed := time.Now()
	// At once: the other tor may still be about to end.
	h.run(http.HandlerFunc(tells))
	wait.Until(t, "the child's tor has ended", func() bool { return gone(tor) })
	h.ready()
	t.Logf("another process is ready %s after the kill", time.Since(killed).Round(10*time.Millisecond))
	if _, body := h.get("/"); !strings.HasPrefix(body, "true "+string(h.Address())) {
		t.Errorf("the service answers %q", body)
	}
	entries, err := os.ReadDir(h.Dir() + "/tor")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "hs-") && !strings.HasPrefix(e.Name(), "hs-"+filepath.Base(h.Sockets())+"-") {
			t.Errorf("a copy of the key is left: %s", e.Name())
		}
	}
}
