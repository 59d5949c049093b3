// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"xeiaso.net/site/internal/test/loopback"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/wg"
)

// farEnd is the other end of a tunnel, in this process: 10.9.0.1 and fd09::1. The
// program is 10.9.0.2 and fd09::2.
type farEnd struct {
	*wg.Tunnel
	t       testing.TB
	config  string // for the program
	secrets []string
}

func newFarEnd(t testing.TB) *farEnd {
	t.Helper()
	at := netip.MustParseAddrPort(loopback.FreeAddress(t))
	here, there, shared := wg.NewKey(), wg.NewKey(), wg.NewSharedKey()
	prefixes := func(list ...string) (all []netip.Prefix) {
		for _, s := range list {
			all = append(all, netip.MustParsePrefix(s))
		}
		return all
	}
	tunnel, err := wg.New(&wg.Config{
		PrivateKey: there, Addresses: prefixes("10.9.0.1/24", "fd09::1/64"), ListenPort: at.Port(),
		Peers: []wg.Peer{{PublicKey: here.Public(), PresharedKey: shared, AllowedIPs: prefixes("10.9.0.2/32", "fd09::2/128")}},
	}, wg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tunnel.Close() })
	return &farEnd{
		Tunnel: tunnel, t: t, secrets: []string{here.Reveal(), there.Reveal(), shared.Reveal()},
		config: "[Interface]\nPrivateKey = " + here.Reveal() + "\nAddress = 10.9.0.2/24, fd09::2/64\nDNS = 10.9.0.1, corp.example\nPostUp = canary-command\n" +
			"[Peer]\nPublicKey = " + there.Public().String() + "\nPresharedKey = " + shared.Reveal() +
			"\nEndpoint = " + at.String() + "\nAllowedIPs = 10.9.0.0/24, fd09::/64\nPersistentKeepalive = 1\n",
	}
}

// up has it answer.
func (f *farEnd) up() {
	f.t.Helper()
	if err := f.Up(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// serve answers HTTP at a port, until the test ends.
func (f *farEnd) serve(port int, handler http.Handler) {
	f.t.Helper()
	l, err := f.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		f.t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go server.Serve(l)
	f.t.Cleanup(func() { server.Close() })
}

// names answers DNS: every name in corp.example is this end.
func (f *farEnd) names() {
	f.t.Helper()
	conn, err := f.ListenPacket("udp", ":53")
	if err != nil {
		f.t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true}, Questions: m.Questions}
			header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}
			switch {
			case !strings.HasSuffix(q.Name.String(), ".corp.example."):
				answer.RCode = dnsmessage.RCodeNameError
			case q.Type == dnsmessage.TypeA:
				answer.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte{10, 9, 0, 1}}}}
			case q.Type == dnsmessage.TypeAAAA:
				answer.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("fd09::1").As16()}}}
			}
			if packed, err := answer.Pack(); err == nil {
				conn.WriteTo(packed, from)
			}
		}
	}()
}

// get asks the program through the tunnel.
func (f *farEnd) get(url, token string) (int, string) {
	f.t.Helper()
	transport := f.HTTPTransport()
	transport.DisableKeepAlives = true
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// wgStatus is what the admin API says of the tunnel.
func (p *program) wgStatus() (s wgStatus) {
	p.t.Helper()
	_, body := p.get(p.admin + "api/status")
	var all struct{ More struct{ WG json.RawMessage } }
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	if err := json.Unmarshal(all.More.WG, &s); err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	return s
}

// use is where a use of the tunnel listens.
func (s wgStatus) use(t testing.TB, kind string) string {
	t.Helper()
	for _, u := range s.Uses {
		if u.Kind == kind && u.Problem == "" {
			return u.Address
		}
	}
	t.Fatalf("there is no %s: %+v", kind, s.Uses)
	return ""
}

func fetch(t testing.TB, transport *http.Transport, url string) string {
	t.Helper()
	transport.DisableKeepAlives = true
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get(url)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

func TestTheSiteDoesNotWaitForTheTunnel(t *testing.T) {
	far := newFarEnd(t)
	far.names()
	far.serve(80, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "private ", r.Host) }))
	p := start(t, map[string]string{"WG_FORWARD": "127.0.0.1:0=web.corp.example:80,127.0.0.1:0=10.9.0.1:1"},
		"-git-repo", siteRepo(t).Bare, "-wg-config", file(t, far.config), "-wg-admin", ":3001", "-wg-socks", "127.0.0.1:0", "-log-level", "debug")
	p.shows("", "Hand made")
	if st := p.wgStatus(); st.State != "down" || len(st.Peers) != 1 || !p.ready() {
		t.Errorf("while nobody answers: %+v", st)
	}
	if _, page := p.get(p.admin); !strings.Contains(page, "The tunnel is down: no answer from") || !strings.Contains(page, `href="/wg"`) {
		t.Error("the start page does not say that the tunnel is down")
	}
	if _, metrics := p.get(p.admin + "metrics"); strings.Contains(metrics, "\nwg_last_handshake_age_seconds{") || !strings.Contains(metrics, "\nwg_bytes_total{") {
		t.Error("the metrics tell of a handshake, or nothing at all")
	}

	far.up()
	wait.Until(t, "the tunnel is up", func() bool { return p.wgStatus().State == "up" })
	if _, metrics := p.get(p.admin + "metrics"); !strings.Contains(metrics, "\nwg_last_handshake_age_seconds{") {
		t.Error("the metrics do not tell of a handshake")
	}
	st := p.wgStatus()
	if got := fetch(t, &http.Transport{}, "http://"+st.use(t, "forward")+"/"); got != "private "+st.use(t, "forward") {
		t.Errorf("through the forward: %q", got)
	}
	proxy := &url.URL{Scheme: "socks5h", Host: st.use(t, "socks")}
	if got := fetch(t, &http.Transport{Proxy: http.ProxyURL(proxy)}, "http://other.corp.example/"); got != "private other.corp.example" {
		t.Errorf("through the proxy: %q", got)
	}
	for path, want := range map[string]int{"readyz": 200, "livez": 200, "metrics": 200, "api/status": 403, "": 403, "wg": 403, "zip": 403} {
		for _, host := range []string{"10.9.0.2", "[fd09::2]"} {
			if code, body := far.get("http://"+host+":3001/"+path, ""); code != want {
				t.Errorf("%s /%s in the tunnel: %d %s, want %d", host, path, code, body, want)
			}
		}
	}

	// Nothing that anybody sees has a key in it.
	_, page := p.get(p.admin + "wg")
	_, status := p.get(p.admin + "api/status")
	_, metrics := p.get(p.admin + "metrics")
	for where, text := range map[string]string{"log": p.stderr.String(), "output": p.stdout.String(), "page": page, "status": status, "metrics": metrics} {
		for _, secret := range append(far.secrets, "canary-command") {
			if strings.Contains(text, secret) {
				t.Errorf("the %s has a secret in it", where)
			}
		}
	}
	for _, want := range []string{"10.9.0.2, fd09::2", "web.corp.example:80", "line 5: PostUp", st.Peers[0].PublicKey.String()} {
		if !strings.Contains(html.UnescapeString(page), want) {
			t.Errorf("the page does not tell %q:\n%s", want, page)
		}
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", st.use(t, "forward")); err == nil {
		t.Error("the forward is left")
	}
}

func TestTheAdminListenerInTheTunnelAsksForTheToken(t *testing.T) {
	far := newFarEnd(t)
	far.up()
	start(t, nil, "-git-repo", siteRepo(t).Bare, "-wg-config", file(t, far.config), "-wg-admin", "10.9.0.2:4000", "-admin-token", "sesame")
	wait.Until(t, "it answers", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		conn, err := far.DialContext(ctx, "tcp", "10.9.0.2:4000")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	for _, c := range []struct {
		path, token string
		want        int
	}{{"livez", "", 200}, {"metrics", "", 200}, {"api/status", "", 401}, {"api/status", "wrong", 401}, {"api/status", "sesame", 200}, {"", "sesame", 200}, {"wg", "sesame", 200}} {
		if code, _ := far.get("http://10.9.0.2:4000/"+c.path, c.token); code != c.want {
			t.Errorf("/%s with token %q: %d, want %d", c.path, c.token, code, c.want)
		}
	}
}

func TestTokensComeThroughTheTunnel(t *testing.T) {
	fake := newPatreon(t, 7)
	server, _ := startTokenServer(t, append(fake.flags(), "-data-dir", t.TempDir(), "-patreon-saasproxy-token", "bearer")...)
	at, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	far := newFarEnd(t)
	far.names()
	far.up()
	far.serve(8080, httputil.NewSingleHostReverseProxy(at))
	p := start(t, nil, append(thanksArgs(thanksRepo(t)), "-wg-config", file(t, far.config),
		"-patreon-saasproxy-url", "http://tokens.corp.example:8080", "-patreon-saasproxy-token", "bearer")...)
	wait.Until(t, "there are supporters on the site", func() bool { return len(p.thanks()) == 7 })
}

func TestAFileThatIsMendedIsTakenAtASignal(t *testing.T) {
	far := newFarEnd(t)
	far.up()
	path := file(t, "[Interface]\nPrivateKey = canary\n")
	p := start(t, nil, "-git-repo", siteRepo(t).Bare, "-wg-config", path, "-wg-admin", ":3001")
	p.shows("", "Hand made")
	if st := p.wgStatus(); st.State != "off" || !strings.Contains(st.Problem, "line 2, PrivateKey") || strings.Contains(st.Problem, "canary") {
		t.Errorf("a wrong file: %+v", st)
	}
	change := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	change(far.config)
	wait.Until(t, "the tunnel is up", func() bool { return p.wgStatus().State == "up" })
	if code, _ := far.get("http://10.9.0.2:3001/livez", ""); code != 200 {
		t.Errorf("in the tunnel: %d", code)
	}
	// What is in the tunnel stays while it is changed.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := far.DialContext(ctx, "tcp", "10.9.0.2:3001")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /livez HTTP/1.1\r\n")
	change(strings.Replace(far.config, "corp.example", "other.example", 1))
	wait.Until(t, "the search domain is another", func() bool { return slices.Contains(p.wgStatus().Domains, "other.example") })
	fmt.Fprint(conn, "Host: 10.9.0.2\r\nConnection: close\r\n\r\n")
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK") {
		t.Errorf("a connection from before: %q, %v", answer, err)
	}
	change(strings.Replace(far.config, "AllowedIPs", "AllowedIP", 1))
	wait.Until(t, "the status tells", func() bool { return strings.Contains(p.wgStatus().Problem, "the tunnel stays as it was") })
	if code, _ := far.get("http://10.9.0.2:3001/livez", ""); code != 200 || p.wgStatus().State != "up" {
		t.Errorf("after a wrong file: %d, %+v", code, p.wgStatus())
	}
	change(far.config)
	wait.Until(t, "the status is fine again", func() bool { return p.wgStatus().Problem == "" })
}

func TestPagesAboutTheTunnelFitEveryScreen(t *testing.T) {
	ctx := browser(t)
	far := newFarEnd(t)
	far.up()
	more := "[Peer]\nPublicKey = " + wg.NewKey().Public().String() + "\nEndpoint = a-long-name-of-a-gateway." + strings.Repeat("and-so-on.", 8) + "invalid:51820\n"
	p := start(t, nil, "-git-repo", siteRepo(t).Bare, "-wg-config", file(t, far.config+more), "-wg-admin", ":3001", "-wg-socks", "127.0.0.1:0",
		"-wg-forward", "127.0.0.1:0=db."+strings.Repeat("and-so-on.", 8)+"corp.example:5432,nonsense")
	broken := start(t, nil, "-git-repo", siteRepo(t).Bare, "-wg-config", "/nowhere/wg.conf")
	wait.Until(t, "one peer is up, and the other is not", func() bool {
		peers := p.wgStatus().Peers
		return len(peers) == 2 && peers[0].State == wg.StateUp && peers[1].Problem != ""
	})
	for _, at := range []string{p.admin, p.admin + "wg", broken.admin, broken.admin + "wg"} {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{320, 1280} {
				open(t, ctx, at, scheme, width)
				if overflow := evaluate[int](t, ctx, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); overflow > 0 {
					t.Errorf("%s at %d px, %s: %d px too wide", at, width, scheme, overflow)
				}
			}
		}
	}
}

func TestATunnelThatIsSetWronglyStopsNothing(t *testing.T) {
	far := newFarEnd(t)
	good := file(t, far.config)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the parallel tests
	for name, c := range map[string]struct {
		args  []string
		want  string
		state string
	}{
		"no file":          {[]string{"-wg-config", "/nowhere/wg.conf"}, "/nowhere/wg.conf", "off"},
		"a directory":      {[]string{"-wg-config", t.TempDir()}, "-wg-config", "off"},
		"an empty file":    {[]string{"-wg-config", file(t, "")}, "PrivateKey", "off"},
		"a wrong line":     {[]string{"-wg-config", file(t, strings.Replace(far.config, "10.9.0.2/24", "10.9.0.2/33", 1))}, "line 3, Address", "off"},
		"no config":        {[]string{"-wg-socks", "127.0.0.1:0"}, "-wg-config is not set", "off"},
		"no domain":        {[]string{"-wg-config", good, "-wg-domains", "*.corp.example"}, "-wg-domains", "off"},
		"no forward":       {[]string{"-wg-config", good, "-wg-forward", "127.0.0.1:5432"}, "want local=remote", "down"},
		"a forward's port": {[]string{"-wg-config", good, "-wg-forward", "127.0.0.1:0=db:postgres"}, `port of \"db:postgres\"`, "down"},
		"a taken port":     {[]string{"-wg-config", good, "-wg-forward", taken.Addr().String() + "=db:5432"}, "something listens there already", "down"},
		"a proxy's port":   {[]string{"-wg-config", good, "-wg-socks", taken.Addr().String()}, "-wg-socks", "down"},
		"not our address":  {[]string{"-wg-config", good, "-wg-admin", "10.9.0.1:3001"}, "-wg-admin", "down"},
		"no address":       {[]string{"-wg-config", good, "-wg-admin", "3001"}, "-wg-admin", "down"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil, append([]string{"-git-repo", siteRepo(t).Bare}, c.args...)...)
			p.shows("", "Hand made")
			wait.Until(t, "the status tells "+c.want, func() bool {
				_, body := p.get(p.admin + "api/status")
				return strings.Contains(body, c.want)
			})
			if st := p.wgStatus(); st.State != c.state || !p.ready() {
				t.Errorf("the state is %q, want %q", st.State, c.state)
			}
			if !strings.Contains(p.stderr.String(), `"ERROR"`) {
				t.Error("there is no error in the log")
			}
			for _, path := range []string{"wg", "", "metrics"} {
				if code, body := p.get(p.admin + path); code != 200 || strings.Contains(body, far.secrets[0]) {
					t.Errorf("/%s: %d", path, code)
				}
			}
			if err := p.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWithoutATunnelPrivateNamesGoNowhere(t *testing.T) {
	h := &host{config: &config{}, log: slog.New(slog.DiscardHandler)}
	h.config.wg = wgFlags{config: "/nowhere/wg.conf", domains: []string{"corp.example"}}
	h.startPrivateNetwork()
	h.config.wg.domains = append(h.config.wg.domains, "*.starred.example") // of no use to the rest
	for _, name := range []string{"corp.example", "tokens.corp.example", "tokens.internal", "TOKENS.flycast.", "a.b.starred.example"} {
		_, err := h.private.dial(t.Context(), "tcp", name+":8080")
		if !errors.Is(err, wg.ErrNoTunnel) || !strings.Contains(err.Error(), "/nowhere/wg.conf") {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.config.wg = wgFlags{config: file(t, "[Interface]\nPrivateKey = typo\ndns = 10.0.0.1, Corp.example # and others\n")}
	h.startPrivateNetwork() // is wrong, and what it means is clear
	if _, err := h.private.dial(t.Context(), "tcp", "tokens.corp.example:8080"); !errors.Is(err, wg.ErrNoTunnel) {
		t.Errorf("a search domain of a wrong file: %v", err)
	}
	p := start(t, nil, append(thanksArgs(thanksRepo(t)), "-wg-config", "/nowhere/wg.conf",
		"-patreon-saasproxy-url", "http://tokens.internal:8080", "-patreon-saasproxy-token", "bearer")...)
	wait.Until(t, "the status tells", func() bool { return strings.Contains(p.patreonStatus().Problem, "there is no tunnel") })

	// What is not private is not kept from anybody.
	fake := newPatreon(t, 3)
	server, _ := startTokenServer(t, append(fake.flags(), "-data-dir", t.TempDir(), "-patreon-saasproxy-token", "bearer")...)
	p = start(t, nil, append(thanksArgs(thanksRepo(t)), "-wg-config", "/nowhere/wg.conf", "-patreon-saasproxy-url", server, "-patreon-saasproxy-token", "bearer")...)
	wait.Until(t, "there are supporters on the site", func() bool { return len(p.thanks()) == 3 })
}
