// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package release keeps immutable, content-addressed releases of a web site.
//
// # Overview
//
// A release is what a site generator wrote, frozen: an [Index] that lists
// every path with the SHA-256 of its content, and the contents themselves,
// called blobs. The release's [ID] is the hash of the canonical index, so two
// builds with the same result are the same release. The index holds what
// decides answers and nothing else: paths, hashes, sizes, content types, and
// the compiled rules of the _redirects and _headers files. Who built it, when
// and from what commit stands beside it, in the [Publication].
//
//	store, err := release.Open("/var/lib/site")
//	rel, report, err := store.Write(ctx, os.DirFS("_site"))
//	pub, err := store.Publish(ctx, "production", release.PublishOptions{Release: rel.ID})
//
// [New] makes a release in memory, for tests and for sites in an [embed.FS];
// [OpenZip] one that stays in its zip.
// Package serve answers HTTP requests from a release.
//
// # Archives
//
// A zip is how a release travels. [Release.WriteZip] writes a standard one:
// text deflated, the rest stored, the rules as the files that they are at other
// hosts, and the same bytes for the same release wherever and whenever.
// [OpenArchive] reads it, or any other zip or tar, as an [fs.FS]:
//
//	archive, err := release.OpenArchive(ctx, f, size, "", release.Limits{})
//	defer archive.Close()
//	rel, report, err := store.Write(ctx, archive)
//
// [OpenZip] and [Archive.Release] leave the contents where they are, to be
// served straight from the archive.
//
// In an archive of a folder, such as the Finder and forges make, the folder is
// taken away: if everything is in one directory, and the home page too. What
// the Finder adds in __MACOSX is left out. A zip of WriteZip is taken as it
// is; its comment tells.
//
// An archive comes from somewhere else, so it is refused, with [ErrArchive] and
// the member's name, rather than read in a way that its maker did not mean:
// names that are absolute, lead out, or have backslashes, drive letters,
// control characters or anything but UTF-8; names that are there twice or are
// a file and a directory (those that differ in case are two); links, devices
// and sparse files; encryption; methods other than deflate; members that
// overlap; a directory that contradicts what it lists; whatever is cut off or
// has not its checksum. [Limits] bound what it may hold before anything is
// unpacked. Nothing is ever written under a name out of an archive.
//
// # On disk
//
//	blobs/ab/<sha256>           content, once for all releases
//	blobs/ab/<sha256>.gz1       a compressed form; empty: it does not pay
//	releases/<id>.json          the canonical index
//	channels/<name>             the pointer: release, sequence, fence
//	channels/<name>.d/<seq>.json  one record per publication
//
// # Crashes
//
// A process may be killed, and a machine may lose power, at any instruction.
// New blobs are written under temporary names, synced and only then renamed;
// the index follows when every blob is durable, then the publication record,
// then the pointer, each by write, sync, rename and sync of the directory. So
// what a pointer names is complete, and a half-written release is invisible.
// [Store.Load] still checks that each blob exists with its size, and falls
// back to the previous publication when one does not; [Store.Verify] compares
// contents with their hashes.
//
// # Names
//
// Paths are UTF-8, slash-separated and relative. A path with an element that
// begins with ".git" never enters a release, nor do _redirects and _headers,
// which are compiled; ".well-known" and other dot files do. A symbolic link
// to a file inside the tree stands for that file, one that leads out of the
// tree is an error.
//
// # Rules
//
// The _redirects file has a rule a line, in the form that Netlify and
// Cloudflare Pages share:
//
//	/old/*        /new/:splat       301
//	/app/*        /app/index.html   200
//	/gone         /gone.html        410
//	/store id=:id /items/:id        302!
//
// The status is 301 when it is left out. Existing files win over a rule
// unless its status ends in an exclamation mark. Proxying (a 200 to another
// host) and conditions on country, language or cookies are not supported. The
// _headers file names a path pattern a block:
//
//	/assets/*
//	  Cache-Control: public, max-age=86400
//	  ! X-Robots-Tag
//
// Passwords (Basic-Auth) are not supported. A mistake does not fail the
// release: it is reported as a [Mistake] with its line, which is left out.
package release
