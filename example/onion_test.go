// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/loopback"
	"xeiaso.net/site/internal/test/tornet"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/onion"
)

func TestMain(m *testing.M) { os.Exit(tornet.Main(m)) }

// onionStatus is what the admin API says of the onion service.
func (p *program) onionStatus() (s onionStatus) {
	p.t.Helper()
	_, body := p.get(p.admin + "api/status")
	var all struct {
		More map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	var problem string
	if json.Unmarshal(all.More["onion"], &problem) == nil { // it is switched off
		return onionStatus{Problem: problem}
	}
	if err := json.Unmarshal(all.More["onion"], &s); err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	return s
}

// headers are those of the public answer to a path.
func (p *program) headers(path string) http.Header {
	p.t.Helper()
	resp, err := http.Get(p.public + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.Header
}

// file writes a file for a flag.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// torrcOf are the lines for a tor on the private network.
func torrcOf(t *testing.T, n *tornet.Network) string {
	return file(t, strings.Join(n.Torrc(), "\n")+"\n")
}

func siteRepo(t *testing.T) *gittest.Repo {
	t.Helper()
	repo := gittest.New(t)
	repo.WriteFiles(map[string]string{
		"index.html": "<h1>Hand made</h1>", "css/style.css": "h1{}", "posts/index.html": "posts",
		"_redirects": "/old https://me.example/posts/ 302\n/away https://elsewhere.example/ 302\n",
		"_headers":   "/*\n  Strict-Transport-Security: max-age=1\n",
	})
	repo.Commit("site")
	repo.Push()
	return repo
}

func TestTheSiteIsOnTor(t *testing.T) {
	n := tornet.Need(t)
	repo := siteRepo(t)
	p := start(t, map[string]string{"GITHUB_SECRET": "s"}, "-git-repo", repo.Bare, "-site-url", "https://me.example/", "-redirect-domain", "me.example",
		"-log-level", "debug", "-onion", "-onion-torrc", torrcOf(t, n), "-onion-circuit-limit", "500")
	p.showsAs("me.example")
	address := p.onionStatus().Address
	if banner := p.stdout.String(); !strings.Contains(banner, "Onion:  "+address.URL()+"\n") {
		t.Errorf("the banner does not tell the address: %s", banner)
	}
	wait.Until(t, "the onion service is ready", func() bool { return p.onionStatus().State == "ready" })
	if _, metrics := p.get(p.admin + "metrics"); !strings.Contains(metrics, "\nonion_ready 1\n") {
		t.Error("the metric does not say that it is ready")
	}

	// Over Tor it is the same site, and nothing leads away.
	base := "http://" + string(address)
	resp, body := n.Client.Fetch(t, base+"/?canary-query")
	if resp.StatusCode != 200 || string(body) != "<h1>Hand made</h1>" || resp.Header.Get("Strict-Transport-Security") != "" || resp.Header.Get("Onion-Location") != "" {
		t.Errorf("over Tor: %d %q %v", resp.StatusCode, body, resp.Header)
	}
	for path, want := range map[string]string{
		"/old": base + "/posts/", "/away": "https://elsewhere.example/", "/posts": "/posts/",
	} {
		if resp, _ := n.Client.Fetch(t, base+path); resp.Header.Get("Location") != want {
			t.Errorf("%s leads to %q, want %q", path, resp.Header.Get("Location"), want)
		}
	}
	req, _ := http.NewRequest(http.MethodPost, base+"/.within/hook/github", nil)
	if resp, _ := n.Client.Do(t, req); resp.StatusCode != 404 && resp.StatusCode != 405 {
		t.Errorf("the hook answers %d over Tor", resp.StatusCode)
	}
	req, _ = http.NewRequest(http.MethodGet, base+"/canary-path", nil)
	req.Header.Set("User-Agent", "canary-agent")
	req.Header.Set("Referer", "http://canary-referrer.example/")
	req.Header.Set("X-Forwarded-For", "canary-address")
	req.AddCookie(&http.Cookie{Name: "canary-cookie", Value: "1"})
	if resp, _ := n.Client.Do(t, req); resp.StatusCode != 404 {
		t.Errorf("a page that is not there: %d", resp.StatusCode)
	}
	req, _ = http.NewRequest(http.MethodGet, base+"/", nil)
	req.Host = "canary-host.example"
	if resp, _ := n.Client.Do(t, req); resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", resp.StatusCode)
	}

	// On the clearnet, pages tell of it.
	location := func(path string) string {
		var value string
		p.do(http.MethodGet, p.public+path, func(r *http.Request) { r.Host = "me.example" })
		req, _ := http.NewRequest(http.MethodGet, p.public+path, nil)
		req.Host = "me.example"
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		value = strings.Join(resp.Header.Values("Onion-Location"), ",")
		return value
	}
	for path, want := range map[string]string{"": base + "/", "posts/?a=%20b": base + "/posts/?a=%20b", "css/style.css": "", "old": ""} {
		if got := location(path); got != want {
			t.Errorf("/%s tells of %q, want %q", path, got, want)
		}
	}

	// Nothing of the visitor is anywhere.
	_, metrics := p.get(p.admin + "metrics")
	_, status := p.get(p.admin + "api/status")
	texts := map[string]string{"log": p.stderr.String(), "output": p.stdout.String(), "metrics": metrics, "status": status}
	err := filepath.WalkDir(p.dataDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		texts[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range texts {
		if i := strings.Index(text, "canary"); i >= 0 {
			t.Errorf("%s has %q in it", where, text[max(0, i-50):min(len(text), i+50)])
		}
	}
	if !strings.Contains(metrics, `listener="onion"`) {
		t.Error("visitors over Tor are not counted")
	}
}

func TestATorThatDiesIsNoTroubleForTheSite(t *testing.T) {
	n := tornet.Need(t)
	p := start(t, nil, "-git-repo", siteRepo(t).Bare, "-onion", "-onion-torrc", torrcOf(t, n), "-onion-single-hop")
	wait.Until(t, "the onion service is ready", func() bool { return p.onionStatus().State == "ready" })
	address := p.onionStatus().Address
	pid := childOf(t, os.Getpid(), filepath.Join(p.dataDir, "onion"))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.shows("", "Hand made")
	wait.Until(t, "the service is ready again", func() bool {
		_, metrics := p.get(p.admin + "metrics")
		return strings.Contains(metrics, "\nonion_ready 1\n") && strings.Contains(metrics, "onion_restarts_total{cause=\"exit\"} 1\n")
	})
	if _, body := n.Client.Fetch(t, "http://"+string(address)+"/"); string(body) != "<h1>Hand made</h1>" {
		t.Errorf("over Tor: %s", body)
	}
	// After the end nothing is left.
	pid = childOf(t, os.Getpid(), filepath.Join(p.dataDir, "onion"))
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("tor (process %d) is left", pid)
	}
	if address2, err := command(t, "", p.dataDir, "address"); err != nil || address2 != string(address)+"\n" {
		t.Errorf("the command says %q, %v", address2, err)
	}
}

// childOf finds the tor that has its home in a folder.
func childOf(t *testing.T, parent int, home string) int {
	t.Helper()
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(parent) + "/task/*/children")
	for _, path := range tasks {
		list, _ := os.ReadFile(path)
		for field := range strings.FieldsSeq(string(list)) {
			env, _ := os.ReadFile("/proc/" + field + "/environ")
			if strings.HasPrefix(string(env), "HOME="+home) {
				pid, _ := strconv.Atoi(field)
				return pid
			}
		}
	}
	t.Fatalf("there is no tor at %s", home)
	return 0
}

func TestWithoutTorTheSiteRuns(t *testing.T) {
	repo := siteRepo(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no tor":      {[]string{"-onion-tor", "/nowhere/tor"}, "install it"},
		"another":     {[]string{"-onion-tor", "/bin/echo"}, "is not tor"},
		"no key":      {[]string{"-onion-key-file", "/nowhere/key"}, "-onion-key-file"},
		"a wrong key": {[]string{"-onion-key-file", file(t, "hello")}, "-onion-key-file"},
		"torrc":       {[]string{"-onion-torrc", file(t, "ControlPort 1\n")}, "ControlPort"},
		"clients":     {[]string{"-onion-client-auth-file", file(t, "alice\n")}, "line 1"},
		"nobody":      {[]string{"-onion-client-auth-file", file(t, "# nobody\n")}, "there is nobody"},
		"limit":       {[]string{"-onion-circuit-limit", "-1"}, "-onion-circuit-limit"},
		"attached":    {[]string{"-onion-control", "127.0.0.1:1", "-onion-circuit-limit", "5"}, "Circuits"},
		"refused":     {[]string{"-onion-control", "127.0.0.1:1"}, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, nil, append([]string{"-git-repo", repo.Bare, "-onion"}, c.args...)...)
			p.shows("", "Hand made")
			if !p.ready() {
				t.Error("the site is not ready")
			}
			wait.Until(t, "the status says why", func() bool { return strings.Contains(p.onionStatus().Problem, c.want) })
			if _, metrics := p.get(p.admin + "metrics"); strings.Contains(metrics, "onion_ready 1") {
				t.Error("the metric says that it is ready")
			}
			if p.headers("").Get("Onion-Location") != "" {
				t.Error("pages tell of a service that is not there")
			}
		})
	}
	p := start(t, nil, "-git-repo", repo.Bare, "-onion-single-hop")
	p.shows("", "Hand made")
	if problem := p.onionStatus().Problem; !strings.Contains(problem, "-onion is not set") {
		t.Errorf("the status says %q", problem)
	}
}

func TestAnOnionServiceThatSomethingElseRuns(t *testing.T) {
	address := string(onion.NewKey().Address())
	at := loopback.FreeAddress(t)
	p := start(t, nil, "-git-repo", siteRepo(t).Bare, "-site-url", "https://me.example/", "-redirect-domain", "me.example", "-onion-domain", address, "-onion-bind", at)
	p.showsAs("me.example")
	ask := func(listener, host, path string) *http.Response {
		req, _ := http.NewRequest(http.MethodGet, "http://"+listener+path, nil)
		req.Host = host
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp
	}
	public := strings.TrimSuffix(strings.TrimPrefix(p.public, "http://"), "/")
	if got := ask(public, "me.example", "/?x").Header.Get("Onion-Location"); got != "http://"+address+"/?x" {
		t.Errorf("pages tell of %q", got)
	}
	if resp := ask(at, address, "/old"); resp.StatusCode != 302 || resp.Header.Get("Location") != "http://"+address+"/posts/" {
		t.Errorf("a redirect: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if resp := ask(at, address, "/"); resp.StatusCode != 200 || resp.Header.Get("Onion-Location") != "" {
		t.Errorf("a page: %d %v", resp.StatusCode, resp.Header)
	}
	if resp := ask(at, "me.example", "/"); resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", resp.StatusCode)
	}
	socket := filepath.Join(t.TempDir(), "s")
	if err := run(t.Context(), []string{"-onion-bind", "unix:" + socket}, func(string) string { return "" }, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "-onion-domain") {
		t.Errorf("without a domain: %v", err)
	}
}

// command runs a command about the key.
func command(t *testing.T, input, dataDir string, args ...string) (string, error) {
	var out strings.Builder
	err := runOnion(append(args, "-data-dir", dataDir), func(string) string { return "" }, strings.NewReader(input), &out, t.Output())
	return out.String(), err
}

func TestTheKeyMovesByCommand(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"address", "export-key"} {
		if _, err := command(t, "", dir, name); err == nil || !strings.Contains(err.Error(), "import-key") {
			t.Errorf("%s without a key: %v", name, err)
		}
	}
	key := onion.NewKey()
	if out, err := command(t, string(key.File()), dir, "import-key"); err != nil || out != string(key.Address())+"\n" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := command(t, "", dir, "export-key"); err != nil || out != string(key.File()) {
		t.Errorf("another key comes out: %v", err)
	}
	if _, err := command(t, string(onion.NewKey().File()), dir, "import-key"); err == nil || !strings.Contains(err.Error(), string(key.Address())) {
		t.Errorf("a key was replaced: %v", err)
	}
	if _, err := command(t, "hello", t.TempDir(), "import-key"); err == nil {
		t.Error("no key was imported")
	}
	if _, err := command(t, "", dir, "burn"); err == nil || !strings.Contains(err.Error(), "import-key") {
		t.Errorf("an unknown command: %v", err)
	}
}
