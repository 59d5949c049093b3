// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package onion_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/tornet"
	"xeiaso.net/site/onion"
)

// plain has a tor without us publish a server, with the same configuration, and
// returns its address and how long it took from its start to the first directory.
func plain(b *testing.B, n *tornet.Network, name string, server *httptest.Server) (address string, took time.Duration) {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "service")
	begin := time.Now()
	tor := n.Tor(b, name, "SocksPort 0", "DisableNetwork 1", "HiddenServiceNonAnonymousMode 1", "HiddenServiceSingleHopMode 1",
		"HiddenServiceDir "+dir, "HiddenServicePort 80 "+server.Listener.Addr().String(), "HiddenServicePoWDefensesEnabled 1")
	c := tor.Control(b)
	c.Must(b, "SETEVENTS HS_DESC")
	c.Must(b, "SETCONF DisableNetwork=0")
	c.Event(b, "the service is published", func(event string) bool { return strings.HasPrefix(event, "HS_DESC UPLOADED ") })
	took = time.Since(begin)
	host, err := os.ReadFile(filepath.Join(dir, "hostname"))
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(string(host)), took
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return d[len(d)/2].Seconds()
}

// BenchmarkPublish is the time from the start of tor to the first directory that has
// the descriptor, beside that of a tor without us.
func BenchmarkPublish(b *testing.B) {
	n := tornet.Need(b)
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	var ours, theirs []time.Duration
	for i := range 5 * b.N {
		_, took := plain(b, n, fmt.Sprint("publish", i), server)
		theirs = append(theirs, took)
		s, err := onion.New(onion.Config{Dir: b.TempDir(), Torrc: n.Torrc(), Mode: onion.SingleHop})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		begin := time.Now()
		go func() { ended <- s.Run(ctx) }()
		if err := s.Ready(ctx); err != nil {
			b.Fatal(err)
		}
		ours = append(ours, time.Since(begin))
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(median(ours), "s/ours")
	b.ReportMetric(median(theirs), "s/plain")
	b.ReportMetric(median(ours)/median(theirs), "x-plain")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkThroughput is the time that 16 MiB take through the onion, beside those
// through a tor without us.
func BenchmarkThroughput(b *testing.B) {
	n := tornet.Need(b)
	content := make([]byte, 16<<20)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
	server := httptest.NewServer(handler)
	defer server.Close()
	address, _ := plain(b, n, "throughput", server)
	h := open(b, handler, func(c *onion.Config) { c.Mode = onion.SingleHop })
	times := map[string][]time.Duration{}
	for i := range 7*b.N + 1 {
		for name, host := range map[string]string{"plain": address, "ours": string(h.Address())} {
			client := n.Client.HTTPClient(b, "bench-"+name)
			if i == 0 { // so that the client knows both
				n.Client.Fetch(b, "http://"+host+"/")
			}
			begin := time.Now()
			resp, err := client.Get("http://" + host + "/")
			if err != nil {
				b.Fatal(err)
			}
			size, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err != nil || size != int64(len(content)) {
				b.Fatal(size, err)
			}
			if i > 0 { // the first makes a circuit
				times[name] = append(times[name], time.Since(begin))
			}
		}
	}
	b.ReportMetric(16/median(times["ours"]), "MiB/s-ours")
	b.ReportMetric(16/median(times["plain"]), "MiB/s-plain")
	b.ReportMetric(median(times["plain"])/median(times["ours"]), "x-plain")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkLocation is what the middleware costs a page, and what is no page.
func BenchmarkLocation(b *testing.B) {
	address := onion.NewKey().Address()
	for _, media := range []string{"text/html; charset=utf-8", "text/css"} {
		plain := page(http.StatusOK, media, "hello")
		for name, h := range map[string]http.Handler{
			"without": plain, "with": onion.Location(onion.LocationConfig{Address: onion.Fixed(address)})(plain),
		} {
			b.Run(strings.Fields(media)[0]+"/"+name, func(b *testing.B) {
				r := httptest.NewRequest(http.MethodGet, "/posts/?page=2", nil)
				w := httptest.NewRecorder()
				b.ReportAllocs()
				for b.Loop() {
					clear(w.Header())
					w.Body.Reset()
					h.ServeHTTP(w, r)
				}
			})
		}
	}
}
