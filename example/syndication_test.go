// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/ircd"
	"xeiaso.net/site/internal/test/loopback"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/discordtest"
	"xeiaso.net/site/syndicate/mastodontest"
)

// social is a Mastodon server with an account.
type social struct {
	*mastodontest.Server
	url, token string
}

func newSocial(t *testing.T) *social {
	t.Helper()
	s := &social{Server: mastodontest.New(mastodontest.Config{})}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url, s.token = srv.URL, s.Token("blog", "site", "read", "write")
	return s
}

// write makes a post of the demo and commits it.
func (p *program) write(name, title string) {
	p.t.Helper()
	p.save(name, title)
	commitDemo(p.t, filepath.Join(p.dataDir, "demo"))
}

// save makes a post of the demo.
func (p *program) save(name, title string) {
	p.t.Helper()
	demo := filepath.Join(p.dataDir, "demo")
	content := fmt.Sprintf("---\ntitle: %s\ndate: 2026-11-23T10:00:00Z\n---\n\nHello.\n", title)
	if err := os.WriteFile(filepath.Join(demo, "posts", name+".md"), []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// commitDemo commits everything in the demo's work tree.
func commitDemo(t testing.TB, demo string) {
	t.Helper()
	for _, args := range [][]string{{"add", "--all"}, {"-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "mine"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = demo
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

func (p *program) entries() (entries []syndicate.Entry) {
	p.t.Helper()
	_, body := p.get(p.admin + "api/syndication")
	var answer struct{ Entries []syndicate.Entry }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	return answer.Entries
}

// feedOf is a feed with posts of which the ids are given.
func feedOf(ids ...string) string {
	var items []string
	for _, id := range ids {
		items = append(items, fmt.Sprintf(`{"id": %q, "url": "https://me.example/p/%s.html", "title": "About %s"}`, id, id, id))
	}
	return `{"version": "https://jsonfeed.org/version/1.1", "title": "x", "items": [` + strings.Join(items, ",") + `]}`
}

// began reports whether there was a first look at the feed.
func (p *program) began() bool {
	p.t.Helper()
	_, body := p.get(p.admin + "api/syndication")
	return strings.Contains(body, `"began": true`)
}

func TestACommitIsAnnouncedOnceAcrossRestarts(t *testing.T) {
	mastodon, server, chat := newSocial(t), ircd.InspIRCd(t, ircd.Options{}), discordtest.New(discordtest.Config{})
	seen := server.Observe(t, "#blog")
	discord := httptest.NewServer(chat)
	defer discord.Close()
	args := []string{
		"-mastodon-url", mastodon.url, "-mastodon-token", mastodon.token, "-syndicate-max-age", "0",
		"-discord-webhook", strings.Replace(chat.Webhook(), "https://discord.com", discord.URL, 1),
		"-irc-server", server.Plain, "-irc-nick", "blog", "-irc-channel", "#blog", "-irc-insecure", "-log-level", "debug",
		"-bind", loopback.FreeAddress(t), // the ids of the demo's posts are their addresses
	}
	p := start(t, nil, args...)
	wait.Until(t, "there was a first look", func() bool {
		_, body := p.get(p.admin + "api/syndication")
		return strings.Count(body, `"began": true`) == 3
	})
	if n := len(mastodon.Statuses()); n != 0 {
		t.Errorf("the first look announced %d posts", n)
	}
	p.write("fresh", "Fresh news")
	wait.Until(t, "the post is announced", func() bool { return len(mastodon.Statuses()) == 1 && len(seen.Texts()) == 1 })
	if text := mastodon.Statuses()[0].Text; !strings.Contains(text, "Fresh news") || !strings.Contains(text, p.public+"posts/fresh") {
		t.Errorf("the status says %q", text)
	}
	wait.Until(t, "all are confirmed", func() bool {
		entries := p.entries()
		return len(entries) == 3 && !slices.ContainsFunc(entries, func(e syndicate.Entry) bool { return e.State != syndicate.Confirmed })
	})
	_, metrics := p.get(p.admin + "metrics")
	for _, line := range []string{`syndicate_posts_total{result="confirmed",target="mastodon"} 1`, `syndicate_outbox{state="confirmed",target="irc"} 1`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p.start(nil, args...)
	p.write("second", "More news")
	count := func() []int { return []int{len(mastodon.Statuses()), len(seen.Texts()), len(chat.Messages())} }
	wait.Until(t, "the second post is announced", func() bool { return slices.Min(count()) >= 2 })
	if n := count(); slices.Max(n) != 2 {
		t.Errorf("announced %d posts, want 2 each: %q", n, seen.Texts())
	}
	all := p.stdout.String() + p.stderr.String() + metrics
	if strings.Contains(all, mastodon.token) {
		t.Error("the token shows in output, log or metrics")
	}
}

func TestATargetThatIsSetWronglyDoesNotStopTheSite(t *testing.T) {
	mastodon := newSocial(t)
	p := start(t, nil, "-bluesky-handle", "me.example", "-irc-server", "irc.example", "-discord-webhook", "https://example.com/canary",
		"-mastodon-url", mastodon.url, "-mastodon-token", mastodon.token)
	p.shows("", "<html")
	_, status := p.get(p.admin + "api/status")
	for _, want := range []string{"set both -bluesky-handle and -bluesky-app-password", "set Nick", "-irc-channel", "-discord-webhook"} {
		if !strings.Contains(status, want) || !strings.Contains(p.stderr.String(), want) {
			t.Errorf("status and log do not both say %q:\n%s", want, status)
		}
	}
	if strings.Contains(status+p.stderr.String(), "canary") {
		t.Error("the address of the webhook shows")
	}
	wait.Until(t, "the other target works", p.began)
}

func TestADryRunPrintsWhatWouldBeSent(t *testing.T) {
	mastodon := newSocial(t)
	args := []string{"-mastodon-url", mastodon.url, "-mastodon-token", mastodon.token, "-syndicate-max-age", "0"}
	p := start(t, nil, args...)
	wait.Until(t, "there was a first look", p.began)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p.start(nil, append(args, "-syndicate-dry-run")...)
	p.write("fresh", "Fresh news")
	wait.Until(t, "it is printed", func() bool { return strings.Contains(p.stdout.String(), "Fresh news") })
	var preview syndicate.Preview
	for line := range strings.Lines(p.stdout.String()) {
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &preview) != nil {
			t.Errorf("no preview: %s", line)
		}
	}
	if preview.Target != "mastodon" || !strings.Contains(string(preview.Body), "Fresh news") {
		t.Errorf("preview %+v", preview)
	}
	if n := len(mastodon.Statuses()); n != 0 || len(p.entries()) != 0 {
		t.Errorf("a dry run has announced %d posts and recorded %v", n, p.entries())
	}
}

func TestLinksToAnnouncementsReachTheGeneratorAndNothingLoops(t *testing.T) {
	mastodon := newSocial(t)
	repo := gittest.New(t)
	gen := `mkdir -p _site && cp blog.json _site/ && cp data/links.json _site/links.json 2>/dev/null; echo built > _site/index.html; cp -r p _site/`
	repo.WriteFiles(map[string]string{"gen.sh": gen, "blog.json": feedOf("a"), "p/a.html": "a"})
	repo.Commit("first")
	repo.Push()
	p := start(t, map[string]string{"PATH": os.Getenv("PATH")}, "-git-repo", repo.HTTPServer("").URL, "-git-branch", "main", "-build", "sh gen.sh",
		"-site-url", "https://me.example/", "-github-secret", secret, "-mastodon-url", mastodon.url, "-mastodon-token", mastodon.token,
		"-syndicate-links-file", "data/links.json", "-syndicate-wait-public=false")
	wait.Until(t, "there was a first look", p.began)
	repo.WriteFiles(map[string]string{"blog.json": feedOf("b", "a"), "p/b.html": "b"})
	p.push(repo, "second")
	p.shows("links.json", "/@blog/")
	if _, body := p.get(p.public + "links.json"); !strings.Contains(body, `"id": "b"`) || strings.Contains(body, `"id": "a"`) {
		t.Errorf("links: %s", body)
	}
	// Nothing more is built, and nothing more announced.
	status, body := p.do(http.MethodPost, p.admin+"api/rebuild?wait=1", nil)
	if status != 200 {
		t.Errorf("rebuild: %d %s", status, body)
	}
	_, body = p.get(p.admin + "api/builds")
	if n := strings.Count(body, `"data"`); n != 1 {
		t.Errorf("%d builds for links, want 1:\n%s", n, body)
	}
	if n := len(mastodon.Statuses()); n != 1 {
		t.Errorf("announced %d posts, want 1", n)
	}
}

// The program ends after a post was announced, and before it has built with the
// link.
func TestLinksAreNotLostByARestart(t *testing.T) {
	mastodon := newSocial(t)
	repo := gittest.New(t)
	repo.WriteFiles(map[string]string{"gen.sh": "mkdir -p _site && cp blog.json data/links.json _site/ && echo built > _site/index.html", "blog.json": feedOf("a")})
	repo.Commit("first")
	repo.Push()
	env := map[string]string{"PATH": os.Getenv("PATH")}
	args := []string{
		"-git-repo", repo.HTTPServer("").URL, "-git-branch", "main", "-build", "sh gen.sh", "-site-url", "https://me.example/", "-github-secret", secret,
		"-mastodon-url", mastodon.url, "-mastodon-token", mastodon.token, "-syndicate-links-file", "data/links.json", "-syndicate-wait-public=false",
	}
	p := start(t, env, args...)
	wait.Until(t, "there was a first look", p.began)
	repo.WriteFiles(map[string]string{"blog.json": feedOf("b", "a")})
	p.push(repo, "second")
	wait.Until(t, "it is announced", func() bool {
		entries := p.entries()
		return len(entries) == 1 && entries[0].State == syndicate.Confirmed
	})
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p.start(env, args...)
	p.shows("links.json", "/@blog/")
}

func TestParkedPostsWaitForAPerson(t *testing.T) {
	mastodon := newSocial(t)
	p := start(t, nil, "-mastodon-url", mastodon.url, "-mastodon-token", mastodon.token, "-syndicate-max-age", "0", "-syndicate-max-per-run", "1")
	wait.Until(t, "there was a first look", p.began)
	for _, name := range []string{"one", "two", "three"} {
		p.save(name, "About "+name)
	}
	commitDemo(t, filepath.Join(p.dataDir, "demo"))
	wait.Until(t, "all are parked", func() bool {
		entries := p.entries()
		return len(entries) == 3 && !slices.ContainsFunc(entries, func(e syndicate.Entry) bool { return e.State != syndicate.Parked })
	})
	e := p.entries()
	post := func(e syndicate.Entry, command, body string) (int, string) {
		return p.do(http.MethodPost, p.admin+"api/syndication/mastodon/"+e.Key+"/"+command, func(r *http.Request) {
			r.Body, r.ContentLength = http.NoBody, 0
			if body != "" {
				r.Body, r.ContentLength = readCloser(body), int64(len(body))
			}
		})
	}
	for command, status := range map[string]int{"retry": 200, "nonsense": 404} {
		if got, body := post(e[0], command, ""); got != status {
			t.Errorf("%s: %d %s", command, got, body)
		}
	}
	if got, body := post(e[1], "confirm", `{"url": "https://social.example/@blog/1"}`); got != 200 {
		t.Errorf("confirm: %d %s", got, body)
	}
	if got, body := post(e[1], "confirm", `{"url": "javascript:alert(1)"}`); got != 400 && got != 409 {
		t.Errorf("confirm with a bad address: %d %s", got, body)
	}
	if got, body := post(e[2], "forget", ""); got != 200 {
		t.Errorf("forget: %d %s", got, body)
	}
	wait.Until(t, "the first is announced", func() bool { return len(mastodon.Statuses()) == 1 })
	status, page := p.get(p.admin + "syndication")
	if status != 200 || !strings.Contains(page, "https://social.example/@blog/1") || strings.Contains(page, "ZgotmplZ") {
		t.Errorf("the page: %d\n%s", status, page)
	}
}

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }
