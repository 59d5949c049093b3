// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package house_test holds the source files of the module to the house style,
// where it is about more than one file and no linter knows it.
package house_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"xeiaso.net/site/internal/test/need"
)

const licence = "// Copyright (c) 2026 The xeiaso.net/site authors\n// SPDX-License-Identifier: MIT\n"

// source is a Go file of the module, whatever its build constraints say.
type source struct {
	path    string // relative to the module's root, with slashes
	content []byte
	file    *ast.File
	fset    *token.FileSet
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// public reports whether the file belongs to a package that others import.
func (s source) public() bool {
	return !s.test() && !s.within("internal") && s.file.Name.Name != "main"
}

// library reports whether the file runs in other people's programs.
func (s source) library() bool {
	return !s.test() && s.file.Name.Name != "main" && !strings.HasPrefix(s.path, "internal/test/") && !strings.HasPrefix(s.path, "example/")
}

// within reports whether one of the folders on the way to the file is dir.
func (s source) within(dir string) bool { return slices.Contains(strings.Split(s.path, "/"), dir) }

func (s source) at(n ast.Node) token.Position { return s.fset.Position(n.Pos()) }

// walk calls f with every text file of the module.
func walk(t *testing.T, f func(name string, content []byte)) {
	t.Helper()
	root := need.Path(t, ".", "")
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (slices.Contains([]string{"node_modules", "var"}, d.Name()) || d.Name()[0] == '.' && d.Name() != ".ci"):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(file)
		if err == nil && bytes.IndexByte(content, 0) < 0 {
			f(filepath.ToSlash(name), content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sources returns all Go files of the module.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	fset := token.NewFileSet()
	walk(t, func(name string, content []byte) {
		if path.Ext(name) != ".go" {
			return
		}
		file, err := parser.ParseFile(fset, name, content, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{name, content, file, fset})
	})
	if len(all) < 10 {
		t.Fatalf("found %d Go files only", len(all))
	}
	return all
}

func TestEveryFileBeginsWithTheLicence(t *testing.T) {
	for _, s := range sources(t) {
		if !bytes.HasPrefix(s.content, []byte(licence)) {
			t.Errorf("%s does not begin with:\n%s", s.path, licence)
		}
	}
}

func TestNothingIsLeftToDo(t *testing.T) {
	words := []string{"TO" + "DO", "FIX" + "ME"}
	walk(t, func(name string, content []byte) {
		for _, word := range words {
			if before, _, ok := bytes.Cut(content, []byte(word)); ok {
				t.Errorf("%s:%d: %s: do it, or write down elsewhere that it is to be done", name, 1+bytes.Count(before, []byte("\n")), word)
			}
		}
	})
}

func TestEveryPackageHasAComment(t *testing.T) {
	commented := map[string]bool{}
	for _, s := range sources(t) {
		if !s.test() {
			dir := path.Dir(s.path)
			commented[dir] = commented[dir] || s.file.Doc.Text() != ""
		}
	}
	for dir, ok := range commented {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

func TestEverythingExportedIsDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if !s.public() {
			continue
		}
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && !opens(d.Doc, d.Name) {
					t.Errorf("%s: %s has no comment that begins with its name", s.at(d), d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if name := undocumented(d, spec); name != nil {
						t.Errorf("%s: %s has no comment that begins with its name", s.at(spec), name)
					}
				}
			}
		}
	}
}

// exportedReceiver reports whether d is a function, or a method of an exported
// type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	exported := false
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			exported = exported || id.IsExported()
		}
		return true
	})
	return exported
}

// undocumented returns the exported name of spec that lacks a comment. In a
// group of constants or variables, one on the group or the line will do.
func undocumented(d *ast.GenDecl, spec ast.Spec) *ast.Ident {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		doc := spec.Doc
		if doc == nil {
			doc = d.Doc
		}
		if spec.Name.IsExported() && !opens(doc, spec.Name) {
			return spec.Name
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				return name
			}
		}
	}
	return nil
}

// opens reports whether a comment begins with the name, after an article.
func opens(doc *ast.CommentGroup, name *ast.Ident) bool {
	words := strings.Fields(doc.Text())
	if len(words) > 1 && slices.Contains([]string{"A", "An", "The"}, words[0]) {
		words = words[1:]
	}
	return len(words) > 0 && strings.TrimRight(words[0], ",.:;") == name.Name
}

func TestTestsDoNotSleep(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			s.refuse(t, map[string][]string{"time": {"Sleep"}}, "wait for the thing itself, or use testing/synctest")
		}
	}
}

// What a library must leave to the program that imports it.
func TestLibrariesLeaveDecisionsToTheProgram(t *testing.T) {
	for _, s := range sources(t) {
		if !s.library() {
			continue
		}
		s.refuse(t, map[string][]string{
			"log":       {"*"},
			"log/slog":  {"Default", "SetDefault", "Debug", "Info", "Warn", "Error", "DebugContext", "InfoContext", "WarnContext", "ErrorContext", "Log"},
			"flag":      {"*"},
			"fmt":       {"Print", "Printf", "Println"},
			"net/http":  {"DefaultClient", "DefaultTransport", "DefaultServeMux", "Handle", "HandleFunc", "Get", "Head", "Post", "PostForm"},
			"os":        {"Args", "Exit", "Stdin", "Stdout", "Stderr", "Environ", "Getwd", "Chdir", "Setenv"},
			"os/signal": {"*"},
			"github.com/prometheus/client_golang/prometheus":          {"MustRegister", "Register", "DefaultRegisterer", "DefaultGatherer"},
			"github.com/prometheus/client_golang/prometheus/promauto": {"*"},
		}, "that is for the program to decide")
		// Package xesite hands a few variables on to git and to the generator.
		if path.Dir(s.path) != "xesite" {
			s.refuse(t, map[string][]string{"os": {"Getenv", "LookupEnv", "ExpandEnv"}}, "a library does not read the environment")
		}
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: an init function: importing a package must do nothing", s.at(f))
			}
		}
	}
}

// refuse fails the test for every use of the names, by import path.
func (s source) refuse(t *testing.T, names map[string][]string, why string) {
	t.Helper()
	imports := map[string]string{} // path by name in the file
	for _, spec := range s.file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = p
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		// A local variable may have a package's name; then the parser has
		// resolved it to that.
		x, ok := sel.X.(*ast.Ident)
		if !ok || x.Obj != nil {
			return true
		}
		refused := names[imports[x.Name]]
		if slices.Contains(refused, sel.Sel.Name) || slices.Contains(refused, "*") {
			t.Errorf("%s: %s.%s: %s", s.at(sel), x.Name, sel.Sel.Name, why)
		}
		return true
	})
}
