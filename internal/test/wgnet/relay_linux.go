// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"container/heap"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Link is what one direction of a [Relay] does to packets. The zero value passes
// them on.
type Link struct {
	// Loss and Reorder are shares of the packets, from 0 to 1: those that are lost,
	// and those that come 5 ms after their time, and so after others.
	Loss, Reorder float64
	// Delay is what each packet takes, and up to Jitter is added, without
	// reordering.
	Delay, Jitter time.Duration
	// Blackhole drops everything.
	Blackhole bool
	// MTU drops packets that are longer, counted with the headers of IPv4 and UDP.
	// If 0, none is too long.
	MTU int
	// Drop is asked about each packet, one at a time, and says whether it is lost. If
	// nil, none is.
	Drop func(packet []byte) bool
}

// Relay stands between the client and a peer, as a router with a translation of
// addresses does. Its methods can be called concurrently.
type Relay struct {
	home     *Space
	to       netip.AddrPort
	inner    net.PacketConn // to the client
	closed   chan struct{}
	work     sync.WaitGroup
	up, down *way

	mu     sync.Mutex // guards what follows
	client net.Addr   // who has sent last; nil: nobody
	outer  net.PacketConn
}

// Relay starts one in front of an address and port of a peer, until the test ends. It
// listens on loopback of home. What is random is so by the seed.
func (n *Network) Relay(t testing.TB, to netip.AddrPort, seed uint64) *Relay {
	t.Helper()
	r := &Relay{home: n.Home, to: to, inner: n.Home.ListenPacket(t, "udp", "127.0.0.1:0"), closed: make(chan struct{})}
	r.up = newWay(seed, func(p []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		_, _ = r.outer.WriteTo(p, net.UDPAddrFromAddrPort(r.to))
	})
	r.down = newWay(seed+1, func(p []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.client != nil {
			_, _ = r.inner.WriteTo(p, r.client)
		}
	})
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	r.work.Go(func() { r.up.run(r.closed) })
	r.work.Go(func() { r.down.run(r.closed) })
	r.work.Go(r.listen)
	t.Cleanup(func() {
		close(r.closed)
		r.inner.Close()
		r.mu.Lock()
		r.outer.Close()
		r.mu.Unlock()
		r.work.Wait()
	})
	return r
}

// Endpoint is where the relay listens.
func (r *Relay) Endpoint() string { return r.inner.LocalAddr().String() }

// Addr is where the relay sends from to the peer, with the port of now.
func (r *Relay) Addr() netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outer.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Set changes both directions: up is from the client to the peer. What is under way
// stays so.
func (r *Relay) Set(up, down Link) {
	r.up.set(up)
	r.down.set(down)
}

// Forward has the relay send to another place from now on.
func (r *Relay) Forward(to netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

// Rebind has the relay send to the peer from another port, and no longer receive at
// the one that it had: as a router does that has forgotten a connection.
func (r *Relay) Rebind(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	r.outer.Close()
	r.mu.Unlock()
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
}

// open opens a port towards the peer, and reads from it.
func (r *Relay) open() error {
	any := "0.0.0.0:0"
	network := "udp4"
	if r.to.Addr().Is6() {
		any, network = "[::]:0", "udp6"
	}
	c, err := r.home.listenPacket(network, any)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.outer = c
	r.mu.Unlock()
	r.work.Go(func() { pump(c, func(_ net.Addr, p []byte) { r.down.pass(p) }) })
	return nil
}

func (r *Relay) listen() {
	pump(r.inner, func(from net.Addr, p []byte) {
		r.mu.Lock()
		r.client = from
		r.mu.Unlock()
		r.up.pass(p)
	})
}

// pump reads until c is closed.
func pump(c net.PacketConn, got func(net.Addr, []byte)) {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFrom(buffer)
		if err != nil {
			// A connection refused is told to who sent last; it is no end.
			if op, ok := err.(*net.OpError); ok && !op.Timeout() && op.Err.Error() != net.ErrClosed.Error() {
				continue
			}
			return
		}
		got(from, append([]byte(nil), buffer[:n]...))
	}
}

// Counts are how many packets came to a relay, by the type of their message:
// https://www.wireguard.com/protocol/.
type Counts struct{ Initiations, Responses, Cookies, Data int }

// Up counts what has come from the client, lost or not.
func (r *Relay) Up() Counts { return r.up.counted() }

// Down counts what has come from the peer, lost or not.
func (r *Relay) Down() Counts { return r.down.counted() }

// way is one direction.
type way struct {
	deliver func([]byte)
	more    chan struct{} // something is queued

	mu     sync.Mutex // guards what follows
	link   Link
	counts Counts
	random *rand.Rand
	queue  queue
	seq    int
	last   time.Time // when the last packet in order is due
}

func newWay(seed uint64, deliver func([]byte)) *way {
	return &way{deliver: deliver, more: make(chan struct{}, 1), random: rand.New(rand.NewPCG(seed, 1))}
}

func (w *way) set(l Link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.link = l
}

func (w *way) counted() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts
}

const headers = 20 + 8 // of IPv4 and UDP

// pass queues a packet, or loses it.
func (w *way) pass(p []byte) {
	w.mu.Lock()
	w.counts.add(p)
	if w.lost(p) {
		w.mu.Unlock()
		return
	}
	at := time.Now().Add(w.link.Delay)
	if w.link.Jitter > 0 {
		at = at.Add(time.Duration(w.random.Int64N(int64(w.link.Jitter))))
	}
	switch {
	case w.random.Float64() < w.link.Reorder:
		at = at.Add(5 * time.Millisecond)
	case at.Before(w.last):
		at = w.last
	default:
		w.last = at
	}
	w.seq++
	heap.Push(&w.queue, queued{at, w.seq, p})
	w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
}

func (w *way) lost(p []byte) bool {
	l := w.link
	return l.Blackhole || w.random.Float64() < l.Loss || l.MTU > 0 && len(p)+headers > l.MTU || l.Drop != nil && l.Drop(p)
}

func (c *Counts) add(p []byte) {
	if len(p) == 0 {
		return
	}
	switch p[0] {
	case 1:
		c.Initiations++
	case 2:
		c.Responses++
	case 3:
		c.Cookies++
	case 4:
		c.Data++
	}
}

// run delivers what is due.
func (w *way) run(closed <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		p, next := w.due()
		if p != nil {
			w.deliver(p)
			continue
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-w.more:
		case <-closed:
			return
		}
	}
}

// due returns the first packet if its time has come, or how long that takes.
func (w *way) due() (packet []byte, next time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return nil, time.Hour
	}
	if next = time.Until(w.queue[0].at); next > 0 {
		return nil, next
	}
	return heap.Pop(&w.queue).(queued).packet, 0
}

type queued struct {
	at     time.Time
	seq    int
	packet []byte
}

// queue is a heap: what is due first is first.
type queue []queued

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements [heap.Interface].
func (q *queue) Push(x any) { *q = append(*q, x.(queued)) }

// Pop implements [heap.Interface].
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
