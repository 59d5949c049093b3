// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package serve answers HTTP requests from a release.
//
// # Overview
//
// [New] compiles a release into a [Handler]: a table of every path that has an
// answer, with the header fields of that answer ready to send. A request is
// one look-up; it takes no lock and allocates next to nothing.
//
//	rel, _, err := release.New(ctx, os.DirFS("_site"))
//	h := serve.New(rel, serve.Options{})
//	http.ListenAndServe("localhost:8080", h)
//
// A Handler never changes. To publish another release, make another Handler
// and swap a pointer; requests that run keep the one they began with.
//
// # Paths
//
// "/x/" is x/index.html; "/x" is the file x, else x.html, else a redirect 308
// to "/x/" with the query kept; "/x/" without an index redirects to "/x" where
// x.html is there. Directories are never listed. What has no answer gets the
// nearest 404.html up the tree with status 404. Rules of the _redirects file
// apply where no file answers, or first if they are forced; rules of the
// _headers file to every answer with content, by the path that was asked for.
// GET and HEAD are answered; everything else is 405.
//
// # Representations and validators
//
// The coding is negotiated among those that the release holds (zstd, br and
// gzip; identity always), by q-value and then by size; a malformed
// Accept-Encoding is read as far as it makes sense. Each representation has
// its own strong entity tag, made of the content's hash and the coding, equal
// in every release and on every replica that has the content. Answers that
// could have been coded differently vary by Accept-Encoding, the 304 and 404
// included. Conditions follow RFC 9110 section 13.2.2; ranges are answered
// from identity. Last-Modified is when the content of a path last changed.
//
// # Zips
//
// A release can be served straight from a zip ([release.OpenZip]), without
// unpacking it. Deflated members go out as gzip as they are: a header in
// front, a checksum behind. Where such a content is wanted as identity it is
// inflated; a range is answered from what was negotiated, since any part of
// the gzip form is at hand. Identity has the entity tag that the content has
// everywhere; the gzip form has one of its own, since it is a foreign
// encoder's.
//
//	f, err := os.Open("site.zip")
//	info, err := f.Stat()
//	rel, _, err := release.OpenZip(ctx, f, info.Size(), release.Limits{})
//	h := serve.New(rel, serve.Options{})
//
// # Caching
//
// Names with a fingerprint, a part of eight or more hexadecimal digits that
// are not all decimal, are immutable for a year, HTML excepted. Everything
// else is revalidated at each use, so a removed page is gone at once. The
// _headers file overrides either.
package serve
