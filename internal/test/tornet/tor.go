// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package tornet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
)

// Tor is a running tor.
type Tor struct {
	// Name is what logs call it.
	Name string
	// Dir is its data directory.
	Dir string
	// PID is its process.
	PID int

	output wait.Buffer
	// stop ends it; exited is closed when it has ended.
	stop   func(syscall.Signal)
	exited chan struct{}

	mu      sync.Mutex // guards control
	control *Control   // the rig's own connection, nil until it is used
}

// launch starts a tor with its data in dir/name, and the lines as configuration.
func launch(program, dir, name string, lines []string) (*Tor, error) {
	n := &Tor{Name: name, Dir: filepath.Join(dir, name), exited: make(chan struct{})}
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return nil, err
	}
	torrc, defaults := filepath.Join(n.Dir, "torrc"), filepath.Join(n.Dir, "defaults")
	lines = append([]string{
		"DataDirectory " + n.Dir, "ControlSocket " + filepath.Join(n.Dir, "control"), "CookieAuthentication 1",
		"Log notice stdout", "SafeLogging 0", "ShutdownWaitLength 0", "AvoidDiskWrites 1",
	}, lines...)
	err := errors.Join(os.WriteFile(torrc, []byte(strings.Join(lines, "\n")+"\n"), 0o600), os.WriteFile(defaults, nil, 0o600))
	if err != nil {
		return nil, err
	}
	// tor looks every 15 s whether the owner is there, the kernel at once.
	cmd := exec.Command(program, "-f", torrc, "--defaults-torrc", defaults, "__OwningControllerProcess", fmt.Sprint(os.Getpid()))
	cmd.Stdout, cmd.Stderr = &n.output, &n.output
	dieWithParent(cmd)
	return n, n.begin(cmd)
}

func (n *Tor) begin(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		// The kernel takes the end of this thread for that of the process.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(n.exited)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	n.PID = cmd.Process.Pid
	n.stop = func(s syscall.Signal) { _ = cmd.Process.Signal(s) }
	return nil
}

// end ends it, in peace if it can.
func (n *Tor) end() {
	n.mu.Lock()
	if n.control != nil {
		n.control.close()
	}
	n.mu.Unlock()
	n.stop(syscall.SIGTERM)
	select {
	case <-n.exited:
	case <-time.After(10 * time.Second):
		n.Kill()
	}
}

// endWith ends it, and logs what it has printed if the test has failed.
func (n *Tor) endWith(t testing.TB) {
	n.end()
	if t.Failed() {
		t.Logf("%s:\n%s", n.Name, n.Log())
	}
}

// Kill ends it at once, and returns when it has ended.
func (n *Tor) Kill() {
	n.stop(syscall.SIGKILL)
	<-n.exited
}

// Exited is closed when the process has ended.
func (n *Tor) Exited() <-chan struct{} { return n.exited }

// Log returns the last lines that it has printed.
func (n *Tor) Log() string {
	const last = 40
	lines := strings.Split(strings.TrimRight(n.output.String(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-last):], "\n")
}

// Control connects to its control socket, until the test ends.
func (n *Tor) Control(t testing.TB) *Control {
	t.Helper()
	c, err := dialControl(n.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

// info asks for something over a connection that is made with the first question.
func (n *Tor) info(key string) (string, error) {
	c, err := n.own()
	if err != nil {
		return "", err
	}
	return c.Info(key)
}

func (n *Tor) own() (*Control, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.control != nil {
		return n.control, nil
	}
	c, err := dialControl(n.Dir)
	if err == nil {
		n.control = c
	}
	return c, err
}

// until waits until ok says yes. What it says otherwise is the error, if that
// takes too long, or the process ends.
func (n *Tor) until(deadline time.Time, what string, ok func() error) error {
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-n.exited:
			return fmt.Errorf("%s: %w, before %s", n.Name, errExited, what)
		case <-timeout.C:
			return fmt.Errorf("%s: it did not come about in time that %s: %w", n.Name, what, err)
		}
	}
}

var errExited = errors.New("tor has exited")
