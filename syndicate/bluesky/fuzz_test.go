// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
)

func FuzzCardImage(f *testing.F) {
	f.Add(`<head><meta property="og:image" content="/a.png">`, "https://me.example/")
	f.Add(`<meta name=twitter:image content=//x>`, "http://me.example/a/b?c#d")
	f.Add(`<meta property="og:image" content="&#x6a;avascript:x"`, "https://me.example/")
	f.Fuzz(func(t *testing.T, page, base string) {
		at, err := url.Parse(base)
		if err != nil {
			return
		}
		got := bluesky.CardImage([]byte(page), at)
		if got == "" {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			t.Errorf("%q is no address of the web: %v", got, err)
		}
	})
}

func FuzzShrink(f *testing.F) {
	for _, picture := range [][]byte{plain(f, 40, 40), still(f), webp(f), animated(f), bomb(1<<30, 1<<30), []byte("no picture")} {
		f.Add(picture)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if c, _, err := image.DecodeConfig(bytes.NewReader(content)); err == nil && c.Width > 0 && c.Height > 100_000/c.Width {
			return // slow, and no different
		}
		const limit = 1000
		out, mimeType, err := bluesky.Shrink(content, limit)
		if err == nil && (len(out) == 0 || len(out) > limit || !strings.HasPrefix(mimeType, "image/")) {
			t.Errorf("%d bytes of %q", len(out), mimeType)
		}
	})
}

func FuzzOrientation(f *testing.F) {
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xd8\xff\xe0\x00\x02\xff\xe1\x00\x10Exif\x00\x00II\x2a\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, photo []byte) {
		if got := bluesky.Orientation(photo); got < 1 || got > 8 {
			t.Errorf("orientation %d", got)
		}
	})
}

func FuzzLinks(f *testing.F) {
	f.Add([]byte(`{"text":"https://a.example","facets":[{"index":{"byteStart":0,"byteEnd":4},"features":[{"uri":"https://b.example"}]}],"embed":{"external":{"uri":"https://c.example"}}}`))
	f.Add([]byte(`{"facets":{},"embed":[],"text":5}`))
	f.Fuzz(func(_ *testing.T, value []byte) { bluesky.Links(value) })
}

// FuzzAnswers has a server answer anything to everything.
func FuzzAnswers(f *testing.F) {
	f.Add(200, []byte(session), 200, []byte(`{"uri":"at://`+me+`/app.bsky.feed.post/x","cid":"y"}`))
	f.Add(200, []byte(session), 400, []byte(`{"error":"InvalidSwap"}`))
	f.Add(200, []byte(session), 400, []byte(`{"error":"RecordNotFound"}`))
	f.Add(200, []byte(session), 401, []byte(`{"error":5}`))
	f.Add(500, []byte("\x00"), 200, []byte(`{"records":[{"uri":"at://`+me+`/app.bsky.feed.post/x","value":{}}],"cursor":"1"}`))
	f.Fuzz(func(t *testing.T, loginStatus int, login []byte, status int, answer []byte) {
		target, err := bluesky.New(bluesky.Config{Handle: "me.test", AppPassword: "x", Client: &http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "Session") {
					return response(loginStatus, login), nil
				}
				return response(status, answer), nil
			}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		a := attempt(t, target, note("1", "Hello"))
		if r, err := target.Send(t.Context(), a); err == nil && (status < 200 || status > 299 || r.ID == "") {
			t.Errorf("status %d %q was taken for success: %+v", status, answer, r)
		}
		if _, err := target.Reconcile(t.Context(), a); errors.Is(err, syndicate.ErrAbsent) && !hasError(answer, "RecordNotFound") {
			t.Errorf("status %d %q was taken for absence", status, answer)
		}
		r := syndicate.Receipt{ID: "at://" + me + "/app.bsky.feed.post/x"}
		_, _ = target.Edit(t.Context(), a, r)
		_ = target.Delete(t.Context(), r)
		_, _ = target.Recover(t.Context(), []syndicate.Post{{ID: "1", URL: "https://me.example/"}})
	})
}

func response(status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
}

func hasError(answer []byte, name string) bool {
	var e struct{ Error string }
	return json.Unmarshal(answer, &e) == nil && e.Error == name
}
