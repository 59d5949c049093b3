// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package state_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"

	"xeiaso.net/site/xesite/state"
)

// A lease as it could be claimed by the one of several instances that builds:
// its generation rises with each write, and its nonce is the writer's own.
type lease struct {
	Holder     string `json:"holder"`
	Generation int    `json:"generation"`
	Nonce      string `json:"nonce"`
}

func ExampleStore() {
	claim := func(store state.Store, holder string) (won bool) {
		mine, err := json.Marshal(lease{Holder: holder, Generation: 1, Nonce: rand.Text()})
		if err != nil {
			log.Fatal(err)
		}
		won, err = store.Swap(context.Background(), "lease/builder", nil, mine)
		if err != nil {
			// Unknown: load and compare; equal to mine means won.
			current, loadErr := store.Load(context.Background(), "lease/builder")
			return loadErr == nil && string(current) == string(mine)
		}
		return won
	}
	var store state.Mem
	fmt.Println(claim(&store, "a"), claim(&store, "b"))
	// Output: true false
}

func ExampleOpenDir() {
	dir, err := os.MkdirTemp("", "state")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	store, err := state.OpenDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	for _, key := range []string{"trigger/2", "trigger/1", "lease/builder"} {
		if _, err := store.Swap(ctx, key, nil, []byte("for "+key)); err != nil {
			log.Fatal(err)
		}
	}
	keys, err := store.Keys(ctx, "trigger/")
	fmt.Println(keys, err)
	value, err := store.Load(ctx, "lease/builder")
	fmt.Printf("%s %v\n", value, err)
	// Output:
	// [trigger/1 trigger/2] <nil>
	// for lease/builder <nil>
}

func ExampleCheckKey() {
	fmt.Println(state.CheckKey("syndicate/mastodon/3f2a"))
	fmt.Println(state.CheckKey("syndicate/https://example.org/"))
	// Output:
	// <nil>
	// key "syndicate/https://example.org/" has an empty element
}

func ExampleMem() {
	ctx := context.Background()
	var store state.Mem
	created, _ := store.Swap(ctx, "k", nil, []byte("1"))
	stale, _ := store.Swap(ctx, "k", []byte("0"), []byte("2"))
	deleted, _ := store.Swap(ctx, "k", []byte("1"), nil)
	_, err := store.Load(ctx, "k")
	fmt.Println(created, stale, deleted, errors.Is(err, fs.ErrNotExist))
	// Output: true false true true
}

func ExampleCheckSwap() {
	fmt.Println(state.CheckSwap("lease/builder", nil, []byte("mine")))
	fmt.Println(state.CheckSwap("lease/builder", nil, []byte{}))
	// Output:
	// <nil>
	// key "lease/builder": a value is empty; use nil to create or to delete
}
