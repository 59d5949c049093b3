// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package socks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/wg/internal/socks"
)

// start runs a server until the test ends, and returns its address.
func start(t *testing.T, s *socks.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func TestClientsOfTheStandardLibraryConnect(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "at ", r.Host) }))
	defer site.Close()
	var mu sync.Mutex
	var asked []string
	at := start(t, &socks.Server{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		asked = append(asked, network+" "+address)
		mu.Unlock()
		var d net.Dialer
		return d.DialContext(ctx, "tcp", site.Listener.Addr().String())
	}})
	for scheme, hosts := range map[string][]string{"socks5h": {"app.internal", "10.0.0.1", "[fd00::1]:8080"}, "socks5": {"10.0.0.2:81"}} {
		for _, host := range hosts {
			client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: scheme, Host: at}), DisableKeepAlives: true}}
			resp, err := client.Get("http://" + host + "/")
			if err != nil {
				t.Errorf("%s %s: %v", scheme, host, err)
				continue
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != "at "+host {
				t.Errorf("%s %s: %q", scheme, host, body)
			}
		}
	}
	for _, want := range []string{"tcp app.internal:80", "tcp 10.0.0.1:80", "tcp [fd00::1]:8080", "tcp 10.0.0.2:81"} {
		if !strings.Contains(strings.Join(asked, ","), want) {
			t.Errorf("%q was asked for, and not %s", asked, want)
		}
	}
}

// talk sends all at once and returns what comes back until the end.
func talk(t *testing.T, at string, sent []byte) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(sent)
	conn.(*net.TCPConn).CloseWrite()
	got, _ := io.ReadAll(conn)
	return got
}

var connect = []byte{5, 1, 0, 5, 1, 0, 1, 10, 0, 0, 1, 0, 80}

func TestErrorsBecomeCodes(t *testing.T) {
	var fails error
	at := start(t, &socks.Server{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, fails }})
	for _, c := range []struct {
		err  error
		want byte
	}{
		{&net.OpError{Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, 5},
		{&net.OpError{Err: syscall.ENETUNREACH}, 3},
		{&net.OpError{Err: syscall.EHOSTUNREACH}, 4},
		{&net.OpError{Err: &net.DNSError{Err: "no such host", IsNotFound: true}}, 4},
		{context.DeadlineExceeded, 6},
		{errors.New("else"), 1},
	} {
		fails = c.err
		if got := talk(t, at, connect); len(got) != 12 || got[3] != c.want {
			t.Errorf("%v: % x, want code %d", c.err, got, c.want)
		}
	}
	for name, c := range map[string]struct{ sent, want []byte }{
		"version 4":       {[]byte{4, 1, 0, 80}, nil},
		"a login":         {[]byte{5, 1, 2}, []byte{5, 0xff}},
		"no methods":      {[]byte{5, 0}, []byte{5, 0xff}},
		"bind":            {[]byte{5, 1, 0, 5, 2, 0, 1, 10, 0, 0, 1, 0, 80}, []byte{5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0}},
		"udp":             {[]byte{5, 1, 0, 5, 3, 0, 1, 10, 0, 0, 1, 0, 80}, []byte{5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0}},
		"an unknown type": {[]byte{5, 1, 0, 5, 1, 0, 2, 10}, []byte{5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0}},
		"an empty name":   {[]byte{5, 1, 0, 5, 1, 0, 3, 0, 0, 80}, []byte{5, 0, 5, 1, 0, 1, 0, 0, 0, 0, 0, 0}},
		"cut off":         {[]byte{5, 1, 0, 5, 1, 0, 1, 10}, []byte{5, 0}},
		"nothing":         {nil, nil},
	} {
		if got := talk(t, at, c.sent); !bytes.Equal(got, c.want) {
			t.Errorf("%s: % x, want % x", name, got, c.want)
		}
	}
}

func TestASlowClientIsLeft(t *testing.T) {
	at := start(t, &socks.Server{Patience: 50 * time.Millisecond, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	if got := talk(t, at, connect); len(got) != 12 || got[3] != 6 {
		t.Errorf("a connection that is not made: % x", got)
	}
}

func TestTheEndOfOneDirectionIsPassedOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // answers when it has heard all
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		all, _ := io.ReadAll(conn)
		fmt.Fprintf(conn, "%d bytes", len(all))
	}()
	at := start(t, &socks.Server{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	}})
	sent := append(bytes.Clone(connect), make([]byte, 1<<20)...)
	if got := talk(t, at, sent); len(got) < 12 || string(got[12:]) != "1048576 bytes" {
		t.Errorf("%q", got)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(connect)
	f.Add(append([]byte{5, 2, 2, 0, 5, 1, 0, 3, 5}, "a.bc\x01\x00\x50"...))
	f.Fuzz(func(t *testing.T, sent []byte) {
		dialed := false
		s := &socks.Server{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialed = true
			if _, _, err := net.SplitHostPort(address); err != nil {
				t.Errorf("% x: asks for %q", sent, address)
			}
			return nil, errors.New("no")
		}}
		ours, theirs := net.Pipe()
		done := make(chan []byte)
		go func() {
			go io.Copy(theirs, bytes.NewReader(sent))
			go func() {
				<-t.Context().Done()
				theirs.Close()
			}()
			got, _ := io.ReadAll(theirs)
			done <- got
		}()
		s.Patience = 20 * time.Millisecond
		s.ServeConn(t.Context(), ours)
		if got := <-done; dialed && len(got) != 12 {
			t.Errorf("% x is answered % x", sent, got)
		}
	})
}
