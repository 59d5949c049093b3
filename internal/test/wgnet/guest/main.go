// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Command guest is the server in a virtual machine that tests have beside the other
// end of a tunnel. It keeps what is PUT, and gives it back to GET; /status tells how
// WireGuard in the kernel is.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"time"
)

// store is the handler. Its mutex guards content.
type store struct {
	mu      sync.Mutex
	content []byte
}

// ServeHTTP implements [http.Handler].
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/status":
		status(w)
	case r.Method == http.MethodPut:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.content = body
		s.mu.Unlock()
		fmt.Fprintf(w, "%x", sha256.Sum256(body))
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		_, _ = w.Write(s.content)
	}
}

// status writes what has no secrets in it.
func status(w io.Writer) {
	for _, args := range [][]string{{"uname", "-srv"}, {"wg", "show", "all", "latest-handshakes"}, {"wg", "show", "all", "transfer"}} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			fmt.Fprintln(w, args, err)
		}
		_, _ = w.Write(out)
	}
}

func main() {
	server := &http.Server{Addr: "[::]:80", Handler: &store{}, ReadHeaderTimeout: time.Minute}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	os.Exit(1)
}
