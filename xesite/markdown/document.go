// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// document is one Markdown file.
type document struct {
	meta

	file     string // in the source
	name     string // of the file, or of the directory that it speaks for, without a date
	url      string // path of the site, unescaped: /posts/hello/
	out      string // file of the output
	post     bool
	intro    bool // text of a page that is generated: the home page, or an archive
	body     []byte
	bodyLine int
	matter   []string // lines before body

	// Set by rendering.
	html   []byte // before links are resolved
	titled bool   // the title is the author's, not the file's name
	text   string // beginning of the text without markup

	warnings []*Error
}

// section returns the top directory of posts that file is in, and where its
// posts appear.
func section(file string) (dir, base string, ok bool) {
	switch top, _, _ := strings.Cut(file, "/"); top {
	case "posts", "_posts":
		return top, "posts", true
	case "blog":
		return top, "blog", true
	}
	return "", "", false
}

// datePrefix is how a file name gives the date of its post.
var datePrefix = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})[-_ ]+(.+)$`)

// load reads the documents of the source. Those that are held back are only
// known by file, for messages about links to them.
func (b *build) load(files []string) []error {
	var errs []error
	for _, file := range files {
		doc, docErrs := b.loadOne(file)
		errs = append(errs, docErrs...)
		if len(docErrs) > 0 {
			continue
		}
		b.byFile[file] = doc
		if doc.Draft && !b.g.Drafts {
			continue
		}
		if doc.Date.After(b.now) {
			if b.g.Scheduled != nil {
				b.g.Scheduled(file, doc.Date)
			}
			continue
		}
		b.docs = append(b.docs, doc)
	}
	return errs
}

func (b *build) loadOne(file string) (*document, []error) {
	data, err := b.src.read(file)
	if err != nil {
		return nil, []error{err}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	fields, body, line, fail := splitFrontMatter(data)
	if fail != nil {
		return nil, []error{&Error{file, fail.line, fail.problem, fail.remedy}}
	}
	r := &fieldReader{file: file, loc: b.set.loc}
	doc := &document{meta: r.meta(fields), file: file, body: b.validText(file, body), bodyLine: line}
	if len(r.errs) > 0 {
		return nil, r.errs
	}
	doc.matter = strings.Split(string(data[:len(data)-len(body)]), "\n")
	if err := b.place(doc); err != nil {
		return nil, []error{err}
	}
	return doc, nil
}

// validText replaces what is not UTF-8, as pages and feeds declare that they are.
func (b *build) validText(file string, body []byte) []byte {
	clean := bytes.ToValidUTF8(body, []byte("\uFFFD"))
	if len(clean) != len(body) {
		b.g.warn(&Error{file, 0, "text is not UTF-8; the faulty bytes are replaced", "save the file as UTF-8"})
	}
	return clean
}

// place decides what kind of page a document is, and its address.
func (b *build) place(doc *document) error {
	dir, base := path.Split(doc.file)
	name := stem(base)
	sectionDir, sectionURL, inSection := section(doc.file)
	atTop := inSection && dir == sectionDir+"/"
	index := isIndex(name)
	bundle := path.Clean(dir) // a directory with an index of its own
	if inSection && !(atTop && index) {
		doc.post = index || !b.hasIndex(bundle) || atTop
		dir = sectionURL + strings.TrimPrefix(dir, sectionDir)
	}
	if index && dir != "" && !atTop {
		dir, name = path.Split(strings.TrimSuffix(dir, "/"))
		index = false
	}
	if doc.post {
		var err error
		if name, err = b.datePost(doc, name); err != nil {
			return err
		}
	}
	doc.name = name
	switch {
	case index && atTop:
		doc.url, doc.intro = "/"+sectionURL+"/", true
	case index:
		doc.url, doc.intro = "/", true
	case doc.file == "404.md":
		doc.url = "/404.html"
	default:
		slug := cmp.Or(doc.Slug, slugify(name))
		if slug == "" {
			return &Error{doc.file, 0, fmt.Sprintf("file name %q has no letter for an address", base), "rename it, or give it a slug"}
		}
		doc.url = "/" + slugifyPath(dir) + slug + "/"
	}
	if doc.URL != "" && !doc.intro {
		doc.url = doc.URL
	}
	doc.out = outputName(doc.url)
	return nil
}

// datePost takes the date of a post from its name if the front matter has
// none, and returns the name without it.
func (b *build) datePost(doc *document, name string) (string, error) {
	if m := datePrefix.FindStringSubmatch(name); m != nil {
		name = m[2]
		if doc.Date.IsZero() {
			doc.Date, _ = parseDate(m[1], b.set.loc)
		}
	}
	if doc.Date.IsZero() {
		return "", &Error{
			File: doc.file, Line: 1, Problem: "post has no date",
			Remedy: "add date: 2006-01-02 to its front matter, or name it 2006-01-02-" + path.Base(doc.file),
		}
	}
	return name, nil
}

// outputName is the file that answers for a path.
func outputName(url string) string {
	name := strings.TrimPrefix(path.Clean(url), "/")
	if !strings.HasSuffix(url, "/") && path.Ext(name) == ".html" {
		return name
	}
	return path.Join(name, "index.html")
}

// isIndex reports whether a document speaks for its directory.
func isIndex(stem string) bool {
	return stem == "index" || stem == "_index" || strings.EqualFold(stem, "readme")
}

func (b *build) hasIndex(dir string) bool { return b.indexOf[dir] != "" }

// selectDocuments drops the README of directories that have another index,
// and notes which file speaks for each directory.
func (b *build) selectDocuments(files []string) (docs []string) {
	has := map[string]bool{}
	for _, f := range b.src.files {
		has[f] = true
	}
	for _, f := range files {
		dir, name := path.Dir(f), stem(f)
		if strings.EqualFold(name, "readme") {
			if has[path.Join(dir, "index.md")] || has[path.Join(dir, "_index.md")] || has[path.Join(dir, "index.html")] || isSectionTop(dir) {
				continue
			}
		}
		if isIndex(name) && b.indexOf[dir] == "" {
			b.indexOf[dir] = f
		}
		docs = append(docs, f)
	}
	return docs
}

// isSectionTop reports whether dir is a directory of posts, whose README
// explains it to those who write and not to those who read.
func isSectionTop(dir string) bool { return dir == "posts" || dir == "_posts" || dir == "blog" }

// sortDocuments puts the newest posts first; the file name decides between
// posts of one time.
func sortDocuments(docs []*document) {
	slices.SortFunc(docs, func(a, b *document) int {
		return cmp.Or(b.Date.Compare(a.Date), strings.Compare(a.file, b.file))
	})
}

// modified is when the document last changed, as far as it says.
func (d *document) modified() time.Time {
	if d.Updated.After(d.Date) {
		return d.Updated
	}
	return d.Date
}

// matterLine finds the line of the front matter on which text stands.
func (d *document) matterLine(text string) int {
	for i, line := range d.matter {
		if strings.Contains(line, strings.Trim(text, "/")) {
			return i + 1
		}
	}
	return 1
}

// lineOf finds the line of the file on which text first stands, for messages.
func (d *document) lineOf(text string) int {
	i := bytes.Index(d.body, []byte(text))
	if i < 0 {
		return 0
	}
	return d.bodyLine + bytes.Count(d.body[:i], []byte("\n"))
}
