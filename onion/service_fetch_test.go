// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/onion"
)

// settled waits until all directories have the descriptor: before that a visitor can
// ask one that has not.
func (h *house) settled() {
	h.t.Helper()
	wait.Until(h.t, "directories have the descriptor", func() bool { return h.State().Uploaded >= 8 })
	h.get("/")
}

func TestNoFetchIsLost(t *testing.T) {
	h := open(t, http.HandlerFunc(tells), func(c *onion.Config) { c.Mode = onion.SingleHop })
	h.settled()
	var lost atomic.Int64
	try := func(user string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.fetch(ctx, user, "/"); err != nil {
			lost.Add(1)
			t.Log(err)
		}
	}
	for i := range need.Times(100, 1000) {
		try(fmt.Sprint("user", i%5))
	}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() { try(fmt.Sprint("user", i)) })
	}
	all.Wait()
	if n := lost.Load(); n != 0 {
		t.Errorf("%d fetches were lost", n)
	}
	if s := h.Stats(); s.Received == 0 || s.Sent == 0 || s.Uploads < 8 {
		t.Errorf("%+v", s)
	}
	wait.Until(t, "the connections have ended", func() bool { return h.Stats().StreamsOpen == 0 })
}

func TestLargeBodiesArriveWhole(t *testing.T) {
	content := make([]byte, 16<<20)
	rand.Read(content)
	h := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sent, err := io.ReadAll(r.Body); r.Method == http.MethodPost && (err != nil || !bytes.Equal(sent, content)) {
			t.Errorf("%d bytes have come, %v", len(sent), err)
		}
		w.Write(content)
	}), func(c *onion.Config) { c.Mode = onion.SingleHop })
	client := h.net.Client.HTTPClient(t, "large")
	var got []byte
	wait.Until(t, "a large body arrives", func() bool {
		resp, err := client.Post("http://"+string(h.Address())+"/", "", bytes.NewReader(content))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		got, err = io.ReadAll(resp.Body)
		return err == nil
	})
	if !bytes.Equal(got, content) {
		t.Errorf("%d bytes have come back, and they are others", len(got))
	}
}

func TestTheAddressStaysWithTheKey(t *testing.T) {
	dir := t.TempDir()
	in := func(dir string) func(*onion.Config) {
		return func(c *onion.Config) { c.Dir, c.Mode = dir, onion.SingleHop }
	}
	first := open(t, http.HandlerFunc(tells), in(dir))
	first.get("/")
	first.stop()
	again := open(t, http.HandlerFunc(tells), in(dir))
	if again.Address() != first.Address() {
		t.Errorf("the address was %s and is %s", first.Address(), again.Address())
	}
	again.get("/")
	again.stop()
	// Elsewhere, with nothing but the key.
	key, err := onion.ReadKey(dir + "/key")
	if err != nil {
		t.Fatal(err)
	}
	moved, err := onion.ParseKey(key.File())
	if err != nil {
		t.Fatal(err)
	}
	third := open(t, http.HandlerFunc(tells), func(c *onion.Config) { c.Key, c.Mode = moved, onion.SingleHop })
	if _, body := third.get("/"); !strings.Contains(body, string(first.Address())) {
		t.Errorf("after the move it answers %q", body)
	}
}

func TestServicesShareATorAndHavePorts(t *testing.T) {
	first := build(t, func(c *onion.Config) { c.Mode, c.Ports = onion.SingleHop, []int{80, 8080} })
	second, err := onion.New(onion.Config{Dir: t.TempDir(), With: first.Service, Ports: []int{81}})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []struct {
		s    *onion.Service
		port int
	}{{first.Service, 8080}, {second, 81}} {
		server := &http.Server{Handler: http.HandlerFunc(tells), ConnContext: onion.ConnContext, ReadHeaderTimeout: time.Minute}
		go server.Serve(l.s.ListenerOf(l.port))
		t.Cleanup(func() { server.Close() })
	}
	if first.ListenerOf(82) != nil || first.Listener() != first.ListenerOf(80) || first.ListenerOf(8080).Addr().String() != string(first.Address())+":8080" {
		t.Error("the listeners are not those of the ports")
	}
	first.run(http.HandlerFunc(tells))
	ended := make(chan error, 1)
	go func() { ended <- second.Run(t.Context()) }()
	first.ready()
	if err := second.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{string(first.Address()) + ":80", string(first.Address()) + ":8080", string(second.Address()) + ":81"} {
		_, body := first.net.Client.Fetch(t, "http://"+at+"/")
		if want := "true " + at; !strings.HasPrefix(string(body), want) {
			t.Errorf("%s answers %q", at, body)
		}
	}
	first.stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := second.Listener().Accept(); err == nil {
		t.Error("the listener of the second is open")
	}
}

func TestServeIsAllThatIsNeeded(t *testing.T) {
	h := build(t, nil) // for its network
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	done := make(chan error, 1)
	go func() {
		done <- onion.Serve(ctx, onion.Config{Dir: dir, Torrc: h.net.Torrc(), Mode: onion.SingleHop}, http.HandlerFunc(tells))
	}()
	wait.Until(t, "there is a key", func() bool {
		_, err := onion.ReadKey(dir + "/key")
		return err == nil
	})
	key, err := onion.ReadKey(dir + "/key")
	if err != nil {
		t.Fatal(err)
	}
	if _, body := h.net.Client.Fetch(t, "http://"+string(key.Address())+"/"); !strings.HasPrefix(string(body), "true") {
		t.Errorf("it answers %q", body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := onion.Serve(t.Context(), onion.Config{Dir: t.TempDir(), Tor: "/nowhere/tor"}, nil); err == nil {
		t.Error("without tor there is no error")
	}
}

func TestStatesAreTold(t *testing.T) {
	h := build(t, func(c *onion.Config) { c.Mode = onion.SingleHop })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var phases []onion.Phase
	told := make(chan struct{})
	go func() {
		defer close(told)
		for s := range h.States(ctx) {
			if len(phases) == 0 || phases[len(phases)-1] != s.Phase {
				phases = append(phases, s.Phase)
			}
			if s.Phase == onion.Stopped && len(phases) > 1 {
				return
			}
		}
	}()
	h.run(http.HandlerFunc(tells))
	h.ready()
	h.stop()
	<-told
	if !slices.Contains(phases, onion.Ready) || phases[0] != onion.Stopped || phases[len(phases)-1] != onion.Stopped {
		t.Errorf("the phases were %q", phases)
	}
	if err := h.Ready(t.Context()); err == nil {
		t.Error("a service that has ended is ready")
	}
	if err := h.Run(t.Context()); err == nil {
		t.Error("it runs twice")
	}
}
