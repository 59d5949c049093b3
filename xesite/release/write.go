// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"xeiaso.net/site/internal/atomicfile"
)

// Write makes a release of the files of fsys. Contents that the store has
// already are only hashed; new ones are written and compressed in the fast
// codings ([Store.Compress] adds the slow ones). When Write returns, the
// release is durable, but no channel names it yet.
//
// Use [os.Root.FS] for a directory: it refuses links out of it.
func (s *Store) Write(ctx context.Context, fsys fs.FS) (*Release, *Report, error) {
	batch := newBatch(s)
	defer batch.discard()
	x, report, err := scan(ctx, fsys, batch)
	if err != nil {
		return nil, nil, err
	}
	err = parallel(ctx, len(x.Files), func(ctx context.Context, i int) error {
		for c := Gzip; c < codings; c++ {
			if recipes[c].slow {
				continue
			}
			if err := batch.compress(ctx, x.Files[i], c); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = batch.commit()
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := s.writeIndex(ctx, x, batch.size)
	return r, report, err
}

// writeIndex makes the release visible, after its blobs are durable. Size
// tells the sizes of blobs.
func (s *Store) writeIndex(ctx context.Context, x *Index, size sizer) (*Release, error) {
	b, id, err := x.Encode()
	if err != nil {
		return nil, err
	}
	if old, err := os.ReadFile(s.indexPath(id)); err != nil || !bytes.Equal(old, b) {
		if err := atomicfile.Write(s.indexPath(id), b, 0o644); err != nil {
			return nil, fmt.Errorf("release: %w", err)
		}
	}
	return s.open(ctx, id, x, size)
}

// Compress makes the variants that are missing, the slow codings included,
// and returns the release with them, or r itself if there was nothing to do.
// Variants that were there before are the same bytes as before. When ctx ends
// the ones made so far are kept.
func (s *Store) Compress(ctx context.Context, r *Release) (*Release, error) {
	batch := newBatch(s)
	defer batch.discard()
	made := 0
	var err error
	for i := 0; i < len(r.Index.Files) && err == nil; i++ {
		for c := Gzip; c < codings && err == nil; c++ {
			err = batch.compress(ctx, r.Index.Files[i], c)
		}
		if len(batch.pending) >= fewVariants && err == nil {
			made += len(batch.pending)
			err = batch.commit()
		}
	}
	made += len(batch.pending)
	if err = errors.Join(err, batch.commit()); err != nil || made == 0 {
		return r, err
	}
	full, err := s.open(context.WithoutCancel(ctx), r.ID, r.Index, sizeOf)
	if err != nil {
		return r, err
	}
	return full, nil
}

// fewVariants is how many variants are made durable at a time. Somebody may
// wait for the end of it: a build, or the end of the program.
const fewVariants = 500

// batch is a set of new blobs that become visible together, once all of them
// are durable.
type batch struct {
	store   *Store
	mu      sync.Mutex        // guards pending and sizes
	pending map[string]string // final path to temporary path
	sizes   map[string]int64  // of the blobs that were there before, by path

	encoders encoders
	buffers  sync.Pool // of *bytes.Buffer
}

func newBatch(s *Store) *batch {
	return &batch{store: s, pending: map[string]string{}, sizes: map[string]int64{}}
}

// has reports whether the blob is in the store or in the batch. A blob of
// another size is what a disk left of it after a fault: it is written again.
func (b *batch) has(path string, size int64) bool {
	b.mu.Lock()
	_, ok := b.pending[path]
	b.mu.Unlock()
	if ok {
		return true
	}
	got, err := b.size(path)
	return err == nil && (size < 0 || got == size)
}

// size is [sizeOf] that asks the file system once for each blob.
func (b *batch) size(path string) (int64, error) {
	b.mu.Lock()
	n, ok := b.sizes[path]
	b.mu.Unlock()
	if ok {
		return n, nil
	}
	n, err := sizeOf(path)
	if err == nil {
		b.mu.Lock()
		b.sizes[path] = n
		b.mu.Unlock()
	}
	return n, err
}

// inMemory is the size up to which a file is read once, before it is known
// whether its content is new. Larger ones are read again if it is.
const inMemory = 1 << 20

func (b *batch) put(ctx context.Context, open func() (fs.File, error), size int64) (h Hash, n int64, isNew bool, err error) {
	f, err := open()
	if err != nil {
		return h, 0, false, err
	}
	defer f.Close()
	content, ok := b.buffers.Get().(*bytes.Buffer)
	if !ok {
		content = new(bytes.Buffer)
	}
	content.Reset()
	defer b.buffers.Put(content)
	if size <= inMemory {
		n, err = content.ReadFrom(contextReader{ctx, f})
		h = sha256.Sum256(content.Bytes())
	} else {
		h, n, err = hashing(ctx, io.Discard, f)
	}
	if err != nil {
		return h, n, false, err
	}
	path := b.store.blobPath(h, Identity)
	if b.has(path, n) {
		return h, n, false, nil
	}
	if size <= inMemory {
		return h, n, true, b.add(path, func(w io.Writer) error {
			_, err := w.Write(content.Bytes())
			return err
		})
	}
	return h, n, true, b.add(path, func(w io.Writer) error { return copyAgain(ctx, w, open, h) })
}

// copyAgain writes a large file, which must not have changed meanwhile.
func copyAgain(ctx context.Context, w io.Writer, open func() (fs.File, error), want Hash) error {
	f, err := open()
	if err != nil {
		return err
	}
	defer f.Close()
	got, _, err := hashing(ctx, w, f)
	if err == nil && got != want {
		err = errors.New("it changed while it was read: let the generator finish before it exits")
	}
	return err
}

// add writes a temporary file that commit will rename to path.
func (b *batch) add(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(b.store.tempDir(), "")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Chmod(0o444)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.pending[path]; ok { // the same content under two names
		return os.Remove(f.Name())
	}
	b.pending[path] = f.Name()
	return nil
}

// compress adds one variant, unless it is there. An empty file records that
// it does not pay, so that nobody tries again.
func (b *batch) compress(ctx context.Context, f File, c Coding) error {
	path := b.store.blobPath(f.Hash, c)
	if !wants(f, c) || b.has(path, -1) {
		return nil
	}
	src, err := b.open(f.Hash)
	if err != nil {
		return err
	}
	defer src.Close()
	var out bytes.Buffer
	if err := b.encoders.encode(&out, contextReader{ctx, src}, c); err != nil {
		return fmt.Errorf("release: compress %q: %w", f.Path, err)
	}
	if !pays(f.Size, int64(out.Len())) {
		out.Reset()
	}
	return b.add(path, func(w io.Writer) error {
		_, err := w.Write(out.Bytes())
		return err
	})
}

// open opens an identity blob of the store or of the batch itself.
func (b *batch) open(h Hash) (*os.File, error) {
	path := b.store.blobPath(h, Identity)
	b.mu.Lock()
	if tmp, ok := b.pending[path]; ok {
		path = tmp
	}
	b.mu.Unlock()
	return os.Open(path)
}

// fewFiles is the number of new blobs below which they are synced one by one.
// Above it one call for the whole file system is cheaper, though it also waits
// for what others have written.
const fewFiles = 32

// commit makes the batch durable, then visible.
func (b *batch) commit() error {
	b.store.committing.Lock()
	defer b.store.committing.Unlock()
	if len(b.pending) == 0 {
		return nil
	}
	if err := b.sync(); err != nil {
		return fmt.Errorf("release: sync new contents: %w", err)
	}
	dirs := map[string]bool{}
	for path, tmp := range b.pending {
		dir := filepath.Dir(path)
		if !dirs[dir] {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("release: %w", err)
			}
			dirs[dir] = true
		}
		if err := os.Rename(tmp, path); err != nil {
			return fmt.Errorf("release: %w", err)
		}
		delete(b.pending, path)
		delete(b.sizes, path) // of a damaged blob, which was in its place
	}
	dirs[filepath.Join(b.store.dir, "blobs")] = true
	return b.syncDirs(dirs)
}

// sync makes the temporary files durable.
func (b *batch) sync() error {
	if len(b.pending) > fewFiles {
		if done, err := b.syncAll(); done || err != nil {
			return err
		}
	}
	return together(slices.Collect(maps.Values(b.pending)), func(tmp string) error {
		f, err := os.Open(tmp)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

func (b *batch) syncAll() (done bool, err error) {
	dir, err := os.Open(b.store.tempDir())
	if err != nil {
		return false, err
	}
	defer dir.Close()
	return syncFileSystem(dir)
}

func (b *batch) syncDirs(dirs map[string]bool) error {
	if len(dirs) > fewFiles {
		if done, err := b.syncAll(); done || err != nil {
			return err
		}
	}
	return together(slices.Collect(maps.Keys(dirs)), atomicfile.SyncDir)
}

// together calls f for several paths at a time. The file system makes them
// durable in one go, so this is about waiting and not about processors.
func together(paths []string, f func(path string) error) error {
	return workers(context.Background(), fewFiles, len(paths), func(_ context.Context, i int) error { return f(paths[i]) })
}

// discard removes what was not committed.
func (b *batch) discard() {
	for _, tmp := range b.pending {
		os.Remove(tmp)
	}
}
