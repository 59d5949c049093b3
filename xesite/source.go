// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"time"
)

// Source is where a site's content comes from. [Git] and [Dir] are the ones
// this package has.
type Source interface {
	// Fetch finds the newest revision. It may take as long as the network
	// does; it is never called twice at a time.
	Fetch(ctx context.Context) (Revision, error)

	// Checkout makes the files of a revision available for one build and
	// returns their directory: dir, which does not exist yet and will be
	// removed after the build, or one of the source's own.
	Checkout(ctx context.Context, rev Revision, dir string) (string, error)
}

// Watcher is a [Source] that can tell when it has changed.
type Watcher interface {
	Source
	// Watch calls changed after every change, until ctx ends.
	Watch(ctx context.Context, changed func()) error
}

// Revision is one state of a source.
type Revision struct {
	// ID names the state: a commit's full hash. It is empty where states have
	// no names; then every trigger builds.
	ID string
	// Time of the commit.
	Time time.Time
	// Subject is the first line of the commit's message.
	Subject string
}

// Short returns the first 12 digits of the commit.
func (r Revision) Short() string { return r.ID[:min(len(r.ID), 12)] }

// Maintainer is a [Source] that keeps something which has to be tidied.
type Maintainer interface {
	Source
	// Maintain is called between builds, never at the same time as one. It
	// ends early when ctx does, since a build waits then.
	Maintain(ctx context.Context) error
}
