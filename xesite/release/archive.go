// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
)

// Errors about archives. One of them is in the tree of every error that is the
// archive's fault; any other error is a fault of reading it.
var (
	// ErrArchive means that an archive is broken, or has what no site may
	// have, such as a name that leads out of it.
	ErrArchive = errors.New("archive refused")
	// ErrTooLarge means that an archive goes beyond its [Limits].
	ErrTooLarge = errors.New("archive is too large")
)

// Limits bound what an archive may hold, before anything is unpacked. There is
// none on the ratio: pages can shrink to a thousandth, and what a bomb could
// do is what Total allows.
type Limits struct {
	// Archive bounds the bytes of the archive itself. If zero, 1 GiB.
	Archive int64

	// Total bounds the bytes of all contents together. If zero, 4 GiB.
	Total int64

	// File bounds the bytes of one content. If zero, 1 GiB.
	File int64

	// Files bounds the number of members, directories included. If zero,
	// 100,000.
	Files int
}

// WithDefaults returns the limits that count.
func (l Limits) WithDefaults() Limits {
	return Limits{
		Archive: cmp.Or(l.Archive, 1<<30),
		Total:   cmp.Or(l.Total, 4<<30),
		File:    cmp.Or(l.File, 1<<30),
		Files:   cmp.Or(l.Files, 100_000),
	}
}

// checkArchive refuses an archive by its own size.
func (l Limits) checkArchive(size int64) error {
	if size > l.Archive {
		return fmt.Errorf("%w: it has %d bytes, and at most %d are taken: raise Limits.Archive", ErrTooLarge, size, l.Archive)
	}
	return nil
}

func (l Limits) checkCount(n uint64) error {
	if n > uint64(l.Files) {
		return fmt.Errorf("%w: it has %d members, and at most %d are taken: raise Limits.Files", ErrTooLarge, n, l.Files)
	}
	return nil
}

// meter adds up what members unpack to.
type meter struct {
	limits Limits
	total  int64
}

func (m *meter) add(name string, size int64) error {
	if size > m.limits.File {
		return fmt.Errorf("%w: member %q unpacks to %d bytes, and at most %d are taken: raise Limits.File", ErrTooLarge, name, size, m.limits.File)
	}
	if m.total += size; m.total > m.limits.Total {
		return fmt.Errorf("%w: with member %q it unpacks to more than %d bytes: raise Limits.Total", ErrTooLarge, name, m.limits.Total)
	}
	return nil
}

// refuse returns the error about one member.
func refuse(name, format string, args ...any) error {
	return fmt.Errorf("%w: member %q: %s", ErrArchive, name, fmt.Sprintf(format, args...))
}

// member is one file of an archive.
type member struct {
	name     string
	offset   int64 // of the data in the archive
	packed   int64 // bytes there
	size     int64 // bytes of content
	crc      uint32
	deflated bool // otherwise stored
	summed   bool // crc counts: a tar has none
}

// Archive is the files of a zip or tar archive, rule files included, as an
// [fs.FS]: [Store.Write] makes a release of it, [Archive.Release] one that is
// served from the archive itself. Its methods may be called from any number of
// goroutines.
//
// Members are checked when they are read: a content that has not the size and
// checksum of its directory entry is an error at its end.
type Archive struct {
	r       io.ReaderAt
	format  string
	members []member // sorted by name
	files   []File   // the same, as far as a fileSystem needs them
	spool   *os.File // the unpacked tar, if r is that

	inflaters sync.Pool // of *inflater
}

// OpenArchive reads the directory of an archive of size bytes: a zip, a tar, or
// a tar compressed with gzip or zstd, told apart by content. It must not change
// until Close. A compressed tar is unpacked into a temporary file of scratch,
// which has no name any more when OpenArchive returns; if scratch is empty, of
// [os.TempDir].
//
// An error has [ErrArchive] or [ErrTooLarge] in its tree if the archive is at
// fault, and names the member.
func OpenArchive(ctx context.Context, r io.ReaderAt, size int64, scratch string, limits Limits) (*Archive, error) {
	a, err := openArchive(ctx, r, size, scratch, limits.WithDefaults())
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return a, nil
}

func openArchive(ctx context.Context, r io.ReaderAt, size int64, scratch string, limits Limits) (*Archive, error) {
	if err := limits.checkArchive(size); err != nil {
		return nil, err
	}
	head, err := readHead(r, size)
	if err != nil {
		return nil, err
	}
	switch format := detect(head); format {
	case "zip":
		return openZip(ctx, r, size, limits)
	case "tar":
		return openTar(ctx, r, size, limits)
	case "gzip", "zstd":
		return openPackedTar(ctx, io.NewSectionReader(r, 0, size), format, scratch, limits)
	case "":
		return nil, fmt.Errorf("%w: it is neither a zip nor a tar, with or without gzip or zstd", ErrArchive)
	default:
		return nil, fmt.Errorf("%w: %s is not supported: send a zip, or a tar with gzip, zstd or nothing around it", ErrArchive, format)
	}
}

// tarMagic is where the header of a tar's first member says what it is.
const tarMagic = 257

func readHead(r io.ReaderAt, size int64) ([]byte, error) {
	head := make([]byte, min(size, tarMagic+5))
	if _, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	return head, nil
}

// detect names the format of what begins with head, the empty string if it is
// not known.
func detect(head []byte) string {
	for _, f := range []struct {
		at          int
		magic, name string
	}{
		{0, "PK\x03\x04", "zip"},
		{0, "PK\x05\x06", "zip"}, // without members
		{0, "PK\x06\x06", "zip"}, // the same, in the 64-bit form
		{tarMagic, "ustar", "tar"},
		{0, "\x1f\x8b", "gzip"},
		{0, "\x28\xb5\x2f\xfd", "zstd"},
		{0, "\xfd7zXZ", "xz"},
		{0, "BZh", "bzip2"},
		{0, "7z\xbc\xaf\x27\x1c", "7z"},
		{0, "Rar!", "rar"},
	} {
		if len(head) >= f.at && strings.HasPrefix(string(head[f.at:]), f.magic) {
			return f.name
		}
	}
	return ""
}

// newArchive puts the members of an archive in order. Verbatim says that the
// archive was written by this package, so that its paths are the release's.
func newArchive(r io.ReaderAt, format string, members []member, dirs []string, verbatim bool) (*Archive, error) {
	if err := checkNames(members, dirs); err != nil {
		return nil, err
	}
	if !verbatim {
		members = unwrap(slices.DeleteFunc(members, func(m member) bool { return strings.HasPrefix(m.name, macOSForks) }))
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	a := &Archive{r: r, format: format, members: members, files: make([]File, len(members))}
	for i, m := range members {
		if (m.name == redirectsFile || m.name == headersFile) && m.size > maxRuleFile {
			return nil, fmt.Errorf("%w: member %q has %d bytes, and at most %d are read", ErrTooLarge, m.name, m.size, maxRuleFile)
		}
		a.files[i] = File{Path: m.name, Size: m.size}
	}
	return a, nil
}

// checkNames refuses names that are there twice, or as a file and a directory,
// which may have an entry of its own.
func checkNames(members []member, dirs []string) error {
	all := make([]File, 0, len(members)+len(dirs))
	for _, m := range members {
		all = append(all, File{Path: m.name})
	}
	for _, dir := range dirs {
		all = append(all, File{Path: dir + "/"})
	}
	slices.SortFunc(all, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for i := 1; i < len(all); i++ {
		if name := all[i].Path; name == all[i-1].Path && !strings.HasSuffix(name, "/") {
			return refuse(name, "it is there twice")
		}
	}
	if dir := clash(all); dir != "" {
		return refuse(dir, "it is a file and a directory")
	}
	return nil
}

// macOSForks is the directory in which the Finder hides what its own file
// system knows of files.
const macOSForks = "__MACOSX/"

// unwrap takes away the one directory that holds the whole site, as in an
// archive of a folder, or of a repository by a forge. It must have an
// index.html: a site that has its home page there is the one that was meant.
func unwrap(members []member) []member {
	if len(members) == 0 {
		return members
	}
	dir, _, ok := strings.Cut(members[0].name, "/")
	home := false
	for _, m := range members {
		ok = ok && strings.HasPrefix(m.name, dir+"/")
		home = home || m.name == dir+"/index.html"
	}
	if !ok || !home {
		return members
	}
	for i := range members {
		members[i].name = members[i].name[len(dir)+1:]
	}
	return members
}

// checkMemberName reports whether a name can be that of a member. What is
// git's own passes: it is left out later, as in any other tree.
func checkMemberName(name string) error {
	drive := len(name) > 1 && name[1] == ':' && ('a' <= name[0]|0x20 && name[0]|0x20 <= 'z')
	switch {
	case strings.HasPrefix(name, "/"):
		return refuse(name, "its name is absolute: archive the site's directory from inside")
	case slices.Contains(strings.Split(name, "/"), ".."):
		return refuse(name, "its name leads out of the archive: archive the site's directory from inside")
	case strings.Contains(name, `\`):
		return refuse(name, `its name has a backslash: names of members have "/"`)
	case drive:
		return refuse(name, "its name begins with a drive letter: archive the site's directory from inside")
	}
	if err := checkName(name); err != nil {
		return fmt.Errorf("%w: %w", ErrArchive, err)
	}
	return nil
}

// Format returns what the archive is: "zip", "tar", "tar.gz" or "tar.zst".
func (a *Archive) Format() string { return a.format }

// Open implements [fs.FS].
func (a *Archive) Open(name string) (fs.File, error) {
	return fileSystem{a.files, func(i int) (io.ReadCloser, error) { return a.read(&a.members[i]), nil }}.Open(name)
}

// Close removes what OpenArchive has unpacked. The archive, and releases that
// are served from it, cannot be read any more.
func (a *Archive) Close() error {
	if a.spool == nil {
		return nil
	}
	return a.spool.Close()
}
