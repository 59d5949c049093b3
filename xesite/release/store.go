// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"xeiaso.net/site/internal/atomicfile"
)

// Store keeps releases in a directory. Any number of processes may read from
// one; the methods that write ([Store.Write], [Store.Publish],
// [Store.Compress], [Store.Collect]) belong to the process that holds the
// builder's lease. There they may be called from any number of goroutines,
// Collect excepted: it must not run between a Write and the publication of what
// that has written. [Store.Publish] is safe even if two processes believe that
// they hold the lease.
type Store struct {
	dir string
	// committing makes one batch durable after the other: one that counts on a
	// blob of another must not be published before that is on disk.
	committing sync.Mutex
}

// Open opens the store in dir, which is made if it is not there.
func Open(dir string) (*Store, error) {
	s := &Store{dir: filepath.Clean(dir)}
	for _, sub := range []string{"blobs", "blobs/tmp", "releases", "channels"} {
		if err := atomicfile.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("release: open store: %w", err)
		}
	}
	return s, nil
}

// Release opens a release. The error has [ErrCorrupt] in its tree if a blob
// is missing or has another size, and [fs.ErrNotExist] if there is no such
// release.
func (s *Store) Release(ctx context.Context, id ID) (*Release, error) {
	if !id.Valid() {
		return nil, fmt.Errorf("release: %q is not the name of a release: want 64 hexadecimal digits", id)
	}
	b, err := os.ReadFile(s.indexPath(id))
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	if idOf(b) != id {
		return nil, fmt.Errorf("release %s: %w: its index has another hash", id.Short(), ErrCorrupt)
	}
	x, err := DecodeIndex(b)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, id, x, sizeOf)
}

// sizer tells the size of the file at path.
type sizer func(path string) (int64, error)

func sizeOf(path string) (int64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Subset is [Store.Release] for some of its files: no others are looked at.
// Like [Release.Only], it has no rules.
func (s *Store) Subset(ctx context.Context, id ID, want func(File) bool) (*Release, error) {
	x, err := s.readIndex(id)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, id, &Index{Version: x.Version, Files: slices.Clip(slices.DeleteFunc(x.Files, func(f File) bool { return !want(f) }))}, sizeOf)
}

// open checks the blobs of an index and finds their variants.
func (s *Store) open(ctx context.Context, id ID, x *Index, size sizer) (*Release, error) {
	r := &Release{ID: id, Index: x, blobs: s, variants: make([][]Variant, len(x.Files))}
	err := parallel(ctx, len(x.Files), func(_ context.Context, i int) error {
		f := x.Files[i]
		n, err := size(s.blobPath(f.Hash, Identity))
		if err == nil && n != f.Size {
			err = fmt.Errorf("it has %d bytes, not %d", n, f.Size)
		}
		if err != nil {
			return fmt.Errorf("release %s: %w: content of %q: %w", id.Short(), ErrCorrupt, f.Path, err)
		}
		r.variants[i] = s.variants(f, size)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// variants returns what is there beside identity.
func (s *Store) variants(f File, size sizer) (vs []Variant) {
	for c := Gzip; c < codings; c++ {
		if !wants(f, c) {
			continue
		}
		// Empty: it was tried and does not pay.
		if n, err := size(s.blobPath(f.Hash, c)); err == nil && n > 0 {
			vs = append(vs, variant(c, n))
		}
	}
	return bySize(vs)
}

func bySize(vs []Variant) []Variant {
	slices.SortFunc(vs, func(a, b Variant) int { return cmp.Compare(a.Size, b.Size) })
	return vs
}

// Releases lists the releases in the store, in no order.
func (s *Store) Releases() ([]ID, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, "releases"))
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	var ids []ID
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if id := ID(name); ok && id.Valid() {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Verify reads every blob of a release and compares it with its hash. The
// error has [ErrCorrupt] in its tree and names the first path that is wrong.
// It is slow by design, one content at a time, for a background task.
func (s *Store) Verify(ctx context.Context, r *Release) error {
	for i, f := range r.Index.Files {
		if err := s.verify(ctx, r, i, Identity); err != nil {
			return fmt.Errorf("release %s: %w: content of %q: %w", r.ID.Short(), ErrCorrupt, f.Path, err)
		}
		for _, v := range r.Variants(i) {
			err := s.verify(ctx, r, i, v.Coding)
			if err == nil || ctx.Err() != nil {
				continue
			}
			// Identity is whole, so the variant can be made again.
			if err := os.Remove(s.blobPath(f.Hash, v.Coding)); err != nil {
				return fmt.Errorf("release: remove broken variant: %w", err)
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s *Store) verify(ctx context.Context, r *Release, i int, c Coding) error {
	body, err := r.Open(i, c)
	if err != nil {
		return err
	}
	defer body.Close()
	src, err := decode(body, c)
	if err != nil {
		return err
	}
	h, _, err := hashing(ctx, io.Discard, src)
	if err == nil && h != r.Index.Files[i].Hash {
		err = fmt.Errorf("it has the hash %s", h)
	}
	return err
}

// Quarantine removes the blob of a path whose content is wrong, so that the
// next build that has this content writes it again.
func (s *Store) Quarantine(ctx context.Context, r *Release) error {
	var errs []error
	for i, f := range r.Index.Files {
		if s.verify(ctx, r, i, Identity) != nil && ctx.Err() == nil {
			errs = append(errs, os.Remove(s.blobPath(f.Hash, Identity)))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) openBlob(h Hash, c Coding) (Body, error) {
	f, err := openQuietly(s.blobPath(h, c))
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (s *Store) tried(h Hash, c Coding) bool {
	info, err := os.Lstat(s.blobPath(h, c))
	return err == nil && info.Size() == 0
}

func (s *Store) blobPath(h Hash, c Coding) string {
	name := h.String()
	path := s.dir + "/blobs/" + name[:2] + "/" + name
	if c != Identity {
		path += "." + c.Tag()
	}
	return path
}

func (s *Store) indexPath(id ID) string {
	return filepath.Join(s.dir, "releases", string(id)+".json")
}

// tempDir holds blobs that are being written. It is on the file system of the
// blobs, and emptied by [Store.Collect].
func (s *Store) tempDir() string { return filepath.Join(s.dir, "blobs", "tmp") }

// Collect removes the releases that are not in keep, see [Store.Prune], and
// the blobs that no release uses. What was written less than grace ago stays:
// it may belong to a release that is about to be published.
func (s *Store) Collect(ctx context.Context, keep []ID, grace time.Duration) error {
	ids, err := s.Releases()
	if err != nil {
		return err
	}
	used := map[string]bool{}
	var errs []error
	for _, id := range ids {
		if !slices.Contains(keep, id) && s.expired(s.indexPath(id), grace) {
			errs = append(errs, os.Remove(s.indexPath(id)))
			continue
		}
		if err := s.mark(id, used); err != nil {
			// Without its index it is not known what the release needs.
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(errors.Join(errs...), s.sweep(ctx, used, grace))
}

func (s *Store) mark(id ID, used map[string]bool) error {
	b, err := os.ReadFile(s.indexPath(id))
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	var x Index
	if err := json.Unmarshal(b, &x); err != nil {
		return fmt.Errorf("release: index of %s: %w", id.Short(), err)
	}
	for _, f := range x.Files {
		used[f.Hash.String()] = true
	}
	return nil
}

// sweep removes the blobs that are not used, variants of retired recipes, and
// the leftovers of writers that died.
func (s *Store) sweep(ctx context.Context, used map[string]bool, grace time.Duration) error {
	shards, err := os.ReadDir(filepath.Join(s.dir, "blobs"))
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	var errs []error
	for _, shard := range shards {
		dir := filepath.Join(s.dir, "blobs", shard.Name())
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("release: %w", err)
		}
		for _, e := range entries {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			hash, tag, _ := strings.Cut(e.Name(), ".")
			if used[hash] && knownTag(tag) {
				continue
			}
			if name := filepath.Join(dir, e.Name()); s.expired(name, grace) {
				errs = append(errs, os.Remove(name))
			}
		}
	}
	return errors.Join(errs...)
}

func knownTag(tag string) bool {
	return slices.ContainsFunc(recipes[:], func(r recipe) bool { return r.tag == tag })
}

// expired reports whether the file is at least grace old.
func (s *Store) expired(name string, grace time.Duration) bool {
	info, err := os.Lstat(name)
	return err == nil && !errors.Is(err, fs.ErrNotExist) && time.Since(info.ModTime()) >= grace
}
