// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// FS returns the files of the release as they came from the generator, the
// rule files excepted.
func (r *Release) FS() fs.FS {
	return fileSystem{r.Index.Files, func(i int) (io.ReadCloser, error) { return r.Open(i, Identity) }}
}

// fileSystem is a list of files, sorted by path, as a tree.
type fileSystem struct {
	files []File
	open  func(i int) (io.ReadCloser, error)
}

// Open implements [fs.FS].
func (f fileSystem) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if i, ok := findFile(f.files, name); ok {
		content, err := f.open(i)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		file := openFile{content, fileInfo{f.files[i]}}
		if body, ok := content.(Body); ok {
			return &openBody{body, file}, nil
		}
		return &file, nil
	}
	entries := f.list(name)
	if entries == nil && name != "." {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &openDir{info: dirInfo(path.Base(name)), entries: entries}, nil
}

// list returns the children of a directory. Directories exist only through
// the files in them.
func (f fileSystem) list(name string) (entries []fs.DirEntry) {
	prefix := name + "/"
	if name == "." {
		prefix = ""
	}
	start, _ := findFile(f.files, prefix)
	last := ""
	for _, file := range f.files[start:] {
		rest, ok := strings.CutPrefix(file.Path, prefix)
		if !ok {
			break
		}
		child, _, isDir := strings.Cut(rest, "/")
		switch {
		case !isDir:
			entries = append(entries, fs.FileInfoToDirEntry(fileInfo{file}))
		case child != last:
			last = child
			entries = append(entries, fs.FileInfoToDirEntry(dirInfo(child)))
		}
	}
	// "a.html" sorts before "a/x" in the index, and after the name "a" here.
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}

type openFile struct {
	io.ReadCloser
	info fileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// openBody is an open file that one can also seek in.
type openBody struct {
	Body
	file openFile
}

func (f *openBody) Stat() (fs.FileInfo, error) { return f.file.info, nil }

type openDir struct {
	info    dirInfo
	entries []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: string(d.info), Err: fs.ErrInvalid}
}

// ReadDir implements [fs.ReadDirFile].
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.entries)
	} else if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	var head []fs.DirEntry
	head, d.entries = d.entries[:n], d.entries[n:]
	return head, nil
}

type fileInfo struct{ f File }

func (i fileInfo) Name() string       { return path.Base(i.f.Path) }
func (i fileInfo) Size() int64        { return i.f.Size }
func (i fileInfo) Mode() fs.FileMode  { return 0o444 }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return false }
func (i fileInfo) Sys() any           { return nil }

type dirInfo string

func (i dirInfo) Name() string       { return string(i) }
func (i dirInfo) Size() int64        { return 0 }
func (i dirInfo) Mode() fs.FileMode  { return fs.ModeDir | 0o555 }
func (i dirInfo) ModTime() time.Time { return time.Time{} }
func (i dirInfo) IsDir() bool        { return true }
func (i dirInfo) Sys() any           { return nil }
