// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func FuzzFrontMatter(f *testing.F) {
	for _, seed := range []string{
		"text", "---\ntitle: A\ndate: 2026-01-02\ntags: [a, b]\n---\nbody", "---\n---\n", "---\r\na: &x [*x]\r\n...\r\n", "---\na: !!binary x\n? b\n---\n",
		"+++\ntitle = \"A\\u00e9\"\ntags = ['x', \"y\"]\n[p.q]\na = {b = 1, c = [true]}\n+++\n", "+++\na = \"\"\"\nx\\\n y\"\"\"\n+++\n", "+++\n[[x]]\n+++", "---\n\xff: \xfe\n---\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fields, body, line, err := splitFrontMatter(data)
		if err != nil {
			if err.line < 1 || err.line > bytes.Count(data, []byte("\n"))+2 || err.problem == "" || err.remedy == "" {
				t.Errorf("%q: error %+v", data, err)
			}
			return
		}
		if !bytes.HasSuffix(data, body) {
			t.Errorf("%q: body %q is not its end", data, body)
		}
		if want := 1 + bytes.Count(data[:len(data)-len(body)], []byte("\n")); line != want && len(body) > 0 {
			t.Errorf("%q: body is on line %d, want %d", data, line, want)
		}
		r := &fieldReader{file: "a.md", loc: time.UTC}
		if m := r.meta(fields); m.URL != "" && !strings.HasPrefix(m.URL, "/") {
			t.Errorf("%q: URL %q", data, m.URL)
		}
	})
}

// FuzzRewrite checks that a rewriter which changes nothing changes nothing.
func FuzzRewrite(f *testing.F) {
	for _, seed := range []string{`<a href="x">y</a>`, "<", "<a", "<a href", "<a b='", `<img src=x/>`, "<!-- <a> -->", "<script><a href=x></script>", "</", "<a href=\"x\" / >", "a < b", "<b c=d"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		r := &rewriter{url: func(_, _, v string) string { return v }}
		got := r.rewrite(bytes.Clone(src))
		// Addresses are trimmed, which is a change of its own.
		if !bytes.Equal(got, src) && !regexp.MustCompile(`(?i)href|src|poster|action|cite|data`).Match(src) {
			t.Errorf("rewrite(%q) = %q", src, got)
		}
		page := &rewriter{page: true, url: func(_, _, v string) string { return "/x" }, size: func(string) (int, int) { return 1, 1 }}
		page.rewrite(src)
	})
}

func TestTextAndCodeHaveContrastInBothSchemes(t *testing.T) {
	css := string(styleSheet())
	light, rest, _ := strings.Cut(css, "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "*, ::before")
	for scheme, part := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(part, -1) {
			colours[m[1]] = m[2]
		}
		for _, name := range []string{"ink", "soft", "accent", "keyword", "string", "number", "name", "type", "comment", "added", "removed"} {
			for _, ground := range []string{"paper", "raised"} {
				if c := contrast(t, colours[name], colours[ground]); c < 4.5 {
					t.Errorf("%s: --%s on --%s has contrast %.2f, want 4.5", scheme, name, ground, c)
				}
			}
		}
	}
}

// contrast is the contrast ratio of WCAG 2.
func contrast(t *testing.T, a, b string) float64 {
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) (l float64) {
	t.Helper()
	if len(colour) != 7 {
		t.Fatalf("colour %q is missing", colour)
	}
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}

func TestFingerprintIsNeverADecimalNumber(t *testing.T) {
	for i := range 2000 {
		name := fingerprinted("style", fmt.Append(nil, i), ".css")
		digest := strings.TrimSuffix(strings.TrimPrefix(name, "style."), ".css")
		if len(digest) < 8 || strings.Trim(digest, "0123456789") == "" {
			t.Fatalf("fingerprint %q", name)
		}
	}
}

func TestDatesOfOtherGenerators(t *testing.T) {
	for in, want := range map[string]string{
		"2026-01-02": "2026-01-02T00:00:00Z", "2026-01-02 03:04": "2026-01-02T03:04:00Z", "2026-01-02T03:04:05Z": "2026-01-02T03:04:05Z",
		"2026-01-02 03:04:05 +0100": "2026-01-02T03:04:05+01:00", "2026-01-02T03:04:05.5+01:00": "2026-01-02T03:04:05+01:00",
		"January 2, 2026": "2026-01-02T00:00:00Z", "2026-1-2": "2026-01-02T00:00:00Z", "02.01.2026": "", "2026-13-01": "",
	} {
		got, ok := parseDate(in, time.UTC)
		if s := got.Format(time.RFC3339); ok != (want != "") || ok && s != want {
			t.Errorf("parseDate(%q) = %s, %t, want %q", in, s, ok, want)
		}
	}
}
