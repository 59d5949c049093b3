// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	chromahtml "github.com/alecthomas/chroma/v2/formatters/html"
	"github.com/yuin/goldmark"
	highlighting "github.com/yuin/goldmark-highlighting/v2"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
)

// newMarkdown returns the dialect of the documents: GitHub's, with footnotes,
// definition lists, typographic quotes and attributes on headings.
func newMarkdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(
			extension.GFM,
			extension.Footnote,
			extension.DefinitionList,
			extension.Typographer,
			// Classes in place of inline styles let the style sheet follow
			// the reader's colour scheme.
			highlighting.NewHighlighting(highlighting.WithFormatOptions(chromahtml.WithClasses(true))),
		),
		goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithAttribute()),
		goldmark.WithRendererOptions(html.WithUnsafe()),
	)
}

// render turns the body of doc into HTML, and fills in the title and the
// summary that the front matter does not give.
func render(md goldmark.Markdown, doc *document) error {
	ctx := parser.NewContext(parser.WithIDs(&headingIDs{used: map[string]bool{}}))
	tree := md.Parser().Parse(text.NewReader(doc.body), parser.WithContext(ctx))
	doc.takeTitle(tree)
	demoteHeadings(tree)
	doc.text = leadText(tree, doc.body)
	var out bytes.Buffer
	if err := md.Renderer().Render(&out, doc.body, tree); err != nil {
		return &Error{File: doc.file, Problem: err.Error()}
	}
	doc.html = out.Bytes()
	return nil
}

// takeTitle removes the first heading of level 1 if it is the title: pages
// show the title at a place of their own.
func (d *document) takeTitle(tree ast.Node) {
	for n := tree.FirstChild(); n != nil; n = n.NextSibling() {
		h, ok := n.(*ast.Heading)
		if !ok || h.Level != 1 {
			continue
		}
		heading := plainText(h, d.body)
		if d.Title == "" || strings.EqualFold(d.Title, heading) {
			d.Title = heading
			tree.RemoveChild(tree, h)
		}
		break
	}
	d.titled = d.Title != ""
	if !d.titled {
		d.Title = titleFromName(d.name)
	}
}

// titleFromName makes a title of the name of a file.
func titleFromName(name string) string {
	title := []rune(oneLine(strings.NewReplacer("-", " ", "_", " ").Replace(name)))
	if len(title) == 0 {
		return name
	}
	title[0] = unicode.ToUpper(title[0])
	return string(title)
}

// demoteHeadings moves all headings down one level if one is of level 1, which
// belongs to the title of the page.
func demoteHeadings(tree ast.Node) {
	var all []*ast.Heading
	top := false
	_ = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if h, ok := n.(*ast.Heading); ok && entering {
			all = append(all, h)
			top = top || h.Level == 1
		}
		return ast.WalkContinue, nil
	})
	if !top {
		return
	}
	for _, h := range all {
		h.Level = min(h.Level+1, 6)
	}
}

// leadText is the text of the first paragraph.
func leadText(tree ast.Node, src []byte) string {
	for n := tree.FirstChild(); n != nil; n = n.NextSibling() {
		if n.Kind() != ast.KindParagraph {
			continue
		}
		if s := plainText(n, src); s != "" {
			return shorten(s, 240)
		}
	}
	return ""
}

// shorten cuts s after at most n bytes at the end of a word.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	cut := s[:n]
	if i := strings.LastIndexByte(cut, ' '); i > n/2 {
		cut = cut[:i]
	}
	return strings.TrimRight(strings.ToValidUTF8(cut, ""), " ,.;:–—-") + "…"
}

// plainText is the text of a node without markup. Footnote references are
// left out: their numbers mean nothing elsewhere.
func plainText(n ast.Node, src []byte) string {
	var s strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			s.Write(unescape(n.Segment.Value(src), n.IsRaw() || n.Parent().Kind() == ast.KindCodeSpan))
			if n.SoftLineBreak() || n.HardLineBreak() {
				s.WriteByte(' ')
			}
		case *ast.String:
			s.WriteString(unescapeHTML(string(n.Value)))
		case *ast.AutoLink:
			s.Write(n.Label(src))
		}
		return ast.WalkContinue, nil
	})
	return oneLine(s.String())
}

// unescape resolves the backslashes and entities of Markdown text.
func unescape(segment []byte, raw bool) []byte {
	if raw {
		return segment
	}
	var out []byte
	for i := 0; i < len(segment); i++ {
		if segment[i] == '\\' && i+1 < len(segment) && isPunct(segment[i+1]) {
			i++
		}
		out = append(out, segment[i])
	}
	return []byte(unescapeHTML(string(out)))
}

func isPunct(c byte) bool {
	return c < 0x80 && (unicode.IsPunct(rune(c)) || unicode.IsSymbol(rune(c)))
}

// headingIDs makes the ids of headings as GitHub does, so that links within a
// document work on both. It is used for one document only.
type headingIDs struct{ used map[string]bool }

// Generate returns an unused id for a heading.
func (ids *headingIDs) Generate(value []byte, _ ast.NodeKind) []byte {
	var s strings.Builder
	for _, c := range strings.ToLower(strings.TrimSpace(string(value))) {
		switch {
		case unicode.IsLetter(c), unicode.IsDigit(c), unicode.IsMark(c), c == '-', c == '_':
			s.WriteRune(c)
		case unicode.IsSpace(c):
			s.WriteByte('-')
		}
	}
	base := s.String()
	if base == "" {
		base = "section"
	}
	id := base
	for i := 1; ids.used[id]; i++ {
		id = fmt.Sprintf("%s-%d", base, i)
	}
	ids.used[id] = true
	return []byte(id)
}

// Put notes an id that the author gave.
func (ids *headingIDs) Put(value []byte) { ids.used[string(value)] = true }
