// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package tornet_test

import (
	"bufio"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/tornet"
	"xeiaso.net/site/internal/test/wait"
)

func TestMain(m *testing.M) { os.Exit(tornet.Main(m)) }

// serve has a plain tor publish what a handler serves, and returns its address when
// the first directory has taken the descriptor.
func serve(t *testing.T, n *tornet.Network, name string, h http.Handler, lines ...string) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	dir := filepath.Join(t.TempDir(), "service")
	// Published is what counts, so the events have to be asked for before.
	tor := n.Tor(t, name, append([]string{"SocksPort 0", "DisableNetwork 1"}, lines...)...)
	c := tor.Control(t)
	c.Must(t, "SETEVENTS HS_DESC")
	c.Must(t, fmt.Sprintf("SETCONF HiddenServiceDir=%s HiddenServicePort=\"80 %s\" DisableNetwork=0", dir, srv.Listener.Addr()))
	c.Event(t, "the service is published", func(event string) bool { return strings.HasPrefix(event, "HS_DESC UPLOADED ") })
	host, err := os.ReadFile(filepath.Join(dir, "hostname"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(host))
}

func TestServicesAreReached(t *testing.T) {
	n := tornet.Need(t)
	for name, lines := range map[string][]string{
		"anonymous": nil,
		"single":    {"HiddenServiceNonAnonymousMode 1", "HiddenServiceSingleHopMode 1"},
	} {
		t.Run(name, func(t *testing.T) {
			host := serve(t, n, name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "%s at %s", name, r.Host)
			}), lines...)
			resp, body := n.Client.Fetch(t, "http://"+host+"/")
			if want := name + " at " + host; resp.StatusCode != http.StatusOK || string(body) != want {
				t.Errorf("status %d, body %q, want %q", resp.StatusCode, body, want)
			}
			// A client that has known nothing finds it as well.
			if _, body := n.NewClient(t).Fetch(t, "http://"+host+"/"); !strings.HasPrefix(string(body), name) {
				t.Errorf("another client gets %q", body)
			}
		})
	}
}

func TestLargeBodiesArriveWhole(t *testing.T) {
	n := tornet.Need(t)
	content := strings.Repeat("0123456789abcdef", 1<<16)
	host := serve(t, n, "large", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		if string(sent) != content {
			t.Errorf("the request came with %d bytes, want %d", len(sent), len(content))
		}
		io.WriteString(w, content)
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+"/", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if _, body := n.Client.Do(t, req); string(body) != content {
		t.Errorf("got %d bytes, want %d", len(body), len(content))
	}
}

func TestUsersHaveTheirOwnCircuits(t *testing.T) {
	n := tornet.Need(t)
	host := serve(t, n, "circuits", http.NotFoundHandler())
	n.Client.Fetch(t, "http://"+host+"/") // from now on it is there
	c := n.Client.Control(t)
	c.Must(t, "SETEVENTS STREAM")
	circuit := func(user string) string {
		conn, err := n.Client.Dial(t.Context(), user, host+":80")
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		// "STREAM 12 SUCCEEDED 34 …"
		event := c.Event(t, "the stream is there", func(event string) bool { return strings.Contains(event, " SUCCEEDED ") })
		return strings.Fields(event)[3]
	}
	a, again, b := circuit("a"), circuit("a"), circuit("b")
	if a != again || a == b {
		t.Errorf("circuits %s and %s of one user, %s of another", a, again, b)
	}
}

func TestRefusalsHaveTheirCode(t *testing.T) {
	n := tornet.Need(t)
	// A valid address of a service that nobody has.
	const nobody = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"
	for address, want := range map[string]tornet.SOCKSError{
		nobody + ":80":                        tornet.NoDescriptor,
		strings.Repeat("a", 56) + ".onion:80": tornet.BadAddress,
	} {
		_, err := n.Client.Dial(t.Context(), "user", address)
		if code, ok := errors.AsType[tornet.SOCKSError](err); !ok || code != want {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	n := tornet.Need(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if conn, err := n.Client.Dial(ctx, "user", "example.onion:80"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", conn, err)
	}
}

func TestNodesTakeCommands(t *testing.T) {
	c := tornet.Need(t).Client.Control(t)
	if version := c.Must(t, "GETINFO version")[0]; !strings.HasPrefix(version, "version=") {
		t.Errorf("version %q", version)
	}
	if relays, err := c.Info("ns/all"); err != nil || strings.Count(relays, "\ns ") != 4 {
		t.Errorf("the client knows of %q, %v; want four relays", relays, err)
	}
	c.Must(t, "SIGNAL NEWNYM")
	if _, err := c.Command("NONSENSE"); err == nil || !strings.Contains(err.Error(), "510") {
		t.Errorf("an unknown command: %v", err)
	}
}

func TestClientsCanBeGivenTheKeyOfAService(t *testing.T) {
	n := tornet.Need(t)
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	tor := n.Tor(t, "private", "SocksPort 0")
	c := tor.Control(t)
	c.Must(t, "SETEVENTS HS_DESC")
	public := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key.PublicKey().Bytes())
	reply := c.Must(t, "ADD_ONION NEW:ED25519-V3 Flags=DiscardPK,V3Auth Port=80,"+srv.Listener.Addr().String()+" ClientAuthV3="+public)
	id := strings.TrimPrefix(reply[0], "ServiceID=")
	c.Event(t, "the service is published", func(event string) bool { return strings.HasPrefix(event, "HS_DESC UPLOADED ") })

	client := n.NewClient(t)
	// It may look before all directories know.
	wait.Until(t, "the client is refused for want of a key", func() bool {
		_, err := client.Dial(t.Context(), rand.Text(), id+".onion:80")
		code, ok := errors.AsType[tornet.SOCKSError](err)
		return ok && code == tornet.NoClientKey
	})
	client.Control(t).Must(t, "ONION_CLIENT_AUTH_ADD "+id+" x25519:"+base64.StdEncoding.EncodeToString(key.Bytes()))
	if resp, _ := client.Fetch(t, "http://"+id+".onion/"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestEventsTellOfDescriptors(t *testing.T) {
	n := tornet.Need(t)
	id := strings.TrimSuffix(serve(t, n, "descriptor", http.NotFoundHandler()), ".onion")
	c := n.Client.Control(t)
	c.Must(t, "SETEVENTS HS_DESC HS_DESC_CONTENT")
	// The directory that is asked may not have it yet.
	wait.Until(t, "a directory gives the descriptor", func() bool {
		c.Must(t, "HSFETCH "+id)
		content := c.Event(t, "there is an answer", func(event string) bool { return strings.HasPrefix(event, "HS_DESC_CONTENT "+id) })
		return strings.Contains(content, "\nhs-descriptor 3\n")
	})
}

// What a start depends on, such as which relay is asked first, is chosen by chance.
func TestNetworksComeUpEveryTimeSoak(t *testing.T) {
	tornet.Need(t) // skips where there is none
	for range need.Times(1, 20) {
		t.Run("", func(t *testing.T) {
			began := time.Now()
			n := tornet.Fresh(t)
			up := time.Since(began)
			host := serve(t, n, "service", http.NotFoundHandler())
			published := time.Since(began)
			n.Client.Fetch(t, "http://"+host+"/")
			t.Logf("up after %.1f s, a service published after %.1f s, fetched after %.1f s", up.Seconds(), published.Seconds(), time.Since(began).Seconds())
		})
	}
}

// childEnv makes this test binary start a network, and wait to be killed.
const childEnv = "TORNET_TEST_CHILD"

// TestChild is what the test below runs in another process.
func TestChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		t.Skip("this is for a process that another test starts")
	}
	n := tornet.Need(t)
	for _, pid := range append(n.PIDs(), n.Tor(t, "service").PID) {
		fmt.Printf("pid %d\n", pid)
	}
	fmt.Println("all")
	select {}
}

func TestNothingIsLeftOfAKilledTest(t *testing.T) {
	tornet.Need(t) // skips where there is none
	tmp, err := os.MkdirTemp("", "killed")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childEnv+"=1", "TMPDIR="+tmp)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "all" {
		if pid, ok := strings.CutPrefix(lines.Text(), "pid "); ok {
			n, _ := strconv.Atoi(pid)
			pids = append(pids, n)
		}
	}
	if len(pids) != 6 {
		t.Errorf("the child has started %d processes, want 6", len(pids))
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err != nil {
			t.Errorf("process %d is not there: %v", pid, err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	wait.Until(t, "all have ended", func() bool {
		for _, pid := range pids {
			if syscall.Kill(pid, 0) == nil {
				return false
			}
		}
		return true
	})
}
