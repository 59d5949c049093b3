// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/patreon"
)

// clockwork answers requests in a bubble, in which time passes at once, and notes
// when they came.
type clockwork struct {
	began   time.Time
	came    []time.Duration
	answers func(n int, r *http.Request) (status int, header http.Header, body string)
}

func (c *clockwork) RoundTrip(r *http.Request) (*http.Response, error) {
	c.came = append(c.came, time.Since(c.began))
	status, header, body := c.answers(len(c.came), r)
	if status == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (c *clockwork) client(t *testing.T, cfg patreon.ClientConfig) *patreon.Client {
	t.Helper()
	c.began = time.Now()
	cfg.Tokens, cfg.HTTPClient = patreon.StaticToken(testToken), &http.Client{Transport: c}
	client, err := patreon.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// always answers all requests alike.
func always(status int, header http.Header) func(int, *http.Request) (int, http.Header, string) {
	return func(int, *http.Request) (int, http.Header, string) { return status, header, "" }
}

func TestWaitsGrowUpToALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clockwork{answers: always(503, nil)}
		_, err := c.client(t, patreon.ClientConfig{Retries: 9}).Identity(t.Context(), patreon.Query{})
		if !errors.Is(err, patreon.ErrUnavailable) || len(c.came) != 10 {
			t.Fatalf("%d requests: %v", len(c.came), err)
		}
		for i := range 9 {
			limit := min(time.Second<<i, 30*time.Second)
			if wait := c.came[i+1] - c.came[i]; wait > limit {
				t.Errorf("wait %d is %v, want %v at most", i, wait, limit)
			}
		}
		if c.came[9] < time.Second {
			t.Errorf("all nine waits took %v", c.came[9])
		}
	})
}

func TestThatPatreonAsksToWaitIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clockwork{answers: func(n int, _ *http.Request) (int, http.Header, string) {
			switch n {
			case 1:
				return 429, http.Header{"Retry-After": {"40"}}, ""
			case 2:
				return 429, nil, `{"errors":[{"retry_after_seconds":50,"status":"429"}]}`
			}
			return 200, nil, someone
		}}
		if _, err := c.client(t, patreon.ClientConfig{}).Identity(t.Context(), patreon.Query{}); err != nil {
			t.Fatal(err)
		}
		if first, second := c.came[1], c.came[2]-c.came[1]; first < 40*time.Second || first > 45*time.Second || second < 50*time.Second || second > 55*time.Second {
			t.Errorf("requests came after %v", c.came)
		}
	})
}

func TestAWaitThatDoesNotFitIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		header := http.Header{"Retry-After": {"60"}}
		c := &clockwork{answers: always(429, header)}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err := c.client(t, patreon.ClientConfig{}).Identity(ctx, patreon.Query{})
		e, ok := errors.AsType[*patreon.Error](err)
		if !ok || !errors.Is(err, patreon.ErrRateLimited) || e.RetryAfter != time.Minute || time.Since(c.began) != 0 {
			t.Errorf("after %v: %v", time.Since(c.began), err)
		}

		c = &clockwork{answers: always(429, header)}
		_, err = c.client(t, patreon.ClientConfig{MaxRetryAfter: 59 * time.Second}).Identity(t.Context(), patreon.Query{})
		if !errors.Is(err, patreon.ErrRateLimited) || time.Since(c.began) != 0 {
			t.Errorf("after %v: %v", time.Since(c.began), err)
		}
	})
}

func TestACallerWhoLeavesEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clockwork{answers: always(429, http.Header{"Retry-After": {"60"}})}
		left := errors.New("the caller has left")
		ctx, leave := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { leave(left) })
		_, err := c.client(t, patreon.ClientConfig{}).Identity(ctx, patreon.Query{})
		if !errors.Is(err, left) || !errors.Is(err, patreon.ErrRateLimited) || time.Since(c.began) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(c.began), err)
		}
	})
}

func TestATryThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clockwork{answers: func(n int, _ *http.Request) (int, http.Header, string) {
			if n == 1 {
				return 0, nil, ""
			}
			return 200, nil, someone
		}}
		if _, err := c.client(t, patreon.ClientConfig{Timeout: time.Minute}).Identity(t.Context(), patreon.Query{}); err != nil {
			t.Errorf("after %v: %v", c.came, err)
		}
		if c.came[1] < time.Minute || c.came[1] > 61*time.Second {
			t.Errorf("requests came after %v", c.came)
		}

		// Nobody knows what became of a change, so it is not made again.
		c = &clockwork{answers: always(0, nil)}
		_, err := c.client(t, patreon.ClientConfig{}).CreateWebhook(t.Context(), patreon.NewWebhook{Campaign: "1", URI: "https://x.example/", Triggers: patreon.Triggers()})
		if !errors.Is(err, context.DeadlineExceeded) || len(c.came) != 1 || time.Since(c.began) != 2*time.Minute {
			t.Errorf("%d requests in %v: %v", len(c.came), time.Since(c.began), err)
		}
	})
}

func TestACallersDeadlineEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clockwork{answers: always(0, nil)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.client(t, patreon.ClientConfig{}).Identity(ctx, patreon.Query{})
		if !errors.Is(err, context.DeadlineExceeded) || len(c.came) != 1 || time.Since(c.began) != time.Second {
			t.Errorf("%d requests in %v: %v", len(c.came), time.Since(c.began), err)
		}
	})
}
