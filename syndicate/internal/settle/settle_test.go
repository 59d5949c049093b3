// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package settle_test

import (
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/syndicate/internal/settle"
)

const minute = time.Minute

func TestRestCountsFromTheEndOfTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c settle.Clock
		last := time.Now().Round(0)
		<-time.After(2 * minute)
		if got := c.Rest("a", last, 5*minute); got != 3*minute {
			t.Errorf("rest %s after two of five minutes, want 3m", got)
		}
		<-time.After(4 * minute)
		if got := c.Rest("a", last, 5*minute); got != 0 {
			t.Errorf("rest %s after six of five minutes, want none", got)
		}
	})
}

// The record is from before the clock was set back by an hour.
func TestClockThatWasSetBackMakesNobodyWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c settle.Clock
		for _, last := range []time.Time{time.Now().Add(time.Hour).Round(0), {}} {
			key := last.String()
			if got := c.Rest(key, last, 5*minute); got != 5*minute {
				t.Errorf("rest %s when first asked, want 5m", got)
			}
			<-time.After(4 * minute)
			if got := c.Rest(key, last, 5*minute); got != minute {
				t.Errorf("rest %s four minutes later, want 1m", got)
			}
			<-time.After(minute)
			if got := c.Rest(key, last, 5*minute); got != 0 {
				t.Errorf("rest %s five minutes later, want none", got)
			}
		}
	})
}

// The record is from before the clock was set forward by an hour: the attempt
// ended a minute ago.
func TestClockThatWasSetForwardShortensNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c settle.Clock
		c.Ended("a")
		last := time.Now().Add(-time.Hour).Round(0)
		<-time.After(minute)
		if got := c.Rest("a", last, 5*minute); got != 4*minute {
			t.Errorf("rest %s a minute after the end, want 4m", got)
		}
		c.Forget("a")
		if got := c.Rest("a", last, 5*minute); got != 0 {
			t.Errorf("rest %s of what was forgotten, want none", got)
		}
	})
}
