// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package lookback_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/internal/lookback"
)

func TestSinceAllowsForClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for created, want := range map[time.Time]time.Time{
			now.Add(-time.Hour): now.Add(-time.Hour - 2*time.Minute),
			now.Add(time.Hour):  now.Add(-24 * time.Hour), // it was set back
		} {
			if got := lookback.Since(syndicate.Attempt{Created: created}); !got.Equal(want) {
				t.Errorf("created %s: since %s, want %s", created, got, want)
			}
		}
		// It was set back while the attempt was under way, and has passed since.
		a := syndicate.Attempt{Created: now.Add(-time.Hour), Last: now.Add(-2 * time.Hour)}
		if got, want := lookback.Since(a), now.Add(-26*time.Hour); !got.Equal(want) {
			t.Errorf("ended before it was created: since %s, want %s", got, want)
		}
		for date, want := range map[string]time.Duration{
			"": 0, "yesterday": 0, now.Add(time.Hour).UTC().Format(http.TimeFormat): time.Hour,
		} {
			if got := lookback.ClockAhead(http.Header{"Date": {date}}); got != want {
				t.Errorf("%q: %s ahead, want %s", date, got, want)
			}
		}
	})
}

func TestFirstPublishedIsZeroUnlessAllIsKnown(t *testing.T) {
	may := time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC)
	posts := []syndicate.Post{{Published: may.AddDate(0, 1, 0)}, {Published: may}}
	if got, want := lookback.FirstPublished(posts), may.AddDate(0, 0, -1); !got.Equal(want) {
		t.Errorf("first %s, want %s", got, want)
	}
	if got := lookback.FirstPublished(append(posts, syndicate.Post{})); !got.IsZero() {
		t.Errorf("first %s, want that it is not known", got)
	}
}
