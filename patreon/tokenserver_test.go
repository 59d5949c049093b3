// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

const bearerToken patreon.Secret = "made-up-bearer-token-of-the-site"

// office is a token server, with its keeper and the Patreon behind it.
type office struct {
	*rig
	server *patreon.TokenServer
	log    wait.Buffer
}

// newOffice makes a server with one client, unless edit has it otherwise.
func newOffice(t *testing.T, fake patreontest.Config, edit func(*patreon.TokenServerConfig)) *office {
	t.Helper()
	o := &office{}
	o.rig = newRig(t, fake, func(cfg *patreon.KeeperConfig) {
		cfg.Logger = slog.New(slog.NewJSONHandler(&o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	o.cfg.HTTPClient = &http.Client{Transport: line{o.fake}}
	o.restart()
	cfg := patreon.TokenServerConfig{
		Keeper: o.Keeper, Twirp: true, Logger: o.cfg.Logger,
		Clients: []patreon.TokenClient{{Name: "site", SHA256: []string{patreon.HashToken(bearerToken)}}},
	}
	if edit != nil {
		edit(&cfg)
	}
	s, err := patreon.NewTokenServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	o.server = s
	return o
}

// ask makes a request as the client "site".
func (o *office) ask(method, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://tokens.internal/", strings.NewReader(body))
	path, query, _ := strings.Cut(target, "?")
	u := *r.URL
	u.RawQuery = query
	if p, err := u.Parse(path); err == nil && !strings.HasPrefix(path, "//") {
		u.Path, u.RawPath = p.Path, p.RawPath
	} else {
		u.Path = path
	}
	r.URL, r.RequestURI = &u, target
	r.Header.Set("Authorization", "Bearer "+bearerToken.Reveal())
	return o.send(r)
}

func (o *office) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	o.server.ServeHTTP(w, r)
	return w
}

// upstream is how many requests for resources have come to Patreon, but for those
// of keeper and rig.
func (o *office) upstream() (n int) {
	for _, r := range o.fake.Requests() {
		if r.Method == http.MethodGet && r.UserAgent != "test" && r.Query != "fields%5Buser%5D=full_name" {
			n++
		}
	}
	return n
}

func into[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	return v
}

func TestEveryRouteAsksWhoItIs(t *testing.T) {
	o := newOffice(t, patreontest.Config{}, nil)
	o.good()
	routes := map[string]string{
		"/v1/token":        "GET",
		"/v1/token/report": "POST",
		"/v1/proxy/api/oauth2/v2/identity?fields%5Buser%5D=vanity":   "GET",
		"/twirp/xeiaso.net.admin.v1.PatreonService/GetToken":         "POST",
		"/twirp/xeiaso.net.admin.v1.Patreon/GetToken":                "POST",
		"/v1/proxy/api/oauth2/v2/identity?fields%5Buser%5D=vanity&x": "HEAD",
	}
	request := func(route, method, authorization string) *http.Request {
		r := httptest.NewRequest(method, "http://tokens.internal"+strings.TrimSuffix(route, "&x"), strings.NewReader(`{"generation":1,"status":401}`))
		r.Header.Set("Content-Type", "application/json")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		return r
	}
	for route, method := range routes {
		for _, wrong := range []string{
			"", "Bearer", "Bearer ", "Bearer wrong", "Bearer " + bearerToken.Reveal() + "x", "Basic !", "Token " + bearerToken.Reveal(),
			"Bearer " + patreon.HashToken(bearerToken), bearerToken.Reveal(),
		} {
			w := o.send(request(route, method, wrong))
			if w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s with %q: %d, %v", route, wrong, w.Code, w.Header())
			}
		}
		r := request(route, method, "")
		r.SetBasicAuth("whoever", "wrong")
		if w := o.send(r); w.Code != 401 {
			t.Errorf("%s with a wrong password: %d", route, w.Code)
		}
		r.SetBasicAuth("whoever", bearerToken.Reveal())
		if w := o.send(r); w.Code != 200 {
			t.Errorf("%s with the password: %d %s", route, w.Code, w.Body)
		}
		if w := o.send(request(route, method, "bearer  "+bearerToken.Reveal())); w.Code != 200 {
			t.Errorf("%s: %d %s", route, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := o.send(httptest.NewRequest("GET", path, nil)); w.Code != 200 || w.Body.String() != "ok\n" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestATokenServerGivesTheTokenAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, nil)
		want := o.good()
		w := o.ask("GET", "/v1/token", "")
		got := into[map[string]any](t, w)
		if w.Code != 200 || w.Header().Get("ETag") != fmt.Sprintf(`"%d"`, want.Generation) || got["access_token"] != want.Access.Reveal() ||
			got["token_type"] != "Bearer" || got["expires_in"] != time.Until(want.Expires).Seconds() || got["generation"] != float64(want.Generation) ||
			got["scope"] != want.Scope || len(got) != 6 {
			t.Errorf("%d %v %v", w.Code, w.Header(), got)
		}
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(got["expires_at"])); err != nil || !at.Equal(want.Expires) {
			t.Errorf("%v", got["expires_at"])
		}
	})
}

func TestTwoBearerTokensCountWhileOneIsChangedForTheOther(t *testing.T) {
	o := newOffice(t, patreontest.Config{}, nil)
	o.good()
	const next patreon.Secret = "the-next-bearer-token"
	with := func(token patreon.Secret) int {
		r := httptest.NewRequest("GET", "/v1/token", nil)
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
		return o.send(r).Code
	}
	old := patreon.HashToken(bearerToken)
	for _, step := range []struct {
		hashes        []string
		first, second int
	}{
		{[]string{old}, 200, 401},
		{[]string{old, strings.ToUpper(patreon.HashToken(next))}, 200, 200},
		{[]string{patreon.HashToken(next)}, 401, 200},
	} {
		if err := o.server.SetClients([]patreon.TokenClient{{Name: "site", SHA256: step.hashes}}); err != nil {
			t.Fatal(err)
		}
		if a, b := with(bearerToken), with(next); a != step.first || b != step.second {
			t.Errorf("%v: %d and %d", step.hashes, a, b)
		}
	}
	if err := o.server.SetClients([]patreon.TokenClient{{Name: "site", SHA256: []string{"nonsense"}}}); err == nil || with(next) != 200 {
		t.Errorf("a configuration that is wrong replaces one that is right: %v", err)
	}
}

func TestClientsCanChangeWhileTheyAreServed(t *testing.T) {
	o := newOffice(t, patreontest.Config{}, nil)
	o.good()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 50 {
				if w := o.ask("GET", "/v1/token", ""); w.Code != 200 {
					t.Errorf("%d", w.Code)
				}
				o.server.Requests()
				o.server.SetClients([]patreon.TokenClient{
					{Name: "site", SHA256: []string{patreon.HashToken(bearerToken)}},
					{Name: fmt.Sprint("other ", i), SHA256: []string{patreon.HashToken(patreon.Secret(fmt.Sprint("other ", i)))}},
				})
			}
		})
	}
	all.Wait()
}

func TestClientsThatAreNoneAreRefused(t *testing.T) {
	good := patreon.HashToken("a")
	for what, clients := range map[string][]patreon.TokenClient{
		"no name":           {{SHA256: []string{good}}},
		"a name of 2 lines": {{Name: "a\nb", SHA256: []string{good}}},
		"no token":          {{Name: "a"}},
		"a short hash":      {{Name: "a", SHA256: []string{good[:62]}}},
		"no hash":           {{Name: "a", SHA256: []string{"the token itself"}}},
		// Without this, a variable that is not set would let everybody in.
		"the empty token": {{Name: "a", SHA256: []string{patreon.HashToken("")}}},
		"the same token":  {{Name: "a", SHA256: []string{good}}, {Name: "b", SHA256: []string{good}}},
	} {
		o := newRig(t, patreontest.Config{}, nil)
		if _, err := patreon.NewTokenServer(patreon.TokenServerConfig{Keeper: o.Keeper, Clients: clients}); err == nil || strings.Contains(err.Error(), "token itself") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := patreon.NewTokenServer(patreon.TokenServerConfig{}); err == nil {
		t.Error("a server without a keeper can be made")
	}
}

// serve runs the server on a listener until the test ends, and returns what
// Serve does.
func (o *office) serve(l net.Listener) (stop func() error) {
	ctx, cancel := context.WithCancel(o.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.server.Serve(ctx, l) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	o.t.Cleanup(func() { stop() })
	return stop
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Skipf("listen on %s: %v", address, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func alone(cfg *patreon.TokenServerConfig) { cfg.Clients = nil }

func TestWithoutClientsOnlyThisMachineIsServed(t *testing.T) {
	o := newOffice(t, patreontest.Config{}, alone)
	o.good()
	for _, address := range []string{"0.0.0.0:0", "[::]:0"} {
		l := listen(t, "tcp", address)
		if err := o.server.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "clients") {
			t.Errorf("%s: %v", address, err)
		}
	}
	l := listen(t, "tcp", "127.0.0.1:0")
	stop := o.serve(l)
	for _, c := range []struct {
		host, field, value string
		want               int
	}{
		{want: 200},
		{host: "localhost", want: 200},
		{host: "LOCALHOST:99", want: 200},
		{host: "[::1]:99", want: 200},
		{host: "evil.example", want: 401}, // whose name leads here
		{host: "127.0.0.1.evil.example", want: 401},
		{host: "localhost.evil.example:80", want: 401},
		{host: "10.0.0.1", want: 401},
		{field: "Origin", value: "http://evil.example", want: 401},
		{field: "Origin", value: "null", want: 401},
		{field: "Sec-Fetch-Site", value: "cross-site", want: 401},
	} {
		req, err := http.NewRequest("GET", "http://"+l.Addr().String()+"/v1/token", nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.host != "" {
			req.Host = c.host
		}
		if c.field != "" {
			req.Header.Set(c.field, c.value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%+v: %d", c, resp.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Errorf("Serve returns %v", err)
	}
	// A handler in somebody's own server, on an address of the network.
	r := httptest.NewRequest("GET", "http://localhost/v1/token", nil)
	for _, addr := range []net.Addr{nil, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}} {
		if addr != nil {
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, addr))
		}
		if w := o.send(r); w.Code != 401 {
			t.Errorf("by way of %v: %d", addr, w.Code)
		}
	}
}

func TestAUnixSocketAndATrustedListenerNeedNoClients(t *testing.T) {
	o := newOffice(t, patreontest.Config{}, alone)
	o.good()
	path := filepath.Join(t.TempDir(), "tokens")
	l := listen(t, "unix", path)
	stop := o.serve(l)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://tokens/v1/token")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("over the socket: %d", resp.StatusCode)
	}
	transport.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
	trusted := newOffice(t, patreontest.Config{}, func(cfg *patreon.TokenServerConfig) { cfg.Clients, cfg.Trusted = nil, true })
	trusted.good()
	if err := trusted.server.CheckListener(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}); err != nil {
		t.Error(err)
	}
	r := httptest.NewRequest("GET", "http://tokens.tunnel/v1/token", nil)
	if w := trusted.send(r); w.Code != 200 {
		t.Errorf("trusted: %d", w.Code)
	}
	r.Header.Set("Origin", "http://evil.example")
	if w := trusted.send(r); w.Code != 401 {
		t.Errorf("a browser in the tunnel: %d", w.Code)
	}
}

func TestTheRefreshTokenIsInNoAnswerHeaderLogOrMetric(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, nil)
		var out strings.Builder
		secrets := []string{o.cfg.Seed.Refresh.Reveal(), "client-secret", bearerToken.Reveal()}
		record := func(w *httptest.ResponseRecorder) {
			fmt.Fprintln(&out, w.Code, w.Header(), w.Body)
		}
		everything := func() {
			for _, target := range []string{
				"/v1/token", "/v1/proxy/api/oauth2/v2/identity?fields%5Buser%5D=vanity", "/v1/proxy/api/oauth2/v2/webhooks",
				"/healthz", "/readyz", "/", "/v1/proxy/api/oauth2/token",
			} {
				record(o.ask("GET", target, ""))
				record(o.ask("HEAD", target, ""))
			}
			record(o.ask("POST", "/v1/token/report", `{"generation":2,"status":401}`))
			record(o.ask("POST", "/v1/token/report", `{`))
			for _, media := range []string{"application/json", "application/protobuf", "text/plain"} {
				r := httptest.NewRequest("POST", "/twirp/xeiaso.net.admin.v1.PatreonService/GetToken", strings.NewReader("{}"))
				r.Header.Set("Authorization", "Bearer "+bearerToken.Reveal())
				r.Header.Set("Content-Type", media)
				record(o.send(r))
			}
			fmt.Fprintf(&out, "%v %+v %#v %v %+v", o.server, o.server, o.server.Requests(), o.Keeper, o.Status())
			if pair, ok := o.fake.Current("client", o.creator); ok {
				secrets = append(secrets, pair.RefreshToken)
			}
		}
		everything()
		for _, fault := range []patreontest.Kind{patreontest.EchoSecrets, patreontest.InvalidGrant, patreontest.ServerError, patreontest.UnauthorizedHTML} {
			pass(20 * 24 * time.Hour)
			o.fake.Random(1, 1, patreontest.Fault{Kind: fault})
			everything()
			o.fake.Random(1, 0)
		}
		pass(40 * 24 * time.Hour)
		everything() // lost
		text := out.String() + o.log.String()
		for _, leak := range secrets {
			if strings.Contains(text, leak) {
				i := strings.Index(text, leak)
				t.Errorf("%q is in …%s…", leak, text[max(0, i-200):i+len(leak)])
			}
		}
		if access := o.cfg.Seed.Access.Reveal(); strings.Contains(o.log.String(), access) {
			t.Error("an access token is in the log")
		}
		if pair, ok := o.fake.Current("client", o.creator); ok && strings.Contains(o.log.String(), pair.AccessToken) {
			t.Error("the access token is in the log")
		}
	})
}

func TestThatThereAreNoTokensIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, nil)
		empty := newOffice(t, patreontest.Config{}, nil)
		empty.cfg.Seed = patreon.Seed{}
		empty.restart()
		s, err := patreon.NewTokenServer(patreon.TokenServerConfig{Keeper: empty.Keeper, Trusted: true, Twirp: true})
		if err != nil {
			t.Fatal(err)
		}
		empty.server = s
		o.good()
		o.rig.seed() // ends the lineage
		pass(40 * 24 * time.Hour)
		o.Token(t.Context())
		for kind, o := range map[string]*office{"lineage_lost": o, "no_tokens": empty} {
			w := o.ask("GET", "/v1/token", "")
			if got := into[map[string]string](t, w); w.Code != 503 || got["error"] != kind || w.Header().Get("Retry-After") == "" || len(got) != 2 {
				t.Errorf("%s: %d %v", kind, w.Code, got)
			}
			w = o.ask("POST", "/v1/token/report", `{"generation":2,"status":401}`)
			if got := into[map[string]string](t, w); w.Code != 503 || got["error"] != kind {
				t.Errorf("%s: %d %v", kind, w.Code, got)
			}
			w = o.ask("GET", "/v1/proxy/api/oauth2/v2/identity", "")
			if w.Code != 503 || !strings.Contains(w.Body.String(), `"code_name":"`+kind+`"`) {
				t.Errorf("%s: the proxy says %d %s", kind, w.Code, w.Body)
			}
			if w := o.ask("GET", "/readyz", ""); w.Code != 503 {
				t.Errorf("%s: ready: %d %s", kind, w.Code, w.Body)
			}
			if w := o.ask("GET", "/healthz", ""); w.Code != 200 {
				t.Errorf("%s: healthy: %d %s", kind, w.Code, w.Body)
			}
		}
	})
}

func TestReportsThatMakeNoSenseChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, nil)
		token := o.good()
		before := o.fake.Stats()
		for body, want := range map[string]int{
			"": 400, "{": 400, "null": 400, "[]": 400, `{"generation":-1,"status":401}`: 400, `{"generation":2,"status":403}`: 400, `{"generation":2}`: 400,
			`{"generation":"2","status":401}`: 400, strings.Repeat(" ", 1<<20) + `{"generation":2,"status":401}`: 400,
			`{"generation":1,"status":401}`: 200, `{"generation":99,"status":401}`: 200, `{"generation":18446744073709551615,"status":401}`: 200,
			`{"status":401}`: 200,
		} {
			w := o.ask("POST", "/v1/token/report", body)
			if w.Code != want {
				t.Errorf("%.40q: %d %s", body, w.Code, w.Body)
			}
			if want == 200 && into[map[string]uint64](t, w)["generation"] != token.Generation {
				t.Errorf("%.40q: %s", body, w.Body)
			}
		}
		if after := o.fake.Stats(); after.Refreshes != before.Refreshes || after.Requests["GET /api/oauth2/v2/identity"] != before.Requests["GET /api/oauth2/v2/identity"] {
			t.Errorf("Patreon was asked: %+v", after)
		}
	})
}

func TestOneBadClientCausesNeitherRotationNorManyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patreontest.Config{}, nil)
		token := o.good()
		before := o.fake.Stats()
		const minutes = 10
		for range minutes * 60 {
			o.ask("POST", "/v1/token/report", fmt.Sprintf(`{"generation":%d,"status":401}`, token.Generation))
			pass(time.Second)
		}
		after := o.fake.Stats()
		if n := after.Requests["GET /api/oauth2/v2/identity"] - before.Requests["GET /api/oauth2/v2/identity"]; n < 1 || n > minutes {
			t.Errorf("%d looks in %d minutes", n, minutes)
		}
		if after.Refreshes != before.Refreshes {
			t.Errorf("%d refreshes", after.Refreshes-before.Refreshes)
		}
		// A token that is refused indeed is replaced.
		o.fake.Revoke(token.Access.Reveal())
		pass(time.Minute)
		w := o.ask("POST", "/v1/token/report", fmt.Sprintf(`{"generation":%d,"status":401}`, token.Generation))
		if got := into[map[string]uint64](t, w)["generation"]; got != token.Generation+1 {
			t.Errorf("generation %d after %d", got, token.Generation)
		}
	})
}

func TestRequestsAreCountedByAClosedSetOfKinds(t *testing.T) {
	o := newOffice(t, patreontest.Config{}, nil)
	o.good()
	for i := range 300 {
		r := httptest.NewRequest("GET", fmt.Sprintf("/v1/token?n=%d", i), nil)
		r.Header.Set("Authorization", fmt.Sprint("Bearer guess ", i))
		o.send(r)
		o.ask("GET", fmt.Sprint("/v1/proxy/other/", i), "")
		o.ask("GET", fmt.Sprint("/nowhere/", i), "")
	}
	o.ask("GET", "/v1/token", "")
	want := map[patreon.Asked]uint64{
		{Path: "token", Code: 401}:                 300,
		{Client: "site", Path: "proxy", Code: 403}: 300,
		{Client: "site", Path: "token", Code: 200}: 1,
	}
	if diff := cmp.Diff(want, o.server.Requests()); diff != "" {
		t.Error(diff)
	}
}
