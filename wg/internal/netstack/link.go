// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	// maxSend is how much TCP may hand over at once. What has headers of 40 bytes
	// more still has to fit the length field of IP.
	maxSend = 65535
	// patience is how long a sender waits for room in the queue. It is meant
	// for a device that nobody reads: senders hold locks, and closing a
	// connection would otherwise wait with them.
	patience = time.Second
)

// link is the interface as gVisor sees it: a queue of what is to be sent.
// Arriving packets do not pass it, see [Device.Write].
type link struct {
	queue    chan *stack.PacketBuffer
	released chan struct{} // closed when senders wait no more
	mtu      atomic.Uint32
	attached atomic.Bool
}

var (
	_ stack.LinkEndpoint = (*link)(nil)
	_ stack.GSOEndpoint  = (*link)(nil)
)

func newLink(mtu, queue int) *link {
	l := &link{queue: make(chan *stack.PacketBuffer, queue), released: make(chan struct{})}
	l.mtu.Store(uint32(mtu))
	return l
}

// release ends all waiting for room, now and later.
func (l *link) release() { close(l.released) }

// WritePackets implements [stack.LinkWriter]. What is not queued counts as lost,
// as on any network.
func (l *link) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	for i, p := range packets.AsSlice() {
		if !l.enqueue(p) {
			return i, &tcpip.ErrNoBufferSpace{}
		}
	}
	return packets.Len(), nil
}

// enqueue queues p, waiting for room if it may.
func (l *link) enqueue(p *stack.PacketBuffer) bool {
	p.IncRef()
	select {
	case l.queue <- p:
		return true
	default:
	}
	if !isAnswer(p) && l.wait(p) {
		return true
	}
	p.DecRef()
	return false
}

// wait queues p as soon as there is room.
func (l *link) wait(p *stack.PacketBuffer) bool {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case l.queue <- p:
		return true
	case <-l.released:
	case <-timeout.C:
	}
	return false
}

// isAnswer reports whether p may come from the goroutine that delivers a packet.
// That must not wait: if it did, two stacks that both have a full queue would
// wait for each other. TCP has goroutines of its own for all but resets.
func isAnswer(p *stack.PacketBuffer) bool {
	switch h := p.TransportHeader().Slice(); p.TransportProtocolNumber {
	case header.TCPProtocolNumber:
		return len(h) < header.TCPMinimumSize || header.TCP(h).Flags().Contains(header.TCPFlagRst)
	case header.UDPProtocolNumber:
		return false
	case header.ICMPv4ProtocolNumber:
		return len(h) < header.ICMPv4MinimumSize || header.ICMPv4(h).Type() != header.ICMPv4Echo
	case header.ICMPv6ProtocolNumber:
		return len(h) < header.ICMPv6MinimumSize || header.ICMPv6(h).Type() != header.ICMPv6EchoRequest
	}
	return true
}

// MTU implements [stack.NetworkLinkEndpoint].
func (l *link) MTU() uint32 { return l.mtu.Load() }

// SetMTU implements [stack.NetworkLinkEndpoint].
func (l *link) SetMTU(mtu uint32) { l.mtu.Store(mtu) }

// GSOMaxSize implements [stack.GSOEndpoint].
func (l *link) GSOMaxSize() uint32 { return maxSend }

// SupportedGSO implements [stack.GSOEndpoint]. To gVisor the device is hardware
// that cuts packets and computes checksums: its own way to cut them takes each
// through all layers by itself.
func (l *link) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }

// Attach implements [stack.NetworkLinkEndpoint].
func (l *link) Attach(d stack.NetworkDispatcher) { l.attached.Store(d != nil) }

// IsAttached implements [stack.NetworkLinkEndpoint].
func (l *link) IsAttached() bool { return l.attached.Load() }

// Capabilities implements [stack.NetworkLinkEndpoint].
func (l *link) Capabilities() stack.LinkEndpointCapabilities { return stack.CapabilityNone }

// ARPHardwareType implements [stack.NetworkLinkEndpoint].
func (l *link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }

// MaxHeaderLength implements [stack.NetworkLinkEndpoint].
func (l *link) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements [stack.NetworkLinkEndpoint].
func (l *link) LinkAddress() tcpip.LinkAddress { return "" }

// SetLinkAddress implements [stack.NetworkLinkEndpoint].
func (l *link) SetLinkAddress(tcpip.LinkAddress) {}

// AddHeader implements [stack.NetworkLinkEndpoint].
func (l *link) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements [stack.NetworkLinkEndpoint].
func (l *link) ParseHeader(*stack.PacketBuffer) bool { return true }

// Wait implements [stack.NetworkLinkEndpoint].
func (l *link) Wait() {}

// Close implements [stack.NetworkLinkEndpoint].
func (l *link) Close() {}

// SetOnCloseAction implements [stack.NetworkLinkEndpoint].
func (l *link) SetOnCloseAction(func()) {}
