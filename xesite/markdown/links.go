// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"fmt"
	"image"
	_ "image/gif" // formats whose size is read for img elements
	_ "image/jpeg"
	_ "image/png"
	"net/url"
	"path"
	"path/filepath"
	"strings"
)

// pageHTML is the content of doc for its own page.
func (b *build) pageHTML(doc *document) []byte {
	r := &rewriter{
		page: true,
		url:  func(_, _, value string) string { return b.link(doc, value, true) },
		// Sizes are asked for with the address that the author wrote.
		size: func(src string) (int, int) { return b.imageSize(b.link(doc, src, false)) },
	}
	return r.rewrite(doc.html)
}

// feedHTML is the content of doc for readers elsewhere: every address absolute.
func (b *build) feedHTML(doc *document) []byte {
	here := b.absolute(doc.url)
	r := &rewriter{url: func(_, _, value string) string {
		return resolve(here, b.link(doc, value, false))
	}}
	return r.rewrite(doc.html)
}

// resolve makes ref absolute. What is no address stays as it is.
func resolve(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ref
	}
	u, err := b.Parse(ref)
	if err != nil {
		return ref
	}
	return u.String()
}

// path is the address of a path of this site as pages link to it.
func (b *build) path(p string) string {
	return (&url.URL{Path: strings.TrimSuffix(b.set.base.Path, "/") + p}).EscapedPath()
}

// absolute is the canonical address of a path of this site.
func (b *build) absolute(p string) string {
	u := *b.set.base
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+p, ""
	return u.String()
}

// link maps an address as an author writes it to one that works from the
// page: names of files, relative to the document or from the top, become
// addresses. Everything else stays. report says whether to tell the author
// about what leads nowhere.
func (b *build) link(doc *document, ref string, report bool) string {
	u, err := url.Parse(ref)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Path == "" || strings.HasPrefix(ref, "//") {
		return ref
	}
	absolute := strings.HasPrefix(u.Path, "/")
	name := strings.TrimPrefix(u.Path, "/")
	if !absolute {
		name = path.Join(path.Dir(doc.file), name)
	}
	target, ok := b.target(doc, ref, path.Clean(name), report)
	switch {
	case ok:
	case absolute:
		b.checkPath(doc, ref, u.Path, report)
		return ref
	default:
		// Perhaps it is meant from the address of the page.
		p := path.Join(path.Dir(doc.url), u.Path)
		if strings.HasSuffix(doc.url, "/") {
			p = path.Join(doc.url, u.Path)
		}
		if strings.HasSuffix(u.Path, "/") {
			p += "/"
		}
		b.checkPath(doc, ref, p, report)
		return ref
	}
	if strings.HasSuffix(u.Path, "/") && !strings.HasSuffix(target, "/") {
		target += "/"
	}
	out := url.URL{Path: strings.TrimSuffix(b.set.base.Path, "/") + target, RawQuery: u.RawQuery, Fragment: u.Fragment, RawFragment: u.RawFragment}
	return out.String()
}

// target finds the address of a file or directory of the source.
func (b *build) target(doc *document, ref, name string, report bool) (string, bool) {
	for _, candidate := range []string{name, name + ".md", path.Join(name, "index.md"), path.Join(name, "_index.md"), path.Join(name, "README.md")} {
		to, ok := b.byFile[candidate]
		if !ok {
			continue
		}
		if report && !b.out.has(to.out) {
			b.warnAt(doc, ref, fmt.Sprintf("link to %q leads to a document that is held back as a draft or until its date", ref), "publish it, or remove the link")
		}
		return to.url, true
	}
	if b.isFile[name] || b.isDir[name] && name != "." {
		return "/" + name, true
	}
	return "", false
}

// checkPath warns about an address of this site that nothing answers.
func (b *build) checkPath(doc *document, ref, p string, report bool) {
	if !report || b.out.hasURL(p) || b.redirected(p) {
		return
	}
	b.warnAt(doc, ref, fmt.Sprintf("link to %q leads nowhere", ref), "check its spelling; links to documents are written as their file names")
}

func (b *build) warnAt(doc *document, ref, problem, remedy string) {
	b.warned(doc, &Error{doc.file, doc.lineOf(ref), problem, remedy})
}

// redirected reports whether a rule of _redirects answers for p.
func (b *build) redirected(p string) bool {
	for _, from := range b.redirectFrom {
		prefix, _, wild := strings.Cut(from, "*")
		if i := strings.Index(from, "/:"); i >= 0 {
			prefix, wild = from[:i+1], true
		}
		if wild && strings.HasPrefix(p, prefix) || strings.Trim(from, "/") == strings.Trim(p, "/") {
			return true
		}
	}
	return false
}

// imageSize reads the size of a picture of this site.
func (b *build) imageSize(address string) (w, h int) {
	u, err := url.Parse(address)
	if err != nil || u.Host != "" || u.Scheme != "" {
		return 0, 0
	}
	name := strings.TrimPrefix(u.Path, b.set.base.Path)
	e, ok := b.out.entries[strings.TrimPrefix(name, "/")]
	if !ok || !e.copy {
		return 0, 0
	}
	f, err := b.src.root.Open(filepath.FromSlash(e.from))
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	conf, _, err := image.DecodeConfig(f)
	if err != nil {
		return 0, 0
	}
	return conf.Width, conf.Height
}
