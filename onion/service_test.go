// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/tornet"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/onion"
)

func TestMain(m *testing.M) { os.Exit(tornet.Main(m)) }

// house is a service on the private network, and what it logs.
type house struct {
	*onion.Service
	t    testing.TB
	net  *tornet.Network
	cfg  onion.Config
	logs *wait.Buffer
	stop func() // ends Run, and waits for it

	served chan struct{} // closed when the server has ended
}

// Dir is the service's folder.
func (h *house) Dir() string { return h.cfg.Dir }

// serves reports whether the server has not ended.
func (h *house) serves() bool {
	select {
	case <-h.served:
		return false
	default:
		return true
	}
}

// build makes a service on the private network; edit can change its configuration.
func build(t testing.TB, edit func(*onion.Config)) *house {
	t.Helper()
	h := &house{t: t, net: tornet.Need(t), logs: &wait.Buffer{}}
	cfg := onion.Config{
		Dir: t.TempDir(), Torrc: h.net.Torrc(),
		MinBackoff: 50 * time.Millisecond, MaxBackoff: 500 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(io.MultiWriter(h.logs, t.Output()), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if edit != nil {
		edit(&cfg)
	}
	s, err := onion.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.Service, h.cfg = s, cfg
	t.Cleanup(func() { s.Close() })
	return h
}

// open runs a service with a handler, until the test ends or stop is called, and
// waits until visitors can come.
func open(t testing.TB, handler http.Handler, edit func(*onion.Config)) *house {
	t.Helper()
	h := build(t, edit)
	h.run(handler)
	h.ready()
	return h
}

func (h *house) run(handler http.Handler) {
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: handler, ConnContext: onion.ConnContext, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.Run(ctx); err != nil {
			h.t.Errorf("run: %v", err)
		}
	}()
	h.served = make(chan struct{})
	go func() {
		defer close(h.served)
		server.Serve(h.Listener())
	}()
	h.stop = func() {
		server.Close()
		cancel()
		<-done
		<-h.served
	}
	h.t.Cleanup(h.stop)
}

func (h *house) ready() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 2*wait.Patience)
	defer cancel()
	if err := h.Ready(ctx); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) get(path string) (*http.Response, string) {
	h.t.Helper()
	resp, body := h.net.Client.Fetch(h.t, "http://"+string(h.Address())+path)
	return resp, string(body)
}

// tells answers with what is known of the request.
func tells(w http.ResponseWriter, r *http.Request) {
	info, ok := onion.FromContext(r.Context())
	fmt.Fprintf(w, "%v %s:%d host %s", ok, info.Address, info.Port, r.Host)
}

func TestAServiceIsPublished(t *testing.T) {
	for _, mode := range []onion.Mode{onion.Anonymous, onion.SingleHop} {
		t.Run(string(mode), func(t *testing.T) {
			h := open(t, http.HandlerFunc(tells), func(c *onion.Config) { c.Mode = mode })
			a := h.Address()
			if _, body := h.get("/"); body != fmt.Sprintf("true %s:80 host %s", a, a) {
				t.Errorf("the service has answered %q", body)
			}
			if s := h.State(); s.Phase != onion.Ready || s.PID == 0 || s.TorVersion == "" || s.Uploaded == 0 || s.Attempt != 1 {
				t.Errorf("the state is %+v", s)
			}
			if err := h.Probe(t.Context()); err != nil {
				t.Error(err)
			}
			if h.Location() != a {
				t.Errorf("the location is %q", h.Location())
			}
			h.stop()
			if s := h.State(); s.Phase != onion.Stopped {
				t.Errorf("after the end the state is %+v", s)
			}
		})
	}
}
