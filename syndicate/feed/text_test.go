// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed

import (
	"strings"
	"testing"
	"time"
)

func TestPlainText(t *testing.T) {
	for _, tt := range []struct{ html, want string }{
		{"", ""},
		{"plain", "plain"},
		{"<p>One</p><p>two</p>", "One two"},
		{"a<b>b</b>c<br/>d", "abc d"},
		{" a \n\t b&nbsp;&#160;c ", "a b c"},
		{"&lt;b&gt; &amp;amp; &hellip; &#x1F408;", "<b> &amp; … 🐈"},
		{"AT&T &unknown; &", "AT&T &unknown; &"},
		{"a &l<b></b>t; b", "a &lt; b"},
		{"1 < 2 <3", "1 < 2 <3"},
		{"<a href=\"x>y\" title='<b>'>z</a>", "z"},
		{"<a title=it's>z</a>'", "z'"},
		{"<a title = \"x>\">z", "z"},
		{"x<!-- a <b> -- > --->y<!-- open", "xy"},
		{"<!DOCTYPE html><?php echo 1 ?>x<![CDATA[y]]>", "x"},
		{"<script>if (a < b) '<p>'</script>x<STYLE>p{}</style >y", "x y"},
		{"<script>no end", ""},
		{"<scripture>x</scripture>", "x"},
		{"<svg><text>x</text></svg>y", "y"},
		{"x<b", "x"},
		{"x</", "x</"},
		{"x<a \"", "x"},
		{"a\x01b\u0085c", "ab c"},
		{"<td>a</td><td>b</td>", "a b"},
	} {
		if got := plainText(tt.html); got != tt.want {
			t.Errorf("plainText(%q) = %q, want %q", tt.html, got, tt.want)
		}
	}
}

func TestTextsThatMayBeHTML(t *testing.T) {
	for _, tt := range []struct{ text, title, description string }{
		{"Vec<T> and <em>this</em>", "Vec<T> and this", "Vec<T> and this"},
		{"The <p> element", "The <p> element", "The element"},
		{"x <lite-tube>y</lite-tube>", "x <lite-tube>y</lite-tube>", "x y"},
		{"a < b && c", "a < b && c", "a < b && c"},
	} {
		if got := titleText(tt.text); got != tt.title {
			t.Errorf("titleText(%q) = %q, want %q", tt.text, got, tt.title)
		}
		if got := descriptionText(tt.text); got != tt.description {
			t.Errorf("descriptionText(%q) = %q, want %q", tt.text, got, tt.description)
		}
	}
}

// Nothing makes it slow: each of these is a megabyte.
func TestLongHTMLIsReadInLinearTime(t *testing.T) {
	for _, piece := range []string{"<", "<a ", "<!--", "</", "<script>", "<script></", "&", "&amp", "<a b='", "<p>", "<b>"} {
		plainText(strings.Repeat(piece, (1<<20)/len(piece)))
	}
}

func TestDates(t *testing.T) {
	berlin := time.Date(2026, 3, 1, 18, 30, 15, 0, time.FixedZone("", 3600))
	utc := time.Date(2026, 3, 1, 18, 30, 15, 0, time.UTC)
	minute, midnight := utc.Truncate(time.Minute), utc.Truncate(24*time.Hour)
	for _, tt := range []struct {
		text string
		want time.Time
	}{
		{"2026-03-01T18:30:15Z", utc},
		{"2026-03-01T18:30:15.000Z", utc},
		{"2026-03-01t18:30:15z", utc},
		{"2026-03-01T18:30:15+01:00", berlin},
		{"2026-03-01T18:30:15+0100", berlin},
		{"2026-03-01T18:30:15+01", berlin},
		{"2026-03-01 18:30:15 +0100", berlin},
		{"2026-03-01 18:30:15 UTC", utc},
		{"2026-03-01 18:30:15", utc},
		{"2026-03-01T18:30:15", utc},
		{"2026-03-01T18:30Z", minute},
		{"2026-03-01T18:30", minute},
		{"2026-03-01", midnight},
		{" 2026-3-1 ", midnight},
		{"20260301T183015Z", utc},
		{"Sun, 01 Mar 2026 18:30:15 GMT", utc},
		{"Sun, 01 Mar 2026 18:30:15 +0100", berlin},
		{"Sun, 01 Mar 2026 18:30:15 CET", berlin},
		{"Sun, 01 Mar 2026 13:30:15 EST", utc},
		{"Sun, 1 Mar 2026 18:30 UT", minute},
		{"01 Mar 26 18:30:15 Z", utc},
		{"1 March 2026 18:30:15", utc},
		{"Sunday, 1. MARCH 2026 18:30:15 +01:00", berlin},
		{"So, 01 Mar 2026 18:30:15 +0100", berlin},
		{"Sun Mar 1, 2026 18:30:15", utc},
		{"Mar 1, 2026", midnight},
		{"1 Mar 2026", midnight},
		{"yesterday", time.Time{}},
		{"2026-13-01", time.Time{}},
		{"2026-02-30T00:00:00Z", time.Time{}},
		{"Sun, 32 Mar 2026 18:30:15 GMT", time.Time{}},
		{"Sun, 01 Mar 2026 18:30:15 XYZ", time.Time{}},
		{"1772390000", time.Time{}},
		{strings.Repeat("1 ", 99), time.Time{}},
		{"0000-01-01", time.Time{}},
	} {
		var warned error
		got := date(tt.text, func(err error) { warned = err })
		if !got.Equal(tt.want) || (warned != nil) != tt.want.IsZero() {
			t.Errorf("date(%q) = %s, %v, want %s", tt.text, got, warned, tt.want)
		}
	}
	if got := date(" ", func(err error) { t.Error(err) }); !got.IsZero() {
		t.Errorf("no date is %s", got)
	}
}
