// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// match reports whether a request is for a preview, and for which.
func (p *previews) match(r *http.Request) (name string, ok bool) {
	if p == nil {
		return "", false
	}
	if p.Domain[0] == '/' {
		rest, ok := strings.CutPrefix(r.URL.Path, p.Domain+"/")
		name, _, _ = strings.Cut(rest, "/")
		return name, ok
	}
	// The length first: most requests end here.
	i := len(r.Host) - len(p.Domain) - 1
	if i < 1 || r.Host[i] != '.' || !strings.EqualFold(r.Host[i+1:], p.Domain) {
		return "", false
	}
	return strings.ToLower(r.Host[:i]), true
}

// serve answers for a preview. Who has not shown the token learns nothing, not
// even which previews there are.
func (p *previews) serve(w http.ResponseWriter, r *http.Request, name string) (status int) {
	rec := &previewWriter{statusRecorder{ResponseWriter: w}, p.base(name)}
	switch {
	case r.URL.Path == "/robots.txt":
		rec.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(rec, "User-agent: *\nDisallow: /\n")
	case !p.admit(rec, r):
	default:
		ch := p.find(r.Context(), name)
		if ch == nil {
			page(rec, http.StatusNotFound, "There is no such preview", "<p>Its branch was never pushed, or not for a long time.</p>")
			break
		}
		ch.servePreview(rec, r)
	}
	return cmp.Or(rec.status, http.StatusOK)
}

// servePreview answers from a preview's release.
func (c *channel) servePreview(w *previewWriter, r *http.Request) {
	if w.base != "" {
		if r.URL.Path == w.base {
			redirect(w, "/", r.URL.RawQuery)
			return
		}
		inside := *r
		inside.URL = &url.URL{Path: strings.TrimPrefix(r.URL.Path, w.base), RawQuery: r.URL.RawQuery}
		r = &inside
	}
	get, head := r.Method == http.MethodGet, r.Method == http.MethodHead
	switch path := r.URL.Path; {
	case path == ownPrefix+"reload.js" && (get || head):
		serveReloadScript(w, r)
	case path == ownPrefix+"reload" && get:
		c.serveReload(w, r)
	case path == ownPrefix+"build.json" && (get || head):
		c.serveInfo(w, r)
	default:
		c.serve(w, r)
	}
}

// redirect leads to a path of the preview.
func redirect(w http.ResponseWriter, path, query string) {
	if query != "" {
		path += "?" + query
	}
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}

// previewWriter is the connection of a preview's visitor: it keeps answers out
// of search engines and shared caches, and redirects below the preview's root.
type previewWriter struct {
	statusRecorder
	base string
}

// WriteHeader implements [http.ResponseWriter].
func (w *previewWriter) WriteHeader(status int) {
	h := w.Header()
	h.Set("X-Robots-Tag", "noindex, nofollow")
	// Addresses of previews are nobody else's business.
	h.Set("Referrer-Policy", "same-origin")
	if h.Get("Cache-Control") != "no-store" {
		h.Set("Cache-Control", "private, no-cache")
	}
	for name := range h { // what the site's rules tell shared caches in particular
		if strings.HasSuffix(name, "Cdn-Cache-Control") || name == "Surrogate-Control" || name == "X-Accel-Expires" {
			h.Del(name)
		}
	}
	if location := h.Get("Location"); strings.HasPrefix(location, "/") && w.status == 0 {
		h.Set("Location", w.base+location)
	}
	w.statusRecorder.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *previewWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.statusRecorder.Write(p)
}

// Who has shown the token gets a cookie, which does not hold it.
const (
	previewCookie = "xesite_preview"
	maxTokenForm  = 4 << 10
)

// admit reports whether a request may see previews, and answers it otherwise.
func (p *previews) admit(w *previewWriter, r *http.Request) bool {
	if p.Token == "" {
		return true
	}
	// First, so that the token does not stay in the address bar.
	given := r.URL.Query().Get("token")
	if !same(given, p.Token.Reveal()) && p.known(r) {
		return true
	}
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxTokenForm)
		given = r.PostFormValue("token")
	}
	if !same(given, p.Token.Reveal()) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="preview"`)
		page(w, http.StatusUnauthorized, "This is a preview", `<form method="post"><p><label>Token: <input name="token" type="password" required autofocus></label> <button>Show</button></p></form>`)
		return false
	}
	http.SetCookie(w, &http.Cookie{
		Name: previewCookie, Value: p.pass(), Path: cmp.Or(w.base, "/"), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(p.site.cfg.SiteURL, "https:"), MaxAge: int((30 * 24 * time.Hour).Seconds()),
	})
	query := r.URL.Query()
	query.Del("token")
	redirect(w, local(below(r.URL.EscapedPath(), w.base)), query.Encode())
	return false
}

// known reports whether a request has the cookie of who has shown the token,
// or the token itself in a header.
func (p *previews) known(r *http.Request) bool {
	if cookie, err := r.Cookie(previewCookie); err == nil && same(cookie.Value, p.pass()) {
		return true
	}
	_, given, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return ok && same(given, p.Token.Reveal())
}

// below returns what of an escaped path is below the one of a preview, whose
// name may be escaped in it too.
func below(path, base string) string {
	for range strings.Count(base, "/") {
		_, path, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	}
	return path
}

// pass is the cookie's value. It changes with the token.
func (p *previews) pass() string {
	mac := hmac.New(sha256.New, []byte(p.Token.Reveal()))
	io.WriteString(mac, previewCookie)
	return hex.EncodeToString(mac.Sum(nil))
}

// same compares hashes, so that the time it takes tells nothing.
func same(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// local makes a path of any escaped one that no browser takes for a host.
func local(path string) string {
	return "/" + strings.TrimLeft(path, `/\`)
}

// page writes a short page of our own.
func page(w http.ResponseWriter, status int, title, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(status)
	io.WriteString(w, `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>`+
		title+`</title><h1>`+title+`</h1>`+body+"</html>\n")
}
