// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"

	"xeiaso.net/site/onion"
)

// A whole program: the folder is served on Tor until Ctrl-C.
func ExampleServe() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg := onion.Config{Dir: "var/onion", Logger: slog.Default()}
	if err := onion.Serve(ctx, cfg, http.FileServer(http.Dir("public"))); err != nil {
		log.Fatal(err)
	}
}

// One site on the clearnet and on Tor: each has a server of its own.
func ExampleNew() {
	service, err := onion.New(onion.Config{Dir: "var/onion", Logger: slog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go service.Run(ctx)

	site := http.FileServer(http.Dir("public"))
	tor := &http.Server{
		Handler:     onion.Private(onion.PrivateConfig{Clearnet: []string{"me.example"}})(site),
		ConnContext: onion.ConnContext,
	}
	go tor.Serve(service.Listener())

	clearnet := onion.Location(onion.LocationConfig{Address: service.Location})(site)
	log.Fatal(http.ListenAndServe(":8080", clearnet))
}

// Pages on the clearnet tell of a service that something else runs.
func ExampleLocation() {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<!doctype html><title>Hello</title>")
	})
	address, err := onion.ParseAddress("duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion")
	if err != nil {
		log.Fatal(err)
	}
	handler := onion.Location(onion.LocationConfig{Address: onion.Fixed(address)})(page)

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://me.example/posts/?page=2", nil))
	fmt.Println(w.Header().Get("Onion-Location"))
	// Output: http://duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion/posts/?page=2
}

// A key from elsewhere keeps its address: that of a HiddenServiceDir of tor's, for
// example.
func ExampleWriteKey() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := onion.NewKey().File() // as in hs_ed25519_secret_key

	key, err := onion.ParseKey(file)
	if err != nil {
		log.Fatal(err)
	}
	if err := onion.WriteKey(dir, key, onion.Anonymous); err != nil {
		log.Fatal(err)
	}
	again, err := onion.ReadKey(dir)
	fmt.Println(again.Address() == key.Address(), err)
	fmt.Println(key)
	// Output:
	// true <nil>
	// [redacted]
}

// No circuit makes more than five requests a second for long; one that goes on is
// closed.
func ExampleCircuitLimits() {
	service, err := onion.New(onion.Config{Dir: "var/onion", Circuits: true})
	if err != nil {
		log.Fatal(err)
	}
	limits := &onion.CircuitLimits{
		Rate:  onion.Rate{PerSecond: 5},
		Close: func(circuit uint64) { service.CloseCircuit(context.Background(), circuit) },
	}
	server := &http.Server{Handler: limits.Handler(http.FileServer(http.Dir("public"))), ConnContext: onion.ConnContext}
	go server.Serve(service.Listener())
	log.Fatal(service.Run(context.Background()))
}
