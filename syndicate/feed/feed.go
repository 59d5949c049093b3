// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package feed

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"xeiaso.net/site/syndicate"
)

var (
	// ErrFormat is returned by [Parse] for what is no feed that it reads.
	ErrFormat = errors.New("not a feed")
	// ErrTooLarge is returned by [Parse] for a feed beyond Options.MaxBytes.
	ErrTooLarge = errors.New("the feed is too large")
)

// Options are how to read a feed. The zero value is ready to use.
type Options struct {
	// URL is the address of the feed, against which relative ones are resolved.
	// If empty, the address that the feed gives for itself is taken.
	URL string
	// MaxBytes is the largest feed that is read. If zero, it is 10 MiB.
	MaxBytes int64
	// MaxItems is how many items are read; those after them are left out, with a
	// problem. If zero, it is 1,000.
	MaxItems int
}

// Feed is what was read.
type Feed struct {
	// Format is "JSON Feed", "RSS" or "Atom".
	Format string
	// Title is the name of the site, in plain text.
	Title string
	// HomePage is the address of the site.
	HomePage string
	// Language is the language of all that have no other, as a BCP 47 tag.
	Language string
	// Posts are the items, in the order of the feed.
	Posts []syndicate.Post
	// Problems are what was wrong with single items, or doubtful.
	Problems []Problem
}

// Problem is something about a feed that its author should know.
type Problem struct {
	// Item counts from 1, and is 0 for the feed as a whole.
	Item int
	// ID is the item's, if it has one.
	ID string
	// Skipped says that the item is not among the posts.
	Skipped bool
	// Err is what is wrong.
	Err error
}

// String returns the problem as a line of text.
func (p Problem) String() string {
	var s strings.Builder
	if p.Item > 0 {
		fmt.Fprintf(&s, "item %d", p.Item)
		if p.ID != "" {
			fmt.Fprintf(&s, " %.100q", p.ID)
		}
		s.WriteString(": ")
	}
	s.WriteString(strings.ReplaceAll(p.Err.Error(), "\n", "; "))
	if p.Skipped {
		s.WriteString("; the item is left out")
	}
	return s.String()
}

// Parse reads a feed. Errors of single items are in [Feed.Problems].
func Parse(r io.Reader, o Options) (*Feed, error) {
	o.MaxBytes = cmp.Or(o.MaxBytes, 10<<20)
	o.MaxItems = cmp.Or(o.MaxItems, 1000)
	data, err := io.ReadAll(io.LimitReader(r, o.MaxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("feed: %w", err)
	case int64(len(data)) > o.MaxBytes:
		return nil, fmt.Errorf("feed: %w: it has more than %d bytes", ErrTooLarge, o.MaxBytes)
	}
	p := &parser{options: o, seen: map[string]bool{}}
	if p.base, err = url.Parse(o.URL); err != nil || o.URL != "" && !p.base.IsAbs() {
		return nil, fmt.Errorf("feed: Options.URL is %q, want an absolute address", o.URL)
	}
	if data, err = p.decode(data); err == nil {
		err = p.parse(data)
	}
	if err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	return &p.feed, nil
}

// A parser reads one feed.
type parser struct {
	options Options
	base    *url.URL
	hosts   []string // of the site itself
	seen    map[string]bool
	feed    Feed
}

// parse tells the formats apart.
func (p *parser) parse(data []byte) error {
	data = bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(data) == 0:
		return fmt.Errorf("%w: it is empty", ErrFormat)
	case data[0] == '{':
		return p.json(data)
	case data[0] == '<':
		return p.xml(data)
	}
	return fmt.Errorf("%w: it begins with %.20q, want JSON or XML", ErrFormat, data)
}

// head takes over what is said of the feed as a whole.
func (p *parser) head(title, home, self, language string) {
	if self, err := url.Parse(strings.TrimSpace(self)); err == nil && p.options.URL == "" && self.IsAbs() {
		p.base = self
	}
	p.feed.Title = title
	if home != "" {
		if abs, err := resolve(p.base, home); err == nil && abs.IsAbs() {
			p.feed.HomePage = abs.String()
		}
	}
	p.feed.Language = p.language(0, "", language)
	for _, address := range []string{p.feed.HomePage, self, p.options.URL} {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			p.hosts = append(p.hosts, siteHost(u))
		}
	}
}

// siteHost is a host without what does not make another site of it.
func siteHost(u *url.URL) string { return strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.") }

// An item is a post as a feed has it, before its fields are looked at.
type item struct {
	number                 int
	base                   *url.URL
	post                   syndicate.Post // fields that need nothing more
	published, updated     string
	url, image, about      string
	language               string
	aliases                []string
	tags                   []string
	summaryHTML, titleHTML string // of RSS, which does not say whether they are HTML
}

func (p *parser) problem(number int, id string, skipped bool, err error) {
	p.feed.Problems = append(p.feed.Problems, Problem{number, id, skipped, err})
}

// add makes a post of an item. A fault in what a post can do without costs that
// alone.
func (p *parser) add(it item) {
	post := it.post
	if p.seen[post.ID] {
		p.problem(it.number, post.ID, true, errors.New("another item before it has the same id"))
		return
	}
	warn := func(err error) { p.problem(it.number, post.ID, false, err) }
	post.URL = p.address(it.base, it.url, "address", warn)
	post.Image.URL = p.address(it.base, it.image, "image", warn)
	post.About = p.address(it.base, it.about, "external address", warn)
	for _, alias := range it.aliases {
		if a := p.address(it.base, alias, "alias", warn); a != "" {
			post.Aliases = append(post.Aliases, a)
		}
	}
	if post.Image.URL == "" {
		post.Image.Alt = ""
	}
	post.External = p.external(post.URL)
	if post.Title = oneLine(post.Title); post.Title == "" {
		post.Title = titleText(it.titleHTML)
	}
	if post.Summary = oneLine(beginning(post.Summary)); post.Summary == "" {
		post.Summary = descriptionText(it.summaryHTML)
	}
	if post.Summary == "" {
		post.Summary = plainText(post.ContentHTML)
	}
	post.Summary = summary(post.Summary)
	post.Image.Alt = oneLine(post.Image.Alt)
	post.Tags, post.Authors = list(it.tags), list(post.Authors)
	post.Language = cmp.Or(p.language(it.number, post.ID, it.language), p.feed.Language)
	post.Published, post.Updated = date(it.published, warn), date(it.updated, warn)
	if post.Published.IsZero() {
		post.Published = post.Updated // Atom wants nothing but updated
	}
	if post.Updated.Equal(post.Published) {
		post.Updated = time.Time{}
	}
	if err := post.Validate(); err != nil {
		p.problem(it.number, post.ID, true, err)
		return
	}
	p.seen[post.ID] = true
	p.feed.Posts = append(p.feed.Posts, post)
}

// full reports whether no more items are read, and says so once.
func (p *parser) full(number int) bool {
	if number == p.options.MaxItems+1 {
		p.problem(0, "", false, fmt.Errorf("only the first %d items are read", p.options.MaxItems))
	}
	return number > p.options.MaxItems
}

// address resolves an address that a network could link to.
func (p *parser) address(base *url.URL, ref, what string, warn func(error)) string {
	if ref = strings.TrimSpace(ref); ref == "" {
		return ""
	}
	u, err := resolve(base, ref)
	if err == nil {
		// What a post may have is decided in one place.
		err = syndicate.Post{ID: "-", URL: u.String()}.Validate()
	}
	if err != nil {
		warn(fmt.Errorf("its %s %.100q is not usable: want one that begins with https:// or http://, or that is relative to the feed's", what, ref))
		return ""
	}
	return u.String()
}

// resolve resolves an address, forgiving blanks inside of it.
func resolve(base *url.URL, ref string) (*url.URL, error) {
	u, err := url.Parse(strings.ReplaceAll(strings.TrimSpace(ref), " ", "%20"))
	if err != nil || base == nil || !base.IsAbs() {
		return u, err
	}
	return base.ResolveReference(u), nil
}

// external reports whether an address is on another site.
func (p *parser) external(address string) bool {
	u, err := url.Parse(address)
	if err != nil || address == "" || len(p.hosts) == 0 {
		return false
	}
	for _, host := range p.hosts {
		if siteHost(u) == host {
			return false
		}
	}
	return true
}

// language returns a tag, or nothing if it is not one.
func (p *parser) language(number int, id, tag string) string {
	tag = strings.ReplaceAll(strings.TrimSpace(tag), "_", "-")
	if err := (syndicate.Post{ID: "-", Title: "-", Language: tag}).Validate(); err != nil {
		p.problem(number, id, false, fmt.Errorf("its language %.40q is no BCP 47 tag such as %q", tag, "en-GB"))
		return ""
	}
	return tag
}

// list returns texts in one line each, without those that are empty or twice.
func list(texts []string) []string {
	var all []string
	seen := map[string]bool{}
	for _, text := range texts {
		if text = oneLine(text); text != "" && !seen[text] {
			seen[text] = true
			all = append(all, text)
		}
	}
	return all
}

// Longer summaries fit nowhere; what a network allows is for its target to cut.
// It is counted in code points, which is fast and needs no more than that.
const maxSummary = 500

func summary(text string) string {
	runes := 0
	for i := range text {
		// What is looked at must be longer than what is left, and not by much.
		if runes++; runes > maxSummary+100 {
			text = text[:i]
			break
		}
	}
	short, err := syndicate.Fit(text, "", syndicate.Limit{Max: maxSummary, Count: utf8.RuneCountInString})
	if err != nil {
		return ""
	}
	return short
}

// beginning is more of a text than a summary can have.
func beginning(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "")
}
