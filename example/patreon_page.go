// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"time"

	"xeiaso.net/site/patreon"
)

//go:embed patreon.html
var patreonHTML string

var patreonPage = template.Must(template.New("patreon").Funcs(template.FuncMap{
	"time": func(t time.Time) string {
		if t.IsZero() {
			return "–"
		}
		return t.UTC().Format("2006-01-02 15:04:05 UTC")
	},
}).Parse(patreonHTML))

// handlers are for operators: a page, and a button.
func (s *supporters) handlers() map[string]http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /patreon", s.page)
	mux.HandleFunc("POST /api/patreon/read", func(w http.ResponseWriter, r *http.Request) {
		s.tell()
		if r.URL.Query().Has("page") {
			http.Redirect(w, r, "/patreon", http.StatusSeeOther)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		json.NewEncoder(w).Encode(map[string]bool{"asked": true})
	})
	return map[string]http.Handler{"/patreon": mux, "/api/patreon/": mux}
}

func (s *supporters) page(w http.ResponseWriter, _ *http.Request) {
	var data struct {
		Token   *patreon.Status
		Webhook *patreon.RegistrationStatus
		Known   bool
		Count   int
		At      time.Time
		Problem string
	}
	if s.keeper != nil {
		status := s.keeper.Status()
		data.Token = &status
	}
	if s.register != nil {
		status := s.register.Status()
		data.Webhook = &status
	}
	s.mu.Lock()
	list, problem := s.list, s.problem
	s.mu.Unlock()
	if l, err := list.List(); err == nil {
		data.Known, data.Count, data.At = true, len(l.Supporters), l.At
	}
	data.Problem = problem
	var page bytes.Buffer
	if err := patreonPage.Execute(&page, data); err != nil {
		s.log.Error("the page about Patreon", "err", err)
		http.Error(w, "the page cannot be made; the log tells why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(page.Bytes())
}
