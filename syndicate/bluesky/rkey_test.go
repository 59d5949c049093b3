// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"xeiaso.net/site/syndicate/bluesky"
)

// timeOf reads the time that a TID stands for.
func timeOf(tid string) time.Time {
	bits := uint64(0)
	for _, digit := range tid {
		bits = bits<<5 | uint64(strings.IndexRune("234567abcdefghijklmnopqrstuvwxyz", digit))
	}
	return time.UnixMicro(int64(bits >> 10)).UTC()
}

// These are on the network for ever: what they are must not change.
func TestRecordKeysNeverChange(t *testing.T) {
	t.Parallel()
	for post, want := range map[string]string{
		"https://xeiaso.net/blog/2026/hello/":           "3azb2kuommoeu",
		"urn:uuid:1225c695-cfb8-4ebb-aaaa-80da344efa6a": "37veyimgn3igr",
	} {
		if got := bluesky.RecordKey(me, post); got != want {
			t.Errorf("%s: %s, want %s", post, got, want)
		}
	}
	if bluesky.RecordKey(me, "1") == bluesky.RecordKey("did:web:me.example", "1") {
		t.Error("two accounts have one key")
	}
}

func TestRecordKeysDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for n := range 100_000 {
		seen[bluesky.RecordKey(me, fmt.Sprint("https://me.example/", n))] = true
	}
	if len(seen) != 100_000 {
		t.Errorf("%d keys for 100000 posts", len(seen))
	}
}

// This one is of the specification's examples.
func TestTIDs(t *testing.T) {
	t.Parallel()
	for tid, want := range map[string]bool{
		"3jzfcijpj2z2a": true, "7777777777777": true, "2222222222222": true, "jzzzzzzzzzzzz": true,
		"3jzfcijpj2z21": false, "0000000000000": false, "3jzfcijpj2z2aa": false, "3jzfcijpj2z2": false,
		"3jzf-cij-pj2z-2a": false, "zzzzzzzzzzzzz": false, "kjzfcijpj2z2a": false, "": false,
	} {
		if got := bluesky.IsTID(tid); got != want {
			t.Errorf("%q: %t", tid, got)
		}
	}
}

// The address of an empty file, as other programs give it.
func TestBlobCID(t *testing.T) {
	t.Parallel()
	if got, want := bluesky.BlobCID(nil), "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzRecordKey(f *testing.F) {
	f.Add(me, "https://me.example/")
	f.Add("", "")
	least := time.Date(2005, time.January, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, did, post string) {
		key := bluesky.RecordKey(did, post)
		if !validTID.MatchString(key) || !bluesky.IsTID(key) {
			t.Errorf("%q is no TID", key)
		}
		if at := timeOf(key); at.Before(least) || at.Year() > 2013 {
			t.Errorf("%q is from %v", key, at)
		}
		if key != bluesky.RecordKey(did, post) {
			t.Errorf("%q is not the same again", key)
		}
	})
}
