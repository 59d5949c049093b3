// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"xeiaso.net/site/internal/atomicfile"
	"xeiaso.net/site/xesite/release"
)

// Previews says which branches beside the site's own are built, each at an
// address of its own. The source has to be [Branched], such as [Git].
//
// A preview is built when its branch is pushed, with the same builder, data
// files and gates as the site, and with an address of its own as SITE_URL. It
// is never told to search engines, [Config.OnPublish] is not told of it, and a
// build of the site goes before it. Whoever may push to the repository may run
// the builder: pull requests from forks are never built.
type Previews struct {
	// Branches are the branches to build, as patterns of [path.Match] whose "*"
	// does not match slashes. "*" alone stands for all. Required.
	Branches []string

	// Domain is the host, with its port if it is not the default one, below
	// which each preview has a host of its own: "preview.example.com" makes
	// "my-draft.preview.example.com". It needs a DNS record and a certificate
	// for "*.preview.example.com". Or it is a path that begins with a slash,
	// such as "/preview", below which they are on the site's own host; that
	// asks of the generator that it can make sites that are not at the root of
	// a host. If empty, "preview." and the host of the site.
	Domain string

	// Token is asked of visitors, once a browser: in a form, or as the query
	// "token" of a link. If empty, everybody sees what they know the address of.
	Token Secret

	// Expiry is how long after the last push a preview is removed. If zero, 14
	// days; if negative, it stays as long as the branch does.
	Expiry time.Duration

	// Max is how many previews are kept, those pushed last. If zero, 20.
	Max int
}

// Format prints which previews they are without their token, whatever the verb,
// see [Git.Format].
func (p Previews) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "previews of %q", p.Branches) }

// Defaults of Previews.
const (
	defaultPreviewExpiry = 14 * 24 * time.Hour
	defaultPreviewMax    = 20
)

// Branched is a [Source] that has more than one branch.
type Branched interface {
	Source
	// Branches returns the commits at the tips of all branches, and the name
	// of the one that Fetch follows.
	Branches(ctx context.Context) (tips map[string]string, own string, err error)
	// At returns a source that follows another branch. It is not used at the
	// same time as this one.
	At(branch string) Source
	// Prune removes what is held for other branches than these and its own.
	Prune(ctx context.Context, branches []string) error
}

// ErrNotBuilt is the error of a trigger for a branch that is not built.
var ErrNotBuilt = errors.New("xesite: this branch is not built")

// Check returns what is wrong with the previews of a site.
func (p Previews) Check(source Source, siteURL string) error {
	_, err := p.withDefaults(source, siteURL)
	return err
}

// withDefaults returns the previews with every field set, or what is wrong.
func (p Previews) withDefaults(source Source, siteURL string) (*Previews, error) {
	if _, ok := source.(Branched); !ok {
		return nil, errors.New("xesite: Config.Previews: the source has no branches: use a *Git")
	}
	if len(p.Branches) == 0 {
		return nil, errors.New(`xesite: Previews.Branches is empty: name branches, or "*" for all`)
	}
	for _, pattern := range p.Branches {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return nil, fmt.Errorf("xesite: Previews.Branches: %q is not a pattern such as %q", pattern, "draft/*")
		}
	}
	u, err := url.Parse(siteURL)
	if err != nil {
		return nil, err
	}
	p.Domain = strings.TrimSuffix(cmp.Or(p.Domain, "preview."+u.Host), "/")
	if inPath := strings.HasPrefix(p.Domain, "/"); inPath && path.Clean(p.Domain) != p.Domain || !inPath && !domainForm.MatchString(p.Domain) {
		return nil, fmt.Errorf("xesite: Previews.Domain: %q is neither a host such as preview.example.com nor a path such as /preview", p.Domain)
	}
	p.Domain = strings.ToLower(p.Domain)
	switch {
	case strings.HasPrefix(p.Domain+"/", ownPrefix):
		return nil, fmt.Errorf("xesite: Previews.Domain: %q is where the hooks are: use another path, such as /preview", p.Domain)
	case strings.HasSuffix(strings.ToLower(u.Host), "."+p.Domain):
		return nil, fmt.Errorf("xesite: Previews.Domain: the site itself, at %q, is below %q: use another domain, such as %q", u.Host, p.Domain, "preview."+p.Domain)
	}
	p.Expiry = cmp.Or(p.Expiry, defaultPreviewExpiry)
	p.Max = max(cmp.Or(p.Max, defaultPreviewMax), 1)
	return &p, nil
}

// domainForm is a host name with or without a port.
var domainForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?$`)

// previews are the channels of all branches but the site's own.
type previews struct {
	Previews
	site *Site
	on   bool
	tips sync.Mutex // guards the file of the branches' tips

	mu       sync.Mutex // guards what follows
	channels map[string]*channel
	own      string // the site's branch, empty as long as it is not known
}

func newPreviews(s *Site, cfg *Previews) *previews {
	p := &previews{site: s, channels: map[string]*channel{}}
	if cfg != nil {
		p.Previews, p.on = *cfg, true
	}
	if g, ok := s.cfg.Source.(*Git); ok {
		p.own = g.Branch
	}
	return p
}

// previewRecord says that there is a preview. It is in the file
// "channels/<name>.json", where every instance finds it.
type previewRecord struct {
	Branch string `json:"branch"`
	// Made tells one that was removed and came back from the one before: its
	// publications are numbered anew.
	Made   time.Time `json:"made"`
	Pushed time.Time `json:"pushed"`
}

// Preview is what is known of one preview.
type Preview struct {
	Name    string    `json:"name"` // of the channel, and in its address
	Branch  string    `json:"branch"`
	URL     string    `json:"url"`
	Current *Current  `json:"current"` // null: it was never built
	Pushed  time.Time `json:"pushed"`
	// Expires is when it is removed unless it is pushed again; zero: with the
	// branch.
	Expires time.Time `json:"expires,omitzero"`
}

// channelName returns the name of a branch's channel: one DNS label, in which
// the branch can be recognized. Where that takes a change, a part of its hash
// keeps two branches apart.
func channelName(branch string) string {
	label := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, branch)
	plain := label == branch && len(label) <= 40 && label == strings.Trim(label, "-") && !strings.Contains(label, "--")
	if plain && label != production && !hashedForm.MatchString(label) {
		return label
	}
	label = strings.Trim(label[:min(len(label), 40)], "-")
	return strings.TrimPrefix(label+"-"+hashName(branch)[:8], "-")
}

// hashedForm is a label that could be another branch's, with its hash.
var hashedForm = regexp.MustCompile(`-[0-9a-f]{8}$`)

// wants reports whether a branch gets a preview. A name that is no text would
// be another one in our records.
func (p *previews) wants(branch string) bool {
	return utf8.ValidString(branch) && slices.ContainsFunc(p.Branches, func(pattern string) bool {
		ok, _ := path.Match(pattern, branch) // was checked
		return ok || pattern == "*"
	})
}

// resolve makes the branch of a trigger empty if it is the site's own, and
// returns ErrNotBuilt if it gets no preview.
func (s *Site) resolve(t *Trigger) error {
	if !s.previews.on {
		t.Branch = ""
	}
	if t.Branch == "" {
		return nil
	}
	own := s.previews.ownBranch()
	holder, mine := s.lease.holder()
	switch {
	case own == "" && !mine && holder != "":
		// The builder knows more.
	case own == "", t.Branch == own:
		// As long as the site's own branch is not known, this may be it. If it
		// is not, the next look at the branches finds the push.
		t.Branch = ""
	case !s.previews.wants(t.Branch):
		return fmt.Errorf("%w: %q: see Previews.Branches", ErrNotBuilt, t.Branch)
	}
	return nil
}

// ownBranch returns the site's branch, empty as long as it is not known.
func (p *previews) ownBranch() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.own
}

func (p *previews) recordPath(name string) string {
	return p.site.path("channels", name+".json")
}

func (p *previews) record(name string) (previewRecord, error) {
	var r previewRecord
	if err := release.CheckChannel(name); err != nil {
		return r, err
	}
	b, err := os.ReadFile(p.recordPath(name))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	return r, err
}

// url returns the address of a preview.
func (p *previews) url(name string) string {
	u, _ := url.Parse(p.site.cfg.SiteURL) // was checked
	if strings.HasPrefix(p.Domain, "/") {
		u.Path = p.Domain + "/" + name + "/"
	} else {
		u.Host, u.Path = name+"."+p.Domain, "/"
	}
	return u.String()
}

// channel returns the channel of a preview that has a record.
func (p *previews) channel(name string, r previewRecord) *channel {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.channels[name]
	if c == nil || !c.made.Equal(r.Made) {
		c = &channel{site: p.site, name: name, branch: r.Branch, made: r.Made, siteURL: p.url(name)}
		c.source = p.site.cfg.Source.(Branched).At(r.Branch)
		c.pages = reloadTag(p.base(name))
		p.channels[name] = c
	}
	return c
}

// base is the path at which a preview's root is.
func (p *previews) base(name string) string {
	if strings.HasPrefix(p.Domain, "/") {
		return p.Domain + "/" + name
	}
	return ""
}

// find returns the channel of a preview, nil if there is none, up to date with
// what other instances have published.
func (p *previews) find(ctx context.Context, name string) *channel {
	r, err := p.record(name)
	if err != nil {
		p.mu.Lock()
		delete(p.channels, name)
		p.mu.Unlock()
		return nil
	}
	c := p.channel(name, r)
	c.load(context.WithoutCancel(ctx)) // others wait for it too
	return c
}

// begin makes a branch's preview exist, before its build.
func (p *previews) begin(branch string) (*channel, error) {
	name, now := channelName(branch), time.Now().UTC()
	r, err := p.record(name)
	if err != nil || r.Branch != branch {
		r = previewRecord{Branch: branch, Made: now}
	}
	r.Pushed = now
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.Write(p.recordPath(name), b, 0o644); err != nil {
		return nil, fmt.Errorf("xesite: %w", err)
	}
	c := p.channel(name, r)
	c.load(context.Background())
	return c, nil
}

// all returns the previews there are, those pushed last first.
func (p *previews) all() (all []Preview) {
	entries, err := os.ReadDir(p.site.path("channels"))
	if err != nil {
		p.site.log.Warn("look for previews", "err", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		r, err := p.record(name)
		if !ok || err != nil {
			continue
		}
		v := Preview{Name: name, Branch: r.Branch, URL: p.url(name), Pushed: r.Pushed}
		if p.Expiry > 0 {
			v.Expires = r.Pushed.Add(p.Expiry)
		}
		if ptr, err := p.site.store.Pointer(name); err == nil {
			if pub, err := p.site.store.Publication(name, ptr.Sequence); err == nil {
				cur := current(pub)
				v.Current = &cur
			}
		}
		all = append(all, v)
	}
	slices.SortStableFunc(all, func(a, b Preview) int { return b.Pushed.Compare(a.Pushed) })
	return all
}

// Previews lists the previews, those pushed last first.
func (s *Site) Previews() []Preview {
	if !s.previews.on {
		return nil
	}
	return s.previews.all()
}

// RemovePreview removes a preview before its time. It comes back when its
// branch is pushed again.
func (s *Site) RemovePreview(ctx context.Context, name string) error {
	if holder, mine := s.lease.holder(); !mine {
		return &NotBuilderError{holder}
	}
	if _, err := s.previews.record(name); err != nil {
		return fmt.Errorf("xesite: preview %q: %w", name, release.ErrNoRelease)
	}
	s.publishing.Lock()
	defer s.publishing.Unlock()
	return s.previews.remove(ctx, name)
}

// remove removes a preview: first what makes it answer. The caller holds the
// site's publishing.
func (p *previews) remove(ctx context.Context, name string) error {
	if err := os.Remove(p.recordPath(name)); err != nil {
		return fmt.Errorf("xesite: remove preview: %w", err)
	}
	p.mu.Lock()
	c := p.channels[name]
	delete(p.channels, name)
	p.mu.Unlock()
	if c != nil {
		c.serving.Store(nil)
		c.reload.notify()
	}
	p.site.log.InfoContext(ctx, "removed a preview", "channel", name)
	return p.site.store.Remove(ctx, name)
}

// expire removes the previews that have had their time, that are too many or
// not wanted any more, or of which only a part is left; all of them if there
// are none any more.
func (p *previews) expire(ctx context.Context) {
	branches, err := p.drop(ctx)
	if p.on { // not under the lock of publications: it runs programs
		err = errors.Join(err, p.site.cfg.Source.(Branched).Prune(ctx, branches))
	}
	if err != nil && ctx.Err() == nil {
		p.site.log.WarnContext(ctx, "remove old previews", "err", err)
	}
}

// drop does what expire says and returns the branches of the previews that
// are left.
func (p *previews) drop(ctx context.Context) (branches []string, err error) {
	p.site.publishing.Lock()
	defer p.site.publishing.Unlock()
	var errs []error
	own := p.ownBranch()
	for _, v := range p.all() {
		wanted := p.on && p.wants(v.Branch) && v.Branch != own
		if wanted && len(branches) < p.Max && (v.Expires.IsZero() || time.Now().Before(v.Expires)) {
			branches = append(branches, v.Branch)
		} else {
			errs = append(errs, p.remove(ctx, v.Name))
		}
	}
	channels, err := p.site.store.Channels()
	for _, name := range channels {
		// Not those whose record cannot be read at the moment.
		if _, err := p.record(name); name != production && errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, p.site.store.Remove(ctx, name))
		}
	}
	return branches, errors.Join(append(errs, err)...)
}

// poll looks for branches that were pushed without a webhook, or before the
// site's own branch was known, until ctx ends.
func (p *previews) poll(ctx context.Context) {
	for {
		if err := p.look(ctx); err != nil && ctx.Err() == nil {
			p.site.log.WarnContext(ctx, "look at the branches", "err", err)
		}
		interval := p.site.cfg.Poll
		if interval < 0 {
			return
		}
		if !pause(ctx, jitter(interval)) {
			return
		}
	}
}

// look compares the tips of the branches with those it saw before. At first
// sight nothing was pushed: an old repository may have hundreds of branches.
func (p *previews) look(ctx context.Context) error {
	asked := time.Now()
	tips, own, err := p.site.cfg.Source.(Branched).Branches(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.own = own
	p.mu.Unlock()
	p.removeDeleted(ctx, tips, asked)
	return p.updateTips(func(seen map[string]string, first bool) (map[string]string, error) {
		now := maps.Clone(tips)
		for branch, tip := range tips {
			if first || branch == own || seen[branch] == tip || !p.wants(branch) {
				continue
			}
			if _, err := p.site.Trigger(ctx, Trigger{Source: SourcePoll, Branch: branch, Hint: tip}); err != nil {
				return nil, err
			}
			now[branch] = seen[branch] // until it is built: see built
		}
		return now, nil
	})
}

// built notes that a branch was built, or failed to, as its source shows it. A
// push whose build was cut off with the process is found again.
func (p *previews) built(branch, commit string) error {
	return p.updateTips(func(seen map[string]string, first bool) (map[string]string, error) {
		if first || commit == "" {
			return nil, nil
		}
		seen[branch] = commit
		return seen, nil
	})
}

// updateTips replaces the tips of branches that have been seen, unless there
// are no new ones. First says that none were ever kept.
func (p *previews) updateTips(f func(seen map[string]string, first bool) (map[string]string, error)) error {
	p.tips.Lock()
	defer p.tips.Unlock()
	seen := map[string]string{}
	file := p.site.path("builds", "branches.json")
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &seen)
	}
	now, err := f(seen, err != nil)
	if err != nil || now == nil {
		return err
	}
	if b, err = json.Marshal(now); err != nil {
		return err
	}
	return atomicfile.Write(file, b, 0o644)
}

// removeDeleted removes the previews of branches that were gone at a time.
func (p *previews) removeDeleted(ctx context.Context, tips map[string]string, at time.Time) {
	p.site.publishing.Lock()
	defer p.site.publishing.Unlock()
	for _, v := range p.all() {
		if _, ok := tips[v.Branch]; ok || v.Pushed.After(at) {
			continue
		}
		if err := p.remove(ctx, v.Name); err != nil {
			p.site.log.WarnContext(ctx, "remove the preview of a deleted branch", "channel", v.Name, "err", err)
		}
	}
}
