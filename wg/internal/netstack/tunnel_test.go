// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
)

// through returns the two ends of a connection through a tunnel.
func through(t testing.TB, a, b *host, to netip.Addr, p uint16) (dialed, accepted net.Conn) {
	t.Helper()
	l, err := b.listen(p)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if dialed, err = a.dial(t.Context(), netip.AddrPortFrom(to, p)); err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return dialed, accepted
}

func TestAnotherStackUnderstandsOurs(t *testing.T) {
	for _, direction := range []string{"from the other stack", "to the other stack"} {
		t.Run(direction, func(t *testing.T) {
			a, b := newHost(t, Config{Addresses: []netip.Addr{a4, a6}}), newStockHost(t, []netip.Addr{b4, b6}, defaultMTU)
			tunnel(t, a, b)
			from, to := through(t, a, b, b4, 80)
			if direction == "from the other stack" {
				from, to = to, from
			}
			same(t, from, to, 16<<20)
		})
	}
}

// same sends noise through a connection and compares what arrives.
func same(t *testing.T, from, to net.Conn, size int64) {
	t.Helper()
	noise := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{7}), size) }
	go func() {
		if _, err := io.Copy(from, noise()); err != nil {
			t.Error(err)
		}
	}()
	got, want := sha256.New(), sha256.New()
	_, _ = io.Copy(want, noise())
	if _, err := io.CopyN(got, to, size); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Error("what arrived is not what was sent")
	}
}

func TestThroughWireGuardStreamsArriveIntact(t *testing.T) {
	for name, to := range families {
		t.Run(name, func(t *testing.T) {
			a, b := newHost(t, Config{Addresses: []netip.Addr{a4, a6}}), newHost(t, Config{Addresses: []netip.Addr{b4, b6}})
			tunnel(t, a, b)
			dialed, accepted := through(t, a, b, to, 80)
			var both sync.WaitGroup
			both.Go(func() { same(t, dialed, accepted, 64<<20) })
			both.Go(func() { same(t, accepted, dialed, 64<<20) })
			both.Wait()
		})
	}
}

// TestSoakClosingTunnelsUnderLoad closes WireGuard devices, which close the
// stacks, while eight connections write in each direction.
func TestSoakClosingTunnelsUnderLoad(t *testing.T) {
	t.Run("warming up", closeTunnelUnderLoad) // the runtime keeps descriptors of its own
	before, open := runtime.NumGoroutine(), descriptors()
	for range need.Times(10, 200) {
		t.Run("cycle", closeTunnelUnderLoad)
	}
	if now := descriptors(); now > open {
		t.Errorf("%d descriptors are open, %d before", now, open)
	}
	wait.Until(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

// descriptors counts the open ones; 0 where there is no /proc.
func descriptors() int {
	open, _ := os.ReadDir("/proc/self/fd")
	return len(open)
}

func closeTunnelUnderLoad(t *testing.T) {
	a, b := newHost(t, Config{Addresses: []netip.Addr{a4, a6}}), newHost(t, Config{Addresses: []netip.Addr{b4, b6}})
	tunnel(t, a, b)
	var all, begun sync.WaitGroup
	for i := range 8 {
		dialed, accepted := through(t, a, b, []netip.Addr{b4, b6}[i%2], uint16(1000+i))
		for _, c := range []net.Conn{dialed, accepted} {
			begun.Add(1)
			all.Go(func() {
				var once sync.Once
				for {
					_, err := c.Write(make([]byte, 64<<10))
					once.Do(begun.Done)
					if err != nil {
						return
					}
				}
			})
			all.Go(func() { _, _ = io.Copy(io.Discard, c) })
		}
	}
	begun.Wait()
	all.Go(a.wg.Close)
	b.wg.Close()
	all.Wait()
}

// What WireGuard has no peer for never leaves it, so it is never counted out.
func TestPacketsThatWireGuardDropsDoNotStopOthers(t *testing.T) {
	s := newStack(t, Config{Addresses: []netip.Addr{a4, a6}})
	a, b := hostOf(s), newHost(t, Config{Addresses: []netip.Addr{b4, b6}})
	tunnel(t, a, b)
	set(t, a, "public_key=%x\nreplace_allowed_ips=true\nallowed_ip=%v/32\n", b.key.PublicKey().Bytes(), b4)
	nowhere, err := s.DialUDP(netip.AddrPort{}, netip.AddrPortFrom(netip.MustParseAddr("10.9.9.9"), 9))
	if err != nil {
		t.Fatal(err)
	}
	for range 10 * inFlight {
		if _, err := nowhere.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	dialed, accepted := through(t, a, b, b4, 80)
	echo(t, dialed, accepted)
	same(t, dialed, accepted, 16<<20)
}

func TestWireGuardHoldsFewPackets(t *testing.T) {
	s := newStack(t, Config{Addresses: []netip.Addr{a4, a6}})
	a, b := hostOf(s), newHost(t, Config{Addresses: []netip.Addr{b4, b6}})
	var most atomic.Int64
	s.SetTap(func([]byte, bool) {
		if level := s.dev.outbound.level.Load(); level > most.Load() {
			most.Store(level)
		}
	})
	tunnel(t, a, b)
	dialed, accepted := through(t, a, b, b4, 80)
	same(t, dialed, accepted, 64<<20)
	if got := most.Load(); got == 0 || got > inFlight+128 {
		t.Errorf("up to %d packets, want no more than %d and a batch", got, inFlight)
	}
}
