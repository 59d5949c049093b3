// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"encoding/hex"
	"fmt"
	"net"
	"strings"
)

// Reconfigure makes cfg the configuration of the tunnel, without a break: connections
// go on as long as their addresses stay, and so do the sessions of peers that stay.
// What is equal is left alone. Connections and listeners on addresses of this end that
// are gone end.
//
// After an error nothing has changed. The options stay as they are.
func (t *Tunnel) Reconfigure(cfg *Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	if t.isClosed() {
		return net.ErrClosed
	}
	to := cfg.clone()
	t.mu.Lock()
	from := t.cfg
	t.mu.Unlock()
	// First what can fail: somebody else may have the port.
	if err := t.movePort(from.ListenPort, to.ListenPort); err != nil {
		return err
	}
	if err := t.device.IpcSet(to.uapiFrom(&from) + t.places(&from, &to)); err != nil {
		return t.ended(fmt.Errorf("wg: configure the device: %w", err))
	}
	if err := t.stack.SetAddresses(to.own()); err != nil {
		return t.ended(fmt.Errorf("wg: change the addresses: %w", err))
	}
	if mtu := to.mtu(); mtu != from.mtu() {
		if err := t.stack.SetMTU(mtu); err != nil {
			return t.ended(fmt.Errorf("wg: change the MTU: %w", err))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.adopt(to)
	return nil
}

// places tells the device where peers are that it has to be told of anew, as
// [Config.uapiFrom] does for another key.
func (t *Tunnel) places(from, to *Config) string {
	if to.PrivateKey.Equal(from.PrivateKey) {
		return ""
	}
	var b strings.Builder
	states, _ := t.state()
	for i := range to.Peers {
		key := to.Peers[i].PublicKey
		if at := states[key].endpoint; at.IsValid() {
			b.WriteString(uapiEndpoint(key, at))
		}
	}
	return b.String()
}

// mtu is the one that 0 stands for, too.
func (c *Config) mtu() int {
	if c.MTU == 0 {
		return defaultMTU
	}
	return c.MTU
}

// movePort has the outer socket be on another port. If that cannot be had, it goes back.
func (t *Tunnel) movePort(from, to uint16) error {
	if from == to {
		return nil
	}
	_, actual := t.state()
	if err := t.device.IpcSet(fmt.Sprintf("listen_port=%d\n", to)); err != nil {
		if back := t.device.IpcSet(fmt.Sprintf("listen_port=%d\n", actual)); back != nil {
			t.log.Warn("wg: the outer socket cannot be opened; it is tried again", "port", actual, "err", back)
		}
		return t.ended(fmt.Errorf("wg: open the UDP port %d: %w", to, err))
	}
	return nil
}

// uapiFrom writes for the device what is different from another configuration, the
// port excepted. At no time is an address without a peer that has one before and after,
// unless the key of this end is another one: then all is made anew.
func (c *Config) uapiFrom(from *Config) string {
	var b strings.Builder
	if !c.PrivateKey.Equal(from.PrivateKey) {
		// No session outlives the key. With peers, the device would wait for ever for an
		// answer to a handshake that waits for the device: one takes the lock of the key
		// first, and the other that of the handshake.
		b.WriteString("replace_peers=true\n")
		from = &Config{}
		fmt.Fprintf(&b, "private_key=%s\n", hex.EncodeToString(c.PrivateKey.bytes()))
	}
	was, is := from.routes(), c.routes()
	come, gone := is.without(was), was.without(is)
	for i := range c.Peers {
		p := &c.Peers[i]
		added := come.of(p.PublicKey)
		if old := from.peer(p.PublicKey); old != nil && p.equal(old) && len(added) == 0 {
			continue
		}
		p.uapiKeys(&b)
		for _, r := range added {
			fmt.Fprintf(&b, "allowed_ip=%s\n", r.network)
		}
	}
	for i := range from.Peers {
		key := from.Peers[i].PublicKey
		fmt.Fprintf(&b, "public_key=%s\nupdate_only=true\n", hex.EncodeToString(key.raw[:]))
		if c.peer(key) == nil {
			b.WriteString("remove=true\n")
		}
		for _, r := range gone.of(key) {
			// One that another peer has got by now is not taken from it.
			fmt.Fprintf(&b, "allowed_ip=-%s\n", r.network)
		}
	}
	return b.String()
}

// peer returns the one with a key, or nil.
func (c *Config) peer(key PublicKey) *Peer {
	for i := range c.Peers {
		if c.Peers[i].PublicKey == key {
			return &c.Peers[i]
		}
	}
	return nil
}

// equal reports whether the device need not be told anything but routes.
func (p *Peer) equal(other *Peer) bool {
	return p.PresharedKey.Equal(other.PresharedKey) && p.Keepalive == other.Keepalive
}
