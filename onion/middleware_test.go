// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"xeiaso.net/site/onion"
)

var address = onion.NewKey().Address()

// page answers with a document of a type.
func page(status int, media, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if media != "" {
			w.Header().Set("Content-Type", media)
		}
		if status >= 300 && status < 400 {
			w.Header().Set("Location", "/elsewhere")
		}
		if status != 0 {
			w.WriteHeader(status)
		}
		io.WriteString(w, body)
	})
}

func TestLocationIsOnPagesAlone(t *testing.T) {
	html := "<!doctype html><title>x</title>"
	for name, c := range map[string]struct {
		method, target string
		next           http.Handler
		want           string // after the address; "-": none
	}{
		"page":             {"GET", "/", page(200, "text/html; charset=utf-8", html), "/"},
		"page, HEAD":       {"HEAD", "/", page(200, "text/html", ""), "/"},
		"POST":             {"POST", "/", page(200, "text/html", html), "-"},
		"path and query":   {"GET", "/a%2Fb/%C3%A9?q=1&r=%20+", page(200, "text/html", html), "/a%2Fb/%C3%A9?q=1&r=%20+"},
		"two slashes":      {"GET", "//evil.example/x", page(200, "text/html", html), "//evil.example/x"},
		"empty query":      {"GET", "/x?", page(200, "text/html", html), "/x?"},
		"absolute form":    {"GET", "http://me.example/x?y", page(200, "text/html", html), "/x?y"},
		"without a type":   {"GET", "/", page(0, "", html), "/"},
		"not found":        {"GET", "/gone", page(404, "text/html", html), "/gone"},
		"redirect":         {"GET", "/old", page(301, "text/html", html), "-"},
		"feed":             {"GET", "/blog.rss", page(200, "application/rss+xml", "<rss/>"), "-"},
		"image":            {"GET", "/x.png", page(200, "image/png", "\x89PNG\r\n"), "-"},
		"image, not typed": {"GET", "/x.png", page(0, "", "\x89PNG\r\n\x1a\n"), "-"},
		"not modified":     {"GET", "/", page(304, "", ""), "-"},
		"wrong in the site": {"GET", "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Onion-Location", "http://old.onion")
			page(200, "text/html", html).ServeHTTP(w, r)
		}), "/"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.target, nil)
			w := httptest.NewRecorder()
			onion.Location(onion.LocationConfig{Address: onion.Fixed(address)})(c.next).ServeHTTP(w, r)
			got := strings.Join(w.Result().Header.Values("Onion-Location"), ", ")
			want := "http://" + string(address) + c.want
			if c.want == "-" {
				want = ""
			}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestLocationIsNotOnTorNorWithoutAService(t *testing.T) {
	next := page(200, "text/html", "x")
	get := func(cfg onion.LocationConfig, r *http.Request) string {
		w := httptest.NewRecorder()
		onion.Location(cfg)(next).ServeHTTP(w, r)
		return w.Header().Get("Onion-Location")
	}
	r := httptest.NewRequest("GET", "/", nil)
	over := r.WithContext(onion.WithInfo(r.Context(), onion.Info{Address: address}))
	if got := get(onion.LocationConfig{Address: onion.Fixed(address)}, over); got != "" {
		t.Errorf("over Tor: %q", got)
	}
	if got := get(onion.LocationConfig{Address: onion.Fixed("")}, r); got != "" {
		t.Errorf("without a service: %q", got)
	}
	// A Host field says nothing.
	forged := httptest.NewRequest("GET", "http://"+string(address)+"/", nil)
	if got := get(onion.LocationConfig{Address: onion.Fixed(address), Scheme: "https"}, forged); got != "https://"+string(address)+"/" {
		t.Errorf("with the host of the service: %q", got)
	}
}

// Files are still copied by the kernel, and informational answers pass.
func TestLocationLeavesAnswersWhole(t *testing.T) {
	file := t.TempDir() + "/page.html"
	body := strings.Repeat("<p>hello</p>\n", 100_000)
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		http.ServeFile(w, r, file)
		http.NewResponseController(w).Flush()
	})
	srv := httptest.NewServer(onion.Location(onion.LocationConfig{Address: onion.Fixed(address)})(handler))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/page.html")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != body {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if l := resp.Header.Get("Onion-Location"); l != "http://"+string(address)+"/page.html" {
		t.Errorf("%q", l)
	}
}

// overTor makes a request that came over Tor.
func overTor(method, target, host string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host = host
	return r.WithContext(onion.WithInfo(r.Context(), onion.Info{Address: address, Port: 80}))
}

func TestPrivateServesOneHost(t *testing.T) {
	h := onion.Private(onion.PrivateConfig{Hosts: []string{"also.example"}})(page(200, "text/html", "hello"))
	for host, want := range map[string]int{
		string(address): 200, strings.ToUpper(string(address)): 200, string(address) + ":80": 200, string(address) + ".": 200,
		"www." + string(address): 200, "also.example": 200, "ALSO.example:80": 200,
		"": 421, "me.example": 421, "localhost": 421, "evil" + string(address): 421, string(address) + ".evil.example": 421, "127.0.0.1:3001": 421,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, overTor("GET", "/", host))
		if w.Code != want {
			t.Errorf("%q: %d, want %d", host, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://me.example/", nil))
	if w.Code != 200 || w.Header().Get("Referrer-Policy") != "" {
		t.Errorf("who did not come over Tor: %d %v", w.Code, w.Header())
	}
}

func TestPrivateKeepsVisitorsOnTor(t *testing.T) {
	h := onion.Private(onion.PrivateConfig{Clearnet: []string{"me.example", "www.me.example"}, ContentSecurityPolicy: "default-src 'self'"})
	for to, want := range map[string]string{
		"https://me.example/a?b#c":    "http://" + string(address) + "/a?b#c",
		"http://ME.example":           "http://" + string(address) + "/",
		"https://me.example:443/x":    "http://" + string(address) + "/x",
		"https://me.example?x":        "http://" + string(address) + "/?x",
		"//www.me.example/y":          "http://" + string(address) + "/y",
		"HTTPS://me.example/z":        "http://" + string(address) + "/z",
		"/relative":                   "/relative",
		"https://other.example/":      "https://other.example/",
		"https://me.example.evil.org": "https://me.example.evil.org",
		"mailto:x@me.example":         "mailto:x@me.example",
	} {
		w := httptest.NewRecorder()
		h(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Strict-Transport-Security", "max-age=1")
			w.Header().Set("Alt-Svc", `h3=":443"`)
			w.Header().Set("Onion-Location", "http://x.onion")
			w.Header().Set("Location", to)
			w.WriteHeader(302)
		})).ServeHTTP(w, overTor("GET", "/", string(address)))
		if got := w.Header().Get("Location"); got != want {
			t.Errorf("%q became %q, want %q", to, got, want)
		}
		for _, name := range []string{"Strict-Transport-Security", "Alt-Svc", "Onion-Location"} {
			if w.Header().Get(name) != "" {
				t.Errorf("%s is on an answer over Tor", name)
			}
		}
		if w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("Content-Security-Policy") != "default-src 'self'" {
			t.Errorf("%v", w.Header())
		}
	}
}

func TestPrivateBelievesNoProxy(t *testing.T) {
	var got *http.Request
	h := onion.Private(onion.PrivateConfig{})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	r := overTor("GET", "/", string(address))
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "True-Client-IP", "X-Forwarded-Host"} {
		r.Header.Set(name, "203.0.113.7")
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	if len(got.Header) != 0 {
		t.Errorf("the handler is told %v", got.Header)
	}
	if r.Header.Get("Via") == "" {
		t.Error("the server's own request was changed")
	}
}

func TestPrivateClosesWhatTrustsThisMachine(t *testing.T) {
	h := onion.Private(onion.PrivateConfig{Closed: []string{"/.within/hook/", "/metrics"}})(page(200, "text/html", "hello"))
	for path, want := range map[string]int{
		"/.within/hook/github": 404, "/.within/hook": 404, "/metrics": 404, "/metrics/": 404,
		"/metrics-of-mine": 200, "/": 200, "/.within/build.json": 200,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, overTor("GET", path, string(address)))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

func TestAPanicTellsNothingOfTheVisitor(t *testing.T) {
	var log bytes.Buffer
	h := onion.Private(onion.PrivateConfig{Logger: slog.New(slog.NewJSONHandler(&log, nil))})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		panic("cannot serve " + r.URL.String() + r.UserAgent())
	}))
	r := overTor("GET", "/canary-path?canary-query", string(address))
	r.Header.Set("User-Agent", "canary-agent")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 500 {
		t.Errorf("%d", w.Code)
	}
	if strings.Contains(log.String()+w.Body.String(), "canary") || !strings.Contains(log.String(), "onion_test") {
		t.Errorf("the log says %s", log.String())
	}
}
