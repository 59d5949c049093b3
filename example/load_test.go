// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// load asks for pages again and again, in every way that clients have, and
// notes each answer that no release could have given whole. Every page begins
// and ends with the name of its commit, as those of fakegen do.
type load struct {
	root  string
	paths []string

	requests atomic.Int64
	mu       sync.Mutex        // guards what follows
	faults   []string          // the first ones
	bodies   map[string]string // by path and entity tag
	commits  map[string]bool   // that were seen

	stop context.CancelFunc
	all  sync.WaitGroup
}

// startLoad sends requests until Stop is called.
func startLoad(t *testing.T, root string, paths ...string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{root: strings.TrimSuffix(root, "/"), paths: paths, bodies: map[string]string{}, commits: map[string]bool{}, stop: cancel}
	for _, client := range []func(ctx context.Context, c *http.Client, path string) error{l.whole, l.compressed, l.ranged, l.conditional} {
		for _, fresh := range []bool{false, true} { // a connection for each request
			l.all.Go(func() {
				c := &http.Client{Transport: &http.Transport{DisableKeepAlives: fresh, DisableCompression: true}}
				defer c.CloseIdleConnections()
				l.run(ctx, func(path string) error { return client(ctx, c, path) })
			})
		}
	}
	t.Cleanup(l.Stop)
	return l
}

// Stop ends the load, after the requests under way.
func (l *load) Stop() {
	l.stop()
	l.all.Wait()
}

func (l *load) run(ctx context.Context, ask func(path string) error) {
	for ctx.Err() == nil {
		path := l.paths[rand.IntN(len(l.paths))]
		err := ask(path)
		if ctx.Err() != nil {
			return // cut off by the end
		}
		l.requests.Add(1)
		if err != nil {
			l.mu.Lock()
			if len(l.faults) < 20 {
				l.faults = append(l.faults, path+": "+err.Error())
			}
			l.mu.Unlock()
		}
	}
}

// check reports what was wrong.
func (l *load) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fault := range l.faults {
		t.Error(fault)
	}
	t.Logf("%d requests, pages of %d commits, %d faults", l.requests.Load(), len(l.commits), len(l.faults))
}

// get sends one request.
func (l *load) get(ctx context.Context, c *http.Client, path string, header http.Header) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.root+path, nil)
	if err != nil {
		return nil, "", err
	}
	maps.Copy(req.Header, header)
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func (l *load) whole(ctx context.Context, c *http.Client, path string) error {
	resp, body, err := l.get(ctx, c, path, nil)
	if err != nil {
		return err
	}
	return l.page(path, resp, body)
}

// page checks a whole page.
func (l *load) page(path string, resp *http.Response, body string) error {
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	first, _, _ := strings.Cut(body, "\n")
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(first, "<!-- commit ") || first != last {
		return fmt.Errorf("begins with %q and ends with %q", first, last)
	}
	key := path + resp.Header.Get("Etag")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commits[first] = true
	if known, ok := l.bodies[key]; ok && known != body {
		return fmt.Errorf("two contents have the entity tag %s", resp.Header.Get("Etag"))
	}
	if resp.Header.Get("Content-Encoding") == "" {
		l.bodies[key] = body
	}
	return nil
}

func (l *load) compressed(ctx context.Context, c *http.Client, path string) error {
	resp, body, err := l.get(ctx, c, path, http.Header{"Accept-Encoding": {"gzip"}})
	if err != nil {
		return err
	}
	if resp.Header.Get("Content-Encoding") == "gzip" {
		plain, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if _, err := io.Copy(&b, plain); err != nil {
			return err
		}
		body = b.String()
	}
	return l.page(path, resp, body)
}

// ranged asks for a page in two parts, as a download that was broken off and
// goes on: the second part must be of the same content, or all of the new one.
func (l *load) ranged(ctx context.Context, c *http.Client, path string) error {
	const half = 100
	first, head, err := l.get(ctx, c, path, http.Header{"Range": {fmt.Sprintf("bytes=0-%d", half-1)}})
	if err != nil {
		return err
	}
	if first.StatusCode != http.StatusPartialContent {
		return errors.New(first.Status)
	}
	resp, rest, err := l.get(ctx, c, path, http.Header{"Range": {fmt.Sprintf("bytes=%d-", half)}, "If-Range": first.Header["Etag"]})
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusPartialContent {
		if resp.Header.Get("Etag") != first.Header.Get("Etag") {
			return fmt.Errorf("the parts are of %s and %s", first.Header.Get("Etag"), resp.Header.Get("Etag"))
		}
		resp.StatusCode, rest = http.StatusOK, head+rest
	}
	return l.page(path, resp, rest)
}

func (l *load) conditional(ctx context.Context, c *http.Client, path string) error {
	resp, body, err := l.get(ctx, c, path, nil)
	if err != nil {
		return err
	}
	if err := l.page(path, resp, body); err != nil {
		return err
	}
	tag := resp.Header["Etag"]
	resp, body, err = l.get(ctx, c, path, http.Header{"If-None-Match": tag})
	if err != nil || resp.StatusCode == http.StatusNotModified && body == "" && resp.Header.Get("Etag") == tag[0] {
		return err
	}
	return l.page(path, resp, body)
}
