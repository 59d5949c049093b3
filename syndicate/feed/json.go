// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"xeiaso.net/site/syndicate"
)

// How deep JSON may be nested. Feeds need five levels; the rest is for
// extensions of others.
const maxDepth = 100

// A loose text is a string, or what should have been one: an id that is a
// number is to be read, https://www.jsonfeed.org/version/1.1/.
type loose string

// UnmarshalJSON takes strings, numbers, booleans and null.
func (l *loose) UnmarshalJSON(data []byte) error {
	switch {
	case string(data) == "null":
		*l = ""
	case data[0] == '"':
		return json.Unmarshal(data, (*string)(l))
	case data[0] == '{' || data[0] == '[':
		return fmt.Errorf("want a text, not %.20q", data)
	default:
		*l = loose(data)
	}
	return nil
}

type jsonFeed struct {
	Version     loose             `json:"version"`
	Title       loose             `json:"title"`
	HomePageURL loose             `json:"home_page_url"`
	FeedURL     loose             `json:"feed_url"`
	Language    loose             `json:"language"`
	Items       []json.RawMessage `json:"items"`
}

type jsonItem struct {
	ID            loose           `json:"id"`
	URL           loose           `json:"url"`
	ExternalURL   loose           `json:"external_url"`
	Title         loose           `json:"title"`
	ContentHTML   loose           `json:"content_html"`
	ContentText   loose           `json:"content_text"`
	Summary       loose           `json:"summary"`
	Image         loose           `json:"image"`
	BannerImage   loose           `json:"banner_image"`
	DatePublished loose           `json:"date_published"`
	DateModified  loose           `json:"date_modified"`
	Authors       []jsonAuthor    `json:"authors"`
	Author        *jsonAuthor     `json:"author"` // version 1
	Tags          []loose         `json:"tags"`
	Language      loose           `json:"language"`
	Syndicate     json.RawMessage `json:"_syndicate"`
}

type jsonAuthor struct {
	Name loose `json:"name"`
}

// An extension is the object _syndicate of an item. Its own overrides are for
// all networks.
type extension struct {
	syndicate.Override
	About    loose                         `json:"about"` // of what kind the extension is, for people
	ImageAlt string                        `json:"image_alt"`
	Aliases  []string                      `json:"aliases"`
	Networks map[string]syndicate.Override `json:"networks"`
}

func (p *parser) json(data []byte) error {
	if err := checkDepth(data); err != nil {
		return err
	}
	var f jsonFeed
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if !strings.Contains(string(f.Version), "jsonfeed.org/version/1") {
		return fmt.Errorf("%w: its version is %.60q, want %q", ErrFormat, string(f.Version), "https://jsonfeed.org/version/1.1")
	}
	p.feed.Format = "JSON Feed"
	p.head(oneLine(string(f.Title)), string(f.HomePageURL), string(f.FeedURL), string(f.Language))
	for i, raw := range f.Items {
		if p.full(i + 1) {
			break
		}
		p.jsonItem(i+1, raw)
	}
	return nil
}

// checkDepth returns an error if brackets are nested too deep.
func checkDepth(data []byte) error {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && (c == '{' || c == '['):
			if depth++; depth > maxDepth {
				return fmt.Errorf("%w: it is nested deeper than %d levels", ErrFormat, maxDepth)
			}
		case !quoted && (c == '}' || c == ']'):
			depth--
		}
	}
	return nil
}

func (p *parser) jsonItem(number int, raw json.RawMessage) {
	var j jsonItem
	if err := json.Unmarshal(raw, &j); err != nil {
		p.problem(number, strings.TrimSpace(string(j.ID)), true, wrongType(err))
		return
	}
	id := strings.TrimSpace(string(j.ID))
	if id == "" {
		p.problem(number, "", true, errors.New("no id"))
		return
	}
	it := item{
		number: number, base: p.base,
		url: string(j.URL), about: string(j.ExternalURL), image: cmp.Or(string(j.Image), string(j.BannerImage)),
		published: string(j.DatePublished), updated: string(j.DateModified), language: string(j.Language),
		post: syndicate.Post{
			ID: id, Title: string(j.Title), ContentHTML: string(j.ContentHTML),
			Summary: cmp.Or(string(j.Summary), beginning(string(j.ContentText))),
		},
	}
	it.address(id)
	for _, tag := range j.Tags {
		it.tags = append(it.tags, string(tag))
	}
	if j.Author != nil && len(j.Authors) == 0 {
		j.Authors = []jsonAuthor{*j.Author}
	}
	for _, author := range j.Authors {
		it.post.Authors = append(it.post.Authors, string(author.Name))
	}
	if err := p.extend(&it, j.Syndicate); err != nil {
		p.problem(number, id, true, fmt.Errorf("its _syndicate: %w", err))
		return
	}
	p.add(it)
}

// wrongType says of an error of package json what its reader can mend.
func wrongType(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("its %s is a JSON %s, which is not what belongs there", cmp.Or(strings.TrimPrefix(wrong.Field, "Override."), "value"), wrong.Value)
	}
	return err
}

// address settles where a post is that does not say so: an id should be its
// address, and what it is about may be its only one.
func (it *item) address(id string) {
	if it.url == "" && (strings.HasPrefix(id, "https://") || strings.HasPrefix(id, "http://")) {
		it.url = id
	}
	if it.url == "" {
		it.url = it.about
	}
	if it.url == it.about {
		it.about = ""
	}
}

// extend takes over the extension object of an item.
func (p *parser) extend(it *item, raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var x extension
	if err := json.Unmarshal(raw, &x); err != nil {
		return wrongType(err)
	}
	for _, name := range unknown(raw) {
		p.problem(it.number, it.post.ID, false, fmt.Errorf("its _syndicate has a field %.60q, which is not known", name))
	}
	it.post.Image.Alt = x.ImageAlt
	it.aliases = x.Aliases
	overrides := map[string]syndicate.Override{}
	if x.Override != (syndicate.Override{}) {
		overrides[syndicate.Everywhere] = x.Override
	}
	maps.Copy(overrides, x.Networks)
	if len(overrides) > 0 {
		it.post.Overrides = overrides
	}
	return nil
}

// unknown lists the fields of an extension object that mean nothing, at the top
// and for single networks.
func unknown(raw json.RawMessage) []string {
	var names []string
	for name, value := range fields(raw) {
		if name == "networks" {
			for network, o := range fields(value) {
				for field := range fields(o) {
					if !isOverride(field) {
						names = append(names, "networks."+network+"."+field)
					}
				}
			}
			continue
		}
		if !isOverride(name) && !slices.Contains([]string{"about", "image_alt", "aliases"}, strings.ToLower(name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// fields returns the fields of an object, and none of anything else.
func fields(raw json.RawMessage) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&all); err != nil {
		return nil
	}
	return all
}

// isOverride reports whether a field is one of [syndicate.Override].
// Encoding/json takes names in any case.
func isOverride(name string) bool {
	return slices.Contains([]string{"text", "skip", "content_warning", "language", "visibility"}, strings.ToLower(name))
}
