// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Git is a [Source]: one branch of a remote repository, fetched with the git
// command.
//
// It keeps a bare mirror in Dir and checks each commit out into a directory of
// its own, so neither a force push nor whatever a build does to its checkout
// or a kill at any moment can spoil the next one. A mirror that is damaged is
// made again. Submodules are checked out too, from mirrors of their own. Files
// in Git LFS need the git-lfs program; without it a repository that uses LFS
// is an error. Between builds it checks the newest commit out in advance, which
// takes the space of one checkout in Dir.
//
// The fields must not change after the first call.
type Git struct {
	// Remote is the repository: an https, http or ssh URL, the form
	// user@host:path, a file:// URL or an absolute path. Required. A user name
	// and password in it are an error: use Token.
	Remote string

	// Branch to follow. If empty, the remote's default branch.
	Branch string

	// Dir holds the mirrors; nothing else may be in it. If empty, it is "git"
	// in the data directory of the [Site]; a Git of its own needs one.
	Dir string

	// Token is sent to the remote's host over https as the password of a basic
	// authentication, and to no other host.
	Token Secret

	// SSHKeyFile is the private key for ssh remotes. If empty, ssh finds one.
	SSHKeyFile string

	// KnownHostsFile has the host keys to trust for ssh remotes. If empty, the
	// key that a host shows first is trusted and kept in Dir.
	KnownHostsFile string

	// Depth is the number of commits that are fetched. If zero, 1; if
	// negative, the whole history, for generators that read dates from git.
	Depth int

	// WatchLocal makes Watch tell when the branch moves, if Remote is a path
	// on this machine.
	WatchLocal bool

	// Timeout bounds one fetch or checkout. If zero, 5 minutes.
	Timeout time.Duration

	ref    string // where the mirror keeps the branch, if it is a preview's
	newest string // the commit of the last fetch
	spare  *spare // nil if there is none
}

// Format prints the source without its secrets, whatever the verb. Package fmt
// would show the token where it reports a verb that does not fit the type.
func (g Git) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "git %s %s", redactURL(g.Remote), g.Branch)
}

const (
	// tipRef is where the mirror keeps the site's branch.
	tipRef = "refs/xesite/tip"
	// previewRefs begins the names of those of previews.
	previewRefs = "refs/xesite/preview/"
)

// Check reports what is wrong with the configuration, without any network.
func (g *Git) Check() error {
	if g.Dir == "" {
		return errors.New("xesite: Git.Dir is empty: name a directory for the mirrors")
	}
	if err := checkRemote(g.Remote); err != nil {
		return fmt.Errorf("xesite: %w", err)
	}
	if strings.HasPrefix(g.Branch, "-") || strings.ContainsAny(g.Branch, " \t\n~^:?*[\\\x7f") || strings.Contains(g.Branch, "..") {
		return fmt.Errorf("xesite: %q is not the name of a branch", g.Branch)
	}
	for _, file := range []string{g.SSHKeyFile, g.KnownHostsFile} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("xesite: ssh file: %w", err)
		}
	}
	return nil
}

// scpForm is user@host:path, which ssh users write.
var scpForm = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:[^:]+$`)

// urlForm is a URL that lacks its slashes, and would be taken for a host "https".
var urlForm = regexp.MustCompile(`^(https?|ssh|file|git|ftps?):`)

// helperForm is <helper>::<address>, by which git runs any program.
var helperForm = regexp.MustCompile(`^[A-Za-z0-9_-]*::`)

// checkRemote accepts what an operator may name. Everything else, such as
// git's ext:: remotes that run commands, is refused.
func checkRemote(remote string) error {
	switch {
	case remote == "":
		return errors.New("the remote is empty: name a repository's URL or absolute path")
	case strings.HasPrefix(remote, "-"), helperForm.MatchString(remote), strings.ContainsFunc(remote, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("the remote %q is not a URL", redactURL(remote))
	case filepath.IsAbs(remote), !strings.Contains(remote, "://") && !urlForm.MatchString(remote) && scpForm.MatchString(remote):
		return nil
	}
	u, err := url.Parse(remote)
	if err != nil || u.Opaque != "" {
		return fmt.Errorf("the remote %q is not a URL", redactURL(remote))
	}
	if !slices.Contains([]string{"https", "http", "ssh", "file"}, u.Scheme) {
		return fmt.Errorf("the remote %q is not an https, http, ssh or file URL, nor an absolute path", redactURL(remote))
	}
	if u.Scheme != "file" && (u.Hostname() == "" || strings.HasPrefix(u.Host, "-")) || u.Scheme == "file" && (u.Host != "" || u.Path == "") {
		return fmt.Errorf("the remote %q has no host, or a strange one", redactURL(remote))
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return errors.New("the remote has a query or a fragment, which a repository's URL has not: leave it out, and give a credential as the token")
	}
	if _, hasPassword := u.User.Password(); hasPassword || u.User != nil && u.Scheme != "ssh" {
		return fmt.Errorf("the remote %q has a password in it: leave it out and give it as the token", redactURL(remote))
	}
	return nil
}

// redactURL takes what may be a credential out of a URL that may be malformed.
func redactURL(s string) string {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		if scheme := strings.Index(s, "://"); scheme >= 0 && scheme < at {
			return s[:scheme+3] + "[redacted]" + s[at:]
		}
	}
	return s
}

// Fetch implements [Source].
func (g *Git) Fetch(ctx context.Context) (Revision, error) {
	if err := g.Check(); err != nil {
		return Revision{}, err
	}
	if err := os.MkdirAll(g.Dir, 0o700); err != nil {
		return Revision{}, fmt.Errorf("xesite: %w", err)
	}
	g.killOrphans()
	m := g.mirror()
	rev, err := m.update(ctx, g.refspec())
	if err != nil && ctx.Err() == nil && m.reachable(ctx) == nil {
		// The remote is well, so the mirror is not: a kill or a full disk can
		// leave it in many states, and none of it is worth keeping.
		err = m.renew(ctx, func(fresh *mirror) error {
			rev, err = fresh.update(ctx, g.refspec())
			return err
		})
	}
	if err != nil {
		return Revision{}, fmt.Errorf("xesite: fetch %s: %w", redactURL(g.Remote), g.explain(err))
	}
	g.newest = rev.ID
	return rev, nil
}

// explain adds the remedy to git's commonest complaints.
func (g *Git) explain(err error) error {
	text := err.Error()
	for _, hint := range []struct{ sign, remedy string }{
		{"couldn't find remote ref", "the branch does not exist there: check the branch's name"},
		{"could not read Username", "the repository is private or does not exist: check the URL and the token"},
		{"Authentication failed", "the remote refuses the token: check that it is valid and may read the repository"},
		{"UNPROTECTED PRIVATE KEY FILE", "others may read the ssh key: set its mode to 0600"},
		{"REMOTE HOST IDENTIFICATION HAS CHANGED", "the host shows another key than before: if that is right, remove the old one from the known hosts file"},
		{"Host key verification failed", "the host's key is not in the known hosts file"},
		{"Permission denied (publickey", "the remote refuses the ssh key"},
		{"does not appear to be a git repository", "there is no repository at this place"},
	} {
		if strings.Contains(text, hint.sign) {
			return fmt.Errorf("%w (%s)", err, hint.remedy)
		}
	}
	return err
}

func (g *Git) refspec() string {
	if g.Branch == "" {
		return "+HEAD:" + g.tip()
	}
	return "+refs/heads/" + g.Branch + ":" + g.tip()
}

// tip is where the mirror keeps the branch.
func (g *Git) tip() string { return cmp.Or(g.ref, tipRef) }

// At implements [Branched]. What it returns shares the mirror.
func (g *Git) At(branch string) Source {
	other := *g
	other.Branch, other.ref = branch, previewRefs+hashName(branch)
	other.newest, other.spare = "", nil
	return &other
}

// Branches implements [Branched].
func (g *Git) Branches(ctx context.Context) (tips map[string]string, own string, err error) {
	if err := os.MkdirAll(g.Dir, 0o700); err != nil {
		return nil, "", fmt.Errorf("xesite: %w", err)
	}
	out, err := g.mirror().lsRemote(ctx, "--symref", "HEAD", "refs/heads/*")
	if err != nil {
		return nil, "", fmt.Errorf("xesite: list the branches of %s: %w", redactURL(g.Remote), g.explain(err))
	}
	tips, own = map[string]string{}, g.Branch
	for line := range strings.Lines(out) {
		value, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		branch, isBranch := strings.CutPrefix(name, "refs/heads/")
		target, isHead := strings.CutPrefix(value, "ref: refs/heads/")
		switch {
		case isHead && name == "HEAD":
			own = cmp.Or(own, target)
		case isBranch && !strings.HasPrefix(branch, "-"):
			tips[branch] = value
		}
	}
	if _, ok := tips[own]; !ok {
		// A proxy's blank page looks like this too.
		return nil, "", fmt.Errorf("xesite: list the branches of %s: the branch %q is not among them", redactURL(g.Remote), own)
	}
	return tips, own, nil
}

// Prune implements [Branched].
func (g *Git) Prune(ctx context.Context, branches []string) error {
	m := g.mirror()
	if !isDir(m.dir) {
		return nil
	}
	out, err := m.run(ctx, "for-each-ref", "--format=%(refname)", previewRefs)
	if err != nil {
		return fmt.Errorf("xesite: %w", err)
	}
	keep := func(name string) bool {
		return slices.ContainsFunc(branches, func(b string) bool { return name == previewRefs+hashName(b) })
	}
	var errs []error
	for name := range strings.FieldsSeq(out) {
		if keep(name) {
			continue
		}
		if _, err := m.run(ctx, "update-ref", "-d", name); err != nil {
			errs = append(errs, fmt.Errorf("xesite: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Checkout implements [Source]. Git works inside the checkout.
func (g *Git) Checkout(ctx context.Context, rev Revision, dir string) (string, error) {
	m := g.mirror()
	var err error
	if !g.takeSpare(ctx, m, rev.ID, dir) {
		err = m.checkoutHealing(ctx, rev.ID, dir, func(fresh *mirror) error {
			// The branch may have moved on, but not every server gives out a
			// commit that is no branch's tip.
			if err := fresh.fetch(ctx, "+"+rev.ID+":"+g.tip()); err == nil {
				return nil
			}
			return fresh.fetch(ctx, g.refspec())
		})
	}
	if err == nil {
		err = g.submodules(ctx, m, dir, g.Remote, 0)
	}
	if err != nil {
		return "", fmt.Errorf("xesite: check out %s: %w", rev.Short(), g.explain(err))
	}
	return dir, nil
}

func (g *Git) mirror() *mirror {
	return &mirror{git: g, dir: filepath.Join(absolute(g.Dir), "site.git"), remote: g.Remote, depth: g.depth()}
}

func (g *Git) depth() int {
	switch {
	case g.Depth == 0:
		return 1
	case g.Depth < 0:
		return 0
	}
	return g.Depth
}

// Maintain implements [Maintainer]: it packs the mirrors when they have become
// untidy, and makes a checkout in advance. Git's own housekeeping is switched
// off elsewhere, so that none runs behind a build's back. What no branch
// reaches any more, such as the commits before a force push, goes.
func (g *Git) Maintain(ctx context.Context) error {
	mirrors, err := filepath.Glob(filepath.Join(absolute(g.Dir), "modules", "*.git"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range append(mirrors, g.mirror().dir) {
		if !isDir(dir) {
			continue
		}
		// The remote is not needed; the next fetch writes it into the mirror's
		// configuration again.
		m := &mirror{git: g, dir: dir}
		_, err := m.run(ctx, "-c", "gc.auto=1000", "-c", "gc.autoPackLimit=20", "-c", "gc.autoDetach=false",
			"gc", "--quiet", "--auto", "--prune=now")
		if err != nil && ctx.Err() == nil {
			errs = append(errs, fmt.Errorf("xesite: tidy %s: %w", filepath.Base(dir), err))
		}
	}
	if err := g.makeSpare(ctx); err != nil {
		errs = append(errs, fmt.Errorf("xesite: check out in advance: %w", err))
	}
	return errors.Join(errs...)
}
