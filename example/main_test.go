// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite/hook"
)

const patience = wait.Patience

// program is the host, run in this process.
type program struct {
	t              testing.TB
	public, admin  string // URLs, end in a slash
	dataDir        string
	stdout, stderr *wait.Buffer
	stop           func() error
	dial           func(ctx context.Context, network, address string) (net.Conn, error) // nil: as usual
}

var urls = regexp.MustCompile(`(?m)^(Site|Admin): +(http\S+)$`)

// start runs the host with ports of its own until the test ends.
func start(t testing.TB, env map[string]string, args ...string) *program {
	t.Helper()
	gittest.Require(t)
	p := &program{t: t, dataDir: filepath.Join(t.TempDir(), "var"), stdout: &wait.Buffer{}, stderr: &wait.Buffer{}}
	return p.start(env, args...)
}

func (p *program) start(env map[string]string, args ...string) *program {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	args = append([]string{"-bind", "127.0.0.1:0", "-internal-api-bind", "127.0.0.1:0", "-data-dir", p.dataDir}, args...)
	done := make(chan error, 1)
	p.stdout, p.public, p.admin = &wait.Buffer{}, "", ""
	go func() {
		done <- run(ctx, args, func(name string) string { return env[name] }, p.stdout, io.MultiWriter(p.stderr, p.t.Output()))
	}()
	p.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			return fmt.Errorf("the program does not end")
		}
	})
	p.t.Cleanup(func() {
		if err := p.stop(); err != nil {
			p.t.Error(err)
		}
	})
	wait.Until(p.t, "the banner shows", func() bool {
		select {
		case err := <-done:
			p.t.Fatalf("the program ended: %v", err)
		default:
		}
		for _, m := range urls.FindAllStringSubmatch(p.stdout.String(), -1) {
			if m[1] == "Site" {
				p.public = m[2]
			} else {
				p.admin = m[2]
			}
		}
		return p.admin != ""
	})
	return p
}

// do sends a request and returns status and body.
func (p *program) do(method, url string, edit func(*http.Request)) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if edit != nil {
		edit(req)
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: p.dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (p *program) get(url string) (int, string) {
	p.t.Helper()
	return p.do(http.MethodGet, url, nil)
}

func (p *program) ready() bool {
	status, _ := p.get(p.admin + "readyz")
	return status == 200
}

// shows waits until a page has the text.
func (p *program) shows(path, text string) {
	p.t.Helper()
	wait.Until(p.t, path+" shows "+text, func() bool {
		status, body := p.get(p.public + path)
		return status == 200 && strings.Contains(body, text)
	})
}

func TestDemoCommitGoesLive(t *testing.T) {
	p := start(t, nil)
	p.shows("", "A site from git")
	out := p.stdout.String()
	demo := filepath.Join(p.dataDir, "demo")
	if !strings.Contains(out, demo) || !strings.Contains(out, "commit") {
		t.Errorf("the banner does not say where to commit:\n%s", out)
	}
	post := "---\ntitle: Mine\ndate: 2026-01-02\n---\nWritten by **me**.\n"
	if err := os.WriteFile(filepath.Join(demo, "posts", "mine.md"), []byte(post), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"add", "--all"}, {"-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "mine"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = demo
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	p.shows("posts/mine/", "Written by <strong>me</strong>")
	p.shows("blog.json", p.public+"posts/mine/") // links lead to where it listens

	// A second start finds the repository as it was left, and serves at once.
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	again := (&program{t: t, dataDir: p.dataDir, stderr: p.stderr}).start(nil)
	if status, body := again.get(again.public + "posts/mine/"); status != 200 || !strings.Contains(body, "me") {
		t.Errorf("after the restart: %d %.200s", status, body)
	}
}

func TestPlainHTMLRepositoryNeedsNoBuild(t *testing.T) {
	repo := gittest.New(t)
	repo.WriteFiles(map[string]string{
		"index.html": "<h1>Hand made</h1>", "css/style.css": "h1{}", ".well-known/security.txt": "Contact: x",
		".env": "SECRET=1", "_redirects": "/old /css/style.css 302\n",
	})
	repo.Commit("site")
	repo.Push()
	p := start(t, nil, "-git-repo", repo.Bare)
	p.shows("", "<h1>Hand made</h1>")
	for path, want := range map[string]int{
		"css/style.css": 200, ".well-known/security.txt": 200, ".env": 404, ".git/config": 404, "_redirects": 404, "old": 302, "blog.json": 404,
	} {
		if status, _ := p.get(p.public + path); status != want {
			t.Errorf("GET /%s: %d, want %d", path, status, want)
		}
	}
}

// deliver sends a signed GitHub delivery.
func (p *program) deliver(forge hook.Forge, secret hook.Secret, push hook.Push) (int, string) {
	p.t.Helper()
	push.Forge = forge
	req, err := hook.NewRequest(p.t.Context(), p.public+".within/hook/"+string(forge), secret, push)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func TestSignedPushGoesLiveAndOthersDoNot(t *testing.T) {
	repo := gittest.New(t)
	repo.Write("index.html", "one")
	repo.Commit("one")
	repo.Push()
	p := start(t, map[string]string{"GITHUB_SECRET": "correct horse"}, "-git-repo", repo.HTTPServer("").URL, "-git-branch", "main")
	p.shows("", "one")
	repo.Write("index.html", "two")
	commit := repo.Commit("two")
	repo.Push()
	push := hook.Push{Branch: "main", After: commit, Repository: "me/site"}
	if status, _ := p.deliver(hook.GitHub, "wrong", push); status != 401 {
		t.Errorf("wrong secret: %d", status)
	}
	if status, body := p.deliver(hook.GitHub, "correct horse", hook.Push{Branch: "other", After: commit}); status/100 != 2 || !strings.Contains(body, "reason") {
		t.Errorf("foreign branch: %d %s", status, body)
	}
	status, body := p.deliver(hook.GitHub, "correct horse", push)
	var answer struct{ Trigger string }
	if err := json.Unmarshal([]byte(body), &answer); status != 202 || err != nil || answer.Trigger == "" {
		t.Errorf("signed delivery: %d %s", status, body)
	}
	p.shows("", "two")
	var info struct{ Commit, Release string }
	_, body = p.get(p.public + ".within/build.json")
	if err := json.Unmarshal([]byte(body), &info); err != nil || info.Commit != commit || len(info.Release) != 64 {
		t.Errorf("build.json: %s", body)
	}
	// A forge without a secret has no hook.
	if status, _ := p.deliver(hook.GitLab, "correct horse", push); status != 405 && status != 404 {
		t.Errorf("hook without a secret: %d", status)
	}
}

func TestAdminAPI(t *testing.T) {
	repo := gittest.New(t)
	repo.Write("index.html", "one")
	repo.Commit("one")
	repo.Push()
	p := start(t, nil, "-git-repo", repo.Bare, "-poll", "0")
	wait.Until(t, "it is ready", p.ready)
	repo.Write("index.html", "two")
	repo.Commit("two")
	repo.Push()
	status, body := p.do("POST", p.admin+"api/rebuild?wait=1", nil)
	if status != 200 || !strings.Contains(body, `"published"`) {
		t.Fatalf("rebuild: %d %s", status, body)
	}
	p.shows("", "two")
	var releases []struct {
		Release  string
		Sequence int
	}
	_, body = p.get(p.admin + "api/releases")
	if err := json.Unmarshal([]byte(body), &releases); err != nil || len(releases) != 2 {
		t.Fatalf("releases: %v %s", err, body)
	}
	if status, body := p.do("POST", p.admin+"api/releases/"+releases[1].Release+"/rollback", nil); status != 200 {
		t.Errorf("rollback: %d %s", status, body)
	}
	p.shows("", "one")
	for path, want := range map[string]int{
		"": 200, "livez": 200, "readyz": 200, "startupz": 200, "healthz": 200, "metrics": 200, "api/status": 200, "api/builds": 200,
		"api/builds/1/log": 200, "api/builds/99/log": 404, "api/builds/x/log": 400, "api/rebuild": 405, "nothing": 404,
	} {
		if status, body := p.get(p.admin + path); status != want {
			t.Errorf("GET %s: %d, want %d: %s", path, status, want, body)
		}
	}
	if status, _ := p.do("POST", p.admin+"api/releases/xyz/rollback", nil); status != 400 {
		t.Errorf("rollback to rubbish: %d", status)
	}
	_, page := p.get(p.admin)
	for _, want := range []string{"Publish again", "Build again", "published"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	_, metrics := p.get(p.admin + "metrics")
	for _, want := range []string{`xesite_builds_total{result="published"} 2`, `xesite_http_requests_total{code="200",listener="clearnet",method="GET"}`, "xesite_release_info{", `xesite_triggers_total{source="admin"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

func TestAdminIsOpenOnLoopbackOnlyToLocalNamesAndOwnPages(t *testing.T) {
	p := start(t, nil)
	p.shows("", "A site from git") // so it leads
	for name, tt := range map[string]struct {
		edit func(*http.Request)
		want int
	}{
		"plain":         {nil, 202},
		"rebinding":     {func(r *http.Request) { r.Host = "evil.example" }, 403},
		"localhost":     {func(r *http.Request) { r.Host = "localhost:3001" }, 202},
		"foreign page":  {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"foreign page2": {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403},
	} {
		if status, body := p.do("POST", p.admin+"api/rebuild", tt.edit); status != tt.want {
			t.Errorf("%s: %d, want %d: %s", name, status, tt.want, body)
		}
	}
}

// Without TLS a browser says where a form comes from in Origin alone, and with
// "null" under the policy no-referrer.
func TestAdminFormsMaySayWhereTheyComeFrom(t *testing.T) {
	p := start(t, nil, "-admin-token", "sesame")
	p.shows("", "A site from git") // so it leads
	resp, err := http.Get(p.admin)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("Referrer-Policy %q", got)
	}
	status, body := p.do("POST", p.admin+"api/rebuild?page=1", func(r *http.Request) {
		r.SetBasicAuth("", "sesame")
		r.Host = "admin.example:3001"
		r.Header.Set("Origin", "http://admin.example:3001")
	})
	if status != 303 {
		t.Errorf("a form of the page: %d %s", status, body)
	}
}

func TestAdminToken(t *testing.T) {
	p := start(t, nil, "-admin-token", "sesame")
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	basic := func(r *http.Request) { r.SetBasicAuth("anybody", "sesame") }
	for _, tt := range []struct {
		path string
		edit func(*http.Request)
		want int
	}{
		{"api/status", nil, 401},
		{"api/status", bearer("wrong"), 401},
		{"api/status", bearer(""), 401},
		{"api/status", bearer("sesame"), 200},
		{"api/status", func(r *http.Request) { r.Header.Set("Authorization", "bearer sesame") }, 200},
		{"api/status", basic, 200},
		{"", nil, 401},
		{"livez", nil, 200},
		{"metrics", nil, 200},
	} {
		if status, _ := p.do("GET", p.admin+tt.path, tt.edit); status != tt.want {
			t.Errorf("GET /%s: %d, want %d", tt.path, status, tt.want)
		}
	}
}

func TestSecretsStayInside(t *testing.T) {
	repo := gittest.New(t)
	repo.WriteFiles(map[string]string{"gen.sh": "mkdir -p _site; env > _site/env.txt; cat /proc/$PPID/cmdline > _site/cmd.txt; echo x > _site/index.html"})
	repo.Commit("x")
	repo.Push()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("canary-file-1\ncanary-file-2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"GITHUB_SECRET": "canary-github", "ADMIN_TOKEN": "canary-admin", "GIT_TOKEN": "canary-token", "FORGEJO_SECRET_FILE": file,
		"PATH": os.Getenv("PATH"), "ALLOWED": "yes",
	}
	p := start(t, env, "-git-repo", repo.HTTPServer("canary-token").URL, "-build", "sh gen.sh", "-build-env", "ALLOWED,MISSING", "-log-level", "debug")
	p.shows("env.txt", "ALLOWED=yes")
	if status, _ := p.deliver(hook.Forgejo, "canary-file-2", hook.Push{Branch: "main", After: strings.Repeat("a", 40)}); status != 202 {
		t.Errorf("the second secret of a file: %d", status)
	}
	var seen strings.Builder
	seen.WriteString(p.stdout.String() + p.stderr.String())
	for _, path := range []string{"env.txt", "cmd.txt"} {
		_, body := p.get(p.public + path)
		seen.WriteString(body)
	}
	for _, path := range []string{"metrics", "api/status", "api/builds", "api/builds/1/log", ""} {
		_, body := p.do("GET", p.admin+path, func(r *http.Request) { r.SetBasicAuth("", "canary-admin") })
		seen.WriteString(body)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	err := filepath.WalkDir(p.dataDir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			content, err := os.ReadFile(path)
			seen.WriteString(string(content))
			return err
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(seen.String()) {
		if strings.Contains(line, "canary") {
			t.Errorf("a secret shows: %q", line)
		}
	}
}

func TestWrongFlagsAreNamedWithTheRemedy(t *testing.T) {
	gittest.Require(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		args []string
		env  map[string]string
		want []string
	}{
		{[]string{"-poll", "x"}, nil, []string{"-poll", `"x"`, "90s"}},
		{[]string{"-poll", "-3s"}, nil, []string{"-poll", "0 turns it off"}},
		{[]string{"--keep=0"}, nil, []string{"-keep", "at least 1"}},
		{[]string{"-nonsense"}, nil, []string{"-nonsense", "-help"}},
		{[]string{"word"}, nil, []string{`"word"`}},
		{[]string{"-site-url", "ftp://x"}, nil, []string{"-site-url", "https://example.com/"}},
		{[]string{"-git-repo", "./here"}, nil, []string{"-git-repo", "absolute"}},
		{[]string{"-git-repo", "ext::sh -c id"}, nil, []string{"-git-repo"}},
		{[]string{"-git-repo", "ext::sh -c id", "-preview-branches", "*"}, nil, []string{"-git-repo"}},
		{[]string{"-git-repo", "https://u:hunter2@h/x"}, nil, []string{"-git-repo", "token"}},
		{[]string{"-output-dir", "../x"}, nil, []string{"-output-dir", "inside the repository"}},
		{[]string{"-build-dir", "/x"}, nil, []string{"-build-dir", "inside the repository"}},
		{[]string{"-cache-paths", "a,/x"}, nil, []string{"-cache-paths", `"/x"`}},
		{[]string{"-build-env", "A=hunter2"}, nil, []string{"-build-env", "name alone"}},
		{[]string{"-site-url", "https://u:p@x.example/"}, nil, []string{"-site-url", "https://example.com/"}},
		{[]string{"-log-level", "loud"}, nil, []string{"-log-level", "debug, info, warn or error"}},
		{[]string{"-bind", taken.Addr().String()}, nil, []string{"-bind", "choose another"}},
		{[]string{"-redirect-domain", "https://x/"}, nil, []string{"-redirect-domain", "host name"}},
		{[]string{"-github-secret-file", "/no/such/file"}, nil, []string{"-github-secret-file", "/no/such/file"}},
		{[]string{"-bind", "nowhere"}, nil, []string{"-bind", "nowhere"}},
		{nil, map[string]string{"GIT_DEPTH": "deep"}, []string{"GIT_DEPTH", "deep", "whole number"}},
	} {
		args := append([]string{"-bind", "127.0.0.1:0", "-internal-api-bind", "127.0.0.1:0", "-data-dir", t.TempDir()}, tt.args...)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var logs wait.Buffer
		err := run(ctx, args, func(name string) string { return tt.env[name] }, io.Discard, &logs)
		cancel()
		if strings.Contains(logs.String(), `"ERROR"`) {
			t.Errorf("%v: something else is blamed: %s", tt.args, logs.String())
		}
		if err == nil {
			t.Errorf("%v %v: no error", tt.args, tt.env)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v %v: error %q lacks %q", tt.args, tt.env, err, want)
			}
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: error %q", tt.args, err)
		}
	}
}

func TestFlagsWinOverTheEnvironmentAndEmptyIsUnset(t *testing.T) {
	env := map[string]string{"KEEP": "7", "POLL": "", "GIT_BRANCH": "env", "GITHUB_SECRET": "env", "DEVEL": "true"}
	c, err := parse([]string{"-git-branch", "flag", "--github-secret=flag"}, func(name string) string { return env[name] }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.keep != 7 || c.poll != 5*time.Minute || c.branch != "flag" || !c.devel {
		t.Errorf("keep %d, poll %s, branch %q, devel %v", c.keep, c.poll, c.branch, c.devel)
	}
	if secrets := c.hookSecrets["github"]; len(secrets) != 1 || secrets[0].Reveal() != "flag" {
		t.Errorf("%d secrets; want the flag's alone", len(secrets))
	}
}

// A script passes on "$SECRET" whether it is set or not, and the secrets of
// orchestrators come with a line's end.
func TestSecretsMayBeEmptyOrHaveALinesEnd(t *testing.T) {
	c, err := parse([]string{"-github-secret", "", "-gitlab-secret", "s3\n", "-admin-token", " "}, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.hookSecrets["github"]) != 0 || c.adminToken != "" {
		t.Errorf("an empty secret counts")
	}
	if s := c.hookSecrets["gitlab"]; len(s) != 1 || s[0].Reveal() != "s3" {
		t.Errorf("%d secrets of gitlab", len(s))
	}
}

func TestDemoIsMadeOnceAndNowhereElse(t *testing.T) {
	gittest.Require(t)
	other := gittest.New(t) // where a hook of git has started the program
	other.Write("kept", "kept")
	before := other.Commit("kept")
	t.Setenv("GIT_DIR", filepath.Join(other.Dir, ".git"))
	t.Setenv("GIT_INDEX_FILE", filepath.Join(other.Dir, ".git", "index"))
	data := t.TempDir()
	demo := filepath.Join(data, "demo")
	var programs sync.WaitGroup
	for range 4 {
		programs.Go(func() {
			if err := makeDemo(t.Context(), demo); err != nil {
				t.Error(err)
			}
		})
	}
	programs.Wait()
	if log, err := demoGit(t.Context(), demo, "log", "--format=%s"); err != nil || log != "A demo site" {
		t.Errorf("log of the demo: %q, %v", log, err)
	}
	if head, err := demoGit(t.Context(), other.Dir, "rev-parse", "HEAD"); err != nil || head != before {
		t.Errorf("the other repository is at %s, %v; was at %s", head, err, before)
	}
	if left, err := os.ReadDir(data); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestDevelBuildsTheDirectoryAndReloadsPages(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("index.md", "# First")
	p := start(t, nil, "-devel")
	p.shows("", "First")
	p.shows("", "/.within/reload.js")

	resp, err := http.Get(p.public + ".within/reload")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	events := bufio.NewScanner(resp.Body)
	event := func() string {
		for events.Scan() {
			if data, ok := strings.CutPrefix(events.Text(), "data: "); ok {
				return data
			}
		}
		t.Fatalf("the stream ended: %v", events.Err())
		return ""
	}
	before := event()
	write("deep/er/page.md", "# New directory")
	if after := event(); after == before {
		t.Error("the event names the same release")
	}
	p.shows("deep/er/page/", "New directory")
	if ignored, err := os.ReadFile(filepath.Join(p.dataDir, ".gitignore")); err != nil || string(ignored) != "*\n" {
		t.Errorf("git does not ignore the data directory: %q, %v", ignored, err)
	}
}

func TestNotifyCommandHearsOfFailureAndRecovery(t *testing.T) {
	repo := gittest.New(t)
	repo.WriteFiles(map[string]string{"gen.sh": "mkdir _site; echo ok > _site/index.html"})
	repo.Commit("good")
	repo.Push()
	out := filepath.Join(t.TempDir(), "notes")
	env := map[string]string{"PATH": os.Getenv("PATH")}
	p := start(t, env, "-git-repo", repo.Bare, "-build", "sh gen.sh", "-poll", "0", "-notify-command", "cat >> "+out)
	p.shows("", "ok")
	lines := func() []string {
		content, _ := os.ReadFile(out)
		return strings.Split(strings.TrimSpace(string(content)), "\n")
	}
	repo.WriteFiles(map[string]string{"gen.sh": "echo the reason; exit 4"})
	repo.Commit("bad")
	repo.Push()
	if status, _ := p.do("POST", p.admin+"api/rebuild?wait=1", nil); status != 422 {
		t.Errorf("rebuild that fails: %d", status)
	}
	wait.Until(t, "the failure is told", func() bool { return strings.Contains(lines()[0], "the reason") })
	repo.WriteFiles(map[string]string{"gen.sh": "mkdir _site; echo mended > _site/index.html"})
	repo.Commit("good again")
	repo.Push()
	for range 2 { // only the first one is a recovery
		p.do("POST", p.admin+"api/rebuild?wait=1", nil)
	}
	wait.Until(t, "the recovery is told", func() bool { return len(lines()) == 2 })
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if got := lines(); len(got) != 2 || !strings.Contains(got[1], `"published"`) {
		t.Errorf("told: %q", got)
	}
}

func TestCanonicalHostLeavesHooksAndTheOnionAlone(t *testing.T) {
	p := start(t, map[string]string{"GITHUB_SECRET": "s"}, "-redirect-domain", "me.example", "-onion-domain", "abc.onion")
	p.showsAs("me.example")
	for _, tt := range []struct {
		host, method, path string
		want               int
	}{
		{"me.example", "GET", "", 200},
		{"ME.EXAMPLE:443", "GET", "", 200},
		{"me.example.", "GET", "", 200},
		{"abc.onion", "GET", "", 200},
		{"www.me.example", "GET", "about/?q=1", 308},
		{"www.me.example", "HEAD", "", 308}, // the original answered 421
		{"other.onion", "GET", "", 308},
		{"10.0.0.7:3000", "POST", ".within/hook/github", 401},
		{"10.0.0.7:3000", "GET", ".within/build.json", 200},
	} {
		status, _ := p.do(tt.method, p.public+tt.path, func(r *http.Request) { r.Host = tt.host })
		if status != tt.want {
			t.Errorf("%s %s at %s: %d, want %d", tt.method, tt.path, tt.host, status, tt.want)
		}
	}
	_, metrics := p.get(p.admin + "metrics")
	if !strings.Contains(metrics, `code="308",listener="clearnet",method="HEAD"} 1`) {
		t.Error("redirects of the middleware are not counted")
	}
}

func (p *program) showsAs(host string) {
	p.t.Helper()
	wait.Until(p.t, "the site is served as "+host, func() bool {
		status, _ := p.do("GET", p.public, func(r *http.Request) { r.Host = host })
		return status == 200
	})
}
