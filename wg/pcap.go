// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"encoding/binary"
	"io"
	"sync"
	"time"
)

// The format is that of https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html,
// with times in microseconds.
const (
	pcapMagic = 0xa1b2c3d4
	// linkRaw: packets begin with the header of IPv4 or IPv6.
	linkRaw = 101
)

// PCAP returns a function for [Options.Capture] that writes packets in the form that
// tcpdump and Wireshark read. What w has an error for is lost, and so is all after it.
func PCAP(w io.Writer) func(packet []byte, in bool) {
	head := binary.LittleEndian.AppendUint32(nil, pcapMagic)
	head = binary.LittleEndian.AppendUint16(head, 2) // version 2.4
	head = binary.LittleEndian.AppendUint16(head, 4)
	head = append(head, make([]byte, 8)...)
	head = binary.LittleEndian.AppendUint32(head, 1<<16) // longest packet
	head = binary.LittleEndian.AppendUint32(head, linkRaw)
	var mu sync.Mutex
	_, failed := w.Write(head)
	return func(packet []byte, _ bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil {
			return
		}
		now := time.Now()
		b := binary.LittleEndian.AppendUint32(make([]byte, 0, 16+len(packet)), uint32(now.Unix()))
		b = binary.LittleEndian.AppendUint32(b, uint32(now.Nanosecond()/1000))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
		_, failed = w.Write(append(b, packet...)) // in one, so that none is cut in two
	}
}
