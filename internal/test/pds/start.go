// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package pds

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
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
	"xeiaso.net/site/internal/test/wait"
)

// Server is a running server.
type Server struct {
	// URL is where it is, "http://127.0.0.1:1234".
	URL string
}

//go:embed server.js
var script string

//go:embed package-lock.json
var lock []byte

// start starts the server of this binary, once.
var start = sync.OnceValues(run)

// Start returns the running server, or ends the test.
func Start(t testing.TB) *Server {
	t.Helper()
	if runtime.GOOS != "linux" {
		need.Missing(t, "the server cannot be confined to a network of its own", "run this test on Linux")
	}
	need.Program(t, "node", "apt install nodejs")
	need.Program(t, "unshare", "apt install util-linux")
	need.Program(t, "ip", "apt install iproute2")
	s, err := start()
	if errors.Is(err, errNoNamespace) {
		need.Missing(t, err.Error(), "run as root, or allow user namespaces")
	}
	if errors.Is(err, os.ErrNotExist) {
		need.Missing(t, "@atproto/pds is not installed", "run make install")
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// folder is where .ci/install put the server.
func folder() (string, error) {
	cache, err := need.CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "pds-"+hex.EncodeToString(sum[:8]))
	_, err = os.Stat(filepath.Join(dir, "node_modules", "@atproto", "pds"))
	return dir, err
}

// errNoNamespace is returned where the server cannot be confined.
var errNoNamespace = errors.New("no network namespace can be made here")

// run starts a server and waits until it answers.
func run() (*Server, error) {
	dir, err := folder()
	if err != nil {
		return nil, err
	}
	if out, err := exec.Command("unshare", append(namespaces(), "--", "true")...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", errNoNamespace, out)
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	file, err := listener.File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	address := listener.Addr().(*net.TCPAddr)
	cmd := command(dir, address.Port)
	cmd.ExtraFiles = []*os.File{file}
	if err := begin(cmd); err != nil {
		return nil, err
	}
	return &Server{URL: "http://" + address.String()}, nil
}

// namespaces are the options for those that the server gets.
func namespaces() []string {
	if os.Geteuid() != 0 {
		return []string{"--net", "--mount", "--user", "--map-root-user"}
	}
	return []string{"--net", "--mount"}
}

// command makes the command that runs the server in namespaces of its own.
func command(dir string, port int) *exec.Cmd {
	args := append(namespaces(), "--", "sh", "-c",
		`ip link set lo up && mount -t tmpfs tmpfs /mnt && exec node -e "$0" "$@"`,
		script, fmt.Sprint(port), "/mnt")
	cmd := exec.Command("unshare", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LOG_ENABLED=false", "NODE_ENV=production",
		"PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	dieWithParent(cmd)
	return cmd
}

// begin starts the command, and returns when it says that it is ready. Nobody
// waits for its end: it is the end of this process.
func begin(cmd *exec.Cmd) error {
	var log wait.Buffer
	cmd.Stderr = &log
	// The write end stays open until this process ends, and is never written to.
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() {
		// The kernel takes the end of this thread for that of the process.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	ready := make(chan bool, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		ready <- strings.TrimSpace(line) == "ready"
	}()
	select {
	case ok := <-ready:
		if ok {
			return nil
		}
	case <-time.After(2 * wait.Patience):
	}
	_ = cmd.Process.Kill()
	return fmt.Errorf("the server did not start: %s", log.String())
}
