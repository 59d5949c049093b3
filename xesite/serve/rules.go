// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package serve

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"xeiaso.net/site/xesite/release"
)

// pattern is the left side of a rule, compiled.
type pattern struct {
	literal string // if re is nil
	re      *regexp.Regexp
	names   []string // of the groups of re
}

// compile translates a pattern that package release has accepted. A slash at
// the end makes no difference.
func compile(p string) pattern {
	if !strings.Contains(p, "*") && !strings.Contains(p, "/:") {
		return pattern{literal: trimSlash(unescape(p))}
	}
	var c pattern
	var re strings.Builder
	prefix, isTree := strings.CutSuffix(p, "/*")
	if !isTree {
		prefix = trimSlash(p)
	}
	for i, segment := range strings.Split(prefix, "/") {
		if i > 0 {
			re.WriteByte('/')
		}
		if name, ok := strings.CutPrefix(segment, ":"); ok {
			c.names = append(c.names, name)
			re.WriteString(`([^/]+)`)
			continue
		}
		before, after, star := strings.Cut(segment, "*")
		re.WriteString(regexp.QuoteMeta(unescape(before)))
		if star {
			c.names = append(c.names, "splat")
			re.WriteString(`(.*)` + regexp.QuoteMeta(unescape(after)))
		}
	}
	if isTree {
		c.names = append(c.names, "splat")
		re.WriteString(`(?:/(.*))?`)
	} else {
		re.WriteString(`/?`)
	}
	c.re = regexp.MustCompile(`^(?s:` + re.String() + `)$`)
	return c
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// match returns the values of the placeholders if path fits.
func (p pattern) match(path string) (values map[string]string, ok bool) {
	if p.re == nil {
		return nil, trimSlash(path) == p.literal
	}
	m := p.re.FindStringSubmatch(path)
	if m == nil {
		return nil, false
	}
	values = make(map[string]string, len(p.names))
	for i, name := range p.names {
		values[name] = m[i+1]
	}
	return values, true
}

func trimSlash(path string) string {
	if len(path) > 1 {
		return strings.TrimSuffix(path, "/")
	}
	return path
}

// rule is a compiled [release.Redirect].
type rule struct {
	release.Redirect
	from pattern
}

// rules holds the redirects of a release. Those without a placeholder are
// found by their path, so that a list of thousands costs a miss nothing.
type rules struct {
	all     []rule
	literal map[string][]int // trimmed path to positions in all
	dynamic []int
	forced  bool // there is a forced one
}

func compileRules(redirects []release.Redirect) rules {
	rs := rules{literal: map[string][]int{}}
	for i, r := range redirects {
		c := rule{r, compile(r.From)}
		rs.all = append(rs.all, c)
		if c.from.re == nil {
			rs.literal[c.from.literal] = append(rs.literal[c.from.literal], i)
		} else {
			rs.dynamic = append(rs.dynamic, i)
		}
		rs.forced = rs.forced || r.Force
	}
	return rs
}

// find returns the first rule that fits the request, and its destination.
func (rs *rules) find(path, rawQuery string, forcedOnly bool) (*rule, string) {
	if len(rs.all) == 0 {
		return nil, ""
	}
	candidates := rs.dynamic
	if l := rs.literal[trimSlash(path)]; l != nil {
		candidates = slices.Sorted(slices.Values(slices.Concat(l, rs.dynamic)))
	}
	for _, i := range candidates {
		r := &rs.all[i]
		if forcedOnly && !r.Force {
			continue
		}
		if to, ok := r.apply(path, rawQuery); ok {
			return r, to
		}
	}
	return nil, ""
}

// apply returns the destination if the rule fits.
func (r *rule) apply(path, rawQuery string) (to string, ok bool) {
	values, ok := r.from.match(path)
	if !ok {
		return "", false
	}
	query, ok := r.matchQuery(rawQuery, &values)
	if !ok {
		return "", false
	}
	to = r.expand(values)
	if r.Status/100 != 3 {
		return to, true
	}
	if !strings.Contains(to, "?") && query != "" {
		before, fragment, _ := strings.Cut(to, "#")
		if to = before + "?" + query; fragment != "" {
			to += "#" + fragment
		}
	}
	// A rule that leads to where the visitor is would lead there for ever.
	return to, to != (&url.URL{Path: path, RawQuery: rawQuery}).RequestURI()
}

// matchQuery checks the parameters that the rule asks for, and returns the
// query without them.
func (r *rule) matchQuery(rawQuery string, values *map[string]string) (rest string, ok bool) {
	if len(r.Query) == 0 {
		return rawQuery, true
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return "", false
	}
	got := map[string]string{}
	for _, p := range r.Query {
		if !query.Has(p.Name) {
			return "", false
		}
		name, isPlaceholder := strings.CutPrefix(p.Value, ":")
		if value := query.Get(p.Name); isPlaceholder {
			got[name] = value
		} else if value != p.Value {
			return "", false
		}
		query.Del(p.Name)
	}
	maps.Copy(got, *values)
	*values = got
	return query.Encode(), true
}

// placeholder is a name in a destination. The longest name that is known
// counts, so ":slug.html" works.
var placeholder = regexp.MustCompile(`:[A-Za-z][A-Za-z0-9_]*`)

// expand puts the values into the destination, escaped for where they stand.
func (r *rule) expand(values map[string]string) string {
	base, rest := "", r.To
	if !strings.HasPrefix(rest, "/") { // scheme and host hold no placeholder
		_, after, _ := strings.Cut(rest, "://")
		host := strings.IndexAny(after, "/?#")
		if host < 0 {
			return rest
		}
		base, rest = rest[:len(rest)-len(after)+host], after[host:]
	}
	queryAt := strings.IndexByte(rest, '?')
	out := replaceIndexed(rest, func(at int, name string) (string, bool) {
		value, ok := values[name]
		if queryAt >= 0 && at > queryAt {
			return url.QueryEscape(value), ok
		}
		return (&url.URL{Path: value}).EscapedPath(), ok
	})
	if base == "" {
		return local(out)
	}
	return base + out
}

func replaceIndexed(s string, f func(at int, name string) (string, bool)) string {
	var b strings.Builder
	last := 0
	for _, m := range placeholder.FindAllStringIndex(s, -1) {
		if value, ok := f(m[0], s[m[0]+1:m[1]]); ok {
			b.WriteString(s[last:m[0]])
			b.WriteString(value)
			last = m[1]
		}
	}
	return b.String() + s[last:]
}

// local makes a destination on this site stay there: a browser takes "//host"
// and "/\host" for another site.
func local(to string) string {
	return "/" + strings.TrimLeft(to, `/\`)
}
