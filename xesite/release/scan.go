// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Report is what a writer has to say about the release it made.
type Report struct {
	Files    int       // in the release
	Bytes    int64     // of identity content
	NewBlobs int       // contents that the store did not have
	Mistakes []Mistake // lines of rule files that were left out
	Skipped  []string  // names that were left out: git's own, links to directories
}

// sink takes contents. It must accept the same content from two goroutines.
type sink interface {
	// put consumes src, which has about size bytes, and returns its hash and
	// exact size. New reports whether the content was not there before.
	put(ctx context.Context, open func() (fs.File, error), size int64) (h Hash, n int64, isNew bool, err error)
}

// scan walks fsys and puts every file that belongs into a release into dst.
func scan(ctx context.Context, fsys fs.FS, dst sink) (*Index, *Report, error) {
	paths, report, err := list(ctx, fsys)
	if err != nil {
		return nil, nil, err
	}
	x := &Index{Version: indexVersion, Files: make([]File, len(paths))}
	var newBlobs atomic.Int64
	err = parallel(ctx, len(paths), func(ctx context.Context, i int) error {
		f, isNew, err := read(ctx, fsys, paths[i], dst)
		if isNew {
			newBlobs.Add(1)
		}
		x.Files[i] = f
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if err := x.readRules(fsys, report); err != nil {
		return nil, nil, err
	}
	report.Files, report.Bytes, report.NewBlobs = len(x.Files), x.Size(), int(newBlobs.Load())
	return x, report, nil
}

// list returns the paths of the release in order.
func list(ctx context.Context, fsys fs.FS) (paths []string, report *Report, err error) {
	report = &Report{}
	err = fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("release: %w", err)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case path == ".":
			return nil
		case Hidden(path):
			report.Skipped = append(report.Skipped, path)
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		keep, err := isFile(fsys, path, d)
		if err != nil {
			return err
		}
		if path == redirectsFile || path == headersFile {
			return nil // compiled by readRules
		}
		if !keep {
			report.Skipped = append(report.Skipped, path)
			return nil
		}
		paths = append(paths, path)
		return CheckPath(path)
	})
	// WalkDir sorts by element, the index by the whole path.
	slices.Sort(paths)
	return paths, report, err
}

// isFile reports whether path is a file, or a link to one. Links out of the
// tree and links to nothing are errors: a page that silently misses is worse.
func isFile(fsys fs.FS, path string, d fs.DirEntry) (bool, error) {
	if d.Type().IsRegular() {
		return true, nil
	}
	if d.Type()&fs.ModeSymlink == 0 {
		return false, refusef("release: %q is neither a file nor a directory (%s): remove it from the output", path, d.Type())
	}
	info, err := fs.Stat(fsys, path)
	if err != nil {
		return false, refusef("release: symbolic link %q leads nowhere or out of the output directory: %w", path, err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return false, refusef("release: symbolic link %q leads to something that is no file (%s): remove it from the output", path, info.Mode().Type())
	}
	return info.Mode().IsRegular(), nil
}

// read puts one file and returns its index entry.
func read(ctx context.Context, fsys fs.FS, path string, dst sink) (f File, isNew bool, err error) {
	file, err := fsys.Open(path)
	if err != nil {
		return File{}, false, fmt.Errorf("release: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return File{}, false, errors.Join(fmt.Errorf("release: %w", err), file.Close())
	}
	var head []byte
	open := func() (fs.File, error) {
		again := file // to find a file by its path is a good part of the work
		file = nil
		if again == nil {
			if again, err = fsys.Open(path); err != nil {
				return nil, err
			}
		}
		head = head[:0]
		return &headReader{File: again, head: &head}, nil
	}
	hash, n, isNew, err := dst.put(ctx, open, info.Size())
	if err != nil {
		return File{}, false, fmt.Errorf("release: read %q: %w", path, err)
	}
	return File{Path: path, Hash: hash, Size: n, Type: TypeOf(path, head)}, isNew, nil
}

// headReader remembers the first bytes that it gave.
type headReader struct {
	fs.File
	head *[]byte
}

func (r *headReader) Read(p []byte) (int, error) {
	n, err := r.File.Read(p)
	if room := sniffLen - len(*r.head); room > 0 {
		*r.head = append(*r.head, p[:min(n, room)]...)
	}
	return n, err
}

// readRules compiles the rule files.
func (x *Index) readRules(fsys fs.FS, report *Report) error {
	redirects, err := readOptional(fsys, redirectsFile)
	if err != nil {
		return err
	}
	headers, err := readOptional(fsys, headersFile)
	if err != nil {
		return err
	}
	var m1, m2 []Mistake
	x.Redirects, m1 = ParseRedirects(redirects)
	x.Headers, m2 = ParseHeaders(headers)
	report.Mistakes = append(m1, m2...)
	return nil
}

// maxRuleFile is the largest rule file that is read.
const maxRuleFile = 16 << 20

func readOptional(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Size() > maxRuleFile {
		return nil, fmt.Errorf("release: %s has %d bytes: at most %d are read", name, info.Size(), maxRuleFile)
	}
	var b []byte
	if err == nil {
		b, err = fs.ReadFile(fsys, name)
	}
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return b, nil
}

// hashing reads src to its end.
func hashing(ctx context.Context, dst io.Writer, src io.Reader) (h Hash, n int64, err error) {
	sum := sha256.New()
	n, err = io.Copy(io.MultiWriter(dst, sum), contextReader{ctx, src})
	sum.Sum(h[:0])
	return h, n, err
}

// contextReader makes the copying of a large file stop when the build does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

// parallel calls f for 0…n-1 on all processors but two, and returns the first
// error, after which no further calls start. While all of them are busy the Go
// scheduler looks only every 10 ms whether a request has come in, and one more
// has git and the collector for company. On two cores one worker is as fast as
// two, and visitors wait less.
func parallel(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	return workers(ctx, max(runtime.GOMAXPROCS(0)-2, 1), n, f)
}

// workers is parallel with another number of workers than there are processors.
func workers(ctx context.Context, most, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, most) {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
