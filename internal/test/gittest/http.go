// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package gittest

import (
	"bytes"
	"crypto/subtle"
	"io"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// Fault is how a server misbehaves.
type Fault int32

const (
	// None is to behave.
	None Fault = iota
	// Unavailable answers 503.
	Unavailable
	// Drop closes the connection without an answer.
	Drop
	// Hang answers nothing until the test ends or the client gives up.
	Hang
	// Cut closes the connection in the middle of the pack.
	Cut
	// Garbage answers success with a page for people, as captive portals do.
	Garbage
	// Blank answers success with nothing, or with less than a line, which git
	// takes, without an error, for a repository that has no branches.
	Blank
)

// HTTPServer serves a repository by git's own smart HTTP backend, for fetching
// and, to who has the token, for pushing.
type HTTPServer struct {
	URL string // of the repository, without the token

	token    string
	fault    atomic.Int32
	requests atomic.Int64
	done     chan struct{} // closed when the test ends
}

// HTTPServer starts a server on loopback. If token is not empty, requests need
// it as a bearer token or as the password of any user.
func (r *Repo) HTTPServer(token string) *HTTPServer {
	r.t.Helper()
	r.run(r.Bare, "config", "http.receivepack", strconv.FormatBool(token != ""))
	s := &HTTPServer{token: token, done: make(chan struct{})}
	backend := &cgi.Handler{
		Path:   r.git,
		Args:   []string{"http-backend"},
		Dir:    filepath.Dir(r.Bare),
		Stderr: r.t.Output(),
		Env:    append(r.Env(), "GIT_PROJECT_ROOT="+filepath.Dir(r.Bare), "GIT_HTTP_EXPORT_ALL=1"),
	}
	server := httptest.NewServer(s.handler(backend))
	r.t.Cleanup(func() {
		close(s.done)
		server.CloseClientConnections()
		server.Close()
	})
	s.URL = server.URL + "/" + filepath.Base(r.Bare)
	return s
}

// SetFault says how to treat the requests that come from now on.
func (s *HTTPServer) SetFault(f Fault) { s.fault.Store(int32(f)) }

// Requests returns how many requests there were, whatever became of them.
func (s *HTTPServer) Requests() int64 { return s.requests.Load() }

func (s *HTTPServer) handler(backend http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		switch Fault(s.fault.Load()) {
		case Unavailable:
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		case Drop:
			panic(http.ErrAbortHandler)
		case Hang:
			select {
			case <-s.done:
			case <-r.Context().Done():
			}
			panic(http.ErrAbortHandler)
		case Garbage:
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<!doctype html>\n<title>Welcome to the hotel</title>\n<p>Please log in.\n")
		case Blank:
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<!doctype html>")
		case Cut:
			s.serve(w, r, cutPack(backend))
		default:
			s.serve(w, r, backend)
		}
	})
}

// serve asks for the token and passes the request on.
func (s *HTTPServer) serve(w http.ResponseWriter, r *http.Request, backend http.Handler) {
	if s.token != "" && !s.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "a token is needed", http.StatusUnauthorized)
		return
	}
	// CGI cannot take a body of unknown length, which a large push has.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	backend.ServeHTTP(w, r)
}

func (s *HTTPServer) authorized(r *http.Request) bool {
	_, token, ok := r.BasicAuth()
	if !ok {
		token, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) == 1
}

// cutPack ends answers that hold a pack half-way through; what comes before,
// the list of refs for one, is left alone.
func cutPack(backend http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		whole := httptest.NewRecorder()
		backend.ServeHTTP(whole, r)
		body := whole.Body.Bytes()
		maps.Copy(w.Header(), whole.Header())
		w.WriteHeader(whole.Code)
		if !bytes.Contains(body, []byte("PACK")) {
			w.Write(body)
			return
		}
		w.Write(body[:len(body)/2])
		// Otherwise the server would drop what it has not sent yet.
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
}
