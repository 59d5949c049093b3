// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Program plain serves a directory with the standard library alone, or, with
// -file, one file's content whatever is asked for.
package main

import (
	"flag"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	addr := flag.String("addr", "", "where to listen")
	dir := flag.String("dir", ".", "what to serve")
	file := flag.String("file", "", "serve only this")
	flag.Parse()
	handler := http.FileServerFS(os.DirFS(*dir))
	if *file != "" {
		content, err := os.ReadFile(*file)
		if err != nil {
			log.Fatal(err)
		}
		handler = constant(content)
	}
	// As the host program has it.
	server := &http.Server{
		Addr: *addr, Handler: handler,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second, IdleTimeout: 120 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

func constant(content []byte) http.Handler {
	length := []string{strconv.Itoa(len(content))}
	contentType := []string{"text/html; charset=utf-8"}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = contentType
		w.Header()["Content-Length"] = length
		w.Write(content)
	})
}
