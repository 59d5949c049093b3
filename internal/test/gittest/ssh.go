// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package gittest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"xeiaso.net/site/internal/test/need"
)

// SSHServer is OpenSSH's own server on loopback, which lets one key in.
type SSHServer struct {
	URL        string // of the repository
	KeyFile    string // private key of the client, without a passphrase
	KnownHosts string // file with the server's key
	Port       int
}

// sshdConfig lets in no password and nobody else, and reads none of the
// user's files.
const sshdConfig = `
ListenAddress 127.0.0.1:%[1]d
HostKey %[2]s/host
AuthorizedKeysFile %[2]s/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitUserRC no
PrintMotd no
SetEnv GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
LogLevel VERBOSE
`

// SSHServer starts a server for the current user.
func (r *Repo) SSHServer() *SSHServer {
	r.t.Helper()
	sshd := need.Program(r.t, "sshd", "apt install openssh-server")
	need.Program(r.t, "ssh", "apt install openssh-client")
	me, err := user.Current()
	if err != nil {
		r.t.Fatal(err)
	}
	if me.Uid == "0" {
		// Privilege separation needs it, and only a boot script makes it.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			need.Missing(r.t, err.Error(), "mkdir /run/sshd")
		}
	}
	dir := r.t.TempDir()
	hostKey := newKey(r.t, dir, "host")
	clientKey := newKey(r.t, dir, "client")
	writeFile(r.t, filepath.Join(dir, "authorized"), "restrict "+clientKey)

	port := listen(r.t, sshd, dir)
	s := &SSHServer{
		URL:        fmt.Sprintf("ssh://%s@127.0.0.1:%d%s", me.Username, port, r.Bare),
		KeyFile:    filepath.Join(dir, "client"),
		KnownHosts: filepath.Join(dir, "known_hosts"),
		Port:       port,
	}
	writeFile(r.t, s.KnownHosts, fmt.Sprintf("[127.0.0.1]:%d %s", port, hostKey))
	return s
}

// Env returns the environment by which git reaches the server.
func (s *SSHServer) Env() []string {
	return []string{fmt.Sprintf("GIT_SSH_COMMAND=ssh -F /dev/null -i '%s' -o IdentitiesOnly=yes -o IdentityAgent=none "+
		"-o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile='%s'", s.KeyFile, s.KnownHosts)}
}

// newKey makes a key pair in dir and returns the public line.
func newKey(t testing.TB, dir, name string) string {
	t.Helper()
	keygen := need.Program(t, "ssh-keygen", "apt install openssh-client")
	path := filepath.Join(dir, name)
	out, err := exec.CommandContext(t.Context(), keygen, "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	public, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return string(public)
}

func writeFile(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// listen starts sshd on a free port. Another process may take the port in
// between, so it tries some.
func listen(t testing.TB, sshd, dir string) int {
	t.Helper()
	config := filepath.Join(dir, "sshd_config")
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		writeFile(t, config, fmt.Sprintf(sshdConfig, port, dir))
		if start(t, sshd, config) {
			return port
		}
	}
	t.Fatal("sshd does not start; its log is above")
	return 0
}

// start reports whether sshd listens.
func start(t testing.TB, sshd, config string) bool {
	t.Helper()
	cmd := exec.Command(sshd, "-D", "-e", "-f", config)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listens, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			fmt.Fprintln(t.Output(), lines.Text())
			if strings.HasPrefix(lines.Text(), "Server listening on") {
				listens <- true
			}
		}
		listens <- false
	}()
	t.Cleanup(func() {
		killTree(cmd.Process.Pid)
		// Ends when the last process that could write to it is gone.
		<-ended
		cmd.Wait()
	})
	return <-listens
}

// killTree kills a process and those it has started, which sshd puts into
// sessions of their own. Where there is no /proc only the process is killed.
func killTree(pid int) {
	// Stopped, it starts no more.
	syscall.Kill(pid, syscall.SIGSTOP)
	for _, child := range children(pid) {
		killTree(child)
	}
	syscall.Kill(pid, syscall.SIGKILL)
}

func children(pid int) []int {
	f, err := os.Open(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	if err != nil {
		return nil
	}
	defer f.Close()
	list, _ := io.ReadAll(f)
	var pids []int
	for field := range strings.FieldsSeq(string(list)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}
