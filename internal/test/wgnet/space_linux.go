// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"xeiaso.net/site/internal/test/need"
)

// Space is a network namespace. Its methods can be called concurrently.
type Space struct {
	holder *process // has no other task than to be there; nil: this process
}

// ready has a namespace made: without duplicate address detection, for which
// addresses would have to wait, and with a folder for sockets of its own.
const ready = `
ip link set lo up
for conf in all default; do
	echo 0 >/proc/sys/net/ipv6/conf/$conf/accept_dad
	echo 0 >/proc/sys/net/ipv6/conf/$conf/router_solicitations
done
mount -t tmpfs tmpfs /var/run
echo ready
exec cat
`

// newSpace makes a namespace, until it is closed or this process ends.
func newSpace() (*Space, error) {
	cmd := exec.Command("unshare", "--net", "--mount", "sh", "-ec", ready)
	cmd.Env = environ()
	if _, err := cmd.StdinPipe(); err != nil { // held open: cat waits for its end
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd.Stdout = w
	holder, err := start(cmd)
	w.Close()
	if err != nil {
		return nil, err
	}
	if line, err := bufio.NewReader(r).ReadString('\n'); err != nil || line != "ready\n" {
		_ = holder.kill()
		return nil, fmt.Errorf("make a network namespace: %q, %w: %s", line, err, holder.log())
	}
	return &Space{holder: holder}, nil
}

func (s *Space) close() error {
	if s.holder == nil {
		return nil
	}
	return s.holder.kill()
}

// PID is a process that is in the namespace for as long as it exists.
func (s *Space) PID() int {
	if s.holder == nil {
		return os.Getpid()
	}
	return s.holder.cmd.Process.Pid
}

// Command is [exec.CommandContext] for a program in the namespace.
func (s *Space) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return s.command(ctx, []string{"--net"}, name, args)
}

// withSockets is Command for programs that use the folder for sockets. They run in
// the root directory.
func (s *Space) withSockets(ctx context.Context, name string, args ...string) *exec.Cmd {
	return s.command(ctx, []string{"--net", "--mount"}, name, args)
}

func (s *Space) command(ctx context.Context, spaces []string, name string, args []string) *exec.Cmd {
	if s.holder != nil {
		args = slices.Concat(spaces, []string{"--target", strconv.Itoa(s.PID()), name}, args)
		name = "nsenter"
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = environ()
	return cmd
}

// environ finds also what only root has in PATH on some systems.
func environ() []string {
	return append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
}

// ip runs commands of the program ip.
func (s *Space) ip(t testing.TB, lines ...string) {
	t.Helper()
	cmd := s.Command(t.Context(), need.Program(t, "ip", "apt-get install iproute2"), "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ip: %v: %s\n%s", err, out, strings.Join(lines, "\n"))
	}
}

// do calls f on a thread that is in the namespace. Sockets stay in the one that they
// were made in; f must not start goroutines that make any.
func (s *Space) do(f func() error) error {
	if s.holder == nil {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		// It stays locked, so that the thread ends with the goroutine: nobody
		// else must ever run on it.
		runtime.LockOSThread()
		done <- s.enterAnd(f)
	}()
	return <-done
}

func (s *Space) enterAnd(f func() error) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", s.PID()))
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	return f()
}

// Dial connects from within the namespace; the address must be no name.
func (s *Space) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = s.do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen listens within the namespace, until the test ends.
func (s *Space) Listen(t testing.TB, network, address string) (l net.Listener) {
	t.Helper()
	err := s.do(func() (err error) {
		l, err = net.Listen(network, address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// ListenPacket listens within the namespace, until the test ends.
func (s *Space) ListenPacket(t testing.TB, network, address string) net.PacketConn {
	t.Helper()
	c, err := s.listenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (s *Space) listenPacket(network, address string) (c net.PacketConn, err error) {
	err = s.do(func() (err error) {
		c, err = net.ListenPacket(network, address)
		return err
	})
	return c, err
}
