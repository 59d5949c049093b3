// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"fmt"
	"io"
)

// Body is an open content. It is an [os.File] where the release is on disk,
// so that net/http can send it without copying.
type Body interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
}

// Release is one immutable release. Its methods may be called from any number
// of goroutines.
type Release struct {
	ID    ID
	Index *Index

	blobs blobs
	// variants has the codings of each file beside identity, smallest first.
	variants [][]Variant
	// inflated has the files whose identity is not held, see Inflated. It may
	// be nil.
	inflated []bool
}

// blobs is where contents are: the [Store] or memory.
type blobs interface {
	openBlob(h Hash, c Coding) (Body, error)
	// tried reports whether a variant that is not there does not pay.
	tried(h Hash, c Coding) bool
}

// Only returns a part of the release: the files that want chooses, and no rules.
// It has the release's ID though it is not the release that this names.
func (r *Release) Only(want func(File) bool) *Release {
	part := &Release{ID: r.ID, Index: &Index{Version: r.Index.Version}, blobs: r.blobs}
	for i, f := range r.Index.Files {
		if want(f) {
			part.Index.Files = append(part.Index.Files, f)
			part.variants = append(part.variants, r.variants[i])
			part.inflated = append(part.inflated, r.Inflated(i))
		}
	}
	return part
}

// Variants returns the forms in which Index.Files[i] is held, smallest first,
// without identity, which is always there. The slice must not be changed.
func (r *Release) Variants(i int) []Variant { return r.variants[i] }

// Inflated reports whether the identity of Index.Files[i] is decompressed anew
// by each reader, as that of a deflated member of an archive: going back in it
// is dear, while its gzip variant is at hand.
func (r *Release) Inflated(i int) bool { return r.inflated != nil && r.inflated[i] }

// Open opens Index.Files[i] in one of the codings that it is held in.
func (r *Release) Open(i int, c Coding) (Body, error) {
	f := r.Index.Files[i]
	b, err := r.blobs.openBlob(f.Hash, c)
	if err != nil {
		return nil, fmt.Errorf("release %s: open %q as %s: %w", r.ID.Short(), f.Path, c, err)
	}
	return b, nil
}

// ReadFile returns the content of a path.
func (r *Release) ReadFile(path string) ([]byte, error) {
	f, err := r.FS().Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
