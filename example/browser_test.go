// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"xeiaso.net/site/internal/test/gittest"
	"xeiaso.net/site/internal/test/need"
	"xeiaso.net/site/internal/test/wait"
)

// browser starts Chromium. What it has to complain about ends the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	program := need.Program(t, "chromium", "apt install chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok && e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.Text, "status of 401") {
			t.Errorf("the browser says of %s: %s", e.Entry.URL, e.Entry.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// open shows a page on a screen of a width, in a colour scheme.
func open(t *testing.T, ctx context.Context, url, scheme string, width int64) {
	t.Helper()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err == nil {
		_, err = chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: 800, DeviceScaleFactor: 1, Mobile: width < 500,
		})
	}
	if err == nil {
		err = chromedp.Do(ctx, chromedp.Navigate(url))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func evaluate[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func TestDemoFitsEveryScreenInBothSchemes(t *testing.T) {
	ctx := browser(t)
	p := start(t, nil)
	p.shows("", "A site from git")
	backgrounds := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{320, 390, 1280} {
			for _, path := range []string{"", "about/", "posts/your-site-is-a-git-repository/", "posts/use-your-own-repository/", "tags/"} {
				open(t, ctx, p.public+path, scheme, width)
				title := evaluate[string](t, ctx, "document.title")
				overflow := evaluate[int](t, ctx, "document.documentElement.scrollWidth - document.documentElement.clientWidth")
				background := evaluate[string](t, ctx, "getComputedStyle(document.documentElement).backgroundColor + getComputedStyle(document.body).backgroundColor")
				if overflow > 0 || title == "" {
					t.Errorf("/%s at %d px, %s: %d px too wide, title %q", path, width, scheme, overflow, title)
				}
				backgrounds[scheme] = background
			}
		}
	}
	if backgrounds["light"] == backgrounds["dark"] {
		t.Errorf("both schemes have the background %s", backgrounds["light"])
	}
}

func TestOpenPageReloadsByItself(t *testing.T) {
	ctx := browser(t)
	t.Chdir(t.TempDir())
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile("index.md", []byte("# Page\n\n"+text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	p := start(t, nil, "-devel")
	p.shows("", "before")
	text := func() string {
		// The page may be about to load again, which is what is waited for; a
		// browser that is gone ends the test by the limit below.
		v, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
		if err != nil {
			return ""
		}
		return v
	}
	open(t, ctx, p.public, "light", 800)
	// Until the stream is open a change could be missed; afterwards none is.
	for i := 0; !strings.Contains(text(), fmt.Sprintf("after %d", i-1)); i++ {
		write(fmt.Sprintf("after %d", i))
		p.shows("", fmt.Sprintf("after %d", i))
		if i == 100 {
			t.Fatalf("the page still shows %q", text())
		}
	}
}

func TestPreviewAsksForItsTokenAndReloadsByItself(t *testing.T) {
	ctx := browser(t)
	repo := gittest.New(t)
	repo.Write("index.md", "# Site\n\nthe site\n")
	repo.Commit("site")
	repo.Push()
	p := start(t, nil, "-git-repo", repo.Bare, "-git-branch", "main", "-poll", "100ms",
		"-preview-branches", "*", "-preview-domain", "/preview", "-preview-token", "open sesame please")
	p.shows("", "the site")
	branches := filepath.Join(p.dataDir, "builds", "branches.json")
	wait.Until(t, "the branches were looked at", func() bool { _, err := os.Stat(branches); return err == nil })
	repo.Branch("draft")
	draft := func(text string) {
		repo.Write("index.md", "# Draft\n\n"+text+"\n")
		repo.Commit(text)
		repo.Push()
	}
	draft("before")
	wait.Until(t, "there is a preview", func() bool {
		_, body := p.get(p.admin + "api/previews")
		return strings.Contains(body, `"commit"`)
	})
	open(t, ctx, p.public+"preview/draft/", "light", 390)
	if title := evaluate[string](t, ctx, "document.title"); title != "This is a preview" {
		t.Fatalf("without the token: %q", title)
	}
	evaluate[string](t, ctx, `document.querySelector("input").value = "open sesame please"; document.querySelector("button").click(); ""`)
	text := func() string {
		v, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
		if err != nil {
			return "" // the page may be about to load
		}
		return v
	}
	wait.Until(t, "the draft is shown", func() bool { return strings.Contains(text(), "before") })
	// Until the stream is open a push could be missed; afterwards none is.
	for i := 0; !strings.Contains(text(), "after") && i < 20; i++ {
		draft(fmt.Sprintf("after %d.", i))
		wait.Until(t, "the push is built", func() bool {
			_, body := p.do("GET", p.public+"preview/draft/", func(r *http.Request) { r.Header.Set("Authorization", "Bearer open sesame please") })
			return strings.Contains(body, fmt.Sprintf("after %d.", i))
		})
	}
	wait.Until(t, "the page has loaded again", func() bool { return strings.Contains(text(), "after") })
	p.shows("", "the site")
}
