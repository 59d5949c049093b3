// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The rule files, at the root of the generator's output.
const (
	redirectsFile = "_redirects"
	headersFile   = "_headers"
)

// Limits on rule files. They are far above what hosting services allow (2,100
// redirects, 100 header rules) and keep the cost of a miss bounded.
const (
	maxRules    = 5000
	maxRuleLine = 4096
)

// Redirect is one rule of a _redirects file.
type Redirect struct {
	From   string  `json:"from"`            // path pattern with :name segments and a last *
	Query  []Param `json:"query,omitempty"` // parameters that must be there
	To     string  `json:"to"`              // path or URL, with :name and :splat
	Status int     `json:"status"`
	Force  bool    `json:"force,omitempty"` // wins over an existing file
}

// Param is a query parameter of a [Redirect]: a literal value, or a
// placeholder such as ":id" that takes any value.
type Param struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// HeaderRule is one block of a _headers file.
type HeaderRule struct {
	Pattern string   `json:"pattern"` // path pattern with :name segments and one *
	Set     []Header `json:"set,omitempty"`
	Unset   []string `json:"unset,omitempty"` // names to leave out, canonical
}

// Header is one header field.
type Header struct {
	Name  string `json:"name"` // canonical
	Value string `json:"value"`
}

// Mistake is a line of a rule file that was left out, with the reason.
type Mistake struct {
	File   string // "_redirects" or "_headers"
	Line   int    // from 1
	Reason string
}

// Error returns the mistake in the form "_redirects:3: reason".
func (m Mistake) Error() string { return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Reason) }

// eachLine calls f with every line of a rule file that holds something.
// Lines that begin with "#" are comments.
func eachLine(file string, content []byte, f func(line string) error) (mistakes []Mistake) {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 1<<20)
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimRight(lines.Text(), " \t\r")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		if err := f(line); err != nil {
			mistakes = append(mistakes, Mistake{file, n, err.Error()})
		}
	}
	if err := lines.Err(); err != nil {
		mistakes = append(mistakes, Mistake{file, n + 1, err.Error()})
	}
	return mistakes
}

// checkLine refuses what cannot be written into an index, which is JSON, or
// into a header field.
func checkLine(line string) error {
	switch {
	case len(line) > maxRuleLine:
		return fmt.Errorf("line has %d bytes; at most %d are read", len(line), maxRuleLine)
	case !utf8.ValidString(line):
		return fmt.Errorf("line %.40q is not UTF-8", line)
	case strings.ContainsFunc(line, isControl):
		return fmt.Errorf("line %.40q has a control character", line)
	}
	return nil
}

// isControl reports whether c may not be in a header field.
func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// defaultStatus is that of a redirect whose line names none.
const defaultStatus = http.StatusMovedPermanently

// ParseRedirects reads a _redirects file. Lines that cannot be used are
// reported and left out.
func ParseRedirects(content []byte) ([]Redirect, []Mistake) {
	var rules []Redirect
	mistakes := eachLine(redirectsFile, content, func(line string) error {
		if err := checkLine(line); err != nil {
			return err
		}
		if len(rules) == maxRules {
			return fmt.Errorf("more than %d rules", maxRules)
		}
		r, err := parseRedirect(strings.Fields(line))
		if err != nil {
			return err
		}
		rules = append(rules, r)
		return nil
	})
	return rules, mistakes
}

// parseRedirect reads the fields "from [name=value …] to [status[!]]", and a
// comment behind them.
func parseRedirect(fields []string) (Redirect, error) {
	r := Redirect{From: fields[0], Status: defaultStatus}
	rest := fields[1:]
	if i := slices.IndexFunc(rest, func(f string) bool { return f[0] == '#' }); i >= 0 {
		rest = rest[:i]
	}
	for len(rest) > 0 && isParam(rest[0]) {
		name, value, _ := strings.Cut(rest[0], "=")
		r.Query = append(r.Query, Param{name, value})
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return r, fmt.Errorf("rule for %q has no destination: write \"from to status\"", r.From)
	}
	r.To, rest = rest[0], rest[1:]
	if len(rest) > 0 {
		status, forced := strings.CutSuffix(rest[0], "!")
		n, err := strconv.Atoi(status)
		if err != nil {
			return r, fmt.Errorf("status %q is not a number", rest[0])
		}
		r.Status, r.Force, rest = n, forced, rest[1:]
	}
	if len(rest) > 0 {
		return r, fmt.Errorf("condition %q is not supported: the answer may not depend on country, language or cookies", rest[0])
	}
	return r, r.check()
}

// isParam tells "id=:id" from a destination.
func isParam(field string) bool {
	name, _, ok := strings.Cut(field, "=")
	return ok && name != "" && !strings.ContainsAny(name, "/:?")
}

func (r Redirect) check() error {
	switch r.Status {
	case http.StatusOK, http.StatusMovedPermanently, http.StatusFound,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
		http.StatusNotFound, http.StatusGone:
	case http.StatusSeeOther:
	default:
		return fmt.Errorf("status %d is not one of 200, 301, 302, 303, 307, 308, 404, 410", r.Status)
	}
	if err := checkPattern(r.From); err != nil {
		return err
	}
	if i := strings.IndexByte(r.From, '*'); i >= 0 && !(i == len(r.From)-1 && r.From[i-1] == '/') {
		return fmt.Errorf("%q: the * of a redirect stands alone after the last slash", r.From)
	}
	return r.checkDestination()
}

func (r Redirect) checkDestination() error {
	path := r.To
	if !strings.HasPrefix(r.To, "/") {
		u, err := url.Parse(r.To)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return fmt.Errorf("destination %q is neither a path that begins with / nor an http or https URL", r.To)
		}
		// A visitor must not choose the host that others are sent to.
		if strings.Contains(u.Hostname(), ":") && u.Hostname()[0] == ':' || u.User != nil {
			return fmt.Errorf("destination %q has a placeholder or a user in its host", r.To)
		}
		if !r.redirects() {
			return fmt.Errorf("status %d needs a path of this site, not %q: proxying is not supported", r.Status, r.To)
		}
		path = u.Path
	}
	if strings.HasPrefix(r.To, "//") || strings.HasPrefix(r.To, `/\`) {
		return fmt.Errorf("destination %q would leave the site: write https:// in front", r.To)
	}
	known := r.placeholders()
	for _, segment := range strings.FieldsFunc(path, func(c rune) bool { return strings.ContainsRune("/?&=#.", c) }) {
		if name, ok := strings.CutPrefix(segment, ":"); ok && !slices.Contains(known, name) {
			return fmt.Errorf("destination %q uses :%s, which %q does not have", r.To, name, r.From)
		}
	}
	return nil
}

// redirects reports whether the rule answers with a Location.
func (r Redirect) redirects() bool { return r.Status/100 == 3 }

// placeholders lists the names that From and Query give values to.
func (r Redirect) placeholders() (names []string) {
	for segment := range strings.SplitSeq(r.From, "/") {
		if name, ok := strings.CutPrefix(segment, ":"); ok {
			names = append(names, name)
		}
	}
	for _, p := range r.Query {
		if name, ok := strings.CutPrefix(p.Value, ":"); ok {
			names = append(names, name)
		}
	}
	if strings.HasSuffix(r.From, "*") {
		names = append(names, "splat")
	}
	return names
}

// checkPattern checks the left side of a rule.
func checkPattern(pattern string) error {
	switch {
	case strings.Contains(pattern, "://"):
		return fmt.Errorf("%q: rules for whole hosts are not supported, write a path", pattern)
	case !strings.HasPrefix(pattern, "/"):
		return fmt.Errorf("%q does not begin with /", pattern)
	case strings.Count(pattern, "*") > 1:
		return fmt.Errorf("%q has more than one *", pattern)
	case strings.ContainsAny(pattern, "?#"):
		return fmt.Errorf("%q has a query or a fragment: a path has neither", pattern)
	}
	unescaped, err := url.PathUnescape(pattern)
	if err != nil || !utf8.ValidString(unescaped) {
		return fmt.Errorf("%q is not a path in UTF-8 with %%-escapes", pattern)
	}
	return checkPlaceholders(pattern)
}

// checkPlaceholders checks the :name segments of a pattern.
func checkPlaceholders(pattern string) error {
	var seen []string
	for segment := range strings.SplitSeq(pattern, "/") {
		name, ok := strings.CutPrefix(segment, ":")
		if !ok {
			continue
		}
		if !isName(name) {
			return fmt.Errorf("%q: the placeholder %q is not a letter followed by letters, digits and _", pattern, segment)
		}
		if slices.Contains(seen, name) || name == "splat" {
			return fmt.Errorf("%q: the placeholder name %q is taken", pattern, segment)
		}
		seen = append(seen, name)
	}
	return nil
}

func isName(s string) bool {
	for i, c := range s {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

// ParseHeaders reads a _headers file. Lines that cannot be used are reported
// and left out.
func ParseHeaders(content []byte) ([]HeaderRule, []Mistake) {
	var rules []HeaderRule
	broken := true // there is no block to add to
	mistakes := eachLine(headersFile, content, func(line string) error {
		text := strings.TrimSpace(line)
		err := checkLine(line)
		if isPathLine(line, text) {
			if err == nil {
				err = checkPattern(text)
			}
			if err == nil && len(rules) == maxRules {
				err = fmt.Errorf("more than %d blocks", maxRules)
			}
			if broken = err != nil; !broken {
				rules = append(rules, HeaderRule{Pattern: text})
			}
			return err
		}
		if err == nil && broken {
			err = fmt.Errorf("%q belongs to no path", text)
		}
		if err != nil {
			return err
		}
		return rules[len(rules)-1].add(text)
	})
	rules = slices.DeleteFunc(rules, func(r HeaderRule) bool { return len(r.Set)+len(r.Unset) == 0 })
	return rules, mistakes
}

// isPathLine reports whether a line of a _headers file begins a block. As at
// the hosting services a slash does so, indented or not. What stands at the
// margin and cannot be a field was meant to: the lines below it must not get
// into the block above.
func isPathLine(line, text string) bool {
	if text[0] == '/' || strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
		return true
	}
	name, _, hasValue := strings.Cut(strings.TrimPrefix(text, "! "), ":")
	isField := isToken(name) && (hasValue || text[0] == '!')
	return text == line && !isField
}

// reserved are the fields that describe the message itself. A wrong value
// here breaks caches or the connection.
var reserved = []string{
	"Accept-Ranges", "Age", "Connection", "Content-Encoding", "Content-Length", "Content-Range",
	"Date", "Etag", "Keep-Alive", "Last-Modified", "Location", "Proxy-Connection", "Server", "Te",
	"Trailer", "Transfer-Encoding", "Upgrade",
}

// add reads "Name: value" or "! Name".
func (r *HeaderRule) add(line string) error {
	unset, isUnset := strings.CutPrefix(line, "!")
	name, value, ok := strings.Cut(line, ":")
	if isUnset {
		name, value, ok = unset, "", true
	}
	if !ok {
		return fmt.Errorf("%q is neither \"Name: value\" nor \"! Name\"", line)
	}
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !isToken(name) {
		return fmt.Errorf("%q is not a header name", name)
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	if name == "Basic-Auth" { // at Netlify it sets passwords; here it would publish them
		return fmt.Errorf("%s is not supported: these paths are open to everybody", name)
	}
	if slices.Contains(reserved, name) {
		return fmt.Errorf("%s is set by the server and cannot be changed", name)
	}
	if isUnset {
		r.Unset = append(r.Unset, name)
		return nil
	}
	r.Set = append(r.Set, Header{name, value})
	return nil
}

// isToken reports whether s is a field name of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}
