// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package announcer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/announcer"
)

// The method would prove nothing if a program that does not care passed.
func TestKillsFindWhoDoesNotCare(t *testing.T) {
	for _, naive := range []bool{false, true} {
		name := filepath.Join(t.TempDir(), "network")
		r := announcer.Run(t, announcer.Options{
			Network: "file", Config: name, Kills: 30, Window: 20 * time.Millisecond, Timeout: 100 * time.Millisecond, Naive: naive,
		})
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]int{}
		for id := range strings.Lines(string(content)) {
			counts[strings.TrimSpace(id)]++
		}
		lost, doubled, parked := r.Compare(counts)
		t.Logf("naive=%t: %d posts, %d kills: %d lost, %d doubled, %d parked", naive, len(r.Posts), r.Kills, lost, doubled, parked)
		if lost > 0 || parked > 0 || (doubled > 0) != naive {
			t.Errorf("naive=%t: %d lost, %d doubled, %d parked", naive, lost, doubled, parked)
		}
	}
}
