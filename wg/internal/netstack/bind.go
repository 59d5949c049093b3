// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/conn"
)

const (
	// inFlight is how many packets WireGuard may hold in each direction. It has
	// no bound of its own, and each packet sits in a buffer of 64 KiB: what TCP
	// has under way would be hundreds of MiB. Two batches keep all its
	// goroutines busy; with four, one stream was slower by a tenth and more.
	inFlight = 2 * defaultBatch
	// stall is how long nothing comes out of WireGuard before what is missing
	// counts as dropped there, as all is that has no peer or no session. It is
	// some hundred times what a batch takes.
	stall = 2 * time.Millisecond

	// See the message types of https://www.wireguard.com/protocol/.
	messageData   = 4
	keepaliveSize = 32
)

// A gate keeps count of the packets between two places, and who is about to add
// to them waits while there are too many. The count may be wrong for a moment:
// it bounds memory, and nothing else relies on it.
type gate struct {
	level atomic.Int64
	left  chan struct{} // a token that some have left
}

func newGate() *gate { return &gate{left: make(chan struct{}, 1)} }

// wait waits until there is room, or until nothing moves.
func (g *gate) wait() {
	for g.level.Load() >= inFlight {
		timeout := time.NewTimer(stall)
		select {
		case <-g.left:
		case <-timeout.C:
			g.level.Store(0)
		}
		timeout.Stop()
	}
}

func (g *gate) enter(n int) { g.level.Add(int64(n)) }

func (g *gate) leave(n int) {
	if g.level.Add(-int64(n)) < 0 {
		g.level.Store(0) // some had been given up
	}
	select {
	case g.left <- struct{}{}:
	default:
	}
}

// Bind returns a bind for the WireGuard device that reads from this stack. It
// does what b does, and bounds how many packets the WireGuard device holds, and
// with them its memory.
func (s *Stack) Bind(b conn.Bind) conn.Bind {
	s.dev.counted.Store(true)
	return &bind{Bind: b, d: s.dev}
}

// bind counts the packets that go to and come from the network.
type bind struct {
	conn.Bind

	d *Device
}

// Send implements [conn.Bind].
func (b *bind) Send(bufs [][]byte, to conn.Endpoint) error {
	n := 0
	for _, p := range bufs {
		if isData(p) {
			n++
		}
	}
	err := b.Bind.Send(bufs, to)
	if err != nil && len(bufs) > 1 && !errors.Is(err, net.ErrClosed) {
		err = b.sendEach(bufs, to)
	}
	b.d.outbound.leave(n)
	return err
}

// sendEach sends packets that were refused together one by one. Linux has no
// segmentation offload for packets that are longer than what the path carries; alone
// they go out in fragments (udp(7), UDP_SEGMENT). One that was sent before does no
// harm: WireGuard takes each only once.
func (b *bind) sendEach(bufs [][]byte, to conn.Endpoint) (err error) {
	for i := range bufs {
		if e := b.Bind.Send(bufs[i:i+1], to); e != nil {
			err = e
		}
	}
	return err
}

// Open implements [conn.Bind].
func (b *bind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	receivers, actual, err := b.Bind.Open(port)
	for i, receive := range receivers {
		receivers[i] = func(packets [][]byte, sizes []int, from []conn.Endpoint) (int, error) {
			b.d.inbound.wait()
			n, err := receive(packets, sizes, from)
			data := 0
			for i := range n {
				if isData(packets[i][:sizes[i]]) {
					data++
				}
			}
			b.d.inbound.enter(data)
			return n, err
		}
	}
	return receivers, actual, err
}

// isData reports whether a WireGuard message carries a packet.
func isData(message []byte) bool {
	return len(message) > keepaliveSize && message[0] == messageData
}
