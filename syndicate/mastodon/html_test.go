// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package mastodon_test

import (
	"errors"
	"html"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/internal/test/deliver"
	"xeiaso.net/site/internal/test/pipe"
	"xeiaso.net/site/syndicate"
	"xeiaso.net/site/syndicate/mastodon"
	"xeiaso.net/site/syndicate/mastodontest"
)

func TestLinksAreFoundInWhatServersWrite(t *testing.T) {
	for content, want := range map[string][]string{
		`<p>Hello: <a href="https://blog.example/1?a=b&amp;c=d" target="_blank" rel="nofollow noopener"><span class="invisible">https://</span><span class="">blog</span></a></p>`: {"https://blog.example/1?a=b&c=d"},
		`<A class=x HREF='https://blog.example/1'>x</a><a  href = https://blog.example/2 >`:                                                                                        {"https://blog.example/1", "https://blog.example/2"},
		`<abbr href="https://wrong.example"><a data-href="https://wrong.example"><a href><a`:                                                                                       nil,
	} {
		if diff := cmp.Diff(want, mastodon.Links(content)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", content, diff)
		}
	}
}

func TestTextIsKnownAgain(t *testing.T) {
	const content = `<p>Hello <span class="h-card"><a href="https://elsewhere.example/@me" class="u-url mention">@<span>me</span></a></span>,</p>` +
		`<p>see <a href="https://blog.example/a-long/address/of/a/page"><span class="invisible">https://</span><span class="ellipsis">blog.example/a-long/address/of/</span>` +
		`<span class="invisible">a/page</span></a><br />&lt;<a href="https://social.example/tags/blog" class="mention hashtag" rel="tag">#<span>blog</span></a>&gt;</p>`
	for text, want := range map[string]bool{
		"Hello @me@elsewhere.example,\n\nsee https://blog.example/a-long/address/of/a/page\n<#blog>": true,
		"Hello @me@elsewhere.example,\n\nsee https://blog.example/a-long/address/of/a\n<#blog>":      false,
		"Hello": false,
		"":      false,
		"!":     false,
	} {
		if got := mastodon.SameText(content, text); got != want {
			t.Errorf("%q is the same: %t", text, got)
		}
	}
	if mastodon.SameText("<p>?</p>", "!") {
		t.Error("texts without letters are all the same")
	}
}

func FuzzLinks(f *testing.F) {
	f.Add(`<p><a href="https://blog.example/1?a&amp;b" rel=x>x</a><br/>&amp;<a href='`)
	f.Fuzz(func(t *testing.T, content string) {
		for _, link := range mastodon.Links(content) {
			if !strings.Contains(html.UnescapeString(content), link) && !strings.Contains(content, link) && !strings.Contains(link, "&") {
				t.Errorf("%q is not in %q", link, content)
			}
		}
		plain := mastodon.Plain(content)
		if len(plain) > 3*len(content)+1 {
			t.Errorf("%d bytes became %d", len(content), len(plain))
		}
		mastodon.SameText(content, plain)
	})
}

// Whatever is to be said, the server takes it, and it is found again.
func FuzzWhatIsComposedIsTakenAndFound(f *testing.F) {
	f.Add("Hello https://blog.example/1", "", true)
	f.Add(strings.Repeat("👨‍👩‍👧‍👦 @a@b.example x.https://c.example ", 40), "mind this", true)
	f.Add("\x00\r\n#tag https://blog.example/1?utm_source=x. ", strings.Repeat("warning ", 99), true)
	f.Add("مرحبا בוקר 각 e\u0301", "", false)
	f.Fuzz(func(t *testing.T, text, warning string, linked bool) {
		fake := mastodontest.New(mastodontest.Config{URL: "https://social.example"})
		target := open(t, fake, pipe.Serve(t, fake), mastodon.Config{})
		m := syndicate.Message{Post: syndicate.Post{ID: "1"}, Text: text, ContentWarning: warning}
		if linked {
			m.Link = "https://blog.example/1"
			m.Post.URL = m.Link
		}
		body, err := target.Compose(t.Context(), m)
		if e, ok := errors.AsType[*syndicate.Error](err); ok && e.Refused && !linked {
			return // nothing to say
		}
		if err != nil {
			t.Fatalf("compose: %v", err)
		}
		a := deliver.Attempt(t, target, m)
		a.Body = body
		receipt, err := target.Send(t.Context(), a)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		a.Last = time.Now().Add(-time.Hour)
		found, err := target.Reconcile(t.Context(), a)
		if posted := only(t, fake).Text; errors.Is(err, syndicate.ErrAbsent) && !linked && !mastodon.SameText(html.EscapeString(posted), posted) {
			return // nothing to know it by
		}
		if err != nil || found != receipt {
			t.Errorf("%s: found %v, error %v; want %v", body, found, err, receipt)
		}
	})
}
