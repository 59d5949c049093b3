// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed wg.html
var wgHTML string

var wgPage = template.Must(template.New("wg").Funcs(template.FuncMap{"time": shortTime, "bytes": shortBytes}).Parse(wgHTML))

// shortBytes is a number of bytes on a page.
func shortBytes(n uint64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/1000, 0
	for ; size >= 999.95; unit++ {
		size /= 1000
	}
	return fmt.Sprintf("%.1f %cB", size, units[unit])
}

// handlers are for operators: a page.
func (p *privateNetwork) handlers() map[string]http.Handler {
	return map[string]http.Handler{"/wg": http.HandlerFunc(p.page)}
}

func (p *privateNetwork) page(w http.ResponseWriter, _ *http.Request) {
	var page bytes.Buffer
	if err := wgPage.Execute(&page, p.status()); err != nil {
		p.log.Error("the page about the tunnel", "err", err)
		http.Error(w, "the page cannot be made; the log tells why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(page.Bytes())
}
