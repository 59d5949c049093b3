// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFrontMatter bounds what is handed to the YAML and TOML parsers. Real
// front matter is a few hundred bytes; the bound keeps a file with a stray
// "---" from being parsed as one large mapping.
const maxFrontMatter = 64 << 10

// field is one entry of a mapping. Its value is nil, a string, a bool, []any
// of these, or []field. Numbers and times stay the text that the author wrote:
// a title of 1.10 must not become 1.1.
type field struct {
	key   string
	line  int
	value any
}

// syntaxError is a mistake at a line of front matter or settings.
type syntaxError struct {
	line            int
	problem, remedy string
}

func (e *syntaxError) Error() string { return e.problem }

// splitFrontMatter separates the front matter from the text of a document.
// bodyLine is the line of the document on which body begins.
func splitFrontMatter(data []byte) (fields []field, body []byte, bodyLine int, err *syntaxError) {
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	fence := string(bytes.TrimRight(first, " \t\r"))
	if fence != "---" && fence != "+++" {
		return nil, data, 1, nil
	}
	matter, body, lines, ok := cutFence(rest, fence)
	if !ok {
		return nil, nil, 0, &syntaxError{
			1, fmt.Sprintf("front matter begins with %s but has no end", fence),
			fmt.Sprintf("add a line %s after the last field, or put an empty line first if it is a rule", fence),
		}
	}
	if len(matter) > maxFrontMatter {
		return nil, nil, 0, &syntaxError{
			1, fmt.Sprintf("front matter is longer than %d KiB", maxFrontMatter>>10),
			fmt.Sprintf("end it with a line %s, or put an empty line first if it is a rule", fence),
		}
	}
	if fence == "+++" {
		fields, err = parseTOML(string(matter), 2)
	} else {
		fields, err = parseYAML(matter, 2)
	}
	return fields, body, lines + 2, err
}

// cutFence cuts data around the first line that is fence, and returns how many
// lines there are up to and with it. YAML may also end with "...".
func cutFence(data []byte, fence string) (before, after []byte, lines int, ok bool) {
	for pos := 0; pos < len(data); {
		line, _, more := bytes.Cut(data[pos:], []byte("\n"))
		lines++
		next := pos + len(line)
		if more {
			next++
		}
		text := string(bytes.TrimRight(line, " \t\r"))
		if text == fence || fence == "---" && text == "..." {
			return data[:pos], data[next:], lines, true
		}
		pos = next
	}
	return nil, nil, 0, false
}

// parseYAML parses a mapping. line is the line of the file on which data begins.
func parseYAML(data []byte, line int) (fields []field, fail *syntaxError) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	if !utf8.Valid(data) {
		return nil, &syntaxError{line, "text is not UTF-8", "save the file as UTF-8"}
	}
	// The parser has had panics on odd input; one document must not take the
	// host program down.
	defer func() {
		if recover() != nil {
			fields, fail = nil, &syntaxError{line, "text is not valid YAML", "write each field as key: value"}
		}
	}()
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	// The parser counts a lone CR as a line; editors do not.
	data = bytes.ReplaceAll(data, []byte("\r"), []byte(" "))
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, yamlError(err, line)
	}
	r := yamlReader{line: line, anchors: map[string]ast.Node{}}
	for _, doc := range file.Docs {
		switch node := doc.Body.(type) {
		case nil:
		case *ast.MappingNode, *ast.MappingValueNode:
			got, err := r.mapping(node, 0)
			if err != nil {
				return nil, err
			}
			fields = append(fields, got...)
		default:
			if node.Type() == ast.NullType || node.Type() == ast.CommentType {
				continue
			}
			return nil, &syntaxError{r.lineOf(node), "text is not a list of fields", "write each as key: value"}
		}
	}
	return fields, nil
}

// yamlError gives a parser's error the line of the file.
func yamlError(err error, line int) *syntaxError {
	out := &syntaxError{line: line, problem: "YAML: " + err.Error(), remedy: "quote values that contain : or # or begin with a special character"}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		out.problem = "YAML: " + e.GetMessage()
		if tk := e.GetToken(); tk != nil && tk.Position != nil {
			out.line += tk.Position.Line - 1
		}
	}
	return out
}

// yamlReader turns syntax trees into fields.
type yamlReader struct {
	line    int
	anchors map[string]ast.Node
	values  int // read so far
}

// Limits on what is read. Aliases of aliases make a few lines stand for
// billions of values, and the generator runs inside the host program.
const (
	maxDepth  = 20
	maxValues = 10_000
)

func (r *yamlReader) lineOf(n ast.Node) int {
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return r.line + tk.Position.Line - 1
	}
	return r.line
}

func (r *yamlReader) mapping(n ast.Node, depth int) ([]field, *syntaxError) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	}
	var fields []field
	seen := map[string]bool{}
	for _, v := range values {
		key := v.Key.GetToken().Value
		if seen[key] {
			return nil, &syntaxError{r.lineOf(v.Key), fmt.Sprintf("field %q is given twice", key), "remove one"}
		}
		seen[key] = true
		value, err := r.value(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field{key, r.lineOf(v.Key), value})
	}
	return fields, nil
}

func (r *yamlReader) value(n ast.Node, depth int) (any, *syntaxError) {
	if r.values++; depth > maxDepth || r.values > maxValues {
		return nil, &syntaxError{r.lineOf(n), "values are nested too deeply, or too many", "write plain values"}
	}
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.TagNode:
		return r.value(n.Value, depth+1)
	case *ast.AnchorNode:
		r.anchors[n.Name.GetToken().Value] = n.Value
		return r.value(n.Value, depth+1)
	case *ast.AliasNode:
		target, ok := r.anchors[n.Value.GetToken().Value]
		if !ok {
			return nil, &syntaxError{r.lineOf(n), fmt.Sprintf("YAML: alias %q has no anchor", n.Value.GetToken().Value), "quote values that begin with *"}
		}
		return r.value(target, depth+1)
	case *ast.SequenceNode:
		var list []any
		for _, item := range n.Values {
			v, err := r.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case *ast.MappingNode, *ast.MappingValueNode:
		return r.mapping(n, depth)
	default: // numbers, which stay as they were written
		return n.GetToken().Value, nil
	}
}

// meta is what the front matter says about a document.
type meta struct {
	ID, Title, Slug, URL, Description, Author, Language, Image, ImageAlt, Link string

	Date, Updated time.Time
	Draft         bool
	Tags, Aliases []string

	dateLine int // line of the date, for messages about it
}

// fieldReader reads typed values out of fields and collects the mistakes.
type fieldReader struct {
	file string
	loc  *time.Location
	errs []error
}

func (r *fieldReader) fail(line int, problem, remedy string) {
	r.errs = append(r.errs, &Error{File: r.file, Line: line, Problem: problem, Remedy: remedy})
}

// meta reads front matter. Fields that it does not know belong to other tools.
func (r *fieldReader) meta(fields []field) meta {
	var m meta
	for _, f := range fields {
		switch strings.ToLower(f.key) {
		case "id":
			m.ID = r.text(f)
		case "title":
			m.Title = oneLine(r.text(f))
		case "date":
			m.Date, m.dateLine = r.date(f), f.line
		case "updated", "lastmod":
			m.Updated = r.date(f)
		case "slug":
			m.Slug = r.slug(f)
		case "url", "permalink":
			m.URL = r.address(f)
		case "description", "summary":
			if s := oneLine(r.text(f)); m.Description == "" || f.key == "description" {
				m.Description = s
			}
		case "tags":
			m.Tags = r.list(f)
		case "draft":
			m.Draft = r.truth(f)
		case "author":
			m.Author = r.author(f).name
		case "lang", "language":
			m.Language = r.text(f)
		case "image":
			m.Image = r.text(f)
		case "image_alt":
			m.ImageAlt = oneLine(r.text(f))
		case "aliases", "redirect_from":
			m.Aliases = append(m.Aliases, r.aliases(f)...)
		case "link":
			m.Link = r.text(f)
		}
	}
	return m
}

func (r *fieldReader) text(f field) string {
	switch v := f.value.(type) {
	case nil:
		return ""
	case string:
		return strings.TrimSpace(v)
	case bool:
		return strconv.FormatBool(v)
	}
	r.fail(f.line, fmt.Sprintf("%s is not a text", f.key), fmt.Sprintf("write it as %s: \"…\"", f.key))
	return ""
}

func (r *fieldReader) truth(f field) bool {
	switch strings.ToLower(r.text(f)) {
	case "true", "yes", "on":
		return true
	case "", "false", "no", "off":
		return false
	}
	r.fail(f.line, fmt.Sprintf("%s %q is neither true nor false", f.key, r.text(f)), "write true or false")
	return false
}

// list reads a list, or one text with commas.
func (r *fieldReader) list(f field) []string {
	var out []string
	add := func(s string) {
		if s = oneLine(s); s != "" {
			out = append(out, s)
		}
	}
	list, ok := f.value.([]any)
	if !ok {
		for s := range strings.SplitSeq(r.text(f), ",") {
			add(s)
		}
		return out
	}
	for _, v := range list {
		add(r.text(field{f.key, f.line, v}))
	}
	return out
}

func (r *fieldReader) slug(f field) string {
	s := r.text(f)
	if strings.ContainsAny(s, "/\\?#") || strings.HasPrefix(s, ".") {
		r.fail(f.line, fmt.Sprintf("slug %q is not the last part of an address", s), "use letters, digits and hyphens; field url sets the whole address")
		return ""
	}
	return slugify(s)
}

// address reads a path of this site.
func (r *fieldReader) address(f field) string {
	s := r.text(f)
	if s == "" {
		return ""
	}
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsAny(s, "?#\\\x00") || hasDotSegment(s) {
		r.fail(f.line, fmt.Sprintf("%s %q is not a path of this site", f.key, s), "write it as /path/, without host, .. or ?")
		return ""
	}
	return s
}

func (r *fieldReader) aliases(f field) []string {
	var out []string
	for _, s := range r.list(f) {
		if !strings.Contains(s, "://") {
			s = "/" + strings.TrimLeft(s, "/")
		}
		if s = r.address(field{f.key, f.line, s}); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// person is an author, of the site or of a document.
type person struct{ name, url, email string }

// author reads a name, or a mapping of name, url and email, or the first of a
// list of these.
func (r *fieldReader) author(f field) person {
	if list, ok := f.value.([]any); ok && len(list) > 0 {
		f.value = list[0]
	}
	fields, ok := f.value.([]field)
	if !ok {
		return person{name: oneLine(r.text(f))}
	}
	var p person
	for _, f := range fields {
		switch f.key {
		case "name":
			p.name = oneLine(r.text(f))
		case "url":
			p.url = r.text(f)
		case "email":
			p.email = r.text(f)
		}
	}
	return p
}

func (r *fieldReader) date(f field) time.Time {
	s := r.text(f)
	if s == "" {
		return time.Time{}
	}
	t, ok := parseDate(s, r.loc)
	if !ok {
		r.fail(f.line, fmt.Sprintf("%s %q is not a date", f.key, s), "write it as 2006-01-02 or 2006-01-02T15:04:05+01:00")
	}
	return t
}

// parseDate reads the layouts that other generators accept. A date without a
// zone is one of loc.
func parseDate(s string, loc *time.Location) (time.Time, bool) {
	for _, layout := range []string{
		time.DateOnly,
		time.RFC3339,
		"2006-01-02T15:04Z07:00",
		"2006-01-02T15:04:05",
		"2006-01-02T15:04",
		time.DateTime,
		"2006-01-02 15:04",
		"2006-01-02 15:04:05Z07:00",
		"2006-01-02 15:04:05 Z07:00",
		"2006-01-02 15:04:05 -0700",
		"2006-01-02 15:04:05 -07:00",
		"2006-01-02 15:04 -0700",
		"2006-01-02 15:04 -07:00",
		"2006-1-2",
		"2006/01/02",
		time.RFC1123Z,
		"2 January 2006",
		"January 2, 2006",
		"2 Jan 2006",
		"Jan 2, 2006",
	} {
		// Feeds and RFC 3339 have room for years of four digits only.
		if t, err := time.ParseInLocation(layout, s, loc); err == nil && t.Year() > 0 && t.Year() < 9999 {
			return t, true
		}
	}
	return time.Time{}, false
}

// oneLine folds white space, as titles and descriptions have no lines.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// hasDotSegment reports whether a path contains . or .. as a part.
func hasDotSegment(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}
