// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/xesite/state"
)

// printer is a target that announces on the terminal: nothing can be lost on the
// way, so whatever Write says is the truth.
type printer struct{}

// Send implements [syndicate.Target].
func (printer) Send(_ context.Context, a syndicate.Attempt) (syndicate.Receipt, error) {
	var text string
	if err := json.Unmarshal(a.Body, &text); err != nil {
		return syndicate.Receipt{}, &syndicate.Error{Err: err, NotSent: true, Refused: true}
	}
	n, err := fmt.Fprintln(os.Stdout, text)
	if err != nil {
		return syndicate.Receipt{}, &syndicate.Error{Err: err, NotSent: n == 0}
	}
	return syndicate.Receipt{ID: a.Key}, nil
}

// A target of one's own needs one method.
func ExampleTarget() {
	body, err := json.Marshal("Hello")
	if err != nil {
		log.Fatal(err)
	}
	_, err = printer{}.Send(context.Background(), syndicate.Attempt{ID: "1", Body: body})
	fmt.Println(err)
	// Output:
	// Hello
	// <nil>
}

// A job that cron runs: what is new since the last time is announced.
func ExampleSyndicator() {
	ctx := context.Background()
	s, err := syndicate.New(syndicate.Config{
		Store: new(state.Mem), // state.OpenDir keeps records on disk
		Targets: map[string]syndicate.Destination{
			"terminal": {Target: printer{}, Template: "New: {{.Title}} {{.Link}}", UTM: syndicate.UTM{Source: "terminal"}},
		},
		Page: syndicate.Page{Off: true}, // there is none in this example
	})
	if err != nil {
		log.Fatal(err)
	}
	old := syndicate.Post{ID: "1", URL: "https://me.example/old", Title: "Old", Published: time.Now()}
	latest := syndicate.Post{ID: "2", URL: "https://me.example/new", Title: "New post", Published: time.Now()}
	for _, posts := range [][]syndicate.Post{{old}, {old, latest}, {old, latest}} {
		if err := s.Observe(ctx, posts); err != nil {
			log.Fatal(err)
		}
		if err := s.Drain(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output: New: New post https://me.example/new?utm_source=terminal
}

// A program that stays.
func ExampleSyndicator_Run() {
	ctx, stop := context.WithCancel(context.Background())
	s, err := syndicate.New(syndicate.Config{
		Store:   new(state.Mem),
		Targets: map[string]syndicate.Destination{"terminal": {Target: printer{}}},
		Page:    syndicate.Page{Off: true},
		OnEvent: func(e syndicate.Event) {
			fmt.Println(e.Target, e.Post, e.Outcome)
			if e.Outcome == syndicate.OutcomeConfirmed {
				stop()
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Observe(ctx, nil); err != nil { // the site is empty as yet
		log.Fatal(err)
	}
	if err := s.Observe(ctx, []syndicate.Post{{ID: "1", Title: "Hello", Published: time.Now()}}); err != nil {
		log.Fatal(err)
	}
	if err := s.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// terminal 1 planned
	// Hello
	// terminal 1 confirmed
}

func ExampleSyndicator_Preview() {
	s, err := syndicate.New(syndicate.Config{
		Store:   new(state.Mem),
		Targets: map[string]syndicate.Destination{"terminal": {Target: printer{}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	previews, err := s.Preview(context.Background(), syndicate.Post{ID: "1", URL: "https://me.example/1", Title: "Hello", Tags: []string{"home lab"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range previews {
		fmt.Printf("%s: %s\n", p.Target, p.Body)
	}
	// Output: terminal: "Hello\n\nhttps://me.example/1\n\n#HomeLab"
}

// What waits for a person, and a decision about it.
func ExampleSyndicator_Entries() {
	ctx := context.Background()
	s, err := syndicate.New(syndicate.Config{
		Store: new(state.Mem), Targets: map[string]syndicate.Destination{"terminal": {Target: printer{}}},
		Page: syndicate.Page{Off: true}, MaxPerRun: 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, posts := range [][]syndicate.Post{nil, {
		{ID: "1", Title: "One", Published: time.Now()},
		{ID: "2", Title: "Two", Published: time.Now()},
	}} {
		if err := s.Observe(ctx, posts); err != nil {
			log.Fatal(err)
		}
	}
	entries, err := s.Entries(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range entries {
		decide := s.Retry
		if e.Post == "2" {
			decide = s.Forget
		}
		if err := decide(ctx, e.Target, e.Key); err != nil {
			log.Fatal(err)
		}
	}
	if err := s.Drain(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: One
}
