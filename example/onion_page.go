// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
)

//go:embed onion.html
var onionHTML string

var onionPage = template.Must(template.New("onion").Funcs(template.FuncMap{"time": shortTime}).Parse(onionHTML))

// handlers are for operators: a page.
func (o *onionSite) handlers() map[string]http.Handler {
	return map[string]http.Handler{"/onion": http.HandlerFunc(o.page)}
}

func (o *onionSite) page(w http.ResponseWriter, _ *http.Request) {
	var page bytes.Buffer
	if err := onionPage.Execute(&page, o.status()); err != nil {
		o.log.Error("the page about the onion service", "err", err)
		http.Error(w, "the page cannot be made; the log tells why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(page.Bytes())
}
