// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

//go:build unix

// Package loopback measures HTTP handlers behind a real server and a real
// connection, and finds addresses for programs.
package loopback

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// FreeAddress returns an address to listen on. Another process may be faster.
func FreeAddress(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Bench measures GET requests for "/" over one connection, one after the
// other, with an additional header field "Name: value" if field is not empty.
// The client does next to nothing, so that rows of one run can be compared.
func Bench(b *testing.B, h http.Handler, field string) {
	b.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request := "GET / HTTP/1.1\r\nHost: localhost\r\n"
	if field != "" {
		request += field + "\r\n"
	}
	request += "\r\n"
	raw := []byte(request)
	// The client must not cost more than the server: it counts the bytes of
	// the first answer and reads as many for each that follows.
	size := answerSize(b, conn, raw)
	buf := make([]byte, size)
	b.ReportAllocs()
	before := CPUTime(b)
	for b.Loop() {
		if _, err := conn.Write(raw); err != nil {
			b.Fatal(err)
		}
		for n := 0; n < size; {
			m, err := conn.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			n += m
		}
	}
	b.ReportMetric(float64((CPUTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// CPUTime is what this process and the children that it has waited for have
// used so far.
func CPUTime(b *testing.B) (sum time.Duration) {
	b.Helper()
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

func answerSize(b *testing.B, conn net.Conn, request []byte) int {
	if _, err := conn.Write(request); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	n, want := 0, -1
	for want < 0 || n < want {
		m, err := conn.Read(buf[n:])
		if err != nil {
			b.Fatal(err)
		}
		n += m
		head, _, ok := strings.Cut(string(buf[:n]), "\r\n\r\n")
		if !ok {
			continue
		}
		length := 0
		for line := range strings.SplitSeq(head, "\r\n") {
			if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				fmt.Sscan(v, &length)
			}
		}
		want = len(head) + 4 + length
	}
	return n
}
