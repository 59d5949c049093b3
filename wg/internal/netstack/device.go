// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"os"
	"sync"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/tun"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Device is the side of a [Stack] that a WireGuard device uses.
type Device struct {
	s      *Stack
	v4, v6 stack.NetworkEndpoint
	tap    atomic.Pointer[func([]byte, bool)]
	merges sync.Pool // of *merger

	// How many packets WireGuard holds, if it uses our bind.
	counted           atomic.Bool
	outbound, inbound *gate

	reading sync.Mutex // guards cut
	cut     segmenter

	writing sync.RWMutex // held by writers; close takes it to be the last one
	done    chan struct{}

	signal sync.Mutex // guards sending to events, and ended
	events chan tun.Event
	ended  bool
}

var _ tun.Device = (*Device)(nil)

func newDevice(s *Stack) *Device {
	return &Device{
		s:        s,
		merges:   sync.Pool{New: func() any { return new(merger) }},
		outbound: newGate(),
		inbound:  newGate(),
		done:     make(chan struct{}),
		events:   make(chan tun.Event, 4),
	}
}

// Name implements [tun.Device].
func (d *Device) Name() (string, error) { return "netstack", nil }

// File implements [tun.Device]. There is none.
func (d *Device) File() *os.File { return nil }

// MTU implements [tun.Device].
func (d *Device) MTU() (int, error) { return int(d.s.link.MTU()), nil }

// BatchSize implements [tun.Device].
func (d *Device) BatchSize() int { return d.s.cfg.Batch }

// Events implements [tun.Device]. The device does not announce that it is up:
// when the tunnel comes up is for its owner to say.
func (d *Device) Events() <-chan tun.Event { return d.events }

// announce sends an event. One that finds the channel full is not needed: the
// ones before it were not acted upon yet.
func (d *Device) announce(e tun.Event) {
	d.signal.Lock()
	defer d.signal.Unlock()
	if d.ended {
		return
	}
	select {
	case d.events <- e:
	default:
	}
}

// Read implements [tun.Device]: it waits for something to send, and then gives
// as many packets as there are and fit. After Close it gives what was queued
// before, and then [os.ErrClosed].
func (d *Device) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	d.reading.Lock()
	defer d.reading.Unlock()
	if d.counted.Load() {
		d.outbound.wait()
	}
	if !d.cut.busy() {
		select {
		case p := <-d.s.link.queue:
			d.cut.start(p, d.s.link.MTU())
		case <-d.done:
			if !d.more() {
				return 0, os.ErrClosed
			}
		}
	}
	n := 0
	for n < len(bufs) && (d.cut.busy() || d.more()) {
		if size := d.cut.next(bufs[n][offset:]); size > 0 {
			d.see(bufs[n][offset:offset+size], false)
			sizes[n] = size
			n++
		}
	}
	d.outbound.enter(n)
	return n, nil
}

// more begins with the next in the queue, if there is one.
func (d *Device) more() bool {
	select {
	case p := <-d.s.link.queue:
		d.cut.start(p, d.s.link.MTU())
		return true
	default:
		return false
	}
}

// Write implements [tun.Device]: it delivers packets to the stack. Those that
// are no IP packets are dropped. The buffers are not kept.
func (d *Device) Write(bufs [][]byte, offset int) (int, error) {
	d.writing.RLock()
	defer d.writing.RUnlock()
	select {
	case <-d.done:
		return 0, os.ErrClosed
	default:
	}
	m := d.merges.Get().(*merger)
	for _, b := range bufs {
		if offset >= len(b) {
			continue
		}
		d.see(b[offset:], true)
		if !isMartian(b[offset:]) {
			m.add(d, b[offset:])
		}
	}
	m.flush(d)
	d.merges.Put(m)
	d.inbound.leave(len(bufs))
	return len(bufs), nil
}

// isMartian reports whether a packet of IPv4 comes from, or goes to, an address
// that never leaves a host (RFC 1122, section 3.2.1.3). gVisor drops those, too,
// but writes to the program's standard error about it.
func isMartian(p []byte) bool {
	const source, destination, loopback = 12, 16, 127
	return len(p) >= 20 && p[0]>>4 == 4 && (p[source] == loopback || p[destination] == loopback)
}

// see shows a packet to who captures them.
func (d *Device) see(packet []byte, in bool) {
	if tap := d.tap.Load(); tap != nil {
		(*tap)(packet, in)
	}
}

// deliver gives a packet to the stack. It goes to the protocol directly, not
// through the interface, which could only say for all packets alike whether
// their checksums were verified.
func (d *Device) deliver(v *buffer.View, verified bool) {
	to := d.v4
	if v.AsSlice()[0]>>4 == 6 {
		to = d.v6
	}
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(v)})
	p.RXChecksumValidated = verified
	to.HandlePacket(p)
	p.DecRef()
}

// Close implements [tun.Device]: it closes the whole stack, see [Stack.Close].
func (d *Device) Close() error { return d.s.Close() }

// close ends the device: afterwards nothing is delivered. Packets that are still
// queued can be read.
func (d *Device) close() {
	close(d.done)
	d.writing.Lock() // when those that deliver have ended
	defer d.writing.Unlock()
	d.signal.Lock()
	defer d.signal.Unlock()
	d.ended = true
	close(d.events)
}
