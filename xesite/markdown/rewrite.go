// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"bytes"
	"html"
	"strconv"
	"strings"
)

func unescapeHTML(s string) string { return html.UnescapeString(s) }

// rewriter changes rendered HTML on its way to a page or a feed. It works on
// tags, not on the syntax tree, so that the author's raw HTML is treated like
// what Markdown makes.
type rewriter struct {
	// url maps the value of an attribute that holds an address.
	url func(tag, attr, value string) string
	// page adds what only makes sense on a page: anchors at headings, and
	// boxes in which wide tables scroll.
	page bool
	// size returns the pixels of a picture of this site, or 0.
	size func(src string) (w, h int)

	out     bytes.Buffer
	heading struct {
		id    string
		start int
	}
	tables int
}

// attribute is one attribute of a tag and the bytes of its value, with quotes.
type attribute struct {
	name, value string
	start, end  int
}

// rewrite returns src with all tags treated.
func (r *rewriter) rewrite(src []byte) []byte {
	for len(src) > 0 {
		i := bytes.IndexByte(src, '<')
		if i < 0 || i+1 == len(src) {
			break
		}
		r.out.Write(src[:i])
		src = src[i:]
		n := r.markup(src)
		src = src[n:]
	}
	r.out.Write(src)
	return r.out.Bytes()
}

// markup treats what begins with < and returns its length.
func (r *rewriter) markup(src []byte) int {
	switch c := src[1]; {
	case bytes.HasPrefix(src, []byte("<!--")):
		return r.through(src, "-->")
	case c == '!' || c == '?':
		return r.through(src, ">")
	case c == '/':
		name := tagName(src[2:])
		end := bytes.IndexByte(src, '>') + 1
		if end == 0 {
			end = len(src)
		}
		r.endTag(name, src[:end])
		return end
	case 'a' <= c|0x20 && c|0x20 <= 'z':
		return r.startTag(src)
	}
	r.out.WriteByte('<')
	return 1
}

// through copies src up to and with end.
func (r *rewriter) through(src []byte, end string) int {
	n := len(src)
	if i := bytes.Index(src, []byte(end)); i >= 0 {
		n = i + len(end)
	}
	r.out.Write(src[:n])
	return n
}

// tagName is the lower-case name at the start of src.
func tagName(src []byte) string {
	n := 0
	for n < len(src) && !isSpace(src[n]) && src[n] != '>' && src[n] != '/' {
		n++
	}
	return lower(src[:n])
}

// lower changes ASCII letters only, as HTML does, and so keeps the length.
func lower(src []byte) string {
	out := bytes.Clone(src)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c | 0x20
		}
	}
	return string(out)
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' }

// startTag treats a start tag, and the text of elements that hold no markup.
func (r *rewriter) startTag(src []byte) int {
	name := tagName(src[1:])
	attrs, end := parseAttributes(src, 1+len(name))
	if end < 0 { // never closed: text for a browser, too
		r.out.Write(src)
		return len(src)
	}
	extra, before := r.additions(name, attrs)
	r.out.WriteString(before)
	pos := 1 + len(name)
	r.out.Write(src[:pos])
	r.out.WriteString(extra)
	for _, a := range attrs {
		value := r.attribute(name, a)
		if a.end == 0 || value == a.value {
			continue
		}
		r.out.Write(src[pos:a.start])
		r.out.WriteString(`"` + html.EscapeString(value) + `"`)
		pos = a.end
	}
	r.out.Write(src[pos:end])
	if len(name) == 2 && name[0] == 'h' && '2' <= name[1] && name[1] <= '6' {
		r.heading.id, r.heading.start = attr(attrs, "id"), r.out.Len()
	}
	switch name {
	case "script", "style", "textarea", "title", "xmp", "noembed", "noframes", "plaintext":
		return end + r.rawText(src[end:], name)
	}
	return end
}

// rawText copies up to the end tag of an element whose content is no markup.
func (r *rewriter) rawText(src []byte, name string) int {
	n := strings.Index(lower(src), "</"+name)
	if n < 0 {
		n = len(src)
	}
	r.out.Write(src[:n])
	return n
}

// additions returns attributes to add to a start tag, and markup to put before it.
func (r *rewriter) additions(name string, attrs []attribute) (extra, before string) {
	if !r.page {
		return "", ""
	}
	switch name {
	case "pre":
		// What scrolls must be reachable by keyboard.
		if !has(attrs, "tabindex") {
			extra = ` tabindex="0"`
		}
	case "table":
		if r.tables++; r.tables == 1 {
			before = `<div class="scroll" role="region" aria-label="Table" tabindex="0">`
		}
	case "img":
		extra = r.imageAdditions(attrs)
	}
	return extra, before
}

// imageAdditions lets the browser keep room for a picture before it is there.
func (r *rewriter) imageAdditions(attrs []attribute) string {
	extra := ""
	if !has(attrs, "loading") {
		extra += ` loading="lazy"`
	}
	if has(attrs, "width") || has(attrs, "height") {
		return extra
	}
	if w, h := r.size(attr(attrs, "src")); w > 0 && h > 0 {
		extra += ` width="` + strconv.Itoa(w) + `" height="` + strconv.Itoa(h) + `"`
	}
	return extra
}

// endTag copies an end tag with what belongs before and after it on a page.
func (r *rewriter) endTag(name string, tag []byte) {
	if !r.page {
		r.out.Write(tag)
		return
	}
	switch name {
	case "h2", "h3", "h4", "h5", "h6":
		r.anchor()
	}
	r.out.Write(tag)
	if name == "table" && r.tables > 0 {
		if r.tables--; r.tables == 0 {
			r.out.WriteString("</div>")
		}
	}
}

// anchor links a heading to itself.
func (r *rewriter) anchor() {
	id := r.heading.id
	if id == "" {
		return
	}
	label := oneLine(html.UnescapeString(stripTags(string(r.out.Bytes()[r.heading.start:]))))
	r.out.WriteString(` <a class="anchor" href="#` + html.EscapeString(id) + `" aria-label="Link to section ` + html.EscapeString(label) + `">#</a>`)
	r.heading.id = ""
}

// attribute returns the value that an attribute shall have.
func (r *rewriter) attribute(tag string, a attribute) string {
	switch a.name {
	case "href", "src", "poster", "action", "cite":
		return r.url(tag, a.name, strings.TrimSpace(a.value))
	case "data":
		if tag == "object" {
			return r.url(tag, a.name, strings.TrimSpace(a.value))
		}
	case "srcset":
		return r.sourceSet(tag, a.value)
	}
	return a.value
}

// sourceSet treats each address of a list such as "a.png 1x, b.png 2x".
func (r *rewriter) sourceSet(tag, value string) string {
	if strings.Contains(value, "data:") { // has commas inside addresses
		return value
	}
	list := strings.Split(value, ",")
	for i, item := range list {
		address, descriptor, _ := strings.Cut(strings.TrimSpace(item), " ")
		list[i] = strings.TrimSpace(r.url(tag, "srcset", address) + " " + descriptor)
	}
	return strings.Join(list, ", ")
}

// parseAttributes parses the attributes of a tag from pos on. end is the
// length of the tag, or -1 if it has no end.
func parseAttributes(src []byte, pos int) (attrs []attribute, end int) {
	for {
		for pos < len(src) && (isSpace(src[pos]) || src[pos] == '/') {
			pos++
		}
		if pos == len(src) {
			return nil, -1
		}
		if src[pos] == '>' {
			return attrs, pos + 1
		}
		start := pos
		// A = at the very start is part of the name, as in HTML.
		for pos++; pos < len(src) && !isSpace(src[pos]) && src[pos] != '/' && src[pos] != '>' && src[pos] != '='; {
			pos++
		}
		a := attribute{name: lower(src[start:pos])}
		if a.value, a.start, a.end = attributeValue(src, pos); a.end > 0 {
			pos = a.end
		}
		attrs = append(attrs, a)
	}
}

// attributeValue parses = and a value at pos. end is 0 if there is none.
func attributeValue(src []byte, pos int) (value string, start, end int) {
	for pos < len(src) && isSpace(src[pos]) {
		pos++
	}
	if pos == len(src) || src[pos] != '=' {
		return "", 0, 0
	}
	for pos++; pos < len(src) && isSpace(src[pos]); {
		pos++
	}
	if pos == len(src) {
		return "", 0, 0
	}
	start = pos
	if quote := src[pos]; quote == '"' || quote == '\'' {
		n := bytes.IndexByte(src[pos+1:], quote)
		if n < 0 {
			return "", start, len(src)
		}
		return html.UnescapeString(string(src[pos+1 : pos+1+n])), start, pos + n + 2
	}
	for pos < len(src) && !isSpace(src[pos]) && src[pos] != '>' {
		pos++
	}
	return html.UnescapeString(string(src[start:pos])), start, pos
}

func attr(attrs []attribute, name string) string {
	for _, a := range attrs {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

func has(attrs []attribute, name string) bool {
	for _, a := range attrs {
		if a.name == name {
			return true
		}
	}
	return false
}

// stripTags removes markup from well-formed HTML.
func stripTags(s string) string {
	var out strings.Builder
	for {
		text, rest, ok := strings.Cut(s, "<")
		out.WriteString(text)
		if !ok {
			return out.String()
		}
		if _, s, ok = strings.Cut(rest, ">"); !ok {
			return out.String()
		}
	}
}
