// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pair returns the two ends of a connection over loopback, the server's
// joining.
func pair(t *testing.T) (server net.Conn, client *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if server, err = (joiningListener{ln}).Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, conn.(*net.TCPConn)
}

// Whatever is written in whatever pieces arrives whole and in order.
func TestJoinedWritesArriveInOrder(t *testing.T) {
	server, client := pair(t)
	var want bytes.Buffer
	go func() {
		defer server.Close()
		random := rand.New(rand.NewPCG(1, 2))
		for i := range 2000 {
			size := []int{bufferSize, bufferSize, 1, random.IntN(3 * bufferSize), bufferSize - 1, bufferSize + 1}[random.IntN(6)]
			p := bytes.Repeat([]byte{byte(i)}, size)
			want.Write(p)
			if n, err := server.Write(p); n != size || err != nil {
				t.Errorf("write %d: %d of %d bytes, %v", i, n, size, err)
				return
			}
			if i%50 == 0 {
				want.WriteString("read from")
				if _, err := server.(io.ReaderFrom).ReadFrom(strings.NewReader("read from")); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%d bytes of %d arrived, %v", len(got), want.Len(), err)
	}
}

// Somebody has flushed when the buffer was just full, and now waits.
func TestAFullBufferArrivesThoughNothingFollows(t *testing.T) {
	for name, after := range map[string]func(net.Conn){
		"by time":      func(net.Conn) {},
		"by reading":   func(c net.Conn) { go c.Read(make([]byte, 1)) },
		"by closing":   func(c net.Conn) { c.Close() },
		"by half of a": func(c net.Conn) { c.(*joiningConn).CloseWrite() },
	} {
		server, client := pair(t)
		if n, err := server.Write(make([]byte, bufferSize)); n != bufferSize || err != nil {
			t.Fatalf("%s: %d, %v", name, n, err)
		}
		after(server)
		client.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(client, make([]byte, bufferSize)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAClientThatReadsNothingDoesNotKeepClose(t *testing.T) {
	server, _ := pair(t)
	server.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for err := error(nil); err == nil; {
		_, err = server.Write(make([]byte, 1<<20)) // until the connection is full
	}
	server.SetWriteDeadline(time.Time{})
	server.Write(make([]byte, bufferSize))
	done := make(chan error, 1)
	go func() { done <- server.Close() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Error("Close does not return")
	}
}

// Answers of all sizes around that of the buffer, by net/http.
func TestAnswersOfAllSizesArriveWhole(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, bytes.Repeat([]byte("0123456789abcdef"), 1<<16), 0o644); err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			http.ServeFile(w, r, file)
			return
		}
		if r.URL.RawQuery == "length" {
			w.Header().Set("Content-Length", strconv.Itoa(n))
		}
		for range 2 {
			io.WriteString(w, strings.Repeat("x", n/2))
			if r.URL.RawQuery == "flush" {
				w.(http.Flusher).Flush()
			}
		}
	})}
	defer srv.Close()
	go srv.Serve(joiningListener{ln})
	for n := 3600; n < 4300; n += 2 {
		for _, query := range []string{"", "length", "flush"} {
			resp, err := http.Get(fmt.Sprintf("http://%s/%d?%s", ln.Addr(), n, query))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || len(b) != n {
				t.Fatalf("%d bytes, %q: got %d, %v", n, query, len(b), err)
			}
		}
	}
	resp, err := http.Get(fmt.Sprintf("http://%s/file", ln.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != 1<<20 {
		t.Errorf("a file: %d bytes, %v", n, err)
	}
}
