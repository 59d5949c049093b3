// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/release"
)

// previewed has the site's previews, of all branches unless edit says
// otherwise. Pages tell the address that they were built for.
func previewed(t *testing.T, repo *gittest.Repo, edit func(*xesite.Config)) *rig {
	t.Helper()
	return newRig(t, repo.Bare, func(cfg *xesite.Config) {
		cfg.SiteURL = "https://site.example/"
		cfg.Builder = xesite.Command{Line: copyPages + ` && printf %s "$SITE_URL" > _site/url.txt`, Grace: 200 * time.Millisecond}
		cfg.Previews = &xesite.Previews{Branches: []string{"*"}}
		if edit != nil {
			edit(cfg)
		}
	})
}

// visit asks the site's listener for a URL.
func (r *rig) visit(method, target string, header http.Header) *http.Response {
	r.t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		r.t.Fatal(err)
	}
	req := httptest.NewRequest(method, u.RequestURI(), nil)
	req.Host = u.Host
	if header != nil {
		req.Header = header
	}
	w := httptest.NewRecorder()
	redirects := xesite.CanonicalHost{Host: "site.example"}
	r.Handler(xesite.Listener{Previews: true, Middleware: []func(http.Handler) http.Handler{redirects.Middleware}}).ServeHTTP(w, req)
	return w.Result()
}

func (r *rig) expectVisit(target string, status int, part string) *http.Response {
	r.t.Helper()
	resp := r.visit(http.MethodGet, target, nil)
	if body := text(r.t, resp); resp.StatusCode != status || !strings.Contains(body, part) {
		r.t.Errorf("GET %s: %d %.200q; want %d with %q", target, resp.StatusCode, body, status, part)
	}
	return resp
}

// branch pushes a branch with a front page of its own.
func branch(repo *gittest.Repo, name, page string) string {
	repo.Branch(name)
	return change(repo, page)
}

func TestAPushedBranchIsAPreviewAndTheSiteDoesNotNotice(t *testing.T) {
	repo := newRepo(t)
	var published []xesite.Published
	r := previewed(t, repo, func(cfg *xesite.Config) {
		cfg.OnPublish = func(p xesite.Published) { published = append(published, p) }
	}).run()
	wait.Until(t, "the first build is served", r.Ready)
	commit := branch(repo, "draft", "a draft")
	b := r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: "draft", Hint: commit}), xesite.ResultPublished)
	if b.Channel != "draft" || b.Branch != "draft" || b.Commit != commit {
		t.Errorf("record %+v", b)
	}
	resp := r.expectVisit("https://draft.preview.site.example/", 200, "a draft")
	for name, want := range map[string]string{"X-Robots-Tag": "noindex, nofollow", "Cache-Control": "private, no-cache", "Referrer-Policy": "same-origin"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	r.expectVisit("https://draft.preview.site.example/", 200, `<script src="/.within/reload.js"`)
	r.expectVisit("https://draft.preview.site.example/.within/reload.js", 200, "EventSource")
	r.expectVisit("https://draft.preview.site.example/.within/build.json", 200, commit)
	r.expectVisit("https://draft.preview.site.example/url.txt", 200, "https://draft.preview.site.example/")
	r.expectVisit("https://draft.preview.site.example/robots.txt", 200, "Disallow: /")
	r.expectVisit("https://draft.preview.site.example/missing", 404, "")
	r.expectVisit("https://other.preview.site.example/", 404, "no such preview")
	r.expectVisit("https://a.b.preview.site.example/", 404, "no such preview")
	r.expectVisit("https://preview.site.example/", 308, "")
	r.expectVisit("https://site.example/", 200, "first")
	r.expectVisit("https://site.example/url.txt", 200, "https://site.example/")

	// The branch becomes the site: that is news.
	repo.Checkout("main")
	repo.Git("merge", "--quiet", "--ff-only", "draft")
	repo.Push()
	r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: "main", Hint: commit}), xesite.ResultPublished)
	r.expectVisit("https://site.example/", 200, "a draft")
	r.stop()
	if len(published) != 2 || published[1].Commit != commit {
		t.Errorf("told of %+v; want the two publications of the site", published)
	}
	all := r.Previews()
	if len(all) != 1 || all[0].Current == nil || all[0].Current.Commit != commit || all[0].URL != "https://draft.preview.site.example/" {
		t.Errorf("previews %+v", all)
	}
}

func TestPreviewsBelowAPath(t *testing.T) {
	repo := newRepo(t)
	r := previewed(t, repo, func(cfg *xesite.Config) { cfg.Previews.Domain = "/preview" }).run()
	wait.Until(t, "the first build is served", r.Ready)
	repo.Branch("draft")
	repo.WriteFiles(map[string]string{"site/d/index.html": "deep", "site/_redirects": "/go /d/ 302\n"})
	change(repo, "a draft")
	r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: "draft"}), xesite.ResultPublished)
	r.expectVisit("https://site.example/preview/draft/", 200, `<script src="/preview/draft/.within/reload.js"`)
	r.expectVisit("https://site.example/preview/draft/url.txt", 200, "https://site.example/preview/draft/")
	for from, to := range map[string]string{"/preview/draft": "/preview/draft/", "/preview/draft/d?x": "/preview/draft/d/?x", "/preview/draft/go": "/preview/draft/d/"} {
		if got := r.visit(http.MethodGet, "https://site.example"+from, nil).Header.Get("Location"); got != to {
			t.Errorf("GET %s leads to %q, want %q", from, got, to)
		}
	}
	r.expectVisit("https://site.example/preview/main/", 404, "no such preview")
	r.expectVisit("https://site.example/preview/../", 404, "")
}

func TestATokenKeepsStrangersOut(t *testing.T) {
	const token = "correct horse battery staple"
	repo := newRepo(t)
	r := previewed(t, repo, func(cfg *xesite.Config) { cfg.Previews.Token = token }).run()
	wait.Until(t, "the first build is served", r.Ready)
	branch(repo, "draft", "a draft")
	r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: "draft"}), xesite.ResultPublished)

	const address = "https://draft.preview.site.example"
	known := r.expectVisit(address+"/", 401, "Token")
	unknown := r.expectVisit("https://nothing.preview.site.example/", 401, "Token")
	if known.Header.Get("Content-Length") != unknown.Header.Get("Content-Length") {
		t.Error("strangers can tell which previews there are")
	}
	for _, path := range []string{"/.within/build.json", "/.within/reload", "/?token=wrong", "/url.txt"} {
		r.expectVisit(address+path, 401, "")
	}
	r.expectVisit(address+"/robots.txt", 200, "Disallow")
	if resp := r.visit(http.MethodGet, address+"/", http.Header{"Authorization": {"Bearer " + token}}); resp.StatusCode != 200 {
		t.Errorf("with the token: %s", resp.Status)
	}
	if resp := r.visit(http.MethodGet, address+"/", http.Header{"Authorization": {"Bearer"}}); resp.StatusCode != 401 {
		t.Errorf("without a token: %s", resp.Status)
	}

	resp := r.visit(http.MethodGet, address+"//evil.example/?a=b&token="+url.QueryEscape(token), nil)
	cookie := resp.Header.Get("Set-Cookie")
	if location := resp.Header.Get("Location"); resp.StatusCode != 303 || location != "/evil.example/?a=b" {
		t.Errorf("%s to %q", resp.Status, location)
	}
	for _, want := range []string{"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q lacks %s", cookie, want)
		}
	}
	if strings.Contains(cookie, url.QueryEscape(token)) || strings.Contains(cookie, "correct") {
		t.Errorf("the cookie %q has the token", cookie)
	}
	pair, _, _ := strings.Cut(cookie, ";")
	if resp := r.visit(http.MethodGet, address+"/", http.Header{"Cookie": {pair}}); resp.StatusCode != 200 {
		t.Errorf("with the cookie: %s", resp.Status)
	}
	form := httptest.NewRequest(http.MethodPost, "/d", strings.NewReader("token="+url.QueryEscape(token)))
	form.Host = "draft.preview.site.example"
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	r.Handler(xesite.Listener{Previews: true}).ServeHTTP(w, form)
	if w.Code != 303 || w.Header().Get("Location") != "/d" || w.Header().Get("Set-Cookie") == "" {
		t.Errorf("form: %d %v", w.Code, w.Header())
	}
	if strings.Contains(r.logs.String(), token) || strings.Contains(fmt.Sprintf("%+v %#v", r.Site, r.Status()), token) {
		t.Error("the token is in the logs or in the status")
	}
}

// A listener answers for previews only if it is told to: the onion's is not.
func TestOtherListenersHaveNoPreviews(t *testing.T) {
	repo := newRepo(t)
	r := previewed(t, repo, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	branch(repo, "draft", "a draft")
	r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: "draft"}), xesite.ResultPublished)
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Host = "draft.preview.site.example"
	w := httptest.NewRecorder()
	r.Handler(xesite.Listener{}).ServeHTTP(w, req)
	if w.Body.String() != "first" {
		t.Errorf("the other listener answers %q", w.Body)
	}
}

func TestOnlyBranchesThatAreNamedGetPreviews(t *testing.T) {
	repo := newRepo(t)
	r := previewed(t, repo, func(cfg *xesite.Config) {
		cfg.Previews.Branches = []string{"draft/*", "next"}
		cfg.Source.(*xesite.Git).Branch = "main"
	}).run()
	wait.Until(t, "the first build is served", r.Ready)
	if _, err := r.Trigger(t.Context(), xesite.Trigger{Source: "github", Branch: "other"}); !errors.Is(err, xesite.ErrNotBuilt) {
		t.Errorf("Trigger: %v", err)
	}
	branch(repo, "draft/Über", "a draft")
	b := r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: "draft/Über"}), xesite.ResultPublished)
	if !strings.HasPrefix(b.Channel, "draft--ber-") || release.CheckChannel(b.Channel) != nil {
		t.Errorf("channel %q", b.Channel)
	}
	repo.Checkout("main")
	branch(repo, "draft-Über", "another")
	if _, err := r.Trigger(t.Context(), xesite.Trigger{Source: "github", Branch: "draft-Über"}); !errors.Is(err, xesite.ErrNotBuilt) {
		t.Errorf("Trigger: %v", err)
	}
}

// Two branches never share an address, whatever they are called.
func TestEveryBranchHasAnAddressOfItsOwn(t *testing.T) {
	source := &fakeBranches{fakeSource: &fakeSource{}, own: "main"}
	source.set("c1")
	r := fakeRig(t, t.TempDir(), source.fakeSource, func(cfg *xesite.Config) {
		cfg.Source = source
		cfg.Previews = &xesite.Previews{Branches: []string{"*"}, Max: 100}
	})
	wait.Until(t, "the first build is served", r.Ready)
	wait.Until(t, "the site's branch is known", func() bool {
		_, err := os.Stat(filepath.Join(r.cfg.DataDir, "builds", "branches.json"))
		return err == nil
	})
	names := map[string]string{}
	for _, branch := range []string{
		"a", "A", "a-b", "a/b", "a_b", "a--b", "-a", "a-", "production", "PRODUCTION", "é", "è", "xn--a", "..", "a.b", "a-a-0cc175b9", "a-b-0123abcd",
		strings.Repeat("x", 39), strings.Repeat("x", 40), strings.Repeat("x", 41), strings.Repeat("x", 200), "main2",
	} {
		name := r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: branch}), xesite.ResultPublished).Channel
		if other, taken := names[name]; taken {
			t.Errorf("branches %q and %q have one channel %q", branch, other, name)
		}
		if err := release.CheckChannel(name); err != nil || strings.Trim(name, "-") != name || name == "production" {
			t.Errorf("branch %q: channel %q: %v", branch, name, err)
		}
		names[name] = branch
	}
}

// fakeBranches is a source with branches that all have the same files.
type fakeBranches struct {
	*fakeSource
	own string
}

func (s *fakeBranches) Branches(context.Context) (map[string]string, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]string{s.own: s.tip}, s.own, s.err
}
func (s *fakeBranches) At(string) xesite.Source               { return s.fakeSource }
func (s *fakeBranches) Prune(context.Context, []string) error { return nil }

func TestPollsFindPushesAndDeletions(t *testing.T) {
	repo := newRepo(t)
	branch(repo, "old", "years ago")
	repo.Checkout("main")
	r := previewed(t, repo, func(cfg *xesite.Config) { cfg.Poll = 50 * time.Millisecond }).run()
	wait.Until(t, "the branches were looked at", func() bool {
		_, err := os.Stat(filepath.Join(r.cfg.DataDir, "builds", "branches.json"))
		return err == nil
	})
	branch(repo, "draft", "a draft")
	wait.Until(t, "the new branch is built", func() bool {
		all := r.Previews()
		return len(all) == 1 && all[0].Branch == "draft" && all[0].Current != nil
	})
	change(repo, "a better draft")
	wait.Until(t, "the push is built", func() bool {
		return strings.Contains(text(t, r.visit(http.MethodGet, "https://draft.preview.site.example/", nil)), "a better draft")
	})
	repo.Checkout("old")
	change(repo, "today")
	wait.Until(t, "the old branch is built", func() bool { return len(r.Previews()) == 2 })
	repo.Git("push", "--quiet", "--delete", "origin", "draft")
	wait.Until(t, "the deleted branch is gone", func() bool { return len(r.Previews()) == 1 })
	r.expectVisit("https://draft.preview.site.example/", 404, "")
	wait.Until(t, "nothing of it is left", func() bool {
		refs, err := os.ReadFile(filepath.Join(r.cfg.DataDir, "git", "site.git", "packed-refs"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		loose, _ := filepath.Glob(filepath.Join(r.cfg.DataDir, "git", "site.git", "refs", "xesite", "preview", "*"))
		left, _ := filepath.Glob(filepath.Join(r.cfg.DataDir, "channels", "draft*"))
		r.Trigger(t.Context(), xesite.Trigger{Source: xesite.SourcePoll})
		return len(loose)+strings.Count(string(refs), "preview") == 1 && len(left) == 0
	})
	for _, b := range must1(r.Builds(100))(t) {
		if b.Result == xesite.ResultFailed {
			t.Errorf("build %+v", b)
		}
	}
}

// stepped is a site whose builds tell the address that they are for, and then
// wait to be let go on. The first one is done.
func stepped(t *testing.T, repo *gittest.Repo) (r *rig, started <-chan string, proceed chan<- struct{}) {
	t.Helper()
	begun, goOn := make(chan string), make(chan struct{})
	r = previewed(t, repo, func(cfg *xesite.Config) {
		cfg.Builder = xesite.BuilderFunc(func(ctx context.Context, in xesite.BuildInput) error {
			begun <- in.SiteURL
			select {
			case <-goOn:
				return xesite.Command{Line: copyPages}.Build(ctx, in)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}).run()
	<-begun
	goOn <- struct{}{}
	wait.Until(t, "the first build is served", r.Ready)
	return r, begun, goOn
}

func TestTheSiteGoesBeforePreviews(t *testing.T) {
	repo := newRepo(t)
	r, started, proceed := stepped(t, repo)
	for _, name := range []string{"one", "two"} {
		branch(repo, name, name)
		repo.Checkout("main")
	}
	var tickets []*xesite.Ticket
	for _, name := range []string{"one", "two", "one", "one"} {
		ticket, err := r.Trigger(t.Context(), xesite.Trigger{Source: "github", Branch: name})
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
		if len(tickets) == 1 {
			if got := <-started; got != "https://one.preview.site.example/" {
				t.Fatalf("%s is built", got)
			}
		}
	}
	// A poll of the site waits, a push does not.
	if _, err := r.Trigger(t.Context(), xesite.Trigger{Source: xesite.SourcePoll}); err != nil {
		t.Fatal(err)
	}
	change(repo, "second")
	if _, err := r.Trigger(t.Context(), xesite.Trigger{Source: "github"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"https://site.example/", "https://two.preview.site.example/", "https://one.preview.site.example/"} {
		if got := <-started; got != want {
			t.Errorf("%s is built, want %s", got, want)
		}
		proceed <- struct{}{}
	}
	for _, ticket := range tickets {
		b, err := ticket.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.expect(b, xesite.ResultPublished)
	}
	r.expectVisit("https://site.example/", 200, "second")
	var superseded int
	for _, b := range must1(r.Builds(100))(t) {
		if b.Result == xesite.ResultSuperseded {
			superseded++
		}
	}
	if superseded != 1 {
		t.Errorf("%d builds were superseded, want 1", superseded)
	}
}

// must1 is a value that there has to be.
func must1[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestPreviewsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeBranches{fakeSource: &fakeSource{}, own: "main"}
		source.set("c1")
		r := fakeRig(t, t.TempDir(), source.fakeSource, func(cfg *xesite.Config) {
			cfg.Source = source
			cfg.Previews = &xesite.Previews{Branches: []string{"*"}, Expiry: time.Minute, Max: 2}
		})
		pass(time.Second) // the branches are looked at
		for _, name := range []string{"one", "two", "three"} {
			r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: name}), xesite.ResultPublished)
			pass(10 * time.Second)
		}
		names := func() (names string) {
			for _, p := range r.Previews() {
				names += p.Name + " "
			}
			return names
		}
		if got := names(); got != "three two " {
			t.Errorf("previews %s, want the newest two", got)
		}
		pass(45 * time.Second)
		r.rebuild()
		synctest.Wait()
		if got := names(); got != "three " {
			t.Errorf("previews %s, want those pushed in the last minute", got)
		}
		if err := r.RemovePreview(t.Context(), "three"); err != nil {
			t.Fatal(err)
		}
		if err := r.RemovePreview(t.Context(), "three"); !errors.Is(err, release.ErrNoRelease) {
			t.Errorf("RemovePreview again: %v", err)
		}
		r.stop()
	})
}

func TestPreviewsThatCannotBe(t *testing.T) {
	repo := gittest.New(t)
	git := &xesite.Git{Remote: repo.Bare, Dir: t.TempDir()}
	for _, tt := range []struct {
		previews xesite.Previews
		source   xesite.Source
		want     string
	}{
		{xesite.Previews{Branches: []string{"*"}}, &xesite.Dir{Path: "."}, "no branches"},
		{xesite.Previews{}, git, "Branches is empty"},
		{xesite.Previews{Branches: []string{"[a"}}, git, `"[a"`},
		{xesite.Previews{Branches: []string{"*"}, Domain: "https://x"}, git, `"https://x"`},
		{xesite.Previews{Branches: []string{"*"}, Domain: "/a/../b"}, git, `"/a/../b"`},
		{xesite.Previews{Branches: []string{"*"}, Domain: "/"}, git, `""`},
		{xesite.Previews{Branches: []string{"*"}, Domain: "/.within"}, git, `"/.within"`},
		{xesite.Previews{Branches: []string{"*"}, Domain: "Site.example"}, git, "the site itself"},
	} {
		_, err := xesite.New(t.Context(), xesite.Config{SiteURL: "https://www.site.example/", DataDir: t.TempDir(), Source: tt.source, Previews: &tt.previews})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %s", tt.previews, err, tt.want)
		}
	}
}

// text returns the body of an answer.
func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A page of a preview reloads by itself, so nothing stays for it, and what is
// not kept is not promised.
func TestPreviewsHaveNoAssetsOfEarlierReleases(t *testing.T) {
	repo := newRepo(t)
	r := previewed(t, repo, nil).run()
	wait.Until(t, "the first build is served", r.Ready)
	repo.Branch("draft")
	repo.Write("site"+oldStyle, "old style")
	change(repo, "a draft")
	r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: "draft"}), xesite.ResultPublished)
	repo.Remove("site" + oldStyle)
	change(repo, "a better draft")
	r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: "draft"}), xesite.ResultPublished)
	for _, dir := range []string{"channels", "blobs", "releases"} {
		age(t, filepath.Join(r.cfg.DataDir, dir))
	}
	r.rebuild() // and old files are removed
	r.rebuild()
	r.expectVisit("https://draft.preview.site.example"+oldStyle, 404, "")
	if strings.Contains(r.logs.String(), "cannot be read") {
		t.Error("a file that is needed was removed")
	}
}

// previewsOf is a rig on a data directory that others share.
func previewsOf(t *testing.T, dir, name string, source *fakeBranches) *rig {
	t.Helper()
	return openRig(t, dir, "unused", func(cfg *xesite.Config) {
		cfg.Source, cfg.Builder, cfg.Instance = source, nil, name
		cfg.SiteURL = "https://site.example/"
		cfg.Previews = &xesite.Previews{Branches: []string{"*"}}
	}).run()
}

func TestEveryInstanceSeesAPreviewThatWasMadeAgain(t *testing.T) {
	dir, source := t.TempDir(), &fakeBranches{fakeSource: &fakeSource{}, own: "main"}
	source.set("c1")
	builder := previewsOf(t, dir, "a", source)
	wait.Until(t, "a builds", func() bool { return builder.Ready() && builder.Status().Builder == "a" })
	follower := previewsOf(t, dir, "b", source)
	push := func(commit string) {
		t.Helper()
		source.set(commit)
		builder.expect(builder.trigger(xesite.Trigger{Source: "github", Branch: "draft"}), xesite.ResultPublished)
	}
	push("c2")
	push("c3")
	follower.expectVisit("https://draft.preview.site.example/", 200, "c3")
	if err := builder.RemovePreview(t.Context(), "draft"); err != nil {
		t.Fatal(err)
	}
	push("c4") // with a lower sequence than before
	builder.expectVisit("https://draft.preview.site.example/", 200, "c4")
	follower.expectVisit("https://draft.preview.site.example/", 200, "c4")
}

// A look at the branches takes a while, and says nothing of those that were
// pushed meanwhile.
func TestALookDoesNotRemoveWhatCameAfterIt(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	source := &slowBranches{&fakeBranches{fakeSource: &fakeSource{}, own: "main"}, asked, answer}
	source.set("c1")
	r := fakeRig(t, t.TempDir(), source.fakeSource, func(cfg *xesite.Config) {
		cfg.Source, cfg.Poll = source, time.Millisecond
		cfg.Previews = &xesite.Previews{Branches: []string{"*"}}
	})
	<-asked
	answer <- true
	<-asked
	r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: "draft"}), xesite.ResultPublished)
	answer <- true
	<-asked
	if all := r.Previews(); len(all) != 1 {
		t.Errorf("previews %+v, want one", all)
	}
	answer <- true // which knows better
	<-asked
	if all := r.Previews(); len(all) != 0 {
		t.Errorf("previews %+v, want none: the branch is gone", all)
	}
	close(answer)
	go func() {
		for range asked {
		}
	}()
	r.stop()
	close(asked)
}

// slowBranches answers when it is told to.
type slowBranches struct {
	*fakeBranches
	asked, answer chan bool
}

func (s *slowBranches) Branches(ctx context.Context) (map[string]string, string, error) {
	s.asked <- true
	<-s.answer
	return s.fakeBranches.Branches(ctx)
}

func TestAPreviewThatWasCutOffIsBuiltByTheNextProcess(t *testing.T) {
	repo := newRepo(t)
	started := make(chan bool, 1)
	r := previewed(t, repo, func(cfg *xesite.Config) {
		cfg.Poll = 50 * time.Millisecond
		cfg.Builder = xesite.BuilderFunc(func(ctx context.Context, in xesite.BuildInput) error {
			if in.Preview {
				started <- true
				<-ctx.Done()
				return ctx.Err()
			}
			return xesite.Command{Line: copyPages}.Build(ctx, in)
		})
	}).run()
	wait.Until(t, "the branches were looked at", func() bool {
		_, err := os.Stat(filepath.Join(r.cfg.DataDir, "builds", "branches.json"))
		return err == nil
	})
	branch(repo, "draft", "a draft")
	<-started
	r.stop()
	r = openRig(t, r.cfg.DataDir, repo.Bare, func(cfg *xesite.Config) { cfg.Previews = r.cfg.Previews }).run()
	wait.Until(t, "the draft is built", func() bool {
		all := r.Previews()
		return len(all) == 1 && all[0].Current != nil
	})
}

// What is excluded now, or became the site itself, is no preview any more.
func TestPreviewsThatAreNotWantedAnyMoreGo(t *testing.T) {
	dir, source := t.TempDir(), &fakeBranches{fakeSource: &fakeSource{}, own: "main"}
	source.set("c1")
	r := previewsOf(t, dir, "a", source)
	wait.Until(t, "a builds", func() bool { return r.Ready() && r.Status().Builder == "a" })
	for _, branch := range []string{"draft", "secret", "next"} {
		r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: branch}), xesite.ResultPublished)
	}
	r.stop()
	source.own = "next"
	r = openRig(t, dir, "unused", func(cfg *xesite.Config) {
		cfg.Source, cfg.Builder = &tipsOf{source, []string{"draft", "secret", "next", "main"}}, nil
		cfg.Previews = &xesite.Previews{Branches: []string{"draft", "next"}}
	}).run()
	wait.Until(t, "only the draft is left", func() bool {
		r.rebuild()
		all := r.Previews()
		return len(all) == 1 && all[0].Branch == "draft"
	})
}

// tipsOf has several branches.
type tipsOf struct {
	*fakeBranches
	names []string
}

func (s *tipsOf) Branches(ctx context.Context) (map[string]string, string, error) {
	tips, own, err := s.fakeBranches.Branches(ctx)
	for _, name := range s.names {
		tips[name] = tips[own]
	}
	return tips, own, err
}

func TestBranchesWhoseNamesAreNoTextGetNoPreview(t *testing.T) {
	source := &fakeBranches{fakeSource: &fakeSource{}, own: "main"}
	source.set("c1")
	r := previewsOf(t, t.TempDir(), "a", source)
	wait.Until(t, "the site's branch is known", func() bool {
		_, err := r.Trigger(t.Context(), xesite.Trigger{Source: "github", Branch: "caf\xe9"})
		return errors.Is(err, xesite.ErrNotBuilt)
	})
}

func TestAnswersOfPreviewsAreForNobodyElse(t *testing.T) {
	const token = "correct horse battery staple"
	repo := newRepo(t)
	r := previewed(t, repo, func(cfg *xesite.Config) {
		cfg.Previews.Token, cfg.Previews.Domain = token, "/preview"
	}).run()
	wait.Until(t, "the first build is served", r.Ready)
	repo.Branch("draft")
	repo.Write("site/_headers", "/*\n  CDN-Cache-Control: public, max-age=99\n  Surrogate-Control: max-age=99\n  X-Robots-Tag: all\n  Cache-Control: public, no-store, max-age=99\n")
	repo.Write("site/_redirects", "/go /old.html 302\n")
	change(repo, "a draft")
	r.expect(r.trigger(xesite.Trigger{Source: "github", Branch: "draft"}), xesite.ResultPublished)

	// With and without a slash, however it is spelled.
	var pair string
	for from, to := range map[string]string{"/preview/draft": "/preview/draft/", "/preview/draft/": "/preview/draft/", "/preview/%64raft/a%2fb": "/preview/draft/a%2fb"} {
		resp := r.visit(http.MethodGet, "https://site.example"+from+"?token="+url.QueryEscape(token), nil)
		if got := resp.Header.Get("Location"); resp.StatusCode != 303 || got != to {
			t.Errorf("GET %s: %s to %q, want %q", from, resp.Status, got, to)
		}
		cookie := resp.Header.Get("Set-Cookie")
		if !strings.Contains(cookie, "Path=/preview/draft;") {
			t.Errorf("cookie %q is not for %s", cookie, from)
		}
		pair, _, _ = strings.Cut(cookie, ";")
	}
	shown := http.Header{"Cookie": {pair}}
	resp := r.visit(http.MethodGet, "https://site.example/preview/draft/?token="+url.QueryEscape(token), shown)
	if resp.StatusCode != 303 {
		t.Errorf("%s: the token stays in the address bar", resp.Status)
	}
	tag := r.visit(http.MethodGet, "https://site.example/preview/draft/", shown).Header.Get("Etag")
	for _, tt := range []struct {
		method, path string
		name, value  string
		status       int
	}{
		{"GET", "/", "", "", 200},
		{"GET", "/", "If-None-Match", tag, 304},
		{"GET", "/", "If-Match", `"x"`, 412},
		{"GET", "/", "Range", "bytes=0-1", 206},
		{"GET", "/", "Range", "bytes=999-", 416},
		{"GET", "/go", "", "", 302},
		{"GET", "/missing", "", "", 404},
		{"POST", "/", "", "", 405},
		{"POST", "/.within/reload.js", "", "", 405},
		{"DELETE", "/.within/build.json", "", "", 405},
		{"HEAD", "/.within/reload.js", "", "", 200},
		{"HEAD", "/.within/build.json", "", "", 200},
		{"HEAD", "/.within/reload", "", "", 404}, // and not an endless answer
	} {
		header := shown.Clone()
		if tt.name != "" {
			header.Set(tt.name, tt.value)
		}
		resp := r.visit(tt.method, "https://site.example/preview/draft"+tt.path, header)
		if resp.StatusCode != tt.status {
			t.Errorf("%s %s with %s: %s, want %d", tt.method, tt.path, tt.name, resp.Status, tt.status)
		}
		if got := resp.Header.Get("X-Robots-Tag"); got != "noindex, nofollow" {
			t.Errorf("%s %s with %s: X-Robots-Tag %q", tt.method, tt.path, tt.name, got)
		}
		if got := resp.Header.Get("Cache-Control"); got != "private, no-cache" && got != "no-store" {
			t.Errorf("%s %s with %s: Cache-Control %q", tt.method, tt.path, tt.name, got)
		}
		for name := range resp.Header {
			if strings.HasSuffix(name, "Cdn-Cache-Control") || name == "Surrogate-Control" {
				t.Errorf("%s %s with %s: %s reaches shared caches", tt.method, tt.path, tt.name, name)
			}
		}
	}
}

// Tidying the source may take a while. Who rolls back does not wait for it.
func TestNobodyWaitsForThePreviewsToBeTidied(t *testing.T) {
	source := &untidy{fakeBranches: &fakeBranches{fakeSource: &fakeSource{}, own: "main"}, tidying: make(chan bool), proceed: make(chan bool)}
	source.set("c1")
	r := openRig(t, t.TempDir(), "unused", func(cfg *xesite.Config) {
		cfg.Source, cfg.Builder = source, nil
		cfg.Previews = &xesite.Previews{Branches: []string{"*"}}
	}).run()
	<-source.tidying
	pinned := make(chan error)
	go func() {
		_, err := r.Pin(t.Context(), "")
		pinned <- err
	}()
	select {
	case err := <-pinned:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("Pin waits")
	}
	close(source.proceed)
}

// untidy takes its time for Prune.
type untidy struct {
	*fakeBranches
	tidying, proceed chan bool
}

func (s *untidy) Prune(ctx context.Context, _ []string) error {
	select {
	case s.tidying <- true:
	case <-s.proceed:
	case <-ctx.Done():
	}
	<-s.proceed
	return nil
}

func TestABusyDayDoesNotKeepAPreviewFromBeingMade(t *testing.T) {
	repo := newRepo(t)
	r, started, proceed := stepped(t, repo)
	branch(repo, "draft", "a draft")
	repo.Checkout("main")
	ticket, err := r.Trigger(t.Context(), xesite.Trigger{Source: "github", Branch: "draft"})
	if err != nil {
		t.Fatal(err)
	}
	cuts := 0
	for ; ; cuts++ {
		<-started // the preview
		change(repo, fmt.Sprint("push ", cuts))
		if _, err := r.Trigger(t.Context(), xesite.Trigger{Source: "github"}); err != nil {
			t.Fatal(err)
		}
		if cuts == 3 {
			break // and now the site waits
		}
		if got := <-started; got != "https://site.example/" {
			t.Fatalf("%s is built", got)
		}
		proceed <- struct{}{}
	}
	proceed <- struct{}{}
	b, err := ticket.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.expect(b, xesite.ResultPublished)
	<-started
	proceed <- struct{}{}
}

// A branch whose submodule cannot be fetched must not push out the records
// that matter.
func TestPollsOfABrokenBranchShareARecord(t *testing.T) {
	source := &fakeBranches{fakeSource: &fakeSource{}, own: "main"}
	source.set("c1")
	r := fakeRig(t, t.TempDir(), source.fakeSource, func(cfg *xesite.Config) {
		cfg.Source = source
		cfg.Previews = &xesite.Previews{Branches: []string{"*"}}
	})
	source.mu.Lock()
	source.err = errors.New("no such branch")
	source.mu.Unlock()
	polled := xesite.Trigger{Source: xesite.SourcePoll, Branch: "draft"}
	first := r.expect(r.trigger(polled), xesite.ResultFailed)
	for range 3 {
		if b := r.expect(r.trigger(polled), xesite.ResultFailed); b.Number != first.Number || b.Channel != "draft" {
			t.Errorf("build %d of %q, want %d again", b.Number, b.Channel, first.Number)
		}
	}
	// Those of the site itself have numbers of their own.
	if b := r.expect(r.trigger(poll()), xesite.ResultFailed); b.Number == first.Number {
		t.Error("the site's build has the preview's number")
	}
}
