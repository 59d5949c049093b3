// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xeiaso.net/site/internal/test/wait"
	"xeiaso.net/site/xesite"
)

// service is where a data file comes from.
type service struct {
	mu    sync.Mutex
	fetch func(ctx context.Context) ([]byte, error)
	calls int
}

func (s *service) set(fetch func(ctx context.Context) ([]byte, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetch = fetch
}

func (s *service) says(content string) {
	s.set(func(context.Context) ([]byte, error) { return []byte(content), nil })
}

func (s *service) Fetch(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	fetch := s.fetch
	s.calls++
	s.mu.Unlock()
	return fetch(ctx)
}

func rebuildNow() xesite.Trigger { return xesite.Trigger{Source: xesite.SourceAdmin, Rebuild: true} }

// In the original an error of Patreon published "No patrons yet!", and a
// connection that hung froze the site for ever.
func TestLastGoodDataIsUsedWhateverTheServiceDoes(t *testing.T) {
	for name, fetch := range map[string]func(ctx context.Context) ([]byte, error){
		"error": func(context.Context) ([]byte, error) { return nil, errors.New("503") },
		"hang":  func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() },
		"hang, deaf": func(ctx context.Context) ([]byte, error) {
			pass(time.Minute)
			return []byte("much too late"), nil
		},
		"panic": func(context.Context) ([]byte, error) { panic("index out of range") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, patreon := &fakeSource{}, &service{}
				source.set("c1")
				patreon.says("ada, grace")
				r := fakeRig(t, t.TempDir(), source, func(cfg *xesite.Config) {
					cfg.DataFiles = []xesite.DataFile{{Path: "data/patrons.txt", Fetch: patreon.Fetch, Required: true}}
				})
				r.expectPage("/data/patrons.txt", 200, "ada, grace")
				patreon.set(fetch)
				source.set("c2")
				start := time.Now()
				r.expect(r.trigger(pushed("c2")), xesite.ResultPublished)
				r.expectPage("/", 200, "c2")
				r.expectPage("/data/patrons.txt", 200, "ada, grace")
				if passed := time.Since(start); passed > 10*time.Second {
					t.Errorf("it took %s", passed)
				}
				// A fetch that never came back is not waited for again.
				start = time.Now()
				source.set("c3")
				r.expect(r.trigger(pushed("c3")), xesite.ResultPublished)
				if name == "hang, deaf" && time.Since(start) > time.Second {
					t.Errorf("the next build took %s", time.Since(start))
				}
				pass(2 * time.Minute)
				patreon.says("barbara")
				r.expect(r.trigger(poll()), xesite.ResultPublished)
				r.expectPage("/data/patrons.txt", 200, "barbara")
				r.stop()
			})
		})
	}
}

func TestDataDecideAboutABuildOnlyWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, patreon := &fakeSource{}, &service{}
		source.set("c1")
		patreon.says("ada")
		r := fakeRig(t, t.TempDir(), source, func(cfg *xesite.Config) {
			cfg.DataFiles = []xesite.DataFile{{Path: "p.txt", Fetch: patreon.Fetch}}
		})
		r.expect(r.trigger(poll()), xesite.ResultKnown)
		for _, content := range []string{"ada, grace", ""} {
			patreon.says(content)
			r.expect(r.trigger(poll()), xesite.ResultPublished)
			if code, body := r.page("/p.txt"); code != 200 || body != content {
				t.Errorf("%d %q, want %q", code, body, content)
			}
			r.expect(r.trigger(poll()), xesite.ResultKnown)
		}
		r.stop()
	})
}

func TestDataThatAreTooOldOrWereNeverThere(t *testing.T) {
	broken := errors.New("connection refused")
	for name, tt := range map[string]struct {
		file   xesite.DataFile
		had    bool
		result xesite.Result
		page   string
	}{
		"never, optional":   {xesite.DataFile{}, false, xesite.ResultPublished, "of the repository"},
		"never, required":   {xesite.DataFile{Required: true}, false, xesite.ResultFailed, ""},
		"too old, optional": {xesite.DataFile{MaxAge: time.Minute}, true, xesite.ResultPublished, "of the repository"},
		"too old, required": {xesite.DataFile{MaxAge: time.Minute, Required: true}, true, xesite.ResultFailed, "fresh"},
		"old enough":        {xesite.DataFile{MaxAge: 100 * time.Hour}, true, xesite.ResultPublished, "fresh"},
		"default, not used": {xesite.DataFile{Default: []byte("default")}, false, xesite.ResultPublished, "of the repository"},
		"without an age":    {xesite.DataFile{Required: true}, true, xesite.ResultPublished, "fresh"},
	} {
		t.Run(name, func(t *testing.T) {
			source, patreon := &fakeSource{}, &service{}
			source.set("c1", "p.txt", "of the repository")
			dir := t.TempDir()
			open := func() *rig {
				return openRig(t, dir, "unused", func(cfg *xesite.Config) {
					cfg.Source, cfg.Builder = source, nil
					tt.file.Path, tt.file.Fetch = "p.txt", patreon.Fetch
					cfg.DataFiles = []xesite.DataFile{tt.file}
				}).run()
			}
			if tt.had {
				patreon.says("fresh")
				r := open()
				wait.Until(t, "a release is served", r.Ready)
				r.stop()
				hours := time.Now().Add(-time.Hour)
				for _, file := range glob(t, filepath.Join(dir, "cache", "data", "*")) {
					if err := os.Chtimes(file, hours, hours); err != nil {
						t.Fatal(err)
					}
				}
			}
			patreon.set(func(context.Context) ([]byte, error) { return nil, broken })
			r := open()
			b := r.trigger(rebuildNow())
			if want := tt.result; b.Result != want && !(want == xesite.ResultPublished && b.Result == xesite.ResultUnchanged) {
				t.Errorf("result %s, want %s: %s", b.Result, want, b.Error)
			}
			if tt.result == xesite.ResultFailed && (b.Stage != "data" || !strings.Contains(b.Error, "data file p.txt: connection refused")) {
				t.Errorf("%s: %s", b.Stage, b.Error)
			}
			if tt.page != "" {
				r.expectPage("/p.txt", 200, tt.page)
			}
		})
	}
}

func TestADefaultStandsInForWhatIsNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, patreon := &fakeSource{}, &service{}
		source.set("c1")
		patreon.set(func(context.Context) ([]byte, error) { return nil, errors.New("connection refused") })
		r := fakeRig(t, t.TempDir(), source, func(cfg *xesite.Config) {
			cfg.DataFiles = []xesite.DataFile{{Path: "p.txt", Fetch: patreon.Fetch, Default: []byte("nobody yet")}}
		})
		r.expectPage("/p.txt", 200, "nobody yet")
		patreon.says("ada")
		r.expect(r.trigger(poll()), xesite.ResultPublished)
		r.expectPage("/p.txt", 200, "ada")
		r.stop()
	})
}

// Whoever fetches for themselves, and hands on what they have, knows its age.
func TestDataAreAsOldAsTheySay(t *testing.T) {
	source, patreon := &fakeSource{}, &service{}
	source.set("c1")
	patreon.says("ada")
	since := time.Now().Add(-5 * time.Hour)
	r := openRig(t, t.TempDir(), "unused", func(cfg *xesite.Config) {
		cfg.Source, cfg.Builder = source, nil
		cfg.DataFiles = []xesite.DataFile{{Path: "p.txt", Fetch: patreon.Fetch, At: func() time.Time { return since }}}
	}).run()
	wait.Until(t, "a release is served", r.Ready)
	if age := r.counter("xesite_data_age_seconds", "p.txt"); age < 5*3600 || age > 6*3600 {
		t.Errorf("the age is %v s", age)
	}
}

func TestDataFileReplacesALinkAndNeverFollowsIt(t *testing.T) {
	repo := newRepo(t)
	outside := filepath.Join(t.TempDir(), "outside.txt")
	writeFile(t, outside, "untouched")
	repo.Symlink(outside, "site/link.txt")
	repo.Symlink("index.html", "site/inside.txt")
	repo.Write("site/tracked.txt", "tracked")
	repo.Commit("links")
	repo.Push()
	fetch := func(context.Context) ([]byte, error) { return []byte("data"), nil }
	r := newRig(t, repo.Bare, func(cfg *xesite.Config) {
		for _, path := range []string{"site/link.txt", "site/inside.txt", "site/tracked.txt", "site/new/dir/file.txt"} {
			cfg.DataFiles = append(cfg.DataFiles, xesite.DataFile{Path: path, Fetch: fetch})
		}
	}).run()
	wait.Until(t, "the first build is served", r.Ready)
	for _, path := range []string{"/link.txt", "/inside.txt", "/tracked.txt", "/new/dir/file.txt"} {
		r.expectPage(path, 200, "data")
	}
	r.expectPage("/", 200, "first")
	wantFile(t, outside, "untouched")

	// A directory that leads out is an error, not a way.
	repo.Symlink(filepath.Dir(outside), "site/new")
	repo.Commit("a directory")
	repo.Push()
	b := r.expect(r.trigger(xesite.Trigger{Source: "github"}), xesite.ResultFailed)
	if b.Stage != "data" || !strings.Contains(b.Error, "site/new/dir/file.txt") {
		t.Errorf("%s: %s", b.Stage, b.Error)
	}
	if entries, err := os.ReadDir(filepath.Dir(outside)); err != nil || len(entries) != 1 {
		t.Errorf("outside: %v, %v", entries, err)
	}
}

func TestDataFilesThatCannotBeRight(t *testing.T) {
	fetch := func(context.Context) ([]byte, error) { return nil, nil }
	for _, files := range [][]xesite.DataFile{
		{{Path: "", Fetch: fetch}},
		{{Path: ".", Fetch: fetch}},
		{{Path: "/etc/passwd", Fetch: fetch}},
		{{Path: "../x", Fetch: fetch}},
		{{Path: ".git", Fetch: fetch}},
		{{Path: ".git/config", Fetch: fetch}},
		{{Path: "x"}},
		{{Path: "x", Fetch: fetch}, {Path: "./x", Fetch: fetch}},
	} {
		if _, err := xesite.New(t.Context(), xesite.Config{DataDir: t.TempDir(), Source: &fakeSource{}, DataFiles: files}); err == nil || !strings.Contains(err.Error(), "DataFiles[") {
			t.Errorf("%q: %v", files[0].Path, err)
		}
	}
}
