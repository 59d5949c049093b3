// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
)

// Listener says how the site answers on one listener. The zero value is good.
type Listener struct {
	// Name is the value of the metrics' label listener. If empty, "public".
	Name string

	// AccessLog gets a line for each request. If nil, none is written.
	AccessLog *slog.Logger

	// Hooks are mounted at "/.within/hook/<name>".
	Hooks map[string]http.Handler

	// Previews makes the previews of [Config.Previews] answer here. Middleware
	// does not see their requests.
	Previews bool

	// Middleware goes around the site and inside counting and logging, the
	// first one outermost. One that only sets headers, or answers by itself,
	// costs nothing else: the site still writes to the connection directly.
	Middleware []func(http.Handler) http.Handler
}

// Handler returns the site as an [http.Handler] for one listener: the current
// release on every path, and below "/.within/" what is ours: build.json, the
// hooks, and live reload if it is on. It counts requests, so make it once.
func (s *Site) Handler(l Listener) http.Handler {
	f := &front{
		site:     s,
		log:      l.AccessLog,
		counters: &requestCounters{vec: s.metrics.requests, listener: cmp.Or(l.Name, "public")},
		own:      s.ownRoutes(l),
	}
	if l.Previews && s.previews.on {
		f.previews = s.previews
	}
	if len(l.Middleware) > 0 {
		f.chain = http.HandlerFunc(f.endOfChain)
		for _, m := range slices.Backward(l.Middleware) {
			f.chain = m(f.chain)
		}
	}
	return f
}

// ownPrefix begins the paths that are not the release's.
const ownPrefix = "/.within/"

// ownRoutes are the paths below ownPrefix. What is not among them is asked of
// the release.
func (s *Site) ownRoutes(l Listener) http.Handler {
	r := chi.NewRouter()
	r.Get(ownPrefix+"build.json", s.serveInfo)
	r.Head(ownPrefix+"build.json", s.serveInfo)
	for name, hook := range l.Hooks {
		r.Handle(ownPrefix+"hook/"+name, hook)
	}
	if s.cfg.LiveReload {
		r.Get(ownPrefix+"reload.js", serveReloadScript)
		r.Get(ownPrefix+"reload", s.production.serveReload)
	}
	r.NotFound(s.ServeHTTP)
	r.MethodNotAllowed(s.ServeHTTP)
	return r
}

// front answers on one listener. Nothing stands between the release's handler
// and the connection: the handler tells its status by itself.
type front struct {
	site     *Site
	log      *slog.Logger
	counters *requestCounters
	own      http.Handler
	chain    http.Handler // the middleware, nil if there is none
	previews *previews    // nil: none answer here
}

// ServeHTTP implements [http.Handler].
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Time{}
	if f.log != nil {
		start = time.Now()
	}
	var status int
	if name, ok := f.previews.match(r); ok {
		status = f.previews.serve(w, r, name)
	} else if f.chain == nil {
		status = f.serve(w, r)
	} else {
		status = f.serveChain(w, r)
	}
	f.counters.count(r.Method, status)
	if f.log != nil {
		logRequest(f.log, r, status, start)
	}
}

// recorders are used again: a request must not allocate for being counted.
var recorders = sync.Pool{New: func() any { return new(statusRecorder) }}

// serveChain sends a recorder through the middleware. At the end of the chain
// the site takes the connection back out of it; what it records are the
// answers of the middleware itself.
func (f *front) serveChain(w http.ResponseWriter, r *http.Request) int {
	rec := recorders.Get().(*statusRecorder)
	*rec = statusRecorder{ResponseWriter: w}
	f.chain.ServeHTTP(rec, r)
	status := cmp.Or(rec.status, http.StatusOK)
	*rec = statusRecorder{}
	recorders.Put(rec)
	return status
}

// endOfChain is the site as the middleware sees it.
func (f *front) endOfChain(w http.ResponseWriter, r *http.Request) {
	rec, direct := w.(*statusRecorder)
	if direct {
		w = rec.ResponseWriter
	}
	status := f.serve(w, r)
	if direct {
		rec.status = status
	}
}

func (f *front) serve(w http.ResponseWriter, r *http.Request) (status int) {
	if strings.HasPrefix(r.URL.Path, ownPrefix) {
		rec := &statusRecorder{ResponseWriter: w}
		f.own.ServeHTTP(rec, r)
		return cmp.Or(rec.status, http.StatusOK)
	}
	return f.site.production.serve(w, r)
}

// logRequest writes one line. The query may hold what visitors did not mean
// to share, and the client's address is their own business: neither is in it.
func logRequest(log *slog.Logger, r *http.Request, status int, start time.Time) {
	log.InfoContext(r.Context(), "request", "method", methods[methodIndex(r.Method)], "path", cut(r.URL.Path, 256),
		"status", status, "dur", time.Since(start).Seconds(), "proto", r.Proto)
}

func cut(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// statusRecorder remembers the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] through.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// serveInfo tells what is served, always of the release that answers now.
func (s *Site) serveInfo(w http.ResponseWriter, r *http.Request) {
	s.production.serveInfo(w, r)
}

func (c *channel) serveInfo(w http.ResponseWriter, r *http.Request) {
	v := c.serving.Load()
	if v == nil {
		unavailable(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(append(v.info, '\n'))
}

const unavailablePage = `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">` +
	`<meta name="color-scheme" content="light dark"><meta http-equiv="refresh" content="5"><title>Back in a moment</title>` +
	`<h1>Back in a moment</h1><p>This site is being built for the first time. This page reloads by itself.</p></html>` + "\n"

// unavailable answers while there is no release yet.
func unavailable(w http.ResponseWriter, r *http.Request) int {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(unavailablePage)))
	w.Header().Set("Retry-After", "5")
	w.WriteHeader(http.StatusServiceUnavailable)
	if r.Method != http.MethodHead {
		io.WriteString(w, unavailablePage)
	}
	return http.StatusServiceUnavailable
}

// CanonicalHost sends visitors of other host names to the site's own one.
type CanonicalHost struct {
	// Host is the canonical host, with a port if it is not the default one.
	// If empty, nobody is sent anywhere.
	Host string

	// Scheme is "https" if empty.
	Scheme string

	// Others are hosts to leave alone, such as the onion address.
	Others []string
}

// Middleware returns a handler that redirects GET and HEAD with 308 (other
// methods are let through: a hook must not depend on the name it was
// configured with), and never touches paths below "/.within/".
func (c CanonicalHost) Middleware(next http.Handler) http.Handler {
	if c.Host == "" {
		return next
	}
	scheme := cmp.Or(c.Scheme, "https")
	leave := map[string]bool{hostName(c.Host): true}
	for _, host := range c.Others {
		leave[hostName(host)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		safe := r.Method == http.MethodGet || r.Method == http.MethodHead
		// The exact name first: it needs no work.
		if r.Host == c.Host || !safe || strings.HasPrefix(r.URL.Path, ownPrefix) || leave[hostName(r.Host)] {
			next.ServeHTTP(w, r)
			return
		}
		target := *r.URL
		target.Opaque = "" // of "GET x:.evil.example", which would lengthen the host
		w.Header().Set("Location", scheme+"://"+c.Host+"/"+strings.TrimPrefix(target.RequestURI(), "/"))
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.WriteHeader(http.StatusPermanentRedirect)
	})
}

// hostName returns a host without port and trailing dot, in lower case.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// Clacks adds X-Clacks-Overhead to every answer: a man is not dead while his
// name is still spoken. Without names it adds nothing.
func Clacks(names ...string) func(http.Handler) http.Handler {
	values := make([]string, 0, len(names))
	for _, name := range names {
		values = append(values, "GNU "+name)
	}
	return func(next http.Handler) http.Handler {
		if len(values) == 0 {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-Clacks-Overhead"] = values[:len(values):len(values)]
			next.ServeHTTP(w, r)
		})
	}
}
