// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package xesite

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"xeiaso.net/site/internal/atomicfile"
)

// DataFile is a file that comes from elsewhere than the repository, such as a
// list of supporters. The last good value is kept on disk and used when Fetch
// fails or hangs, so that the other service can never stop a build.
type DataFile struct {
	// Path of the file in the checkout. An existing file is replaced there.
	Path string

	// Fetch returns the content. It runs outside any lock, with a context that
	// ends after Timeout; if it does not return then it is left behind.
	Fetch func(ctx context.Context) ([]byte, error)

	// Timeout bounds Fetch. If zero, 10 seconds.
	Timeout time.Duration

	// MaxAge is how old the last good value may be to be used in place of a
	// fresh one. If zero, it never gets too old.
	MaxAge time.Duration

	// At tells since when the content that Fetch has returned is known, if that
	// is earlier: for a Fetch that returns what was read before. If nil, it is when
	// Fetch returns. The zero time does not count.
	At func() time.Time

	// Default is written if there is no value at all, and the repository has no
	// file at Path either. If nil, the build goes without.
	Default []byte

	// Required makes a build fail for which there is no value at all.
	// Otherwise the file is left as the repository has it, see Default.
	Required bool
}

const defaultFetchTimeout = 10 * time.Second

// dataCache fetches data files and keeps their last good values.
type dataCache struct {
	dir   string
	files []DataFile

	mu      sync.Mutex      // guards running
	running map[string]bool // fetches that have not returned
}

// datum is the content of one data file for one build.
type datum struct {
	path    string
	content []byte // nil: leave the file alone
	missing bool   // write it only if there is no file
}

// fetch gets all files at the same time. The log says where an old value had
// to do. An error means that the build cannot go on.
func (d *dataCache) fetch(ctx context.Context, log *buildLog) ([]datum, error) {
	data := make([]datum, len(d.files))
	errs := make([]error, len(d.files))
	var all sync.WaitGroup
	for i, f := range d.files {
		all.Go(func() {
			content, err := d.one(ctx, f, log)
			data[i], errs[i] = datum{path: f.Path, content: content}, err
			if content == nil && f.Default != nil {
				data[i].content, data[i].missing = f.Default, true
			}
		})
	}
	all.Wait()
	return data, errors.Join(errs...)
}

func (d *dataCache) one(ctx context.Context, f DataFile, log *buildLog) ([]byte, error) {
	content, err := d.fresh(ctx, f)
	if err == nil {
		if err := d.store(f, content); err != nil {
			log.warnf("data file %s: the value could not be kept: %v", f.Path, err)
		}
		return content, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	old, age, errOld := d.load(f)
	switch {
	case errOld == nil && (f.MaxAge == 0 || age <= f.MaxAge):
		log.warnf("data file %s: %v; using the value from %s ago", f.Path, err, age.Round(time.Second))
		return old, nil
	case errOld == nil:
		err = fmt.Errorf("%w; the last good value is %s old, more than %s", err, age.Round(time.Second), f.MaxAge)
	}
	if f.Required {
		return nil, fmt.Errorf("data file %s: %w", f.Path, err)
	}
	instead := "the file is left as it is"
	if f.Default != nil {
		instead += ", and made of the default if there is none"
	}
	log.warnf("data file %s: %v; %s", f.Path, err, instead)
	return nil, nil
}

// fresh calls Fetch, and leaves it behind if it does not come back.
func (d *dataCache) fresh(ctx context.Context, f DataFile) ([]byte, error) {
	if !d.begin(f.Path) {
		return nil, errors.New("the previous fetch still hangs")
	}
	timeout := f.Timeout
	if timeout == 0 {
		timeout = defaultFetchTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("fetch took longer than %s", timeout))
	type answer struct {
		content []byte
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		defer cancel()
		defer d.end(f.Path)
		content, err := callFetch(ctx, f)
		answers <- answer{content, err}
	}()
	select {
	case a := <-answers:
		return a.content, a.err
	case <-ctx.Done():
		select {
		case a := <-answers: // cancel is called after the answer was sent
			return a.content, a.err
		default:
			return nil, context.Cause(ctx)
		}
	}
}

// callFetch survives a Fetch that panics.
func callFetch(ctx context.Context, f DataFile) (content []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("fetch panicked: %v", p)
		}
	}()
	content, err = f.Fetch(ctx)
	if err == nil && content == nil {
		content = []byte{}
	}
	return content, err
}

func (d *dataCache) begin(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running[path] {
		return false
	}
	if d.running == nil {
		d.running = map[string]bool{}
	}
	d.running[path] = true
	return true
}

func (d *dataCache) end(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.running, path)
}

func (d *dataCache) file(f DataFile) string { return filepath.Join(d.dir, hashName(f.Path)) }

func (d *dataCache) store(f DataFile, content []byte) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	if err := atomicfile.Write(d.file(f), content, 0o600); err != nil || f.At == nil {
		return err
	}
	at := f.At()
	if at.IsZero() || at.After(time.Now()) {
		return nil
	}
	return os.Chtimes(d.file(f), at, at)
}

// load returns the last good value and how old it is.
func (d *dataCache) load(f DataFile) ([]byte, time.Duration, error) {
	info, err := os.Stat(d.file(f))
	if err != nil {
		return nil, 0, err
	}
	content, err := os.ReadFile(d.file(f))
	return content, max(time.Since(info.ModTime()), 0), err
}

// write puts the data into a checkout. The repository may have a link where a
// file belongs: it is replaced, never followed.
func writeData(dir string, data []datum) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, d := range data {
		if d.content == nil {
			continue
		}
		if _, err := root.Lstat(d.path); err == nil && d.missing {
			continue
		}
		if err := root.MkdirAll(filepath.Dir(d.path), 0o755); err != nil {
			return fmt.Errorf("data file %s: %w", d.path, err)
		}
		if err := root.Remove(d.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("data file %s: %w", d.path, err)
		}
		if err := root.WriteFile(d.path, d.content, 0o644); err != nil {
			return fmt.Errorf("data file %s: %w", d.path, err)
		}
	}
	return nil
}

// hashData returns what the data files contribute to a build's key.
func hashData(data []datum) string {
	sum := sha256.New()
	for _, d := range data {
		fmt.Fprintf(sum, "%q %t %d\n", d.path, d.content == nil, len(d.content))
		if d.missing {
			io.WriteString(sum, "default\n")
		}
		sum.Write(d.content)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}
