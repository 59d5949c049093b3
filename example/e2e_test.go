// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/corpus"
	"xeiaso.net/site/internal/test/fakegen"
	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/hook"
)

const secret = "correct horse battery staple"

// push commits and pushes what is in the work tree, and tells the program as
// GitHub does.
func (p *program) push(repo *gittest.Repo, message string) string {
	p.t.Helper()
	commit := repo.Commit(message)
	repo.Push()
	status, body := p.deliver(hook.GitHub, secret, hook.Push{Branch: "main", After: commit, Repository: "me/site"})
	if status != 202 {
		p.t.Fatalf("delivery: %d %s", status, body)
	}
	return commit
}

// commit is the commit that is served.
func (p *program) commit() string {
	p.t.Helper()
	_, body := p.get(p.public + ".within/build.json")
	var info xesite.Current
	if json.Unmarshal([]byte(body), &info) != nil {
		return ""
	}
	return info.Commit
}

// last waits until the newest build is of a commit, and returns its record.
func (p *program) last(commit string) (b xesite.Build) {
	p.t.Helper()
	wait.Until(p.t, "the commit is built", func() bool {
		var builds []xesite.Build
		_, body := p.get(p.admin + "api/builds")
		if err := json.Unmarshal([]byte(body), &builds); err != nil {
			p.t.Fatalf("builds: %v: %s", err, body)
		}
		if len(builds) == 0 || builds[0].Commit != commit {
			return false
		}
		b = builds[0]
		return true
	})
	return b
}

// A thousand real pages, by real git over HTTP, through real generators.
func TestRealSitesByRealGenerators(t *testing.T) {
	for name, fill := range map[string]func(*gittest.Repo) corpus.Site{
		"Hugo":     func(repo *gittest.Repo) corpus.Site { return corpus.Hugo(t, repo, 1) },
		"Eleventy": func(repo *gittest.Repo) corpus.Site { return corpus.Eleventy(t, repo) },
	} {
		t.Run(name, func(t *testing.T) {
			repo := gittest.New(t)
			site := fill(repo)
			first := repo.Commit("documentation")
			repo.Push()
			p := start(t, map[string]string{"PATH": os.Getenv("PATH")}, "-git-repo", repo.HTTPServer("").URL, "-git-branch", "main",
				"-build", site.Line, "-output-dir", site.OutputDir, "-site-url", "https://docs.example/", "-github-secret", secret)
			if b := p.last(first); b.Result != xesite.ResultPublished || b.Files < site.Pages {
				t.Fatalf("build: %s %s, %d files of %d pages\n%s", b.Result, b.Error, b.Files, site.Pages, b.LogTail)
			}
			p.shows(strings.TrimPrefix(site.Path, "/"), "<")

			content, err := os.ReadFile(filepath.Join(repo.Dir, site.Document))
			if err != nil {
				t.Fatal(err)
			}
			repo.Write(site.Document, string(content)+"\n\nA paragraph that was pushed.\n")
			commit := p.push(repo, "one more paragraph")
			p.shows(strings.TrimPrefix(site.Path, "/"), "A paragraph that was pushed.")
			if got := p.commit(); got != commit {
				t.Errorf("build.json names %s, want %s", got, commit)
			}
			wait.Until(t, "the metrics count two publications", func() bool { // at the end of the build
				_, metrics := p.get(p.admin + "metrics")
				return strings.Contains(metrics, `xesite_builds_total{result="published"} 2`)
			})
		})
	}
}

// Everything that a generator can do wrong: the old release stays, the record
// tells why, and nothing of it is left running.
func TestBrokenGeneratorsChangeNothing(t *testing.T) {
	repo := gittest.New(t)
	pages := map[string]string{}
	for name := range strings.FieldsSeq("one two three four five six seven eight nine ten") {
		for part := range strings.FieldsSeq("a b c d e f") {
			pages["posts/"+name+"-"+part+".md"] = "# " + name + "\n"
		}
	}
	repo.WriteFiles(pages)
	repo.Write("index.md", "# Good")
	good := repo.Commit("good")
	repo.Push()
	gate := fakegen.NewGate(t)
	p := start(t, map[string]string{"PATH": os.Getenv("PATH")}, "-git-repo", repo.Bare, "-git-branch", "main",
		"-build", fakegen.Line(t, "-gate", gate.Addr()), "-build-timeout", "10s", "-github-secret", secret)
	p.last(good)
	gate.Next(fakegen.Generator).WaitGone()

	for _, tt := range []struct {
		fault  string
		result xesite.Result
		why    string
	}{
		{"crash 7", xesite.ResultFailed, "exited with code 7"},
		{"kill", xesite.ResultFailed, "signal 9"},
		{"hang", xesite.ResultFailed, "longer than 10s"},
		{"partial", xesite.ResultRejected, "files are left"},
		{"empty", xesite.ResultRejected, "wrote no files"},
		{"missing", xesite.ResultFailed, "left no directory"},
		{"symlink", xesite.ResultRejected, "link.html"},
		{"badname", xesite.ResultRejected, "not UTF-8"},
		{"flood; crash", xesite.ResultFailed, "exited with code 3"},
		{"children; crash", xesite.ResultFailed, "exited with code 3"},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			repo.Write("fault.txt", strings.ReplaceAll(tt.fault, "; ", "\n")+"\n")
			b := p.last(p.push(repo, tt.fault))
			if b.Result != tt.result || !strings.Contains(b.Error, tt.why) || b.LogTail == "" {
				t.Errorf("build: %s, %q; want %s with %q\n%s", b.Result, b.Error, tt.result, tt.why, b.LogTail)
			}
			if got := p.commit(); got != good {
				t.Errorf("commit %s is served, want the good one %s", got, good)
			}
			gate.Next(fakegen.Generator).WaitGone()
			if strings.Contains(tt.fault, "children") {
				gate.Next(fakegen.Child).WaitGone()
				gate.Next(fakegen.Session).WaitGone()
			}
		})
	}
	info, err := os.Stat(filepath.Join(p.dataDir, "builds"))
	if err != nil || !info.IsDir() {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(p.dataDir, "builds", "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	for _, log := range logs {
		if info, err := os.Stat(log); err != nil || info.Size() > 5<<20 {
			t.Errorf("%s is not bounded: %v", log, info.Size())
		}
	}
	repo.Write("fault.txt", "ok\n")
	repo.Write("index.md", "# Mended")
	p.push(repo, "mended")
	p.shows("", "Mended")
}
