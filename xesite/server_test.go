// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

// serveOn serves h on a port of its own and returns its URL, without a slash
// at the end, and a function that stops it and waits.
func serveOn(t *testing.T, s xesite.Server, h http.Handler) (url string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln, h) }()
	stop = func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("Serve does not return")
		}
		done <- nil // for the next call
	}
	t.Cleanup(stop)
	return "http://" + ln.Addr().String(), stop
}

// request sends a request on a connection of its own.
func request(t *testing.T, method, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// readTimeout is short, so that what takes three times as long shows whether
// it is bound by it.
const readTimeout = 100 * time.Millisecond

func shortServer() xesite.Server {
	var s xesite.Server
	s.SetReadTimeout(readTimeout)
	return s
}

func TestWaitingForABuildOutlastsTheReadTimeout(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.Bare, func(c *xesite.Config) {
		c.Builder = xesite.BuilderFunc(func(ctx context.Context, in xesite.BuildInput) error {
			<-time.After(3 * readTimeout)
			return xesite.Copy().Build(ctx, in)
		})
	}).run()
	r.expect(r.rebuild(), xesite.ResultPublished)
	url, _ := serveOn(t, shortServer(), r.AdminHandler(xesite.Admin{Loopback: true}))
	resp := request(t, "POST", url+"/api/rebuild?wait=1")
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("status %d, %v: %s", resp.StatusCode, err, body)
	}
}

func TestReloadStreamOutlastsTheReadTimeout(t *testing.T) {
	repo := newRepo(t)
	r := newRig(t, repo.Bare, func(c *xesite.Config) { c.LiveReload = true }).run()
	r.expect(r.rebuild(), xesite.ResultPublished)
	url, _ := serveOn(t, shortServer(), r.Handler(xesite.Listener{}))
	events := bufio.NewScanner(request(t, "GET", url+"/.within/reload").Body)
	next := func() string {
		for events.Scan() {
			if id, ok := strings.CutPrefix(events.Text(), "data: "); ok {
				return id
			}
		}
		t.Fatalf("the stream ends: %v", events.Err())
		return ""
	}
	first := next()
	<-time.After(3 * readTimeout)
	change(repo, "second")
	r.expect(r.rebuild(), xesite.ResultPublished)
	if second := next(); second == first {
		t.Errorf("told of %s again", first)
	}
}

// A slow reader gets the whole of a large file, past the read timeout and past
// the order to stop.
func TestADownloadUnderWayIsFinished(t *testing.T) {
	const chunks, size = 64, 1 << 20 // more than the kernel takes at once
	wrote := make(chan struct{})
	url, stop := serveOn(t, shortServer(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer close(wrote)
		w.Header().Set("Content-Length", fmt.Sprint(chunks*size))
		for range chunks {
			if _, err := w.Write(make([]byte, size)); err != nil {
				t.Errorf("write: %v", err)
				return
			}
		}
	}))
	resp := request(t, "GET", url)
	<-time.After(3 * readTimeout)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n != chunks*size {
		t.Errorf("got %d bytes of %d: %v", n, chunks*size, err)
	}
	<-wrote
	<-stopped
}

func TestPanicsOfHandlersAreLogged(t *testing.T) {
	logs := &wait.Buffer{}
	url, stop := serveOn(t, xesite.Server{Logger: slog.New(slog.NewJSONHandler(logs, nil))},
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault of ours") }))
	if resp, err := http.DefaultClient.Get(url); err == nil {
		resp.Body.Close()
		t.Errorf("status %d", resp.StatusCode)
	}
	stop()
	if got := logs.String(); !strings.Contains(got, `"level":"ERROR"`) || !strings.Contains(got, "a fault of ours") {
		t.Errorf("logged: %s", got)
	}
}

// Strange clients are nothing that a person must act upon.
func TestHalfARequestIsNotLoggedAsAnError(t *testing.T) {
	logs := &wait.Buffer{}
	url, stop := serveOn(t, xesite.Server{Logger: slog.New(slog.NewJSONHandler(logs, nil))}, http.NotFoundHandler())
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
	io.Copy(io.Discard, conn)
	conn.Close()
	stop()
	if got := logs.String(); got != "" {
		t.Errorf("logged: %s", got)
	}
}
