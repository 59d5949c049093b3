// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate_test

import (
	"errors"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"xeiaso.net/site/syndicate"
)

const family = "👨‍👩‍👧‍👦"

func TestFit(t *testing.T) {
	const link = "https://x.example/a" // 19
	for _, tt := range []struct {
		text, link string
		max        int
		want       string
	}{
		{"Short", "", 5, "Short"},
		{"", "", 0, ""},
		{"", link, 19, link},
		{"Short", link, 30, "Short " + link},
		{"Short\n", link, 30, "Short " + link},
		{"One two three", "", 12, "One two…"},
		{"One two, three", "", 12, "One two…"},
		{"Onetwothree", "", 5, "Onet…"},
		{"ein sehrlangeswortohneblank", "", 20, "ein sehrlangesworto…"},
		{"私は猫が好きです", "", 5, "私は猫が…"},
		{strings.Repeat(family, 9), "", 4, strings.Repeat(family, 3) + "…"},
		{"e\u0301e\u0301e\u0301", "", 2, "e\u0301…"},
		{"a\r\nb\r\nc", "", 4, "a\r\nb…"},
		{"שלום עולם ומלואו", "", 11, "שלום עולם…"},
		{"One two\n\n" + link, link, 26, "One…\n\n" + link},
		{"One two :: " + link, link, 28, "One… :: " + link},
		{"One two three – " + link, link, 30, "One two… – " + link},
		{"One (" + link + ")", link, 24, "On… " + link + ")"},
		{link + "\n\n#tag and words", link, 27, link + "\n\n#tag …"},
		{link + "\n\n#tag and words", link, 22, link},
		{"One two " + link + " #tag", link, 28, "On… " + link + " #tag"},
		{link + " is " + link, link, 44, link + " is " + link},
		{link + "b and more of it", link, 45, link + "b and… " + link},
		{"See https://y.example/long-address and", "", 34, "See…"},
		{"See https://y.example/long-address and", "", 36, "See https://y.example/long-address …"},
		{"Hi @jo@social.example there", "", 12, "Hi…"},
		{"\xffa", "", 2, "\uFFFDa"},
	} {
		got, err := syndicate.Fit(tt.text, tt.link, syndicate.Limit{Max: tt.max})
		if got != tt.want || err != nil {
			t.Errorf("Fit(%q, %q, %d) = %q, %v, want %q", tt.text, tt.link, tt.max, got, err, tt.want)
		}
	}
}

func TestFitDoesNotGiveUpTheLink(t *testing.T) {
	for _, link := range []string{"https://x.example/a", ""} {
		if got, err := syndicate.Fit("Text", link, syndicate.Limit{Max: 1}); !errors.Is(err, syndicate.ErrTooLong) {
			t.Errorf("Fit = %q, %v, want ErrTooLong", got, err)
		}
	}
}

func TestFitObeysEveryLimit(t *testing.T) {
	limits := syndicate.Enricher{LinkWidth: 30}.Limits(300, 3000)
	got, err := syndicate.Fit(strings.Repeat(family, 400), "https://x.example/", limits...)
	if err != nil || len(got) > 3000 || !strings.HasSuffix(got, "… https://x.example/") || len(got) < 2900 {
		t.Errorf("Fit = %d bytes %v", len(got), err)
	}
}

// A long text does not make it slow: these are titles of 200 KB.
func TestFitTakesLongTexts(t *testing.T) {
	for _, piece := range []string{"word ", "x", "http://)", "@a.", "#", "[", "https://x.example/)))) ", family} {
		text := strings.Repeat(piece, 200_000/len(piece))
		if got, err := syndicate.Fit(text, "https://x.example/", syndicate.Enricher{LinkWidth: 20}.Limits(300, 3000)...); err != nil {
			t.Errorf("%q: %q %v", piece, got, err)
		}
	}
}

// pieces are what texts get difficult by.
var pieces = []string{
	"a", "word ", "猫", family, "🏳️‍🌈", "🇩🇪", "e\u0301\u0323", "שלום", "\u202e", "\r\n", "\n\n", " ", "  ", " :: ", ",", ".", "\u200d", "\u0600",
	"#tag", "#", "@jo@social.example", "@", "https://y.example/?a=b&c=d#e", "(https://z.example/(x))", "http://", "https://x.example/", "\xff", "한국어", "\x00",
}

func TestFitProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var text strings.Builder
		for range r.IntN(60) {
			text.WriteString(pieces[r.IntN(len(pieces))])
		}
		checkFit(t, text.String(), pieces[r.IntN(len(pieces))], r.IntN(120))
	}
}

func FuzzFit(f *testing.F) {
	f.Add("Hello world", "a", 30)
	f.Add(strings.Repeat(family, 9)+" #tag", "?q=%20#x", 40)
	f.Add("a https://x.example/ b :: ", "", 20)
	f.Add("ahttps://x.example/ b", "", 1)
	f.Add(strings.Join(pieces, ""), "ä.", 90)
	f.Fuzz(checkFit)
}

// checkFit holds what Fit promises against every network's own count.
func checkFit(t *testing.T, text, path string, limit int) {
	link := (&url.URL{Scheme: "https", Host: "x.example", Path: "/" + path}).String()
	if len(text) > 4000 || len(link) > 500 {
		return
	}
	limit = 20 + (limit&0x7fffffff)%600
	enricher := syndicate.Enricher{LinkWidth: 25, Links: []string{link}}
	irc := syndicate.LineLimit("nick!user@host.example", "#channel")
	for name, tt := range map[string]struct {
		text   string
		limits []syndicate.Limit
		count  func(string) bool
	}{
		"graphemes": {text, []syndicate.Limit{{Max: limit}}, func(s string) bool { return uniseg.GraphemeClusterCount(s) <= limit }},
		"bytes":     {text, []syndicate.Limit{{Max: limit, Count: syndicate.Bytes}}, func(s string) bool { return len(s) <= limit }},
		"rich": {text, enricher.Limits(limit, 2*limit), func(s string) bool {
			shown := enricher.Enrich(s).Text
			return uniseg.GraphemeClusterCount(shown) <= limit && len(shown) <= 2*limit
		}},
		"reserved": {
			text,
			[]syndicate.Limit{{Max: limit, Count: func(s string) int { return syndicate.CountReserved(s, 23) }}},
			func(s string) bool { return reserved(s, link) <= limit },
		},
		"escaped": {
			text,
			[]syndicate.Limit{{Max: limit, Count: func(s string) int { return syndicate.UTF16(syndicate.EscapeMarkdown(s, link)) }}},
			func(s string) bool {
				escaped := syndicate.EscapeMarkdown(s, link)
				return len(utf16.Encode([]rune(escaped))) <= limit && strings.Contains(escaped, link)
			},
		},
		"irc": {syndicate.PlainLine(text), []syndicate.Limit{irc}, func(s string) bool {
			line := ":nick!user@host.example PRIVMSG #channel :" + s + "\r\n"
			return len(line) <= 512 && strings.Count(line, "\n") == 1 && !strings.ContainsAny(s, "\r\n\x00\x01\x02\x03\x0f\x16\x1d\x1f")
		}},
	} {
		got, err := syndicate.Fit(tt.text, link, tt.limits...)
		if err != nil {
			if !slices.ContainsFunc(tt.limits, func(l syndicate.Limit) bool {
				return l.Count != nil && l.Count(link) > l.Max || l.Count == nil && len(link) > l.Max
			}) {
				t.Fatalf("%s: Fit(%q, %q, %d): %v", name, tt.text, link, limit, err)
			}
			continue
		}
		if !tt.count(got) || !strings.Contains(got, link) || !utf8.ValidString(got) {
			t.Fatalf("%s: Fit(%q, %q, %d) = %q", name, tt.text, link, limit, got)
		}
		checkCuts(t, strings.ToValidUTF8(tt.text, "\uFFFD"), link, got)
	}
}

// reserved is the least that a text with one link can count on Mastodon. Where
// the link meets other text, two characters may become one.
func reserved(text, link string) int {
	if !strings.Contains(text, link) || strings.Count(text, "://")+strings.Count(text, "@") > 1 {
		return 0 // other links and mentions count less than they are long
	}
	before, after, _ := strings.Cut(text, link)
	if last, _ := utf8.DecodeLastRuneInString(before); unicode.In(last, unicode.Letter, unicode.Mark, unicode.Digit) || strings.ContainsRune("_@#$", last) {
		return 0 // the end of a word is no link
	}
	return max(0, uniseg.GraphemeClusterCount(before)-1) + 23 + max(0, uniseg.GraphemeClusterCount(after)-1)
}

// checkCuts fails if what stands before the ellipsis is not the beginning of the
// text up to the end of a grapheme.
func checkCuts(t *testing.T, text, link, got string) {
	t.Helper()
	if strings.Contains(text, "…") || strings.Contains(text, link) {
		return // then it is not plain where the cut is
	}
	head, _, cut := strings.Cut(strings.TrimSuffix(got, link), "…")
	if !cut {
		return
	}
	ends := []int{0}
	for g := uniseg.NewGraphemes(text); g.Next(); {
		_, end := g.Positions()
		ends = append(ends, end)
	}
	at := len(head)
	if !strings.HasPrefix(text, head) {
		at = len(strings.TrimSuffix(head, " ")) // the blank after a link
	}
	if !strings.HasPrefix(text, head[:at]) || !slices.Contains(ends, at) && !slices.Contains(ends, at-1) {
		t.Fatalf("%q of %q is cut inside of a grapheme", got, text)
	}
}

func BenchmarkFit(b *testing.B) {
	const link = "https://x.example/posts/a-post/"
	text := strings.Repeat("Some words and a family "+family+" ", 40)
	limits := syndicate.Enricher{LinkWidth: 30, Links: []string{link}}.Limits(300, 3000)
	for b.Loop() {
		if _, err := syndicate.Fit(text, link, limits...); err != nil {
			b.Fatal(err)
		}
	}
}
