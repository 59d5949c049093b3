// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"xeiaso.net/site/xesite"
)

// The path must not become part of the host.
func TestCanonicalHostNeverLeadsToAnother(t *testing.T) {
	h := xesite.CanonicalHost{Host: "me.example"}.Middleware(http.NotFoundHandler())
	for target, want := range map[string]string{
		"/a%2Fb?x=1&y":            "https://me.example/a%2Fb?x=1&y",
		"//evil.example/x":        "https://me.example//evil.example/x",
		"http://www.me.example":   "https://me.example/",
		"http://x.example/a?b":    "https://me.example/a?b",
		"x:.evil.example/":        "https://me.example/",
		"x:@evil.example/":        "https://me.example/",
		"*":                       "https://me.example/*",
		"/?":                      "https://me.example/?",
		"/%0d%0aSet-Cookie:%20a=": "https://me.example/%0d%0aSet-Cookie:%20a=",
	} {
		u, err := url.ParseRequestURI(target) // as net/http does
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.URL, r.Host = u, "www.me.example"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Location"); w.Code != 308 || got != want {
			t.Errorf("GET %s: %d to %q, want 308 to %q", target, w.Code, got, want)
		}
	}
}

func TestBeforeTheFirstReleaseTheSiteIsUnavailable(t *testing.T) {
	h := newRig(t, newRepo(t).Bare, nil).Handler(xesite.Listener{})
	for _, method := range []string{"GET", "HEAD"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/any", nil))
		got := w.Header()
		if w.Code != 503 || got.Get("Retry-After") == "" || got.Get("Cache-Control") != "no-store" ||
			got.Get("X-Content-Type-Options") != "nosniff" || got.Get("Content-Length") == "" {
			t.Errorf("%s: %d %v", method, w.Code, got)
		}
		if hasBody := w.Body.Len() > 0; hasBody != (method == "GET") {
			t.Errorf("%s: %d bytes", method, w.Body.Len())
		}
	}
}

// Whatever strangers send, there are no more series.
func TestStrangersCannotMakeMetrics(t *testing.T) {
	site := newRig(t, newRepo(t).Bare, nil)
	h := site.Handler(xesite.Listener{Name: "clearnet"})
	registry := prometheus.NewRegistry()
	registry.MustRegister(site.Collector())
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "get", "X-1", "X-2", "CONNECT"} {
		for _, path := range []string{"/", "/a", "/.within/x", "/.within/hook/github", "/.within/build.json"} {
			r := httptest.NewRequest(method, "http://host.example"+path, nil)
			r.Host = method + path
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "xesite_http_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "method" && !strings.Contains(" GET HEAD POST other ", " "+l.GetValue()+" ") {
					t.Errorf("label %s", m.GetLabel())
				}
			}
		}
		if n := len(f.GetMetric()); n > 8 {
			t.Errorf("%d series", n)
		}
	}
}
