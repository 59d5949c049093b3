// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate_test

import (
	"strings"
	"testing"

	"xeiaso.net/site/syndicate"
)

func TestCountReserved(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int
	}{
		{"", 0},
		{"abc", 3},
		{family + "é", 2},
		{"https://x.example/", 23},
		{"https://x.example/" + strings.Repeat("a", 100) + "?b=c#d", 23},
		{"a https://x.example/, b", 28},
		{"http://localhost/" + strings.Repeat("a", 30), 47},
		{"http://localhost/", 23},
		{"https://x.example/" + strings.Repeat("ä", 30), 53},
		{"https://x.example@[b", 26},
		{"https://x.example:8080/a", 23},
		{"https://x.examplehttps://y.example", 35},
		{"https://x.example/wiki/Go_(language)", 36},
		{"@jo", 3},
		{"@jo@social.example", 3},
		{"@jo.e@social.example.", 6},
		{"a@b.example", 11},
		{"https://x.example/@jo@social.example", 23},
		{"@ @@ @-", 7},
		{"\xff", 1},
	} {
		if got := syndicate.CountReserved(tt.text, 23); got != tt.want {
			t.Errorf("CountReserved(%q) = %d, want %d", tt.text, got, tt.want)
		}
	}
}

func TestEscapeMarkdown(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"plain, text! 3.14 a-b 1+1 a > b (c]", "plain, text! 3.14 a-b 1+1 a > b (c]"},
		{`*a* _b_ ~~c~~ ||d|| \e`, `\*a\* \_b\_ \~\~c\~\~ \|\|d\|\| \\e`},
		{"`code`", "\\`code\\`"},
		{"[a](https://x.example/)", `\[a](https://x.example/)`},
		{"<@123> <#1> @here", `\<\@123> \<\#1> \@here`},
		{"# a\n> b\n- c\n  + d\n1. e\n10. f", "\\# a\n\\> b\n\\- c\n  \\+ d\n1\\. e\n10\\. f"},
		{"https://x.example/a_b_c*d _e_", `https://x.example/a_b_c*d \_e\_`},
		{"**https://x.example/**", `\*\*https://x.example/ \*\*`},
		{"<https://x.example/> <b>", `<https://x.example/> \<b>`},
		{"https://known.example/*", "https://known.example/*"},
		{"\xff", "\uFFFD"},
	} {
		if got := syndicate.EscapeMarkdown(tt.text, "https://known.example/*"); got != tt.want {
			t.Errorf("EscapeMarkdown(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestHashtag(t *testing.T) {
	for tag, want := range map[string]string{
		"go": "#go", "home lab": "#HomeLab", "C++": "#C", "web3.0": "#Web30", "2026": "", "": "", "🐈": "", "ünï-code": "#ÜnïCode", "#meta": "#meta", "snake_case": "#snake_case",
	} {
		got := syndicate.Hashtag(tag)
		if got != want {
			t.Errorf("Hashtag(%q) = %q, want %q", tag, got, want)
		}
		if facets := (syndicate.Enricher{}).Enrich("x " + got + ".").Facets; want != "" && (len(facets) != 1 || "#"+facets[0].Tag != want) {
			t.Errorf("Hashtag(%q) is found as %+v", tag, facets)
		}
	}
}

func TestPlainLine(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"a b", "a b"},
		{" a \t\r\n b\u2028c\u0085d ", "a b c d"},
		{"a\x00b\x01c\x02d\x1fe\x7ff\u009fg", "abcdefg"},
		{"\x034red \x0304,5x \x03,y \x03123z", "red x ,y 3z"},
		{"\x04ff0000red \x04nothex", "red nothex"},
		{"\x03", ""},
		{"\x034,", ","},
		{"\xffa" + family, "\uFFFDa" + family},
	} {
		if got := syndicate.PlainLine(tt.text); got != tt.want {
			t.Errorf("PlainLine(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestUTMIsSetOnceAndInTheQuery(t *testing.T) {
	utm := syndicate.UTM{Source: "a b", Medium: "s&x"}
	for _, tt := range []struct{ link, want string }{
		{"https://x.example", "https://x.example?utm_source=a+b&utm_medium=s%26x"},
		{"https://x.example/#f", "https://x.example/?utm_source=a+b&utm_medium=s%26x#f"},
		{"https://x.example/?", "https://x.example/?utm_source=a+b&utm_medium=s%26x"},
		{"https://x.example/?b&a=%7E;c", "https://x.example/?b&a=%7E;c&utm_source=a+b&utm_medium=s%26x"},
		{"https://x.example/?utm_source=old&utm%5Fmedium=old&utm_term=kept#a?b", "https://x.example/?utm_term=kept&utm_source=a+b&utm_medium=s%26x#a?b"},
		{"https://x.example/a%2Fb?%zz=1", "https://x.example/a%2Fb?%zz=1&utm_source=a+b&utm_medium=s%26x"},
	} {
		got, err := utm.Tag(tt.link)
		if got != tt.want || err != nil {
			t.Errorf("Tag(%q) = %q, %v, want %q", tt.link, got, err, tt.want)
		}
		if again, err := utm.Tag(got); again != got || err != nil {
			t.Errorf("Tag(%q) = %q, %v: not the same again", got, again, err)
		}
	}
	if got, err := (syndicate.UTM{}).Tag("https://x.example/?a#b"); got != "https://x.example/?a#b" || err != nil {
		t.Errorf("without parameters: %q, %v", got, err)
	}
	if got, err := utm.Tag("mailto:a@b.example"); err == nil {
		t.Errorf("Tag of a mail address = %q", got)
	}
}
