// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"xeiaso.net/site/xesite/release"
)

// An upload may be slow, but must come along: it may stand still for as long,
// and over all be no slower than that.
const (
	uploadStall   = 60 * time.Second
	uploadMinRate = 1 << 10 // bytes per second
)

// body is a request's body whose deadline moves along with it: the server's
// own bounds the whole of a request, which is for small ones.
type body struct {
	src   io.Reader
	conn  *http.ResponseController
	start time.Time
	n     int64
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	latest := b.start.Add(uploadStall + time.Duration(b.n/uploadMinRate)*time.Second)
	if stall := time.Now().Add(uploadStall); stall.Before(latest) {
		latest = stall
	}
	b.conn.SetReadDeadline(latest) // not supported: then there is none to move
	n, err := b.src.Read(p)
	b.n += int64(n)
	return n, err
}

// uploadAnswer is what an upload is answered with.
type uploadAnswer struct {
	Build
	DryRun  bool `json:"dry_run"`
	Changes struct {
		Added   pathList `json:"added"`
		Changed pathList `json:"changed"`
		Removed pathList `json:"removed"`
	} `json:"changes"`
}

// pathList is a list of paths that may be cut.
type pathList struct {
	Count int      `json:"count"`
	Paths []string `json:"paths"` // the first maxListed
}

const maxListed = 1000

func listed(paths []string) pathList {
	return pathList{len(paths), append([]string{}, paths[:min(len(paths), maxListed)]...)}
}

func (s *Site) adminUpload(w http.ResponseWriter, r *http.Request) {
	query, err := uploadQuery(r.URL.RawQuery) // not the form: the body is the archive
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	u := Upload{
		Commit: query.Get("commit"), Force: isSet(query.Get("force")), DryRun: isSet(query.Get("dry-run")),
		Archive: &body{src: r.Body, conn: http.NewResponseController(w), start: time.Now()},
	}
	if err := checkCommit(u.Commit); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	if limit := s.cfg.UploadLimits.WithDefaults().Archive; r.ContentLength > limit {
		writeError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the archive has %d bytes, and at most %d are taken", r.ContentLength, limit))
		return
	}
	// The publication must not end half way when the client leaves.
	up, err := s.Upload(context.WithoutCancel(r.Context()), u)
	status := uploadStatus(up, err)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	if up.Result == "" { // there is no record
		writeError(w, status, err.Error())
		return
	}
	answer := uploadAnswer{Build: up.Build, DryRun: up.DryRun}
	answer.Changes.Added, answer.Changes.Changed, answer.Changes.Removed = listed(up.Changes.Added), listed(up.Changes.Changed), listed(up.Changes.Removed)
	writeJSON(w, status, answer)
}

// uploadQuery reads the parameters of an upload. What it does not understand
// must not mean "no": a rehearsal would be the performance.
func uploadQuery(raw string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, err
	}
	for name, values := range query {
		switch name {
		case "commit":
		case "force", "dry-run":
			if _, err := strconv.ParseBool(values[0]); err != nil {
				return nil, fmt.Errorf("%s=%q: want %s=1 or %s=0", name, cut(values[0], 80), name, name)
			}
		default:
			return nil, fmt.Errorf("unknown parameter %q: there are commit, dry-run and force", cut(name, 80))
		}
	}
	return query, nil
}

// uploadStatus returns the status for what became of an upload.
func uploadStatus(up Uploaded, err error) int {
	var elsewhere *NotBuilderError
	switch {
	case errors.As(err, &elsewhere):
		return http.StatusServiceUnavailable
	case errors.Is(err, ErrPinned):
		return http.StatusConflict
	case errors.Is(err, release.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errBody):
		return http.StatusBadRequest
	case errors.Is(err, release.ErrArchive), err != nil && up.Result == ResultRejected:
		return http.StatusUnprocessableEntity
	case err != nil:
		return http.StatusInternalServerError
	case up.Result == ResultPublished && !up.DryRun:
		return http.StatusCreated
	}
	return http.StatusOK
}

func (s *Site) adminZip(w http.ResponseWriter, r *http.Request) {
	rel, err := s.zipped(r.Context(), release.ID(r.URL.Query().Get("release")))
	switch {
	case errors.Is(err, release.ErrNoRelease):
		writeError(w, http.StatusNotFound, err.Error())
		return
	case err != nil:
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	h := w.Header()
	tag := `"` + string(rel.ID) + "-" + release.ZipTag + `"`
	h.Set("Etag", tag)
	h.Set("Cache-Control", "private, no-cache")
	for _, list := range r.Header.Values("If-None-Match") {
		for item := range strings.SplitSeq(list, ",") {
			if item = strings.TrimSpace(item); item == "*" || strings.TrimPrefix(item, "W/") == tag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
	}
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": s.zipName(rel.ID)}))
	if r.Method == http.MethodHead {
		return
	}
	out := &counted{w: w}
	if err := rel.WriteZip(r.Context(), out); err != nil {
		s.abortZip(w, r, out, err)
	}
}

// abortZip answers a download that failed. One that was begun must not look
// complete, so its connection is cut.
func (s *Site) abortZip(w http.ResponseWriter, r *http.Request, out *counted, err error) {
	if out.n == 0 {
		for _, name := range []string{"Etag", "Content-Disposition"} {
			w.Header().Del(name)
		}
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	if r.Context().Err() == nil && out.err == nil { // the client did not just leave
		s.log.ErrorContext(r.Context(), "a download of the release was cut off", "err", err)
	}
	panic(http.ErrAbortHandler)
}

// counted tells whether an answer was begun, and whether its reader left.
type counted struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.err = cmp.Or(c.err, err)
	return n, err
}

// zipped returns the release with an id, the one that is served if it is empty.
func (s *Site) zipped(ctx context.Context, id release.ID) (*release.Release, error) {
	cur := s.production.serving.Load()
	switch {
	case cur != nil && (id == "" || id == cur.rel.ID):
		return cur.rel, nil
	case id == "":
		return nil, fmt.Errorf("xesite: %w", release.ErrNoRelease)
	case !id.Valid():
		return nil, fmt.Errorf("xesite: %w with the id %q, which has 64 hexadecimal digits: see /api/releases", release.ErrNoRelease, cut(string(id), 80))
	}
	rel, err := s.store.Release(ctx, id)
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, release.ErrCorrupt) {
		return nil, fmt.Errorf("xesite: %w with the id %s: see /api/releases", release.ErrNoRelease, id)
	}
	return rel, err
}

// zipName is what a browser saves the zip as.
func (s *Site) zipName(id release.ID) string {
	host := "site"
	if u, err := url.Parse(s.cfg.SiteURL); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	return host + "-" + id.Short() + ".zip"
}
