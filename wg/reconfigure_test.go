// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/device"

	"xeiaso.net/site/internal/test/wait"
)

// echo answers what it is sent, on a port of a tunnel.
func echo(t *testing.T, tun *Tunnel, address string) {
	t.Helper()
	l, err := tun.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
}

// up brings tunnels up, one after the other.
func up(t *testing.T, tunnels ...*Tunnel) {
	t.Helper()
	for _, tun := range tunnels {
		if err := tun.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// said sends a word, and reads it again.
func said(conn net.Conn) error {
	if _, err := io.WriteString(conn, "word"); err != nil {
		return err
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != "word" {
		return fmt.Errorf("it says %q", got)
	}
	return nil
}

func TestReconfigureKeepsWhatStays(t *testing.T) {
	a, b := pairOf(t)
	echo(t, a, ":80")
	up(t, a, b)
	stays, err := b.Dial("tcp", "10.9.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	goes, err := b.Dial("tcp", "[fd09::1]:80")
	if err != nil {
		t.Fatal(err)
	}
	shook := b.Status().Peers[0].LastHandshake
	cfg := b.cfg.clone()
	cfg.Addresses[1] = netip.MustParsePrefix("fd09::3/64")
	cfg.Peers = append(cfg.Peers, Peer{PublicKey: NewKey().Public(), AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.7.0.0/16")}})
	cfg.MTU, cfg.Search, cfg.DNS = 1280, []string{"example"}, []netip.Addr{netip.MustParseAddr("10.9.0.1")}
	cfg.ListenPort = freePort(t)
	if err := b.Reconfigure(&cfg); err != nil {
		t.Fatal(err)
	}
	if err := said(stays); err != nil {
		t.Errorf("the connection that stays: %v", err)
	}
	if err := said(goes); err == nil {
		t.Error("a connection has an address that there is not")
	}
	if got := fmt.Sprint(b.Addrs()); got != "[10.9.0.2 fd09::3]" {
		t.Errorf("the addresses are %s", got)
	}
	s := b.Status()
	if len(s.Peers) != 2 || !s.Peers[0].LastHandshake.Equal(shook) || s.ListenPort != cfg.ListenPort {
		t.Errorf("it is now %+v", s)
	}
	if names := b.names(); len(names.Servers) != 1 || len(names.Search) != 1 {
		t.Errorf("it asks %v", names.Servers)
	}
	if _, err := b.route(netip.MustParseAddr("10.7.0.1")); err != nil {
		t.Error(err)
	}
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

func TestWhatCannotBeConfiguredChangesNothing(t *testing.T) {
	a, b := pairOf(t)
	echo(t, a, ":80")
	up(t, a, b)
	before := fmt.Sprintf("%+v", b.Status().ListenPort)
	taken, err := net.ListenPacket("udp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := b.cfg.clone()
	cfg.ListenPort = taken.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	cfg.Addresses = cfg.Addresses[:1]
	if err := b.Reconfigure(&cfg); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), fmt.Sprint(cfg.ListenPort)) {
		t.Errorf("a port that is taken: %v", err)
	}
	cfg.MTU = 7
	if err := b.Reconfigure(&cfg); err == nil {
		t.Error("an MTU of 7 was taken")
	}
	if got := fmt.Sprintf("%+v", b.Status().ListenPort); got != before || len(b.Addrs()) != 2 {
		t.Errorf("the port is %s, was %s; the addresses are %v", got, before, b.Addrs())
	}
	conn, err := b.Dial("tcp", "10.9.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	if err := said(conn); err != nil {
		t.Error(err)
	}
	b.Close()
	if err := b.Reconfigure(&cfg); err == nil {
		t.Error("what is closed was changed")
	}
}

func TestAnotherKeyIsUsedAtOnce(t *testing.T) {
	a, b := pairOf(t)
	echo(t, a, ":80")
	up(t, a, b)
	conn, err := b.Dial("tcp", "10.9.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	key := NewKey()
	there, here := a.cfg.clone(), b.cfg.clone()
	there.Peers[0].PublicKey, here.PrivateKey = key.Public(), key
	if err := a.Reconfigure(&there); err != nil {
		t.Fatal(err)
	}
	if err := b.Reconfigure(&here); err != nil {
		t.Fatal(err)
	}
	if err := said(conn); err != nil {
		t.Errorf("a connection from before: %v", err)
	}
}

// The device is never without a peer for an address that has one before and after.
func TestNetworksGoFromPeerToPeer(t *testing.T) {
	p := netip.MustParsePrefix
	a, b, c := NewKey().Public(), NewKey().Public(), NewKey().Public()
	of := func(key PublicKey, networks ...string) Peer {
		peer := Peer{PublicKey: key}
		for _, n := range networks {
			peer.AllowedIPs = append(peer.AllowedIPs, p(n))
		}
		return peer
	}
	configs := []*Config{
		{Peers: []Peer{of(a, "10.1.0.0/16", "10.2.0.0/16"), of(b, "10.3.0.0/16")}},
		{Peers: []Peer{of(a, "10.2.0.0/16"), of(b, "10.1.0.0/16", "10.3.0.0/16")}},
		{Peers: []Peer{of(a, "10.1.0.0/16"), of(c, "10.1.0.0/16", "10.2.0.0/16")}}, // the later has it
		{Peers: []Peer{of(a, "10.1.0.0/16"), of(c, "10.2.0.0/16")}},
		{},
		{Peers: []Peer{of(b, "::/0", "0.0.0.0/0"), of(a, "10.1.0.0/16")}},
	}
	tun, err := New(&Config{PrivateKey: NewKey(), Addresses: []netip.Prefix{p("10.0.0.1/32")}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer tun.Close()
	for i, cfg := range configs {
		cfg.PrivateKey, cfg.Addresses = tun.cfg.PrivateKey, tun.cfg.Addresses
		for range 2 { // the same again
			if err := tun.Reconfigure(cfg); err != nil {
				t.Fatal(err)
			}
		}
		text, err := tun.device.IpcGet()
		if err != nil {
			t.Fatal(err)
		}
		fresh := &Config{PrivateKey: cfg.PrivateKey, Addresses: cfg.Addresses, Peers: cfg.Peers}
		other, err := New(fresh, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want, _ := other.device.IpcGet()
		other.Close()
		if sorted(text) != sorted(want) {
			t.Errorf("after step %d the device has\n%swant\n%s", i, text, want)
		}
	}
}

// sorted has the peers that a device tells of, and their networks, in a fixed order.
func sorted(text string) string {
	peers := strings.Split(text, "public_key=")
	for i := range peers {
		lines := strings.Split(peers[i], "\n")
		slices.Sort(lines[1:])
		peers[i] = strings.Join(lines, "\n")
	}
	slices.Sort(peers)
	return strings.Join(peers, "")
}

func TestOuterSocketsCanBeControlled(t *testing.T) {
	a, b := pairOf(t)
	b.Close()
	var called atomic.Int64
	control := func(network, _ string, c syscall.RawConn) error {
		called.Add(1)
		return c.Control(func(uintptr) {})
	}
	b, err := New(&b.cfg, Options{Control: control, ResolveEndpoint: b.opts.ResolveEndpoint})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	echo(t, a, ":80")
	up(t, a, b)
	conn, err := b.Dial("tcp", "10.9.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	if err := said(conn); err != nil || called.Load() == 0 {
		t.Errorf("%d sockets: %v", called.Load(), err)
	}
	before := called.Load()
	b.reopen()
	if err := said(conn); err != nil || called.Load() == before {
		t.Errorf("%d sockets after they were opened anew: %v", called.Load(), err)
	}
	refused := errors.New("not this one")
	c, err := New(&b.cfg, Options{Control: func(string, string, syscall.RawConn) error { return refused }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Up(t.Context()); !errors.Is(err, refused) {
		t.Errorf("Up: %v", err)
	}
}

func TestPacketsAreCaptured(t *testing.T) {
	a, b := pairOf(t)
	b.Close()
	var file bytes.Buffer
	b, err := New(&b.cfg, Options{Capture: PCAP(&file), ResolveEndpoint: b.opts.ResolveEndpoint})
	if err != nil {
		t.Fatal(err)
	}
	echo(t, a, ":80")
	up(t, a, b)
	conn, err := b.Dial("tcp", "10.9.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	if err := said(conn); err != nil {
		t.Fatal(err)
	}
	b.Close()
	raw := file.Bytes()
	if len(raw) < 24 || binary.LittleEndian.Uint32(raw) != pcapMagic || binary.LittleEndian.Uint32(raw[20:]) != linkRaw {
		t.Fatalf("the file begins with %x", raw[:min(24, len(raw))])
	}
	count, words := 0, 0
	for raw = raw[24:]; len(raw) > 0; count++ {
		length := binary.LittleEndian.Uint32(raw[8:])
		packet := raw[16 : 16+length]
		if packet[0]>>4 != 4 || int(binary.BigEndian.Uint16(packet[2:])) != len(packet) {
			t.Fatalf("packet %d is %x", count, packet)
		}
		words += bytes.Count(packet, []byte("word"))
		raw = raw[16+length:]
	}
	if count < 5 || words != 2 {
		t.Errorf("there are %d packets, and the word is in %d", count, words)
	}
	failing := PCAP(writerFunc(func([]byte) (int, error) { return 0, errors.New("full") }))
	failing([]byte{0x45}, true)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestAHostThatHasSleptCallsItsPeers(t *testing.T) {
	a, b := pairOf(t)
	var ahead atomic.Int64
	b.wall = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	up(t, a, b)
	wait.Until(t, "the peer is up", func() bool { return b.Status().Peers[0].State == StateUp })
	shook := b.Status().Peers[0].LastHandshake
	ahead.Store(int64(time.Hour))
	// The device shakes hands once in 5 seconds at most, unless keys are dead.
	wait.Until(t, "there was another handshake", func() bool {
		p := b.Status().Peers[0]
		return p.LastHandshake.After(shook) && p.State == StateUp
	})
	ahead.Store(0)
	wait.Until(t, "it is known that the clock was set back", func() bool {
		return strings.Contains(b.Status().Peers[0].Problem, "clock was set back by 1h")
	})
}

func TestAnOuterSocketThatWasLostIsOpenedAgain(t *testing.T) {
	a, b := pairOf(t)
	echo(t, a, ":80")
	up(t, a, b)
	port := b.Status().ListenPort
	// What becomes of it when there are no files left, or somebody else has the port.
	taken, err := net.ListenPacket("udp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	other := taken.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	if err := b.device.IpcSet(fmt.Sprintf("listen_port=%d\n", other)); err == nil {
		t.Fatal("a port that is taken was taken")
	}
	wait.Until(t, "there is a socket again", func() bool { return b.Status().ListenPort != 0 })
	taken.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := b.DialContext(ctx, "tcp", "10.9.0.1:80")
	if err != nil {
		t.Fatalf("%v, the port was %d", err, port)
	}
	if err := said(conn); err != nil {
		t.Error(err)
	}
}

func TestKeysCanBeChangedInTheMiddleOfHandshakes(t *testing.T) {
	a, b := pairOf(t)
	up(t, a, b)
	there := a.cfg.clone()
	keys := make([]Key, 40) // the device takes one handshake in 20 ms from each
	for i := range keys {
		keys[i] = NewKey()
		p := Peer{PublicKey: keys[i].Public(), PresharedKey: b.cfg.Peers[0].PresharedKey}
		if i == 0 {
			p.AllowedIPs = there.Peers[0].AllowedIPs
		}
		there.Peers = append(there.Peers, p)
	}
	if err := a.Reconfigure(&there); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		here := b.cfg.clone()
		for i := range 400 + 1 {
			here.PrivateKey = keys[i%len(keys)]
			if err := b.Reconfigure(&here); err != nil {
				t.Error(err)
			}
			if d := b.device.LookupPeer(device.NoisePublicKey(here.Peers[0].PublicKey.raw)); d != nil {
				_ = d.SendHandshakeInitiation(false)
			}
			// The answer comes some time before, while or after the key is changed again.
			for begin := time.Now(); time.Since(begin) < rand.N(2*time.Millisecond); {
				runtime.Gosched()
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		panic("it hangs") // and so would Close
	}
	if _, err := b.Ping(t.Context(), netip.MustParseAddr("10.9.0.1")); err != nil {
		t.Error(err)
	}
}
