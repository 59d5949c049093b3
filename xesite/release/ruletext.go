// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
)

// redirectsText returns the _redirects file that compiles to the rules. No
// line is longer than the shortest from which its rule can have come, so what
// was within the limits of a line stays within them.
func redirectsText(rules []Redirect) []byte {
	var b strings.Builder
	for _, r := range rules {
		b.WriteString(r.From)
		for _, p := range r.Query {
			b.WriteString(" " + p.Name + "=" + p.Value)
		}
		b.WriteString(" " + r.To)
		switch {
		case r.Force:
			b.WriteString(" " + strconv.Itoa(r.Status) + "!")
		case r.Status != defaultStatus:
			b.WriteString(" " + strconv.Itoa(r.Status))
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// headersText returns the _headers file that compiles to the rules.
func headersText(rules []HeaderRule) []byte {
	var b strings.Builder
	for _, r := range rules {
		b.WriteString(r.Pattern + "\n")
		for _, h := range r.Set {
			b.WriteString(headerLine("  "+h.Name+": "+h.Value, h.Name+":"+h.Value))
		}
		for _, name := range r.Unset {
			b.WriteString(headerLine("  ! "+name, "!"+name))
		}
	}
	return []byte(b.String())
}

// headerLine returns the line as people write it, or the tight form of one
// that would be too long to be read again.
func headerLine(line, tight string) string {
	if len(line) > maxRuleLine {
		line = tight
	}
	return strings.TrimRight(line, " ") + "\n"
}

// checkRules reports whether the rules are ones that the parsers could have
// made: they are written down, and must be read as the same. So no rule gets
// into a handler that a rule file could not have brought there.
func (x *Index) checkRules() error {
	redirects, m := ParseRedirects(redirectsText(x.Redirects))
	if len(m) > 0 {
		return m[0]
	}
	headers, m := ParseHeaders(headersText(x.Headers))
	if len(m) > 0 {
		return m[0]
	}
	if !reflect.DeepEqual(redirects, x.Redirects) || !reflect.DeepEqual(headers, x.Headers) {
		return errors.New("no rule file has these rules")
	}
	return nil
}
