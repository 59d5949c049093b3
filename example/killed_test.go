// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/pds"
	"xeiaso.net/site/internal/test/wait"
)

// Between a push and a confirmed announcement the program can be killed at any
// moment: while it fetches, builds, publishes, looks for new posts, or sends.
func TestSoakAKilledProgramAnnouncesEveryPostOnce(t *testing.T) {
	kills := need.Times(4, 60)
	program, server := buildProgram(t), pds.Start(t)
	account := server.Account(t)
	repo := gittest.New(t)
	var items []string
	push := func() {
		id := fmt.Sprintf("http://127.0.0.1:9/%d/", len(items))
		item := fmt.Sprintf(`{"id": %q, "url": %q, "title": "Post %d", "date_published": %q}`, id, id, len(items), time.Now().UTC().Format(time.RFC3339))
		items = append([]string{item}, items...)
		repo.Write("blog.json", `{"version": "https://jsonfeed.org/version/1.1", "title": "x", "items": [`+strings.Join(items, ",")+`]}`)
		repo.Commit(id)
		repo.Push()
	}
	push() // what is there at first is not announced
	args := []string{
		"-git-repo", repo.Bare, "-git-branch", "main", "-build", "mkdir _site && cp blog.json _site/", "-poll", "100ms", "-data-dir", filepath.Join(t.TempDir(), "var"),
		"-syndicate-wait-public=false", "-syndicate-max-per-run", "0", "-site-url", "http://127.0.0.1:9/", // nobody is there
		"-bluesky-pds", server.URL, "-bluesky-handle", account.Handle, "-bluesky-app-password", account.AppPassword,
	}
	p, cmd := launch(t, program, args...)
	wait.Until(t, "there was a first look", func() bool {
		_, body := p.get(p.admin + "api/syndication")
		return strings.Contains(body, `"began": true`)
	})
	for range kills {
		push()
		<-time.After(rand.N(800 * time.Millisecond))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		p, cmd = launch(t, program, args...)
	}
	// Whatever was under way is waited for, a minute and a little.
	deadline := time.After(3 * time.Minute)
	for {
		counts := map[string]int{}
		for _, r := range server.Records(t, account.DID) {
			var post struct {
				Embed struct{ External struct{ URI string } }
			}
			if err := json.Unmarshal(r.Value, &post); err != nil {
				t.Fatal(err)
			}
			counts[post.Embed.External.URI]++
		}
		if len(counts) == kills {
			for address, n := range counts {
				if n != 1 {
					t.Errorf("%s was announced %d times", address, n)
				}
			}
			t.Logf("%d kills: %d posts, each announced once", kills, len(counts))
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%d of %d posts were announced: %v", len(counts), kills, counts)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
