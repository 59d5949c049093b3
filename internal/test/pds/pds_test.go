// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package pds_test

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/pds"
	"xeiaso.net/site/internal/test/wait"
)

func TestAccountHasWhatItsOwnerPosts(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	a, b := server.Account(t), server.Account(t)
	status, answer := a.Call(t, "com.atproto.repo.createRecord", map[string]any{
		"repo": a.DID, "collection": "app.bsky.feed.post",
		"record": map[string]any{"$type": "app.bsky.feed.post", "text": "Hello", "createdAt": "2026-01-02T03:04:05Z"},
	})
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, answer)
	}
	records := server.Records(t, a.DID)
	var post struct{ Text string }
	if len(records) != 1 || json.Unmarshal(records[0].Value, &post) != nil || post.Text != "Hello" {
		t.Errorf("the account has %+v, want one record that says Hello", records)
	}
	if records := server.Records(t, b.DID); len(records) != 0 {
		t.Errorf("another account has %+v", records)
	}
}

// The server listens on all interfaces, which must not be those of the machine.
func TestServerIsOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	server := pds.Start(t)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range addrs {
		ip := addr.(*net.IPNet).IP
		if ip.IsLinkLocalUnicast() || ip.String() == "127.0.0.1" {
			continue
		}
		if conn, err := net.Dial("tcp", net.JoinHostPort(ip.String(), u.Port())); err == nil {
			conn.Close()
			t.Errorf("the server can be reached at %s", conn.RemoteAddr())
		}
	}
}

const inChild = "PDS_TEST_CHILD"

// TestChild is what the test below runs in another process.
func TestChild(t *testing.T) {
	if os.Getenv(inChild) == "" {
		t.Skip("this is for a process that another test starts")
	}
	os.Stdout.WriteString(pds.Start(t).URL + "\n")
	select {}
}

func TestServerEndsWithAKilledTest(t *testing.T) {
	t.Parallel()
	pds.Start(t) // skips where there is none
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), inChild+"=1")
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(strings.TrimSpace(line), "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	wait.Until(t, "nobody listens at "+address, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}
