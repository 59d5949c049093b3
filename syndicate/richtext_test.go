// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"xeiaso.net/site/syndicate"
)

func TestLinksAndHashtagsAreFound(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"no link", ""},
		{"https://x.example/", "https://x.example/"},
		{"HTTPS://X.example", "HTTPS://X.example"},
		{"See https://x.example/a?b=c#d.", "https://x.example/a?b=c#d"},
		{"(https://x.example/a)", "https://x.example/a"},
		{"https://x.example/a_(b)", "https://x.example/a_(b)"},
		{"(https://x.example/a_(b))", "https://x.example/a_(b)"},
		{"[https://x.example/a]!?", "https://x.example/a"},
		{"<https://x.example/a>", "https://x.example/a"},
		{"看https://x.example/猫。", "https://x.example/猫"},
		{"https://[::1]:80/", "https://[::1]:80/"},
		{"https://a.example,https://b.example", "https://a.example,https://b.example"},
		{"xhttps://x.example http:// https://) http:/x", ""},
		{"https://x.example/a%20b%", "https://x.example/a%20b%"},
		{"#tag, #two_2 (#three) #ünïcode #猫", "#tag #two_2 #three #ünïcode #猫"},
		{"#1 a#b C# # #-", ""},
		{"https://x.example/#tag", "https://x.example/#tag"},
		{"@jo@social.example", ""},
		{"#" + strings.Repeat("x", 65), ""},
		{"#" + strings.Repeat("x", 64), "#" + strings.Repeat("x", 64)},
		{"https://known.example/a.", "https://known.example/a."},
		{"https://known.example/a|b", "https://known.example/a|b"},
		{"https://known.example/a|bc", "https://known.example/a|b"},
	} {
		e := syndicate.Enricher{Links: []string{"https://known.example/a.", "https://known.example/a|b", ""}}
		rich := e.Enrich(tt.text)
		var got []string
		for _, f := range rich.Facets {
			got = append(got, rich.Text[f.Start:f.End])
			if f.URL+f.Tag != strings.TrimPrefix(got[len(got)-1], "#") {
				t.Errorf("%q: facet %+v", tt.text, f)
			}
		}
		if strings.Join(got, " ") != tt.want || rich.Text != tt.text {
			t.Errorf("%q: found %q in %q, want %q", tt.text, got, rich.Text, tt.want)
		}
	}
}

func TestShortLink(t *testing.T) {
	for _, tt := range []struct {
		link  string
		width int
		want  string
	}{
		{"https://x.example", 20, "x.example"},
		{"https://x.example/", 20, "x.example"},
		{"https://www.x.example/?a", 20, "x.example/?a"},
		{"http://x.example:8080/abc", 20, "x.example:8080/abc"},
		{"https://x.example/abcdef", 13, "x.example/ab…"},
		{"https://a.long.host.example/abcdef", 10, "a.long.host.example…"},
		{"https://x.example/" + strings.Repeat("é", 20), 14, "x.example/ééé…"},
		{"https://good.example@evil.example/", 40, "https://good.example@evil.example/"},
		{"HTTPS://X.example/a", 20, "X.example/a"},
		{"mailto:a@b.example", 3, "mailto:a@b.example"},
		{"https://%zz", 3, "https://%zz"},
	} {
		if got := syndicate.ShortLink(tt.link, tt.width); got != tt.want {
			t.Errorf("ShortLink(%q, %d) = %q, want %q", tt.link, tt.width, got, tt.want)
		}
	}
}

func TestOffsetsAreBytesOfWhatIsShown(t *testing.T) {
	text := "ä" + family + " https://x.example/a-long-path/to/it #ü\xff"
	got := syndicate.Enricher{LinkWidth: 15}.Enrich(text)
	want := syndicate.RichText{
		Text: "ä" + family + " x.example/a-lo… #ü\uFFFD",
		Facets: []syndicate.Facet{
			{Start: 28, End: 45, URL: "https://x.example/a-long-path/to/it"},
			{Start: 46, End: 49, Tag: "ü"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheckFindsWrongFacets(t *testing.T) {
	for _, tt := range []struct {
		rich syndicate.RichText
		ok   bool
	}{
		{syndicate.RichText{Text: "aäb", Facets: []syndicate.Facet{{Start: 1, End: 3, Tag: "x"}, {Start: 3, End: 4, URL: "x"}}}, true},
		{syndicate.RichText{Text: "\xff"}, false},
		{syndicate.RichText{Text: "aäb", Facets: []syndicate.Facet{{Start: 2, End: 4, Tag: "x"}}}, false},
		{syndicate.RichText{Text: "aäb", Facets: []syndicate.Facet{{Start: 0, End: 2, Tag: "x"}}}, false},
		{syndicate.RichText{Text: "aäb", Facets: []syndicate.Facet{{Start: 0, End: 5, Tag: "x"}}}, false},
		{syndicate.RichText{Text: "aäb", Facets: []syndicate.Facet{{Start: -1, End: 1, Tag: "x"}}}, false},
		{syndicate.RichText{Text: "aäb", Facets: []syndicate.Facet{{Start: 1, End: 1, Tag: "x"}}}, false},
		{syndicate.RichText{Text: "aäb", Facets: []syndicate.Facet{{Start: 0, End: 3, Tag: "x"}, {Start: 1, End: 3, Tag: "x"}}}, false},
		{syndicate.RichText{Text: "aäb", Facets: []syndicate.Facet{{Start: 0, End: 1}}}, false},
		{syndicate.RichText{Text: "aäb", Facets: []syndicate.Facet{{Start: 0, End: 1, URL: "x", Tag: "x"}}}, false},
	} {
		if err := tt.rich.Check(); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt.rich, err)
		}
	}
}

func FuzzFacets(f *testing.F) {
	f.Add(strings.Join(pieces, ""), 20)
	f.Add("a https://x.example/ü(1). #tag #猫", 5)
	f.Add("https://https://x.example", 0)
	f.Fuzz(func(t *testing.T, text string, width int) {
		e := syndicate.Enricher{LinkWidth: width % 100, Links: []string{"https://x.example/a."}}
		rich := e.Enrich(text)
		if err := rich.Check(); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		// Putting the links back gives the text again.
		var restored strings.Builder
		at := 0
		for _, f := range rich.Facets {
			shown, full := rich.Text[f.Start:f.End], f.URL
			switch {
			case f.Tag != "":
				full = "#" + f.Tag
				if shown != full {
					t.Fatalf("%q: hashtag %q is shown as %q", text, f.Tag, shown)
				}
			case e.LinkWidth <= 0 && shown != full, e.LinkWidth > 0 && shown != syndicate.ShortLink(full, e.LinkWidth):
				t.Fatalf("%q: link %q is shown as %q", text, full, shown)
			}
			restored.WriteString(rich.Text[at:f.Start] + full)
			at = f.End
		}
		if got := restored.String() + rich.Text[at:]; got != strings.ToValidUTF8(text, "\uFFFD") || !utf8.ValidString(got) {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
