// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package corpus

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/need"
)

// Site is what it takes to build the content of a repository.
type Site struct {
	// Line runs the generator, by sh -c at the top of the checkout. It heeds
	// the variables SITE_URL and COMMIT.
	Line string

	// OutputDir is where the site comes out.
	OutputDir string

	// Pages is the number of HTML files that the site has.
	Pages int

	// Document is a file of the repository to make changes in, and Path the
	// path of its page on the site.
	Document, Path string
}

// layouts has for each generator what goes to the top of the repository.
//
//go:embed all:layouts
var layouts embed.FS

// Hugo fills the repository with copies of the pages for Hugo.
func Hugo(t testing.TB, repo *gittest.Repo, copies int) Site {
	t.Helper()
	need.Program(t, "hugo", "apt install hugo")
	docs := load(t)
	writeLayouts(t, repo, "hugo")
	pages := 1 // home
	for i := range copies {
		top := fmt.Sprintf("docs%d", i+1)
		for name, content := range docs {
			repo.Write(path.Join("content", top, name), content)
			if docs.hugoRenders(name) {
				pages++
			}
		}
	}
	return Site{
		Line:      `exec hugo --quiet --baseURL "${SITE_URL:-http://localhost:3000/}"`,
		OutputDir: "public",
		Pages:     pages,
		Document:  "content/docs1/about/introduction.md",
		Path:      "/docs1/about/introduction/",
	}
}

// Eleventy fills the repository with the pages for Eleventy.
func Eleventy(t testing.TB, repo *gittest.Repo) Site {
	t.Helper()
	bin := EleventyBin(t)
	docs := load(t)
	writeLayouts(t, repo, "eleventy")
	pages := 1 // home
	for name, content := range docs {
		// a.md and a/_index.md would be the same page.
		base, isMarkdown := strings.CutSuffix(name, ".md")
		if _, ok := docs[base+"/_index.md"]; isMarkdown && ok {
			continue
		}
		if isMarkdown {
			pages++
		}
		if path.Base(name) == "_index.md" {
			name = path.Join(path.Dir(name), "index.md")
		}
		repo.Write(path.Join("content/docs", name), content)
	}
	return Site{
		Line:      "exec '" + bin + "' --quiet",
		OutputDir: "_site",
		Pages:     pages,
		Document:  "content/docs/about/introduction.md",
		Path:      "/docs/about/introduction/",
	}
}

//go:embed eleventy/package-lock.json
var eleventyLock []byte

// EleventyBin returns the path of Eleventy's program, or ends the test.
func EleventyBin(t testing.TB) string {
	t.Helper()
	need.Program(t, "node", "apt install nodejs")
	cache, err := need.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(eleventyLock)
	bin := filepath.Join(cache, "eleventy-"+hex.EncodeToString(sum[:8]), "node_modules", ".bin", "eleventy")
	if _, err := os.Stat(bin); err != nil {
		need.Missing(t, "Eleventy is not installed", "run make install")
	}
	return bin
}

func writeLayouts(t testing.TB, repo *gittest.Repo, generator string) {
	t.Helper()
	files, err := fs.Sub(layouts, "layouts/"+generator)
	if err == nil {
		err = os.CopyFS(repo.Dir, files)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// documents are Markdown files and pictures by name, with slashes.
type documents map[string]string

// load reads the corpus.
func load(t testing.TB) documents {
	t.Helper()
	dir := need.Path(t, "../shared/corpus/hugo-docs/en", "the corpus of real pages is not part of the repository")
	docs := documents{}
	fsys := os.DirFS(dir)
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(fsys, name)
		switch path.Ext(name) {
		case ".md":
			docs[name] = clean(name, string(content))
		case ".png", ".jpg", ".jpeg", ".webp", ".svg", ".gif":
			docs[name] = string(content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

var keptField = regexp.MustCompile(`^(title|description|date|weight): *[^ |>]`)

// clean takes out what would not mean the same to another site. Fragments that
// other documents include have no title: they get one.
func clean(name, content string) string {
	content = strings.ReplaceAll(content, "{{", "{ {")
	rest, ok := strings.CutPrefix(content, "---\n")
	matter, body, closed := strings.Cut(rest, "\n---")
	if !ok || !closed {
		matter, body = "", "\n"+content
	}
	lines := slices.DeleteFunc(strings.Split(matter, "\n"), func(line string) bool {
		return !keptField.MatchString(line)
	})
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "title:") }) {
		lines = append(lines, fmt.Sprintf("title: %q", strings.TrimSuffix(path.Base(name), ".md")))
	}
	return "---\n" + strings.Join(lines, "\n") + "\n---" + body
}

// hugoRenders reports whether a file becomes a page of its own. In a folder
// with an index.md the other files are attachments of that page.
func (d documents) hugoRenders(name string) bool {
	if path.Ext(name) != ".md" {
		return false
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, ok := d[dir+"/index.md"]; ok && name != dir+"/index.md" {
			return false
		}
	}
	return true
}
