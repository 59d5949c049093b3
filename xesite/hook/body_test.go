// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package hook_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/xesite/hook"
)

// unreadable is a body that must not be read.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func (unreadable) Close() error { return nil }

func TestLargeBodiesAreRefused(t *testing.T) {
	h, got := newHandler(t, hook.GitHub)
	r := newRequest(t, pushOf(hook.GitHub))
	r.Body, r.ContentLength = unreadable{t}, hook.MaxBody+1
	deliver(t, h, r, http.StatusRequestEntityTooLarge)

	// Without a length it takes reading to find out.
	body := fmt.Sprintf(`{"ref":"refs/heads/main"%s}`, strings.Repeat(" ", hook.MaxBody))
	r = rawRequest(t, hook.GitHub, "application/json", body)
	r.ContentLength = -1
	deliver(t, h, r, http.StatusRequestEntityTooLarge)
	got.want(t, 0)

	// The limit itself is allowed, with and without a length.
	body = body[:24] + body[24+len(body)-hook.MaxBody:]
	for _, length := range []int64{hook.MaxBody, -1} {
		r = rawRequest(t, hook.GitHub, "application/json", body)
		r.ContentLength = length
		deliver(t, h, r, http.StatusAccepted)
	}
	got.want(t, 2)
}

func TestUnsignedBodiesAreNotRead(t *testing.T) {
	for _, forge := range forges {
		h, _ := newHandler(t, forge)
		r := newRequest(t, pushOf(forge))
		r.Header.Del(signatureOf[forge])
		r.Body = unreadable{t}
		deliver(t, h, r, http.StatusUnauthorized)
	}
}

// TestFourLargeBodiesAtATime has four senders that stop in the middle.
func TestFourLargeBodiesAtATime(t *testing.T) {
	for _, known := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h, got := newHandler(t, hook.GitHub)
			large := fmt.Sprintf(`{"ref":"refs/heads/main"%s}`, strings.Repeat(" ", 2<<20))
			request := func(body io.Reader) *http.Request {
				r := rawRequest(t, hook.GitHub, "application/json", large)
				r.Body = io.NopCloser(body)
				if !known {
					r.ContentLength = -1
				}
				return r
			}
			var wg sync.WaitGroup
			var rest []*io.PipeWriter
			for range 4 {
				in, out := io.Pipe()
				rest = append(rest, out)
				wg.Go(func() { deliver(t, h, request(in), http.StatusAccepted) })
				io.WriteString(out, large[:3<<19])
			}
			synctest.Wait()

			// Small ones do not wait, a large one waits a while.
			start := time.Now()
			deliver(t, h, newRequest(t, pushOf(hook.GitHub)), http.StatusAccepted)
			if took := time.Since(start); took != 0 {
				t.Errorf("a small body waited for %v", took)
			}
			deliver(t, h, request(strings.NewReader(large)), http.StatusServiceUnavailable)
			if took := time.Since(start); took != 2500*time.Millisecond {
				t.Errorf("a large body waited for %v, want 2.5 s", took)
			}
			wg.Go(func() { deliver(t, h, request(strings.NewReader(large)), http.StatusAccepted) })
			synctest.Wait()
			for _, out := range rest {
				io.WriteString(out, large[3<<19:])
				out.Close()
			}
			wg.Wait()
			got.want(t, 6)
		})
	}
}

func TestHandlersShareLargeBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places := make(chan struct{}, 1)
		share := func(c *hook.Config) { c.LargeBodies = places }
		first, _ := newHandler(t, hook.GitHub, share)
		second, _ := newHandler(t, hook.GitLab, share)
		large := fmt.Sprintf(`{"ref":"refs/heads/main"%s}`, strings.Repeat(" ", 2<<20))
		places <- struct{}{}
		deliver(t, first, rawRequest(t, hook.GitHub, "application/json", large), http.StatusServiceUnavailable)
		deliver(t, second, rawRequest(t, hook.GitLab, "application/json", large), http.StatusServiceUnavailable)
		<-places
		deliver(t, first, rawRequest(t, hook.GitHub, "application/json", large), http.StatusAccepted)
		deliver(t, second, rawRequest(t, hook.GitLab, "application/json", large), http.StatusAccepted)
	})
}

// rawExchange sends the head of a signed request and start, and returns the
// answer of a real server. If hangUp is set it says that nothing follows.
func rawExchange(t *testing.T, h http.Handler, start string, hangUp bool) *http.Response {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := newRequest(t, pushOf(hook.GitHub))
	var head bytes.Buffer
	fmt.Fprintf(&head, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n", r.ContentLength)
	r.Header.Write(&head)
	head.WriteString("\r\n" + start)
	if _, err := head.WriteTo(conn); err != nil {
		t.Fatal(err)
	}
	if hangUp {
		conn.(*net.TCPConn).CloseWrite()
	}
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestTruncatedBody(t *testing.T) {
	h, got := newHandler(t, hook.GitHub)
	res := rawExchange(t, h, `{"ref"`, true)
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want 400", res.StatusCode)
	}
	if a, _ := checkAnswer(t, res); a.Error != "body is truncated" {
		t.Errorf("answer %+v", a)
	}
	got.want(t, 0)
}

func TestSlowBody(t *testing.T) {
	h, got := newHandler(t, hook.GitHub, func(c *hook.Config) { c.BodyTimeout = 50 * time.Millisecond })
	res := rawExchange(t, h, `{"ref"`, false)
	if res.StatusCode != http.StatusRequestTimeout || !res.Close {
		t.Errorf("status %d, close %v; want 408, true", res.StatusCode, res.Close)
	}
	checkAnswer(t, res)
	got.want(t, 0)
}

// TestDeadlineEndsWithTheBody keeps the body's deadline off the next request
// on the connection.
func TestDeadlineEndsWithTheBody(t *testing.T) {
	const timeout = 100 * time.Millisecond
	h, got := newHandler(t, hook.GitHub, func(c *hook.Config) {
		c.BodyTimeout = timeout
		receive := c.Receive
		c.Receive = func(ctx context.Context, p hook.Push) (string, error) {
			<-time.After(3 * timeout)
			return receive(ctx, p)
		}
	})
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	for range 2 {
		r, err := hook.NewRequest(t.Context(), server.URL, password, pushOf(hook.GitHub))
		if err != nil {
			t.Fatal(err)
		}
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		checkAnswer(t, res)
		res.Body.Close()
		if res.StatusCode != http.StatusAccepted {
			t.Errorf("status %d, want 202", res.StatusCode)
		}
	}
	got.want(t, 2)
}
