// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package corpus fills repositories with a thousand pages that people wrote,
// which real site generators build: Hugo and Eleventy.
//
// # Overview
//
//	repo := gittest.New(t)
//	site := corpus.Hugo(t, repo, 5) // five times a thousand pages
//	repo.Commit("documentation")
//	repo.Push()
//	cfg.Builder = xesite.Command{Line: site.Line}
//	cfg.OutputDir = site.OutputDir
//
// The pages are in ../shared/corpus beside the checkout; without them a test is
// skipped. What in them is meant for Hugo's own site is taken out: shortcodes,
// and everything of the front matter but title, description, date and weight.
//
// Every page has its title and its text. The home page also has the commit,
// from the variable COMMIT, and the other pages do not, so a commit that
// changes one document changes few files.
package corpus
