// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"xeiaso.net/site/internal/test/wait"
)

// upPair makes two ends of a tunnel that have shaken hands.
func upPair(t *testing.T) (a, b *Tunnel) {
	t.Helper()
	a, b = pairOf(t)
	if err := a.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// hostListener listens on this machine.
func hostListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func tunnelListener(t *testing.T, tunnel *Tunnel, address string) net.Listener {
	t.Helper()
	l, err := tunnel.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// answerAll answers each connection, once it has heard everything, with the same.
func answerAll(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			all, _ := io.ReadAll(conn)
			conn.Write(all)
		}()
	}
}

// background runs what serves until ctx ends, and returns where its end shows.
func background(serve func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- serve() }()
	return done
}

// ended waits for the end of what serves.
func ended(t *testing.T, done <-chan error) (err error) {
	t.Helper()
	wait.Until(t, "it ends", func() bool {
		select {
		case err = <-done:
			return true
		default:
			return false
		}
	})
	return err
}

// exchange sends something and its end, and expects it back.
func exchange(t *testing.T, conn net.Conn, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	sent := make([]byte, 1<<20)
	rand.Read(sent)
	go func() {
		conn.Write(sent)
		conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back of %d, or others: %v", len(got), len(sent), err)
	}
}

func TestConnectionsAreForwardedBothWays(t *testing.T) {
	a, b := upPair(t)
	remote := tunnelListener(t, a, ":7")
	go answerAll(remote)
	local := hostListener(t)
	go answerAll(local)
	socket, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	go answerAll(socket)

	ctx, cancel := context.WithCancel(t.Context())
	front := hostListener(t)
	var all []<-chan error
	all = append(all,
		background(func() error { return b.Forward(ctx, front, "10.9.0.1:7") }),
		background(func() error { return b.Reverse(ctx, tunnelListener(t, b, ":8"), local.Addr().String()) }),
		background(func() error { return b.Reverse(ctx, tunnelListener(t, b, ":9"), "unix:"+socket.Addr().String()) }))
	for range 3 {
		conn, err := net.Dial("tcp", front.Addr().String())
		exchange(t, conn, err)
		for _, at := range []string{"10.9.0.2:8", "[fd09::2]:8", "10.9.0.2:9"} {
			conn, err := a.Dial("tcp", at)
			exchange(t, conn, err)
		}
	}

	// The end takes the connections along, so that nobody takes it for that of the
	// other side.
	open, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	fmt.Fprint(open, "half of it")
	back, err := a.Dial("tcp", "10.9.0.2:8")
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	fmt.Fprint(back, "half of it")
	cancel()
	for _, done := range all {
		if err := ended(t, done); err != nil {
			t.Error(err)
		}
	}
	for _, conn := range []net.Conn{open, back} {
		if got, err := io.ReadAll(conn); len(got) != 0 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after the end: %q, %v", got, err)
		}
	}
	if _, err := net.Dial("tcp", front.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the listener: %v", err)
	}
	if _, err := a.Dial("tcp", "10.9.0.2:8"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the listener in the tunnel: %v", err)
	}
}

func TestAForwardThatLeadsNowhereResetsTheClient(t *testing.T) {
	a, b := upPair(t)
	front := hostListener(t)
	go b.Forward(t.Context(), front, "10.9.0.1:1")
	go b.Reverse(t.Context(), tunnelListener(t, b, ":8"), "127.0.0.1:1")
	for name, dial := range map[string]func() (net.Conn, error){
		"forward": func() (net.Conn, error) { return net.Dial("tcp", front.Addr().String()) },
		"reverse": func() (net.Conn, error) { return a.Dial("tcp", "10.9.0.2:8") },
	} {
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", name, err)
		}
		conn.Close()
	}
	for _, to := range []string{"", "10.9.0.1", "10.9.0.1:0", "10.9.0.1:http", ":80", "name:65536"} {
		l := hostListener(t)
		if err := b.Forward(t.Context(), l, to); err == nil || !strings.Contains(err.Error(), "wg: forward") {
			t.Errorf("forward to %q: %v", to, err)
		}
		if err := b.Reverse(t.Context(), l, to); err == nil || !strings.Contains(err.Error(), "wg: reverse") {
			t.Errorf("reverse to %q: %v", to, err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener is left open: %v", err)
		}
	}
}

// What was sent and is cut off must not look as if it had ended.
func TestWhatIsCutOffIsReset(t *testing.T) {
	a, b := upPair(t)
	remote := tunnelListener(t, a, ":7")
	front := hostListener(t)
	go b.Forward(t.Context(), front, "10.9.0.1:7")
	conn, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	far, err := remote.Accept()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(far, "some")
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	far.(interface{ SetLinger(int) error }).SetLinger(0)
	far.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
}

func TestForwardsEndWithTheirTunnelAndLeaveNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	for what, serve := range map[string]func(*Tunnel, context.Context, net.Listener) error{
		"Forward":    func(t *Tunnel, ctx context.Context, l net.Listener) error { return t.Forward(ctx, l, "10.9.0.1:7") },
		"ServeSOCKS": (*Tunnel).ServeSOCKS,
	} {
		a, b := upPair(t)
		go answerAll(tunnelListener(t, a, ":7"))
		for _, how := range []string{"its listener", "the tunnel"} {
			l := hostListener(t)
			done := background(func() error { return serve(b, t.Context(), l) })
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if what == "Forward" { // so that it is one that is handed on
				exchange(t, conn, nil)
				if conn, err = net.Dial("tcp", l.Addr().String()); err != nil {
					t.Fatal(err)
				}
			}
			if how == "the tunnel" {
				b.Close()
			} else {
				l.Close()
			}
			if err := ended(t, done); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s, with %s: %v", what, how, err)
			}
			conn.Close()
		}
		a.Close()
	}
	wait.Until(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

func TestBrowsersReachTheTunnelBySOCKS(t *testing.T) {
	a, b := upPair(t)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "at ", r.Host) })}
	go server.Serve(tunnelListener(t, a, ":80"))
	defer server.Close()
	outside := hostListener(t)
	go answerAll(outside)
	proxy := hostListener(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := background(func() error { return b.ServeSOCKS(ctx, proxy) })
	for _, c := range []struct{ url, want string }{
		{"http://10.9.0.1/", "at 10.9.0.1"},
		{"http://[fd09::1]/", "at [fd09::1]"},
		{"http://" + outside.Addr().String() + "/", ""}, // is of the host
		{"http://localhost/", ""},
	} {
		transport := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "socks5h", Host: proxy.Addr().String()}), DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: transport}).Get(c.url)
		if (err == nil) != (c.want != "") {
			t.Errorf("%s: %v", c.url, err)
		}
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != c.want {
				t.Errorf("%s: %q", c.url, body)
			}
		}
	}
	cancel()
	if err := ended(t, done); err != nil {
		t.Error(err)
	}
}
