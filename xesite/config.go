// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"xeiaso.net/site/internal/secret"
	"xeiaso.net/site/xesite/release"
	"xeiaso.net/site/xesite/state"
)

// Secret is a string that does not print itself: fmt, log/slog and
// encoding/json show a placeholder.
type Secret = secret.String

// Config says what a [Site] is made of. DataDir and Source are required.
type Config struct {
	// DataDir holds everything that must survive a restart. Several instances
	// may share one, see [Site.Run]. It is made if it is not there.
	DataDir string

	// Source is where the content comes from.
	Source Source

	// Builder runs the site generator. If nil, [Copy].
	Builder Builder

	// BuildDir is the directory of the checkout in which the generator runs,
	// OutputDir the one that a [Command] writes to, both relative to the
	// checkout. If empty, "." and "_site".
	BuildDir, OutputDir string

	// BuildTimeout bounds one run of the generator. If zero, 10 minutes; if
	// negative, there is no bound.
	BuildTimeout time.Duration

	// BuildKey stands for everything about the builder that decides the
	// result, such as its version; of a [Command], Line and Env count anyway.
	// When it changes, the next trigger builds even though the commit is known.
	BuildKey string

	// CachePaths are directories of the checkout that are kept from one build
	// to the next, such as "node_modules", relative to BuildDir.
	CachePaths []string

	// DataFiles are written into the checkout before the generator runs.
	DataFiles []DataFile

	// SiteURL is the canonical URL of the site. If empty,
	// "http://localhost:3000/".
	SiteURL string

	// Poll is how often the source is asked for news, give or take 10 %. If
	// zero, 5 minutes; if negative, never.
	Poll time.Duration

	// RebuildEvery is how often the site is built although nothing is new, for
	// posts that are dated in the future. If zero, never.
	RebuildEvery time.Duration

	// Keep is the number of releases to keep for [Site.Rollback]. If zero, 10.
	Keep int

	// UploadLimits bound the archives that [Site.Upload] takes. The zero value
	// is good.
	UploadLimits release.Limits
	// Gates are what a release has to pass before it is published.
	Gates Gates

	// AssetGrace is how long files of earlier releases stay reachable that have
	// a fingerprint in their name and are not HTML, so that a page which was
	// opened before a publication finds its style sheet after it. Those of the
	// last Keep releases are. If zero, 24 hours; if negative, none are. At most 60
	// days.
	AssetGrace time.Duration

	// Previews builds other branches too. If nil, none is built.
	Previews *Previews

	// LiveReload makes open pages load again after each publication. It is for
	// development: it adds a script to every page.
	LiveReload bool

	// State coordinates the instances that share DataDir. If nil, a
	// [state.Dir] in DataDir.
	State state.Store

	// Instance names this instance to people. If empty, the host's name and
	// the process id.
	Instance string

	// OnPublish is told, in order and one at a time, of every publication by
	// this instance. A slow one delays the next call, nothing else.
	OnPublish func(Published)

	// Lead runs while this instance is the one that builds, in a goroutine of
	// its own, with a context that ends when it is not any more: it is for what
	// only one instance must do. It is told what is served at its beginning, or
	// nil if nothing is; of that, Changes and Previous are not known, and
	// Rollback says that a person has gone back to it, or that a newer release
	// is broken. Another instance takes over only when it has returned. If nil,
	// nothing runs.
	Lead func(ctx context.Context, served *Published)

	// OnBuild is told of every build that ended, likewise.
	OnBuild func(Build)

	// Logger is told what happens. If nil, nobody is.
	Logger *slog.Logger
}

// Defaults of Config.
const (
	defaultOutputDir    = "_site"
	defaultBuildTimeout = 10 * time.Minute
	defaultPoll         = 5 * time.Minute
	defaultKeep         = 10
	defaultAssetGrace   = 24 * time.Hour
	maxAssetGrace       = 60 * 24 * time.Hour // less than what is purged is remembered
	defaultSiteURL      = "http://localhost:3000/"
)

// withDefaults returns the configuration with every field set, or what is
// wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.DataDir == "" {
		return c, errors.New("xesite: Config.DataDir is empty: name a directory")
	}
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return c, fmt.Errorf("xesite: Config.DataDir: %w", err)
	}
	c.DataDir = dir
	c.BuildDir = cmp.Or(c.BuildDir, ".")
	c.OutputDir = cmp.Or(c.OutputDir, defaultOutputDir)
	if err := c.checkPaths(); err != nil {
		return c, err
	}
	if c.Source, err = c.source(); err != nil {
		return c, err
	}
	if c.SiteURL, err = cleanSiteURL(c.SiteURL); err != nil {
		return c, err
	}
	if c.Builder == nil {
		c.Builder = Copy()
	}
	if command, ok := c.Builder.(Command); ok && command.Line == "" {
		return c, errors.New("xesite: Config.Builder: Command.Line is empty: say what to run, or leave the Builder nil to copy files")
	}
	c.BuildTimeout = cmp.Or(c.BuildTimeout, defaultBuildTimeout)
	c.Poll = cmp.Or(c.Poll, defaultPoll)
	c.Keep = max(cmp.Or(c.Keep, defaultKeep), 1)
	if c.AssetGrace = cmp.Or(c.AssetGrace, defaultAssetGrace); c.AssetGrace > maxAssetGrace {
		return c, fmt.Errorf("xesite: Config.AssetGrace: %s is more than %s", c.AssetGrace, maxAssetGrace)
	}
	if c.Previews != nil {
		if c.Previews, err = c.Previews.withDefaults(c.Source, c.SiteURL); err != nil {
			return c, err
		}
	}
	c.Instance = cmp.Or(c.Instance, instanceName())
	c.Logger = logOr(c.Logger)
	return c, nil
}

// source returns the source with what it needs to know of the rest.
func (c Config) source() (Source, error) {
	switch source := c.Source.(type) {
	case nil:
		return nil, errors.New("xesite: Config.Source is nil: give a *Git or a *Dir")
	case *Git:
		own := *source
		own.Dir = cmp.Or(own.Dir, filepath.Join(c.DataDir, "git"))
		return &own, own.Check()
	case *Dir:
		return c.ignoreOwn(source), nil
	}
	return c.Source, nil
}

// checkPaths refuses paths that lead out of the checkout.
func (c Config) checkPaths() error {
	for _, field := range []struct{ name, path string }{{"BuildDir", c.BuildDir}, {"OutputDir", c.OutputDir}} {
		if !filepath.IsLocal(field.path) {
			return fmt.Errorf("xesite: Config.%s: %q is not a path inside the checkout", field.name, field.path)
		}
	}
	for _, path := range c.CachePaths {
		if !isInside(path) {
			return fmt.Errorf("xesite: Config.CachePaths: %q is not a directory inside the checkout", path)
		}
	}
	for i, d := range c.DataFiles {
		if !isInside(d.Path) || d.Fetch == nil {
			return fmt.Errorf("xesite: Config.DataFiles[%d]: Path %q must be a file inside the checkout, and Fetch set", i, d.Path)
		}
		same := func(o DataFile) bool { return filepath.Clean(o.Path) == filepath.Clean(d.Path) }
		if slices.ContainsFunc(c.DataFiles[:i], same) {
			return fmt.Errorf("xesite: Config.DataFiles[%d]: Path %q is there twice", i, d.Path)
		}
	}
	return nil
}

// ignoreOwn returns a source that does not take for a change what a build writes
// into its directory: every build would bring about the next one.
func (c Config) ignoreOwn(d *Dir) *Dir {
	own := *d
	own.Ignore = append(slices.Clone(d.Ignore), c.DataDir, c.OutputDir)
	for _, f := range c.DataFiles {
		own.Ignore = append(own.Ignore, f.Path)
	}
	for _, path := range c.CachePaths {
		own.Ignore = append(own.Ignore, filepath.Join(c.BuildDir, path))
	}
	return &own
}

// isInside reports whether path names something below the checkout that is
// not git's own.
func isInside(path string) bool {
	first, _, _ := strings.Cut(filepath.ToSlash(filepath.Clean(path)), "/")
	return filepath.IsLocal(path) && first != "." && first != ".git"
}

func cleanSiteURL(s string) (string, error) {
	s = cmp.Or(s, defaultSiteURL)
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("xesite: Config.SiteURL: %q is not an http or https URL of a site, such as https://example.com/", s)
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u.String(), nil
}
