// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package faultproxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy is a running proxy.
type Proxy struct {
	// URL is where it is, "http://127.0.0.1:1234".
	URL string

	target  string
	client  http.Client
	mu      sync.Mutex // guards what follows
	planned []plan
	choose  func(*http.Request) Fault
	log     []string
}

// plan is a fault for the next request that begins like this.
type plan struct {
	request string
	fault   Fault
}

// Start starts a proxy for a server, which is given by its address without a
// path. It ends with the test, after all requests that it passed on.
func Start(t testing.TB, target string) *Proxy {
	p := &Proxy{target: strings.TrimSuffix(target, "/"), client: http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	s := httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		p.client.CloseIdleConnections()
	})
	p.URL = s.URL
	return p
}

// Once plans faults for the next requests whose method and path begin as given,
// one for each request: "POST /api/" or, for all, "".
func (p *Proxy) Once(request string, faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range faults {
		p.planned = append(p.planned, plan{request, f})
	}
}

// Choose has a function say what happens to each request for which nothing is
// planned. It is called when all of the request has arrived, and may be called by
// several goroutines at once.
func (p *Proxy) Choose(choose func(*http.Request) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.choose = choose
}

// Log returns a line for each request, in the order in which they came to their
// end: what was asked for, what happened to it, and what the server answered.
func (p *Proxy) Log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.log)
}

// fault decides what happens to a request.
func (p *Proxy) fault(r *http.Request) Fault {
	p.mu.Lock()
	i := slices.IndexFunc(p.planned, func(plan plan) bool {
		return strings.HasPrefix(r.Method+" "+r.URL.Path, plan.request)
	})
	if i >= 0 {
		defer p.mu.Unlock()
		f := p.planned[i].fault
		p.planned = slices.Delete(p.planned, i, i+1)
		return f
	}
	choose := p.choose
	p.mu.Unlock()
	if choose == nil {
		return None
	}
	return choose(r)
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	// All of it is read first, or the end of the connection would go unnoticed.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	f := p.fault(r)
	line := fmt.Sprintf("%s %s: %v", r.Method, r.URL.Path, f)
	defer func() {
		p.mu.Lock()
		p.log = append(p.log, line)
		p.mu.Unlock()
	}()
	if f == Late {
		<-r.Context().Done()
	}
	var answer *http.Response
	if f.Passes() {
		answer, err = p.forward(r, body)
		if err != nil {
			line += ", no answer from the server"
			panic(http.ErrAbortHandler)
		}
		line += fmt.Sprintf(", server answered %d", answer.StatusCode)
	}
	respond(w, r, f, answer)
}

// forward passes a request on, and returns its answer after reading it.
func (p *Proxy) forward(r *http.Request, body []byte) (*http.Response, error) {
	// The request goes on although the client has left.
	req, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, p.target+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	if req.UserAgent() == "" {
		req.Header["User-Agent"] = nil
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(content))
	resp.ContentLength = int64(len(content))
	return resp, err
}

// respond answers as the fault has it.
func respond(w http.ResponseWriter, r *http.Request, f Fault, answer *http.Response) {
	switch f {
	case TooMany:
		w.Header().Set("Retry-After", "7")
	case TooManyDate:
		w.Header().Set("Retry-After", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
	case Held:
		<-r.Context().Done()
	}
	if status := f.status(); status != 0 {
		http.Error(w, "a fault on demand", status)
		return
	}
	if f != None && f != CutWithin {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), answer.Header)
	w.Header().Set("Content-Length", fmt.Sprint(answer.ContentLength))
	w.WriteHeader(answer.StatusCode)
	n := answer.ContentLength
	if f == CutWithin {
		n /= 2
	}
	_, _ = io.CopyN(w, answer.Body, n)
	if f == CutWithin {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}
