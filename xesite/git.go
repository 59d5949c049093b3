// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"xeiaso.net/site/internal/atomicfile"
)

// Git is a [Source]: one branch of a remote repository, fetched with the git
// command.
//
// It keeps a bare mirror in Dir and checks each commit out into a directory of
// its own, so neither a force push nor whatever a build does to its checkout
// or a kill at any moment can spoil the next one. A mirror that is damaged is
// made again. Submodules are checked out too, from mirrors of their own. Files
// in Git LFS need the git-lfs program; without it a repository that uses LFS
// is an error.
//
// The fields must not change after the first call.
type Git struct {
	// Remote is the repository: an https, http or ssh URL, the form
	// user@host:path, a file:// URL or an absolute path. Required. A user name
	// and password in it are an error: use Token.
	Remote string

	// Branch to follow. If empty, the remote's default branch.
	Branch string

	// Dir holds the mirrors. Required; nothing else may be in it.
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
}

// Format prints the source without its secrets, whatever the verb. Package fmt
// would show the token where it reports a verb that does not fit the type.
func (g Git) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "git %s %s", redactURL(g.Remote), g.Branch)
}

// ref is where the mirror keeps the branch.
const ref = "refs/xesite/tip"

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
		return "+HEAD:" + ref
	}
	return "+refs/heads/" + g.Branch + ":" + ref
}

// Checkout implements [Source]. Git works inside the checkout.
func (g *Git) Checkout(ctx context.Context, rev Revision, dir string) (string, error) {
	m := g.mirror()
	err := m.checkoutHealing(ctx, rev.ID, dir, func(fresh *mirror) error {
		// The branch may have moved on, but not every server gives out a commit
		// that is no branch's tip.
		if err := fresh.fetch(ctx, "+"+rev.ID+":"+ref); err == nil {
			return nil
		}
		return fresh.fetch(ctx, g.refspec())
	})
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

// mirror is one bare repository.
type mirror struct {
	git    *Git
	dir    string
	remote string
	depth  int // 0: all
}

// run runs git on the mirror, after putting its configuration right: a build
// can write to it through its checkout.
func (m *mirror) run(ctx context.Context, args ...string) (string, error) {
	if err := m.prepare(ctx); err != nil {
		return "", err
	}
	return m.git.runIn(ctx, m.dir, m.dir, m.remote, args...)
}

// prepare makes the repository if it is not there, and writes its config.
func (m *mirror) prepare(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(m.dir, "HEAD")); errors.Is(err, fs.ErrNotExist) {
		if err := m.init(ctx); err != nil {
			return err
		}
	}
	for _, planted := range []string{"commondir", "info", "objects/info/alternates", "objects/info/http-alternates"} {
		// Git would read another configuration, attributes, or objects there.
		if err := os.RemoveAll(filepath.Join(m.dir, filepath.FromSlash(planted))); err != nil {
			return err
		}
	}
	want := m.config()
	path := filepath.Join(m.dir, "config")
	if got, err := os.ReadFile(path); err == nil && string(got) == want {
		return nil
	}
	return atomicfile.Write(path, []byte(want), 0o600)
}

// formatFile remembers, in a mirror, that its object names are the long ones:
// its config is written anew from here.
const formatFile = "xesite-format"

func (m *mirror) init(ctx context.Context) error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	format := "sha1"
	if m.sha256(ctx) {
		format = "sha256"
		if err := atomicfile.Write(filepath.Join(m.dir, formatFile), []byte(format), 0o600); err != nil {
			return err
		}
	}
	_, err := m.git.runIn(ctx, m.dir, m.dir, m.remote, "init", "--quiet", "--bare", "--template=", "--object-format="+format, m.dir)
	return err
}

// sha256 reports whether the remote's object names are the long ones. A
// remote that does not answer will fail the fetch that follows.
func (m *mirror) sha256(ctx context.Context) bool {
	out, err := m.lsRemote(ctx, "HEAD")
	name, _, _ := strings.Cut(out, "\t")
	return err == nil && len(name) == 64
}

// config is the mirror's whole configuration. It has no credential.
func (m *mirror) config() string {
	format, extensions := 0, ""
	if head, err := os.ReadFile(filepath.Join(m.dir, formatFile)); err == nil && string(head) == "sha256" {
		format, extensions = 1, "[extensions]\n\tobjectformat = sha256\n"
	}
	c := fmt.Sprintf("[core]\n\trepositoryformatversion = %d\n\tfilemode = true\n\tbare = true\n%s", format, extensions) +
		fmt.Sprintf("[remote \"origin\"]\n\turl = %s\n", quoteConfig(m.remote))
	if hasLFS() {
		c += "[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n" +
			"\tprocess = git-lfs filter-process\n\trequired = true\n"
	}
	return c
}

// quoteConfig quotes a value of a git config file.
func quoteConfig(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// fetch brings refspec up to date.
func (m *mirror) fetch(ctx context.Context, refspecs ...string) error {
	if err := m.unlock(); err != nil {
		return err
	}
	args := []string{"fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"}
	_, err := os.Stat(filepath.Join(m.dir, "shallow"))
	switch {
	case m.depth > 0:
		args = append(args, "--depth="+strconv.Itoa(m.depth))
	case err == nil: // shallow, and all is wanted
		args = append(args, "--unshallow")
	}
	_, err = m.run(ctx, append(append(append(args, m.uploadPack()...), "origin"), refspecs...)...)
	return err
}

// uploadPack lets the other side of a fetch from a local path read a
// repository of another user, which the operator has named.
func (m *mirror) uploadPack() []string {
	if !isLocal(m.remote) || m.remote != m.git.Remote {
		return nil
	}
	return []string{"--upload-pack=git -c safe.directory='*' upload-pack"}
}

// update fetches and reads the commit that came.
func (m *mirror) update(ctx context.Context, refspec string) (Revision, error) {
	if err := m.fetch(ctx, refspec); err != nil {
		return Revision{}, err
	}
	return m.revision(ctx, ref)
}

// renew replaces the mirror by one that fill has filled. Until then the old
// one stays: what is wrong may be somewhere else.
func (m *mirror) renew(ctx context.Context, fill func(fresh *mirror) error) error {
	fresh := *m
	fresh.dir = m.dir + ".new"
	if err := os.RemoveAll(fresh.dir); err != nil {
		return err
	}
	if err := fill(&fresh); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(m.dir), os.Rename(fresh.dir, m.dir))
}

// unlock removes the locks and unfinished packs of git processes that were
// killed. The builder's lease makes sure that there is nobody else.
func (m *mirror) unlock() error {
	err := filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "objects" || d.Name() == "lfs") {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, ".lock") {
			return os.Remove(path)
		}
		return nil
	})
	unfinished, _ := filepath.Glob(filepath.Join(m.dir, "objects", "pack", "tmp_*"))
	for _, path := range unfinished {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// reachable asks the remote for what Fetch wants, without the mirror. No line
// in the answer is a failure too: a proxy's blank page looks like that.
func (m *mirror) reachable(ctx context.Context) error {
	name := "HEAD"
	if m.git.Branch != "" {
		name = "refs/heads/" + m.git.Branch
	}
	out, err := m.lsRemote(ctx, name)
	if err == nil && out == "" {
		err = fmt.Errorf("the remote has no %s", name)
	}
	return err
}

func (m *mirror) lsRemote(ctx context.Context, name string) (string, error) {
	args := append([]string{"ls-remote", "--quiet"}, m.uploadPack()...)
	// No repository: its configuration must not count here.
	return m.git.runIn(ctx, os.DevNull, m.git.Dir, m.remote, append(args, m.remote, name)...)
}

// revision reads a commit.
func (m *mirror) revision(ctx context.Context, name string) (Revision, error) {
	out, err := m.run(ctx, "log", "-1", "--format=%H%n%ct%n%s", name, "--")
	if err != nil {
		return Revision{}, fmt.Errorf("read commit: %w", err)
	}
	lines := strings.SplitN(out, "\n", 3)
	if len(lines) < 3 {
		return Revision{}, fmt.Errorf("git log says %q", out)
	}
	seconds, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return Revision{}, fmt.Errorf("git log says %q", out)
	}
	return Revision{ID: lines[0], Time: time.Unix(seconds, 0).UTC(), Subject: strings.TrimSpace(lines[2])}, nil
}

// checkout makes a working tree of a commit.
func (m *mirror) checkout(ctx context.Context, commit, dir string) error {
	if err := m.unlock(); err != nil {
		return err
	}
	// Trees of earlier builds are gone; so must be git's memory of them.
	if _, err := m.run(ctx, "worktree", "prune", "--expire=now"); err != nil {
		return err
	}
	if _, err := m.run(ctx, "worktree", "add", "--quiet", "--detach", "--force", "--force", dir, commit); err != nil {
		if strings.Contains(err.Error(), "filter lfs failed") {
			return &lfsError{err}
		}
		return err
	}
	if hasLFS() {
		return nil
	}
	out, err := m.git.run(ctx, dir, m.remote, "ls-files", "--", ":(attr:filter=lfs)")
	if first, _, _ := strings.Cut(out, "\n"); err == nil && first != "" {
		return &lfsError{fmt.Errorf("%q is in Git LFS, and the git-lfs program is not installed: install it", first)}
	}
	return err
}

// lfsError is one that a new mirror would not mend.
type lfsError struct{ error }

// checkoutHealing is checkout, with a second attempt on a mirror filled anew:
// objects may be missing or spoiled.
func (m *mirror) checkoutHealing(ctx context.Context, commit, dir string, fill func(fresh *mirror) error) error {
	err := m.checkout(ctx, commit, dir)
	var lfs *lfsError
	if err == nil || ctx.Err() != nil || errors.As(err, &lfs) {
		return err
	}
	if err2 := errors.Join(removeAll(dir), m.renew(ctx, fill)); err2 != nil {
		return errors.Join(err, err2)
	}
	return m.checkout(ctx, commit, dir)
}

// maxSubmodules bounds how deep submodules may nest.
const maxSubmodules = 8

// submodules checks out the submodules of a working tree, and theirs.
func (g *Git) submodules(ctx context.Context, parent *mirror, tree, remote string, depth int) error {
	if info, err := os.Lstat(filepath.Join(tree, ".gitmodules")); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if depth == maxSubmodules {
		return fmt.Errorf("submodules nest more than %d deep", maxSubmodules)
	}
	out, err := g.run(ctx, tree, remote, "config", "--file", ".gitmodules", "--null", "--get-regexp", `^submodule\..*\.path$`)
	if err != nil {
		return fmt.Errorf(".gitmodules: %w", err)
	}
	for entry := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		key, path, _ := strings.Cut(entry, "\n")
		name := strings.TrimSuffix(strings.TrimPrefix(key, "submodule."), ".path")
		if err := g.submodule(ctx, tree, remote, name, path, depth); err != nil {
			return fmt.Errorf("submodule %q: %w", path, err)
		}
	}
	return nil
}

func (g *Git) submodule(ctx context.Context, tree, remote, name, path string, depth int) error {
	commit, err := g.gitlink(ctx, tree, remote, path)
	if err != nil || commit == "" {
		return err
	}
	address, err := g.run(ctx, tree, remote, "config", "--file", ".gitmodules", "--get", "submodule."+name+".url")
	if err != nil {
		return fmt.Errorf("it has no URL: %w", err)
	}
	address, err = resolveSubmodule(remote, strings.TrimSpace(address))
	if err != nil {
		return err
	}
	m := &mirror{git: g, dir: filepath.Join(absolute(g.Dir), "modules", hashName(address)+".git"), remote: address, depth: g.depth()}
	if err := m.fetchCommit(ctx, commit); err != nil {
		return fmt.Errorf("fetch %s: %w", redactURL(address), err)
	}
	target := filepath.Join(tree, filepath.FromSlash(path))
	err = m.checkoutHealing(ctx, commit, target, func(fresh *mirror) error { return fresh.fetchCommit(ctx, commit) })
	if err != nil {
		return err
	}
	return g.submodules(ctx, m, target, address, depth+1)
}

// gitlink returns the commit of the submodule at path, empty if there is none.
func (g *Git) gitlink(ctx context.Context, tree, remote, path string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return "", errors.New("its path is not inside the repository")
	}
	out, err := g.run(ctx, tree, remote, "ls-files", "--stage", "-z", "--", ":(literal)"+path)
	fields := strings.Fields(out)
	if err != nil || len(fields) < 2 || fields[0] != "160000" {
		return "", err
	}
	return fields[1], nil
}

// fetchCommit fetches one commit, which may be no branch's tip.
func (m *mirror) fetchCommit(ctx context.Context, commit string) error {
	if _, err := m.run(ctx, "cat-file", "-e", commit+"^{tree}"); err == nil {
		return nil
	}
	if err := m.fetch(ctx, "+"+commit+":"+ref); err == nil || ctx.Err() != nil {
		return err
	}
	// Some servers give out only what has a name.
	all := *m
	all.depth = 0
	return all.fetch(ctx, "+refs/heads/*:refs/xesite/heads/*", "+refs/tags/*:refs/xesite/tags/*")
}

// resolveSubmodule returns the URL of a submodule, which may be relative to
// that of its parent. The repository's author chooses it, so local paths are
// never followed.
func resolveSubmodule(parent, address string) (string, error) {
	if strings.HasPrefix(address, "./") || strings.HasPrefix(address, "../") {
		address = joinRemote(parent, address)
	}
	if err := checkRemote(address); err != nil {
		return "", err
	}
	if filepath.IsAbs(address) || strings.HasPrefix(address, "file:") {
		return "", fmt.Errorf("%q is a local path: submodules must be reached over https or ssh", address)
	}
	return address, nil
}

// joinRemote applies a relative address as git does: each "../" takes a
// segment off the parent.
func joinRemote(parent, relative string) string {
	parent = strings.TrimRight(parent, "/")
	for {
		if rest, ok := strings.CutPrefix(relative, "./"); ok {
			relative = rest
			continue
		}
		rest, ok := strings.CutPrefix(relative, "../")
		i := strings.LastIndexAny(parent, "/:")
		if !ok || i < 0 {
			return parent + "/" + relative
		}
		if parent[i] == ':' {
			return parent[:i+1] + rest
		}
		parent, relative = parent[:i], rest
	}
}
