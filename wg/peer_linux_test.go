// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/internal/test/wgnet"
	"xeiaso.net/site/wg"
)

// megabyte is random, so that nothing is right by chance.
func megabyte() []byte {
	b := make([]byte, 1<<20)
	_, _ = rand.Read(b)
	return b
}

// serve runs an HTTP server on a listener, until that is closed.
func serve(t testing.TB, l net.Listener, h http.Handler) {
	t.Helper()
	s := &http.Server{Handler: h, ReadHeaderTimeout: wait.Patience}
	t.Cleanup(func() { s.Close() })
	go func() { _ = s.Serve(l) }()
}

// echo sends back what comes, until its listener is closed.
func echo(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
		}()
	}
}

// sums answers with the bytes that a GET wants, and with the sum of those that a PUT
// has brought.
func sums(content []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write(content)
			return
		}
		h := sha256.New()
		_, _ = io.Copy(h, r.Body)
		fmt.Fprintf(w, "%x", h.Sum(nil))
	})
}

// request sends one and returns the body of the answer.
func request(ctx context.Context, client *http.Client, method, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// client returns one of the tunnel, until the test ends.
func client(t testing.TB, tunnel *wg.Tunnel) *http.Client {
	t.Helper()
	c := tunnel.HTTPClient()
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// transfer moves a megabyte each way by HTTP.
func transfer(t testing.TB, tunnel *wg.Tunnel, at string, content []byte) {
	t.Helper()
	c := client(t, tunnel)
	if got, err := request(patient(t), c, http.MethodGet, "http://"+at, nil); err != nil || sha256.Sum256(got) != sha256.Sum256(content) {
		t.Errorf("GET from %s: %d bytes, %v", at, len(got), err)
	}
	sent := megabyte()
	if got, err := request(patient(t), c, http.MethodPut, "http://"+at, sent); err != nil || string(got) != fmt.Sprintf("%x", sha256.Sum256(sent)) {
		t.Errorf("PUT to %s: %q, %v", at, got, err)
	}
}

// echoTCP sends a megabyte over a connection to an echo server and has it back.
func echoTCP(t testing.TB, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(wait.Patience))
	sent := megabyte()
	go func() {
		_, _ = conn.Write(sent)
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	if got, err := io.ReadAll(conn); err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
		t.Errorf("%s: %d bytes came back, %v", conn.RemoteAddr(), len(got), err)
	}
}

// exchange sends a packet until an answer comes, as UDP has to.
func exchange(t testing.TB, conn net.Conn, text string) string {
	t.Helper()
	b := make([]byte, 2000)
	for range 100 {
		fmt.Fprint(conn, text)
		conn.SetReadDeadline(time.Now().Add(wait.Patience / 100))
		if n, err := conn.Read(b); err == nil {
			return string(b[:n])
		}
	}
	t.Fatalf("%s does not answer", conn.RemoteAddr())
	return ""
}

// answerPackets sends back each packet, with a word before it.
func answerPackets(c net.PacketConn) {
	b := make([]byte, 2000)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(append([]byte("re: "), b[:n]...), from)
	}
}

// at has an address with a port, as text.
func at(addr netip.Addr, port uint16) string { return netip.AddrPortFrom(addr, port).String() }

// reaches tries everything in both directions.
func reaches(t *testing.T, tunnel *wg.Tunnel, peer *wgnet.Peer) {
	t.Helper()
	content := megabyte()
	for i, inside := range []netip.Addr{peer.Inside4, peer.Inside6} {
		own := tunnel.Addrs()[i]
		serve(t, peer.Listen(t, "tcp", at(inside, 80)), sums(content))
		go echo(peer.Listen(t, "tcp", at(inside, 7)))
		go answerPackets(peer.ListenPacket(t, "udp", at(inside, 7)))
		l, err := tunnel.Listen("tcp", at(own, 7))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go echo(l)
		c, err := tunnel.ListenPacket("udp", at(own, 7))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go answerPackets(c)

		transfer(t, tunnel, at(inside, 80), content)
		if took, err := tunnel.Ping(patient(t), inside); err != nil || took <= 0 {
			t.Errorf("ping of %s: %s, %v", inside, took, err)
		}
		for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){at(inside, 7): tunnel.DialContext, at(own, 7): peer.Dial} {
			conn, err := dial(patient(t), "tcp", name)
			if err != nil {
				t.Errorf("TCP to %s: %v", name, err)
				continue
			}
			echoTCP(t, conn)
			if conn, err = dial(patient(t), "udp", name); err != nil {
				t.Errorf("UDP to %s: %v", name, err)
				continue
			}
			if got := exchange(t, conn, "hello"); got != "re: hello" {
				t.Errorf("UDP from %s: %q", name, got)
			}
			conn.Close()
		}
	}
}

func TestAPeerInAnotherProcessIsReached(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts wgnet.Options
		six  bool // outside
	}{
		{"over IPv4", wgnet.Options{}, false},
		{"over IPv4 with a preshared key", wgnet.Options{PresharedKey: true}, false},
		{"over IPv6", wgnet.Options{}, true},
		{"over IPv6 with a preshared key", wgnet.Options{PresharedKey: true, Port: 4711}, true},
		{"as it was years ago", wgnet.Options{PresharedKey: true, Program: "wireguard-go"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			network := wgnet.New(t)
			peer := network.Peer(t, tt.opts)
			cfg := configOf(t, network, peer)
			if tt.six {
				cfg.Peers[0].Endpoint = peer.Endpoint6()
			}
			reaches(t, up(t, network, cfg, wg.Options{}), peer)
			if shown := peer.Show(t); shown.LastHandshake.IsZero() || peer.Handshakes() > 2 {
				t.Errorf("the peer shows %+v after %d handshakes", shown, peer.Handshakes())
			}
		})
	}
}

func TestCurlReachesAServerInTheTunnel(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	tunnel := newTunnel(t, network, configOf(t, network, peer), wg.Options{})
	l, err := tunnel.Listen("tcp", ":80") // before Up
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello, ", r.RemoteAddr) }))
	if err := tunnel.Up(patient(t)); err != nil {
		t.Fatal(err)
	}
	curl := need.Program(t, "curl", "apt-get install curl")
	for _, a := range tunnel.Addrs() {
		out, err := peer.Command(t.Context(), curl, "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "30", "http://"+at(a, 80)).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "hello, ") {
			t.Errorf("curl of %s: %v: %s", a, err, out)
		}
	}
}

func TestAPeerWithoutAnEndpointComesToUs(t *testing.T) {
	network := wgnet.New(t)
	probe := network.Home.ListenPacket(t, "udp", ":0")
	port := netip.MustParseAddrPort(probe.LocalAddr().String()).Port()
	probe.Close()
	peer := network.Peer(t, wgnet.Options{})
	cfg := configOf(t, network, peer)
	cfg.ListenPort, cfg.Peers[0].Endpoint = port, ""
	tunnel := newTunnel(t, network, cfg, wg.Options{})
	if err := tunnel.Up(patient(t)); err != nil { // there is nobody to wait for
		t.Fatal(err)
	}
	go echo(peer.Listen(t, "tcp", at(peer.Inside4, 7)))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := tunnel.DialContext(ctx, "tcp", at(peer.Inside4, 7))
	if e, ok := errors.AsType[*wg.PeerError](err); !ok || e.Endpoint != "" {
		t.Errorf("before it has come: %v", err)
	}
	peer.Call(t, at(peer.HomeAddr4(), port))
	conn, err := tunnel.DialContext(patient(t), "tcp", at(peer.Inside4, 7))
	if err != nil {
		t.Fatal(err)
	}
	echoTCP(t, conn)
}
