// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parseTOML parses the part of TOML that front matter uses: strings, bare
// values, arrays, inline tables and tables. Arrays of tables and the entries
// of tables are checked but kept apart from the top level, where the fields
// of this package live. line is the line of the file on which src begins.
//
// A full parser would be one more dependency of every importer for a format
// that a minority of documents uses, at the top of the file, with plain values.
func parseTOML(src string, line int) (fields []field, fail *syntaxError) {
	if !utf8.ValidString(src) {
		return nil, &syntaxError{line, "text is not UTF-8", "save the file as UTF-8"}
	}
	p := &tomlParser{src: strings.ReplaceAll(src, "\r\n", "\n"), line: line}
	// The parser reports by panic, so that its functions read like the grammar.
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *syntaxError:
			fields, fail = nil, e
		default:
			panic(e)
		}
	}()
	return p.document(), nil
}

type tomlParser struct {
	src  string
	pos  int
	line int
}

func (p *tomlParser) fail(format string, args ...any) {
	panic(&syntaxError{p.line, "TOML: " + fmt.Sprintf(format, args...), `write each field as key = "value"`})
}

func (p *tomlParser) document() []field {
	var top []field
	seen := map[string]bool{}
	table := ""
	for p.skipBlank(); p.pos < len(p.src); p.skipBlank() {
		if p.peek("[") {
			table = p.header() + "."
			continue
		}
		f := p.pair(0)
		p.endOfLine()
		f.key = table + f.key
		if seen[f.key] && table == "" {
			p.fail("field %q is given twice", f.key)
		}
		seen[f.key] = true
		top = append(top, f)
	}
	return top
}

func (p *tomlParser) peek(s string) bool { return strings.HasPrefix(p.src[p.pos:], s) }

func (p *tomlParser) take(s string) bool {
	if !p.peek(s) {
		return false
	}
	p.line += strings.Count(s, "\n")
	p.pos += len(s)
	return true
}

// until consumes up to and with end and returns what is before it.
func (p *tomlParser) until(end, what string) string {
	before, _, ok := strings.Cut(p.src[p.pos:], end)
	if !ok {
		p.fail("%s has no end", what)
	}
	p.line += strings.Count(before+end, "\n")
	p.pos += len(before) + len(end)
	return before
}

func (p *tomlParser) skipSpace() {
	for p.take(" ") || p.take("\t") {
	}
}

// skipBlank skips white space, empty lines and comments.
func (p *tomlParser) skipBlank() {
	for {
		p.skipSpace()
		switch {
		case p.take("\n"):
		case p.peek("#"):
			p.comment()
		default:
			return
		}
	}
}

func (p *tomlParser) comment() {
	if i := strings.IndexByte(p.src[p.pos:], '\n'); i >= 0 {
		p.pos += i
	} else {
		p.pos = len(p.src)
	}
}

func (p *tomlParser) endOfLine() {
	p.skipSpace()
	if p.peek("#") {
		p.comment()
	}
	if p.pos < len(p.src) && !p.take("\n") {
		rest, _, _ := strings.Cut(p.src[p.pos:], "\n")
		p.fail("unexpected %q after a value", rest)
	}
}

// header reads [name] or [[name]].
func (p *tomlParser) header() string {
	closing := "]"
	if p.take("[["); p.pos >= 2 && p.src[p.pos-2:p.pos] == "[[" {
		closing = "]]"
	} else {
		p.take("[")
	}
	name := p.until(closing, "table name")
	if strings.TrimSpace(name) == "" || strings.Contains(name, "\n") {
		p.fail("table name %q is not valid", name)
	}
	p.endOfLine()
	return strings.TrimSpace(name)
}

func (p *tomlParser) pair(depth int) field {
	line := p.line
	key := p.key()
	p.skipSpace()
	if !p.take("=") {
		p.fail("field %q has no =", key)
	}
	p.skipSpace()
	return field{key, line, p.value(depth)}
}

// key reads a bare, quoted or dotted key.
func (p *tomlParser) key() string {
	var key strings.Builder
	for {
		p.skipSpace()
		switch {
		case p.take(`"`):
			key.WriteString(p.basicString())
		case p.take("'"):
			key.WriteString(p.until("'", "key"))
		default:
			key.WriteString(p.bareKey())
		}
		p.skipSpace()
		if !p.take(".") {
			return key.String()
		}
		key.WriteByte('.')
	}
}

func (p *tomlParser) bareKey() string {
	rest := p.src[p.pos:]
	n := strings.IndexFunc(rest, func(c rune) bool {
		return !(c == '-' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z')
	})
	if n < 0 {
		n = len(rest)
	}
	if n == 0 {
		found, _, _ := strings.Cut(rest, "\n")
		p.fail("found %q where a field name is expected", found)
	}
	p.pos += n
	return rest[:n]
}

func (p *tomlParser) value(depth int) any {
	if depth > maxDepth {
		p.fail("values are nested too deeply")
	}
	switch {
	case p.take(`"""`):
		return p.multiLine()
	case p.take(`'''`):
		return strings.TrimPrefix(p.until(`'''`, "text"), "\n")
	case p.take(`"`):
		return p.basicString()
	case p.take("'"):
		return p.until("'", "text")
	case p.take("["):
		return p.array(depth)
	case p.take("{"):
		return p.inlineTable(depth)
	}
	return p.bareValue()
}

// bareValue reads a boolean, number or time; the latter stay text.
func (p *tomlParser) bareValue() any {
	rest := p.src[p.pos:]
	n := strings.IndexAny(rest, ",]}#\n")
	if n < 0 {
		n = len(rest)
	}
	p.pos += n
	switch s := strings.TrimSpace(rest[:n]); s {
	case "":
		p.fail("a value is missing")
		return nil
	case "true", "false":
		return s == "true"
	default:
		if !strings.ContainsAny(s[:1], "+-0123456789") && s != "inf" && s != "nan" {
			p.fail("text %s is not in quotes", s)
		}
		return s
	}
}

func (p *tomlParser) array(depth int) []any {
	list := []any{}
	for {
		p.skipBlank()
		if p.take("]") {
			return list
		}
		if p.pos == len(p.src) {
			p.fail("list has no end")
		}
		list = append(list, p.value(depth+1))
		p.skipBlank()
		if !p.take(",") && !p.peek("]") {
			p.fail("entries of a list need a comma between them")
		}
	}
}

func (p *tomlParser) inlineTable(depth int) []field {
	fields := []field{}
	for {
		p.skipBlank()
		if p.take("}") {
			return fields
		}
		fields = append(fields, p.pair(depth+1))
		p.skipBlank()
		if !p.take(",") && !p.peek("}") {
			p.fail("fields of a table need a comma between them")
		}
	}
}

// basicString reads the rest of a "…" text.
func (p *tomlParser) basicString() string {
	var s strings.Builder
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		switch {
		case c == '"':
			p.pos++
			return s.String()
		case c == '\n':
			p.fail(`text has no closing "`)
		case c == '\\':
			p.escape(&s)
		default:
			s.WriteByte(c)
			p.pos++
		}
	}
	p.fail(`text has no closing "`)
	return ""
}

// multiLine reads the rest of a """…""" text.
func (p *tomlParser) multiLine() string {
	p.take("\n")
	var s strings.Builder
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case p.take(`"""`):
			return s.String()
		case p.take("\\\n"):
			for p.take("\n") || p.take(" ") || p.take("\t") {
			}
		case c == '\\':
			p.escape(&s)
		default:
			s.WriteByte(c)
			p.take(p.src[p.pos : p.pos+1])
		}
	}
	p.fail(`text has no closing """`)
	return ""
}

// escape reads one escape sequence.
func (p *tomlParser) escape(s *strings.Builder) {
	rest := p.src[p.pos+1:]
	if rest == "" {
		p.fail("text ends in a backslash")
	}
	const names, values = "btnfr\"\\e", "\b\t\n\f\r\"\\\x1b"
	if i := strings.IndexByte(names, rest[0]); i >= 0 {
		s.WriteByte(values[i])
		p.pos += 2
		return
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[rest[0]]
	if digits == 0 || len(rest) < 1+digits {
		p.fail("escape \\%c is not valid", rest[0])
	}
	n, err := strconv.ParseUint(rest[1:1+digits], 16, 32)
	if err != nil || !utf8.ValidRune(rune(n)) {
		p.fail("escape \\%s is not a character", rest[:1+digits])
	}
	s.WriteRune(rune(n))
	p.pos += 2 + digits
}
