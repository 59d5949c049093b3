// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/internal/test/wgnet"
)

func TestMain(m *testing.M) { os.Exit(wgnet.Main(m)) }

func TestAPeerIsReachedOutsideOfTheTunnel(t *testing.T) {
	t.Run("from this process", reached)
	t.Setenv("XESITE_WGNET_HOME", "")
	t.Run("from a namespace", reached)
}

func reached(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	for _, addr := range []netip.Addr{peer.Addr4, peer.Addr6} {
		l := peer.Listen(t, "tcp", netip.AddrPortFrom(addr, 0).String())
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(conn, "hello from ", conn.LocalAddr())
				conn.Close()
			}
		}()
		conn, err := network.Home.Dial(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got, err := io.ReadAll(conn); err != nil || string(got) != "hello from "+l.Addr().String() {
			t.Errorf("%q, %v", got, err)
		}
	}
	if out, err := peer.Command(t.Context(), "ip", "-brief", "address").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("10.9.1.1/24")) {
		t.Errorf("%v: %s", err, out)
	}
	if shown := peer.Show(t); shown.Endpoint.IsValid() || !shown.LastHandshake.IsZero() {
		t.Errorf("before there is a client: %+v", shown)
	}
}

func TestASnifferSeesWhatLeaks(t *testing.T) {
	network := wgnet.New(t)
	sniffer := network.Sniff(t, "the plain text")
	for _, to := range []string{"198.51.100.7:53", "[2001:db8:1::1]:53"} {
		conn, err := network.Home.Dial(t.Context(), "udp", to)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "this is the plain text")
		conn.Close()
	}
	r := &recorder{TB: t}
	sniffer.OnlyTo(r, netip.MustParseAddrPort("10.64.0.1:51820"))
	for _, want := range []string{"to 198.51.100.7:53", "to [2001:db8:1::1]:53", "plaintext", "nothing at all"} {
		if !strings.Contains(r.errors, want) {
			t.Errorf("%q is not in what is told:\n%s", want, r.errors)
		}
	}
}

// recorder is a testing.TB that notes errors.
type recorder struct {
	testing.TB
	errors string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors += fmt.Sprintf(format, args...) + "\n"
}

func TestARelayDoesToPacketsWhatItIsTold(t *testing.T) {
	network := wgnet.New(t)
	server := network.Home.ListenPacket(t, "udp", "127.0.0.1:0")
	to := netip.MustParseAddrPort(server.LocalAddr().String())
	relay := network.Relay(t, to, 1)
	client, err := network.Home.Dial(t.Context(), "udp", relay.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	receive := func() (string, net.Addr) {
		t.Helper()
		b := make([]byte, 2000)
		server.SetReadDeadline(time.Now().Add(wait.Patience))
		n, from, err := server.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n]), from
	}
	fmt.Fprint(client, "\x01one")
	text, first := receive()
	if text != "\x01one" || first.String() != fmt.Sprintf("127.0.0.1:%d", relay.Addr().Port()) {
		t.Errorf("%q from %s", text, first)
	}
	relay.Set(wgnet.Link{MTU: 128}, wgnet.Link{})
	fmt.Fprint(client, strings.Repeat("x", 101))
	fmt.Fprint(client, "\x04"+strings.Repeat("x", 99))
	if text, _ := receive(); len(text) != 100 {
		t.Errorf("%d bytes, want what is short enough", len(text))
	}
	relay.Set(wgnet.Link{Blackhole: true}, wgnet.Link{})
	fmt.Fprint(client, "\x04lost")
	wait.Until(t, "it was counted", func() bool { return relay.Up() == wgnet.Counts{Initiations: 1, Data: 2} })
	relay.Set(wgnet.Link{Delay: 50 * time.Millisecond}, wgnet.Link{})
	relay.Rebind(t)
	begun := time.Now()
	fmt.Fprint(client, "late")
	if text, from := receive(); text != "late" || from.String() == first.String() || time.Since(begun) < 50*time.Millisecond {
		t.Errorf("%q from %s, which was %s, after %s", text, from, first, time.Since(begun))
	}
}

// What outlives a killed test would be in the way of the next.
func TestNothingIsLeftOfAKilledTest(t *testing.T) {
	if os.Getenv("WGNET_HANG") != "" {
		network := wgnet.New(t)
		peer := network.Peer(t, wgnet.Options{})
		fmt.Printf("pid %d\n", peer.PID())
		<-t.Context().Done()
	}
	wgnet.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*wait.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.timeout", "3m")
	cmd.Env = append(os.Environ(), "WGNET_HANG=1", "XESITE_WGNET_HOME=") // with a home of its own
	var out wait.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	wait.Until(t, "the peer runs", func() bool {
		_, after, _ := strings.Cut(out.String(), "pid ")
		n, _ := fmt.Sscanf(after, "%d\n", &pid)
		return n == 1
	})
	cmd.Process.Kill()
	cmd.Wait()
	wait.Until(t, "the namespace's process has ended", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}
