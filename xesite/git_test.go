// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

// newGit is a source without a site around it.
func newGit(t *testing.T, remote string) *xesite.Git {
	t.Helper()
	return &xesite.Git{Remote: remote, Dir: filepath.Join(t.TempDir(), "git"), Timeout: patience}
}

// checkout fetches and checks out, and returns the commit and the directory.
func checkout(t *testing.T, g *xesite.Git) (xesite.Revision, string) {
	t.Helper()
	rev, err := g.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir, err := g.Checkout(t.Context(), rev, filepath.Join(t.TempDir(), "tree"))
	if err != nil {
		t.Fatal(err)
	}
	return rev, dir
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s: %q, %v; want %q", path, got, err, want)
	}
}

func TestRemoteForms(t *testing.T) {
	for remote, ok := range map[string]bool{
		"https://git.example/me/site":          true,
		"http://[::1]:3000/site.git":           true,
		"ssh://git@git.example:2222/~me/site":  true,
		"git@git.example:me/site.git":          true,
		"git.example:site":                     true,
		"file:///srv/site.git":                 true,
		"/srv/a b:c/site.git":                  true,
		"":                                     false,
		"site.git":                             false,
		"./site.git":                           false,
		"ext::sh -c id":                        false,
		"fd::17":                               false,
		"::x":                                  false,
		"-uhttps://git.example/x":              false,
		"--upload-pack=id":                     false,
		"ssh://-oProxyCommand=id/x":            false,
		"-oProxyCommand=id:x":                  false,
		"git://git.example/x":                  false,
		"ftp://git.example/x":                  false,
		"https:///x":                           false,
		"https:git.example":                    false,
		"file://other.example/x":               false,
		"https://me:hunter2@git.example/x":     false,
		"https://hunter2@git.example/x":        false,
		"ssh://git:hunter2@git.example/x":      false,
		"https://git.example/x?token=hunter2":  false,
		"https://git.example/x\n--upload-pack": false,
		"https://git.example/%zz@hunter2@x/":   false,
	} {
		err := (&xesite.Git{Remote: remote, Dir: "/nonexistent"}).Check()
		if ok != (err == nil) {
			t.Errorf("%q: %v, want accepted: %t", remote, err, ok)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") && !strings.Contains(remote, "%zz") {
			t.Errorf("%q: the error tells the password: %v", remote, err)
		}
	}
}

// The original was stuck at "non-fast-forward update" after the first of these.
func TestHistoryMayChangeInAnyWay(t *testing.T) {
	for name, depth := range map[string]int{"shallow": 1, "full": -1} {
		t.Run(name, func(t *testing.T) {
			repo := newRepo(t)
			git(t, repo, repo.Bare, "config", "receive.denyDeleteCurrent", "ignore")
			g := newGit(t, repo.HTTPServer("").URL)
			g.Branch, g.Depth = "main", depth
			step := func(name, want string) {
				t.Helper()
				rev, dir := checkout(t, g)
				if rev.ID != want {
					t.Errorf("%s: commit %s, want %s", name, rev.ID, want)
				}
				wantFile(t, filepath.Join(dir, "site/index.html"), name)
			}
			first := repo.Git("rev-parse", "HEAD")
			step("first", first)
			step("second", change(repo, "second"))

			repo.Write("site/index.html", "amended")
			repo.Git("commit", "--quiet", "--all", "--amend", "--message", "amended")
			repo.ForcePush()
			step("amended", repo.Git("rev-parse", "HEAD"))

			repo.Git("reset", "--quiet", "--hard", first)
			repo.ForcePush()
			step("first", first)

			repo.Git("push", "--quiet", "origin", "main:spare")
			repo.Git("push", "--quiet", "origin", ":main")
			if _, err := g.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "check the branch's name") {
				t.Errorf("deleted branch: %v", err)
			}
			repo.Git("push", "--quiet", "origin", "main")
			step("third", change(repo, "third"))

			repo.Git("checkout", "--quiet", "--orphan", "unrelated")
			repo.Git("rm", "-rfq", ".")
			repo.Write("site/index.html", "unrelated")
			unrelated := repo.Commit("unrelated")
			repo.Git("push", "--quiet", "--force", "origin", "unrelated:main")
			step("unrelated", unrelated)
		})
	}
}

func TestRepositoryReplacedByAnother(t *testing.T) {
	repo := newRepo(t)
	g := newGit(t, repo.Bare)
	checkout(t, g)
	for _, format := range []string{"sha1", "sha256"} {
		other := t.TempDir()
		if err := os.RemoveAll(repo.Bare); err != nil {
			t.Fatal(err)
		}
		git(t, repo, other, "init", "--quiet", "--bare", "--initial-branch=trunk", "--object-format="+format, repo.Bare)
		git(t, repo, other, "init", "--quiet", "--initial-branch=trunk", "--object-format="+format)
		writeFile(t, filepath.Join(other, "page"), format)
		git(t, repo, other, "add", ".")
		git(t, repo, other, "commit", "--quiet", "--message", format)
		git(t, repo, other, "push", "--quiet", repo.Bare, "trunk")
		rev, dir := checkout(t, g)
		wantFile(t, filepath.Join(dir, "page"), format)
		if want := git(t, repo, other, "rev-parse", "HEAD"); rev.ID != want {
			t.Errorf("commit %s, want %s", rev.ID, want)
		}
	}
}

func git(t *testing.T, repo *gittest.Repo, dir string, args ...string) string {
	t.Helper()
	out, err := repo.TryGit(dir, []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=protocol.file.allow", "GIT_CONFIG_VALUE_0=always"}, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDefaultBranchIsFollowedWhereItMoves(t *testing.T) {
	repo := newRepo(t)
	g := newGit(t, repo.HTTPServer("").URL)
	checkout(t, g)
	repo.Branch("renamed/main")
	want := change(repo, "renamed")
	git(t, repo, repo.Bare, "symbolic-ref", "HEAD", "refs/heads/renamed/main")
	repo.Git("push", "--quiet", "origin", ":main")
	if rev, _ := checkout(t, g); rev.ID != want || rev.Subject != "make it renamed" || rev.Time.Year() != 2026 {
		t.Errorf("revision %+v, want %s", rev, want)
	}
}

func TestGitWorksInTheCheckout(t *testing.T) {
	repo := newRepo(t)
	for i := range 4 {
		change(repo, fmt.Sprint(i))
	}
	for depth, want := range map[int]string{0: "1", 1: "1", 3: "3", -1: "5"} {
		g := newGit(t, "file://"+repo.Bare)
		g.Depth = depth
		_, dir := checkout(t, g)
		if got := git(t, repo, dir, "rev-list", "--count", "HEAD"); got != want {
			t.Errorf("depth %d: %s commits, want %s", depth, got, want)
		}
		if got := git(t, repo, dir, "status", "--porcelain"); got != "" {
			t.Errorf("depth %d: status %q", depth, got)
		}
		if got := git(t, repo, dir, "log", "-1", "--format=%s", "--", "site/index.html"); got != "make it 3" {
			t.Errorf("depth %d: log says %q", depth, got)
		}
	}
	// A depth that is changed later.
	g := newGit(t, repo.Bare)
	for _, step := range []struct {
		depth int
		want  string
	}{{1, "1"}, {-1, "5"}, {2, "2"}, {-1, "5"}} {
		g.Depth = step.depth
		_, dir := checkout(t, g)
		if got := git(t, repo, dir, "rev-list", "--count", "HEAD"); got != step.want {
			t.Errorf("depth %d: %s commits, want %s", step.depth, got, step.want)
		}
	}
}

func TestFilesArriveAsCommitted(t *testing.T) {
	repo := gittest.New(t)
	repo.WriteFiles(map[string]string{
		".gitattributes": "*.crlf text eol=crlf\n*.lf text eol=lf\n*.bin -text\nsecret.txt export-ignore\nid.txt ident\n",
		"a.crlf":         "a\nb\n", "a.lf": "a\r\nb\r\n", "a.bin": "a\r\nb\n\x00",
		"secret.txt": "stays", "id.txt": "$Id$",
		"häß/日本 語.txt": "unicode", "we ird;$(id)'\".txt": "quoted",
		".well-known/x": "dot",
	})
	repo.WriteScript("run.sh", "#!/bin/sh\n")
	repo.Symlink("a.bin", "link")
	repo.Symlink("/etc/passwd", "outside")
	repo.Commit("all sorts")
	repo.Push()
	_, dir := checkout(t, newGit(t, repo.HTTPServer("").URL))
	for name, want := range map[string]string{
		"a.crlf": "a\r\nb\r\n", "a.lf": "a\nb\n", "a.bin": "a\r\nb\n\x00", "secret.txt": "stays",
		"häß/日本 語.txt": "unicode", "we ird;$(id)'\".txt": "quoted", "link": "a\r\nb\n\x00", ".well-known/x": "dot",
	} {
		wantFile(t, filepath.Join(dir, name), want)
	}
	if info, err := os.Stat(filepath.Join(dir, "run.sh")); err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Errorf("run.sh: %v, %v", info.Mode(), err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "outside")); err != nil || target != "/etc/passwd" {
		t.Errorf("link to %q, %v", target, err)
	}
}

const token = "s3cr3t-t0ken-0f-the-0perat0r"

func TestTokenOpensAPrivateRepository(t *testing.T) {
	repo := newRepo(t)
	server := repo.HTTPServer(token)
	for given, want := range map[xesite.Secret]string{
		token:         "",
		"wrong-token": "the remote refuses the token",
		"":            "check the URL and the token",
	} {
		g := newGit(t, server.URL)
		g.Token = given
		_, err := g.Fetch(t.Context())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("token %q: %v, want %q", given.Reveal(), err, want)
		}
		if err != nil && given != "" && strings.Contains(err.Error(), given.Reveal()) {
			t.Errorf("the error tells the token: %v", err)
		}
	}
}

// Everything that can be read without being the operator is searched, while
// git hangs with the token, and after builds that went well and badly.
func TestTokenIsNowhereToBeSeen(t *testing.T) {
	repo := newRepo(t)
	server := repo.HTTPServer(token)
	r := newRig(t, server.URL, func(cfg *xesite.Config) {
		cfg.Source.(*xesite.Git).Token = token
		cfg.Builder = xesite.Command{Line: "env > env.txt; cat env.txt; git config --list --show-origin; mkdir _site; cp -R site/. env.txt _site/"}
	}).run()
	wait.Until(t, "the first build is served", r.Ready)
	if code, env := r.page("/env.txt"); code != 200 || strings.Contains(env, token) {
		t.Errorf("the generator's environment: %d\n%s", code, env)
	}

	server.SetFault(gittest.Hang)
	before := server.Requests()
	ticket, err := r.Trigger(t.Context(), xesite.Trigger{Source: "github"})
	if err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "git hangs", func() bool { return server.Requests() > before })
	found := false
	for _, file := range glob(t, "/proc/[0-9]*/cmdline") {
		line, _ := os.ReadFile(file) // others' processes end meanwhile
		found = found || strings.Contains(string(line), "git\x00")
		if strings.Contains(string(line), token) {
			t.Errorf("a command line has the token: %q", line)
		}
	}
	if !found {
		t.Error("no git process was looked at")
	}
	r.stop()
	if b, err := ticket.Wait(t.Context()); err != nil || b.Result != xesite.ResultSuperseded {
		t.Errorf("%+v, %v", b, err)
	}
	if logs := r.logs.String(); strings.Contains(logs, token) || strings.Contains(fmt.Sprintf("%+v %#v", r.cfg, r.cfg.Source), token) {
		t.Error("the logs or the printed configuration have the token")
	}
	walk(t, r.cfg.DataDir, func(path string) {
		if content, err := os.ReadFile(path); err == nil && strings.Contains(string(content), token) {
			t.Errorf("%s has the token", path)
		}
	})
}

// Package fmt does not call the methods of values in unexported fields.
func TestTokenIsNotPrintedWithWhatHoldsIt(t *testing.T) {
	g := newGit(t, "https://git.example/me/site")
	g.Token = token
	previews := &xesite.Previews{Branches: []string{"*"}, Token: token}
	r := newRig(t, "unused", func(cfg *xesite.Config) { cfg.Source, cfg.Previews = g, previews })
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		for _, value := range []any{g, *g, previews, *previews, r.cfg, &r.cfg, r.Site, xesite.Admin{Token: token}} {
			out := fmt.Sprintf(format, value)
			if strings.Contains(out, token) || strings.Contains(out, hex.EncodeToString([]byte(token))) {
				t.Errorf("%s of %T has the token: %s", format, value, out)
			}
		}
	}
	if out, err := json.Marshal(g); err != nil || strings.Contains(string(out), token) {
		t.Errorf("%s, %v", out, err)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// walk calls f for all regular files below dir.
func walk(t *testing.T, dir string, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			f(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// spy is a server on another origin that wants to know the token.
type spy struct {
	*httptest.Server
	requests atomic.Int64
	headers  atomic.Pointer[http.Header] // of a request with credentials
}

func newSpy(t *testing.T, answer http.Handler) *spy {
	s := &spy{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if r.Header.Get("Authorization") != "" {
			h := r.Header.Clone()
			s.headers.Store(&h)
		}
		answer.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *spy) check(t *testing.T) {
	t.Helper()
	if s.requests.Load() == 0 {
		t.Error("the other server was not asked")
	}
	if h := s.headers.Load(); h != nil {
		t.Errorf("the other server got credentials: %v", *h)
	}
}

// An extra header, the usual way to pass a token, goes along with a redirect.
func TestTokenStaysWithItsHostOverARedirect(t *testing.T) {
	for name, demand := range map[string]bool{"open": false, "asks for credentials": true} {
		t.Run(name, func(t *testing.T) {
			other := newSpy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if demand {
					w.Header().Set("WWW-Authenticate", `Basic realm="all your tokens"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
				fmt.Fprint(w, "001e# service=git-upload-pack\n0000000eversion 2\n000cls-refs\n0012fetch=shallow\n0000")
			}))
			first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, other.URL+r.URL.String(), http.StatusFound)
			}))
			defer first.Close()
			g := newGit(t, first.URL+"/site.git")
			g.Token = token
			if _, err := g.Fetch(t.Context()); err == nil || strings.Contains(err.Error(), token) {
				t.Errorf("error %v", err)
			}
			other.check(t)
		})
	}
}

// addSubmodule records a commit of another repository.
func addSubmodule(repo *gittest.Repo, name, url, commit string) {
	repo.Git("config", "--file", ".gitmodules", "submodule."+name+".path", name)
	repo.Git("config", "--file", ".gitmodules", "submodule."+name+".url", url)
	repo.Git("update-index", "--add", "--cacheinfo", "160000,"+commit+","+name)
	repo.Git("add", ".gitmodules")
	repo.Git("commit", "--quiet", "--message", "add "+name)
}

func TestTokenIsNotSentToASubmodulesHost(t *testing.T) {
	repo := newRepo(t)
	other := newSpy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="all your tokens"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	addSubmodule(repo, "theme", other.URL+"/theme.git", repo.Git("rev-parse", "HEAD"))
	repo.Push()
	g := newGit(t, repo.HTTPServer(token).URL)
	g.Token = token
	rev, err := g.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Checkout(t.Context(), rev, filepath.Join(t.TempDir(), "tree"))
	if err == nil || !strings.Contains(err.Error(), `submodule "theme"`) || !strings.Contains(err.Error(), "check the URL and the token") {
		t.Errorf("error %v", err)
	}
	other.check(t)
}

// serveAll serves bare repositories below root, as a forge does.
func serveAll(t *testing.T, repos ...*gittest.Repo) (url string, path func(*gittest.Repo) string) {
	t.Helper()
	root := t.TempDir()
	names := map[*gittest.Repo]string{}
	for i, repo := range repos {
		names[repo] = fmt.Sprintf("repo%d.git", i)
		if err := os.Symlink(repo.Bare, filepath.Join(root, names[repo])); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(&cgi.Handler{
		Path: gittest.Require(t), Args: []string{"http-backend"}, Dir: root, Stderr: t.Output(),
		Env: append(repos[0].Env(), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1"),
	})
	t.Cleanup(server.Close)
	return server.URL, func(r *gittest.Repo) string { return names[r] }
}

func TestSubmodules(t *testing.T) {
	repo, lib, nested := newRepo(t), gittest.New(t), gittest.New(t)
	nested.Write("nested.txt", "nested, old")
	old := nested.Commit("old")
	nested.Write("nested.txt", "nested, new")
	nested.Commit("new")
	nested.Push()
	url, name := serveAll(t, repo, lib, nested)

	lib.Write("lib.txt", "lib")
	lib.Commit("lib")
	addSubmodule(lib, "deep/nested", "../"+name(nested), old) // no tip, and relative
	lib.Push()
	libCommit := lib.Git("rev-parse", "HEAD")
	addSubmodule(repo, "themes/lib", url+"/"+name(lib), libCommit) // absolute
	addSubmodule(repo, "same", "../"+name(nested), nested.Git("rev-parse", "HEAD"))
	repo.Git("config", "--file", ".gitmodules", "submodule.gone.path", "gone") // an entry without a commit
	repo.Git("config", "--file", ".gitmodules", "submodule.gone.url", "https://nonexistent.invalid/")
	repo.Git("add", ".gitmodules")
	repo.Git("commit", "--quiet", "--message", "gone")
	repo.Push()

	g := newGit(t, url+"/"+name(repo))
	for range 2 { // the second time from the mirrors
		_, dir := checkout(t, g)
		wantFile(t, filepath.Join(dir, "themes/lib/lib.txt"), "lib")
		wantFile(t, filepath.Join(dir, "themes/lib/deep/nested/nested.txt"), "nested, old")
		wantFile(t, filepath.Join(dir, "same/nested.txt"), "nested, new")
		if got := git(t, repo, filepath.Join(dir, "themes/lib"), "rev-parse", "HEAD"); got != libCommit {
			t.Errorf("git in the submodule is at %s, want %s", got, libCommit)
		}
	}

	// A mirror of a submodule that is damaged is made again, like the site's.
	for _, pack := range append(glob(t, filepath.Join(g.Dir, "modules/*/objects/pack/*.pack")), glob(t, filepath.Join(g.Dir, "modules/*/objects/??/*"))...) {
		if err := os.Remove(pack); err != nil {
			t.Fatal(err)
		}
	}
	_, dir := checkout(t, g)
	wantFile(t, filepath.Join(dir, "themes/lib/deep/nested/nested.txt"), "nested, old")
}

func TestSubmodulesNeverReadLocalPaths(t *testing.T) {
	secret := newRepo(t)
	commit := secret.Git("rev-parse", "HEAD")
	for name, url := range map[string]string{
		"path": secret.Bare, "file": "file://" + secret.Bare, "helper": "ext::cat " + secret.Bare,
		"option": "--upload-pack=touch /tmp/x", "relative": "../" + filepath.Base(secret.Bare), "dot": "./x",
	} {
		t.Run(name, func(t *testing.T) {
			repo := newRepo(t)
			addSubmodule(repo, "theme", url, commit)
			repo.Push()
			g := newGit(t, repo.Bare) // the operator may
			rev, err := g.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = g.Checkout(t.Context(), rev, filepath.Join(t.TempDir(), "tree"))
			if err == nil || !strings.Contains(err.Error(), `submodule "theme"`) ||
				!strings.Contains(err.Error(), "is a local path") && !strings.Contains(err.Error(), "is not a URL") && !strings.Contains(err.Error(), "is not an https") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestSSH(t *testing.T) {
	repo := newRepo(t)
	server := repo.SSHServer()
	fetch := func(edit func(*xesite.Git)) (*xesite.Git, error) {
		g := newGit(t, server.URL)
		// A path that ssh would take apart.
		g.Dir = filepath.Join(t.TempDir(), "dir of 100%h", "git")
		g.SSHKeyFile, g.KnownHostsFile = server.KeyFile, server.KnownHosts
		edit(g)
		_, err := g.Fetch(t.Context())
		return g, err
	}
	if _, err := fetch(func(g *xesite.Git) {}); err != nil {
		t.Error(err)
	}
	key := filepath.Join(t.TempDir(), "my %u key")
	if content, err := os.ReadFile(server.KeyFile); err != nil || os.WriteFile(key, content, 0o600) != nil {
		t.Fatal(err)
	}
	if _, err := fetch(func(g *xesite.Git) { g.SSHKeyFile = key }); err != nil {
		t.Error(err)
	}

	hosts, err := os.ReadFile(server.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	wrongKey := filepath.Join(t.TempDir(), "known_hosts")
	pub, err := os.ReadFile(server.KeyFile + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, wrongKey, strings.Fields(string(hosts))[0]+" "+string(pub))
	if _, err := fetch(func(g *xesite.Git) { g.KnownHostsFile = wrongKey }); err == nil || !strings.Contains(err.Error(), "known hosts file") {
		t.Errorf("wrong host key: %v", err)
	}
	empty := filepath.Join(t.TempDir(), "known_hosts")
	writeFile(t, empty, "")
	if _, err := fetch(func(g *xesite.Git) { g.KnownHostsFile = empty }); err == nil || !strings.Contains(err.Error(), "not in the known hosts file") {
		t.Errorf("unknown host key: %v", err)
	}

	// Without a file, the first key is remembered …
	g, err := fetch(func(g *xesite.Git) { g.KnownHostsFile = "" })
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(g.Dir, "known_hosts")
	if kept, err := os.ReadFile(file); err != nil || !strings.Contains(string(kept), strings.Fields(string(hosts))[2]) {
		t.Errorf("kept %q, %v; want the key in %q", kept, err, hosts)
	}
	// … and another one is refused.
	writeFile(t, file, strings.Fields(string(hosts))[0]+" "+string(pub))
	if _, err := g.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "another key than before") {
		t.Errorf("changed host key: %v", err)
	}

	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := fetch(func(g *xesite.Git) { g.SSHKeyFile = key }); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("key that others may read: %v", err)
	}
}

// A service that runs as another user than the one who owns the repository is
// usual; the operator has named the path.
func TestLocalRepositoryOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		need.Missing(t, "not root", "sudo go test")
	}
	repo := newRepo(t)
	err := filepath.WalkDir(repo.Bare, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, 65534, 65534)
	})
	if err != nil {
		t.Fatal(err)
	}
	checkout(t, newGit(t, repo.Bare))
}

func TestDamagedMirrorIsMadeAgain(t *testing.T) {
	remove := func(pattern string) func(t *testing.T, mirror string) {
		return func(t *testing.T, mirror string) {
			names := glob(t, filepath.Join(mirror, pattern))
			if len(names) == 0 {
				t.Skipf("no %s", pattern)
			}
			for _, name := range names {
				if err := os.RemoveAll(name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	overwrite := func(pattern, content string) func(t *testing.T, mirror string) {
		return func(t *testing.T, mirror string) {
			names := glob(t, filepath.Join(mirror, pattern))
			if len(names) == 0 {
				names = []string{filepath.Join(mirror, pattern)}
			}
			for _, name := range names {
				os.Chmod(name, 0o644)
				writeFile(t, name, content)
			}
		}
	}
	for name, damage := range map[string]func(t *testing.T, mirror string){
		"no packs":          remove("objects/pack/*.pack"),
		"no index of packs": remove("objects/pack/*.idx"),
		"empty packs":       overwrite("objects/pack/*.pack", ""),
		"spoiled packs":     overwrite("objects/pack/*.pack", "PACK\x00\x00\x00\x02\x00\x00\x00\x09 and garbage"),
		"no objects":        remove("objects"),
		"no HEAD":           remove("HEAD"),
		"empty HEAD":        overwrite("HEAD", ""),
		"no refs":           remove("refs"),
		"empty ref":         overwrite("refs/xesite/tip", ""),
		"garbage ref":       overwrite("refs/xesite/tip", "not a hash\n"),
		"ref to nothing":    overwrite("refs/xesite/tip", strings.Repeat("12", 20)+"\n"),
		"ref is in the way": func(t *testing.T, mirror string) {
			remove("refs/xesite/tip")(t, mirror)
			writeFile(t, filepath.Join(mirror, "refs/xesite/tip/x"), strings.Repeat("12", 20)+"\n")
		},
		"garbage shallow": overwrite("shallow", "garbage\n"),
		"no shallow":      remove("shallow"),
		"garbage config":  overwrite("config", "[core\n"),
		"no config":       remove("config"),
		"packed garbage":  overwrite("packed-refs", "garbage\n"),
		"mirror is a file": func(t *testing.T, mirror string) {
			if err := os.RemoveAll(mirror); err != nil {
				t.Fatal(err)
			}
			writeFile(t, mirror, "")
		},
		"config is a directory": func(t *testing.T, mirror string) {
			remove("config")(t, mirror)
			writeFile(t, filepath.Join(mirror, "config/x"), "")
		},
		"left locks": func(t *testing.T, mirror string) {
			for _, lock := range []string{"shallow.lock", "config.lock", "packed-refs.lock", "HEAD.lock", "index.lock", "refs/xesite/tip.lock", "worktrees/tree/index.lock"} {
				writeFile(t, filepath.Join(mirror, lock), "")
			}
		},
		"left worktree": overwrite("worktrees/tree/gitdir", "/nonexistent/.git"),
		"alternates":    overwrite("objects/info/alternates", "/nonexistent\n"),
		"attributes":    overwrite("info/attributes", "* text eol=crlf\n"),
		"grafts":        overwrite("info/grafts", strings.Repeat("12", 20)+"\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := newRepo(t)
			for i := range 150 { // enough for a pack
				repo.Write(fmt.Sprintf("site/%d.txt", i), fmt.Sprint(i))
			}
			change(repo, "lines\n")
			g := newGit(t, "file://"+repo.Bare)
			checkout(t, g)
			for _, moved := range []bool{false, true} {
				damage(t, filepath.Join(g.Dir, "site.git"))
				want := repo.Git("rev-parse", "HEAD")
				if moved {
					want = change(repo, "more\nlines\n")
				}
				rev, dir := checkout(t, g)
				if rev.ID != want {
					t.Errorf("commit %s, want %s", rev.ID, want)
				}
				wantFile(t, filepath.Join(dir, "site/149.txt"), "149")
				if moved {
					wantFile(t, filepath.Join(dir, "site/index.html"), "more\nlines\n")
				}
			}
		})
	}
}

// Objects may be lost between the fetch and the checkout, when the branch has
// moved on already.
func TestDamageBetweenFetchAndCheckout(t *testing.T) {
	repo := newRepo(t)
	g := newGit(t, "file://"+repo.Bare)
	rev, err := g.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	change(repo, "second")
	if err := os.RemoveAll(filepath.Join(g.Dir, "site.git", "objects")); err != nil {
		t.Fatal(err)
	}
	dir, err := g.Checkout(t.Context(), rev, filepath.Join(t.TempDir(), "tree"))
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(dir, "site/index.html"), "first")
}

// A mirror in a directory of another repository must not be taken for that one
// when it is damaged.
func TestRepositoryAroundTheDataDirectoryIsLeftAlone(t *testing.T) {
	around := newRepo(t)
	repo := newRepo(t)
	g := newGit(t, repo.Bare)
	g.Dir = filepath.Join(around.Dir, "var", "git")
	checkout(t, g)
	refs, config := around.Git("for-each-ref"), around.Git("config", "--list")
	if err := os.Remove(filepath.Join(g.Dir, "site.git", "HEAD")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(g.Dir, "site.git", "HEAD"), "garbage")
	checkout(t, g)
	if got := around.Git("for-each-ref"); got != refs {
		t.Errorf("refs %s, before %s", got, refs)
	}
	if got := around.Git("config", "--list"); got != config {
		t.Errorf("config %s, before %s", got, config)
	}
}

// A build finds the mirror through its checkout's .git and can write to it.
// Nothing that it leaves there may run when its time is over.
func TestNothingPlantedInTheMirrorRuns(t *testing.T) {
	repo := newRepo(t)
	repo.Write(".gitattributes", "*.html filter=evil diff=evil merge=evil\n")
	repo.Commit("attributes")
	repo.Push()
	traces, planted := t.TempDir(), t.TempDir()
	// An own configuration by every way that git knows, all of them leave a trace.
	plant := `set -e
mirror=$(git rev-parse --git-common-dir)
evil() { printf '#!/bin/sh\ntouch %s/'"$1"'\ncat\n' "` + traces + `" > "$mirror/evil-$1"; chmod 755 "$mirror/evil-$1"; echo "$mirror/evil-$1"; }
config() {
	for key in core.fsmonitor core.sshCommand core.askPass core.editor core.pager core.gitProxy credential.helper uploadpack.packObjectsHook \
		remote.origin.uploadpack filter.evil.clean filter.evil.smudge filter.evil.process filter.lfs.process filter.lfs.smudge diff.evil.command diff.external gpg.program gc.recentObjectsHook; do
		git config --file "$1" $key "$(evil $key)"
	done
	git config --file "$1" core.hooksPath "$mirror/evil-hooks"
	for alias in fetch worktree log ls-files gc; do git config --file "$1" alias.$alias "!$(evil alias)"; done
	git config --file "$1" core.attributesFile "$mirror/evil-attributes"
	git config --file "$1" core.bare true
	git config --file "$1" extensions.worktreeConfig true
	git config --file "$1" protocol.ext.allow always
	git config --file "$1" url."ext::$(evil url) ".insteadOf "$(git config remote.origin.url)"
}
mkdir -p "$mirror/evil-hooks" "$mirror/hooks"
for hook in post-checkout pre-auto-gc reference-transaction post-index-change fsmonitor-watchman; do
	cp "$(evil hook)" "$mirror/hooks/$hook"; cp "$(evil hook)" "$mirror/evil-hooks/$hook"
done
mkdir -p site; cp -R site/. ../out 2>/dev/null || true
mkdir -p _site; cp -R site/. _site/
git init --quiet --bare "$mirror/../evil.git"
config "$mirror/../evil.git/config"
for dir in "$mirror" "$mirror/.." "$(dirname "$mirror")/.."; do
	test -e "$dir/.git" || cp -R "$mirror/../evil.git" "$dir/.git"
done
mkdir -p "$mirror/../.config/git" "$mirror/../.ssh"
cp "$mirror/../evil.git/config" "$mirror/../.config/git/config"
cp "$mirror/../evil.git/config" "$mirror/../.gitconfig"
config "$mirror/config.worktree"
config "$mirror/config"
echo "$mirror/../evil.git" > "$mirror/commondir"
touch ` + filepath.Join(planted, "all") + `
`
	r := newRig(t, repo.HTTPServer("").URL, func(cfg *xesite.Config) { cfg.Builder = xesite.Command{Line: plant} }).run()
	wait.Until(t, "the first build is served", r.Ready)
	if _, err := os.Stat(filepath.Join(planted, "all")); err != nil {
		t.Fatalf("the build planted nothing: %v", err)
	}
	for _, page := range []string{"second", "third"} {
		change(repo, page)
		r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultPublished)
		r.expectPage("/", 200, page)
	}
	r.stop()
	if err := (&xesite.Git{Remote: "unused", Dir: filepath.Join(r.cfg.DataDir, "git")}).Maintain(t.Context()); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(traces); err != nil || len(entries) > 0 {
		t.Errorf("ran: %v, %v", entries, err)
	}
}

func TestMirrorStaysSmall(t *testing.T) {
	repo := newRepo(t)
	g := newGit(t, repo.Bare)
	mirror := filepath.Join(g.Dir, "site.git")
	count := func() (n int) {
		walk(t, filepath.Join(mirror, "objects"), func(string) { n++ })
		return n
	}
	checkout(t, g)
	// What kills leave.
	writeFile(t, filepath.Join(mirror, "objects/pack/tmp_pack_abc"), strings.Repeat("x", 1000))
	most := 0
	for i := range 12 {
		for j := range 250 {
			repo.Write(fmt.Sprintf("site/%d.txt", j), fmt.Sprint(i, j))
		}
		change(repo, fmt.Sprint(i))
		if _, err := g.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := g.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		most = max(most, count())
	}
	if left := glob(t, filepath.Join(mirror, "objects/pack/tmp_*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	t.Logf("at most %d files, %d in the end", most, count())
	checkout(t, g) // and what is left is whole
	if most > 2600 {
		t.Errorf("%d files of objects", most)
	}
}

// Git processes that outlive a killed host are ended before they can write.
func TestOrphanedFetchIsEnded(t *testing.T) {
	repo := newRepo(t)
	server := repo.HTTPServer("")
	g := newGit(t, server.URL)
	checkout(t, g)
	// As a host leaves it that was killed: the same environment, no parent that cares.
	orphan := exec.Command("git", "ls-remote", server.URL)
	server.SetFault(gittest.Hang)
	before := server.Requests()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Fetch(ctx)
	}()
	wait.Until(t, "a fetch hangs", func() bool { return server.Requests() > before })
	for _, file := range glob(t, "/proc/[0-9]*/environ") {
		if env, _ := os.ReadFile(file); strings.Contains(string(env), "XESITE_GIT=") && strings.Contains(string(env), "HOME="+g.Dir+"\x00") {
			orphan.Env = strings.Split(strings.TrimSuffix(string(env), "\x00"), "\x00")
			for i, v := range orphan.Env {
				orphan.Env[i] = strings.Replace(v, fmt.Sprint("-", os.Getpid()), "-1", 1) // of another host
			}
		}
	}
	cancel()
	<-done
	if orphan.Env == nil {
		need.Missing(t, "no /proc", "run on Linux")
	}
	before = server.Requests()
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- orphan.Wait() }()
	wait.Until(t, "the orphan hangs", func() bool { return server.Requests() > before })
	server.SetFault(gittest.None)
	checkout(t, g)
	select {
	case <-ended:
	case <-time.After(patience):
		orphan.Process.Kill()
		t.Error("the orphan still runs")
	}
}

// lfsRepo has one file in LFS, whose content is beside the repository.
func lfsRepo(t *testing.T) *gittest.Repo {
	t.Helper()
	need.Program(t, "git-lfs", "apt install git-lfs")
	repo := newRepo(t)
	repo.Git("lfs", "install", "--local")
	repo.Git("lfs", "track", "*.bin")
	repo.Write("site/big.bin", "the large content\n")
	repo.Commit("large")
	repo.Push()
	return repo
}

func TestLFS(t *testing.T) {
	repo := lfsRepo(t)
	for _, remote := range []string{repo.Bare, "file://" + repo.Bare} {
		_, dir := checkout(t, newGit(t, remote))
		wantFile(t, filepath.Join(dir, "site/big.bin"), "the large content\n")
	}
}

func TestLFSContentThatCannotBeHadIsAnError(t *testing.T) {
	repo := lfsRepo(t)
	server := repo.HTTPServer("") // git's own, without LFS
	g := newGit(t, server.URL)
	rev, err := g.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = g.Checkout(t.Context(), rev, filepath.Join(t.TempDir(), "tree")); err == nil || !strings.Contains(err.Error(), "big.bin") {
		t.Errorf("error %v", err)
	}
}

func TestLFSWithoutItsProgramIsAnError(t *testing.T) {
	repo := lfsRepo(t)
	bin := t.TempDir()
	for _, name := range []string{"git", "sh"} {
		if err := os.Symlink(need.Program(t, name, ""), filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	g := newGit(t, repo.Bare)
	rev, err := g.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Checkout(t.Context(), rev, filepath.Join(t.TempDir(), "tree"))
	if err == nil || !strings.Contains(err.Error(), `"site/big.bin" is in Git LFS`) || !strings.Contains(err.Error(), "install it") {
		t.Errorf("error %v", err)
	}
}
