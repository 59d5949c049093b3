// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/syndicate"
)

func post() syndicate.Post {
	return syndicate.Post{
		ID: "tag:me.example,2026:1", URL: "https://me.example/posts/1/", Title: "One", Summary: "About one.",
		ContentHTML: "<p>One.</p>", Image: syndicate.Image{URL: "https://me.example/1.png", Alt: "A one"},
		Tags: []string{"b", "a"}, Language: "en", Published: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	}
}

// Records of earlier versions hold these values.
func TestKeyAndFingerprintStayTheSame(t *testing.T) {
	if got, want := post().Key(), "3740b2f6fef8fd4e"; got != want {
		t.Errorf("Key() = %s, want %s", got, want)
	}
	if got, want := post().Fingerprint(), "012f396fc0681113e534c8b23b321fdf"; got != want {
		t.Errorf("Fingerprint() = %s, want %s", got, want)
	}
}

func TestFingerprintTellsEditsFromNoise(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*syndicate.Post)
		edit   bool
	}{
		{"title", func(p *syndicate.Post) { p.Title = "Two" }, true},
		{"summary", func(p *syndicate.Post) { p.Summary = "" }, true},
		{"path", func(p *syndicate.Post) { p.URL = "https://me.example/posts/2/" }, true},
		{"query", func(p *syndicate.Post) { p.URL += "?a" }, true},
		{"image", func(p *syndicate.Post) { p.Image.URL = "https://me.example/2.png" }, true},
		{"image elsewhere", func(p *syndicate.Post) { p.Image.URL = "https://cdn.example/1.png" }, true},
		{"alt", func(p *syndicate.Post) { p.Image.Alt = "" }, true},
		{"tags", func(p *syndicate.Post) { p.Tags = []string{"a"} }, true},
		{"authors", func(p *syndicate.Post) { p.Authors = []string{"Jo"} }, true},
		{"language", func(p *syndicate.Post) { p.Language = "de" }, true},
		{"link post", func(p *syndicate.Post) { p.External = true }, true},
		{"about", func(p *syndicate.Post) { p.About = "https://other.example/" }, true},
		{"text", func(p *syndicate.Post) {
			p.Overrides = map[string]syndicate.Override{"irc": {Text: "x"}}
		}, true},
		{"skip", func(p *syndicate.Post) {
			p.Overrides = map[string]syndicate.Override{"irc": {Skip: new(true)}}
		}, true},
		{"updated", func(p *syndicate.Post) { p.Updated = p.Published.Add(time.Hour) }, false},
		{"published", func(p *syndicate.Post) { p.Published = time.Time{} }, false},
		{"content", func(p *syndicate.Post) { p.ContentHTML += "<p>More.</p>" }, false},
		{"aliases", func(p *syndicate.Post) { p.Aliases = []string{"https://me.example/old/"} }, false},
		{"order of tags", func(p *syndicate.Post) { p.Tags = []string{"a", "b"} }, false},
		{"empty overrides", func(p *syndicate.Post) { p.Overrides = map[string]syndicate.Override{"irc": {}} }, false},
		{"another host", func(p *syndicate.Post) {
			p.URL, p.Image.URL = "http://www.me.example/posts/1/", "http://www.me.example/1.png"
		}, false},
	} {
		changed := post()
		tt.change(&changed)
		if got := changed.Fingerprint() != post().Fingerprint(); got != tt.edit {
			t.Errorf("%s: an edit: %t, want %t", tt.name, got, tt.edit)
		}
		if changed.Key() != post().Key() {
			t.Errorf("%s: it is another post now", tt.name)
		}
	}
	a, b := post(), post()
	a.URL, a.External, b.URL, b.External = "https://a.example/x", true, "https://b.example/x", true
	if a.Fingerprint() == b.Fingerprint() {
		t.Error("a link post that links to another host is no edit")
	}
}

func TestOverridesOfANetworkGoBeforeThoseForAll(t *testing.T) {
	p := syndicate.Post{Overrides: map[string]syndicate.Override{
		"*":        {Text: "All", Language: "en", ContentWarning: "Cats", Visibility: "unlisted", Skip: new(true)},
		"mastodon": {Text: "Toot", Skip: new(false), Visibility: "public"},
		"bluesky":  {Language: "de"},
	}}
	for network, want := range map[string]syndicate.Override{
		"irc":      p.Overrides["*"],
		"mastodon": {Text: "Toot", ContentWarning: "Cats", Visibility: "public", Skip: new(false)},
		"bluesky":  {Text: "All", Language: "de", ContentWarning: "Cats", Visibility: "unlisted", Skip: new(true)},
	} {
		if diff := cmp.Diff(want, p.For(network)); diff != "" {
			t.Errorf("%s: %s", network, diff)
		}
	}
	if p.Skips("mastodon") || !p.Skips("irc") || (syndicate.Post{}).Skips("irc") {
		t.Error("Skips does not agree with Skip")
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*syndicate.Post)
		want   string // in the error; empty: none
	}{
		{"as it is", func(*syndicate.Post) {}, ""},
		{"no URL", func(p *syndicate.Post) { p.URL = "" }, ""},
		{"only an address", func(p *syndicate.Post) { *p = syndicate.Post{ID: "1", URL: "http://me.example"} }, ""},
		{"languages", func(p *syndicate.Post) { p.Language = "zh-Hant-TW" }, ""},
		{"private language", func(p *syndicate.Post) { p.Language = "x-klingon" }, ""},
		{"text of several lines", func(p *syndicate.Post) {
			p.Overrides = map[string]syndicate.Override{"*": {Text: "a\n\nb", Visibility: "private"}}
		}, ""},
		{"no ID", func(p *syndicate.Post) { p.ID = "" }, "ID is empty"},
		{"long ID", func(p *syndicate.Post) { p.ID = strings.Repeat("x", 2049) }, "ID has 2049 bytes, want at most 2048"},
		{"ID with a line break", func(p *syndicate.Post) { p.ID = "a\nb" }, "ID has control characters"},
		{"nothing", func(p *syndicate.Post) { *p = syndicate.Post{ID: "1"} }, "nothing to announce"},
		{"relative", func(p *syndicate.Post) { p.URL = "/x" }, `URL is "/x", want an address that begins with https://`},
		{"script", func(p *syndicate.Post) { p.URL = "javascript:alert(1)" }, "URL is"},
		{"password", func(p *syndicate.Post) { p.URL = "https://a:hunter2@b.example/" }, "URL has a user name or password in it"},
		{"blank", func(p *syndicate.Post) { p.URL = "https://b.example/a b" }, "%20"},
		{"long URL", func(p *syndicate.Post) { p.URL += strings.Repeat("x", 2048) }, "URL has"},
		{"alias", func(p *syndicate.Post) { p.Aliases = []string{""} }, "Aliases is"},
		{"image", func(p *syndicate.Post) { p.Image.URL = "data:image/png;base64,xx" }, "Image.URL is"},
		{"title", func(p *syndicate.Post) { p.Title = "a\x01b" }, "Title has control characters"},
		{"encoding", func(p *syndicate.Post) { p.Summary = "\xff" }, "Summary is not UTF-8"},
		{"tag", func(p *syndicate.Post) { p.Tags = []string{" "} }, "one of Tags is empty"},
		{"language", func(p *syndicate.Post) { p.Language = "en_US" }, `Language is "en_US", want a BCP 47 tag`},
		{"no language", func(p *syndicate.Post) { p.Language = "1" }, "Language is"},
		{"network", func(p *syndicate.Post) { p.Overrides = map[string]syndicate.Override{"Blue Sky": {}} }, `"Blue Sky" in Overrides is no name of a network`},
		{"visibility", func(p *syndicate.Post) {
			p.Overrides = map[string]syndicate.Override{"mastodon": {Visibility: "friends"}}
		}, `Overrides[mastodon].Visibility is "friends", want one of ["public" "unlisted" "private" "direct"]`},
	} {
		p := post()
		tt.change(&p)
		err := p.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: Validate() = %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the password is in the error: %v", tt.name, err)
		}
	}
}
