// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/internal/test/wgnet"
	"xeiaso.net/site/wg"
)

// descriptors are how many files are open.
func descriptors(t testing.TB) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// resident is how much memory this process has, in MB.
func resident(t testing.TB) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var total, pages int
	if _, err := fmt.Sscan(string(statm), &total, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize() >> 20
}

// goroutines waits until there are no more than that.
func goroutines(t testing.TB, most int) {
	t.Helper()
	defer func() {
		if t.Failed() {
			stacks := make([]byte, 1<<20)
			t.Logf("%s", stacks[:runtime.Stack(stacks, true)])
		}
	}()
	wait.Until(t, "no more goroutines run than before", func() bool { return runtime.NumGoroutine() <= most })
}

// pending begins all that can be waited for, and returns their ends.
func pending(t testing.TB, tunnel *wg.Tunnel, peer *wgnet.Peer, hold, sink string) (ends map[string]chan error) {
	t.Helper()
	ends = map[string]chan error{}
	begin := func(name string, f func() error) {
		end := make(chan error, 1)
		ends[name] = end
		begun := make(chan struct{})
		go func() {
			close(begun)
			end <- f()
		}()
		<-begun
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	begin("Dial", func() error {
		_, err := tunnel.DialContext(ctx, "tcp", "10.9.1.77:80")
		return err
	})
	begin("Dial of a name", func() error {
		_, err := tunnel.DialContext(ctx, "tcp", "app.internal:80")
		return err
	})
	begin("Lookup", func() error {
		_, err := tunnel.Resolver().LookupTXT(ctx, "app.internal")
		return err
	})
	begin("Ping", func() error {
		_, err := tunnel.Ping(ctx, netip.MustParseAddr("10.9.1.77"))
		return err
	})
	l, err := tunnel.Listen("tcp", ":80")
	must(err)
	begin("Accept", func() error {
		_, err := l.Accept()
		return err
	})
	c, err := tunnel.ListenPacket("udp", ":80")
	must(err)
	begin("ReadFrom", func() error {
		_, _, err := c.ReadFrom(make([]byte, 10))
		return err
	})
	conn, err := tunnel.DialContext(ctx, "tcp", hold)
	must(err)
	begin("Read", func() error {
		_, err := conn.Read(make([]byte, 10))
		return err
	})
	for i := range 8 {
		conn, err := tunnel.DialContext(ctx, "tcp", sink)
		must(err)
		begin(fmt.Sprintf("Write %d", i), func() error {
			for b := make([]byte, 1<<16); ; {
				if _, err := conn.Write(b); err != nil {
					return err
				}
			}
		})
	}
	return ends
}

// Nobody waits for a tunnel that is closed, and nothing is left of it. A tunnel is
// closed under load again and again.
func TestSoakClosingEndsEverything(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	serve(t, peer.Listen(t, "tcp", "10.9.1.1:80"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // nobody tells the server when a tunnel has gone
		fmt.Fprint(w, "hello")
	}))
	held := peer.Listen(t, "tcp", "10.9.1.1:1") // never accepts
	sink := peer.Listen(t, "tcp", "10.9.1.1:9")
	var sunk, sinks atomic.Int64
	go func() {
		for {
			conn, err := sink.Accept()
			if err != nil {
				return
			}
			sinks.Add(1)
			go func() {
				defer sinks.Add(-1)
				defer conn.Close()
				for b := make([]byte, 1<<16); ; {
					conn.SetReadDeadline(time.Now().Add(time.Second)) // its end is never told
					n, err := conn.Read(b)
					if err != nil {
						return
					}
					sunk.Add(int64(n))
				}
			}()
		}
	}()
	cfg := configOf(t, network, peer)
	cfg.DNS = addrs("10.9.1.77")
	var slowest time.Duration
	cycle := func() {
		tunnel, err := wg.New(cfg, wg.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer tunnel.Close()
		if err := tunnel.Up(patient(t)); err != nil {
			t.Fatal(err)
		}
		c := tunnel.HTTPClient()
		if body, err := request(patient(t), c, http.MethodGet, "http://10.9.1.1", nil); err != nil || string(body) != "hello" {
			t.Fatalf("%q, %v", body, err)
		}
		ends := pending(t, tunnel, peer, held.Addr().String(), sink.Addr().String())
		before := sunk.Load()
		wait.Until(t, "there is a load", func() bool { return sunk.Load() > before+1<<20 })
		begun := time.Now()
		if err := tunnel.Close(); err != nil {
			t.Error(err)
		}
		for name, end := range ends {
			select {
			case err := <-end:
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: %#v", name, err)
				}
			case <-time.After(wait.Patience):
				t.Fatalf("%s does not end", name)
			}
		}
		slowest = max(slowest, time.Since(begun))
		if _, err := tunnel.Dial("udp", "10.9.1.1:9"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Dial after Close: %v", err)
		}
		c.CloseIdleConnections()
	}
	cycle() // of what is made once, all is there
	cycle()
	settled := func() {
		wait.Until(t, "the sinks have ended", func() bool { return sinks.Load() == 0 })
		debug.FreeOSMemory()
	}
	settled()
	files, routines, memory := descriptors(t), runtime.NumGoroutine(), resident(t)
	for range need.Times(20, 200) {
		cycle()
	}
	settled()
	goroutines(t, routines)
	wait.Until(t, "no more files are open than before", func() bool { return descriptors(t) <= files })
	wait.Until(t, "memory is given back", func() bool {
		debug.FreeOSMemory()
		return resident(t) < memory+50
	})
	t.Logf("from %d goroutines, %d files and %d MB to %d, %d and %d MB; the slowest end took %s",
		routines, files, memory, runtime.NumGoroutine(), descriptors(t), resident(t), slowest.Round(time.Millisecond))
	if slowest > 5*time.Second { // 100 ms at most are asked for
		t.Errorf("it took %s until everything had ended", slowest)
	}
}

func TestSoakManyShortConnections(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{})
	go echo(peer.Listen(t, "tcp", ":7"))
	tunnel := up(t, network, configOf(t, network, peer), wg.Options{})
	debug.FreeOSMemory()
	routines, memory := runtime.NumGoroutine(), resident(t)
	var left atomic.Int64
	left.Store(int64(need.Times(1000, 10_000)))
	var all sync.WaitGroup
	var once sync.Once
	begun := time.Now()
	for i := range 8 {
		address := []string{at(peer.Inside4, 7), at(peer.Inside6, 7)}[i%2]
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := short(t.Context(), tunnel, address); err != nil {
					once.Do(func() { t.Errorf("%s: %v", address, err) })
					return
				}
			}
		})
	}
	all.Wait()
	took := time.Since(begun).Round(time.Millisecond)
	debug.FreeOSMemory()
	t.Logf("%s, from %d to %d MB", took, memory, resident(t))
	goroutines(t, routines+8)
}

func short(ctx context.Context, tunnel *wg.Tunnel, address string) error {
	ctx, cancel := context.WithTimeout(ctx, wait.Patience)
	defer cancel()
	conn, err := tunnel.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	return ask(conn, strings.Repeat("word", 100))
}
