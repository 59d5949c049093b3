// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/bluesky"
)

// All that a target can do.
var _ interface {
	syndicate.Target
	syndicate.Composer
	syndicate.Reconciler
	syndicate.Editor
	syndicate.Deleter
	syndicate.Recoverer
	syndicate.Defaulter
} = (*bluesky.Target)(nil)

func TestWrongConfigurationSaysWhatToSet(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config bluesky.Config
		want   []string
	}{
		"nothing":   {bluesky.Config{}, []string{"Handle is missing", "AppPassword is missing", "app-passwords"}},
		"email":     {bluesky.Config{Handle: "me@example.com", AppPassword: "x"}, []string{`Handle "me@example.com"`, "me.bsky.social"}},
		"one word":  {bluesky.Config{Handle: "me", AppPassword: "x"}, []string{`Handle "me"`}},
		"plain":     {bluesky.Config{PDS: "http://pds.example.com", Handle: "me.test", AppPassword: "x"}, []string{"PDS", "use https"}},
		"no scheme": {bluesky.Config{PDS: "pds.example.com", Handle: "me.test", AppPassword: "x"}, []string{"PDS", bluesky.DefaultPDS}},
		"path":      {bluesky.Config{PDS: "https://pds.example.com/xrpc", Handle: "me.test", AppPassword: "x"}, []string{"PDS", "more than"}},
		"languages": {bluesky.Config{Handle: "me.test", AppPassword: "x", Languages: []string{"a", "b", "c", "d"}}, []string{"Languages has 4"}},
		"language":  {bluesky.Config{Handle: "me.test", AppPassword: "x", Languages: []string{"English"}}, []string{`"English"`, "pt-BR"}},
	} {
		_, err := bluesky.New(tt.config)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, err, want)
			}
		}
	}
}

func TestConfigurationTakesWhatPeopleWrite(t *testing.T) {
	t.Parallel()
	for _, config := range []bluesky.Config{
		{Handle: "@Me.Bsky.Social"},
		{Handle: " me.bsky.social "},
		{Handle: me},
		{Handle: "me.example.com", PDS: "https://pds.example.com/"},
		{Handle: "me.test", PDS: "http://localhost:2583"},
		{Handle: "me.test", PDS: "http://[::1]:2583", Languages: []string{"en", "pt-BR", "zh-Hant-TW"}},
	} {
		config.AppPassword = "abcd"
		if _, err := bluesky.New(config); err != nil {
			t.Errorf("%+v: %v", config, err)
		}
	}
}

func TestComposeRefusesWhatCannotBeAnnounced(t *testing.T) {
	t.Parallel()
	target := offline(t)
	for name, m := range map[string]syndicate.Message{
		"private": {Post: syndicate.Post{ID: "1"}, Text: "x", Visibility: "private"},
		"direct":  {Post: syndicate.Post{ID: "1"}, Text: "x", Visibility: "direct"},
		"nothing": {Post: syndicate.Post{ID: "1"}, Text: " \n"},
		"links":   {Post: syndicate.Post{ID: "1"}, Text: strings.Repeat("https://a.b/"+strings.Repeat("x", 4000)+" ", 40)},
	} {
		_, err := target.Compose(t.Context(), m)
		if want := (syndicate.Error{NotSent: true, Refused: true}); promises(err) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// offline returns a target that gets no answer to anything.
func offline(t *testing.T) *bluesky.Target {
	t.Helper()
	none := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("offline") })}
	target, err := bluesky.New(bluesky.Config{Handle: "me.test", AppPassword: "x", Client: none, Pictures: none, Languages: []string{"de", "en"}})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestComposeShowsAllThatIsSent(t *testing.T) {
	t.Parallel()
	target := offline(t)
	for name, tt := range map[string]struct {
		m    syndicate.Message
		want string
	}{
		"a note": {
			syndicate.Message{Text: "Hello #World"},
			`{"record":{"$type":"app.bsky.feed.post","text":"Hello #World","facets":[{"index":{"byteStart":6,"byteEnd":12},` +
				`"features":[{"$type":"app.bsky.richtext.facet#tag","tag":"World"}]}],"langs":["de","en"]}}`,
		},
		"a link that only the card has": {
			syndicate.Message{Text: "Hello", Link: "https://me.example/a", Language: "pt-BR", Post: syndicate.Post{URL: "https://me.example/a"}},
			`{"record":{"$type":"app.bsky.feed.post","text":"Hello","embed":{"$type":"app.bsky.embed.external","external":` +
				`{"uri":"https://me.example/a","title":"me.example/a","description":""}},"langs":["pt-BR"]},"own":"me.example"}`,
		},
		"a warning": {
			syndicate.Message{Text: "Hello", Language: "en", ContentWarning: "spiders"},
			`{"record":{"$type":"app.bsky.feed.post","text":"CW: spiders\n\nHello","langs":["en"]}}`,
		},
		"a language with extensions": {
			syndicate.Message{Text: "Hello\r\nWorld", Language: "en-u-ca-buddhist"},
			`{"record":{"$type":"app.bsky.feed.post","text":"Hello\nWorld","langs":["en"]}}`,
		},
		"no language": {
			syndicate.Message{Text: "Hello", Language: "x-private"},
			`{"record":{"$type":"app.bsky.feed.post","text":"Hello","langs":["de","en"]}}`,
		},
		"a label": {
			syndicate.Message{Text: "Hello", Language: "en", ContentWarning: "nudity"},
			`{"record":{"$type":"app.bsky.feed.post","text":"Hello","langs":["en"],` +
				`"labels":{"$type":"com.atproto.label.defs#selfLabels","values":[{"val":"nudity"}]}}}`,
		},
	} {
		got, err := target.Compose(t.Context(), tt.m)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, tt.want)
		}
	}
}

func TestBodyOfAnotherTargetIsRefused(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`"Hello"`, `{}`, `null`, ``, `{"record":{"$type":"app.bsky.feed.like"}}`} {
		_, err := offline(t).Send(context.Background(), syndicate.Attempt{ID: "1", Body: []byte(body)})
		if want := (syndicate.Error{NotSent: true, Refused: true}); promises(err) != want {
			t.Errorf("%s: %v", body, err)
		}
	}
}
