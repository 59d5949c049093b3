// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"bufio"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/tornet"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/onion"
)

func TestOnlyClientsWithAKeyGetIn(t *testing.T) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(private.PublicKey().Bytes())
	h := open(t, http.HandlerFunc(tells), func(c *onion.Config) {
		c.Mode, c.Clients = onion.SingleHop, []onion.ClientKey{{"alice", strings.ToLower(public)}}
	})
	client := h.net.NewClient(t)
	address := string(h.Address()) + ":80"
	wait.Until(t, "a client without a key is refused for that", func() bool {
		conn, err := client.Dial(t.Context(), rand.Text(), address)
		if err == nil {
			conn.Close()
			t.Fatal("a client without a key has got in")
		}
		code, ok := errors.AsType[tornet.SOCKSError](err)
		return ok && code == tornet.NoClientKey
	})
	client.Control(t).Must(t, "ONION_CLIENT_AUTH_ADD "+h.Address().ID()+" x25519:"+base64.StdEncoding.EncodeToString(private.Bytes()))
	if _, body := client.Fetch(t, "http://"+address+"/"); !strings.HasPrefix(string(body), "true") {
		t.Errorf("a client with the key gets %q", body)
	}
	// The descriptor is there, though nobody of ours can read it.
	if err := h.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAFloodOnOneCircuitDoesNotReachTheOthers(t *testing.T) {
	limits := &onion.CircuitLimits{Rate: onion.Rate{PerSecond: 1, Burst: 3}, CloseAfter: 20}
	closed := make(chan uint64, 10)
	limits.Close = func(circuit uint64) { closed <- circuit }
	handler := limits.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, _ := onion.FromContext(r.Context())
		fmt.Fprintf(w, "%d %s", info.Circuit, r.RemoteAddr)
	}))
	h := open(t, handler, func(c *onion.Config) { c.Mode, c.Circuits = onion.SingleHop, true })
	h.settled()
	user := func(name string) *http.Client { return h.net.Client.HTTPClient(t, name) }
	get := func(c *http.Client) (int, string) {
		resp, err := c.Get("http://" + string(h.Address()) + "/")
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	flood, other := user("flood"), user("other")
	status, first := get(flood)
	if circuit, remote, _ := strings.Cut(first, " "); status != 200 || circuit == "0" || remote != "circuit-"+circuit+":0" {
		t.Fatalf("%d %q", status, first)
	}
	if status, second := get(other); status != 200 || second == first {
		t.Errorf("another user: %d %q, the first %q", status, second, first)
	}
	refused := 0
	for range 15 {
		if status, _ := get(flood); status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 || limits.Limited() != uint64(refused) {
		t.Errorf("%d were refused, %d limited", refused, limits.Limited())
	}
	if status, body := get(other); status != 200 {
		t.Errorf("the other is answered %d %s", status, body)
	}
	// One that goes on loses its circuit.
	conn, err := h.net.Client.Dial(t.Context(), "closed", string(h.Address())+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for range 24 {
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", h.Address())
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
	}
	if err := h.CloseCircuit(t.Context(), <-closed); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Log(err) // ended all the same
	}
}

func TestOptionsReachTor(t *testing.T) {
	h := open(t, http.HandlerFunc(tells), func(c *onion.Config) {
		c.Metrics = true
		c.MaxStreams, c.CloseOnMaxStreams = 2, true
		c.PoW.Queue = onion.Rate{PerSecond: 100, Burst: 200}
		c.Introductions = onion.Rate{PerSecond: 10, Burst: 50}
		c.Torrc = append(c.Torrc, "BandwidthRate 50 MBytes", "# a remark", "")
	})
	text := h.configText()
	for _, want := range []string{
		"HiddenServiceMaxStreams 2", "HiddenServiceMaxStreamsCloseCircuit 1", "HiddenServicePoWDefensesEnabled 1", "HiddenServicePoWQueueRate 100",
		"HiddenServicePoWQueueBurst 200", "HiddenServiceEnableIntroDoSDefense 1", "HiddenServiceEnableIntroDoSRatePerSec 10",
		"HiddenServiceEnableIntroDoSBurstPerSec 50", "BandwidthRate 52428800", "SocksPort 0",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("tor was not told %s", want)
		}
	}
	h.get("/")
	metrics, err := h.TorMetrics(t.Context())
	if err != nil || !strings.Contains(string(metrics), "tor_hs_pow_suggested_effort") {
		t.Errorf("tor tells nothing of proof of work: %v", err)
	}
	// More connections than one circuit may have.
	h.settled()
	ctx, cancel := context.WithTimeout(t.Context(), wait.Patience)
	defer cancel()
	failed := 0
	for range 4 {
		conn, err := h.net.Client.Dial(ctx, "streams", string(h.Address())+":80")
		if err != nil {
			failed++
			continue
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			failed++
		}
	}
	if failed == 0 {
		t.Error("a circuit has as many connections as it wants")
	}
}

func TestWithoutProofOfWorkTorIsToldNothingOfIt(t *testing.T) {
	h := open(t, http.HandlerFunc(tells), func(c *onion.Config) { c.PoW.Off = true })
	if text := h.configText(); strings.Contains(text, "PoW") {
		t.Errorf("tor was told of it: %s", text)
	}
	if _, err := h.TorMetrics(t.Context()); err == nil {
		t.Error("tor counts without having been asked to")
	}
}

// configText is the configuration that tor says it has.
func (h *house) configText() string {
	h.t.Helper()
	lines, err := h.AskTor(h.t.Context(), "GETINFO config-text")
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestPagesTellOfAServiceWhileItWorks(t *testing.T) {
	h := build(t, func(c *onion.Config) { c.Mode, c.LocationGrace = onion.SingleHop, -1 })
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!doctype html><title>x</title>") })
	handler := onion.Location(onion.LocationConfig{Address: h.Location})(page)
	tells := func() bool {
		return ask(handler, "https://me.example/a?b").Get("Onion-Location") == h.Address().URL()+"a?b"
	}
	if tells() {
		t.Error("pages tell of it before it runs")
	}
	h.run(handler)
	if tells() {
		t.Error("pages tell of it before it is ready")
	}
	h.ready()
	if !tells() {
		t.Error("pages do not tell of it when it is ready")
	}
	if resp, _ := h.net.Client.Fetch(t, h.Address().URL()); resp.Header.Get("Onion-Location") != "" {
		t.Error("visitors over Tor are told, too")
	}
	h.CutControl()
	wait.Until(t, "pages do not tell of it any more", func() bool { return !tells() })
	h.ready()
	if !tells() {
		t.Error("pages do not tell of it when it is back")
	}
}

func TestALocationHasAGraceTime(t *testing.T) {
	h := open(t, http.HandlerFunc(tells), func(c *onion.Config) { c.Mode, c.LocationGrace = onion.SingleHop, time.Hour })
	pid := h.State().PID
	h.CutControl()
	wait.Until(t, "it is not ready", func() bool { return h.State().Phase != onion.Ready || h.State().PID != pid })
	if h.Location() == "" {
		t.Error("a short time without the service takes it off the pages")
	}
}

func TestTwoInstancesTakeOverFromEachOther(t *testing.T) {
	key := onion.NewKey()
	with := func(c *onion.Config) { c.Key, c.Mode = key, onion.SingleHop }
	says := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) })
	}
	first := open(t, says("first"), with)
	if _, body := first.get("/"); body != "first" {
		t.Fatalf("the first says %q", body)
	}
	second := open(t, says("second"), with)
	first.stop()
	begin := time.Now()
	wait.Until(t, "the second serves", func() bool {
		_, body := second.get("/")
		return body == "second"
	})
	t.Logf("the second was reached %s after the first had ended", time.Since(begin))
}

func TestNothingOfAVisitorIsAnywhere(t *testing.T) {
	var own strings.Builder
	var mu sync.Mutex
	private := onion.Private(onion.PrivateConfig{Logger: logTo(&mu, &own)})
	handler := private(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/panic"):
			panic("at " + r.URL.String() + " by " + r.UserAgent())
		case strings.HasPrefix(r.URL.Path, "/late"):
			io.WriteString(w, "x")
			panic(fmt.Errorf("at %s", r.URL))
		case strings.HasPrefix(r.URL.Path, "/fail"):
			http.Error(w, "no", http.StatusInternalServerError)
		default:
			http.NotFound(w, r)
		}
	}))
	h := open(t, handler, func(c *onion.Config) { c.Mode, c.Metrics, c.Circuits = onion.SingleHop, true, true })
	h.settled()
	for _, path := range []string{"/canary", "/panic/canary", "/late/canary", "/fail/canary"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+string(h.Address())+path+"?q=canary", nil)
		req.Header.Set("User-Agent", "canary")
		req.Header.Set("Referer", "http://canary.example/")
		req.Header.Set("X-Forwarded-For", "canary")
		req.AddCookie(&http.Cookie{Name: "canary", Value: "canary"})
		if resp, err := h.net.Client.HTTPClient(t, "canary").Do(req); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	metrics, err := h.TorMetrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	texts := map[string]string{"log": h.logs.String(), "log of the middleware": own.String(), "metrics": string(metrics), "state": fmt.Sprintf("%+v %+v", h.State(), h.Stats())}
	mu.Unlock()
	if !strings.Contains(texts["log of the middleware"], "panicked") {
		t.Error("the panics were not logged")
	}
	for _, root := range []string{h.Dir(), h.Sockets()} {
		readAll(t, root, texts)
	}
	for where, text := range texts {
		if i := strings.Index(text, "canary"); i >= 0 {
			t.Errorf("%s has %q in it", where, text[max(0, i-80):min(len(text), i+80)])
		}
	}
	if _, ok := texts[filepath.Join(h.Dir(), "tor", "state")]; !ok {
		t.Errorf("tor's own files were not looked at")
	}
}
