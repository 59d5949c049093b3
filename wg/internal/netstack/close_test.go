// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
)

func TestClosingEndsAllThatIsPending(t *testing.T) {
	a, b := pair(t, Config{SendBuffer: 8192, ReceiveBuffer: 8192}, nil)
	dialed, _ := connected(t, a, b, b4)
	l := listen(t, a, 80)
	packets, err := a.ListenUDP(port(0))
	if err != nil {
		t.Fatal(err)
	}
	nobody := netip.MustParseAddr("10.9.9.9")
	pending := map[string]func() error{
		"read":   func() error { _, err := dialed.Read(make([]byte, 1)); return err },
		"write":  func() error { _, err := dialed.Write(make([]byte, 1<<20)); return err },
		"accept": func() error { _, err := l.Accept(); return err },
		"packet": func() error { _, err := packets.Read(make([]byte, 1)); return err },
		"dial": func() error {
			_, err := a.DialTCP(t.Context(), netip.AddrPort{}, netip.AddrPortFrom(nobody, 80))
			return err
		},
		"ping": func() error { _, err := a.Ping(t.Context(), nobody, 0); return err },
	}
	ended := make(chan string)
	for name, do := range pending {
		go func() {
			for range 2 { // and again when closed
				if err := do(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: %v", name, err)
				} else if _, ok := errors.AsType[*net.OpError](err); !ok {
					t.Errorf("%s: %T", name, err)
				}
			}
			ended <- name
		}()
	}
	wait.Until(t, "all sockets are open", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.open) == 5
	})
	for range 2 {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := a.Device().Close(); err != nil {
			t.Error(err)
		}
	}
	for range pending {
		<-ended
	}
	for what, err := range map[string]error{
		"SetAddresses": a.SetAddresses(nil), "SetMTU": a.SetMTU(1280),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, ok := <-a.Device().Events(); ok {
		t.Error("there is an event, want none")
	}
	if _, err := a.Device().Write([][]byte{{0x45}}, 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write to the device: %v", err)
	}
}

func TestClosingAConnectionEndsItsOperations(t *testing.T) {
	a, b := pair(t, Config{}, nil)
	dialed, _ := connected(t, a, b, b4)
	ended := make(chan error)
	go func() {
		_, err := dialed.Read(make([]byte, 1))
		ended <- err
	}()
	if err := dialed.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v", err)
	}
	_, write := dialed.Write([]byte{1})
	for _, err := range []error{dialed.Close(), write, dialed.SetDeadline(time.Now())} {
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
}

func TestThePeerHearsOfClosing(t *testing.T) {
	a, b := pair(t, Config{}, nil)
	_, accepted := connected(t, a, b, b4)
	a.Close()
	if _, err := accepted.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v, want a reset", err)
	}
}

func TestEventsOfANewMTUDoNotBlock(t *testing.T) {
	s := newStack(t, Config{Addresses: []netip.Addr{a4}})
	for i := range 100 {
		if err := s.SetMTU(1280 + i); err != nil {
			t.Fatal(err)
		}
	}
	<-s.Device().Events()
	if mtu, err := s.Device().MTU(); mtu != 1379 || err != nil {
		t.Errorf("MTU %d, %v", mtu, err)
	}
}

// Nobody reads the device: senders must not keep it from being closed.
func TestAFullQueueDoesNotBlockClosing(t *testing.T) {
	s := newStack(t, Config{Addresses: []netip.Addr{a4}, Queue: 1})
	var writers sync.WaitGroup
	for range 8 {
		c, err := s.DialUDP(netip.AddrPort{}, netip.AddrPortFrom(b4, 9))
		if err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			for {
				if _, err := c.Write([]byte("lost")); errors.Is(err, net.ErrClosed) {
					return
				}
			}
		})
	}
	wait.Until(t, "the queue is full", func() bool { return len(s.link.queue) == 1 })
	s.Close()
	writers.Wait()
}

// TestSoakClosingUnderLoad is a race of everything with Close.
func TestSoakClosingUnderLoad(t *testing.T) {
	before := runtime.NumGoroutine()
	for range need.Times(40, 200) {
		closeUnderLoad(t)
	}
	wait.Until(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

// closeUnderLoad has eight connections write, others dial, ping and change
// addresses, and closes both ends meanwhile.
func closeUnderLoad(t *testing.T) {
	a, err := New(Config{Addresses: []netip.Addr{a4, a6}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Config{Addresses: []netip.Addr{b4, b6}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { wire(t, a.Device(), b.Device(), nil) })
	all.Go(func() { wire(t, b.Device(), a.Device(), nil) })
	l, err := b.ListenTCP(port(80))
	if err != nil {
		t.Fatal(err)
	}
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { _, _ = io.Copy(c, c) })
		}
	})
	var writing sync.WaitGroup
	for i := range 8 {
		writing.Add(1)
		all.Go(func() { writeUntilClosed(a, []netip.Addr{b4, b6}[i%2], &writing) })
	}
	all.Go(func() {
		for a.SetAddresses([]netip.Addr{a4, a6, netip.MustParseAddr("10.1.0.9")}) == nil && a.SetAddresses([]netip.Addr{a4, a6}) == nil {
			if _, err := a.Ping(context.Background(), b4, 100); err != nil {
				return
			}
		}
	})
	writing.Wait()
	all.Go(func() { b.Close() })
	a.Close()
	all.Wait()
}

// writeUntilClosed writes, reads and dials, and says when it has begun.
func writeUntilClosed(s *Stack, to netip.Addr, begun *sync.WaitGroup) {
	var once sync.Once
	begin := func() { once.Do(begun.Done) }
	defer begin()
	for {
		c, err := s.DialTCP(context.Background(), netip.AddrPort{}, netip.AddrPortFrom(to, 80))
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(io.Discard, c) }()
		for range 20 {
			_, err = c.Write(make([]byte, 64<<10))
			begin()
		}
		if c.Close() != nil || err != nil {
			return
		}
	}
}
