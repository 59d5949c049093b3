// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package markdown

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// settings describe the site: the fields of a [Generator] with site.yaml on top.
type settings struct {
	title, description, language, image, footer string

	author            person
	base              *url.URL // ends in a slash
	loc               *time.Location
	nav, links        []navItem
	hasNav            bool
	homePosts, onFeed int
	exclude           []string
}

// navItem is a link of the navigation, or of the author's other places.
type navItem struct {
	title, url string
	line       int
}

// defaultBase is what the host program serves on without any configuration.
const defaultBase = "http://localhost:3000/"

func (g *Generator) settings(src *source) (*settings, error) {
	s := &settings{
		title: g.Title, description: g.Description, language: cmp.Or(g.Language, "en"),
		author: person{name: g.Author}, loc: time.UTC, homePosts: 20, onFeed: 20,
	}
	base := g.BaseURL
	data, err := src.read(settingsFile)
	switch {
	case err == nil:
		fields, fail := parseYAML(data, 1)
		if fail != nil {
			return nil, &Error{settingsFile, fail.line, fail.problem, fail.remedy}
		}
		r := &fieldReader{file: settingsFile, loc: time.UTC}
		own := s.read(r, fields, g.warn)
		base = cmp.Or(base, own)
		if len(r.errs) > 0 {
			return nil, joinErrors(r.errs)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if s.base, err = parseBase(cmp.Or(base, defaultBase)); err != nil {
		return nil, err
	}
	s.title = cmp.Or(s.title, s.base.Hostname())
	return s, nil
}

// read applies the fields of site.yaml and returns the address it gives.
func (s *settings) read(r *fieldReader, fields []field, warn func(*Error)) (base string) {
	for _, f := range fields {
		switch f.key {
		case "title":
			s.title = oneLine(r.text(f))
		case "description":
			s.description = oneLine(r.text(f))
		case "author":
			s.author = r.author(f)
		case "language", "lang":
			s.language = r.text(f)
		case "timezone":
			s.loc = r.zone(f)
		case "url", "base_url":
			base = r.text(f)
			if _, err := parseBase(base); err != nil && base != "" {
				r.fail(f.line, fmt.Sprintf("url %q is not the address of a site", base), "write it as https://host/")
			}
		case "image":
			s.image = r.text(f)
		case "nav":
			s.nav, s.hasNav = r.items(f), true
		case "links":
			s.links = r.items(f)
		case "footer":
			s.footer = r.text(f)
		case "home_posts":
			s.homePosts = r.count(f)
		case "feed_items":
			s.onFeed = r.count(f)
		case "exclude":
			s.exclude = r.patterns(f)
		default:
			warn(&Error{settingsFile, f.line, fmt.Sprintf("unknown setting %q has no effect", f.key), "see the package documentation for the list"})
		}
	}
	return base
}

func (r *fieldReader) zone(f field) *time.Location {
	name := r.text(f)
	loc, err := time.LoadLocation(name)
	// Local is the zone of the machine: its output would not be reproducible.
	if err != nil || name == "Local" {
		r.fail(f.line, fmt.Sprintf("timezone %q is not known here", name), "write it as Europe/Berlin or UTC")
		return time.UTC
	}
	return loc
}

func (r *fieldReader) count(f field) int {
	n, err := strconv.Atoi(r.text(f))
	if err != nil || n < 1 {
		r.fail(f.line, fmt.Sprintf("%s %q is not a number from 1", f.key, r.text(f)), "write it as 20")
		return 1
	}
	return n
}

func (r *fieldReader) patterns(f field) []string {
	var out []string
	for _, s := range r.list(f) {
		if _, err := path.Match(s, ""); err != nil {
			r.fail(f.line, fmt.Sprintf("exclude %q is not a pattern", s), `write it as notes or "*.psd"`)
		}
		out = append(out, strings.Trim(s, "/"))
	}
	return out
}

// items reads a list of {title, url}; an entry of text is an address, whose
// title is that of the document.
func (r *fieldReader) items(f field) []navItem {
	list, ok := f.value.([]any)
	if !ok && f.value != nil {
		r.fail(f.line, f.key+" is not a list", "write each entry as - {title: About, url: about.md}")
	}
	var out []navItem
	for _, v := range list {
		item := navItem{line: f.line}
		fields, ok := v.([]field)
		if !ok {
			item.url = r.text(field{f.key, f.line, v})
		}
		for _, f := range fields {
			switch f.key {
			case "title", "name":
				item.title, item.line = oneLine(r.text(f)), f.line
			case "url", "href":
				item.url, item.line = r.text(f), f.line
			}
		}
		if item.url == "" {
			r.fail(item.line, "entry of "+f.key+" has no url", "write it as - {title: About, url: about.md}")
		}
		out = append(out, item)
	}
	return out
}

// parseBase parses the address of the site. It ends in a slash, so that
// relative references resolve below it.
func parseBase(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("base URL %q is not the address of a site; write it as https://host/", s)
	}
	return u.JoinPath("/"), nil
}
