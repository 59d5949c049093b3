// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/mastodontest"
)

// Two programs share a directory, as during a deployment. The one that builds
// announces, and is killed when a post is planned and not yet sent.
func TestWhoTakesOverAnnouncesOnce(t *testing.T) {
	mastodon := newSocial(t)
	repo := gittest.New(t)
	repo.WriteFiles(map[string]string{"gen.sh": "mkdir -p _site && cp blog.json _site/ && echo built > _site/index.html", "blog.json": feedOf("a")})
	repo.Commit("first")
	repo.Push()
	path, dir := buildProgram(t), t.TempDir()
	args := []string{
		"-data-dir", dir, "-git-repo", repo.HTTPServer("").URL, "-git-branch", "main", "-build", "sh gen.sh", "-site-url", "https://me.example/",
		"-mastodon-url", mastodon.url, "-mastodon-token", mastodon.token, "-syndicate-wait-public=false", "-poll", "200ms",
	}
	leader, cmd := launch(t, path, args...)
	wait.Until(t, "there was a first look", leader.began)
	follower, _ := launch(t, path, args...)
	wait.Until(t, "the other one serves", follower.ready)

	mastodon.Next(1, mastodontest.Fault{Kind: mastodontest.RateLimited, Delay: 3 * time.Second})
	repo.Write("blog.json", feedOf("b", "a"))
	repo.Commit("second")
	repo.Push()
	wait.Until(t, "the post was refused for now", func() bool { return mastodon.Met()[mastodontest.RateLimited] == 1 && len(leader.entries()) == 1 })
	e := leader.entries()[0]
	command := "api/syndication/mastodon/" + e.Key + "/forget"
	if status, body := follower.do(http.MethodPost, follower.admin+command, nil); status != http.StatusServiceUnavailable {
		t.Errorf("a command to the one that does not announce: %d %s", status, body)
	}
	if err := cmd.Process.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	wait.Until(t, "it is announced", func() bool {
		entries := follower.entries()
		return len(entries) == 1 && entries[0].State == syndicate.Confirmed
	})
	if all := mastodon.Statuses(); len(all) != 1 || !strings.Contains(all[0].Text, "About b") {
		t.Errorf("announced %+v, want b alone", all)
	}
	for _, p := range []*program{leader, follower} {
		if strings.Contains(p.stdout.String()+p.stderr.String(), mastodon.token) {
			t.Error("the token shows")
		}
	}
}
