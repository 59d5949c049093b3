// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The device is configured, and tells how it is, in lines of text:
// https://www.wireguard.com/xplatform/#configuration-protocol.

// uapi writes a configuration for a device that has none. Endpoints are left out: they
// may be names, and are set one by one when they are known.
func (c *Config) uapi() string {
	return fmt.Sprintf("listen_port=%d\n", c.ListenPort) + c.uapiFrom(&Config{})
}

// uapiKeys writes all of a peer but where it is and what it has behind it.
func (p *Peer) uapiKeys(b *strings.Builder) {
	fmt.Fprintf(b, "public_key=%s\n", hex.EncodeToString(p.PublicKey.raw[:]))
	fmt.Fprintf(b, "preshared_key=%s\n", hex.EncodeToString(p.PresharedKey.bytes())) // zeros: none
	fmt.Fprintf(b, "persistent_keepalive_interval=%d\n", int(p.Keepalive.Round(time.Second).Seconds()))
}

// uapiEndpoint tells the device where a peer is.
func uapiEndpoint(key PublicKey, at netip.AddrPort) string {
	return fmt.Sprintf("public_key=%s\nupdate_only=true\nendpoint=%s\n", hex.EncodeToString(key.raw[:]), at)
}

// peerState is what the device knows of a peer.
type peerState struct {
	endpoint      netip.AddrPort
	lastHandshake time.Time // zero: none
	sent          uint64    // bytes
	received      uint64
}

// parseUAPI reads what the device tells of its peers, by public key, and its port.
func parseUAPI(text string) (peers map[PublicKey]peerState, port uint16) {
	peers = map[PublicKey]peerState{}
	var key PublicKey
	var state peerState
	var seconds, nanoseconds int64
	end := func() {
		if !key.IsZero() {
			if seconds != 0 || nanoseconds != 0 {
				state.lastHandshake = time.Unix(seconds, nanoseconds)
			}
			peers[key] = state
		}
		state, seconds, nanoseconds = peerState{}, 0, 0
	}
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, "=")
		switch name {
		case "listen_port":
			n, _ := strconv.ParseUint(value, 10, 16)
			port = uint16(n)
		case "public_key":
			end()
			raw, _ := hex.DecodeString(value)
			key = PublicKey{[32]byte(slices.Concat(raw, make([]byte, 32))[:32])}
		case "endpoint":
			state.endpoint, _ = netip.ParseAddrPort(value)
		case "last_handshake_time_sec":
			seconds, _ = strconv.ParseInt(value, 10, 64)
		case "last_handshake_time_nsec":
			nanoseconds, _ = strconv.ParseInt(value, 10, 64)
		case "tx_bytes":
			state.sent, _ = strconv.ParseUint(value, 10, 64)
		case "rx_bytes":
			state.received, _ = strconv.ParseUint(value, 10, 64)
		}
	}
	end()
	return peers, port
}
