// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Post is a post of one's own site, to be announced elsewhere.
type Post struct {
	// ID is what the post is known by for ever: the id of its feed item. Two
	// posts with the same ID are two states of one post. Required.
	ID string
	// URL is the address that announcements link to, with http or https. If
	// empty, the post has no page, and needs a Title, a Summary or ContentHTML.
	URL string
	// Aliases are former addresses, by which an announcement that was made
	// earlier can be found.
	Aliases []string
	// Title is one line of plain text. Short notes have none.
	Title string
	// Summary is a sentence or two of plain text, without line breaks.
	Summary string
	// ContentHTML is the post itself. Links in it may be relative to URL.
	ContentHTML string
	// Image is a picture for the card of the link. If its URL is empty, there
	// is none.
	Image Image
	// Authors are names of persons.
	Authors []string
	// Tags are words or phrases, without "#".
	Tags []string
	// Language is a BCP 47 tag such as "en" or "pt-BR". If empty, it is not
	// known.
	Language string
	// Published is when the post came out. If zero, that is not known.
	Published time.Time
	// Updated is when it last changed. If zero, it never did.
	Updated time.Time
	// External says that URL leads to another site: a link post that has no
	// page of its own.
	External bool
	// About is the page of another site that the post is about, if it has a
	// page of its own as well.
	About string
	// Overrides say what is different on one network, by the network's name:
	// "mastodon". Those under [Everywhere] are for all that say nothing else.
	Overrides map[string]Override
}

// Image is a picture that belongs to a post.
type Image struct {
	// URL is where the picture is, with http or https.
	URL string
	// Alt describes it for those who do not see it.
	Alt string
}

// Everywhere is the name in [Post.Overrides] that stands for all networks.
const Everywhere = "*"

// Override is what the author wants to be different on one network.
type Override struct {
	// Text stands in place of what the network's template would make. If empty,
	// the template is used.
	Text string `json:"text,omitempty"`
	// Skip keeps the post off the network. If nil, it depends on what is said
	// for all networks, and without that the post is announced.
	Skip *bool `json:"skip,omitempty"`
	// ContentWarning is shown in front of the post, where a network has that.
	ContentWarning string `json:"content_warning,omitempty"`
	// Language is the language of Text, as in Post. If empty, it is the post's.
	Language string `json:"language,omitempty"`
	// Visibility is "public", "unlisted", "private" or "direct", where a network
	// has that. If empty, it is the network's configured one.
	Visibility string `json:"visibility,omitempty"`
}

// Visibilities returns the values that [Override.Visibility] may have.
func Visibilities() []string { return []string{"public", "unlisted", "private", "direct"} }

// For returns what is to be different on a network: each field as it is said
// for the network or, if it is not, for all networks.
func (p Post) For(network string) Override {
	o, all := p.Overrides[network], p.Overrides[Everywhere]
	if o.Text == "" {
		// A language is that of a text, so the two come from one place.
		o.Text = all.Text
		if o.Language == "" {
			o.Language = all.Language
		}
	}
	if o.Skip == nil {
		o.Skip = all.Skip
	}
	if o.ContentWarning == "" {
		o.ContentWarning = all.ContentWarning
	}
	if o.Visibility == "" {
		o.Visibility = all.Visibility
	}
	return o
}

// Skips reports whether the author wants the post kept off a network.
func (p Post) Skips(network string) bool {
	skip := p.For(network).Skip
	return skip != nil && *skip
}

// Key returns the first 16 hexadecimal digits of the SHA-256 of the ID. It
// names the post in addresses and records, where an ID would not fit.
func (p Post) Key() string {
	sum := sha256.Sum256([]byte(p.ID))
	return hex.EncodeToString(sum[:8])
}

// Fingerprint returns a hash of what an announcement may show. If it differs
// between two states of a post, the post was edited.
//
// The title, summary, image, authors, tags, language, overrides and the address
// count. What does not: the dates, since many generators renew the date of
// change with every build; the content, which is not announced but as its
// summary; the order of tags; and scheme and host of addresses on the site
// itself, so that moving it to https or to another domain is not an edit of all
// that was ever posted.
func (p Post) Fingerprint() string {
	tags := slices.Sorted(slices.Values(p.Tags))
	address := p.URL
	if !p.External {
		address = withoutHost(p.URL, p.URL)
	}
	// Lists that are empty and lists that are missing mean the same.
	data, err := json.Marshal([]any{
		"post 1", address, p.Title, p.Summary, withoutHost(p.Image.URL, p.URL), p.Image.Alt, p.About,
		p.Language, p.External, append([]string{}, p.Authors...), append([]string{}, tags...), p.overrides(),
	})
	if err != nil {
		panic(err) // cannot happen: strings and booleans
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// overrides are those that say anything.
func (p Post) overrides() map[string]Override {
	said := map[string]Override{}
	for network, o := range p.Overrides {
		if o != (Override{}) {
			said[network] = o
		}
	}
	return said
}

// withoutHost takes scheme and host off an address that is on the same host as
// the other.
func withoutHost(address, other string) string {
	u, err := url.Parse(address)
	o, otherErr := url.Parse(other)
	if err != nil || otherErr != nil || !strings.EqualFold(u.Host, o.Host) {
		return address
	}
	return strings.TrimPrefix(address, u.Scheme+"://"+u.Host)
}

// The longest id and address that are accepted, in bytes. Browsers and forms
// take no longer addresses, and records have to stay small.
const maxID = 2048

// Validate returns an error that names everything about the post that is not as
// the comments of its fields say.
func (p Post) Validate() error {
	errs := []error{checkID(p.ID), checkURL("URL", p.URL, true), checkURL("Image.URL", p.Image.URL, true), checkURL("About", p.About, true)}
	if p.URL == "" && p.Title == "" && p.Summary == "" && p.ContentHTML == "" {
		errs = append(errs, errors.New("nothing to announce: URL, Title, Summary and ContentHTML are all empty"))
	}
	for _, alias := range p.Aliases {
		errs = append(errs, checkURL("Aliases", alias, false))
	}
	for _, line := range []struct{ name, text string }{{"Title", p.Title}, {"Summary", p.Summary}, {"Image.Alt", p.Image.Alt}} {
		errs = append(errs, checkText(line.name, line.text, line.name == "Image.Alt"))
	}
	for _, tag := range p.Tags {
		if strings.TrimSpace(tag) == "" {
			errs = append(errs, errors.New("one of Tags is empty"))
		}
		errs = append(errs, checkText("Tags", tag, false))
	}
	errs = append(errs, checkLanguage("Language", p.Language))
	for _, network := range slices.Sorted(maps.Keys(p.Overrides)) {
		errs = append(errs, p.Overrides[network].validate(network))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("syndicate: post %q: %w", shorten(p.ID), err)
	}
	return nil
}

func (o Override) validate(network string) error {
	name := "Overrides[" + network + "]"
	var errs []error
	if network != Everywhere && !validNetwork(network) {
		errs = append(errs, fmt.Errorf("%q in Overrides is no name of a network: use a-z, 0-9, -, _ and ., or %q for all", network, Everywhere))
	}
	if o.Visibility != "" && !slices.Contains(Visibilities(), o.Visibility) {
		errs = append(errs, fmt.Errorf("%s.Visibility is %q, want one of %q", name, o.Visibility, Visibilities()))
	}
	errs = append(errs, checkLanguage(name+".Language", o.Language), checkText(name+".Text", o.Text, true), checkText(name+".ContentWarning", o.ContentWarning, false))
	return errors.Join(errs...)
}

func validNetwork(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("ID is empty")
	case len(id) > maxID:
		return fmt.Errorf("ID has %d bytes, want at most %d", len(id), maxID)
	}
	return checkText("ID", id, false)
}

// checkURL accepts what a network could link to, and nothing that has a
// password in it.
func checkURL(field, address string, mayBeEmpty bool) error {
	if address == "" && mayBeEmpty {
		return nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("%s is %q, want an address that begins with https:// or http://", field, shorten(address))
	case u.User != nil:
		return fmt.Errorf("%s has a user name or password in it", field)
	case len(address) > maxID:
		return fmt.Errorf("%s has %d bytes, want at most %d", field, len(address), maxID)
	case strings.ContainsFunc(address, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return fmt.Errorf("%s is %q: blanks must be written as %%20", field, shorten(address))
	}
	return checkText(field, address, false)
}

func checkText(field, text string, lines bool) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s is not UTF-8", field)
	}
	control := func(r rune) bool { return unicode.IsControl(r) && !(lines && (r == '\n' || r == '\t')) }
	if strings.ContainsFunc(text, control) {
		return fmt.Errorf("%s has control characters or line breaks in it", field)
	}
	return nil
}

// checkLanguage checks the form of a tag, RFC 5646 2.1: a language of two or
// three letters (four to eight are reserved or registered), then subtags.
func checkLanguage(field, tag string) error {
	if tag == "" {
		return nil
	}
	parts := strings.Split(tag, "-")
	ok := len(tag) <= 64 && (len(parts[0]) >= 2 || strings.EqualFold(parts[0], "x") && len(parts) > 1)
	for i, part := range parts {
		ok = ok && part != "" && len(part) <= 8 && strings.IndexFunc(part, func(r rune) bool {
			letter := r|0x20 >= 'a' && r|0x20 <= 'z'
			return !letter && (i == 0 || r < '0' || r > '9')
		}) < 0
	}
	if !ok {
		return fmt.Errorf("%s is %q, want a BCP 47 tag such as %q", field, shorten(tag), "en-GB")
	}
	return nil
}

// shorten makes a value fit for an error message.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
