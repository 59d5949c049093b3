// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/internal/test/wgnet"
)

// The program is alone in a network where nothing but a peer can be reached, and all
// packets are looked at.
func TestAllThatIsPrivateGoesThroughARealPeer(t *testing.T) {
	network := wgnet.New(t)
	peer := network.Peer(t, wgnet.Options{PresharedKey: true})
	peer.DNS(t, "10.9.1.1", "address=/tokens.corp.example/10.9.1.1", "address=/tokens.corp.example/fd09:0:0:1::1")
	peer.Stop(t)

	fake := newPatreon(t, 7)
	server, _ := startTokenServer(t, append(fake.flags(), "-data-dir", t.TempDir(), "-patreon-saasproxy-token", "canary-bearer")...)
	tokens, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &http.Server{Handler: httputil.NewSingleHostReverseProxy(tokens)}
	defer proxy.Close()
	for _, at := range []string{"10.9.1.1:8080", "[fd09:0:0:1::1]:8080"} {
		go proxy.Serve(peer.Listen(t, "tcp", at))
	}

	sniffer := network.Sniff(t)
	config := strings.Replace(network.ClientConfig(peer), "[Peer]", "DNS = 10.9.1.1\n[Peer]", 1)
	config = strings.Replace(config, "Endpoint", "PersistentKeepalive = 1\nEndpoint", 1)
	inHome := func(name string, args ...string) *exec.Cmd {
		return network.Home.Command(context.Background(), name, args...)
	}
	p, cmd := launchBy(t, inHome, buildProgram(t), append(thanksArgs(thanksRepo(t)), "-log-level", "debug",
		"-wg-config", file(t, config), "-wg-domains", "corp.example", "-wg-admin", ":3001", "-wg-socks", "127.0.0.1:0",
		"-wg-forward", "127.0.0.1:0=tokens.corp.example:8080",
		"-patreon-saasproxy-url", "http://tokens.corp.example:8080", "-patreon-saasproxy-token", "canary-bearer")...)
	p.dial = network.Home.Dial

	p.shows("", "hello")
	if st := p.wgStatus(); st.State != "down" || !p.ready() {
		t.Errorf("while the peer stands still: %+v", st)
	}
	peer.Cont()
	wait.Until(t, "the tunnel is up", func() bool { return p.wgStatus().State == "up" })
	wait.Until(t, "there are supporters on the site", func() bool { return len(p.thanks()) == 7 })

	for path, want := range map[string]int{"readyz": 200, "metrics": 200, "api/status": 403, "": 403} {
		for _, host := range []string{"10.9.0.2", "[fd09::2]"} {
			transport := &http.Transport{DialContext: peer.Dial, DisableKeepAlives: true}
			resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://" + host + ":3001/" + path)
			if err != nil {
				t.Error(err)
				continue
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s /%s from the peer: %d, want %d", host, path, resp.StatusCode, want)
			}
		}
	}
	st := p.wgStatus()
	through := map[string]*http.Transport{
		"http://" + st.use(t, "forward") + "/readyz": {DialContext: network.Home.Dial},
		"http://tokens.corp.example:8080/readyz":     {DialContext: network.Home.Dial, Proxy: http.ProxyURL(&url.URL{Scheme: "socks5h", Host: st.use(t, "socks")})},
	}
	for at, transport := range through {
		if got := fetch(t, transport, at); !strings.HasPrefix(got, "ok") {
			t.Errorf("%s: %q", at, got)
		}
	}

	var seen strings.Builder
	for _, path := range []string{"", "wg", "patreon", "api/status", "metrics"} {
		_, body := p.get(p.admin + path)
		io.WriteString(&seen, body)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the program ends with %v", err)
	}
	fmt.Fprint(&seen, p.stdout.String(), p.stderr.String())
	for _, secret := range append(network.Secrets(), "canary-bearer") {
		if strings.Contains(seen.String(), secret) {
			t.Errorf("a secret shows: %q", secret)
		}
	}
	const udp, icmp6 = 17, 58
	for _, flow := range sniffer.Flows(t) {
		here := flow.Src.Addr().IsLoopback() && flow.Dst.Addr().IsLoopback()
		tunnel := flow.Protocol == udp && (flow.Src == peer.AddrPort4() || flow.Dst == peer.AddrPort4())
		neighbours := flow.Protocol == icmp6 && flow.Type >= 130 && flow.Type <= 143
		switch {
		case flow.Dst.Port() == 53:
			t.Errorf("a name is asked for outside: %s", flow)
		case !here && !tunnel && !neighbours:
			t.Errorf("something goes past the tunnel: %s", flow)
		}
	}
}
