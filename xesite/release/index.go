// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
)

// indexVersion is the format of [Index]. It is part of the hash, so that a new
// format makes new releases.
const indexVersion = 1

// ID names a release: the SHA-256 of its canonical index in 64 lower-case
// hexadecimal digits.
type ID string

// Short returns the first 12 digits, enough for people.
func (id ID) Short() string { return string(id[:min(len(id), 12)]) }

// Valid reports whether id has the form of a release's name. A caller that
// takes an id from outside must ask: ids become file names.
func (id ID) Valid() bool {
	var h Hash
	return h.UnmarshalText([]byte(id)) == nil
}

// Hash is the SHA-256 of a content.
type Hash [sha256.Size]byte

// String returns the hash in 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns the form of [Hash.String].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 lower-case hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) || bytes.ContainsAny(text, "ABCDEF") {
		return fmt.Errorf("release: %q is not a SHA-256 in 64 lower-case hexadecimal digits", text)
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// File is one path of a release.
type File struct {
	Path string `json:"p"` // slash-separated, relative: "blog/index.html"
	Hash Hash   `json:"h"`
	Size int64  `json:"s"` // bytes
	Type string `json:"t"` // value of the Content-Type header
}

// Index is everything that decides how a release answers.
type Index struct {
	Version   int          `json:"v"`
	Files     []File       `json:"files"` // sorted by Path
	Redirects []Redirect   `json:"redirects,omitempty"`
	Headers   []HeaderRule `json:"headers,omitempty"`
}

// Find returns the position of path in Files.
func (x *Index) Find(path string) (i int, ok bool) {
	return findFile(x.Files, path)
}

func findFile(files []File, path string) (i int, ok bool) {
	return slices.BinarySearchFunc(files, path, func(f File, path string) int {
		return strings.Compare(f.Path, path)
	})
}

// Size returns the sum of the files' sizes in bytes.
func (x *Index) Size() (n int64) {
	for _, f := range x.Files {
		n += f.Size
	}
	return n
}

// Encode returns the canonical form of the index and the release's name.
func (x *Index) Encode() ([]byte, ID, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	// Escaping is a matter of taste that must never change: it is in the hash.
	enc.SetEscapeHTML(false)
	if err := enc.Encode(x); err != nil {
		return nil, "", fmt.Errorf("release: encode index: %w", err)
	}
	return b.Bytes(), idOf(b.Bytes()), nil
}

func idOf(canonical []byte) ID {
	sum := sha256.Sum256(canonical)
	return ID(hex.EncodeToString(sum[:]))
}

// DecodeIndex reads an index and checks that it is one that this package
// could have written: known version, valid paths in strict order, types that
// are header values, rules that a rule file can have, in the canonical form.
func DecodeIndex(b []byte) (*Index, error) {
	var x Index
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&x); err != nil {
		return nil, fmt.Errorf("release: decode index: %w", err)
	}
	if x.Version != indexVersion {
		return nil, fmt.Errorf("release: index has version %d; this program reads version %d", x.Version, indexVersion)
	}
	if err := x.checkFiles(); err != nil {
		return nil, err
	}
	if err := x.checkRules(); err != nil {
		return nil, fmt.Errorf("release: index has a rule that cannot be: %w", err)
	}
	if canonical, _, err := x.Encode(); err != nil || !bytes.Equal(canonical, b) {
		return nil, errors.New("release: index is not in its canonical form: it was not written by this program")
	}
	return &x, nil
}

// checkFiles reports whether the files could have come out of a tree.
func (x *Index) checkFiles() error {
	types := map[string]bool{}
	for i, f := range x.Files {
		if err := CheckPath(f.Path); err != nil {
			return err
		}
		switch {
		case i > 0 && x.Files[i-1].Path >= f.Path:
			return fmt.Errorf("release: index is not sorted: %q follows %q", f.Path, x.Files[i-1].Path)
		case f.Path == redirectsFile || f.Path == headersFile:
			return fmt.Errorf("release: index lists %q, which is compiled and never served", f.Path)
		case f.Size < 0:
			return fmt.Errorf("release: index has size %d for %q", f.Size, f.Path)
		}
		if !types[f.Type] {
			if _, _, err := mime.ParseMediaType(f.Type); err != nil || strings.ContainsFunc(f.Type, isControl) {
				return fmt.Errorf("release: index has type %q for %q, which is no media type", f.Type, f.Path)
			}
			types[f.Type] = true
		}
	}
	if dir := clash(x.Files); dir != "" {
		return fmt.Errorf("release: index lists %q as a file and as a directory", dir)
	}
	return nil
}

// clash returns the first path of sorted files that is also a directory of
// another one, the empty string if there is none.
func clash(files []File) string {
	for i, f := range files[:max(0, len(files)-1)] {
		// What sorts between "a" and "a/" begins with "a" too, so mostly the
		// next file tells.
		if !strings.HasPrefix(files[i+1].Path, f.Path) {
			continue
		}
		dir := f.Path + "/"
		if j, _ := findFile(files, dir); j < len(files) && strings.HasPrefix(files[j].Path, dir) {
			return f.Path
		}
	}
	return ""
}

// Changes tells two releases apart by path.
type Changes struct {
	Added   []string `json:"added"` // sorted, as the others are
	Changed []string `json:"changed"`
	Removed []string `json:"removed"`
}

// Empty reports whether nothing differs.
func (c Changes) Empty() bool {
	return len(c.Added)+len(c.Changed)+len(c.Removed) == 0
}

// Diff returns what became of the paths of before in after. Either may be
// nil, an index without files.
func Diff(before, after *Index) Changes {
	var b, a []File
	if before != nil {
		b = before.Files
	}
	if after != nil {
		a = after.Files
	}
	var c Changes
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Path < b[0].Path:
			c.Added = append(c.Added, a[0].Path)
			a = a[1:]
		case len(a) == 0 || b[0].Path < a[0].Path:
			c.Removed = append(c.Removed, b[0].Path)
			b = b[1:]
		default:
			if a[0] != b[0] {
				c.Changed = append(c.Changed, a[0].Path)
			}
			a, b = a[1:], b[1:]
		}
	}
	return c
}

// maxPath is what file systems and HTTP clients take: a request line is
// limited to a few KiB by most of them.
const maxPath = 1024

// CheckPath reports whether path can be a file of a release. The error has
// [ErrRefused] in its tree.
func CheckPath(path string) error {
	err := checkName(path)
	if err == nil && Hidden(path) {
		err = fmt.Errorf("file name %q belongs to git", path)
	}
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// checkName is CheckPath for names that may turn out to be hidden.
func checkName(path string) error {
	switch {
	case !utf8.ValidString(path):
		return refusef("file name %q is not UTF-8: rename it", path)
	case !fs.ValidPath(path) || path == ".":
		return refusef("file name %q is not a clean relative path", path)
	case strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return refusef("file name %q has a control character: rename it", path)
	case len(path) > maxPath:
		return refusef("file name %.60q… has %d bytes: at most %d can be served", path, len(path), maxPath)
	}
	return nil
}

// Hidden reports whether path never enters a release because an element of it
// begins with ".git": the repository itself and its control files.
func Hidden(path string) bool {
	return strings.HasPrefix(path, ".git") || strings.Contains(path, "/.git")
}

// Errors that callers decide on.
var (
	// ErrCorrupt is in every error about a release whose blobs are missing,
	// have another size, or do not have the content of their hash.
	ErrCorrupt = errors.New("release is corrupt")
	// ErrFenced is returned when somebody with a newer lease has published:
	// the caller lost its right to publish and must stop.
	ErrFenced = errors.New("a newer builder has published")
	// ErrRefused is in every error about a file that cannot be part of a release:
	// for its name, or because it is none or leads out of the tree.
	ErrRefused = errors.New("not fit for a release")
	// ErrNoRelease is returned where a channel has no usable publication.
	ErrNoRelease = errors.New("no release")
)

// refusal is an error with ErrRefused in its tree, and a text of its own.
type refusal struct{ error }

func (r *refusal) Unwrap() []error { return []error{r.error, ErrRefused} }

func refusef(format string, args ...any) error { return &refusal{fmt.Errorf(format, args...)} }
