// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"cmp"
	"context"
	"fmt"

	"xeiaso.net/site/xesite/release"
)

// Gates are what a release has to pass before it is published. One that does
// not ends its build as [ResultRejected], and the previous release stays. The
// zero value is good: it refuses what is more likely an accident than a site.
// A build that was asked for with [Trigger.Force] passes them all.
//
// A release never holds a link that leads out of the generator's output,
// whatever the gates.
type Gates struct {
	// MinPercent is how many files of every hundred must be left of the
	// current release. It counts from 50 files on. If zero, 50; if negative,
	// any number may go.
	MinPercent int

	// NoIndex accepts a site without index.html. Otherwise a first release
	// needs not have one, but a later one does if the current one has.
	NoIndex bool

	// StrictRules refuses a release if a line of _redirects or _headers is
	// wrong. Otherwise the line is left out, and the build's record says so.
	StrictRules bool

	// MaxFiles and MaxBytes bound the release, MaxFileBytes each of its files.
	// If zero, there is no bound.
	MaxFiles               int
	MaxBytes, MaxFileBytes int64

	// Func, if not nil, is asked last, for instance by package links. Its error
	// is the reason in the build's record.
	Func func(ctx context.Context, c Candidate) error
}

// Candidate is a release that is to be published.
type Candidate struct {
	Current  *release.Release // what is served; nil if nothing is
	Next     *release.Release
	SiteURL  string   // where it will be served; ends in a slash
	Preview  bool     // it is not for the site itself
	Mistakes []string // lines of rule files that were left out
}

// rejection is the error of a release that did not pass the gates.
type rejection struct{ reason string }

func (e *rejection) Error() string { return e.reason }

func rejectf(format string, args ...any) error {
	return &rejection{fmt.Sprintf(format, args...)}
}

// shrinkFrom is the number of files from which losing most of them is taken
// for an accident.
const shrinkFrom = 50

// check returns a [*rejection] if the candidate must not be published.
func (g Gates) check(ctx context.Context, c Candidate) error {
	err := cmp.Or(g.checkFiles(c.Current, c.Next), g.checkSize(c.Next.Index))
	if err == nil && g.StrictRules && len(c.Mistakes) > 0 {
		err = rejectf("%d lines of rule files are wrong, such as: %s", len(c.Mistakes), c.Mistakes[0])
	}
	if err != nil || g.Func == nil {
		return err
	}
	if err := g.ask(ctx, c); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return &rejection{err.Error()}
	}
	return nil
}

// ask survives a Func that panics.
func (g Gates) ask(ctx context.Context, c Candidate) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the gate panicked: %v", p)
		}
	}()
	return g.Func(ctx, c)
}

// checkFiles compares the files with those of the current release.
func (g Gates) checkFiles(current, next *release.Release) error {
	files := len(next.Index.Files)
	if files == 0 {
		return rejectf("the generator wrote no files")
	}
	if current == nil {
		return nil
	}
	before := len(current.Index.Files)
	percent := cmp.Or(g.MinPercent, 50)
	if percent > 0 && before >= shrinkFrom && files*100 < before*percent {
		return rejectf("only %d files are left of %d: if that is right, rebuild with force", files, before)
	}
	_, had := current.Index.Find("index.html")
	if _, has := next.Index.Find("index.html"); had && !has && !g.NoIndex {
		return rejectf("the release has no index.html, and the current one has")
	}
	return nil
}

// checkSize compares a release with its bounds.
func (g Gates) checkSize(x *release.Index) error {
	if g.MaxFiles > 0 && len(x.Files) > g.MaxFiles {
		return rejectf("the release has %d files: at most %d are allowed", len(x.Files), g.MaxFiles)
	}
	if size := x.Size(); g.MaxBytes > 0 && size > g.MaxBytes {
		return rejectf("the release has %d bytes: at most %d are allowed", size, g.MaxBytes)
	}
	for _, f := range x.Files {
		if g.MaxFileBytes > 0 && f.Size > g.MaxFileBytes {
			return rejectf("file %q has %d bytes: at most %d are allowed", f.Path, f.Size, g.MaxFileBytes)
		}
	}
	return nil
}
