// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package faultproxy_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/faultproxy"
	"xeiaso.net/site/internal/test/wait"
)

// count starts a server that counts requests.
func count(t *testing.T) (url string, requests *atomic.Int32) {
	requests = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests.Add(1)
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, r.Method+" "+r.URL.RequestURI()+" "+string(body))
	}))
	t.Cleanup(s.Close)
	return s.URL, requests
}

// post makes a request, and returns the status or 0.
func post(ctx context.Context, t *testing.T, url string) (status int, header http.Header, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, ""
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, ""
	}
	return resp.StatusCode, resp.Header, string(content)
}

func TestPassesOnWhatItIsNotToldToBreak(t *testing.T) {
	t.Parallel()
	url, requests := count(t)
	proxy := faultproxy.Start(t, url)
	status, header, body := post(t.Context(), t, proxy.URL+"/a%2Fb?c=d%20e")
	if status != http.StatusCreated || header.Get("X-Answer") != "yes" || body != "POST /a%2Fb?c=d%20e hello" || requests.Load() != 1 {
		t.Errorf("got %d %v %q after %d requests", status, header, body, requests.Load())
	}
}

func TestFaultsDoWhatTheySay(t *testing.T) {
	t.Parallel()
	want := map[faultproxy.Fault]int{ // status that the client sees
		faultproxy.TooMany: 429, faultproxy.TooManyDate: 429, faultproxy.Unavailable: 503,
		faultproxy.Failed: 500, faultproxy.BadGateway: 502, faultproxy.GatewayTimeout: 504,
	}
	for _, f := range faultproxy.All() {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			url, requests := count(t)
			proxy := faultproxy.Start(t, url)
			proxy.Once("GET ", faultproxy.CutBefore) // for a request that does not come
			proxy.Once("POST /x", f)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if f.Hangs() {
				time.AfterFunc(50*time.Millisecond, cancel)
			}
			status, header, _ := post(ctx, t, proxy.URL+"/x")
			if status != want[f] {
				t.Errorf("status %d, want %d", status, want[f])
			}
			if (header.Get("Retry-After") != "") != (status == 429) {
				t.Errorf("Retry-After: %q", header.Get("Retry-After"))
			}
			wait.Until(t, "the proxy is done", func() bool { return len(proxy.Log()) == 1 })
			if got := requests.Load() == 1; got != f.Passes() {
				t.Errorf("the server got the request: %t, want %t: %q", got, f.Passes(), proxy.Log())
			}
			if status, _, _ := post(t.Context(), t, proxy.URL+"/x"); status != http.StatusCreated {
				t.Errorf("the next request was answered with %d", status)
			}
		})
	}
}

func TestChooseDecidesWhereNothingIsPlanned(t *testing.T) {
	t.Parallel()
	url, _ := count(t)
	proxy := faultproxy.Start(t, url)
	proxy.Choose(func(r *http.Request) faultproxy.Fault {
		if r.URL.Path == "/bad" {
			return faultproxy.BadGateway
		}
		return faultproxy.None
	})
	proxy.Once("", faultproxy.Unavailable)
	var got []int
	for _, path := range []string{"/bad", "/bad", "/good"} {
		status, _, _ := post(t.Context(), t, proxy.URL+path)
		got = append(got, status)
	}
	if want := []int{503, 502, 201}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: %q", got, want, proxy.Log())
	}
}
