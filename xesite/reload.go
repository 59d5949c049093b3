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

// reloadTag is added to every page when live reload is on, of a site whose root
// is at the path base.
func reloadTag(base string) []byte {
	return []byte(`<script src="` + base + `/.within/reload.js" defer></script>`)
}

// reloadScript loads the page again when the server says that there is a new
// release, and also when the server was away: it may have come back with one.
const reloadScript = `let seen;
const events = new EventSource(new URL("reload", document.currentScript.src));
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
func (c *channel) serveReload(w http.ResponseWriter, r *http.Request) {
	wait := keepAlive
	if c != c.site.production {
		wait = followInterval // another instance may publish: see previews.find
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := http.NewResponseController(w)
	for {
		changed := c.reload.changed()
		if cur, err := c.current(); err == nil {
			fmt.Fprintf(w, "data: %s\n\n", cur.Release)
		} else {
			io.WriteString(w, ": nothing yet\n\n")
		}
		if stream.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-c.site.drained:
			return
		case <-time.After(wait):
			if c != c.site.production && c.site.previews.find(r.Context(), c.name) != c {
				return // it was removed
			}
		case <-r.Context().Done():
			return
		}
	}
}
