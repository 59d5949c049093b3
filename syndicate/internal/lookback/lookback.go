// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package lookback tells how far back the posts of an account have to be looked
// at to find an announcement.
package lookback

import (
	"net/http"
	"time"

	"xeiaso.net/site/syndicate"
)

// slack is by how much the clocks may differ, after what the network's answers
// say about its own.
const slack = 2 * time.Minute

// Since returns when the announcement of an attempt can have been made at the
// earliest, by our clock. What is older is not it, if only its link is the same.
func Since(a syndicate.Attempt) time.Time {
	latest := time.Now()
	if !a.Last.IsZero() && a.Last.Before(latest) {
		latest = a.Last
	}
	if a.Created.After(latest) {
		return latest.AddDate(0, 0, -1) // the clock was set back, nobody knows by how much
	}
	return a.Created.Add(-slack)
}

// ClockAhead returns by how much the clock of who sent an answer is ahead of
// ours.
func ClockAhead(h http.Header) time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return time.Until(date)
}

// FirstPublished is when the oldest of the posts came out, less a day since many
// feeds have only days. It is zero if that is not known of all.
func FirstPublished(posts []syndicate.Post) time.Time {
	var first time.Time
	for i, p := range posts {
		if p.Published.IsZero() {
			return time.Time{}
		}
		if i == 0 || p.Published.Before(first) {
			first = p.Published
		}
	}
	return first.AddDate(0, 0, -1)
}
