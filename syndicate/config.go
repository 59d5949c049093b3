// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package syndicate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"text/template"
	"time"
)

// Config is what a [Syndicator] is made of.
type Config struct {
	// Store keeps what was announced. Required. Several syndicators, in several
	// processes, may share one.
	Store Store

	// Targets are where posts are announced, by names of a-z, 0-9 and "-" of at
	// most 32 bytes, such as "mastodon". A name is what the records go by:
	// under a new one a target begins anew, and takes all posts as seen.
	Targets map[string]Destination

	// MaxAge is how long ago a post may have come out when it is first seen. It
	// is not announced if it is older. If zero, it is 72 hours; if negative,
	// there is no limit. A post without a date is new when it is first seen.
	MaxAge time.Duration

	// MaxPerRun is how many posts one [Syndicator.Observe] announces at a
	// target. If more are new, all of them are parked, since something is
	// probably wrong. If zero, it is 3; if negative, there is no limit.
	MaxPerRun int

	// Timeout is how long one attempt may take. After a crash the announcement
	// that was under way is not touched for as long, and ten seconds (or a
	// quarter of it, if that is less). If zero, it is one minute.
	Timeout time.Duration

	// GiveUp is how long something is tried until it is parked. If zero, it is
	// seven days.
	GiveUp time.Duration

	// MinBackoff and MaxBackoff are how long is waited after the first failure
	// and at most, unless the network says otherwise. If zero, they are five
	// seconds and fifteen minutes, or as the other one if that is beyond. What only a person can mend, such as a wrong
	// password, is tried again after four times MaxBackoff.
	MinBackoff, MaxBackoff time.Duration

	// Page is about waiting for a post's page before it is announced.
	Page Page

	// DryRun has [Syndicator.Observe] tell what it would announce, through
	// Logger and OnPreview, and change nothing.
	DryRun bool

	// OnPreview is told what a dry run would have announced. It may be nil.
	OnPreview func(Preview)

	// OnEvent is told of everything that comes about: see [Event]. It may be
	// called by several goroutines at once. What it tells of is recorded already;
	// until it returns, nothing else is done at that target, so it should be
	// quick, and it must not call Observe, Removed or Delete. If it panics, that
	// is logged. It may be nil.
	OnEvent func(Event)

	// Logger gets a line for each event. If nil, there is no log.
	Logger *slog.Logger
}

// Page says how the page of a post is waited for. Networks fetch it themselves
// for a card, most of them once, right after the announcement.
type Page struct {
	// Off announces without looking.
	Off bool
	// Client fetches pages. If nil, it is one without settings.
	Client *http.Client
	// Patience is for how long is looked until the post is parked. If zero, it
	// is one hour.
	Patience time.Duration
}

// Destination is a target, and what is to be announced there in which way.
type Destination struct {
	// Target does the announcing. Required.
	Target Target

	// Network is the name that goes for [Post.Overrides]. If empty, it is the
	// destination's own.
	Network string

	// Template makes the text, in the language of package text/template, of the
	// fields of [Post] and
	//
	//	.Link       the address with UTM parameters, or ""
	//	.Hashtags   the tags as hashtags
	//
	// with the function join of a list and a separator. The text is shortened
	// to what the network allows; a link in it always stays whole. What becomes
	// of a link that the text has not got depends on the network: it is put at
	// the end, or in the card beside the text. If empty, it is the target's, see
	// [Defaulter].
	Template string

	// UTM is added to the link.
	UTM UTM

	// Include are tags of which a post must have one, and Exclude those of
	// which it must have none, in any capitals. If Include is empty, every post
	// is meant.
	Include, Exclude []string

	// Filter, if not nil, decides as well.
	Filter func(Post) bool

	// Language, ContentWarning and Visibility hold for posts that say nothing.
	Language, ContentWarning, Visibility string

	// Edits says whether edits of a post are made on the network, too. If
	// empty, they are where that is usual: not on Bluesky and IRC.
	Edits Edits

	// FollowDeletes takes an announcement back when the post's page was removed
	// from the site, see [Syndicator.Removed].
	FollowDeletes bool
}

// Edits says what becomes of the announcement of a post that was edited.
type Edits string

// Values of [Destination.Edits].
const (
	EditsDefault Edits = ""
	EditsNever   Edits = "never"
	EditsPut     Edits = "put"
)

// DefaultTemplate makes the text for targets that have no other.
const DefaultTemplate = "{{or .Title .Summary}}{{with .Link}}\n\n{{.}}{{end}}{{with .Hashtags}}\n\n{{join . \" \"}}{{end}}"

// withDefaults returns the configuration with everything set.
func (c Config) withDefaults() Config {
	c.MaxAge = cmp.Or(c.MaxAge, 72*time.Hour)
	c.MaxPerRun = cmp.Or(c.MaxPerRun, 3)
	c.Timeout = cmp.Or(c.Timeout, time.Minute)
	c.GiveUp = cmp.Or(c.GiveUp, 7*24*time.Hour)
	shortest, longest := 5*time.Second, 15*time.Minute
	if c.MaxBackoff > 0 {
		shortest = min(shortest, c.MaxBackoff)
	}
	c.MinBackoff = cmp.Or(c.MinBackoff, shortest)
	c.MaxBackoff = cmp.Or(c.MaxBackoff, max(longest, c.MinBackoff))
	c.Page.Patience = cmp.Or(c.Page.Patience, time.Hour)
	if c.Page.Client == nil {
		c.Page.Client = &http.Client{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) check() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("set Store: without one posts would be announced again after a restart"))
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"Timeout", c.Timeout},
		{"GiveUp", c.GiveUp},
		{"MinBackoff", c.MinBackoff},
		{"MaxBackoff", c.MaxBackoff},
		{"Page.Patience", c.Page.Patience},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s is %s, and must not be negative", d.field, d.value))
		}
	}
	if set := c.withDefaults(); set.MinBackoff > set.MaxBackoff {
		errs = append(errs, fmt.Errorf("MinBackoff is %s, more than MaxBackoff of %s", set.MinBackoff, set.MaxBackoff))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Targets)) {
		if err := c.Targets[name].check(name); err != nil {
			errs = append(errs, fmt.Errorf("target %q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (d Destination) check(name string) error {
	var errs []error
	if name == "" || len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		errs = append(errs, errors.New("the name must be of a-z, 0-9 and -, and have 1 to 32 bytes"))
	}
	if d.Target == nil {
		errs = append(errs, errors.New("set Target"))
	}
	if d.Visibility != "" && !slices.Contains(Visibilities(), d.Visibility) {
		errs = append(errs, fmt.Errorf("unknown Visibility %q, want one of %q", d.Visibility, Visibilities()))
	}
	switch d.Edits {
	case EditsDefault, EditsNever, EditsPut:
	default:
		errs = append(errs, fmt.Errorf("Edits is %q, want %q, %q or nothing", d.Edits, EditsNever, EditsPut))
	}
	errs = append(errs, checkLanguage("Language", d.Language), checkText("ContentWarning", d.ContentWarning, false))
	return errors.Join(errs...)
}

// destination is a [Destination] that is ready for use.
type destination struct {
	Destination
	name     string
	text     *template.Template
	defaults Defaults
	turn     chan struct{} // holds a token: one call of the target at a time
}

func newDestination(name string, d Destination) (*destination, error) {
	dst := &destination{Destination: d, name: name, turn: make(chan struct{}, 1)}
	if t, ok := d.Target.(Defaulter); ok {
		dst.defaults = t.Defaults()
	}
	dst.Network = cmp.Or(d.Network, name)
	var err error
	dst.text, err = parseTemplate(cmp.Or(d.Template, dst.defaults.Template, DefaultTemplate))
	return dst, err
}

// exclusively calls the target when nobody else does. If it panics, that is an
// error whose outcome nobody knows: one target must not take the program with it,
// which would do the same again after each start.
func (d *destination) exclusively(ctx context.Context, call func() error) (err error) {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for the target, which is busy: %w", ctx.Err())
	}
	defer func() { <-d.turn }()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the target panicked: %v\n%s", r, debug.Stack())
		}
	}()
	return call()
}

// edits reports whether edits are made on the network.
func (d *destination) edits() bool {
	_, can := d.Target.(Editor)
	return can && (d.Edits == EditsPut || d.Edits == EditsDefault && !d.defaults.KeepFirst)
}

// wants reports whether the policy lets a post be announced here.
func (d *destination) wants(p Post) bool {
	has := func(tags []string) bool {
		return slices.ContainsFunc(tags, func(tag string) bool {
			return slices.ContainsFunc(p.Tags, func(own string) bool { return strings.EqualFold(tag, own) })
		})
	}
	return !p.Skips(d.Network) && (len(d.Include) == 0 || has(d.Include)) && !has(d.Exclude) && (d.Filter == nil || d.Filter(p))
}
