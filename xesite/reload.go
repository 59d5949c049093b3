// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// reloadTag is added to every page when live reload is on.
const reloadTag = `<script src="/.within/reload.js" defer></script>`

// reloadScript loads the page again when the server says that there is a new
// release, and also when the server was away: it may have come back with one.
const reloadScript = `let seen;
const events = new EventSource("/.within/reload");
events.onmessage = (event) => {
  if (seen !== undefined && seen !== event.data) location.reload();
  seen = event.data;
};
`

func serveReloadScript(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	io.WriteString(w, reloadScript)
}

// reloader tells open pages that there is a new release.
type reloader struct {
	mu   sync.Mutex // guards next
	next chan struct{}
}

// changed returns a channel that is closed at the next publication.
func (l *reloader) changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == nil {
		l.next = make(chan struct{})
	}
	return l.next
}

func (l *reloader) notify() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next != nil {
		close(l.next)
		l.next = nil
	}
}

// keepAlive is how often an open stream is written to, so that proxies and
// the network keep it.
const keepAlive = 20 * time.Second

// serveReload is a stream of server-sent events: the release that is served,
// now and after each change.
func (s *Site) serveReload(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := http.NewResponseController(w)
	for {
		changed := s.reload.changed()
		if cur, err := s.Current(); err == nil {
			fmt.Fprintf(w, "data: %s\n\n", cur.Release)
		} else {
			io.WriteString(w, ": nothing yet\n\n")
		}
		if stream.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-s.drained:
			return
		case <-time.After(keepAlive):
		case <-r.Context().Done():
			return
		}
	}
}
