// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Command program announces posts at a network, to be killed while it does so.
// See package announcer.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"xeiaso.net/site/internal/test/announcer"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/xesite/state"
)

// network is how to announce at one.
type network struct {
	// target makes the target that package syndicate gets. The store is for what
	// the target itself has to keep.
	target func(config json.RawMessage, store syndicate.Store) (syndicate.Target, error)
	// naive announces a post as most programs do: no key that stands for the
	// post, no look at what is there.
	naive func(ctx context.Context, config json.RawMessage, p syndicate.Post) error
}

// networks are all that there are, a file of this folder each.
func networks() map[string]network {
	return map[string]network{
		"bluesky":  blueskyNetwork(),
		"discord":  discordNetwork(),
		"file":     fileNetwork(),
		"irc":      ircNetwork(),
		"mastodon": mastodonNetwork(),
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "announcer:", err)
		os.Exit(1)
	}
}

func run() error {
	var in announcer.Input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return err
	}
	n, ok := networks()[in.Network]
	if !ok {
		return fmt.Errorf("no network %q", in.Network)
	}
	name := filepath.Base(filepath.Dir(in.Dir)) // of the test's own directory
	var posts []syndicate.Post
	for i := range in.Posts {
		posts = append(posts, announcer.Post(name, i))
	}
	if in.Naive {
		return runNaive(context.Background(), in, n, posts)
	}
	return runSyndicator(context.Background(), in, n, posts)
}

func runSyndicator(ctx context.Context, in announcer.Input, n network, posts []syndicate.Post) error {
	store, err := state.OpenDir(filepath.Join(in.Dir, "state"))
	if err != nil {
		return err
	}
	target, err := n.target(in.Config, store)
	if err != nil {
		return err
	}
	s, err := syndicate.New(syndicate.Config{
		Store: store, Targets: map[string]syndicate.Destination{in.Network: {Target: told(target)}},
		MaxPerRun: -1, MaxAge: -1, Timeout: in.Timeout, Page: syndicate.Page{Off: true},
		MinBackoff: 10 * time.Millisecond, MaxBackoff: 200 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	if err := s.Observe(ctx, posts); err != nil {
		return err
	}
	if err := s.Drain(ctx); err != nil {
		return err
	}
	entries, err := s.Entries(ctx)
	if err != nil {
		return err
	}
	out, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	fmt.Printf("entries %s\n", out)
	return nil
}

// runNaive has a journal that it writes to after the answer, as careful programs
// among the naive ones do.
func runNaive(ctx context.Context, in announcer.Input, n network, posts []syndicate.Post) error {
	name := filepath.Join(in.Dir, "journal")
	done, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	journal, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer journal.Close()
	for _, p := range posts {
		if strings.Contains(string(done), p.ID+"\n") {
			continue
		}
		fmt.Println("send")
		if err := n.naive(ctx, in.Config, p); err != nil {
			// It does not know any better than to try again at its next start.
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		if _, err := journal.WriteString(p.ID + "\n"); err != nil {
			return err
		}
		if err := journal.Sync(); err != nil {
			return err
		}
	}
	return nil
}
