// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/wait"
)

// transfer sends size bytes of noise from one connection to another, and half
// closes.
func transfer(t *testing.T, from, to *TCPConn, size int) {
	t.Helper()
	noise := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{byte(size)}), int64(size)) }
	go func() {
		if _, err := io.Copy(from, noise()); err != nil {
			t.Error(err)
		}
		if err := from.CloseWrite(); err != nil {
			t.Error(err)
		}
	}()
	want, got := sha256.New(), sha256.New()
	_, _ = io.Copy(want, noise())
	n, err := io.Copy(got, to)
	if err != nil || n != int64(size) {
		t.Fatalf("read %d of %d bytes, %v", n, size, err)
	}
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Fatalf("what arrived is not what was sent")
	}
}

func TestStreamsArriveIntactBothWays(t *testing.T) {
	for name, to := range families {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, Config{}, nil)
			dialed, accepted := connected(t, a, b, to)
			transfer(t, dialed, accepted, 64<<20)
			transfer(t, accepted, dialed, 8<<20) // on what is half closed
		})
	}
}

func TestStreamsArriveIntactOnABadWire(t *testing.T) {
	var corrupted atomic.Int64
	for name, m := range map[string]func() mangle{
		"loss": losing(100), "reordering": reordering(50), "corruption": corrupting(100, &corrupted),
	} {
		for _, rack := range []bool{false, true} {
			for family, to := range families {
				t.Run(name+"/"+family+map[bool]string{true: "/RACK"}[rack], func(t *testing.T) {
					a, b := pair(t, Config{RACK: rack}, m)
					dialed, accepted := connected(t, a, b, to)
					transfer(t, dialed, accepted, 1<<20)
				})
			}
		}
	}
	if corrupted.Load() == 0 {
		t.Error("nothing was corrupted")
	}
}

func TestPacketsKeepToTheMTU(t *testing.T) {
	for _, mtu := range []int{1280, 1420, 9000, 65535} {
		for name, to := range families {
			t.Run(name, func(t *testing.T) {
				a, b := pair(t, Config{MTU: mtu}, nil) // the wire looks at them
				dialed, accepted := connected(t, a, b, to)
				transfer(t, dialed, accepted, 1<<20)
			})
		}
	}
}

func TestALowerMTUHoldsForOpenConnections(t *testing.T) {
	for name, to := range families {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, Config{}, nil)
			dialed, accepted := connected(t, a, b, to)
			for _, s := range []*Stack{a, b} {
				if err := s.SetMTU(1280); err != nil {
					t.Fatal(err)
				}
			}
			// What was sent before may still be on the way to the wire.
			echo(t, dialed, accepted)
			transfer(t, dialed, accepted, 1<<20)
		})
	}
}

// echo sends a word and its answer.
func echo(t *testing.T, a, b net.Conn) {
	t.Helper()
	for _, c := range [][2]net.Conn{{a, b}, {b, a}} {
		if _, err := c[0].Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(c[1], got); err != nil || string(got) != "hello" {
			t.Fatalf("read %q, %v", got, err)
		}
	}
}

func TestDatagramsArriveBothWays(t *testing.T) {
	for name, to := range families {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, Config{}, nil)
			server, err := b.ListenUDP(port(0))
			if err != nil {
				t.Fatal(err)
			}
			client, err := a.DialUDP(netip.AddrPort{}, netip.AddrPortFrom(to, server.local.Port()))
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 65535)
			for _, size := range []int{0, 1, 1300, 9000} { // the last in fragments
				want := bytes.Repeat([]byte{byte(size)}, size)
				if _, err := client.Write(want); err != nil {
					t.Fatal(err)
				}
				n, from, err := server.ReadFrom(got)
				if err != nil || !bytes.Equal(got[:n], want) || from.String() != client.LocalAddr().String() {
					t.Fatalf("got %d bytes from %v, %v, want %d from %v", n, from, err, size, client.LocalAddr())
				}
				if _, err := server.WriteTo(want, from); err != nil {
					t.Fatal(err)
				}
				if n, err = client.Read(got); err != nil || !bytes.Equal(got[:n], want) {
					t.Fatalf("got %d bytes back, %v, want %d", n, err, size)
				}
			}
		})
	}
}

func TestCorruptDatagramsAreNotDelivered(t *testing.T) {
	for name, to := range families {
		for _, size := range []int{1000, 4000} { // the larger one in fragments
			t.Run(name, func(t *testing.T) {
				var corrupt atomic.Bool
				m := func() mangle {
					return func(packets [][]byte) [][]byte {
						for _, p := range packets {
							if corrupt.Load() {
								p[len(p)-1] ^= 1
							}
						}
						return packets
					}
				}
				a, b := pair(t, Config{}, m)
				server, err := b.ListenUDP(port(0))
				if err != nil {
					t.Fatal(err)
				}
				client, err := a.DialUDP(netip.AddrPort{}, netip.AddrPortFrom(to, server.local.Port()))
				if err != nil {
					t.Fatal(err)
				}
				corrupt.Store(true)
				if _, err := client.Write(make([]byte, size)); err != nil {
					t.Fatal(err)
				}
				// All of it has passed the wire when something behind it has.
				ping(t, a, to, false)
				corrupt.Store(false)
				if _, err := client.Write([]byte("whole")); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 65535)
				if n, err := server.Read(got); err != nil || string(got[:n]) != "whole" {
					t.Errorf("got %d bytes, %v, want those of the datagram that was not corrupted", n, err)
				}
			})
		}
	}
}

// ping pings and wants it to work or not.
func ping(t *testing.T, s *Stack, to netip.Addr, want bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), map[bool]time.Duration{true: wait.Patience, false: 100 * time.Millisecond}[want])
	defer cancel()
	if _, err := s.Ping(ctx, to, 32); (err == nil) != want {
		t.Errorf("ping %v: %v", to, err)
	}
}

func TestPing(t *testing.T) {
	a, _ := pair(t, Config{}, nil)
	for _, to := range []netip.Addr{b4, b6, a4, a6, netip.AddrFrom16(b4.As16())} {
		ping(t, a, to, true)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Ping(ctx, b4, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("ping with a cancelled context: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := a.Ping(ctx, netip.MustParseAddr("10.9.9.9"), 0)
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ping of nobody: %v", err)
	}
}

func TestManyPingsAtOnceEachGetTheirReply(t *testing.T) {
	a, _ := pair(t, Config{}, nil)
	var all sync.WaitGroup
	for i := range 40 { // replies are limited in number: gVisor allows bursts of 50
		all.Go(func() { ping(t, a, []netip.Addr{b4, b6}[i%2], true) })
	}
	all.Wait()
}

func TestARefusedPortSaysSo(t *testing.T) {
	for name, to := range families {
		t.Run(name, func(t *testing.T) {
			a, _ := pair(t, Config{}, nil)
			_, err := a.DialTCP(t.Context(), netip.AddrPort{}, netip.AddrPortFrom(to, 9))
			op, ok := errors.AsType[*net.OpError](err)
			if !ok || op.Op != "dial" || op.Net != "tcp" || op.Addr.String() != netip.AddrPortFrom(to, 9).String() || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("dial: %v", err)
			}
			c, err := a.DialUDP(netip.AddrPort{}, netip.AddrPortFrom(to, 9))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte("anybody?")); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("read: %v", err)
			}
		})
	}
}

func TestAFamilyWithoutAddressIsUnreachable(t *testing.T) {
	s := newStack(t, Config{Addresses: []netip.Addr{a4}})
	to := netip.AddrPortFrom(b6, 80)
	_, tcp := s.DialTCP(t.Context(), netip.AddrPort{}, to)
	_, udp := s.DialUDP(netip.AddrPort{}, to)
	_, ping := s.Ping(t.Context(), b6, 0)
	for _, err := range []error{tcp, udp, ping} {
		if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, syscall.ENETUNREACH) {
			t.Error(err)
		}
	}
}

func TestAnAddressIsUsedOnce(t *testing.T) {
	s := newStack(t, Config{Addresses: []netip.Addr{a4}})
	listen(t, s, 80)
	if _, err := s.ListenTCP(port(80)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
	if _, err := s.ListenTCP(netip.AddrPortFrom(b4, 81)); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("listener on somebody else's address: %v", err)
	}
	if _, err := s.ListenUDP(netip.AddrPortFrom(b4, 81)); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("socket on somebody else's address: %v", err)
	}
}

func TestAResetIsToldToReaderAndWriter(t *testing.T) {
	a, b := pair(t, Config{}, nil)
	dialed, accepted := connected(t, a, b, b4)
	accepted.ep.Abort()
	if _, err := dialed.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	if _, err := dialed.Write(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNABORTED) {
		t.Errorf("write: %v", err)
	}
}

func TestHalfClose(t *testing.T) {
	a, b := pair(t, Config{}, nil)
	dialed, accepted := connected(t, a, b, b6)
	if err := dialed.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := accepted.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d bytes, %v, want the end", n, err)
	}
	if _, err := dialed.Write([]byte("more")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write: %v", err)
	}
	transfer(t, accepted, dialed, 1000)
}

func TestDeadlines(t *testing.T) {
	a, b := pair(t, Config{SendBuffer: 8192, ReceiveBuffer: 8192}, nil)
	dialed, _ := connected(t, a, b, b4)
	l := listen(t, b, 0)
	packets, err := a.ListenUDP(port(0))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		set func(time.Time) error
		do  func() error
	}{
		"read":   {dialed.SetReadDeadline, func() error { _, err := dialed.Read(make([]byte, 1)); return err }},
		"write":  {dialed.SetWriteDeadline, func() error { _, err := dialed.Write(make([]byte, 1<<20)); return err }},
		"accept": {l.SetDeadline, func() error { _, err := l.Accept(); return err }},
		"packet": {packets.SetReadDeadline, func() error { _, err := packets.Read(make([]byte, 1)); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			check := func() {
				t.Helper()
				err := c.do()
				if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
			}
			_ = c.set(time.Unix(1, 0)) // long past
			check()
			_ = c.set(time.Now().Add(10 * time.Millisecond))
			check()
			_ = c.set(time.Time{})
			waiting := make(chan error)
			go func() { waiting <- c.do() }()
			_ = c.set(time.Now().Add(time.Hour))
			_ = c.set(time.Now()) // wakes who waits
			if err := <-waiting; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

func TestDialingEndsWithItsContext(t *testing.T) {
	a, _ := pair(t, Config{}, nil)
	nobody := netip.MustParseAddrPort("10.9.9.9:80")
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := a.DialTCP(ctx, netip.AddrPort{}, nobody)
		failed <- err
	}()
	cancel()
	err := <-failed
	if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = a.DialTCP(ctx, netip.AddrPort{}, nobody)
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("late: %v", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.open) != 0 {
		t.Errorf("%d sockets stay open", len(a.open))
	}
}

func TestAThousandDialsAtOnce(t *testing.T) {
	a, b := pair(t, Config{}, nil)
	l := listen(t, b, 80)
	var all sync.WaitGroup
	all.Go(func() {
		for range 1000 {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			all.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	for i := range 1000 {
		all.Go(func() {
			c, err := a.DialTCP(t.Context(), netip.AddrPort{}, netip.AddrPortFrom([]netip.Addr{b4, b6}[i%2], 80))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_, _ = c.Write([]byte("hello"))
			_ = c.CloseWrite()
			if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
		})
	}
	all.Wait()
}

func TestOnesOwnAddressCanBeDialed(t *testing.T) {
	s := newStack(t, Config{Addresses: []netip.Addr{a4, a6}})
	for _, to := range []netip.Addr{a4, a6} {
		dialed, accepted := connected(t, s, s, to)
		transfer(t, dialed, accepted, 1<<20)
	}
}

func TestAddressesChangeWhileConnectionsOfOthersLive(t *testing.T) {
	a, b := pair(t, Config{}, nil)
	stays, staysThere := connected(t, a, b, b4)
	goes, _ := connected(t, a, b, b6)
	other := netip.MustParseAddr("fd00:1::3")
	if err := a.SetAddresses([]netip.Addr{a4, other}); err != nil {
		t.Fatal(err)
	}
	echo(t, stays, staysThere)
	if _, err := goes.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNABORTED) {
		t.Errorf("read on an address that is gone: %v", err)
	}
	fresh, freshThere := connected(t, a, b, b6)
	echo(t, fresh, freshThere)
	if got := fresh.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); got != other {
		t.Errorf("dials from %v, want %v", got, other)
	}
	for _, wrong := range []string{"0.0.0.0", "::", "224.0.0.1"} {
		if err := a.SetAddresses([]netip.Addr{netip.MustParseAddr(wrong)}); err == nil {
			t.Errorf("address %s was taken", wrong)
		}
	}
	echo(t, stays, staysThere)
}

func TestATapSeesWhatGoesInAndOut(t *testing.T) {
	a, _ := pair(t, Config{}, nil)
	var mu sync.Mutex
	seen := map[bool]int{}
	a.SetTap(func(p []byte, in bool) {
		mu.Lock()
		defer mu.Unlock()
		if why := wrong(p, 1420); why != "" {
			t.Errorf("the tap sees %s", why)
		}
		seen[in]++
	})
	ping(t, a, b4, true)
	a.SetTap(nil)
	ping(t, a, b4, true)
	if seen[true] != 1 || seen[false] != 1 {
		t.Errorf("the tap saw %d packets in, %d out", seen[true], seen[false])
	}
}

func TestWrongConfigurationsAreRefused(t *testing.T) {
	for _, cfg := range []Config{{MTU: 100}, {MTU: 70000}, {SendBuffer: 1}, {ReceiveBuffer: -1}, {Queue: -1}, {Batch: 1 << 20}, {Addresses: make([]netip.Addr, 1)}} {
		if s, err := New(cfg); err == nil {
			s.Close()
			t.Errorf("%+v was taken", cfg)
		}
	}
}
