// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// errExited: the child has ended; it is replaced by what the child has said.
var errExited = errors.New("onion: tor has ended")

// child is a tor that runs.
type child struct {
	cmd    *exec.Cmd
	log    *torLog
	exited chan struct{}
	err    error // of Wait; set before exited is closed
}

// runChild runs a tor of our own until it ends, or ctx does.
func (t *tor) runChild(ctx context.Context) error {
	p, err := t.findProgram(ctx)
	if err != nil {
		return err
	}
	t.change(func() { t.version = p.version })
	if good := dotted(goodVersion); older(p.version, goodVersion) {
		t.log.Warn("onion: this version of tor has known holes; "+installHint(), "version", p.version, "want", good)
	}
	torrc, err := t.prepare(p)
	if err != nil {
		return err
	}
	c, err := startChild(p.path, torrc, t.dataDir(), &torLog{log: t.log})
	if err != nil {
		return fmt.Errorf("onion: start tor: %w", err)
	}
	t.change(func() { t.pid = c.cmd.Process.Pid })
	err = t.drive(ctx, c)
	killed := c.end(t.grace(err))
	ended := errors.Is(err, errHungUp) || c.failed() && !errors.Is(err, ErrUnresponsive)
	if errors.Is(err, errExited) || !killed && ended {
		return exitedError(c.log, c.err)
	}
	return err
}

// grace is how long a child may take to end.
func (t *tor) grace(err error) time.Duration {
	switch {
	case err == nil: // it was told to
		return t.cfg.StopTimeout
	case errors.Is(err, ErrControlLost) && !errors.Is(err, ErrUnresponsive):
		// It has ended, or does so because it belongs to the connection.
		return min(t.cfg.StopTimeout, time.Second)
	}
	return min(t.cfg.StopTimeout, 100*time.Millisecond) // what it says last is worth a moment
}

// findProgram looks for tor anew with each start: it may have been updated.
func (t *tor) findProgram(ctx context.Context) (program, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.cfg.StartTimeout, fmt.Errorf("%w: no answer within %s", ErrUnresponsive, t.cfg.StartTimeout))
	defer cancel()
	p, err := findProgram(ctx, t.cfg.Tor)
	if errors.Is(err, ErrUnresponsive) {
		return p, &causedError{err, "start"}
	}
	return p, err
}

// drive tells a new tor what it has to know, and watches it.
func (t *tor) drive(ctx context.Context, c *child) error {
	starting, cancel := context.WithTimeoutCause(ctx, t.cfg.StartTimeout, fmt.Errorf("it did not open its control socket within %s", t.cfg.StartTimeout))
	defer cancel()
	conn, err := t.connect(starting, c)
	if err != nil {
		return err
	}
	defer t.hold(conn)()
	for _, command := range []string{
		// It ends when this connection does, whatever becomes of us.
		"TAKEOWNERSHIP",
		// Nothing that matters may have happened before this.
		"SETEVENTS HS_DESC STATUS_CLIENT NETWORK_LIVENESS",
		"SETCONF DisableNetwork=0",
	} {
		if _, err := conn.ask(starting, command); err != nil {
			return err
		}
	}
	cancel()
	if err := t.settle(); err != nil {
		return err
	}
	t.change(func() {
		if t.phase == Starting {
			t.phase = Bootstrapping
		}
	})
	err = t.watch(ctx, conn, c.exited)
	if err == nil {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.cfg.StopTimeout)
		defer cancel()
		_, err = conn.ask(stopping, "SIGNAL HALT") // if not, it is killed
	}
	return err
}

// connect waits for the control socket.
func (t *tor) connect(ctx context.Context, c *child) (*controlConn, error) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		// The socket is there before the cookie is written.
		var conn *controlConn
		_, err := os.Stat(t.cookie())
		if err == nil {
			conn, err = dialControl(ctx, "unix", t.controlSocket(), "", t.event)
		}
		if err == nil {
			return conn, nil
		}
		select {
		case <-ticker.C:
		case <-c.exited:
			return nil, errExited
		case <-ctx.Done():
			return nil, &causedError{fmt.Errorf("%w: %w: %w", ErrUnresponsive, context.Cause(ctx), err), "start"}
		}
	}
}

// startChild starts a tor with a configuration.
func startChild(path, torrc, home string, log *torLog) (*child, error) {
	c := &child{cmd: exec.Command(path, "-f", torrc, "--defaults-torrc", os.DevNull), log: log, exited: make(chan struct{})}
	c.cmd.Env = []string{"HOME=" + home} // nothing of ours: it may be secret
	c.cmd.Dir = home
	c.cmd.SysProcAttr = ownGroup() // a Ctrl-C in a terminal is for us
	r, w := io.Pipe()
	c.cmd.Stdout, c.cmd.Stderr = w, w
	c.cmd.WaitDelay = time.Second // for what has its output, and lives longer
	read := make(chan struct{})
	go func() {
		defer close(read)
		log.read(r)
	}()
	if err := c.cmd.Start(); err != nil {
		w.Close()
		return nil, err
	}
	go func() {
		defer close(c.exited)
		c.err = c.cmd.Wait()
		w.Close()
		<-read
	}()
	return c, nil
}

// end returns when the child has ended, and whether it had to be killed.
func (c *child) end(grace time.Duration) (killed bool) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.exited:
		return false
	case <-timer.C:
		c.cmd.Process.Kill()
		<-c.exited
		return true
	}
}

// failed reports whether a child that has ended did not do so in peace, as one does
// that has lost its control connection.
func (c *child) failed() bool { return c.cmd.ProcessState != nil && !c.cmd.ProcessState.Success() }
