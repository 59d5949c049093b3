// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package state_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"testing"

	"xeiaso.net/site/internal/test/powercut"
	"xeiaso.net/site/xesite/state"
)

// stations are the values of a record's life, nil where it is not there.
var stations = [][]byte{nil, []byte("first"), []byte("second, which is longer"), nil, []byte("third")}

// life takes a record through its stations.
func life(dir string) error {
	store, err := state.OpenDir(dir)
	for i := 1; i < len(stations) && err == nil; i++ {
		var won bool
		if won, err = store.Swap(context.Background(), "lease/builder", stations[i-1], stations[i]); err == nil && !won {
			err = errors.New("lost against nobody")
		}
	}
	return err
}

// What Swap has returned for is there, and nothing else ever is.
func TestAPowerCutLeavesARecordAtAStation(t *testing.T) {
	dir := t.TempDir()
	if _, err := state.OpenDir(dir); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=life "+dir)
	seen := map[string]bool{}
	powercut.Record(t, dir, cmd).Each(t, 1, func(t *testing.T, dir string) {
		store, err := state.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		value, err := store.Load(t.Context(), "lease/builder")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		known := false
		for _, station := range stations {
			known = known || string(station) == string(value)
		}
		if !known {
			t.Errorf("the record is %q", value)
		}
		seen[string(value)] = true
		if won, err := store.Swap(t.Context(), "lease/builder", value, []byte("after")); err != nil || !won {
			t.Errorf("Swap afterwards: %t, %v", won, err)
		}
	})
	if len(seen) != 4 {
		t.Errorf("found the values %v", fmt.Sprint(seen))
	}
}
