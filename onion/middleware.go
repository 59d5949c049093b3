// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
)

// LocationConfig configures [Location]. Address is required.
type LocationConfig struct {
	// Address returns the address to tell of, or "" while there is none that works:
	// a browser that follows to a service that is down shows nothing at all.
	// [Service.Location] is one; [Fixed] is for a service that something else runs.
	Address func() Address

	// Scheme is "http", or "https" if the service has a certificate. If empty,
	// "http".
	Scheme string
}

// Fixed returns a function that always returns the same address, for
// [LocationConfig.Address].
func Fixed(a Address) func() Address { return func() Address { return a } }

// Location returns a middleware that tells visitors of pages where the site is on
// Tor, by the header field Onion-Location. Tor Browser offers to go there, or
// goes, as https://community.torproject.org/onion-services/advanced/onion-location/
// has it. It heeds the field only on pages that came over https and not from an
// onion service.
//
// The field stands once, on answers of type text/html to GET and HEAD, with path
// and query as they were asked for. It is neither on answers to requests that came
// over Tor, see [FromContext], nor on ones with a redirect.
func Location(cfg LocationConfig) func(http.Handler) http.Handler {
	scheme := cfg.Scheme
	if scheme == "" {
		scheme = "http"
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			address := cfg.Address()
			if _, over := FromContext(r.Context()); over || address == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
				next.ServeHTTP(w, r)
				return
			}
			asked := target(r) // before anybody changes the request
			next.ServeHTTP(&headerWriter{ResponseWriter: w, before: func(status int, h http.Header) {
				h.Del("Onion-Location")
				if isPage(status, h) {
					h.Set("Onion-Location", scheme+"://"+string(address)+asked)
				}
			}}, r)
		})
	}
}

// target is path and query of a request as they were sent. The absolute form of
// a target has a host in it that says nothing here.
func target(r *http.Request) string {
	raw := r.RequestURI
	if raw == "" || raw[0] != '/' {
		raw = r.URL.EscapedPath()
		if !strings.HasPrefix(raw, "/") {
			raw = "/" + raw
		}
		if r.URL.RawQuery != "" || r.URL.ForceQuery {
			raw += "?" + r.URL.RawQuery
		}
	}
	raw, _, _ = strings.Cut(raw, "#")
	// What a header field cannot have is not in what a server of net/http reads.
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, raw)
}

// isPage reports whether an answer is a document that a browser shows. A redirect
// is none.
func isPage(status int, h http.Header) bool {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/html") && (status < 300 || status >= 400) && status != http.StatusNoContent
}

// headerWriter calls before when the header is about to be sent, once.
type headerWriter struct {
	http.ResponseWriter
	before func(status int, h http.Header)
	sent   bool
}

// WriteHeader implements [http.ResponseWriter].
func (w *headerWriter) WriteHeader(status int) {
	if status >= 200 && !w.sent {
		w.sent = true
		w.before(status, w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *headerWriter) Write(b []byte) (int, error) {
	w.send(b)
	return w.ResponseWriter.Write(b)
}

// send sends a header that nobody has, with the type that net/http would find.
func (w *headerWriter) send(b []byte) {
	if w.sent {
		return
	}
	if _, ok := w.Header()["Content-Type"]; !ok && w.Header().Get("Content-Encoding") == "" && len(b) > 0 {
		w.Header().Set("Content-Type", http.DetectContentType(b))
	}
	w.WriteHeader(http.StatusOK)
}

// ReadFrom implements [io.ReaderFrom], which keeps the kernel copying files.
func (w *headerWriter) ReadFrom(r io.Reader) (int64, error) {
	if !w.sent {
		// Without a type, the beginning decides.
		if _, ok := w.Header()["Content-Type"]; !ok {
			b := bufio.NewReaderSize(r, 512)
			head, _ := b.Peek(512)
			w.send(head)
			return io.Copy(w.ResponseWriter, b)
		}
		w.WriteHeader(http.StatusOK)
	}
	return io.Copy(w.ResponseWriter, r)
}

// Unwrap is for [http.ResponseController].
func (w *headerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// PrivateConfig configures [Private]. The zero value is fit for a site at its
// service's own address.
type PrivateConfig struct {
	// Hosts are other names than the service's own address that requests may be
	// for, without a port. Names below the address ("www." and the address) are
	// always allowed.
	Hosts []string

	// Clearnet are the hosts of the same site elsewhere: redirects to them become
	// redirects to the address on Tor, so that nobody is led away from there.
	Clearnet []string

	// ContentSecurityPolicy is put on pages in place of their own, for example
	// "default-src 'self'", so that no other server hears of the visit. If empty,
	// they keep their own.
	ContentSecurityPolicy string

	// ReferrerPolicy tells browsers what to tell other sites. If empty,
	// "no-referrer".
	ReferrerPolicy string

	// Closed are the paths that are not served over Tor, and all below them: those
	// of hooks, metrics and the like. They are answered with 404.
	Closed []string

	// Logger is told of panics, without anything that the visitor has sent. If
	// nil, nobody is.
	Logger *slog.Logger
}

// forwarding are header fields that a proxy sets, and that nobody does here but
// the visitor.
var forwarding = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server",
	"X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Fastly-Client-Ip", "Via",
}

// Private returns a middleware for requests that came over Tor, see
// [FromContext]; it leaves all others alone. It refuses other hosts with 421, and
// closed paths with 404; it takes away what only a proxy could tell; it keeps
// redirects on Tor, and header fields off that lead away from it:
// Strict-Transport-Security, Alt-Svc and Onion-Location. A handler that panics is
// answered with 500, and its log entry has nothing in it that the visitor sent.
func Private(cfg PrivateConfig) func(http.Handler) http.Handler {
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			info, over := FromContext(r.Context())
			if !over {
				next.ServeHTTP(w, r)
				return
			}
			switch {
			case !cfg.serves(hostOf(r.Host), info.Address):
				http.Error(w, "This service has another address.", http.StatusMisdirectedRequest)
				return
			case cfg.closed(r.URL.Path):
				http.NotFound(w, r)
				return
			}
			own := &headerWriter{ResponseWriter: w, before: func(_ int, h http.Header) { cfg.clean(h, r.Host) }}
			defer func() {
				if p := recover(); p != nil {
					recovered(logger, own, p)
				}
			}()
			next.ServeHTTP(own, stripped(r))
		})
	}
}

// stripped is the request without what only a proxy could tell.
func stripped(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	for _, name := range forwarding {
		r.Header.Del(name)
	}
	r.RemoteAddr = "onion:0"
	return r
}

// recovered ends a request whose handler has panicked.
func recovered(logger *slog.Logger, w *headerWriter, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	// What the panic says may be made of the request.
	logger.Error("onion: a handler has panicked", "stack", stack())
	if w.sent {
		panic(http.ErrAbortHandler) // the visitor must not take it for whole
	}
	http.Error(w, "Something went wrong.", http.StatusInternalServerError)
}

func hostOf(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// serves reports whether requests may be for a host.
func (cfg *PrivateConfig) serves(host string, address Address) bool {
	if address != "" && (host == string(address) || strings.HasSuffix(host, "."+string(address))) {
		return true
	}
	return contains(cfg.Hosts, host)
}

func contains(hosts []string, host string) bool {
	for _, h := range hosts {
		if hostOf(h) == host {
			return true
		}
	}
	return false
}

// closed reports whether a path is not served.
func (cfg *PrivateConfig) closed(path string) bool {
	for _, p := range cfg.Closed {
		p = strings.TrimSuffix(p, "/")
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

// clean takes out of an answer's header what leads away from Tor. host is the one
// that the visitor has asked for.
func (cfg *PrivateConfig) clean(h http.Header, host string) {
	for _, name := range []string{"Strict-Transport-Security", "Alt-Svc", "Onion-Location", "Public-Key-Pins", "Expect-Ct", "Report-To", "Reporting-Endpoints", "Nel"} {
		h.Del(name)
	}
	for _, name := range []string{"Location", "Content-Location"} {
		if value := h.Get(name); value != "" {
			h.Set(name, cfg.stay(value, host))
		}
	}
	policy := cfg.ReferrerPolicy
	if policy == "" {
		policy = "no-referrer"
	}
	h.Set("Referrer-Policy", policy)
	if cfg.ContentSecurityPolicy != "" {
		h.Set("Content-Security-Policy", cfg.ContentSecurityPolicy)
	}
}

// stay makes an address on the clearnet one on Tor, if it is of the same site.
func (cfg *PrivateConfig) stay(location, host string) string {
	scheme, rest, ok := strings.Cut(location, "://")
	if !ok {
		if rest, ok = strings.CutPrefix(location, "//"); !ok {
			return location
		}
	} else if !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return location
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	to := hostOf(rest[:end])
	if !contains(cfg.Clearnet, to) {
		return location
	}
	path := rest[end:]
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return "http://" + host + path
}

// stack is where a handler has panicked: names of functions and lines, and no
// values.
func stack() []string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs[:])])
	var lines []string
	for {
		f, more := frames.Next()
		lines = append(lines, f.Function+":"+strconv.Itoa(f.Line))
		if !more {
			return lines
		}
	}
}
