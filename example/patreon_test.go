// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/loopback"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/patreon"
	"xeiaso.net/site/patreon/patreontest"
)

// fakePatreon is Patreon with a creator, three tiers, and members.
type fakePatreon struct {
	*patreontest.Server
	url, creator, campaign string
	pair                   patreontest.Pair
	close                  func()
}

func newPatreon(t *testing.T, members int) *fakePatreon {
	t.Helper()
	f := &fakePatreon{Server: patreontest.New(patreontest.Config{})}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	f.url, f.close = srv.URL, srv.Close
	f.AddClient(patreontest.Client{ID: "the-client", Secret: "the-client-secret"})
	f.creator = f.AddUser(patreontest.User{FullName: "Wren Quillon"})
	f.campaign = f.AddCampaign(patreontest.Campaign{Creator: f.creator})
	f.FillMembers(f.campaign, members)
	f.pair = f.Portal("the-client", f.creator, patreontest.AllScopes()...)
	return f
}

// flags are those of a host that keeps the tokens.
func (f *fakePatreon) flags() []string {
	return []string{
		"-patreon-url", f.url, "-patreon-client-id", "the-client", "-patreon-client-secret", "the-client-secret",
		"-patreon-access-token", f.pair.AccessToken, "-patreon-refresh-token", f.pair.RefreshToken,
	}
}

// thanksRepo is a site that shows the file of supporters as it is.
func thanksRepo(t *testing.T) *gittest.Repo {
	t.Helper()
	repo := gittest.New(t)
	repo.Write("index.html", "hello")
	repo.Commit("first")
	repo.Push()
	return repo
}

// patreonStatus is what the admin API says of Patreon.
type patreonStatus struct {
	Supporters int
	Problem    string
	Token      patreon.Status
	Webhook    patreon.RegistrationStatus
}

func (p *program) patreonStatus() (s patreonStatus) {
	p.t.Helper()
	_, body := p.get(p.admin + "api/status")
	var all struct {
		More map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	if err := json.Unmarshal(all.More["patreon"], &s); err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	return s
}

// thanks reads the supporters off the site.
func (p *program) thanks() []patreon.Supporter {
	p.t.Helper()
	_, body := p.get(p.public + "supporters.json")
	var list struct{ Supporters []patreon.Supporter }
	if json.Unmarshal([]byte(body), &list) != nil {
		return nil
	}
	return list.Supporters
}

// thanksArgs are a site that shows the file of supporters as it is.
func thanksArgs(repo *gittest.Repo) []string {
	return []string{
		"-git-repo", repo.Bare, "-build", "mkdir _site && cp *.html data/*.json _site/",
		"-patreon-data-file", "data/supporters.json",
	}
}

// triggered is how often Patreon was the reason for a build.
func (p *program) triggered() (n int) {
	p.t.Helper()
	_, metrics := p.get(p.admin + "metrics")
	for line := range strings.Lines(metrics) {
		if value, ok := strings.CutPrefix(line, `xesite_triggers_total{source="patreon"} `); ok {
			n, _ = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return n
}

// lists is how often the members were listed.
func (f *fakePatreon) lists() int {
	return f.Stats().Requests["GET /api/oauth2/v2/campaigns/{campaign_id}/members"]
}

func TestSupportersAreOnTheSite(t *testing.T) {
	fake := newPatreon(t, 30)
	repo := thanksRepo(t)
	public := loopback.FreeAddress(t)
	p := start(t, nil, slices.Concat(fake.flags(), thanksArgs(repo), []string{
		"-bind", public, "-site-url", "http://" + public + "/", "-patreon-webhook-register", "-patreon-campaign", fake.campaign,
	})...)
	wait.Until(t, "there are supporters on the site", func() bool { return len(p.thanks()) == 21 })
	wait.Until(t, "the secret of the webhook is known", func() bool { return p.patreonStatus().Webhook.Webhook != "" })

	before := p.triggered()
	user := fake.AddUser(patreontest.User{FullName: "Ada Newcomer"})
	member := fake.AddMember(patreontest.Member{Campaign: fake.campaign, User: user, FullName: "Ada Newcomer", Status: "active_patron", AmountCents: 500, LastChargeStatus: "Paid"})
	for i := range 1000 {
		event := []string{"members:create", "members:pledge:create", "members:update"}[i%3]
		if err := fake.Emit(t.Context(), event, map[string]any{"data": map[string]any{"type": "member", "id": member, "n": i}}); err != nil {
			t.Fatal(err)
		}
	}
	wait.Until(t, "the new supporter is on the site", func() bool {
		return slices.ContainsFunc(p.thanks(), func(s patreon.Supporter) bool { return s.Name == "Ada Newcomer" })
	})
	if n := p.triggered() - before; n < 1 || n > 2 {
		t.Errorf("1000 events have asked for %d builds", n)
	}

	// An event that changes nothing makes no build. When Patreon is read for the
	// second time, the first time is over.
	before = p.triggered()
	for i := range 2 {
		lists := fake.lists()
		if err := fake.Emit(t.Context(), "members:update", map[string]any{"data": map[string]any{"type": "member", "id": member, "again": i}}); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, "Patreon is read again", func() bool { return fake.lists() > lists })
	}
	if n := p.triggered() - before; n != 0 {
		t.Errorf("events that change nothing have asked for %d builds", n)
	}
	_, metrics := p.get(p.admin + "metrics")
	for _, line := range []string{"patreon_lineage_lost 0", "patreon_token_expires_seconds 2.6", "patreon_supporters 22", `patreon_webhook_deliveries_total{result="accepted",trigger="members:create"} 334`, "patreon_supporters_age_seconds", `xesite_data_age_seconds{file="data/supporters.json"}`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	if s := p.patreonStatus(); s.Supporters != 22 || s.Token.State != "ok" {
		t.Errorf("the status is %+v", s)
	}
}

// Whatever Patreon does, the site starts, serves, and builds with the list that
// it has.
func TestPatreonInTroubleIsNoTroubleForTheSite(t *testing.T) {
	for name, fault := range map[string]patreontest.Kind{
		"refused":   "",
		"hangs":     patreontest.Hang,
		"page":      patreontest.HTMLSuccess,
		"truncated": patreontest.Truncated,
		"500":       patreontest.ServerError,
		"401 page":  patreontest.UnauthorizedHTML,
		"challenge": patreontest.Challenge,
		"429":       patreontest.RateLimitedBare,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := newPatreon(t, 10)
			repo := thanksRepo(t)
			args := append(fake.flags(), thanksArgs(repo)...)
			p := start(t, nil, args...)
			wait.Until(t, "there are supporters on the site", func() bool { return len(p.thanks()) == 7 })
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
			if fault == "" {
				fake.close()
			} else {
				fake.Random(1, 1, patreontest.Fault{Kind: fault})
			}
			p.start(nil, args...)
			repo.Write("index.html", "written meanwhile")
			repo.Commit("meanwhile")
			repo.Push()
			if code, _ := p.do(http.MethodPost, p.admin+"api/rebuild?wait=1", nil); code != http.StatusOK {
				t.Errorf("rebuild: %d", code)
			}
			p.shows("", "written meanwhile")
			if n := len(p.thanks()); n != 7 {
				t.Errorf("%d supporters are left", n)
			}
			if s := p.patreonStatus(); s.Supporters != 7 {
				t.Errorf("the status is %+v", s)
			}
		})
	}
}

func TestASiteStartsWithoutAListWhenPatreonIsDown(t *testing.T) {
	fake := newPatreon(t, 10)
	fake.Random(1, 1, patreontest.Fault{Kind: patreontest.ServerError})
	p := start(t, nil, append(fake.flags(), thanksArgs(thanksRepo(t))...)...)
	p.shows("supporters.json", `"supporters": []`)
	fake.ClearFaults()
}

func TestPatreonThatIsSetWronglyStopsNothing(t *testing.T) {
	fake := newPatreon(t, 0)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"two owners":   {append(fake.flags(), "-patreon-saasproxy-url", "http://localhost:1"), "-patreon-saasproxy-url"},
		"no secret":    {[]string{"-patreon-client-id", "x"}, "-patreon-client-secret"},
		"no tokens":    {[]string{"-patreon-data-file", "x.json"}, "-patreon-refresh-token"},
		"strange form": {append(fake.flags(), "-patreon-data-format", "v3"), "-patreon-data-format"},
		"far away":     {append(fake.flags(), "-patreon-data-file", "../x.json"), "-patreon-data-file"},
		"bad address":  {append(fake.flags(), "-patreon-url", "patreon"), "-patreon-url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil, c.args...)
			wait.Until(t, "the site is up", p.ready)
			if _, body := p.get(p.admin + "api/status"); !strings.Contains(body, c.want) {
				t.Errorf("the status does not name %s: %s", c.want, body)
			}
			if !strings.Contains(p.stderr.String(), c.want) {
				t.Errorf("the log does not name %s", c.want)
			}
		})
	}
}

// startTokenServer runs the token server until the test ends, and returns its
// address.
func startTokenServer(t *testing.T, args ...string) (address string, logs *wait.Buffer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stdout, stderr := &wait.Buffer{}, &wait.Buffer{}
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, append([]string{"token-server", "-bind", "127.0.0.1:0"}, args...), func(string) string { return "" }, stdout, io.MultiWriter(stderr, t.Output()))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	wait.Until(t, "the token server is up", func() bool {
		select {
		case err := <-done:
			done <- nil
			t.Fatalf("the token server ended: %v", err)
		default:
		}
		_, address, _ = strings.Cut(strings.TrimSpace(stdout.String()), "Token server: ")
		return address != ""
	})
	return "http://" + address, stderr
}

func TestASiteWithATokenServerHasNoTokens(t *testing.T) {
	fake := newPatreon(t, 10)
	dir := t.TempDir()
	clients := filepath.Join(dir, "clients")
	if err := os.WriteFile(clients, []byte("# who may ask\nsite "+patreon.HashToken("a-long-bearer-token")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, _ := startTokenServer(t, append(fake.flags(), "-data-dir", filepath.Join(dir, "tokens"), "-token-server-clients", clients, "-token-server-twirp", "-patreon-saasproxy-token", "the-other-token")...)
	p := start(t, nil, append(thanksArgs(thanksRepo(t)), "-patreon-saasproxy-url", server, "-patreon-saasproxy-token", "a-long-bearer-token")...)
	wait.Until(t, "there are supporters on the site", func() bool { return len(p.thanks()) == 7 })
	if code, _ := p.get(server + "/v1/token"); code != http.StatusUnauthorized {
		t.Errorf("without a bearer token: %d", code)
	}
	code, body := p.do(http.MethodGet, server+"/v1/token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer the-other-token") })
	if pair, _ := fake.Current("the-client", fake.creator); code != http.StatusOK || !strings.Contains(body, pair.AccessToken) || strings.Contains(body, pair.RefreshToken) {
		t.Errorf("with a bearer token: %d %s", code, body)
	}
	_, metrics := p.get(server + "/metrics")
	for _, want := range []string{"patreon_lineage_lost 0", `patreon_server_requests_total{client="site",code="200",path="proxy"} `, `patreon_server_requests_total{client="",code="401",path="token"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if code, _ := p.get(server + "/readyz"); code != http.StatusOK {
		t.Errorf("readyz: %d", code)
	}
}

func TestTheTokenServerDoesNotListenToEverybody(t *testing.T) {
	fake := newPatreon(t, 0)
	err := run(t.Context(), append([]string{"token-server", "-bind", ":0", "-data-dir", t.TempDir()}, fake.flags()...), func(string) string { return "" }, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "-token-server-clients") {
		t.Errorf("the error is %v", err)
	}
}

func TestTokensAreSeededByCommand(t *testing.T) {
	fake := newPatreon(t, 0)
	dir := t.TempDir()
	command := func(input string, args ...string) (string, error) {
		var out strings.Builder
		args = slices.Concat(args, []string{"-data-dir", dir, "-patreon-url", fake.url, "-patreon-client-id", "the-client", "-patreon-client-secret", "the-client-secret"})
		err := runPatreon(t.Context(), args, func(string) string { return "" }, strings.NewReader(input), &out, t.Output())
		return out.String(), err
	}
	seedOf := func(p patreontest.Pair) string { return p.AccessToken + "\n" + p.RefreshToken + "\n" }
	if out, err := command("", "status"); err != nil || !strings.Contains(out, `"state": "none"`) {
		t.Errorf("%s, %v", out, err)
	}
	out, err := command(seedOf(fake.pair), "seed")
	if err != nil || !strings.Contains(out, `"state": "ok"`) {
		t.Fatalf("%s, %v", out, err)
	}
	if _, err := command(seedOf(fake.pair), "seed", "-force"); !errors.Is(err, patreon.ErrSeedUsed) {
		t.Errorf("the same seed again: %v", err)
	}
	second := fake.Portal("the-client", fake.creator, patreontest.AllScopes()...)
	if _, err := command(seedOf(second), "seed"); err == nil || !strings.Contains(err.Error(), "-force") {
		t.Errorf("a seed that is not needed: %v", err)
	}
	if out, err := command(seedOf(second), "seed", "-force"); err != nil || !strings.Contains(out, `"state": "ok"`) {
		t.Errorf("%s, %v", out, err)
	}
	if _, err := command("one", "seed"); err == nil {
		t.Error("half a seed was taken")
	}
	if out, err := command("a-long-bearer-token", "hash"); err != nil || strings.TrimSpace(out) != patreon.HashToken("a-long-bearer-token") {
		t.Errorf("%s, %v", out, err)
	}
	if n := fake.Stats().SpentRefreshTokensUsed; n != 0 {
		t.Errorf("%d refresh tokens were used twice", n)
	}
}

// Wherever one could look: tokens and secrets of Patreon are in the records of the
// tokens and nowhere else, also when Patreon quotes them.
func TestSecretsOfPatreonStayInside(t *testing.T) {
	fake := newPatreon(t, 10)
	for _, on := range []func(*http.Request) bool{patreontest.OnToken, patreontest.OnPath("/webhooks")} {
		fake.Next(1, patreontest.Fault{Kind: patreontest.EchoSecrets, On: on})
	}
	repo := thanksRepo(t)
	args := append(fake.flags(), "-git-repo", repo.Bare, "-build", "mkdir _site && env >_site/env.txt && cat /proc/$PPID/environ >>_site/env.txt && cp -r *.html data _site/",
		"-patreon-data-file", "data/supporters.json", "-patreon-webhook-register", "-patreon-webhook-secret", "a-hook-secret", "-log-level", "debug")
	p := start(t, nil, args...)
	wait.Until(t, "the webhook is registered", func() bool { return p.patreonStatus().Webhook.Webhook != "" })
	wait.Until(t, "there are supporters", func() bool { return p.patreonStatus().Supporters == 7 })
	if n := fake.Met()[patreontest.EchoSecrets]; n != 2 {
		t.Errorf("Patreon has quoted secrets %d times", n)
	}
	var seen strings.Builder
	for _, path := range []string{"metrics", "api/status", "api/builds", "api/builds/1/log", "", "patreon"} {
		_, body := p.get(p.admin + path)
		seen.WriteString(body)
	}
	for _, path := range []string{"env.txt", "data/supporters.json", ".within/hook/patreon"} {
		_, body := p.get(p.public + path)
		seen.WriteString(body)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	seen.WriteString(p.stdout.String() + p.stderr.String())
	secrets := map[string]string{
		"client secret": "the-client-secret", "hook secret": "a-hook-secret",
		"seed": fake.pair.RefreshToken, "seed's access token": fake.pair.AccessToken, "registered secret": fake.Hooks()[0].Secret,
	}
	if pair, ok := fake.Current("the-client", fake.creator); ok {
		secrets["refresh token"], secrets["access token"] = pair.RefreshToken, pair.AccessToken
	}
	records := filepath.Join(p.dataDir, "state")
	err := filepath.WalkDir(p.dataDir, func(path string, d fs.DirEntry, err error) error {
		if path == records {
			return fs.SkipDir
		}
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			content, err := os.ReadFile(path)
			seen.Write(content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for name, secret := range secrets {
		if strings.Contains(seen.String(), secret) {
			t.Errorf("the %s shows", name)
		}
	}
}

// A load balancer may lead a webhook to an instance that does not build.
func TestAnEventAtAnotherInstanceIsHandedOn(t *testing.T) {
	fake := newPatreon(t, 10)
	args := append(fake.flags(), append(thanksArgs(thanksRepo(t)), "-patreon-webhook-secret", "hush")...)
	p := start(t, nil, args...)
	wait.Until(t, "there are supporters on the site", func() bool { return len(p.thanks()) == 7 })
	other := &program{t: t, dataDir: p.dataDir, stderr: &wait.Buffer{}}
	other.start(nil, args...)
	wait.Until(t, "the other one serves", func() bool { return len(other.thanks()) == 7 })
	fake.AddMember(patreontest.Member{Campaign: fake.campaign, User: fake.AddUser(patreontest.User{}), FullName: "Ada", Status: "active_patron", AmountCents: 500})
	body := fake.Payload("members:create", fake.Members(fake.campaign)[0].ID)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, other.public+".within/hook/patreon", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Patreon-Event", "members:create")
	req.Header.Set("X-Patreon-Signature", patreontest.Sign("hush", body))
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("the answer is %s", resp.Status)
	}
	wait.Until(t, "the other one shows the new supporter", func() bool { return len(other.thanks()) == 8 })
	if n := fake.Stats().SpentRefreshTokensUsed; n != 0 || fake.Stats().Refreshes != 1 {
		t.Errorf("%d refreshes, %d with a spent token", fake.Stats().Refreshes, n)
	}
}

// Somebody seeds while the site runs, and nobody has to start it again.
func TestASeedIsEnoughForARunningSite(t *testing.T) {
	fake := newPatreon(t, 10)
	lost := fake.pair
	fake.pair = fake.Portal("the-client", fake.creator, patreontest.AllScopes()...) // the first one is dead
	args := []string{"-patreon-url", fake.url, "-patreon-client-id", "the-client", "-patreon-client-secret", "the-client-secret"}
	p := start(t, nil, slices.Concat(args, thanksArgs(thanksRepo(t)), []string{"-patreon-access-token", lost.AccessToken, "-patreon-refresh-token", lost.RefreshToken})...)
	wait.Until(t, "the lineage is lost", func() bool { return p.patreonStatus().Token.State == "lost" })
	wait.Until(t, "the page is there", p.ready)
	if _, body := p.get(p.admin + "patreon"); !strings.Contains(body, "patreon seed") {
		t.Error("the page does not say what to do")
	}
	input := strings.NewReader(fake.pair.AccessToken + " " + fake.pair.RefreshToken)
	if err := runPatreon(t.Context(), append([]string{"seed", "-data-dir", p.dataDir}, args...), func(string) string { return "" }, input, io.Discard, t.Output()); err != nil {
		t.Fatal(err)
	}
	// It looks once a minute by itself; whoever cannot wait has a button.
	if code, _ := p.do(http.MethodPost, p.admin+"api/patreon/read", nil); code != http.StatusAccepted {
		t.Errorf("the button: %d", code)
	}
	wait.Until(t, "there are supporters on the site", func() bool { return len(p.thanks()) == 7 })
}
