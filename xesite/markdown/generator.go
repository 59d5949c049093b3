// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Generator builds sites. The zero value builds one for http://localhost:3000/.
// The fields must not change during [Generator.Build]; builds may run at the
// same time.
type Generator struct {
	// Title, Description and Author describe the site unless its site.yaml
	// does. If Title is empty, it is the host of BaseURL.
	Title, Description, Author string
	// Language is the language tag of the content, such as "en" or "pt-BR",
	// unless site.yaml names one. If empty, it is "en".
	Language string
	// BaseURL is the canonical address of the site, for feeds, previews and
	// the sitemap. If empty, it is the url of site.yaml, else
	// http://localhost:3000/.
	BaseURL string
	// Now decides which posts are due: those with a later date are left out.
	// If zero, it is the current time. It has no other influence.
	Now time.Time
	// Drafts includes documents with draft: true, marked as such.
	Drafts bool
	// Warnf is told about mistakes that do not stand in the way of a build,
	// such as links that lead nowhere, with file and line. If nil, they are
	// not reported. It is not called by two goroutines at a time.
	Warnf func(format string, args ...any)
	// Scheduled is told about each document that is left out because its date
	// is after Now, so that a host can build again when it is due. May be nil.
	Scheduled func(file string, due time.Time)
}

// Build reads the directory src and writes a site into the directory dst,
// which is created if it is missing. dst may be inside src and is then no part
// of the input.
//
// Nothing is written unless all documents are in order; otherwise the error
// joins an [Error] for each mistake. Build removes nothing: dst should be empty,
// or hold the result of an earlier build, whose files stay if they are not
// made again.
func (g *Generator) Build(ctx context.Context, src, dst string) error {
	if err := g.build(ctx, src, dst); err != nil {
		return fmt.Errorf("markdown: %w", err)
	}
	return nil
}

func (g *Generator) build(ctx context.Context, src, dst string) error {
	skip, err := checkDirs(src, dst)
	if err != nil {
		return err
	}
	in, err := openSource(ctx, src, skip)
	if err != nil {
		return err
	}
	defer in.root.Close()
	b := &build{
		g: g, ctx: ctx, src: in, now: g.now(), out: &output{entries: map[string]entry{}},
		byFile: map[string]*document{}, indexOf: map[string]string{}, isFile: map[string]bool{}, isDir: map[string]bool{},
	}
	if err := b.prepare(); err != nil {
		return err
	}
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return err
	}
	to, err := os.OpenRoot(dst)
	if err != nil {
		return err
	}
	defer to.Close()
	return b.out.write(in, to, ctx.Err)
}

func (g *Generator) now() time.Time {
	if g.Now.IsZero() {
		return time.Now()
	}
	return g.Now
}

func (g *Generator) warn(e *Error) {
	if g.Warnf != nil {
		g.Warnf("%s", e)
	}
}

// checkDirs refuses to write into the source itself, or around it, and
// returns what dst is now.
func checkDirs(src, dst string) (fs.FileInfo, error) {
	in, err := os.Stat(src)
	if err != nil {
		return nil, err
	}
	out, err := os.Stat(dst)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	full, err := filepath.Abs(src)
	if err != nil {
		return nil, err
	}
	for dir := full; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && os.SameFile(info, out) {
			return nil, fmt.Errorf("output directory %q holds the source %q; choose a directory inside or beside it", dst, src)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if !in.IsDir() {
		return nil, fmt.Errorf("source %q is not a directory", src)
	}
	return out, nil
}

// build is the state of one run.
type build struct {
	g   *Generator
	ctx context.Context
	now time.Time
	src *source
	set *settings
	out *output

	byFile        map[string]*document // by name in the source, also those held back
	indexOf       map[string]string    // directory to the document that speaks for it
	isFile, isDir map[string]bool      // what is copied
	docs          []*document          // all to be published
	posts         []*document          // newest first
	pages         []*document
	intros        map[string]*document // by output name
	tags          []*tag
	redirectFrom  []string

	tmpl  *template.Template
	site  siteView
	jobs  []job
	style []byte
}

// job makes one file of the output.
type job struct {
	name string
	doc  *document // for warnings; nil if generated
	make func() ([]byte, error)
}

// prepare fills the output.
func (b *build) prepare() error {
	docs, rest := b.split()
	if docs == nil {
		for _, f := range rest {
			b.out.entries[f] = entry{from: f, copy: true}
		}
		return nil
	}
	var err error
	if b.set, err = b.g.settings(b.src); err != nil {
		return err
	}
	drop := func(f string) bool { return excluded(f, b.set.exclude) }
	docs, rest = slices.DeleteFunc(docs, drop), slices.DeleteFunc(rest, drop)
	b.copyFiles(rest)
	if err := joinErrors(b.load(docs)); err != nil {
		return err
	}
	if err := b.renderAll(); err != nil {
		return err
	}
	b.arrange()
	if err := b.plan(); err != nil {
		return err
	}
	return b.runJobs()
}

// split separates documents from files to copy. docs is nil if the source is
// no blog but a finished site.
func (b *build) split() (docs, rest []string) {
	all := b.src.files
	hasIndex := slices.Contains(all, "index.html")
	for _, f := range all {
		switch {
		case isDocument(f):
			docs = append(docs, f)
		case f != settingsFile:
			rest = append(rest, f)
		}
	}
	docs = b.selectDocuments(docs)
	if len(docs) > 0 {
		return docs, rest
	}
	if len(rest) < len(all) && slices.Contains(all, settingsFile) && !hasIndex {
		return []string{}, rest // a blog that has no post yet
	}
	plain := slices.DeleteFunc(slices.Clone(all), isDocument)
	return nil, plain
}

func (b *build) copyFiles(files []string) {
	for _, f := range files {
		b.out.entries[f] = entry{from: f, copy: true}
		b.isFile[f] = true
		for dir := path.Dir(f); dir != "."; dir = path.Dir(dir) {
			b.isDir[dir] = true
		}
	}
}

func (b *build) renderAll() error {
	md := newMarkdown()
	errs := parallel(b.ctx, len(b.docs), func(i int) error { return render(md, b.docs[i]) })
	return joinErrors(errs)
}

// arrange sorts the documents into posts, pages and introductions.
func (b *build) arrange() {
	sortDocuments(b.docs)
	b.intros = map[string]*document{}
	for _, d := range b.docs {
		switch {
		case d.post:
			b.posts = append(b.posts, d)
		case !d.intro && d.out != "404.html":
			b.pages = append(b.pages, d)
		}
	}
	slices.SortFunc(b.pages, func(x, y *document) int { return strings.Compare(x.url, y.url) })
	b.tags = collectTags(b.posts)
}

// runJobs makes all files and reports warnings in the order of the jobs.
func (b *build) runJobs() error {
	made := make([][]byte, len(b.jobs))
	errs := parallel(b.ctx, len(b.jobs), func(i int) (err error) {
		made[i], err = b.jobs[i].make()
		return err
	})
	for i, j := range b.jobs {
		e := b.out.entries[j.name]
		e.data = made[i]
		b.out.entries[j.name] = e
		if j.doc == nil {
			continue
		}
		for _, w := range j.doc.warnings {
			b.g.warn(w)
		}
	}
	return joinErrors(errs)
}

// warned keeps a warning until all documents are done, so that the order of
// the report does not depend on the scheduler.
func (b *build) warned(doc *document, w *Error) {
	if !slices.ContainsFunc(doc.warnings, func(old *Error) bool { return *old == *w }) {
		doc.warnings = append(doc.warnings, w)
	}
}

// parallel calls f for 0 to n-1 and returns the errors in that order.
func parallel(ctx context.Context, n int, f func(int) error) []error {
	errs := make([]error, n)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				errs[i] = f(i)
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if ctx.Err() != nil {
		errs = []error{ctx.Err()}
	}
	return errs
}

// add plans a file. from is the document it is made of, nil for files that
// give way to the author's.
func (b *build) add(name string, from *document, f func() ([]byte, error)) error {
	if from == nil && b.out.has(name) {
		return nil
	}
	e := entry{}
	if from != nil {
		e.from = from.file
	}
	if err := b.out.add(name, e); err != nil {
		return err
	}
	b.jobs = append(b.jobs, job{name, from, f})
	return nil
}

// plan claims the names of all files before the first is made: links are
// checked against them.
func (b *build) plan() error {
	var errs []error
	try := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, d := range b.docs {
		if d.intro {
			if old := b.intros[d.out]; old != nil {
				try(collision(d.out, old.file, d.file))
			}
			b.intros[d.out] = d
			continue
		}
		try(b.add(d.out, d, func() ([]byte, error) { return b.documentPage(d) }))
	}
	try(b.planLists())
	try(b.planFeeds())
	try(b.planRedirects())
	if err := joinErrors(errs); err != nil {
		return err
	}
	if err := b.out.check(); err != nil {
		return err
	}
	return b.openTemplates()
}

// planLists plans the home page, the archives, the tags and the style sheet.
func (b *build) planLists() error {
	var errs []error
	home := b.intros["index.html"]
	errs = append(errs, b.add("index.html", home, func() ([]byte, error) { return b.homePage(home) }))
	for _, dir := range b.archives() {
		name := path.Join(dir, "index.html")
		intro := b.intros[name]
		errs = append(errs, b.add(name, intro, func() ([]byte, error) { return b.archivePage(dir, intro) }))
	}
	if len(b.tags) > 0 {
		errs = append(errs, b.add("tags/index.html", nil, b.tagsPage))
	}
	for _, t := range b.tags {
		errs = append(errs, b.add(t.out(), nil, func() ([]byte, error) { return b.tagPage(t) }))
	}
	errs = append(errs, b.add("404.html", nil, b.notFoundPage))
	b.style = styleSheet()
	b.site.styleName = fingerprinted("style", b.style, ".css")
	errs = append(errs, b.add(b.site.styleName, nil, func() ([]byte, error) { return b.style, nil }))
	return joinErrors(slices.DeleteFunc(errs, func(err error) bool { return err == nil }))
}

// archives are the directories of posts that are in use, the main one first.
func (b *build) archives() []string {
	var dirs []string
	for _, dir := range []string{"posts", "blog"} {
		_, introduced := b.intros[dir+"/index.html"]
		if introduced || slices.ContainsFunc(b.posts, func(d *document) bool { return strings.HasPrefix(d.url, "/"+dir+"/") }) {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 && len(b.posts) > 0 { // all have addresses of their own
		dirs = []string{"posts"}
	}
	return dirs
}

// planRedirects appends the aliases of documents to the author's redirects.
func (b *build) planRedirects() error {
	var rules bytes.Buffer
	if e, ok := b.out.entries["_redirects"]; ok {
		data, err := b.src.read(e.from)
		if err != nil {
			return err
		}
		rules.Write(data)
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(f[0], "#") {
				b.redirectFrom = append(b.redirectFrom, f[0])
			}
		}
		if len(data) > 0 && data[len(data)-1] != '\n' {
			rules.WriteByte('\n')
		}
	}
	if b.aliases(&rules) > 0 {
		b.out.entries["_redirects"] = entry{data: rules.Bytes()}
	}
	return nil
}

// aliases writes a rule for each alias and returns how many there are.
func (b *build) aliases(rules *bytes.Buffer) (n int) {
	taken := map[string]*document{}
	for _, d := range b.docs {
		for _, alias := range d.Aliases {
			key := strings.Trim(alias, "/")
			if old := taken[key]; old != nil || b.out.hasURL(alias) {
				other := "the page at that address"
				if old != nil {
					other = old.file
				}
				b.warned(d, &Error{d.file, d.matterLine(alias), fmt.Sprintf("alias %q is left out, as it belongs to %s", alias, other), "remove it"})
				continue
			}
			taken[key] = d
			b.redirectFrom = append(b.redirectFrom, alias)
			fmt.Fprintf(rules, "%s %s 301\n", b.path(alias), b.path(d.url))
			n++
		}
	}
	return n
}
