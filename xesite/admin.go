// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"xeiaso.net/site/xesite/release"
)

// Admin says how the admin handler is protected and what it shows.
type Admin struct {
	// Token, if not empty, is asked for as a bearer token, or as the password
	// of a basic authentication, by everything but probes and metrics.
	Token Secret

	// Loopback says that the listener can only be reached from this machine.
	// Without a Token everything is open there, to requests whose Host is a
	// loopback address or "localhost" and that do not come from another site;
	// elsewhere only probes and metrics answer.
	Loopback bool

	// Metrics answers "/metrics". If nil, there is none.
	Metrics http.Handler

	// Status adds to the answer of "/api/status", under a name each. It may
	// be nil.
	Status func() map[string]any

	// Notes are sentences for the page, about how things beside the site are. It
	// may be nil.
	Notes func() []string

	// More are handlers that are protected in the same way, by their paths: for
	// what is below it too if the path ends in a slash. The page links to
	// those that are not below "/api/".
	More map[string]http.Handler
}

// AdminHandler returns the handler for operators and their probes:
//
//	GET  /livez /readyz /startupz /healthz     probes
//	GET  /metrics
//	GET  /                                     a page for people
//	GET  /api/status
//	POST /api/rebuild[?wait=1][&force=1][&branch=preview]
//	GET  /api/builds                           newest first
//	GET  /api/builds/{number}/log
//	GET  /api/releases                         newest first
//	PUT  /api/releases[?dry-run=1][&commit=][&force=1]
//	                                           an archive, see [Site.Upload]
//	POST /api/releases/{id}/rollback
//	GET  /zip[?release={id}]                   the release that is served, or that one
//	POST /api/releases/{id}/pin
//	POST /api/unpin
//	POST /api/purge[?path=/a.css&path=…]       of earlier releases
//	GET  /api/previews                         pushed last first
//	POST /api/previews/{name}/remove
//
// It belongs on a listener of its own. Readiness means that a release is
// served and nothing else: a broken build or an absent remote must not take
// the site away from its visitors.
func (s *Site) AdminHandler(a Admin) http.Handler {
	r := chi.NewRouter()
	r.Use(adminHeaders)
	probe := func(ok func() bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { writeProbe(w, ok()) }
	}
	r.Get("/livez", probe(func() bool { return true }))
	r.Get("/startupz", probe(func() bool { return true })) // New has loaded the data directory
	r.Get("/readyz", probe(s.Ready))
	r.Get("/healthz", probe(s.Ready))
	if a.Metrics != nil {
		r.Handle("/metrics", a.Metrics)
	}
	r.Group(func(r chi.Router) {
		r.Use(a.protect)
		r.Get("/", func(w http.ResponseWriter, _ *http.Request) { s.adminPage(w, a) })
		r.Get("/api/status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.status(a)) })
		r.Post("/api/rebuild", s.adminRebuild)
		r.Get("/api/builds", s.adminBuilds)
		r.Get("/api/builds/{number}/log", s.adminLog)
		r.Get("/api/releases", s.adminReleases)
		r.Put("/api/releases", s.adminUpload)
		r.Get("/zip", s.adminZip)
		r.Head("/zip", s.adminZip)
		r.Post("/api/releases/{id}/rollback", s.adminChoose(s.Rollback))
		r.Post("/api/releases/{id}/pin", s.adminChoose(s.Pin))
		r.Post("/api/unpin", func(w http.ResponseWriter, r *http.Request) {
			// A publication must not end half way when the client leaves.
			cur, err := s.Unpin(context.WithoutCancel(r.Context()))
			answerChange(w, r, cur, err)
		})
		r.Post("/api/purge", s.adminPurge)
		r.Get("/api/previews", func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, append([]Preview{}, s.Previews()...))
		})
		r.Post("/api/previews/{name}/remove", func(w http.ResponseWriter, r *http.Request) {
			name := chi.URLParam(r, "name")
			err := s.RemovePreview(context.WithoutCancel(r.Context()), name)
			answerChange(w, r, map[string]string{"removed": name}, err)
		})
		for path, h := range a.More {
			if strings.HasSuffix(path, "/") {
				path += "*"
			}
			r.Handle(path, h)
		}
	})
	return r
}

func writeProbe(w http.ResponseWriter, ok bool) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "no\n")
		return
	}
	io.WriteString(w, "ok\n")
}

func adminHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
		// Not no-referrer: forms would be sent with "Origin: null", and protect
		// refuses that where there is no TLS and so no Sec-Fetch-Site.
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// protect lets through who may steer the site.
func (a Admin) protect(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return crossOrigin.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case a.Token != "" && a.authorized(r):
			next.ServeHTTP(w, r)
		case a.Token != "":
			w.Header().Set("WWW-Authenticate", `Basic realm="admin", charset="UTF-8"`)
			writeError(w, http.StatusUnauthorized, "the admin token is needed, as a bearer token or as the password of a basic authentication")
		case !a.Loopback:
			writeError(w, http.StatusForbidden, "the admin interface is reachable from other machines and has no token: set one")
		case !loopbackHost(r.Host):
			// A name that somebody else's DNS points here is not ours.
			writeError(w, http.StatusForbidden, fmt.Sprintf("host %q is not a loopback address: use 127.0.0.1 or localhost", cut(r.Host, 80)))
		default:
			next.ServeHTTP(w, r)
		}
	}))
}

// authorized compares hashes, so that neither content nor length of the token
// shows in the time it takes.
func (a Admin) authorized(r *http.Request) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	ok := strings.EqualFold(scheme, "Bearer")
	if !ok {
		_, given, ok = r.BasicAuth()
	}
	want, got := sha256.Sum256([]byte(a.Token.Reveal())), sha256.Sum256([]byte(given))
	return ok && subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

func loopbackHost(host string) bool {
	name := hostName(host)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && addr.IsLoopback()
}

// IsLoopback reports whether a listener can only be reached from this machine.
func IsLoopback(addr net.Addr) bool {
	ap, err := netip.ParseAddrPort(addr.String())
	return addr.Network() == "unix" || err == nil && ap.Addr().Unmap().IsLoopback()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	enc.Encode(v) // the client may have left
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"error": text})
}

// Status is what "/api/status" tells.
type Status struct {
	Current  *Current       `json:"current"`            // null: nothing is served
	Running  *Build         `json:"running"`            // null: nothing is built
	Last     *Build         `json:"last"`               // null: nothing was ever built
	Waiting  int            `json:"waiting"`            // triggers that wait
	Pinned   bool           `json:"pinned"`             // nothing else is published
	Previews []Preview      `json:"previews,omitempty"` // pushed last first
	Builder  string         `json:"builder"`            // the instance that builds
	Instance string         `json:"instance"`           // this one
	Fault    string         `json:"fault,omitempty"`    // why an older release is served
	Problems []string       `json:"problems,omitempty"` // what a person should know
	More     map[string]any `json:"more,omitempty"`
}

// Status returns what an operator wants to know first.
func (s *Site) Status() Status {
	st := Status{Waiting: s.queue.length(), Instance: s.cfg.Instance, Pinned: s.Pinned(), Previews: s.Previews()}
	if cur, err := s.Current(); err == nil {
		st.Current = &cur
	}
	st.Builder, _ = s.lease.holder()
	if fault := s.production.whyOlder(); fault != nil {
		st.Fault = fault.Error()
		st.Problems = append(st.Problems, "an older release is served: "+st.Fault)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Running, st.Last = s.running, s.last
	if s.last != nil && !s.last.ok() && s.last.Result != ResultSuperseded {
		st.Problems = append(st.Problems, fmt.Sprintf("build %d %s at %s: %s", s.last.Number, s.last.Result, s.last.Stage, s.last.Error))
	}
	return st
}

func (s *Site) status(a Admin) Status {
	st := s.Status()
	if a.Status != nil {
		st.More = a.Status()
	}
	return st
}

func (s *Site) adminRebuild(w http.ResponseWriter, r *http.Request) {
	// Before it is known who builds, the trigger waits for that here.
	if holder, mine := s.lease.holder(); !mine && holder != "" {
		w.Header().Set("Retry-After", "5")
		writeError(w, http.StatusServiceUnavailable, (&NotBuilderError{holder}).Error())
		return
	}
	force, branch := isSet(r.FormValue("force")), r.FormValue("branch")
	if branch != "" && !s.previews.on { // a hook's branch does not count then
		writeError(w, http.StatusNotFound, "there are no previews: leave out the branch to build the site itself")
		return
	}
	ticket, err := s.Trigger(r.Context(), Trigger{Source: SourceAdmin, Branch: branch, Rebuild: true, Force: force})
	if errors.Is(err, ErrNotBuilt) {
		writeError(w, http.StatusNotFound, err.Error())
		return
	}
	if err != nil {
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	if !isSet(r.FormValue("wait")) {
		if r.FormValue("page") != "" { // the button of the page
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		writeJSON(w, http.StatusAccepted, map[string]string{"trigger": ticket.ID})
		return
	}
	build, err := ticket.Wait(r.Context())
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	status := http.StatusOK
	if !build.ok() {
		status = http.StatusUnprocessableEntity
	}
	writeJSON(w, status, build)
}

func isSet(v string) bool {
	on, _ := strconv.ParseBool(v)
	return on
}

func (s *Site) adminBuilds(w http.ResponseWriter, _ *http.Request) {
	builds, err := s.Builds(keepBuilds)
	if err != nil {
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, append([]Build{}, builds...))
}

func (s *Site) adminLog(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.ParseUint(chi.URLParam(r, "number"), 10, 64)
	if err != nil {
		writeError(w, http.StatusBadRequest, "the number of a build is wanted")
		return
	}
	log, err := s.BuildLog(r.Context(), number)
	if errors.Is(err, fs.ErrNotExist) {
		writeError(w, http.StatusNotFound, fmt.Sprintf("there is no log of build %d: the newest %d are kept", number, keepBuilds))
		return
	}
	if err != nil {
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	defer log.Close()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.Copy(w, log)
}

func (s *Site) adminReleases(w http.ResponseWriter, _ *http.Request) {
	releases, err := s.Releases()
	if err != nil {
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, append([]Current{}, releases...))
}

// adminChoose publishes a release of the list again.
func (s *Site) adminChoose(choose func(context.Context, release.ID) (Current, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := release.ID(chi.URLParam(r, "id"))
		if !id.Valid() {
			writeError(w, http.StatusBadRequest, "the id of a release has 64 hexadecimal digits: see /api/releases")
			return
		}
		cur, err := choose(context.WithoutCancel(r.Context()), id)
		answerChange(w, r, cur, err)
	}
}

// adminPurge purges paths, or everything. What it does not understand must not
// mean everything.
func (s *Site) adminPurge(w http.ResponseWriter, r *http.Request) {
	err := r.ParseForm()
	for name := range r.Form {
		if name != "path" && name != "page" {
			err = cmp.Or(err, fmt.Errorf("unknown field %q", cut(name, 80)))
		}
	}
	if r.ContentLength != 0 && len(r.PostForm) == 0 {
		err = cmp.Or(err, errors.New("the body is not a form"))
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error()+`: give each path as "path", in the query or in a form`)
		return
	}
	cur, err := s.Purge(context.WithoutCancel(r.Context()), r.Form["path"]...)
	answerChange(w, r, cur, err)
}

// answerChange tells how a change of what is published went.
func answerChange(w http.ResponseWriter, r *http.Request, v any, err error) {
	var elsewhere *NotBuilderError
	switch {
	case errors.As(err, &elsewhere):
		w.Header().Set("Retry-After", "5")
		writeError(w, http.StatusServiceUnavailable, err.Error())
	case errors.Is(err, release.ErrNoRelease):
		writeError(w, http.StatusNotFound, err.Error())
	case errors.Is(err, ErrPinned):
		writeError(w, http.StatusConflict, err.Error())
	case errors.Is(err, ErrBadPath):
		writeError(w, http.StatusBadRequest, err.Error())
	case err != nil:
		writeError(w, http.StatusInternalServerError, err.Error())
	case r.FormValue("page") != "": // a button of the page
		http.Redirect(w, r, "/", http.StatusSeeOther)
	default:
		writeJSON(w, http.StatusOK, v)
	}
}

//go:embed admin.html
var adminHTML string

func (s *Site) adminPage(w http.ResponseWriter, a Admin) {
	// Parsed here: it is asked for by people, and a package must not work at
	// start for what may never be used.
	page, err := template.New("admin").Funcs(template.FuncMap{
		"short": func(v any) string { s := fmt.Sprint(v); return s[:min(len(s), 12)] },
		"time":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") },
	}).Parse(adminHTML)
	if err != nil {
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	builds, _ := s.Builds(20)
	releases, _ := s.Releases()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	more := slices.DeleteFunc(slices.Sorted(maps.Keys(a.More)), func(path string) bool { return strings.HasPrefix(path, "/api/") })
	var notes []string
	if a.Notes != nil {
		notes = a.Notes()
	}
	page.Execute(w, map[string]any{"Status": s.Status(), "Builds": builds, "Releases": releases, "More": more, "Notes": notes})
}
