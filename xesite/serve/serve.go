// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package serve

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"xeiaso.net/site/xesite/release"
)

// Options say how a release is served. The zero value is good.
type Options struct {
	// Modified has the Unix time at which each file of the index last
	// changed, see [release.Publication]. If nil, no Last-Modified is sent.
	Modified []int64

	// MemoryBudget bounds the bytes of content that are kept in memory after
	// their first use. If zero, 64 MiB; if negative, none are kept.
	MemoryBudget int64

	// Previous is the handler that this one replaces. Contents that it has in
	// memory and that did not change are taken over. It may be nil.
	Previous *Handler

	// Earlier has releases, the newest first, whose files are served at paths
	// that have no other answer but a rule or status 404: see [Fingerprinted]
	// for those that pages opened before a publication ask for. Their rules do
	// not count; see [release.Release.Only].
	Earlier []*release.Release

	// AppendHTML is added to the end of every HTML page, for live reload
	// during development. Such pages are served without compression.
	AppendHTML []byte

	// OnError is told when a content cannot be read although the release was
	// whole when it was opened. The request got another representation, or
	// status 500, or 404 for one of Earlier. It may be nil.
	OnError func(error)
}

// The largest content that is kept in memory, and the default budget. Larger
// ones are sent from the file by the kernel.
const (
	maxInMemory   = 256 << 10
	defaultBudget = 64 << 20
)

// Handler answers requests from one release. It never changes; its methods
// may be called from any number of goroutines.
type Handler struct {
	rel     *release.Release
	opts    Options
	routes  map[string]*route
	rules   rules
	headers headers
	missing []missingPage // the deepest directories first
	budget  atomic.Int64  // bytes that may still be kept
}

// New compiles a release.
func New(rel *release.Release, opts Options) *Handler {
	h := &Handler{rel: rel, opts: opts}
	h.rules = compileRules(rel.Index.Redirects)
	h.headers = compileHeaders(rel.Index.Headers)
	now := time.Now()
	contents := h.compileContents(rel, opts.Modified, now)
	h.routes = h.compileRoutes(contents)
	h.compileEarlier(h.routes, now)
	h.missing = h.compileMissing(contents)
	h.budget.Store(opts.MemoryBudget)
	if opts.MemoryBudget == 0 {
		h.budget.Store(defaultBudget)
	}
	h.inherit(contents)
	h.opts.Previous = nil // it would keep all its predecessors alive
	return h
}

// inherit takes over what the previous handler has in memory.
func (h *Handler) inherit(contents []content) {
	if h.opts.Previous == nil {
		return
	}
	bodies := map[string]*[]byte{}
	for _, r := range h.opts.Previous.routes {
		if r.content == nil {
			continue
		}
		for i := range r.content.reps {
			if rep := &r.content.reps[i]; rep.body.Load() != nil {
				bodies[rep.tag[0]] = rep.body.Load()
			}
		}
	}
	for i := range contents {
		for j := range contents[i].reps {
			rep := &contents[i].reps[j]
			if body := bodies[rep.tag[0]]; body != nil && h.reserve(rep.size) {
				rep.body.Store(body)
			}
		}
	}
}

// Release returns what is served.
func (h *Handler) Release() *release.Release { return h.rel }

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.Serve(w, r) }

// Serve answers a request and returns the status that it sent, so that a
// caller can count without standing between the file and the connection.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) (status int) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header()["Allow"] = one("GET, HEAD")
		return h.message(w, r, http.StatusMethodNotAllowed)
	}
	path := cmp.Or(r.URL.Path, "/") // "GET http://host" asks for "/"
	if h.rules.forced {
		if rule, to := h.rules.find(path, r.URL.RawQuery, true); rule != nil {
			return h.serveRule(w, r, rule, to)
		}
	}
	if rt := h.routes[path]; rt != nil {
		return h.serveRoute(w, r, rt)
	}
	if rule, to := h.rules.find(path, r.URL.RawQuery, false); rule != nil {
		return h.serveRule(w, r, rule, to)
	}
	return h.serveMissing(w, r, http.StatusNotFound)
}

func (h *Handler) serveRoute(w http.ResponseWriter, r *http.Request, rt *route) int {
	if rt == elsewhere {
		return h.redirect(w, r, withQuery(escape(otherSlash(r.URL.Path)), r.URL.RawQuery), http.StatusPermanentRedirect)
	}
	c := rt.content
	rep, ranged := choose(r, c)
	header := w.Header()
	switch evaluate(r.Header, rep.tag[0], c.modified) {
	case notModified:
		for _, f := range rt.fields {
			if f.key != "Content-Type" {
				header[f.key] = f.values
			}
		}
		header["Etag"] = share(&rep.tag)
		w.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified
	case failed:
		return h.message(w, r, http.StatusPreconditionFailed)
	}
	if ranged {
		return h.serveRange(w, r, rt, rep)
	}
	return h.send(w, r, rt, rep, http.StatusOK)
}

// choose returns the representation to send, and whether a part of it is
// wanted. A part is one of identity, which every client can put together.
func choose(r *http.Request, c *content) (rep *representation, ranged bool) {
	rep = &c.reps[0]
	if c.inflated {
		return chooseInflated(r, c)
	}
	ranged = r.Header["Range"] != nil && wantsRange(r, rep.tag[0], c.modified)
	if !ranged && len(c.reps) > 1 {
		rep = negotiate(r, c.reps)
	}
	return rep, ranged
}

// chooseInflated is choose for a content that is held as gzip only. Any part
// of that is at hand, while identity has to be inflated up to the part: once,
// and not for each of several.
func chooseInflated(r *http.Request, c *content) (rep *representation, ranged bool) {
	rep = negotiate(r, c.reps)
	ranges := r.Header["Range"]
	ranged = ranges != nil && wantsRange(r, rep.tag[0], c.modified)
	return rep, ranged && (encodings[rep.coding] != nil || !strings.Contains(ranges[0], ","))
}

// negotiate chooses among the representations.
func negotiate(r *http.Request, reps []representation) *representation {
	switch accept := r.Header["Accept-Encoding"]; len(accept) {
	case 0:
		return &reps[0]
	case 1:
		return parseAccept(accept[0]).choose(reps)
	default:
		return parseAccept(strings.Join(accept, ",")).choose(reps)
	}
}

// send writes a whole representation, or another one if it cannot be read.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, rt *route, rep *representation, status int) int {
	body, file := h.body(rt.content, rep)
	if body == nil && file == nil {
		if identity := &rt.content.reps[0]; rep != identity {
			return h.send(w, r, rt, identity, status)
		}
		return h.unreadable(w, r, rt)
	}
	header := w.Header()
	for _, f := range rt.fields {
		header[f.key] = f.values
	}
	header["Content-Length"] = share(&rep.length)
	if status == http.StatusOK {
		header["Etag"] = share(&rep.tag)
	} else {
		// An error page is not a representation of the path.
		delete(header, "Last-Modified")
		header[revalidate.key] = revalidate.values
	}
	encoding := encodings[rep.coding]
	if encoding != nil {
		header["Content-Encoding"] = encoding
	}
	if status == http.StatusOK && (encoding == nil || rt.content.inflated) {
		header["Accept-Ranges"] = acceptRanges
	}
	w.WriteHeader(status)
	if file != nil {
		defer file.Close()
	}
	if r.Method == http.MethodHead {
		return status
	}
	if file != nil {
		io.Copy(w, file)
	} else {
		w.Write(*body)
	}
	return status
}

// unreadable answers for a content that cannot be read. One of an earlier
// release may be gone for good: who keeps house may know of fewer of them.
func (h *Handler) unreadable(w http.ResponseWriter, r *http.Request, rt *route) int {
	if rt.content.rel != h.rel {
		return h.serveMissing(w, r, http.StatusNotFound)
	}
	return h.message(w, r, http.StatusInternalServerError)
}

// body returns the bytes of a representation, or its open file if they are
// not to be kept in memory, or neither if it cannot be read.
func (h *Handler) body(c *content, rep *representation) (*[]byte, release.Body) {
	if body := rep.body.Load(); body != nil {
		return body, nil
	}
	file, err := c.rel.Open(c.index, rep.coding)
	if err != nil {
		h.report(err)
		return nil, nil
	}
	appended := c.html && len(h.opts.AppendHTML) > 0
	if !appended && (rep.size > maxInMemory || h.budget.Load() < rep.size) {
		return nil, file
	}
	defer file.Close()
	body, err := h.read(c, rep, file, appended)
	if err != nil {
		h.report(err)
		return nil, nil
	}
	if h.reserve(rep.size) && !rep.body.CompareAndSwap(nil, body) {
		h.budget.Add(rep.size) // somebody was faster
	}
	return body, nil
}

// reserve takes size bytes off the budget if it has them.
func (h *Handler) reserve(size int64) bool {
	if h.budget.Add(-size) < 0 {
		h.budget.Add(size)
		return false
	}
	return true
}

func (h *Handler) read(c *content, rep *representation, src io.Reader, appended bool) (*[]byte, error) {
	if appended {
		src = io.MultiReader(src, bytes.NewReader(h.opts.AppendHTML))
	}
	body := make([]byte, rep.size)
	if _, err := io.ReadFull(src, body); err != nil {
		return nil, fmt.Errorf("serve: read %q as %s: %w", c.rel.Index.Files[c.index].Path, rep.coding, err)
	}
	return &body, nil
}

func (h *Handler) report(err error) {
	if h.opts.OnError != nil {
		h.opts.OnError(err)
	}
}

// serveRange answers with a part, after the conditions have passed. The
// bookkeeping of ranges is net/http's, which does not get to see the
// conditions: it reads odd ones in its own way.
func (h *Handler) serveRange(w http.ResponseWriter, r *http.Request, rt *route, rep *representation) int {
	body, file := h.body(rt.content, rep)
	if body == nil && file == nil {
		return h.unreadable(w, r, rt)
	}
	header := w.Header()
	for _, f := range rt.fields {
		header[f.key] = f.values
	}
	header["Etag"] = share(&rep.tag)
	if encoding := encodings[rep.coding]; encoding != nil {
		header["Content-Encoding"] = encoding
		header["Content-Length"] = share(&rep.length) // ServeContent only sets that of a part
	}
	r = &http.Request{Method: r.Method, Header: http.Header{"Range": r.Header["Range"]}}
	if file == nil {
		http.ServeContent(w, r, "", rt.content.modified, bytes.NewReader(*body))
	} else {
		defer file.Close()
		http.ServeContent(w, r, "", rt.content.modified, file)
	}
	return rangeStatus(header)
}

// rangeStatus tells from the header that ServeContent left what it answered.
func rangeStatus(header http.Header) int {
	switch contentRange := header.Get("Content-Range"); {
	case strings.HasPrefix(contentRange, "bytes */"):
		return http.StatusRequestedRangeNotSatisfiable
	case contentRange != "", strings.HasPrefix(header.Get("Content-Type"), "multipart/byteranges"):
		return http.StatusPartialContent
	case header["Content-Length"] != nil:
		return http.StatusOK
	}
	return http.StatusRequestedRangeNotSatisfiable // a range that does not parse
}

// serveRule answers by a rule of the _redirects file.
func (h *Handler) serveRule(w http.ResponseWriter, r *http.Request, rule *rule, to string) int {
	if rule.Status/100 == 3 {
		return h.redirect(w, r, to, rule.Status)
	}
	target, _, _ := strings.Cut(to, "?")
	if unescaped, err := url.PathUnescape(target); err == nil {
		target = unescaped
	}
	rt := h.routes[target]
	if rt == elsewhere { // "/dir" for "/dir/"
		rt = h.routes[target+"/"]
	}
	if rt == nil || rt == elsewhere {
		return h.serveMissing(w, r, max(rule.Status, http.StatusNotFound))
	}
	// The path that was asked for decides which header rules apply.
	rt = h.route(r.URL.Path, rt.content)
	if rule.Status == http.StatusOK {
		return h.serveRoute(w, r, rt)
	}
	return h.sendPage(w, r, rt, rule.Status)
}

// serveMissing answers with the nearest 404.html up the tree.
func (h *Handler) serveMissing(w http.ResponseWriter, r *http.Request, status int) int {
	if status != http.StatusNotFound {
		return h.message(w, r, status)
	}
	for _, page := range h.missing {
		if strings.HasPrefix(r.URL.Path, page.dir) {
			return h.sendPage(w, r, h.route(r.URL.Path, page.content), status)
		}
	}
	return h.message(w, r, status)
}

// sendPage sends a page with another status than 200: no conditions, no
// ranges, no validators.
func (h *Handler) sendPage(w http.ResponseWriter, r *http.Request, rt *route, status int) int {
	return h.send(w, r, rt, negotiate(r, rt.content.reps), status)
}

// redirect sends a Location, which is escaped already.
func (h *Handler) redirect(w http.ResponseWriter, r *http.Request, location string, status int) int {
	w.Header()["Location"] = one(location)
	return h.message(w, r, status)
}

// message sends a short page of our own.
func (h *Handler) message(w http.ResponseWriter, r *http.Request, status int) int {
	text := strconv.Itoa(status) + " " + http.StatusText(status)
	page := "<!doctype html><html lang=\"en\"><meta name=\"viewport\" content=\"width=device-width\">" +
		"<meta name=\"color-scheme\" content=\"light dark\"><title>" + text + "</title><h1>" + text + "</h1></html>\n"
	header := w.Header()
	cache := revalidate
	if status >= http.StatusInternalServerError {
		cache = noStore
	}
	header[cache.key] = cache.values
	header[nosniff.key] = nosniff.values
	header["Content-Type"] = one("text/html; charset=utf-8")
	header["Content-Length"] = one(strconv.Itoa(len(page)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		io.WriteString(w, page)
	}
	return status
}

// otherSlash returns the path with a slash at its end, or without it.
func otherSlash(path string) string {
	if without, ok := strings.CutSuffix(path, "/"); ok {
		return without
	}
	return path + "/"
}

// escape returns a path for the Location header.
func escape(path string) string {
	return local((&url.URL{Path: path}).EscapedPath())
}

func withQuery(location, rawQuery string) string {
	if rawQuery == "" {
		return location
	}
	return location + "?" + rawQuery
}
