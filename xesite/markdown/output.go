// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// output collects what a site consists of. Nothing is written before all of
// it is known, so that two claims on one name are an error and not a race.
type output struct {
	entries map[string]entry
}

// entry is a file of the output: content that was made, or a file to copy.
type entry struct {
	from string // file of the source it is made of, for messages; empty for generated
	copy bool
	data []byte
}

// add claims name. A generated file gives way to one of the author's.
func (o *output) add(name string, e entry) error {
	old, taken := o.entries[name]
	switch {
	case !taken:
		o.entries[name] = e
	case e.from == "":
		// The author's file is there and stays.
	case old.from == "":
		o.entries[name] = e
	default:
		return collision(name, old.from, e.from)
	}
	return nil
}

func collision(name, a, b string) error {
	return &Error{
		File: b, Problem: fmt.Sprintf("makes /%s, as does %s", strings.TrimSuffix(name, "index.html"), a),
		Remedy: "rename one of them, or give it a slug",
	}
}

func (o *output) has(name string) bool {
	_, ok := o.entries[name]
	return ok
}

// hasURL reports whether a path of the site, without query, is answered.
func (o *output) hasURL(p string) bool {
	name := strings.Trim(p, "/")
	return o.has(name) && !strings.HasSuffix(p, "/") || o.has(path.Join(name, "index.html")) || o.has(name+".html")
}

func (o *output) names() []string {
	names := make([]string, 0, len(o.entries))
	for name := range o.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// check finds files that are in the place of a directory.
func (o *output) check() error {
	var errs []error
	for _, name := range o.names() {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if file, ok := o.entries[dir]; ok {
				errs = append(errs, &Error{
					File: file.from, Problem: fmt.Sprintf("is a file where %s needs the directory /%s/", cmpFrom(o.entries[name].from, name), dir),
					Remedy: "rename one of them",
				})
			}
		}
	}
	return joinErrors(errs)
}

func cmpFrom(from, name string) string {
	if from == "" {
		return "the generated /" + name
	}
	return from
}

// write puts all entries into dst.
func (o *output) write(src *source, dst *os.Root, step func() error) error {
	for _, name := range o.names() {
		if err := step(); err != nil {
			return err
		}
		e := o.entries[name]
		if err := dst.MkdirAll(filepath.FromSlash(path.Dir(name)), 0o755); err != nil {
			return err
		}
		if err := o.writeOne(src, dst, name, e); err != nil {
			return err
		}
	}
	return nil
}

func (o *output) writeOne(src *source, dst *os.Root, name string, e entry) (err error) {
	var from io.Reader = bytes.NewReader(e.data)
	if e.copy {
		f, err := src.root.Open(filepath.FromSlash(e.from))
		if err != nil {
			return err
		}
		defer f.Close()
		from = f
	}
	to, err := dst.Create(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	_, err = io.Copy(to, from)
	return err
}
