// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"time"
)

// AdminHandler returns a handler for operators:
//
//	GET  /syndication                       a page for people
//	GET  /api/syndication                   {"status": [Status], "entries": [[Entry], …]}
//	GET  /api/syndication/preview?post=ID   what would be sent about a post, by id or address
//	POST /api/syndication/recover           see [Syndicator.Recover]
//	POST /api/syndication/{target}/{id}/retry
//	POST /api/syndication/{target}/{id}/forget
//	POST /api/syndication/{target}/{id}/confirm   {"url": "…"}, which may be left out
//	POST /api/syndication/{target}/{id}/delete
//
// The id is [Post.Key]. It neither asks who calls nor whether the request comes
// from another site: put it behind something that does.
func (s *Syndicator) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /syndication", s.adminPage)
	mux.HandleFunc("GET /api/syndication", s.adminList)
	mux.HandleFunc("GET /api/syndication/preview", s.adminPreview)
	mux.HandleFunc("POST /api/syndication/recover", s.adminRecover)
	command := func(name string, do func(ctx context.Context, target, key string, r *http.Request) error) {
		mux.HandleFunc("POST /api/syndication/{target}/{id}/"+name, func(w http.ResponseWriter, r *http.Request) {
			const most = 16 << 10
			r.Body = http.MaxBytesReader(w, r.Body, most)
			// A command must not end half way when the client leaves.
			err := do(context.WithoutCancel(r.Context()), r.PathValue("target"), r.PathValue("id"), r)
			answerCommand(w, r, name, err)
		})
	}
	plain := func(do func(context.Context, string, string) error) func(context.Context, string, string, *http.Request) error {
		return func(ctx context.Context, target, key string, _ *http.Request) error { return do(ctx, target, key) }
	}
	command("retry", plain(s.Retry))
	command("forget", plain(s.Forget))
	command("delete", plain(s.Delete))
	command("confirm", func(ctx context.Context, target, key string, r *http.Request) error {
		address, err := confirmedAddress(r)
		if err != nil {
			return err
		}
		return s.Confirm(ctx, target, key, address)
	})
	return mux
}

// errBadRequest is in the error of a request that makes no sense.
var errBadRequest = errors.New("bad request")

// confirmedAddress takes the address out of a form or a JSON body, which may be
// empty.
func confirmedAddress(r *http.Request) (string, error) {
	wrong := fmt.Errorf(`%w: the body must be like {"url": "https://…"}`, errBadRequest)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errBadRequest, err)
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return "", nil
	}
	// By what it is and not by what it is called: curl calls all of it a form.
	if body[0] != '{' {
		form, err := url.ParseQuery(string(body))
		if err != nil || !form.Has("url") {
			return "", wrong
		}
		return form.Get("url"), nil
	}
	var fields struct {
		URL string `json:"url"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(&fields) != nil || d.Decode(new(any)) != io.EOF {
		return "", wrong
	}
	return fields.URL, nil
}

func answerCommand(w http.ResponseWriter, r *http.Request, name string, err error) {
	switch {
	case errors.Is(err, ErrNoEntry):
		answer(w, http.StatusNotFound, map[string]string{"error": err.Error()})
	case errors.Is(err, ErrState):
		answer(w, http.StatusConflict, map[string]string{"error": err.Error()})
	case errors.Is(err, errBadRequest), errors.Is(err, errAddress):
		answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
	case err != nil:
		answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
	case r.URL.Query().Get("page") != "": // a button of the page
		http.Redirect(w, r, "/syndication", http.StatusSeeOther)
	default:
		answer(w, http.StatusOK, map[string]string{"done": name})
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff") // texts of others are in it
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	enc.Encode(v) // the client may have left
}

func (s *Syndicator) adminList(w http.ResponseWriter, r *http.Request) {
	entries, err := s.Entries(r.Context())
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	answer(w, http.StatusOK, map[string]any{"status": s.Status(), "entries": append([]Entry{}, entries...)})
}

func (s *Syndicator) adminPreview(w http.ResponseWriter, r *http.Request) {
	wanted := r.FormValue("post")
	for _, p := range s.allObserved() {
		if p.ID != wanted && p.Key() != wanted && !p.IsAbout(wanted) {
			continue
		}
		previews, err := s.Preview(r.Context(), p)
		if err != nil {
			answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
			return
		}
		answer(w, http.StatusOK, append([]Preview{}, previews...))
		return
	}
	answer(w, http.StatusNotFound, map[string]string{"error": "there is no such post on the site: give its id or address as post"})
}

func (s *Syndicator) adminRecover(w http.ResponseWriter, r *http.Request) {
	found, err := s.Recover(context.WithoutCancel(r.Context()), s.allObserved())
	result := map[string]any{"found": found}
	status := http.StatusOK
	if err != nil {
		result["error"], status = err.Error(), http.StatusBadGateway
	} else if r.FormValue("page") != "" { // the button of the page
		http.Redirect(w, r, "/syndication", http.StatusSeeOther)
		return
	}
	answer(w, status, result)
}

//go:embed admin.html
var adminHTML string

func (s *Syndicator) adminPage(w http.ResponseWriter, r *http.Request) {
	// Parsed here, since most programs never show it.
	page, err := template.New("admin").Funcs(template.FuncMap{
		"time":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") },
		"count": func(t TargetStatus, state string) int { return t.Outbox[State(state)] },
	}).Parse(adminHTML)
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	entries, err := s.Entries(r.Context())
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	const most = 200 // the newest, and first those that wait for somebody
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	page.Execute(w, map[string]any{"Status": s.Status(), "Entries": entries[:min(len(entries), most)]})
}
