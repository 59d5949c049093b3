// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package webmention

import (
	"net/url"
	"strings"

	"xeiaso.net/site/syndicate/internal/markup"
)

// endpoint finds where mentions of a page are sent: the address of the page as it
// was after redirects, its Link header fields, and its HTML. It returns "" if
// there is none.
func endpoint(page *url.URL, links []string, body []byte) string {
	for _, field := range links {
		for _, l := range parseLinks(field) {
			if l.rels("webmention") {
				return resolve(page, l.target)
			}
		}
	}
	base := page
	for e := range markup.Elements(body) {
		switch {
		case e.Name == "base" && e.Has("href") && base == page:
			if u, err := page.Parse(e.Attr("href")); err == nil {
				base = u
			}
		case (e.Name == "link" || e.Name == "a") && e.HasToken("rel", "webmention") && e.Has("href"):
			// Without href it would be a mistake of the author, with an empty
			// one it is the page itself.
			return resolve(base, e.Attr("href"))
		}
	}
	return ""
}

func resolve(base *url.URL, ref string) string {
	u, err := base.Parse(ref)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	u.Fragment = ""
	return u.String()
}

// headerLink is one of the links of a Link header field, RFC 8288.
type headerLink struct {
	target string
	rel    string
}

func (l headerLink) rels(name string) bool {
	for word := range strings.FieldsSeq(l.rel) {
		if strings.EqualFold(word, name) {
			return true
		}
	}
	return false
}

// parseLinks reads a Link header field. What is malformed ends it.
func parseLinks(field string) (links []headerLink) {
	for {
		field = strings.TrimLeft(field, " \t,")
		target, rest, ok := strings.Cut(strings.TrimPrefix(field, "<"), ">")
		if !ok || field[0] != '<' {
			return links
		}
		l := headerLink{target: strings.TrimSpace(target)}
		field = rest
		for {
			field = strings.TrimLeft(field, " \t")
			if field == "" || field[0] != ';' {
				break
			}
			var name, value string
			name, value, field = parameter(field[1:])
			if strings.EqualFold(name, "rel") && l.rel == "" {
				l.rel = value
			}
		}
		links = append(links, l)
		if field != "" && field[0] != ',' {
			return links
		}
	}
}

// parameter reads a name and a value, which may be quoted.
func parameter(s string) (name, value, rest string) {
	s = strings.TrimLeft(s, " \t")
	n := strings.IndexAny(s, "=;,")
	if n < 0 {
		return strings.TrimSpace(s), "", ""
	}
	name = strings.TrimSpace(s[:n])
	if s[n] != '=' {
		return name, "", s[n:]
	}
	s = strings.TrimLeft(s[n+1:], " \t")
	if s == "" || s[0] != '"' {
		n = strings.IndexAny(s, ";,")
		if n < 0 {
			n = len(s)
		}
		return name, strings.TrimSpace(s[:n]), s[n:]
	}
	var out strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return name, out.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		out.WriteByte(s[i])
	}
	return name, out.String(), ""
}
