// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wgnet

import (
	"net"
	"testing"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
)

// DNS starts dnsmasq on the peer's side, on an address inside the tunnel, until the
// test ends. It knows what the lines say, in the language of dnsmasq.conf, and of
// "internal", as of those without a dot, no others; whatever else it is asked, it
// refuses.
func (p *Peer) DNS(t testing.TB, address string, lines ...string) {
	t.Helper()
	args := []string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--no-resolv", "--no-hosts", "--log-facility=-", "--log-queries",
		"--bind-interfaces", "--listen-address=" + address, "--local=/internal/", "--domain-needed", "--local-ttl=60",
	}
	for _, line := range lines {
		args = append(args, "--"+line)
	}
	server, err := start(p.Command(nothing, need.Program(t, "dnsmasq", "apt-get install dnsmasq-base"), args...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("dnsmasq:\n%s", server.log())
		}
		if err := server.kill(); err != nil {
			t.Error(err)
		}
	})
	wait.Until(t, "dnsmasq answers", func() bool {
		select {
		case <-server.exited:
			t.Fatalf("dnsmasq has exited: %s", server.log())
		default:
		}
		conn, err := p.Dial(t.Context(), "tcp", net.JoinHostPort(address, "53"))
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

// FailingDNS answers every query at an address inside the tunnel with a code, such as
// 2 for SERVFAIL, and returns how many came.
func (p *Peer) FailingDNS(t testing.TB, address string, code byte) (queries func() int) {
	t.Helper()
	c := p.ListenPacket(t, "udp", net.JoinHostPort(address, "53"))
	var seen wait.Buffer // a byte each
	go func() {
		message := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(message)
			if err != nil {
				return
			}
			if n < 12 {
				continue
			}
			_, _ = seen.Write([]byte{'.'})
			message[2] |= 0x80 // an answer
			message[3] = message[3]&^0x0f | 0x80 | code
			// The question is repeated; records that follow it are not: they are
			// those of EDNS0, with which the message ends.
			_, _ = c.WriteTo(message[:n], from)
		}
	}()
	return func() int { return len(seen.String()) }
}
